"""A closed loop with some gates open: what newcomers change through these channels alone.

Each channel by which newcomers can reach incumbents' feeds has a gate; see `recsys.world.arms`. Let
W be the set of gates that are open. Then v(W) is a measure in the influx arm less the same measure
in the placebo arm, and `recsys.statistics.shapley` splits v of all gates among the channels. All
worlds of a seed go on from the same days before the influx. With no gate open the world is the
twin, where v is 0 by law, so it is not run.
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
from recsys.study.arms.measuring import ArmFeeds, Group, Served, measure
from recsys.study.arms.rankings import Rankings
from recsys.study.arms.result import life_of
from recsys.study.arms.snapshots import INCUMBENT
from recsys.study.arms.worlds import MeasuredDay, MeasuredWorld, Worlds, panel_of
from recsys.world.arms import GATES
from recsys.world.simulate import Shared

RUNGS = ("language_format", "newcomer_share", "one_step")
"""The measures that are split among channels. They are those that do not saturate in a closed loop,
where small differences grow until two runs have few posts in common."""
CHANNEL_ARMS = ("influx", "placebo")
"""The arms whose difference is split among channels."""
COALITIONS = 1 << len(GATES)
"""Number of sets of gates, the empty set among them."""


def gates_of(coalition: int) -> frozenset[str]:
    """The gates that are open in a set: gate i of `GATES` if bit i of its number is set.

    Args:
        coalition: number of the set, from 0 to `COALITIONS` - 1.

    >>> sorted(gates_of(0b00101))
    ['exposure', 'supply']
    """
    return frozenset(gate for i, gate in enumerate(GATES) if coalition >> i & 1)


def name_of(coalition: int) -> str:
    """Name of a set of gates: the open gates in the order of `GATES`, or "none".

    Args:
        coalition: number of the set, see `gates_of`.

    >>> name_of(0b00101), name_of(0)
    ('supply+exposure', 'none')
    """
    return "+".join(gate for gate in GATES if gate in gates_of(coalition)) or "none"


_NAMES = pl.Enum([name_of(coalition) for coalition in range(COALITIONS)])


@dataclass(frozen=True)
class GatedSeed:
    """What the worlds of one seed share, whatever gates are open: the days before, and the twin.

    Attributes:
        world: the world of a study.
        evaluation: how the study is evaluated. One-step drift is measured even if the study does
            not ask for it, since it is one of `RUNGS`.
        seed: world seed, such as 0.
        rankings: what serves the worlds.
    """

    world: World
    evaluation: Evaluation
    seed: int
    rankings: Rankings

    @lazy
    def shared(self) -> Shared:
        """The days before the influx, simulated once."""
        return days_before(self.world, self.with_one_step, self.seed, self.rankings)

    @property
    def with_one_step(self) -> Evaluation:
        """The evaluation with one-step drift."""
        return self.evaluation.model_copy(update={"one_step": True})

    @lazy
    def twin(self) -> Worlds:
        """The control world alone. The other worlds are not kept, since there are many."""
        control = self.shared.run(arm_for(self.rankings, "control"))
        panel = panel_of(self.world, self.evaluation)
        return Worlds({"control": control}, panel, self.with_one_step)

    def run(self, arm: str, coalition: int) -> MeasuredWorld:
        """Simulates a world with some gates open.

        Args:
            arm: "influx" or "placebo".
            coalition: number of the set of open gates, see `gates_of`.
        """
        version = arm_for(self.rankings, arm)._replace(gates=gates_of(coalition))
        return self.twin.beside_twin(self.shared.run(version))


@dataclass(frozen=True)
class GatedLoop:
    """The feeds of influx and placebo with several sets of gates open.

    Attributes:
        common: what the worlds of this seed share.
        name: recommender and mitigation that serve, such as ("als", "none").
        coalitions: numbers of the sets of open gates, such as range(1, 9); see `gates_of`.
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
        """The measures that are split among channels, `RUNGS`."""
        return {name: MEASURES[name] for name in RUNGS}

    def arms(self) -> Iterator[ArmFeeds]:
        """Control, then influx and placebo with each set; each world is run when its turn comes."""
        yield self._arm("control", self.common.twin.measured["control"], reported=False)
        for coalition in self.coalitions:
            for arm in CHANNEL_ARMS:
                yield self._arm(_name_of_arm(arm, coalition), self.common.run(arm, coalition))

    def _arm(self, name: str, world: MeasuredWorld, *, reported: bool = True) -> ArmFeeds:
        return world.arm(self.name, name, partial(GatedDay.of, world), reported=reported)

    def life(self) -> pl.DataFrame:
        """No row: these worlds are run for the channels alone."""
        return life_of({}, self.name, self.common.seed)


@dataclass(frozen=True)
class GatedDay:
    """One world on one day, described by what `RUNGS` need alone, since there are many worlds.

    Attributes:
        day: the day of the world.
    """

    day: MeasuredDay

    @classmethod
    def of(cls, world: MeasuredWorld, day: int) -> "GatedDay":
        """A day of a world.

        Args:
            world: the world of an arm and a set of gates.
            day: an evaluated day, such as 1.
        """
        return cls(MeasuredDay(world, day))

    def feeds(self) -> Served:
        """The panel's feeds."""
        k = self.day.world.beside.evaluation.k
        (feeds,) = served_to(self.day.world.simulation, self.day.day, (self.day.panel,), k)
        return Served([Group(INCUMBENT, self.day.panel, feeds)])

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
        """None: attention is not split among channels."""


def values_of(source: GatedLoop) -> pl.DataFrame:
    """The values of `RUNGS` in influx and placebo with some gates open.

    Args:
        source: the worlds to run and measure.

    Returns:
        recommender · mitigation · arm · gates · seed · day · user_id · and a column for each of
        `RUNGS`. A row is a user of the panel in an arm with a set of open gates on a day; day is
        null in the headline.
    """
    both = [(arm, coalition) for coalition in source.coalitions for arm in CHANNEL_ARMS]
    arms = {_name_of_arm(arm, coalition): arm for arm, coalition in both}
    gates = {_name_of_arm(arm, coalition): name_of(coalition) for arm, coalition in both}
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


def _name_of_arm(arm: str, coalition: int) -> str:
    """Name of an arm with some gates open while it is measured, such as "influx 5"."""
    return f"{arm} {coalition}"
