"""The arms of a platform's own log: retrain with a part of its users' events left out.

full      F, the reference: the whole log
influx    F without the newcomers N
placebo   F without R_j: as many incumbents outside the panel, matched on events and days
retrain   F again, with another training seed
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import RLock
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Evaluation, OwnLog
from recsys.core.errors import ConfigError, LogError
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, training_seed, uniforms
from recsys.logs.holdout import by_lot
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import DatedLog, active_days
from recsys.logs.read import read_own_log
from recsys.measures.attention_rows import Pool, exposure_rows
from recsys.measures.items import (
    creators_of,
    history_of,
    liked_popularity,
    popularity_of,
    sizes_of,
    vectors_of,
)
from recsys.measures.pair import FeedPair
from recsys.measures.rows import Attributes, attributes_of, measures_of, rows_of
from recsys.recommenders import EASE, Model, Ranking, Recommender, Trending, with_fallback
from recsys.recommenders.ease import EASEModel, memory_of
from recsys.statistics.matching import Matching, draw_placebo, match_newcomers
from recsys.study.arms.by_exposure import Exposed, exposed
from recsys.study.arms.result import REMOVALS, CellResult, feeds_in_one, feeds_of, life_of

_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class LogArms:
    """A log with its panel, its placebo groups and its held-out clicks.

    Attributes:
        source, evaluation: the config.
        seed: draws the panel, the held-out clicks and the placebo groups, and trains.
    """

    source: OwnLog
    evaluation: Evaluation
    seed: int
    _lock: RLock = field(default_factory=RLock, compare=False)
    _references: dict[tuple[str, str], tuple[Model, Ranking]] = field(
        default_factory=dict, compare=False
    )

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
        lot = uniforms(self.seed, Stream.PANEL, keys & _LOW, keys >> 32)[:, 0]
        return np.sort(eligible[np.argsort(lot, kind="stable")[: self.evaluation.panel]])

    @lazy
    def matching(self) -> Matching:
        """The newcomers to remove, and the incumbents from whom like groups are drawn."""
        train = self.train
        liked = train.dense["weight"].to_numpy() > 0
        pool = self.incumbents
        pool[self.panel] = False
        events = _per_user(train, liked)
        if not events[train.newcomers].any():
            raise LogError("log.newcomers: no newcomer has a positive event in the training part")
        matching = match_newcomers(
            events,
            _active_days(train, liked, self.source.timezone),
            train.newcomers,
            pool & (events > 0),
            train.users["key"].to_numpy(),
            self.seed,
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

    def prepare(self) -> None:
        """Reads and splits the log and draws the panel, once, whoever asks first."""
        with self._lock:
            _ = self.whole, self.split, self.panel, self.matching, self.exposed
            _ = self.train.interactions, self.train.seen, self._attributes, self._held_out
            _ = self._pool, self._vectors, self._history

    def check(self) -> None:
        """Raises what a run would raise: a bad log, a panel or a depth that it cannot supply."""
        self.prepare()
        pool = self.train.interactions.items.size
        if self.evaluation.k > pool:
            raise ConfigError(f"evaluation.k: {self.evaluation.k} is more than the {pool} items")

    def measure(
        self,
        name: str | tuple[str, str],
        recommender: Recommender,
        draws: Sequence[int],
        *,
        with_influx: bool,
    ) -> CellResult:
        """Per-user rows of some placebo draws, and of the other arms too if asked for.

        Args:
            name: what the rows call the recommender, or that and its mitigation.
            recommender: what to fit.
            draws: numbers of placebo groups, from 1.
            with_influx: whether the arms full, influx and retrain are wanted.
        """
        self.prepare()
        arms: list[tuple[str, int]] = [("placebo", draw) for draw in draws]
        if with_influx:
            retrain = [] if recommender.deterministic else [("retrain", 0)]
            arms = [("full", 0), ("influx", 0), *retrain, *arms]
        variant = (name, "none") if isinstance(name, str) else name
        whole, reference = self._reference(variant, recommender)
        rows, timings, kept, exposure, removals = [], [], [], [], []
        for arm, draw in arms:
            start = time.perf_counter()
            feeds = reference if arm == "full" else self._feeds(recommender, whole, arm, draw)
            seconds = time.perf_counter() - start
            keys = {
                "recommender": variant[0],
                "mitigation": variant[1],
                "arm": arm,
                "seed": self.seed,
                "draw": draw,
                "day": None,
                "cohort": "incumbent",
            }
            rows.append(self._rows(keys, reference, feeds))
            exposure.append(exposure_rows(keys, feeds.item_ids, self._examine, self._pool))
            if self.evaluation.snapshots and arm != "placebo":
                ids = self.train.users["user_id"].gather(self.panel)
                kept.append(feeds_of(keys, ids, self.train.items["item_id"], feeds))
            timings.append({**_timing_keys(keys), "fit_s": seconds, "serve_s": 0.0})
            if (
                arm == "influx"
                and isinstance(recommender, EASE)
                and _fits_twice(recommender, whole)
            ):
                removals.append(self._removal(variant[0], recommender, whole))
        return CellResult(
            pl.concat(rows),
            pl.DataFrame(timings, schema_overrides={"day": pl.Int32}),
            life_of({}, variant, self.seed),
            feeds_in_one(kept),
            pl.concat(exposure),
            pl.DataFrame(removals, schema=REMOVALS),
        )

    def _reference(
        self, variant: tuple[str, str], recommender: Recommender
    ) -> tuple[Model, Ranking]:
        """The model of the whole log and its feeds, made once for each recommender."""
        with self._lock:
            if variant not in self._references:
                model = recommender.fit(self.train, seed=training_seed(self.seed, "full"))
                self._references[variant] = (model, self._serve(model, self.train, "full"))
            return self._references[variant]

    def _feeds(self, recommender: Recommender, whole: Model, arm: str, draw: int) -> Ranking:
        seed = training_seed(self.seed, arm)
        if arm == "retrain":
            return self._serve(recommender.fit(self.train, seed=seed), self.train, arm)
        gone = (
            np.flatnonzero(self.matching.newcomer)
            if arm == "influx"
            else draw_placebo(self.matching, draw)
        )
        log = self.train.without_users(gone)
        return self._serve(recommender.fit_without(whole, log, gone, seed), log, arm)

    def _removal(self, name: str, recommender: EASE, whole: Model) -> dict[str, Any]:
        """A row of `REMOVALS`: the newcomers removed exactly, beside a fit without them."""
        assert isinstance(whole, EASEModel)
        gone = np.flatnonzero(self.matching.newcomer)
        log = self.train.without_users(gone)
        removed, fitted = recommender.removed(whole, log, gone), recommender.fit(log)
        feeds = [self._serve(model, log, "influx").item_ids for model in (removed, fitted)]
        return {
            "recommender": name,
            "seed": self.seed,
            "users": gone.size,
            "items": fitted.liked.shape[1],
            "largest_difference": float(np.abs(removed.weights - fitted.weights).max()),
            "slots": feeds[0].size,
            "slots_that_differ": int((feeds[0] != feeds[1]).sum()),
            "draws_by_removal": recommender.prefers_removal(whole, gone),
        }

    def _serve(self, model: Model, log: InteractionLog, arm: str) -> Ranking:
        """The panel's feeds, gaps filled from the arm's own trending list."""
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

    def _rows(self, keys: dict[str, Any], reference: Ranking, feeds: Ranking) -> pl.DataFrame:
        pair = self._pair(reference, feeds)
        measures = measures_of(sorted(pair.provides - set(self._attributes)), self._attributes)
        ids = self.train.users["user_id"].gather(self.panel)
        return rows_of(pair, measures, ids, keys, compared=keys["arm"] != "full")

    def _pair(self, reference: Ranking, feeds: Ranking) -> FeedPair:
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
            creators=self._pool.creators,
            popularity=self._pool.popularity,
            vectors=self._vectors,
            reference_scores=reference.scores.astype(np.float64),
            scores=feeds.scores.astype(np.float64),
            history=self._history,
            hits=hits,
            n_relevant=n_relevant,
        )

    @property
    def _examine(self) -> NDArray[np.float64]:
        """How much each rank counts where nothing is known of the platform's layout."""
        return 1 / np.log2(np.arange(2, self.evaluation.k + 2))

    @lazy
    def _pool(self) -> Pool:
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


def _active_days(log: InteractionLog, which: NDArray[np.bool_], timezone: str) -> NDArray[np.int64]:
    """Days on which each user was active; without times everybody's activity is one day."""
    if not log.has_times:
        return (_per_user(log, which) > 0).astype(np.int64)
    days = active_days(log.only(which), timezone)
    return np.bincount(days["user"].to_numpy(), minlength=log.n_users)


def _fits_twice(recommender: EASE, whole: Model) -> bool:
    """Whether memory holds another model beside the whole log's."""
    assert isinstance(whole, EASEModel)
    return 2 * memory_of(whole.liked.shape[1]) <= recommender.memory_gb


def _timing_keys(keys: dict[str, Any]) -> dict[str, Any]:
    return {name: keys[name] for name in ("recommender", "mitigation", "seed", "arm", "day")}
