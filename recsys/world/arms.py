"""Versions of one world: who arrives, which gates are open, whose feeds are kept, the twin."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.world.people.readers import Readers

Gate = Literal["supply", "training", "exposure", "adaptation", "behaviour"]


GATES: dict[Gate, str] = {
    "supply": "newcomers' notes in incumbents' personal and following slots",
    "training": "newcomers' events in what is fitted to serve incumbents",
    "exposure": "newcomers' notes and clicks in trending, fresh slots and buzz",
    "adaptation": "answers to newcomers: posts in their language, subtitles, translation",
    "behaviour": "what incumbents do, learn, like, follow, and whether they stay",
}


INCUMBENTS, NEWCOMERS = 0, 1
"""The cohorts, wherever a pair or an axis holds something for each."""


_DAY = 86_400_000


class Arm(NamedTuple):
    """One version of a world."""

    newcomers: Literal["nobody", "influx", "placebo"]
    """Who arrives: nobody, the influx, or people like the incumbents."""
    variant: int = 0
    """Another number draws other newcomers from the same law."""
    retrained: bool = False
    """Whether the serving recommender is trained with another seed from day 0 on."""
    gates: frozenset[str] = frozenset(GATES)
    """Gates that are open."""

    @property
    def all_open(self) -> bool:
        """Whether no gate is closed: then no twin is needed."""
        return self.gates >= set(GATES)

    def opens(self, gate: Gate, cohort: int) -> bool:
        """Whether what newcomers do reaches a cohort through a gate; it always reaches their own.

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
"""The arms by name. Under the house policy, which is not trained, retrain is control."""


class Audience(NamedTuple):
    """Whose feeds are kept, on which days, how deep."""

    users: NDArray[np.int64]
    """Incumbents; newcomers are added up to the same number."""
    days: tuple[int, ...]
    k: int
    one_step: bool = False
    """Whether incumbents' feeds are also made by a fit that has not learned from newcomers."""

    def joined_by(self, newcomers: NDArray[np.int64]) -> "Audience":
        """With the first newcomers, at most as many as there are incumbents in the audience."""
        return self._replace(users=np.concatenate([self.users, newcomers[: self.users.size]]))


class Twin(NamedTuple):
    """What the twin did on a day: events as `collect` returns them, and the readers after it."""

    events: NDArray[np.int64]
    readers: Readers

    def events_in(self, tick: int, ticks: int) -> NDArray[np.int64]:
        """The events of one of the day's parts."""
        time, span = self.events[:, 4], _DAY / ticks
        return self.events[(time >= tick * span) & (time < (tick + 1) * span)]
