"""The arms of a platform's own log: retrain with a part of its users' events left out.

full      F, the reference: the whole log
influx    F without the newcomers N
placebo   F without R_j: as many incumbents outside the panel, matched on events and days
retrain   F again, with another training seed
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Evaluation, OwnLog
from recsys.core.errors import ConfigError, LogError
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, key_words, training_seed, uniforms
from recsys.logs.holdout import by_lot
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import DatedLog, active_days
from recsys.logs.read import read_own_log
from recsys.measures.attention_rows import Pool
from recsys.measures.items import (
    creators_of,
    history_of,
    liked_popularity,
    popularity_of,
    sizes_of,
    vectors_of,
)
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.rows import Attributes, attributes_of, measures_of
from recsys.recommenders import Model, Ranking, Recommender, Trending, with_fallback
from recsys.statistics.matching import Matching, draw_placebo, match_newcomers
from recsys.study.arms.by_exposure import Exposed, exposed
from recsys.study.arms.measuring import INCUMBENT, ArmFeeds, Group, Served
from recsys.study.arms.result import REMOVALS, life_of


@dataclass(frozen=True)
class Removals:
    """A log to train on, and whose events are left out of it in turn.

    Attributes:
        log: F, what the reference is trained on.
        panel: dense ids of the incumbents that are measured; their events are never left out.
        matching: the newcomers, and the groups of incumbents that are like them.
        newcomers: dense ids of the newcomers whose events are left out.
        seed: trains.
    """

    log: InteractionLog
    panel: NDArray[np.int64]
    matching: Matching
    newcomers: NDArray[np.int64]
    seed: int

    def gone(self, arm: str, draw: int) -> NDArray[np.int64]:
        """Dense ids of whose events an arm leaves out.

        Args:
            arm: "influx", "placebo" or "retrain".
            draw: number of the placebo group, from 1.
        """
        if arm == "placebo":
            return draw_placebo(self.matching, draw)
        return self.newcomers if arm == "influx" else np.zeros(0, dtype=np.int64)


Serve = Callable[[Model, InteractionLog, NDArray[np.int64], str], Ranking]
"""The panel's feeds by a model, of the log that it was trained on, the users left out, the arm."""


@dataclass(frozen=True)
class Reference:
    """The fit of the whole log and its feeds, made once for all parts of a study.

    Attributes:
        removals: the log.
        recommender: what is fitted.
        ways: how feeds are served from a fit, by what the rows call it.
    """

    removals: Removals
    recommender: Recommender
    ways: Mapping[tuple[str, str], Serve]

    @lazy
    def model(self) -> Model:
        """The fit of the whole log."""
        seed = training_seed(self.removals.seed, "full")
        return self.recommender.fit(self.removals.log, seed=seed)

    @lazy
    def feeds(self) -> Served:
        """The panel's feeds of the whole log, in each way."""
        return self.of("full")

    def of(self, arm: str, draw: int = 0) -> Served:
        """The panel's feeds of an arm, in each way.

        Args:
            arm: "full", "influx", "placebo" or "retrain".
            draw: number of the placebo group, from 1; else 0.
        """
        part, start = self.removals, time.perf_counter()
        gone = part.gone(arm, draw)
        log = part.log.without_users(gone) if gone.size else part.log
        if arm == "full":
            model = self.model
        elif arm == "retrain":
            model = self.recommender.fit(log, seed=training_seed(part.seed, arm))
        else:
            seed = training_seed(part.seed, arm)
            model = self.recommender.fit_without(self.model, log, gone, seed)
        fitted = time.perf_counter()
        feeds = [serve(model, log, gone, arm) for serve in self.ways.values()]
        groups = [Group(INCUMBENT, part.panel, ranking) for ranking in feeds]
        return Served(groups, fitted - start, time.perf_counter() - fitted)


@dataclass(frozen=True)
class LogFeeds:
    """The feeds of a log with a part of its users' events left out.

    Attributes:
        reference: the log, what is fitted, and how feeds are served.
        about: what measures must know of the log.
        draws: numbers of placebo groups, from 1, such as range(1, 26).
        with_influx: whether the arms full, influx and retrain are wanted.
        snapshots: whether the feeds of the arms but placebo are wanted.
    """

    reference: Reference
    about: "AboutLog"
    draws: Sequence[int]
    with_influx: bool = True
    snapshots: bool = False

    @property
    def days(self) -> tuple[None]:
        """A log has no days."""
        return (None,)

    @property
    def measures(self) -> Mapping[str, Measure]:
        """What is measured."""
        return self.about.measures

    def arms(self) -> Iterator[ArmFeeds]:
        """The whole log first; each way of serving a fit is an arm."""
        yield from self._ways("full", 0, self.reference.feeds)
        several = ["influx"] if self.reference.recommender.deterministic else ["influx", "retrain"]
        arms = [(arm, 0) for arm in several] if self.with_influx else []
        for arm, draw in [*arms, *(("placebo", draw) for draw in self.draws)]:
            yield from self._ways(arm, draw, self.reference.of(arm, draw))

    def _ways(self, arm: str, draw: int, served: Served) -> Iterator[ArmFeeds]:
        part = self.reference.removals
        for name, group in zip(self.reference.ways, served.groups, strict=True):
            keys = {
                "recommender": name[0],
                "mitigation": name[1],
                "arm": arm,
                "seed": part.seed,
                "draw": draw,
            }
            day = LogDay(served._replace(groups=[group]), self.about)
            yield ArmFeeds(
                keys,
                day.on,
                part.log.users["user_id"],
                part.log.items["item_id"],
                compared=arm != "full",
                reported=arm != "full" or self.with_influx,
                kept=self.snapshots and arm != "placebo",
            )

    def life(self) -> pl.DataFrame:
        """Unknown: a log does not tell it."""
        return life_of({}, next(iter(self.reference.ways)), self.reference.removals.seed)

    def exact_removals(self) -> pl.DataFrame:
        """`REMOVALS`: the newcomers removed exactly, beside a fit without them.

        No row where the recommender cannot remove users, or where memory does not hold two models.
        """
        part, made = self.reference.removals, self.reference
        log = part.log.without_users(part.newcomers)
        found = made.recommender.removal(made.model, log, part.newcomers)
        if found is None:
            return pl.DataFrame(schema=REMOVALS)
        name, serve = next(iter(made.ways.items()))
        models = (found.removed, found.fitted)
        feeds = [serve(model, log, part.newcomers, "influx").item_ids for model in models]
        row = {
            "recommender": name[0],
            "seed": part.seed,
            "users": part.newcomers.size,
            "items": found.items,
            "largest_difference": found.largest_difference,
            "slots": feeds[0].size,
            "slots_that_differ": int((feeds[0] != feeds[1]).sum()),
            "draws_by_removal": found.preferred,
        }
        return pl.DataFrame([row], schema=REMOVALS)


class AboutLog(Protocol):
    """What measures must know of a log."""

    @property
    def measures(self) -> Mapping[str, Measure]:
        """What is measured, by name."""

    def pair(self, group: Group, reference: Ranking) -> FeedPair:
        """The panel's feeds beside the reference's, described as the measures take them."""

    def pool(self) -> Pool | None:
        """What could have been served; None leaves attention unmeasured."""


@dataclass(frozen=True)
class LogDay:
    """The feeds of one arm of a log.

    Attributes:
        served: the feeds.
        about: what measures must know of the log.
    """

    served: Served
    about: AboutLog

    def on(self, day: None) -> "LogDay":
        """Itself: a log has no days."""
        return self

    def feeds(self) -> Served:
        """See `ArmDay`."""
        return self.served

    def without_newcomers(self, feeds: Ranking) -> None:
        """Not asked for: the influx arm itself leaves newcomers' events out."""

    def pair(
        self,
        group: Group,
        reference: Ranking,
        previous: Ranking | None,
        without: NDArray[np.int32] | None,
    ) -> FeedPair:
        """See `ArmDay`."""
        return self.about.pair(group, reference)

    def pool(self, group: Group) -> Pool | None:
        """See `ArmDay`."""
        return self.about.pool()


@dataclass(frozen=True)
class MeasuredLog:
    """A platform's log with its panel, its placebo groups and its held-out clicks.

    Attributes:
        source, evaluation: the config.
        seed: draws the panel, the held-out clicks and the placebo groups, and trains.
    """

    source: OwnLog
    evaluation: Evaluation
    seed: int

    @lazy
    def own(self) -> DatedLog:
        """The log as it was read, and who came when."""
        return read_own_log(self.source)

    @property
    def whole(self) -> InteractionLog:
        """The log as it was read."""
        return self.own.log

    @property
    def incumbents(self) -> NDArray[np.bool_]:
        """Who was there before the newcomers: bool (n_users,)."""
        return ~self.whole.newcomers & ~self.own.bystanders

    @lazy
    def exposed(self) -> Exposed:
        """The secondary view, by exposure to newcomers."""
        source = self.source
        return exposed(
            self.own, source.attributes, source.timezone, source.panel_min_events, self.seed
        )

    @lazy
    def split(self) -> tuple[InteractionLog, InteractionLog]:
        """The log to train on, and the held-out part of it (empty unless asked for)."""
        events = self.whole.dense
        if self.source.holdout_days is not None:
            if not self.whole.has_times:
                raise ConfigError(
                    "log.holdout_days: the log has no times; use log.holdout_share instead"
                )
            last = events["timestamp"].max()
            cut = last - timedelta(days=self.source.holdout_days)  # type: ignore[operator]
            late = (events["timestamp"] > cut).to_numpy()
        elif self.source.holdout_share is not None:
            late = by_lot(self.whole, self.source.holdout_share, self.seed)
        else:
            late = np.zeros(events.height, dtype=np.bool_)
        if late.all():
            raise ConfigError("log.holdout_days: no event is left to train on; hold out fewer days")
        return self.whole.only(~late), self.whole.only(late)

    @property
    def train(self) -> InteractionLog:
        """F: what the reference is trained on."""
        return self.split[0]

    @lazy
    def panel(self) -> NDArray[np.int64]:
        """Dense ids of the incumbents that are measured: drawn from those with enough events."""
        likes = _per_user(self.train, self.train.dense["weight"].to_numpy() > 0)
        enough = likes >= self.source.panel_min_events
        eligible = np.flatnonzero(self.incumbents & enough)
        if eligible.size < self.evaluation.panel:
            raise ConfigError(
                f"evaluation.panel: {self.evaluation.panel} is more than the {eligible.size} "
                f"incumbents with at least {self.source.panel_min_events} positive events; set "
                "evaluation.panel lower, so that there are others to take as placebos, or "
                "log.panel_min_events"
            )
        keys = self.train.users["key"].to_numpy()[eligible]
        lot = uniforms(self.seed, Stream.PANEL, *key_words(keys))[:, 0]
        return np.sort(eligible[np.argsort(lot, kind="stable")[: self.evaluation.panel]])

    @lazy
    def matching(self) -> Matching:
        """The newcomers to remove, and the incumbents from whom like groups are drawn."""
        train = self.train
        if not self.activity[train.newcomers].any():
            raise LogError("log.newcomers: no newcomer has a positive event in the training part")
        matching = matching_of(
            train,
            self.panel,
            self.incumbents,
            self.seed,
            timezone=self.source.timezone,
            max_pool_fraction=self.source.max_pool_fraction,
        )
        if not matching.newcomer.any():
            raise LogError(f"log.newcomers: {matching.describe()}")
        return matching

    @lazy
    def activity(self) -> NDArray[np.int64]:
        """Positive events of every user in the training part, int64 (n_users,)."""
        return _per_user(self.train, self.train.dense["weight"].to_numpy() > 0)

    def main_topic(self) -> pl.Series | None:
        """The topic that every user liked most, the first by name of several; null for who liked
        nothing. None if topics are not known."""
        if "topic" not in self._attributes:
            return None
        codes, labels = self._attributes["topic"]
        mix = history_of(self.train, np.arange(self.train.n_users), codes, len(labels))
        liked = ~np.isnan(mix[:, 0])
        most = np.where(liked, np.nan_to_num(mix).argmax(axis=1), -1)
        return pl.Series("main_topic", [labels[place] if place >= 0 else None for place in most])

    def check(self) -> None:
        """Raises what a run would raise: a bad log, a panel or a depth that it cannot supply."""
        _ = self.split, self.panel, self.matching, self.exposed
        pool = self.train.interactions.items.size
        if self.evaluation.k > pool:
            raise ConfigError(f"evaluation.k: {self.evaluation.k} is more than the {pool} items")

    @lazy
    def removals(self) -> Removals:
        """The log to train on, and whose events are left out of it."""
        newcomers = np.flatnonzero(self.matching.newcomer)
        return Removals(self.train, self.panel, self.matching, newcomers, self.seed)

    def serve(
        self, model: Model, log: InteractionLog, gone: NDArray[np.int64], arm: str
    ) -> Ranking:
        """The panel's feeds, gaps filled from the arm's own trending list; see `Serve`.

        Raises:
            LogError: fewer items are left than a feed has slots.
        """
        k = self.evaluation.k
        if model.scorable.size < k:
            raise LogError(
                f"without the {arm} group only {model.scorable.size} items are left, fewer than "
                f"evaluation.k = {k}"
            )
        return with_fallback(model.rank(self.panel, k), Trending().fit(log), self.panel)

    @lazy
    def _attributes(self) -> Attributes:
        return attributes_of(self.train.items, self.source.attributes)

    @lazy
    def _held_out(self) -> list[NDArray[np.int32]] | None:
        """What each of the panel liked later; None if nothing is held out."""
        if self.source.holdout_days is None and self.source.holdout_share is None:
            return None
        return [self._relevant(user) for user in self.panel]

    def _relevant(self, user: int) -> NDArray[np.int32]:
        """Items that a user liked in the held-out part and had not seen in the training part."""
        held_out, seen = self.split[1].interactions, self.train.seen
        row = np.searchsorted(held_out.users[self._by_user], user)
        if row == held_out.users.size or held_out.users[self._by_user[row]] != user:
            return np.zeros(0, dtype=np.int32)
        liked = held_out.items[held_out.weights[self._by_user[row]].indices]
        known = seen.indices[seen.indptr[user] : seen.indptr[user + 1]]
        return np.setdiff1d(liked, known)

    @lazy
    def _by_user(self) -> NDArray[np.int64]:
        return np.argsort(self.split[1].interactions.users)

    @lazy
    def measures(self) -> dict[str, Measure]:
        """All that the log and scores let one measure."""
        nothing = np.full((self.panel.size, self.evaluation.k), -1, dtype=np.int32)
        scores = np.full(nothing.shape, np.nan, dtype=np.float32)
        empty = Ranking(nothing, scores, np.zeros(nothing.shape, dtype=np.uint8))
        provides = self.pair(Group(INCUMBENT, self.panel, empty), empty).provides
        return measures_of(sorted(provides - set(self._attributes)), self._attributes)

    def pair(self, group: Group, reference: Ranking) -> FeedPair:
        """See `AboutLog`."""
        feeds = group.feeds
        hits, n_relevant = None, None
        if self._held_out is not None:
            both = zip(feeds.item_ids, self._held_out, strict=True)
            hits = np.stack([np.isin(row, items) for row, items in both])
            n_relevant = np.array([items.size for items in self._held_out], dtype=np.int32)
        return FeedPair(
            reference=reference.item_ids,
            feeds=feeds.item_ids,
            attributes={name: codes for name, (codes, _) in self._attributes.items()},
            from_newcomers=self.train.from_newcomers,
            examine=self._examine,
            creators=self._pool_of_log.creators,
            popularity=self._pool_of_log.popularity,
            vectors=self._vectors,
            reference_scores=reference.scores.astype(np.float64),
            scores=feeds.scores.astype(np.float64),
            history=self._history,
            hits=hits,
            n_relevant=n_relevant,
        )

    def pool(self) -> Pool:
        """See `AboutLog`."""
        return self._pool_of_log

    @property
    def _examine(self) -> NDArray[np.float64]:
        """How much each rank counts where nothing is known of the platform's layout."""
        return 1 / np.log2(np.arange(2, self.evaluation.k + 2))

    @lazy
    def _pool_of_log(self) -> Pool:
        """The items that have likes in the whole log, and what the panel liked there."""
        log, popularity = self.train, popularity_of(self.train)
        creators = creators_of(log.items)
        return Pool(
            candidates=popularity > 0,
            creators=creators,
            popularity=popularity,
            liked=liked_popularity(log, self.panel, popularity),
            sizes=None if creators is None else sizes_of(log, creators),
        )

    @lazy
    def _vectors(self) -> NDArray[np.float32] | None:
        return vectors_of(self.train.items)

    @lazy
    def _history(self) -> dict[str, NDArray[np.float64]] | None:
        """Topics of what the panel liked, which no arm removes; None if topics are not known."""
        if "topic" not in self._attributes:
            return None
        codes, labels = self._attributes["topic"]
        return {"topic": history_of(self.train, self.panel, codes, len(labels))}


def _per_user(log: InteractionLog, which: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.bincount(log.dense["user"].to_numpy()[which], minlength=log.n_users)


def matching_of(
    log: InteractionLog,
    panel: NDArray[np.int64],
    incumbents: NDArray[np.bool_],
    seed: int,
    *,
    timezone: str,
    max_pool_fraction: float,
) -> Matching:
    """The newcomers of a log, and the incumbents outside the panel from whom groups are drawn.

    Args:
        log: to train on.
        panel: dense ids of the incumbents that are measured.
        incumbents: bool (n_users,), who was there before the newcomers.
        seed: draws the groups.
        timezone: where days begin, such as "Asia/Shanghai".
        max_pool_fraction: most of the pool that a group may take, such as 0.5.
    """
    liked = log.dense["weight"].to_numpy() > 0
    events = _per_user(log, liked)
    pool = incumbents & (events > 0)
    pool[panel] = False
    return match_newcomers(
        events,
        _active_days(log, liked, timezone),
        log.newcomers,
        pool,
        log.users["key"].to_numpy(),
        seed,
        max_pool_fraction=max_pool_fraction,
    )


def _active_days(log: InteractionLog, which: NDArray[np.bool_], timezone: str) -> NDArray[np.int64]:
    """Days on which each user was active; without times everybody's activity is one day."""
    if not log.has_times:
        return (_per_user(log, which) > 0).astype(np.int64)
    days = active_days(log.only(which), timezone)
    return np.bincount(days["user"].to_numpy(), minlength=log.n_users)
