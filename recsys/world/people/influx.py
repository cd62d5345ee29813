"""When newcomers arrive, leave and post, drawn before the run.

Nothing here depends on the law from which newcomers' tastes are drawn. So the influx and its
placebo have the same arrivals, visits, departures and numbers of posts.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.core.noise import Stream, uniforms

NEVER = 2**15 - 1
"""A day, and a number of days, that no run reaches."""


class Schedule(NamedTuple):
    """When people use the platform; one row per person."""

    arrival: NDArray[np.int32]
    """First day on the platform."""
    departure: NDArray[np.int32]
    """First day on which the person is gone."""
    presence: NDArray[np.float32]
    """Share of days on which the person uses this platform at all: .5 for straddlers, else 1."""

    @classmethod
    def always(cls, n: int) -> Self:
        """The schedule of n people who came long before the influx and never leave."""
        return cls(
            np.full(n, -NEVER, np.int32), np.full(n, NEVER, np.int32), np.ones(n, np.float32)
        )


def draw_schedule(world: World, address: NDArray[np.uint32]) -> Schedule:
    """Draws when newcomers arrive, and when they leave once the reversal has come.

    Args:
        world: gives the curve of arrivals, the hazards, and the population seed.
        address: uint32 (n,), addresses of the newcomers' draws, such as `People.address`.
    """
    influx = world.influx
    u = uniforms(world.population_seed, Stream.ARRIVAL, address)
    curve = np.cumsum(influx.arrivals)
    arrival = np.minimum(np.searchsorted(curve, u[:, 0] * curve[-1], "right"), curve.size - 1)
    straddles = u[:, 1] < influx.straddlers
    leaving = uniforms(world.population_seed, Stream.LEAVING, address)
    return Schedule(
        arrival.astype(np.int32),
        _departure(world, arrival, straddles, leaving).astype(np.int32),
        np.where(straddles, 0.5, 1.0).astype(np.float32),
    )


def posts_by_day(
    world: World, address: NDArray[np.uint32], people: Schedule, seed: int
) -> NDArray[np.int64]:
    """Number of posts of each newcomer by day: several on the first day, then one a day, then none.

    Args:
        world: its influx gives the rates, its `days_after` the number of days.
        address: uint32 (n,), addresses of the newcomers' draws.
        people: the newcomers' schedule.
        seed: world seed, such as 0.

    Returns:
        int64 (n, days_after).
    """
    influx = world.influx
    u = uniforms(seed, Stream.POSTING, address)
    posts = u[:, 0] < influx.posters
    first = 1 + np.floor(u[:, 1] * influx.first_day_posts)
    more_days = _days_until(influx.posting_hazard, u[:, 2])
    since = np.arange(world.days_after) - people.arrival[:, None]
    there = (since >= 0) & (np.arange(world.days_after) < people.departure[:, None])
    later = (since >= 1) & (since <= more_days[:, None])
    count = np.where(since == 0, first[:, None], later)
    return (count * there * posts[:, None]).astype(np.int64)


def _departure(
    world: World,
    arrival: NDArray[np.int64],
    straddles: NDArray[np.bool_],
    u: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Day of departure: at once on the day of the reversal, or by a daily hazard from then on.

    Args:
        world: its influx gives the day of the reversal and the hazards.
        arrival: int (n,), days.
        straddles: bool (n,), who also uses another platform and does not leave at once.
        u: float64 (n, 2 or more), uniforms.
    """
    influx = world.influx
    if influx.reversal_day is None:
        return np.full(arrival.size, NEVER)
    at_once = ~straddles & (u[:, 0] < influx.reversal_hazard) & (arrival < influx.reversal_day)
    begins = np.maximum(influx.reversal_day, arrival) + 1
    later = begins + _days_until(influx.leaving_hazard, u[:, 1])
    return np.where(at_once, influx.reversal_day, np.minimum(later, NEVER))


def _days_until(hazard: float, u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Days that pass before an event with this probability a day: geometric, from 0 on."""
    if hazard == 0:
        return np.full(u.size, NEVER)
    if hazard == 1:
        return np.zeros(u.size, dtype=np.int64)
    days = np.floor(np.log(u) / np.log1p(-hazard))
    return np.asarray(np.minimum(days, NEVER), dtype=np.int64)
