"""An open loop: the house policy serves the worlds, and recommenders are trained on their logs.

All recommenders of a study learn from the same logs; arms differ in who was there.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Evaluation, World
from recsys.core.lazy import lazy
from recsys.core.noise import training_seed
from recsys.logs.log import InteractionLog
from recsys.measures.attention_rows import Pool
from recsys.measures.pair import FeedPair, Measure
from recsys.recommenders import Model, Ranking, with_fallback
from recsys.study.arms.measuring import ArmFeeds, Group, Served
from recsys.study.arms.rankings import DayRanker, Rankings
from recsys.study.arms.result import life_of
from recsys.study.arms.worlds import MeasuredDay, Worlds, panel_of
from recsys.world.arms import Audience
from recsys.world.simulate import simulate_arms

HOUSE = "house"
"""Who serves a world in an open loop, whatever is trained on its log."""
SPARE = 48
"""Ranked beyond k: own posts, and more of a creator than a feed may hold, are passed over."""


def house_worlds(
    world: World, evaluation: Evaluation, arms: Sequence[str], seed: int, threads: int = 1
) -> Worlds:
    """The worlds of one seed, served by the house policy; retrain has none of its own.

    Args:
        world, evaluation: from a study.
        arms: such as ("control", "influx", "placebo"); `control` is among them.
        seed: world seed.
        threads: threads that simulate.
    """
    panel = panel_of(world, evaluation)
    audience = Audience(panel, evaluation.days, evaluation.k)
    served = [arm for arm in arms if arm != "retrain"]
    made = simulate_arms(world, served, seed, audience=audience, threads=threads)
    return Worlds({str(arm): simulation for arm, simulation in made.items()}, panel, evaluation)


def arms_for(rankings: Rankings, arms: Sequence[str]) -> list[str]:
    """Control first. Without a training seed, retrain is control itself and is left out.

    Args:
        rankings: what is measured.
        arms: the study's, such as ("influx", "control", "retrain").
    """
    others = [arm for arm in arms if arm != "control"]
    if rankings.deterministic:
        others = [arm for arm in others if arm != "retrain"]
    return ["control", *others]


@dataclass(frozen=True)
class OpenLoop:
    """The feeds of one seed that rankings give, fitted each day to each arm's log.

    Attributes:
        worlds: from `house_worlds`; they are the same for all recommenders.
        names: the study's arms.
        name: recommender and mitigation, such as ("als", "none").
        rankings: what ranks.
    """

    worlds: Worlds
    names: Sequence[str]
    name: tuple[str, str]
    rankings: Rankings

    @property
    def days(self) -> tuple[int, ...]:
        """The evaluated days."""
        return self.worlds.evaluation.days

    @lazy
    def measures(self) -> Mapping[str, Measure]:
        """All that a world and scores let one measure."""
        return self.worlds.measures("reference_scores", "scores")

    def arms(self) -> Iterator[ArmFeeds]:
        """Control first; retrain looks at control's world."""
        for arm in arms_for(self.rankings, self.names):
            world = self.worlds.measured["control" if arm == "retrain" else arm]
            yield world.arm(self.name, arm, partial(self.on, arm))

    def on(self, arm: str, day: int) -> "OpenDay":
        """An arm on a day."""
        world = self.worlds.measured["control" if arm == "retrain" else arm]
        seed = training_seed(self.worlds.seed, arm)
        return OpenDay(world.days[day], self.rankings, seed, self.model_before)

    @lazy
    def model_before(self) -> Model | None:
        """The model of the morning of day 0, if it is needed.

        One for all arms, since they share what was before the influx: control's, with its seed.
        """
        day = self.worlds.measured["control"].days[0]
        return self.rankings.model_before(day, training_seed(self.worlds.seed, "control"))

    def life(self) -> pl.DataFrame:
        """What people lived through, served by the house."""
        lives = {arm: made.life for arm, made in self.worlds.simulations.items()}
        return life_of(lives, (HOUSE, "none"), self.worlds.seed)


@dataclass(frozen=True)
class OpenDay:
    """One arm on one day: a fit to its log, blended with the platform's slots.

    Attributes:
        day: what is known of the day, shared by all recommenders.
        rankings: what ranks.
        seed: training seed.
        before: the model of the morning of day 0, if it is needed.
    """

    day: MeasuredDay
    rankings: Rankings
    seed: int
    before: Model | None

    def feeds(self) -> Served:
        """The panel's and the newcomers' feeds, from one fit."""
        log = self.day.log
        start = time.perf_counter()
        ranker = self.rankings.on(self.day, log, self.seed, self.before)
        fitted = time.perf_counter()
        feeds = [self.blended(ranker, users) for users in self.day.audience]
        served = time.perf_counter()
        return Served(self.day.groups(feeds), fitted - start, served - fitted)

    def without_newcomers(self, feeds: Ranking) -> NDArray[np.int32] | None:
        """See `ArmDay`: a fit of the log without newcomers' events."""
        world = self.day.world
        if not world.beside.evaluation.one_step:
            return None
        log, first = self.day.log, world.simulation.world.incumbents
        if not self.rankings.learns or log.n_users == first:
            return feeds.item_ids
        own = InteractionLog(log.users, log.items, log.dense.filter(log.dense["user"] < first))
        ranker = self.rankings.on(self.day, own, self.seed, self.before)
        return self.blended(ranker, self.day.panel).item_ids

    def blended(self, ranker: DayRanker, users: NDArray[np.int64]) -> Ranking:
        """Feeds of users of one cohort: the ranking, gaps filled, blended with the platform's
        slots."""
        simulation, k = self.day.world.simulation, self.day.world.beside.evaluation.k
        candidates = simulation.candidates(self.day.day)
        depth = min(k + SPARE, int(candidates.sum()))
        own = ranker.rank(users, depth, candidates)
        own = with_fallback(own, self.day.fallback, users, candidates)
        ids, sources = simulation.feeds(
            own.item_ids, own.sources, users, self.day.log.seen, self.day.day, k
        )
        return Ranking(ids, _scores_of(ids, own), sources)

    def pair(
        self,
        group: Group,
        reference: Ranking,
        previous: Ranking | None,
        without: NDArray[np.int32] | None,
    ) -> FeedPair:
        """See `ArmDay`."""
        return self.day.pair(group, reference, previous, without, scored=True)

    def pool(self, group: Group) -> Pool:
        """See `ArmDay`."""
        return self.day.pool(group)


def _scores_of(ids: NDArray[np.int32], own: Ranking) -> NDArray[np.float32]:
    """The personal score of each slot; NaN where the platform filled it."""
    same = (ids[:, :, None] == own.item_ids[:, None, :]) & (ids[:, :, None] >= 0)
    scores = np.take_along_axis(own.scores, same.argmax(axis=2), axis=1)
    return np.where(same.any(axis=2), scores, np.float32(np.nan))
