"""A platform's own log as a study measures it: the panel, placebo groups and held-out clicks.

The config says which log it is. `MeasuredLog` reads it once, splits off what is held out, draws the
panel and matches the placebo groups; it also describes feeds for the measures (see `AboutLog`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Evaluation, OwnLog
from recsys.core.errors import ConfigError, LogError
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, key_words, uniforms
from recsys.logs.cleaning import why_few_likes
from recsys.logs.holdout import by_lot
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import DatedLog
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
from recsys.measures.mix_drift import share_measure
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.rows import Attributes, attributes_of, measures_of
from recsys.recommenders import Model, Ranking, Trending, with_fallback
from recsys.statistics.matching import Matching
from recsys.study.arms.by_exposure import Exposed, exposed
from recsys.study.arms.measuring import Group
from recsys.study.arms.own_log import Removals
from recsys.study.arms.placebos import Placebos, arrival, placebos_of
from recsys.study.arms.snapshots import INCUMBENT

_MOST_VALUES = 6
"""Values of an attribute, the most common ones, whose share of slots is measured."""


@dataclass(frozen=True)
class MeasuredLog:
    """A platform's log with its panel, its placebo groups and its held-out clicks.

    Attributes:
        source: the part `log` of a study's config.
        evaluation: the part `evaluation` of it.
        seed: the study's only seed: the panel, the held-out clicks and the placebo groups are drawn
            from it, and fits are trained with it.
    """

    source: OwnLog
    evaluation: Evaluation
    seed: int

    @lazy
    def own(self) -> DatedLog:
        """The log as it was read, with the date from which newcomers came, where it is known."""
        return read_own_log(self.source)

    @property
    def whole(self) -> InteractionLog:
        """The log as it was read."""
        return self.own.log

    @property
    def incumbents(self) -> NDArray[np.bool_]:
        """Bool (n_users,): which users were there before the newcomers."""
        return ~self.whole.newcomers & ~self.own.bystanders

    @lazy
    def exposed(self) -> Exposed:
        """The second view of the log: incumbents compared by their exposure to newcomers."""
        return self.exposed_in(self.own)

    def exposed_in(self, own: DatedLog) -> Exposed:
        """The same view of another log of the same source.

        Args:
            own: a log with cohorts, and the day on which its newcomers arrived.
        """
        source = self.source
        return exposed(own, source.attributes, source.timezone, source.panel_min_events, self.seed)

    @lazy
    def split(self) -> tuple[InteractionLog, InteractionLog]:
        """The log to train on, and the held-out log; the latter is empty if nothing is held out."""
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
        """The log to train on, without what is held out."""
        return self.split[0]

    @lazy
    def panel(self) -> NDArray[np.int64]:
        """Dense ids of the incumbents that are measured, drawn from those with enough likes."""
        enough = self.activity >= self.source.panel_min_events
        eligible = np.flatnonzero(self.incumbents & enough)
        if eligible.size < self.evaluation.panel:
            raise ConfigError(
                f"evaluation.panel: {self.evaluation.panel} is more than the {eligible.size} "
                f"incumbents with at least {self.source.panel_min_events} positive events; lower "
                "log.panel_min_events, or lower evaluation.panel so far that incumbents are left "
                f"for the placebo groups{why_few_likes(self.train.dense)}"
            )
        keys = self.train.users["key"].to_numpy()[eligible]
        lot = uniforms(self.seed, Stream.PANEL, *key_words(keys))[:, 0]
        return np.sort(eligible[np.argsort(lot, kind="stable")[: self.evaluation.panel]])

    @lazy
    def placebos(self) -> Placebos:
        """The newcomers to leave out, and the incumbents from whom placebo groups are drawn."""
        train = self.train
        if not self.activity[train.newcomers].any():
            raise LogError(
                "log.newcomers: no newcomer has a positive event in the training part"
                f"{why_few_likes(train.dense)}"
            )
        placebos = placebos_of(
            train,
            self.panel,
            self.incumbents,
            self.seed,
            arrived=self.own.arrived,
            timezone=self.source.timezone,
            max_pool_fraction=self.source.max_pool_fraction,
        )
        if not placebos.matching.newcomer.any():
            raise LogError(f"log.newcomers: {placebos.matching.describe()}")
        return placebos

    @property
    def matching(self) -> Matching:
        """The newcomers to leave out, and the incumbents from whom groups are drawn."""
        return self.placebos.matching

    @lazy
    def activity(self) -> NDArray[np.int64]:
        """Int64 (n_users,): positive events of each user in the log to train on."""
        liked = self.train.dense.filter(pl.col("weight") > 0)["user"].to_numpy()
        return np.bincount(liked, minlength=self.train.n_users)

    def main_topic(self) -> pl.Series | None:
        """The topic that each user liked most, null for users who liked nothing.

        If a user liked several topics equally often, the first by name counts. None if the config
        does not say which column of the items is the topic.
        """
        if "topic" not in self._attributes:
            return None
        codes, labels = self._attributes["topic"]
        mix = history_of(self.train, np.arange(self.train.n_users), codes, len(labels))
        has_likes = ~np.isnan(mix[:, 0])
        topic = np.where(has_likes, np.nan_to_num(mix).argmax(axis=1), -1)
        return pl.Series("main_topic", [labels[code] if code >= 0 else None for code in topic])

    def check(self) -> None:
        """Raises now what a run would raise later.

        Raises:
            LogError: the log cannot be used.
            ConfigError: the log has too few incumbents for the panel, or too few items for a feed.
        """
        _ = self.split, self.panel, self.matching, self.exposed
        pool = self.train.interactions.items.size
        if self.evaluation.k > pool:
            raise ConfigError(
                f"evaluation.k: {self.evaluation.k} is more than the {pool} items of the log"
            )

    @lazy
    def removals(self) -> Removals:
        """The log to train on, and whose events each arm leaves out of it."""
        newcomers, since = np.flatnonzero(self.matching.newcomer), self.placebos.since
        return Removals(
            self.train,
            self.panel,
            self.matching,
            newcomers,
            self.seed,
            since=since,
            arrival=arrival(self.train, self.own.arrived, self.source.timezone),
            replaced=newcomers if since is not None else newcomers[:0],
        )

    def serve(
        self, model: Model, log: InteractionLog, left_out: NDArray[np.int64], arm: str
    ) -> Ranking:
        """The panel's feeds; gaps are filled from the arm's own trending list. See `Serve`.

        Args:
            model: fitted to `log`.
            log: the log of the arm.
            left_out: dense ids of the users who are left out of `log`.
            arm: "full", "influx", "placebo" or "retrain"; for the error message.

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
        """The held-out items that each user of the panel liked; None if nothing is held out."""
        if self.source.holdout_days is None and self.source.holdout_share is None:
            return None
        return [self._relevant(user) for user in self.panel]

    def _relevant(self, user: int) -> NDArray[np.int32]:
        """Items that a user liked in the held-out log and had not seen in the log to train on."""
        held_out, shown = self.split[1].interactions, self.train.seen
        row = np.searchsorted(held_out.users[self._by_user], user)
        if row == held_out.users.size or held_out.users[self._by_user[row]] != user:
            return np.zeros(0, dtype=np.int32)
        liked = held_out.items[held_out.weights[self._by_user[row]].indices]
        seen = shown.indices[shown.indptr[user] : shown.indptr[user + 1]]
        return np.setdiff1d(liked, seen)

    @lazy
    def _by_user(self) -> NDArray[np.int64]:
        """Rows of the held-out matrix in the order of its users' dense ids."""
        return np.argsort(self.split[1].interactions.users)

    @lazy
    def measures(self) -> dict[str, Measure]:
        """All measures that this log can have: what a pair of feeds provides decides.

        A pair of empty feeds provides the same fields as any other, and costs nothing.
        """
        nothing = np.full((self.panel.size, self.evaluation.k), -1, dtype=np.int32)
        scores = np.full(nothing.shape, np.nan, dtype=np.float32)
        empty = Ranking(nothing, scores, np.zeros(nothing.shape, dtype=np.uint8))
        provides = self.pair(Group(INCUMBENT, self.panel, empty), empty).provides
        chosen = measures_of(sorted(provides - set(self._attributes)), self._attributes)
        for name, (codes, labels) in self._attributes.items():
            for code in self._common(codes, len(labels)):
                share = share_measure(name, code, labels[code])
                chosen.setdefault(share.name, share)
        return chosen

    def _common(self, codes: NDArray[np.int32], n_codes: int) -> list[int]:
        """The values of an attribute that most likes are of, the most common first."""
        liked = self.train.dense.filter(pl.col("weight") > 0)["item"].to_numpy()
        counts = np.bincount(codes[liked], minlength=n_codes)
        most = np.argsort(-counts, kind="stable")[:_MOST_VALUES]
        return [int(code) for code in most if counts[code]]

    @property
    def columns(self) -> Mapping[str, str]:
        """By attribute of the items, the column that holds it."""
        return self.source.attributes

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
        """Float64 (k,): how much each rank counts. The log does not tell the platform's layout, so
        these are the weights of DCG."""
        return 1 / np.log2(np.arange(2, self.evaluation.k + 2))

    @lazy
    def _pool_of_log(self) -> Pool:
        """The items that somebody liked, and how popular those are that the panel liked."""
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
        """Topics of what the panel liked; None if the config names no topic. No arm leaves the
        panel's events out, so this is the same in all arms."""
        if "topic" not in self._attributes:
            return None
        codes, labels = self._attributes["topic"]
        return {"topic": history_of(self.train, self.panel, codes, len(labels))}
