"""A closed loop with some gates open: what newcomers change through these channels alone.

With W the gates that are open, v(W) is a measure in the influx less the same in the placebo. All
worlds of a seed go on from the same days before the influx; that with no gate open is the twin,
where v is 0 by law, so it is not run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Evaluation, World
from recsys.core.lazy import lazy
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.registry import MEASURES
from recsys.recommenders import Ranking
from recsys.study.arms.closed_loop import arm_for, days_before, served_to, served_without
from recsys.study.arms.measuring import INCUMBENT, ArmFeeds, Group, Served, measure
from recsys.study.arms.rankings import Rankings
from recsys.study.arms.result import life_of
from recsys.study.arms.worlds import MeasuredDay, MeasuredWorld, Worlds, panel_of
from recsys.world.arms import GATES
from recsys.world.simulate import Shared

RUNGS = ("language_format", "newcomer_share", "one_step")
"""What is split among channels: measures that a closed loop's chaos does not saturate."""
CHANNEL_ARMS = ("influx", "placebo")
COALITIONS = 1 << len(GATES)


def gates_of(coalition: int) -> frozenset[str]:
    """The gates that are open: gate i of `GATES` if bit i is set.

    >>> sorted(gates_of(0b00101))
    ['exposure', 'supply']
    """
    return frozenset(gate for i, gate in enumerate(GATES) if coalition >> i & 1)


def name_of(coalition: int) -> str:
    """For people: the open gates in the order of `GATES`.

    >>> name_of(0b00101), name_of(0)
    ('supply+exposure', 'none')
    """
    return "+".join(gate for gate in GATES if gate in gates_of(coalition)) or "none"


_NAMES = pl.Enum([name_of(coalition) for coalition in range(COALITIONS)])


@dataclass(frozen=True)
class GatedSeed:
    """What all sets of gates of one seed share: the days before the influx, and the twin.

    Attributes:
        world, evaluation: from a study; one-step drift is measured whether it is asked for or not.
        seed: world seed.
        rankings: what serves.
    """

    world: World
    evaluation: Evaluation
    seed: int
    rankings: Rankings

    @lazy
    def shared(self) -> Shared:
        """The days before the influx."""
        return days_before(self.world, self.with_one_step, self.seed, self.rankings)

    @property
    def with_one_step(self) -> Evaluation:
        """The evaluation with one-step drift."""
        return self.evaluation.model_copy(update={"one_step": True})

    @lazy
    def twin(self) -> Worlds:
        """The reference alone; the other worlds come and go."""
        control = self.shared.run(arm_for(self.rankings, "control"))
        panel = panel_of(self.world, self.evaluation)
        return Worlds({"control": control}, panel, self.with_one_step)

    def run(self, arm: str, coalition: int) -> MeasuredWorld:
        """A world with some gates open, run anew.

        Args:
            arm: "influx" or "placebo".
            coalition: see `gates_of`.
        """
        version = arm_for(self.rankings, arm)._replace(gates=gates_of(coalition))
        return self.twin.beside_twin(self.shared.run(version))


@dataclass(frozen=True)
class GatedLoop:
    """The feeds of influx and placebo, each with several sets of open gates.

    Attributes:
        common: what the sets of one seed share.
        name: recommender and mitigation that serve, such as ("als", "none").
        coalitions: numbers from 0 to `COALITIONS` - 1; see `gates_of`.
    """

    common: GatedSeed
    name: tuple[str, str]
    coalitions: Sequence[int]

    @property
    def days(self) -> tuple[int, ...]:
        """The evaluated days."""
        return self.common.evaluation.days

    @property
    def measures(self) -> Mapping[str, Measure]:
        """`RUNGS`."""
        return {name: MEASURES[name] for name in RUNGS}

    def arms(self) -> Iterator[ArmFeeds]:
        """Control, then influx and placebo of each set; a world is run when its turn comes."""
        yield self._arm("control", self.common.twin.measured["control"], reported=False)
        for coalition in self.coalitions:
            for arm in CHANNEL_ARMS:
                yield self._arm(_both(arm, coalition), self.common.run(arm, coalition))

    def _arm(self, name: str, world: MeasuredWorld, *, reported: bool = True) -> ArmFeeds:
        return world.arm(self.name, name, partial(GatedDay.of, world), reported=reported)

    def life(self) -> pl.DataFrame:
        """Nobody's: these worlds are run for the channels alone."""
        return life_of({}, self.name, self.common.seed)


@dataclass(frozen=True)
class GatedDay:
    """One world on one day, described by what `RUNGS` need and no more: there are many worlds."""

    day: MeasuredDay

    @classmethod
    def of(cls, world: MeasuredWorld, day: int) -> "GatedDay":
        """A day of a world."""
        return cls(MeasuredDay(world, day))

    def feeds(self) -> Served:
        """The panel's feeds."""
        (feeds,) = served_to(self.day.world.simulation, self.day.day, (self.day.panel,))
        return Served([Group(INCUMBENT, self.day.panel, feeds)])

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
        world = self.day.world
        return FeedPair(
            reference=reference.item_ids,
            feeds=group.feeds.item_ids,
            attributes={name: codes for name, (codes, _) in world.attributes.items()},
            from_newcomers=world.simulation.from_newcomers,
            examine=world.beside.examine,
            without=without,
        )

    def pool(self, group: Group) -> None:
        """Attention is not split among channels."""


def values_of(source: GatedLoop) -> pl.DataFrame:
    """What is measured in influx and placebo with some gates open.

    Args:
        source: which worlds.

    Returns:
        recommender · mitigation · arm · gates · seed · day · user_id · and a column for each of
        `RUNGS`, a row for each of the panel; day is null in the headline.
    """
    both = [(arm, coalition) for coalition in source.coalitions for arm in CHANNEL_ARMS]
    arms = {_both(arm, coalition): arm for arm, coalition in both}
    gates = {_both(arm, coalition): name_of(coalition) for arm, coalition in both}
    return measure(source).per_user.select(
        "recommender",
        "mitigation",
        pl.col("arm").replace_strict(arms, return_dtype=pl.String),
        pl.col("arm").replace_strict(gates, return_dtype=_NAMES).alias("gates"),
        "seed",
        "day",
        "user_id",
        *RUNGS,
    )


def _both(arm: str, coalition: int) -> str:
    """What the rows of an arm with some gates open are called while they are measured."""
    return f"{arm} {coalition}"
