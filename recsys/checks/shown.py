"""What a platform has shown to its incumbents, as its own log keeps it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.logs.schema import KIND_CODES
from recsys.logs.times import DAY
from recsys.statistics.arrays import Floats
from recsys.world.arms import INCUMBENTS
from recsys.world.people.behaviour import examination
from recsys.world.people.population import FORMATS, LANGUAGES
from recsys.world.simulate import Simulation

CLICKS = "clicks per look"
"""The unit of clicks: what is clicked, over how many slots are looked at."""
SHORT_VIDEO = FORMATS.index("short video")
"""Code of the format short video."""


class Shown(NamedTuple):
    """What incumbents were shown in the first slots of their visits, a value for each post."""

    n: int
    """Number of incumbents."""
    ticks: int
    """Number of parts of a day."""
    user: NDArray[np.int64]
    """Rows of people."""
    day: NDArray[np.int64]
    """Day, such as 3."""
    tick: NDArray[np.int64]
    """Part of the day, from 0 on."""
    night: NDArray[np.bool_]
    """Whether it was in the last part of the day."""
    by_newcomers: NDArray[np.bool_]
    """Whether the post is by a newcomer."""
    of: dict[str, NDArray[np.bool_]]
    """What is counted, by name: english, short video and clicks per look."""
    look: Floats
    """Probability that the user looks at the slot, as the world has it. A platform must estimate
    it, or make do with clicks per post that was shown."""

    def per(self, name: str) -> Floats:
        """Float64, for each post: what is counted per; 1, or for clicks the probability of a look.

        Args:
            name: a key of `of`.
        """
        return self.look if name == CLICKS else np.ones(self.look.size)

    def rates(self, values: NDArray[np.bool_], per: Floats, days: Sequence[int]) -> Floats:
        """Each user's rate over some days.

        Args:
            values: bool, for each post that was shown, such as `of["english"]`.
            per: what they are counted per, such as `per("english")`.
            days: the days that count.

        Returns:
            Float64 (n,); NaN for people who were shown nothing.
        """
        return rates_of(self.user, values, per, np.isin(self.day, np.asarray(days)), self.n)


def rates_of(
    group: NDArray[np.int64],
    values: NDArray[np.bool_],
    per: Floats,
    rows: NDArray[np.bool_],
    n: int,
) -> Floats:
    """The rate of each group over some rows.

    Args:
        group: the group of each row that counts, from 0.
        values, per: as in `Shown.rates`.
        rows: bool, the rows that count.
        n: number of groups.

    Returns:
        Float64 (n,); NaN for groups without rows.
    """
    total = np.bincount(group[rows], per[rows], minlength=n)
    hits = np.bincount(group[rows], values[rows].astype(np.float64), minlength=n)
    return np.asarray(np.divide(hits, total, out=np.full(n, np.nan), where=total > 0))


def newcomers_language(simulation: Simulation) -> int:
    """Code of the language of the newcomers.

    Args:
        simulation: a world.
    """
    return LANGUAGES.index(simulation.world.population.newcomers.language)


def shown_to_incumbents(simulation: Simulation, k: int, last: int) -> Shown:
    """What incumbents were shown up to the end of a day.

    Args:
        simulation: a world whose events hold impressions.
        k: number of slots of each visit that count, such as 20.
        last: the last day that counts, such as 7.
    """
    n, posts = simulation.world.incumbents, simulation.posts_for[INCUMBENTS]
    days = [day for day in simulation.days if day.day <= last]
    user = np.concatenate([day.user for day in days]).astype(np.int64)
    item = np.concatenate([day.item for day in days]).astype(np.int64)
    kind = np.concatenate([day.kind for day in days])
    rank = np.concatenate([day.rank for day in days])
    time = np.concatenate([day.timestamp for day in days])
    number = np.repeat([day.day for day in days], [day.user.size for day in days])
    pair = user * posts.n + item
    clicked = np.isin(pair, pair[kind == KIND_CODES["click"]])
    rows = (kind == KIND_CODES["impression"]) & (user < n) & (rank <= k)
    ticks, shown = simulation.world.ticks, item[rows]
    tick = (time[rows] % DAY) * ticks // DAY
    return Shown(
        n,
        ticks,
        user[rows],
        number[rows],
        tick,
        tick == ticks - 1,
        simulation.from_newcomers[shown],
        {
            "english": posts.language[shown] == newcomers_language(simulation),
            "short video": posts.format[shown] == SHORT_VIDEO,
            CLICKS: clicked[rows],
        },
        examination(simulation.world.platform, k)[rank[rows] - 1],
    )
