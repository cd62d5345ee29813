"""The arms of a synthetic world, open loop: one log per arm, made by the house policy.

All recommenders of a study are trained on the same logs; arms differ in who was there.
"""

import time
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Evaluation, World
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, training_seed, uniforms
from recsys.logs.log import InteractionLog, Seen
from recsys.measures.attention_rows import Pool, exposure_rows
from recsys.measures.items import history_of, liked_popularity, popularity_of
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.rows import Attributes, attributes_of, headline_of, measures_of, rows_of
from recsys.recommenders import Model, Ranking, Recommender, Trending, with_fallback
from recsys.recommenders.oracle import OracleRow
from recsys.study.arms.result import CellResult, feeds_in_one, feeds_of, life_of
from recsys.world.arms import Audience
from recsys.world.day.oracle import best_of
from recsys.world.people.behaviour import examination
from recsys.world.people.notes import draw_follows
from recsys.world.platform.blend import PERSONAL
from recsys.world.simulate import Simulation, simulate_arms

HOUSE = "house"
"""Who serves a world in an open loop, whatever is trained on its log."""


_ATTRIBUTES = ("language", "format", "topic", "product_tag")


_IN_SPACE = ("language", "format", "topic")
"""Attributes that are axes of the notes' places."""


_SPARE = 48
"""Ranked beyond k: own notes, and more of a creator than a feed may hold, are passed over."""


@dataclass(frozen=True)
class WorldArms:
    """One seed of a world in all arms, and how to measure a recommender on it.

    Attributes:
        world, evaluation: the config.
        arms: names; `control` and `influx` are among them.
        seed: world seed.
        threads: threads that simulate.
    """

    world: World
    evaluation: Evaluation
    arms: tuple[str, ...]
    seed: int
    threads: int = 1
    _lock: RLock = field(default_factory=RLock, compare=False)
    _days: dict[tuple[str, int], tuple[InteractionLog, Model]] = field(
        default_factory=dict, compare=False
    )
    _codes: dict[str, Attributes] = field(default_factory=dict, compare=False)
    _places: dict[str, NDArray[np.float32]] = field(default_factory=dict, compare=False)
    _pools: dict[tuple[str, int, bool], Pool] = field(default_factory=dict, compare=False)

    @lazy
    def simulations(self) -> dict[str, Simulation]:
        """The world of each arm; retrain has none of its own."""
        worlds = [arm for arm in self.arms if arm != "retrain"]
        audience = Audience(self.panel, self.evaluation.days, self.evaluation.k)
        simulations = simulate_arms(
            self.world, worlds, self.seed, audience=audience, threads=self.threads
        )
        return {str(name): simulation for name, simulation in simulations.items()}

    @lazy
    def panel(self) -> NDArray[np.int64]:
        """Dense ids of the incumbents that are measured, the same for every seed and arm."""
        lot = uniforms(self.world.population_seed, Stream.PANEL, np.arange(self.world.incumbents))[
            :, 0
        ]
        return np.sort(np.argsort(lot, kind="stable")[: self.evaluation.panel])

    def prepare(self) -> None:
        """Runs the worlds, once, whoever asks first."""
        with self._lock:
            _ = self.simulations, self.panel

    def measure(self, name: str | tuple[str, str], recommender: Recommender) -> CellResult:
        """Per-user rows of all arms and days, timings, and what people lived through.

        Args:
            name: what the rows call the recommender, or that and its mitigation.
            recommender: what to fit.
        """
        self.prepare()
        variant = (name, "none") if isinstance(name, str) else name
        named = dict(zip(("recommender", "mitigation"), variant, strict=True))
        rows, timings, kept, exposure = [], [], [], []
        references: dict[int, Ranking] = {}
        learned = self._before(recommender)
        for arm in self._arms_for(recommender):
            incumbents, newcomers, pairs = [], [], []
            before: Ranking | None = None
            for day in self.evaluation.days:
                newcomers_there = self._newcomers(arm, day)
                (feeds, theirs), seconds = self._feeds(
                    recommender, arm, day, (self.panel, newcomers_there), learned
                )
                keys = {
                    **named,
                    "arm": arm,
                    "seed": self.seed,
                    "draw": 0,
                    "day": day,
                    "cohort": "incumbent",
                }
                reference = references.setdefault(day, feeds)
                without = self._without_newcomers(recommender, arm, day, feeds, learned)
                pairs.append(self._pair(arm, day, self.panel, reference, feeds, before, without))
                incumbents.append(self._rows(keys, self.panel, pairs[-1]))
                exposure.append(self._exposure(keys, self.panel, feeds))
                before = feeds
                kept += self._kept(keys, self.panel, feeds)
                if newcomers_there.size:
                    keys["cohort"] = "newcomer"  # quality only: they have no feed in the twin
                    pair = self._pair(arm, day, newcomers_there, theirs, theirs)
                    newcomers.append(self._rows(keys, newcomers_there, pair))
                    exposure.append(self._exposure(keys, newcomers_there, theirs))
                    kept += self._kept(keys, newcomers_there, theirs)
                timings.append({**named, "seed": self.seed, "arm": arm, "day": day, **seconds})
            rows += [headline_of(incumbents, pairs, self._measures), *incumbents]
            if newcomers:
                rows += [headline_of(newcomers, [], self._measures), *newcomers]
        lives = {arm: simulation.life for arm, simulation in self.simulations.items()}
        return CellResult(
            pl.concat(rows),
            pl.DataFrame(timings),
            life_of(lives, self._server(variant), self.seed),
            feeds_in_one(kept),
            pl.concat(exposure),
        )

    def _server(self, variant: tuple[str, str]) -> tuple[str, str]:
        """Who serves the worlds in which a recommender is measured."""
        return HOUSE, "none"

    def _before(self, recommender: Recommender) -> Model | None:
        """The model of the morning of day 0, if it is needed.

        One for all arms, since they share what was before the influx: control's, with its seed.
        """
        if not recommender.needs_previous:
            return None
        return recommender.fit(self._day("control", 0)[0], training_seed(self.seed, "control"))

    def _arms_for(self, recommender: Recommender) -> list[str]:
        """Control first. Without a training seed, retrain is the control itself: left out."""
        others = [arm for arm in self.arms if arm != "control"]
        if recommender.deterministic:
            others = [arm for arm in others if arm != "retrain"]
        return ["control", *others]

    def _world_of(self, arm: str) -> str:
        """The arm whose world an arm looks at."""
        return "control" if arm == "retrain" else arm

    def _simulation(self, arm: str) -> Simulation:
        return self.simulations[self._world_of(arm)]

    def _newcomers(self, arm: str, day: int) -> NDArray[np.int64]:
        """Newcomers of the audience, the first so many by number, who are there on a day."""
        people, first = self._simulation(arm).people, self.world.incumbents
        audience = np.arange(first, people.n)[: self.evaluation.panel]
        there = (people.arrival[audience] < day) & (day < people.departure[audience])
        return audience[there]

    def _day(self, arm: str, day: int) -> tuple[InteractionLog, Model]:
        """The log up to a day and the fallback trained on it, shared by all recommenders."""
        key = (self._world_of(arm), day)
        with self._lock:
            if key not in self._days:
                log = self._simulation(arm).log_before(day, self.evaluation.training_days)
                _ = log.interactions, log.seen
                self._days[key] = (log, Trending().fit(log))
            return self._days[key]

    def _feeds(
        self,
        recommender: Recommender,
        arm: str,
        day: int,
        groups: tuple[NDArray[np.int64], ...],
        before: Model | None = None,
    ) -> tuple[list[Ranking], dict[str, float]]:
        """The day's feeds of each group of users, from a fit of the arm's log; and seconds."""
        log, _ = self._day(arm, day)
        start = time.perf_counter()
        known = isinstance(recommender, OracleRow)
        seed = training_seed(self.seed, arm)
        model = None if known else recommender.fit(log, seed, before)
        fitted = time.perf_counter()
        feeds = [self._serve(model, arm, day, users) for users in groups]
        served = time.perf_counter()
        return feeds, {"fit_s": fitted - start, "serve_s": served - fitted}

    def _without_newcomers(
        self,
        recommender: Recommender,
        arm: str,
        day: int,
        feeds: Ranking,
        before: Model | None = None,
    ) -> NDArray[np.int32] | None:
        """The panel's feeds by a fit without newcomers' events, if one-step drift is asked for.

        Where newcomers' events change nothing these are the feeds themselves.
        """
        if not self.evaluation.one_step:
            return None
        log, first = self._day(arm, day)[0], self.world.incumbents
        if isinstance(recommender, OracleRow) or log.n_users == first:
            return feeds.item_ids
        own = InteractionLog(log.users, log.items, log.dense.filter(log.dense["user"] < first))
        model = recommender.fit(own, training_seed(self.seed, arm), before)
        return self._serve(model, arm, day, self.panel).item_ids

    def _serve(self, model: Model | None, arm: str, day: int, users: NDArray[np.int64]) -> Ranking:
        """The day's feeds: the model's ranking, gaps filled, blended with the platform's slots.

        Without a model the ranking is the oracle's, by what feeds are worth.
        """
        simulation, (log, fallback) = self._simulation(arm), self._day(arm, day)
        candidates = simulation.candidates(day)
        depth = min(self.evaluation.k + _SPARE, int(candidates.sum()))
        if model is None:
            own = self._best(arm, day, users, depth)
        else:
            own = model.rank(users, depth, candidates)
        own = with_fallback(own, fallback, users, candidates)
        ids, sources = simulation.feeds(
            own.item_ids, own.sources, users, log.seen, day, self.evaluation.k
        )
        return Ranking(ids, _scores_of(ids, own), sources)

    def _best(self, arm: str, day: int, users: NDArray[np.int64], depth: int) -> Ranking:
        """What users would click most likely, in the state in which feeds' worth is measured."""
        simulation, (log, _) = self._simulation(arm), self._day(arm, day)
        state = self._state(users)
        ids, scores = best_of(
            lambda rows, notes: simulation.click_probability(rows, notes, day, state),
            users,
            depth,
            simulation.candidates(day),
            Seen.from_matrix(log.seen),
            simulation.notes.key,
        )
        return Ranking(ids, scores, np.full(ids.shape, PERSONAL, dtype=np.uint8))

    def _pair(
        self,
        arm: str,
        day: int,
        users: NDArray[np.int64],
        reference: Ranking,
        feeds: Ranking,
        before: Ranking | None = None,
        without: NDArray[np.int32] | None = None,
    ) -> FeedPair:
        """Reference and feeds as the measures take them; notes are described as in the arm."""
        is_panel = users is self.panel
        from_newcomers = self._simulation(arm).from_newcomers
        attributes = self._attributes(arm)
        return FeedPair(
            reference=reference.item_ids,
            feeds=feeds.item_ids,
            attributes={name: codes for name, (codes, _) in attributes.items()},
            from_newcomers=from_newcomers,
            examine=examination(self.world.platform, self.evaluation.k),
            creators=self._simulation(arm).notes.creator,
            popularity=self._pool(arm, day, users).popularity,
            vectors=self._vectors(arm),
            reference_scores=reference.scores.astype(np.float64) if self._has_scores else None,
            scores=feeds.scores.astype(np.float64) if self._has_scores else None,
            previous=None if before is None else before.item_ids,
            history={"topic": self._history} if is_panel else None,
            relevance=self._worth(arm, day, users, feeds),
            without=without,
        )

    @property
    def _has_scores(self) -> bool:
        """Whether feeds come with what they were ranked by."""
        return True

    def _exposure(
        self, keys: dict[str, Any], users: NDArray[np.int64], feeds: Ranking
    ) -> pl.DataFrame:
        """How attention falls on the day's notes, over all feeds of these users."""
        pool = self._pool(keys["arm"], keys["day"], users)
        examine = examination(self.world.platform, self.evaluation.k)
        return exposure_rows(keys, feeds.item_ids, examine, pool)

    def _pool(self, arm: str, day: int, users: NDArray[np.int64]) -> Pool:
        """What can be served to some users on a day, and how many liked it before."""
        world, is_panel = self._world_of(arm), users is self.panel
        with self._lock:
            if (world, day, is_panel) not in self._pools:
                simulation, known = self._simulation(arm), self._days.get((world, day))
                log = (
                    known[0] if known else simulation.log_before(day, self.evaluation.training_days)
                )
                popularity = popularity_of(log)
                self._pools[world, day, is_panel] = Pool(
                    simulation.candidates(day),
                    simulation.notes.creator,
                    popularity,
                    liked_popularity(log, users, popularity),
                    np.pad(
                        self._followers,
                        (0, simulation.people.n - self.world.incumbents),
                        constant_values=np.nan,
                    ),
                )
            return self._pools[world, day, is_panel]

    @lazy
    def _followers(self) -> NDArray[np.float64]:
        """Followers of each incumbent at the start, float64 (incumbents,)."""
        follows = draw_follows(self.world, self.simulations["control"].people)
        counts = np.bincount(follows[follows >= 0], minlength=self.world.incumbents)
        return counts.astype(np.float64)

    @lazy
    def _history(self) -> NDArray[np.float64]:
        """Topics of what the panel liked before the influx, float64 (n, topics)."""
        log, (codes, labels) = self._log_before, self._attributes("control")["topic"]
        return history_of(log, self.panel, codes, len(labels))

    @lazy
    def _log_before(self) -> InteractionLog:
        """The log before the influx, the same in all arms."""
        return self.simulations["control"].log_before(0)

    def _vectors(self, arm: str) -> NDArray[np.float32]:
        """The notes' true places: topic, language and format (a one each) and hidden factors, which
        weigh as much as one of these."""
        with self._lock:
            world = self._world_of(arm)
            if world not in self._places:
                notes = self._simulation(arm).notes
                codes = (self._attributes(arm)[name][0] for name in _IN_SPACE)
                ones = [np.eye(int(c.max(initial=0)) + 1, dtype=np.float32)[c] for c in codes]
                spread = float(np.sqrt((notes.latent**2).sum(axis=1).mean())) or 1.0
                self._places[world] = np.concatenate([*ones, notes.latent / spread], axis=1)
            return self._places[world]

    def _worth(
        self, arm: str, day: int, users: NDArray[np.int64], feeds: Ranking
    ) -> NDArray[np.float32]:
        """Click probabilities: incumbents as they are in the twin, newcomers as they are."""
        return self._simulation(arm).click_probability(
            users, feeds.item_ids, day, self._state(users)
        )

    def _state(self, users: NDArray[np.int64]) -> Simulation | None:
        """In which arm people of one cohort are asked: the twin; None for newcomers: their own."""
        newcomers = bool(users.size) and users[0] >= self.world.incumbents
        return None if newcomers else self.simulations["control"]

    def _rows(self, keys: dict[str, Any], users: NDArray[np.int64], pair: FeedPair) -> pl.DataFrame:
        ids = self._simulation(keys["arm"]).users["user_id"].gather(users)
        compared = keys["arm"] != "control" and keys["cohort"] == "incumbent"
        return rows_of(pair, self._measures, ids, keys, compared=compared)

    def _kept(
        self, keys: dict[str, Any], users: NDArray[np.int64], feeds: Ranking
    ) -> list[pl.DataFrame]:
        """The feeds themselves, if they are asked for."""
        if not self.evaluation.snapshots:
            return []
        simulation = self._simulation(keys["arm"])
        ids = simulation.users["user_id"].gather(users)
        return [feeds_of(keys, ids, simulation.items["item_id"], feeds)]

    def _attributes(self, arm: str) -> Attributes:
        with self._lock:
            world = self._world_of(arm)
            if world not in self._codes:
                items = self._simulation(arm).items
                self._codes[world] = attributes_of(items, {name: name for name in _ATTRIBUTES})
            return self._codes[world]

    @lazy
    def _measures(self) -> dict[str, Measure]:
        scores = ("reference_scores", "scores") if self._has_scores else ()
        several = ("previous",) if len(self.evaluation.days) > 1 else ()
        one_step = ("without",) if self.evaluation.one_step else ()
        known = ("from_newcomers", "creators", "popularity", "vectors", "history", "relevance")
        attributes = self._attributes("control")
        return measures_of([*known, *scores, *several, *one_step], attributes)


def _scores_of(ids: NDArray[np.int32], own: Ranking) -> NDArray[np.float32]:
    """The personal score of each slot; NaN where the platform filled it."""
    same = (ids[:, :, None] == own.item_ids[:, None, :]) & (ids[:, :, None] >= 0)
    scores = np.take_along_axis(own.scores, same.argmax(axis=2), axis=1)
    return np.where(same.any(axis=2), scores, np.float32(np.nan))
