"""What a platform has shown to its incumbents, as its own log keeps it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.logs.schema import KIND_CODES
from recsys.logs.times import DAY
from recsys.statistics.arrays import Floats
from recsys.world.arms import INCUMBENTS
from recsys.world.people.population import FORMATS, LANGUAGES
from recsys.world.simulate import Simulation

SHORT_VIDEO = FORMATS.index("short video")
"""Code of the format short video."""


class Shown(NamedTuple):
    """What incumbents were shown in the first slots of their visits, a value for each post."""

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
    """What is averaged, by name: english, short video and clicks."""

    def rates(self, values: NDArray[np.bool_], days: tuple[int, int], n: int) -> Floats:
        """Each user's mean over some days.

        Args:
            values: bool, for each post that was shown, such as `of["english"]`.
            days: first and last day.
            n: number of people.

        Returns:
            Float64 (n,); NaN for people who were shown nothing.
        """
        rows = (self.day >= days[0]) & (self.day <= days[1])
        total = np.bincount(self.user[rows], minlength=n)
        hits = np.bincount(self.user[rows], values[rows].astype(np.float64), minlength=n)
        return np.where(total > 0, hits / np.maximum(total, 1), np.nan)


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
        user[rows],
        number[rows],
        tick,
        tick == ticks - 1,
        simulation.from_newcomers[shown],
        {
            "english": posts.language[shown] == newcomers_language(simulation),
            "short video": posts.format[shown] == SHORT_VIDEO,
            "clicks": clicked[rows],
        },
    )
