"""A closed loop: the recommender that is studied serves the worlds, so its feeds make the log.

Each recommender has worlds of its own. All arms of a seed have the same days before the influx.
From day 0 on, every arm except control is trained with another seed, so that these arms hold the
same training noise. Where a training seed changes nothing, all arms go on from the models that the
days before the influx have left.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Evaluation, World
from recsys.core.lazy import lazy
from recsys.measures.attention_rows import Pool
from recsys.measures.pair import FeedPair, Measure
from recsys.recommenders import Ranking
from recsys.study.arms.measuring import ArmFeeds, Group, Served
from recsys.study.arms.open_loop import arms_for
from recsys.study.arms.rankings import Rankings
from recsys.study.arms.result import life_of
from recsys.study.arms.worlds import MeasuredDay, MeasuredWorld, Worlds, panel_of
from recsys.world.arms import Arm, Audience, arm_named
from recsys.world.simulate import Shared, Simulation

_TRAINING_DAYS = 14
"""How many days back a recommender learns from, unless the study says so."""


def arm_for(rankings: Rankings, name: str) -> Arm:
    """An arm, and whether its models are trained anew with another seed from day 0 on.

    Those of control are not; nor are those that a training seed does not change.

    Args:
        rankings: what serves the arm.
        name: name of the arm, such as "influx" or "nudge 2".
    """
    return arm_named(name)._replace(retrained=not rankings.deterministic and name != "control")


def days_before(
    world: World,
    evaluation: Evaluation,
    seed: int,
    rankings: Rankings,
    *,
    threads: int = 1,
    impressions: bool | None = None,
    kept: int = 0,
    alone: bool = False,
) -> Shared:
    """The days of one seed before the influx, simulated once; all arms go on from them.

    Args:
        world: the world of a study.
        evaluation: how the study is evaluated.
        seed: world seed, such as 0.
        rankings: what serves the world.
        threads: number of threads that simulate.
        impressions: whether the log holds what was shown and not clicked; None for a log that
            holds it only if the rankings learn from it.
        kept: number of ranks of the audience's feeds that are kept, where it is more than
            `evaluation.k`; only `evaluation.k` are measured.
        alone: see `Audience`.
    """
    policy = rankings.policy(evaluation.training_days or _TRAINING_DAYS)
    panel, k = panel_of(world, evaluation), max(evaluation.k, kept)
    return Shared(
        world,
        seed,
        policy,
        audience=Audience(panel, evaluation.days, k, evaluation.one_step, alone),
        threads=threads,
        impressions=policy.impressions if impressions is None else impressions,
    )


def served_worlds(
    world: World,
    evaluation: Evaluation,
    arms: Sequence[str],
    seed: int,
    rankings: Rankings,
    *,
    threads: int = 1,
    impressions: bool | None = None,
    kept: int = 0,
) -> Worlds:
    """Simulates the worlds of one seed, served by the recommender that is studied.

    Args:
        world, evaluation, seed, rankings, threads, impressions, kept: see `days_before`.
        arms: such as ("control", "influx"); retrain is left out as in `arms_for`.
    """
    shared = days_before(
        world,
        evaluation,
        seed,
        rankings,
        threads=threads,
        impressions=impressions,
        kept=kept,
    )
    names = arms_for(rankings, arms, evaluation.nudges)
    simulations = {name: shared.run(arm_for(rankings, name)) for name in names}
    return Worlds(simulations, panel_of(world, evaluation), evaluation)


def served_one_by_one(
    world: World,
    evaluation: Evaluation,
    arms: Sequence[str],
    seed: int,
    rankings: Rankings,
    name: tuple[str, str],
    *,
    threads: int = 1,
) -> "ClosedLoop":
    """A closed loop of which one arm besides control is in memory at a time.

    Of each day no more is kept than is needed to measure the audience's feeds, if that is enough:
    where the days of `evaluation.training_days` are those from which the recommender learns.

    Args:
        world, evaluation, arms, seed, rankings, threads: see `served_worlds`.
        name: see `ClosedLoop`.
    """
    days = evaluation.training_days
    alone = rankings.learns and days is not None and days <= world.days_before
    shared = days_before(world, evaluation, seed, rankings, threads=threads, alone=alone)
    control, *others = arms_for(rankings, arms, evaluation.nudges)
    twin = {control: shared.run(arm_for(rankings, control))}
    later = {
        arm: partial(shared.run, arm_for(rankings, arm), last=arm == others[-1]) for arm in others
    }
    return ClosedLoop(Worlds(twin, panel_of(world, evaluation), evaluation), name, later)


@dataclass(frozen=True)
class ClosedLoop:
    """The feeds that one recommender has served in the worlds of one seed.

    Attributes:
        worlds: from `served_worlds`, control first.
        name: recommender and mitigation that served, such as ("als", "none").
        later: functions that simulate further arms, when `arms` comes to them.
    """

    worlds: Worlds
    name: tuple[str, str]
    later: Mapping[str, Callable[[], Simulation]] = field(default_factory=dict)
    _lives: dict[str, pl.DataFrame] = field(default_factory=dict, init=False, repr=False)

    @property
    def days(self) -> tuple[int, ...]:
        """The evaluated days."""
        return self.worlds.evaluation.days

    @lazy
    def measures(self) -> Mapping[str, Measure]:
        """All measures of a world's feeds; feeds that were served have no scores."""
        return self.worlds.measures()

    def arms(self) -> Iterator[ArmFeeds]:
        """The arms of the study, control first; each has a world of its own."""
        for arm, world in self.worlds.measured.items():
            yield world.arm(self.name, arm, partial(ClosedDay.of, world))
        for arm in self.later:
            yield self._simulated(arm)

    def _simulated(self, arm: str) -> ArmFeeds:
        """A further arm. Nothing here holds on to its world, so that it goes with the result."""
        simulation = self.later[arm]()
        if " " not in arm:
            self._lives[arm] = simulation.life
        world = self.worlds.beside_twin(simulation)
        return world.arm(self.name, arm, partial(ClosedDay.of, world))

    def life(self) -> pl.DataFrame:
        """What people lived through, as the recommender served them."""
        return life_of({**self.worlds.lives, **self._lives}, self.name, self.worlds.seed)


@dataclass(frozen=True)
class ClosedDay:
    """One arm on one day, as the platform served it. Fits are part of the simulation.

    Attributes:
        day: the day, described for the measures.
    """

    day: MeasuredDay

    @classmethod
    def of(cls, world: MeasuredWorld, day: int) -> "ClosedDay":
        """A day of a world; unlike `MeasuredWorld.days`, it is not kept.

        Args:
            world: the world of an arm.
            day: an evaluated day, such as 1.
        """
        return cls(MeasuredDay(world, day))

    def feeds(self) -> Served:
        """The feeds that the panel and the newcomers were served."""
        start = time.perf_counter()
        k = self.day.world.beside.evaluation.k
        served = served_to(self.day.world.simulation, self.day.day, self.day.audience, k)
        return Served(self.day.groups(served), serve_s=time.perf_counter() - start)

    def without_newcomers(self, feeds: Ranking) -> NDArray[np.int32] | None:
        """See `ArmDay`; the platform made these feeds that morning."""
        return served_without(self.day, feeds)

    def pair(
        self,
        group: Group,
        reference: Ranking,
        previous: Ranking | None,
        without: NDArray[np.int32] | None,
    ) -> FeedPair:
        """See `ArmDay`."""
        return self.day.pair(group, reference, previous, without, scored=False)

    def pool(self, group: Group) -> Pool | None:
        """See `ArmDay`."""
        return self.day.pool(group)


def served_to(
    simulation: Simulation, day: int, audience: Sequence[NDArray[np.int64]], k: int
) -> list[Ranking]:
    """The feeds that a platform served on a day, for several groups of users.

    Args:
        simulation: a world of a closed loop.
        day: an evaluated day, such as 1.
        audience: dense ids of the users of each group.
        k: number of ranks, at most as many as were kept.
    """
    served = simulation.morning(day).served
    assert served is not None
    feeds = []
    for users in audience:
        rows = np.searchsorted(served.users, users)
        ids, sources = served.feeds[rows, :k], served.sources[rows, :k]
        feeds.append(Ranking(ids, np.full(ids.shape, np.nan, dtype=np.float32), sources))
    return feeds


def served_without(day: MeasuredDay, feeds: Ranking) -> NDArray[np.int32] | None:
    """The panel's feeds from the fit that the platform made without newcomers' events.

    Args:
        day: a day of a closed loop.
        feeds: the panel's feeds. They are the result where no newcomer had come yet.

    Returns:
        int32 (n, k) items, or None if the study does not ask for one-step drift.
    """
    if not day.world.beside.evaluation.one_step or day.world.slots_only:
        return None
    without = day.world.simulation.morning(day.day).without
    if without is None:
        return feeds.item_ids
    k = day.world.beside.evaluation.k
    return without.feeds[np.searchsorted(without.users, day.panel), :k]
