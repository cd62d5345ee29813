"""Who comes on a day, how often, and in which part of it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.noise import Stream, moment
from recsys.world.people.draws import draw, draw_two
from recsys.world.scene import Scene

_MOST = 15
"""Visits of a person on a day: a visit's number has 4 bits in an address."""


class Visits(NamedTuple):
    """The visits of a day."""

    number: NDArray[np.int64]
    """(n_people,) how often each person comes."""
    rounds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    """Who comes for a first visit, a second, and so on: rows of people, and the tick of each."""

    def in_tick(self, tick: int) -> list[NDArray[np.int64]]:
        """Rows of those whose first visit, second, and so on is in a tick; sorted."""
        return [users[ticks == tick] for users, ticks in self.rounds]


def draw_visits(scene: Scene, gone: NDArray[np.bool_], day: int, *, incumbents: bool) -> Visits:
    """The day's visits.

    Args:
        scene: who is there.
        gone: bool (n_people,), who has left for good.
        day: the day.
        incumbents: whether incumbents come, or do what the twin does.
    """
    people, when = scene.people, int(moment(day))
    u = draw(scene.seed, Stream.VISIT, people.address, 0, when)
    number = _poisson(people.visits.astype(np.float64), u)
    elsewhere = draw(scene.seed, Stream.VISIT, people.address, 2, when)
    number = np.where(elsewhere < people.presence, number, 0)
    number = np.where(people.arrival == day, np.maximum(number, 1), number)
    there = (people.arrival <= day) & (day < people.departure) & ~gone
    number = np.minimum(number * there, _MOST)
    if not incumbents:
        number[: scene.world.incumbents] = 0
    rounds: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    users = np.flatnonzero(number)
    while users.size:
        rounds.append((users, _ticks(scene, users, day, visit=len(rounds))))
        users = users[number[users] > len(rounds)]
    return Visits(number, rounds)


def _ticks(scene: Scene, users: NDArray[np.int64], day: int, visit: int) -> NDArray[np.int64]:
    """The tick of a visit: mostly the person's own part of the day."""
    world, ticks = scene.world, scene.world.ticks
    if ticks == 1:
        return np.zeros(users.size, dtype=np.int64)
    address = scene.people.address[users]
    at_home, where = draw_two(scene.seed, Stream.TICK, address, visit, int(moment(day)))
    home = np.where(users >= world.incumbents, ticks - 1, 0)
    other = (home + 1 + np.floor(where * (ticks - 1)).astype(np.int64)) % ticks
    return np.where(at_home < world.home_tick, home, other)


def _poisson(mean: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Poisson counts by inversion, up to the most visits that are counted."""
    probability = np.exp(-mean)
    cumulative, count = probability.copy(), np.zeros(mean.size, dtype=np.int64)
    for n in range(1, _MOST + 1):
        count += u > cumulative
        probability *= mean / n
        cumulative += probability
    return count
