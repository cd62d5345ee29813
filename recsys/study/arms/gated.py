"""A closed loop with some gates open: what newcomers change through these channels alone.

With W the gates that are open, v(W) is a measure in the influx less the same in the placebo. All
worlds of a seed go on from the same days before the influx; that with no gate open is the twin,
where v is 0 by law, so it is not run.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.lazy import lazy
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.registry import MEASURES
from recsys.measures.rows import headline_of
from recsys.recommenders import Ranking
from recsys.study.arms.closed_loop import ClosedArms
from recsys.world.arms import GATES
from recsys.world.people.behaviour import examination
from recsys.world.simulate import Simulation

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
class ChannelArms(ClosedArms):
    """One seed of a world served by a recommender, with any set of gates open."""

    @lazy
    def simulations(self) -> dict[str, Simulation]:
        """The reference; arms are added while they are measured."""
        return {"control": self.shared.run(self.version("control"))}

    def values(self, name: tuple[str, str], coalitions: Iterable[int]) -> pl.DataFrame:
        """What is measured in influx and placebo with these gates open.

        Args:
            name: recommender and mitigation, for the rows.
            coalitions: numbers from 1 to `COALITIONS` - 1; see `gates_of`.

        Returns:
            recommender · mitigation · arm · gates · seed · day · user_id · and a column for each of
            `RUNGS`, a row for each of the panel; day is null in the headline.
        """
        self.prepare()
        rows = [self._rows_of(name, arm, at) for at in coalitions for arm in CHANNEL_ARMS]
        return pl.concat(rows)

    def _rows_of(self, name: tuple[str, str], arm: str, coalition: int) -> pl.DataFrame:
        gates, alone = name_of(coalition), f"{arm} {coalition}"
        version = self.version(arm)._replace(gates=gates_of(coalition))
        self.simulations[alone] = self.shared.run(version)
        try:
            rows = self._measured(name, alone)
        finally:
            del self.simulations[alone]
            self._codes.pop(alone, None)
        return rows.select(
            "recommender",
            "mitigation",
            pl.lit(arm).alias("arm"),
            pl.lit(gates, dtype=_NAMES).alias("gates"),
            "seed",
            "day",
            "user_id",
            *RUNGS,
        )

    def _measured(self, name: tuple[str, str], arm: str) -> pl.DataFrame:
        recommender, days, pairs = self.recommender, [], []
        assert recommender is not None
        named = dict(zip(("recommender", "mitigation"), name, strict=True))
        for day in self.evaluation.days:
            reference, feeds = (
                self._feeds(recommender, of, day, (self.panel,))[0][0] for of in ("control", arm)
            )
            without = self._without_newcomers(recommender, arm, day, feeds)
            pairs.append(self._bare_pair(arm, reference, feeds, without))
            keys = {
                **named,
                "arm": arm,
                "seed": self.seed,
                "draw": 0,
                "day": day,
                "cohort": "incumbent",
            }
            days.append(self._rows(keys, self.panel, pairs[-1]))
        return pl.concat([headline_of(days, pairs, self._measures), *days])

    def _bare_pair(
        self, arm: str, reference: Ranking, feeds: Ranking, without: NDArray[np.int32] | None
    ) -> FeedPair:
        """What `RUNGS` need, and no more: there are many worlds."""
        return FeedPair(
            reference=reference.item_ids,
            feeds=feeds.item_ids,
            attributes={name: codes for name, (codes, _) in self._attributes(arm).items()},
            from_newcomers=self._simulation(arm).from_newcomers,
            examine=examination(self.world.platform, self.evaluation.k),
            without=without,
        )

    @lazy
    def _measures(self) -> dict[str, Measure]:
        return {name: MEASURES[name] for name in RUNGS}
