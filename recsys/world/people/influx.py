"""Who arrives when, who leaves again, and how often newcomers post: drawn before the run.

None of it depends on the law from which newcomers' tastes are drawn, so that the influx and its
placebo have the same arrivals, visits, departures and number of notes.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.core.noise import Stream, uniforms

NEVER = 2**15 - 1
"""A day that no run reaches."""


class Schedule(NamedTuple):
    """When people are there: a row each."""

    arrival: NDArray[np.int32]
    departure: NDArray[np.int32]
    presence: NDArray[np.float32]
    """Share of days on which they use this platform at all: one half for straddlers, else 1."""

    @classmethod
    def always(cls, n: int) -> Self:
        """There from long before the influx, never gone."""
        return cls(
            np.full(n, -NEVER, np.int32), np.full(n, NEVER, np.int32), np.ones(n, np.float32)
        )


def draw_schedule(world: World, address: NDArray[np.uint32]) -> Schedule:
    """Arrival by the influx's curve; from the reversal on, leaving by its hazards.

    Args:
        world: gives the influx and the population seed.
        address: uint32 (n,), the newcomers' addresses.
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
    """Notes each newcomer posts on each day: several on the first, then one a day, then none.

    Args:
        world: gives the influx, and `days_after` as the number of days.
        address: uint32 (n,).
        people: when they are there.
        seed: world seed.

    Returns:
        int64 (n, days_after).
    """
    influx = world.influx
    u = uniforms(seed, Stream.POSTING, address)
    posts = u[:, 0] < influx.posting
    first = 1 + np.floor(u[:, 1] * influx.first_day_notes)
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
    influx = world.influx
    if influx.reversal_day is None:
        return np.full(arrival.size, NEVER)
    at_once = ~straddles & (u[:, 0] < influx.reversal_hazard) & (arrival < influx.reversal_day)
    begins = np.maximum(influx.reversal_day, arrival) + 1
    later = begins + _days_until(influx.leaving_hazard, u[:, 1])
    return np.where(at_once, influx.reversal_day, np.minimum(later, NEVER))


def _days_until(hazard: float, u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Days that pass before an event of that probability a day: geometric from 0."""
    if hazard == 0:
        return np.full(u.size, NEVER)
    if hazard == 1:
        return np.zeros(u.size, dtype=np.int64)
    days = np.floor(np.log(u) / np.log1p(-hazard))
    return np.asarray(np.minimum(days, NEVER), dtype=np.int64)
