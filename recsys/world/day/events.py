"""From the visits of a day to its events, with the time at which each happened."""
# mypy: disallow-untyped-decorators=False

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.core.noise import Stream, moment
from recsys.logs.schema import KIND_CODES
from recsys.logs.times import DAY
from recsys.world.day.values import Day, Morning, Round
from recsys.world.people.draws import draw
from recsys.world.people.population import People
from recsys.world.people.user_states import State
from recsys.world.traffic import Traffic

_SECONDS_PER_RANK = 8
"""Time from one rank of a visit to the next, unless the visit would then not end in its tick."""

_LAST_START = 0.9
"""Visits begin before this fraction of a tick, so that they can end in the same tick."""


def collect(
    world: World, people: People, seed: int, day: int, rounds: list[Round], *, impressions: bool
) -> NDArray[np.int64]:
    """The events of some rounds of visits, in no particular order.

    Args:
        world, people, seed, day: give the addresses at which the times of visits are drawn.
        rounds: the rounds.
        impressions: whether to return impressions too.

    Returns:
        int64 (n, 5): user, item, kind, rank and milliseconds since midnight.
    """
    first = 0 if impressions else 1
    parts = [_round_events(world, people, seed, day, done, first) for done in rounds]
    return np.concatenate([np.zeros((0, 5), dtype=np.int64), *parts])


def in_time(events: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorts events by time, and by user where times are equal.

    Args:
        events: int64 (n, 5), as `collect` returns them.
    """
    users = int(events[:, 0].max(initial=0)) + 1
    rank = events[:, 4] * users + events[:, 0]
    order = np.argsort(rank)
    ordered = rank[order]
    # Two events of a user at the same time are rare; only then is the slower, stable sort needed.
    if (ordered[1:] == ordered[:-1]).any():
        order = np.argsort(rank, kind="stable")
    return events[order]


def day_of(
    world: World,
    day: int,
    events: NDArray[np.int64],
    visits: int,
    morning: Morning | None,
    traffic: Traffic,
    state: State,
) -> Day:
    """Makes a `Day` from events as `collect` returns them; other arguments as its attributes."""
    user, item, kind, rank, time = events.T
    return Day(
        day,
        user.astype(np.int32),
        item.astype(np.int32),
        kind.astype(np.uint8),
        rank.astype(np.uint16),
        milliseconds(world, day) + time,
        visits,
        morning,
        traffic,
        state,
    )


def _round_events(
    world: World, people: People, seed: int, day: int, done: Round, first: int
) -> NDArray[np.int64]:
    """The events of one round, as `collect` returns them, of the kinds from number `first` on."""
    when = moment(day, tick=done.tick, visit=done.visit)
    u = draw(seed, Stream.VISIT, people.address[done.users], 1, int(when))
    begins = ((done.tick + u * _LAST_START) * DAY / world.ticks).astype(np.int64)
    slack = (1 - _LAST_START) * DAY / world.ticks
    pace = int(min(1000 * _SECONDS_PER_RANK, slack / (world.platform.visit_ranks + 1)))
    place = _places(done.actions, first, len(KIND_CODES))
    events = np.empty((int(place[-1]), 5), dtype=np.int64)
    _write_events(done.actions, done.feeds, done.users, begins, pace, first, place, events)
    return events


@njit(nogil=True, cache=True)
def _places(actions, first, kinds):  # type: ignore[no-untyped-def]
    """Where the events of each kind begin, int64 (kinds + 1,): kinds before `first` have none."""
    place = np.zeros(kinds + 1, dtype=np.int64)
    for visit in range(actions.shape[0]):
        for rank in range(actions.shape[1]):
            bits = actions[visit, rank]
            if bits == 0:
                break  # the visit is over
            bits, kind = bits >> first, first
            while bits:
                place[kind + 1] += bits & 1
                bits >>= 1
                kind += 1
    return np.cumsum(place)


@njit(nogil=True, cache=True)
def _write_events(actions, feeds, users, begins, pace, first, place, events):  # type: ignore[no-untyped-def]
    """Writes the events of a round, by kind, then by visit and rank.

    Args:
        actions: uint16 (n, ranks), a bit for each kind of event, 0 from the end of the visit on.
        feeds: int32 (n, ranks), rows of posts.
        users: int (n,), rows of people.
        begins: int64 (n,), milliseconds since midnight at which each visit begins.
        pace: milliseconds from rank to rank.
        first: the first kind that is written.
        place: from `_places`.
        events: int64 (place[-1], 5), written; see `collect`.
    """
    free = place.copy()
    for visit in range(actions.shape[0]):
        for rank in range(actions.shape[1]):
            bits = actions[visit, rank]
            if bits == 0:
                break  # the visit is over
            bits, kind = bits >> first, first
            while bits:
                if bits & 1:
                    event = events[free[kind]]
                    free[kind] += 1
                    event[0] = users[visit]
                    event[1] = feeds[visit, rank]
                    event[2] = kind
                    event[3] = rank + 1
                    event[4] = begins[visit] + pace * rank + kind
                bits >>= 1
                kind += 1


def milliseconds(world: World, day: int | NDArray[Any]) -> Any:
    """Milliseconds since 1970 at the start of a day, or at a fraction of a day such as 1.5."""
    start = np.datetime64(world.start, "ms").astype(np.int64)
    return start + (np.asarray(day) * DAY).astype(np.int64)
