"""A closed loop: what is studied serves the worlds, and its feeds make the log.

Each recommender has worlds of its own. They share the days before the influx; from day 0 on every
arm but control trains with another seed, so that all hold the same training noise. Without a
training seed all go on from what the days before the influx have left.
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
from recsys.measures.attention_rows import Pool
from recsys.measures.pair import FeedPair, Measure
from recsys.recommenders import Ranking
from recsys.study.arms.measuring import ArmFeeds, Group, Served
from recsys.study.arms.open_loop import arms_for
from recsys.study.arms.rankings import Rankings
from recsys.study.arms.result import life_of
from recsys.study.arms.worlds import MeasuredDay, MeasuredWorld, Worlds, panel_of
from recsys.world.arms import ARMS, Arm, Audience
from recsys.world.simulate import Shared, Simulation

_TRAINING_DAYS = 14


def arm_for(rankings: Rankings, name: str) -> Arm:
    """An arm as what serves it is trained: all but control anew, with another seed.

    Args:
        rankings: what serves; without a training seed, nothing is trained anew.
        name: such as "influx".
    """
    anew = not rankings.deterministic  # else what was learned before day 0 is shared
    return ARMS[name]._replace(retrained=anew and name != "control")


def days_before(
    world: World,
    evaluation: Evaluation,
    seed: int,
    rankings: Rankings,
    *,
    threads: int = 1,
    impressions: bool | None = None,
) -> Shared:
    """The days of one seed before the influx, run once, from which all arms go on.

    Args:
        world, evaluation: from a study.
        seed: world seed.
        rankings: what serves.
        threads: threads that simulate.
        impressions: whether the log tells what was shown and not clicked; None: if it is needed.
    """
    policy = rankings.policy(evaluation.training_days or _TRAINING_DAYS)
    panel = panel_of(world, evaluation)
    return Shared(
        world,
        seed,
        policy,
        audience=Audience(panel, evaluation.days, evaluation.k, evaluation.one_step),
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
) -> Worlds:
    """The worlds of one seed, served by what is studied; arguments as in `days_before`.

    Args:
        arms: such as ("control", "influx"); without a training seed, retrain is left out.
    """
    shared = days_before(
        world, evaluation, seed, rankings, threads=threads, impressions=impressions
    )
    names = arms_for(rankings, arms)
    made = {name: shared.run(arm_for(rankings, name)) for name in names}
    return Worlds(made, panel_of(world, evaluation), evaluation)


@dataclass(frozen=True)
class ClosedLoop:
    """The feeds that a platform has served.

    Attributes:
        worlds: from `served_worlds`, control first.
        name: recommender and mitigation that served, such as ("als", "none").
    """

    worlds: Worlds
    name: tuple[str, str]

    @property
    def days(self) -> tuple[int, ...]:
        """The evaluated days."""
        return self.worlds.evaluation.days

    @lazy
    def measures(self) -> Mapping[str, Measure]:
        """All that a world lets one measure; feeds that were served come without scores."""
        return self.worlds.measures()

    def arms(self) -> Iterator[ArmFeeds]:
        """Each world is an arm."""
        for arm, world in self.worlds.measured.items():
            yield world.arm(self.name, arm, partial(ClosedDay.of, world))

    def life(self) -> pl.DataFrame:
        """What people lived through, served by what is studied."""
        lives = {arm: made.life for arm, made in self.worlds.simulations.items()}
        return life_of(lives, self.name, self.worlds.seed)


@dataclass(frozen=True)
class ClosedDay:
    """One arm on one day, as the platform served it: fits are part of the simulation.

    Attributes:
        day: what is known of the day; it is forgotten with this one.
    """

    day: MeasuredDay

    @classmethod
    def of(cls, world: MeasuredWorld, day: int) -> "ClosedDay":
        """A day of a world."""
        return cls(MeasuredDay(world, day))

    def feeds(self) -> Served:
        """The feeds that the audience was served."""
        start = time.perf_counter()
        served = served_to(self.day.world.simulation, self.day.day, self.day.audience)
        return Served(self.day.groups(served), serve_s=time.perf_counter() - start)

    def without_newcomers(self, feeds: Ranking) -> NDArray[np.int32] | None:
        """See `ArmDay`: as the platform would have served them that morning."""
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

    def pool(self, group: Group) -> Pool:
        """See `ArmDay`."""
        return self.day.pool(group)


def served_to(
    simulation: Simulation, day: int, audience: Sequence[NDArray[np.int64]]
) -> list[Ranking]:
    """What a platform served to several groups of its audience.

    Args:
        simulation: a closed loop.
        day: an evaluated day.
        audience: dense ids of each group.
    """
    served = simulation.morning(day).served
    assert served is not None
    feeds = []
    for users in audience:
        rows = np.searchsorted(served.users, users)
        scores = np.full(served.feeds[rows].shape, np.nan, dtype=np.float32)
        feeds.append(Ranking(served.feeds[rows], scores, served.sources[rows]))
    return feeds


def served_without(day: MeasuredDay, feeds: Ranking) -> NDArray[np.int32] | None:
    """The panel's feeds as the platform would have served them without newcomers' events.

    Args:
        day: of a closed loop.
        feeds: the panel's feeds, which are the answer where nobody had come.
    """
    if not day.world.beside.evaluation.one_step:
        return None
    without = day.world.simulation.morning(day.day).without
    if without is None:
        return feeds.item_ids
    return without.feeds[np.searchsorted(without.users, day.panel)]
