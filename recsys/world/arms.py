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

    newcomers: Literal["nobody", "influx", "placebo", "locals", "nudge"]
    """Who arrives. Nobody; the influx; or people of the incumbents' law. Of these, those of a
    placebo post as much as the influx, those of locals as incumbents do, and those of a nudge
    never. The people of a nudge come on day 0 and stay."""
    variant: int = 0
    """Another number draws other newcomers from the same law."""
    people: int | None = None
    """How many arrive, at most as many as `world.influx.newcomers`; None for as many as these."""
    retrained: bool = False
    """Whether the serving recommender is trained with another seed from day 0 on."""
    gates: frozenset[str] = frozenset(GATES)
    """The gates that are open."""

    def size(self, most: int) -> int:
        """How many people arrive.

        Args:
            most: `world.influx.newcomers`.

        >>> ARMS["control"].size(80), ARMS["influx"].size(80), ARMS["nudge_3"].size(80)
        (0, 80, 3)
        """
        if self.newcomers == "nobody":
            return 0
        return most if self.people is None else min(self.people, most)

    @property
    def elsewhere(self) -> bool:
        """Whether newcomers live where it is night by day, so that they come in another part of it.

        Those of a placebo do, as those of an influx do; locals and the people of a nudge do not.
        """
        return self.newcomers in ("influx", "placebo")

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
    "locals": Arm("locals"),
    "retrain": Arm("nobody", retrained=True),
    "nudge": Arm("nudge", people=1),
    "nudge_3": Arm("nudge", people=3),
    "nudge_10": Arm("nudge", people=10),
    "placebo_2": Arm("placebo", variant=1),
}
"""The arms by name. The house policy is not trained, so under it retrain equals control."""


def draws_of(arm: str, nudges: int) -> list[str]:
    """The versions of an arm that a study runs: several of a nudge, one of any other arm.

    Args:
        arm: a key of `ARMS`.
        nudges: how many draws of a nudge are made, such as 4.

    >>> draws_of("influx", 2), draws_of("nudge", 2)
    (['influx'], ['nudge 1', 'nudge 2'])
    """
    is_nudge = ARMS[arm].newcomers == "nudge"
    return [f"{arm} {draw + 1}" for draw in range(nudges)] if is_nudge else [arm]


def arm_named(version: str) -> Arm:
    """The arm of a version that `draws_of` names.

    Args:
        version: such as "influx" or "nudge 2"; the second draw of a nudge has variant 1.

    >>> arm_named("nudge 2") == ARMS["nudge"]._replace(variant=1)
    True
    """
    name, _, draw = version.partition(" ")
    return ARMS[name]._replace(variant=int(draw) - 1) if draw else ARMS[name]


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
    alone: bool = False
    """Whether of each day no more is kept than is needed to measure the audience's feeds: its own
    events, and counts of all others'. A recommender must serve."""

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
