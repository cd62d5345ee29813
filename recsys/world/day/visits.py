"""Who comes on a day, how often, and in which part of it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.noise import Stream, moment
from recsys.world.people.draws import draw, draw_two
from recsys.world.scene import Scene

_MAX_VISITS = 15
"""Most visits of a person on a day: a visit's number has 4 bits in the address of a draw."""


class Visits(NamedTuple):
    """The visits of a day."""

    number: NDArray[np.int64]
    """(n_people,) number of visits of each person."""
    rounds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    """For the first visits, the second, and so on: rows of people, and the tick of each visit."""

    def in_tick(self, tick: int) -> list[NDArray[np.int64]]:
        """For the first visits, the second, and so on: sorted rows of people who come in a tick."""
        return [users[ticks == tick] for users, ticks in self.rounds]


def draw_visits(scene: Scene, gone: NDArray[np.bool_], day: int, *, incumbents: bool) -> Visits:
    """Draws the visits of a day.

    Args:
        scene: the people.
        gone: bool (n_people,), who has left for good.
        day: the day, such as 3.
        incumbents: whether incumbents come; False if what the twin's incumbents did is replayed.
    """
    people, when = scene.people, int(moment(day))
    u = draw(scene.seed, Stream.VISIT, people.address, 0, when)
    number = _poisson(people.visits.astype(np.float64), u)
    uses_platform = draw(scene.seed, Stream.VISIT, people.address, 2, when) < people.presence
    number = np.where(uses_platform, number, 0)
    number = np.where(people.arrival == day, np.maximum(number, 1), number)
    there = (people.arrival <= day) & (day < people.departure) & ~gone
    number = np.minimum(number * there, _MAX_VISITS)
    if not incumbents:
        number[: scene.world.incumbents] = 0
    rounds: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    users = np.flatnonzero(number)
    while users.size:
        rounds.append((users, _ticks(scene, users, day, visit=len(rounds))))
        users = users[number[users] > len(rounds)]
    return Visits(number, rounds)


def _ticks(scene: Scene, users: NDArray[np.int64], day: int, visit: int) -> NDArray[np.int64]:
    """The tick of each person's visit number `visit`: mostly the person's own part of the day."""
    world, ticks = scene.world, scene.world.ticks
    if ticks == 1:
        return np.zeros(users.size, dtype=np.int64)
    address = scene.people.address[users]
    at_home, where = draw_two(scene.seed, Stream.TICK, address, visit, int(moment(day)))
    home = np.where((users >= world.incumbents) & scene.arm.elsewhere, ticks - 1, 0)
    other = (home + 1 + np.floor(where * (ticks - 1)).astype(np.int64)) % ticks
    return np.where(at_home < world.home_tick, home, other)


def _poisson(mean: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Poisson counts by inversion, at most `_MAX_VISITS`."""
    probability = np.exp(-mean)
    cumulative, count = probability.copy(), np.zeros(mean.size, dtype=np.int64)
    for n in range(1, _MAX_VISITS + 1):
        count += u > cumulative
        probability *= mean / n
        cumulative += probability
    return count
