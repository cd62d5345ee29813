"""An open loop: the house policy serves the worlds, and recommenders are trained on their logs.

All recommenders of a study learn from the same logs. What a recommender shows has no effect on the
world. So the feeds of all recommenders can be compared with each other.
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
from recsys.measures.attention_rows import Pool
from recsys.measures.pair import FeedPair, Measure
from recsys.recommenders import Model, Ranking, with_fallback
from recsys.study.arms.measuring import ArmFeeds, Group, Served
from recsys.study.arms.rankings import DayRanker, Rankings
from recsys.study.arms.result import life_of
from recsys.study.arms.worlds import MeasuredDay, MeasuredWorld, Worlds, panel_of
from recsys.world.arms import Audience, arm_named, draws_of
from recsys.world.simulate import Shared

HOUSE = "house"
"""Name of the policy that serves the worlds of an open loop, in the rows of the table `life`."""
SPARE = 48
"""How many posts are ranked beyond the k slots of a feed. They are needed because blending skips a
user's own posts, and posts of a creator who already has as many slots as a feed allows."""


def house_worlds(
    world: World, evaluation: Evaluation, arms: Sequence[str], seed: int, threads: int = 1
) -> Worlds:
    """Simulates the worlds of one seed, served by the house policy.

    The arm retrain has no world of its own: it is another fit to the log of control. A nudge has
    a world for each of its draws.

    Args:
        world: the world of a study.
        evaluation: how the study is evaluated.
        arms: such as ("control", "influx", "placebo"); `control` must be among them.
        seed: world seed, such as 0.
        threads: number of threads that simulate.
    """
    panel = panel_of(world, evaluation)
    audience = Audience(panel, evaluation.days, evaluation.k)
    shared = Shared(world, seed, audience=audience, threads=threads)
    names = (name for arm in arms if arm != "retrain" for name in draws_of(arm, evaluation.nudges))
    return Worlds({name: shared.run(arm_named(name)) for name in names}, panel, evaluation)


def arms_for(rankings: Rankings, arms: Sequence[str], nudges: int) -> list[str]:
    """The versions of arms that are measured, control first; see `draws_of`.

    Where the training seed changes no ranking, retrain would equal control. Then the arm retrain is
    left out.

    Args:
        rankings: the rankings that are measured.
        arms: arms of the study, such as ("influx", "control", "retrain").
        nudges: how many draws of a nudge are measured.
    """
    others = [arm for arm in arms if arm != "control"]
    if rankings.deterministic:
        others = [arm for arm in others if arm != "retrain"]
    return ["control", *(name for arm in others for name in draws_of(arm, nudges))]


@dataclass(frozen=True)
class OpenLoop:
    """The feeds of one recommender in the worlds of one seed, fitted each day to each arm's log.

    Attributes:
        worlds: from `house_worlds`; all recommenders share them.
        names: arms of the study, such as ("control", "influx").
        name: recommender and mitigation, such as ("als", "none").
        rankings: gives the rankings that are measured.
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
        """All measures of a world's feeds; these feeds have scores."""
        return self.worlds.measures("reference_scores", "scores")

    def arms(self) -> Iterator[ArmFeeds]:
        """The arms of the study, control first."""
        for arm in arms_for(self.rankings, self.names, self.worlds.evaluation.nudges):
            yield self._world(arm).arm(self.name, arm, partial(self.on, arm))

    def on(self, arm: str, day: int) -> "OpenDay":
        """An arm on a day.

        Args:
            arm: such as "influx".
            day: an evaluated day, such as 1.
        """
        seed = training_seed(self.worlds.seed, arm)
        return OpenDay(self._world(arm).days[day], self.rankings, seed, self.model_before)

    def _world(self, arm: str) -> MeasuredWorld:
        """The world of an arm; retrain is fitted to the log of control."""
        return self.worlds.measured["control" if arm == "retrain" else arm]

    @lazy
    def model_before(self) -> Model | None:
        """The model of the morning of day 0, if the rankings need it.

        All arms have the same days before the influx, so they share this model: a fit to the log
        of control, with control's training seed.
        """
        day = self.worlds.measured["control"].days[0]
        return self.rankings.model_before(day, training_seed(self.worlds.seed, "control"))

    def life(self) -> pl.DataFrame:
        """Visits, clicks and satisfaction of the people, whom the house policy served."""
        return life_of(self.worlds.lives, (HOUSE, "none"), self.worlds.seed)


@dataclass(frozen=True)
class OpenDay:
    """One arm on one day.

    Its feeds are a ranking, from a fit to the arm's log, blended with the slots that the platform
    fills itself.

    Attributes:
        day: the day, described for the measures; all recommenders share it.
        rankings: gives the ranking.
        seed: training seed.
        before: the model of the morning of day 0, or None if the rankings do not need it.
    """

    day: MeasuredDay
    rankings: Rankings
    seed: int
    before: Model | None

    def feeds(self) -> Served:
        """The feeds of the panel and of the newcomers, both from one fit."""
        log = self.day.log
        ranker, seconds = self.rankings.on(self.day, log, self.seed, self.before)
        start = time.perf_counter()
        feeds = [self.blended(ranker, users) for users in self.day.audience]
        return Served(self.day.groups(feeds), seconds, time.perf_counter() - start)

    def without_newcomers(self, feeds: Ranking) -> NDArray[np.int32] | None:
        """See `ArmDay`."""
        world = self.day.world
        if not world.beside.evaluation.one_step or world.slots_only:
            return None
        log, first_newcomer = self.day.log, world.simulation.world.incumbents
        if not self.rankings.learns or log.n_users == first_newcomer:
            return feeds.item_ids
        log = self.day.log_of_incumbents
        ranker, _ = self.rankings.on(self.day, log, self.seed, self.before)
        return self.blended(ranker, self.day.panel).item_ids

    def blended(self, ranker: DayRanker, users: NDArray[np.int64]) -> Ranking:
        """Makes feeds from a ranking.

        First the trending list fills the gaps of the ranking. Then the platform fills its own
        slots.

        Args:
            ranker: ranks posts for users.
            users: dense ids (n,) of one cohort.
        """
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

    def pool(self, group: Group) -> Pool | None:
        """See `ArmDay`."""
        return self.day.pool(group)


def _scores_of(ids: NDArray[np.int32], own: Ranking) -> NDArray[np.float32]:
    """Float32 (n, k): the ranking's score of each slot; NaN where the platform filled it.

    Args:
        ids: int32 (n, k), posts in the slots.
        own: the ranking (n, depth) of which some posts are in the slots.
    """
    same = (ids[:, :, None] == own.item_ids[:, None, :]) & (ids[:, :, None] >= 0)
    scores = np.take_along_axis(own.scores, same.argmax(axis=2), axis=1)
    return np.where(same.any(axis=2), scores, np.float32(np.nan))
