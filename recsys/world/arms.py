"""The arms of a world: who arrives and which gates are open. Also the audience and the twin."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.logs.times import DAY
from recsys.world.people.user_states import UserStates

Gate = Literal["supply", "training", "exposure", "adaptation", "behaviour"]
"""A path by which newcomers can reach incumbents' feeds; see `GATES`."""

GATES: dict[Gate, str] = {
    "supply": "newcomers' posts in incumbents' personal and following slots",
    "training": "newcomers' events in what is fitted to serve incumbents",
    "exposure": "newcomers' posts and clicks in trending, fresh slots and buzz",
    "adaptation": "answers to newcomers: posts in their language, subtitles, translation",
    "behaviour": "what incumbents do, learn, like, follow, and whether they stay",
}
"""The gates, and what each governs. A closed gate gives incumbents what they have in the twin."""

INCUMBENTS, NEWCOMERS = 0, 1
"""Positions of the cohorts, wherever a pair or an axis has one entry for each."""


class Arm(NamedTuple):
    """One version of a world."""

    newcomers: Literal["nobody", "influx", "placebo"]
    """Who arrives: nobody, the influx, or people like the incumbents."""
    variant: int = 0
    """Another number draws other newcomers from the same law."""
    retrained: bool = False
    """Whether the serving recommender is trained with another seed from day 0 on."""
    gates: frozenset[str] = frozenset(GATES)
    """The gates that are open."""

    @property
    def all_open(self) -> bool:
        """Whether all gates are open, so that no twin is needed."""
        return self.gates >= set(GATES)

    def opens(self, gate: Gate, cohort: int) -> bool:
        """Whether newcomers reach a cohort through a gate; to newcomers all gates are open.

        >>> Arm("influx", gates=frozenset({"supply"})).opens("exposure", INCUMBENTS)
        False
        """
        return cohort == NEWCOMERS or gate in self.gates


ARMS: dict[str, Arm] = {
    "control": Arm("nobody"),
    "influx": Arm("influx"),
    "placebo": Arm("placebo"),
    "retrain": Arm("nobody", retrained=True),
    "placebo_2": Arm("placebo", variant=1),
}
"""The arms by name. The house policy is not trained, so under it retrain equals control."""


class Audience(NamedTuple):
    """The people whose feeds are kept, the days on which they are kept, and the depth of a feed."""

    users: NDArray[np.int64]
    """Sorted rows of people: incumbents, to whom `joined_by` adds newcomers."""
    days: tuple[int, ...]
    """Days on which feeds are kept, such as (1, 6, 13)."""
    k: int
    """Depth of a feed, such as 20."""
    one_step: bool = False
    """Whether incumbents' feeds are also made by a fit that has not learned from newcomers."""

    def joined_by(self, newcomers: NDArray[np.int64]) -> "Audience":
        """The audience with the first newcomers added, as many as the audience has incumbents.

        Args:
            newcomers: int64 (n,), rows of all newcomers.
        """
        return self._replace(users=np.concatenate([self.users, newcomers[: self.users.size]]))


class Twin(NamedTuple):
    """What incumbents did on one day of the twin, and their state after it."""

    events: NDArray[np.int64]
    """(n, 5), as `recsys.world.day.events.collect` returns them."""
    states: UserStates
    looks: tuple[NDArray[np.float64], ...]
    """(n_posts,) incumbents' looks at each post in each tick."""

    def events_in(self, tick: int, ticks: int) -> NDArray[np.int64]:
        """The events of one of the `ticks` parts of the day."""
        time, span = self.events[:, 4], DAY / ticks
        return self.events[(time >= tick * span) & (time < (tick + 1) * span)]
