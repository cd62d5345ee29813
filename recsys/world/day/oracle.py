"""The oracle: ranks by the true chance of a click, which no recommender can know.

It is the upper bound of what a recommender can serve. It belongs to the world and reads people's
minds; it is never trained, so it is no entry of `RECOMMENDERS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.logs.log import Seen
from recsys.world.day.views import View
from recsys.world.people import behaviour
from recsys.world.people.readers import Readers
from recsys.world.platform.blend import PERSONAL
from recsys.world.platform.policy import Ranker
from recsys.world.scene import Scene

_BLOCK = 64

Worth = Callable[[NDArray[np.int64], NDArray[np.int32]], NDArray[np.float32]]
"""Of users (n,) and notes (n, m): how likely a click is, (n, m)."""


@dataclass(frozen=True)
class Oracle:
    """Serves each reader the notes that this reader is most likely to click when looking at them.

    Readers are taken as they are that morning, with translation, subtitles and curiosity; buzz and
    fatigue, which depend on the day's course, are left out. The house serves the burn-in, so that
    the platform is the one that recommenders find. What is hidden from a cohort behind a
    closed gate is hidden from its oracle.

    >>> from recsys.config import Influx, World
    >>> from recsys.world.simulate import simulate
    >>> small = World(incumbents=200, days_before=2, days_after=1, influx=Influx(
    ...     newcomers=20, arrivals=(1.0,)))
    >>> blind, seeing = (simulate(small, "control", 1, policy) for policy in (None, Oracle()))
    >>> clicks = lambda made: (made.log.dense["kind"] == "click").sum()
    >>> bool(clicks(seeing) > clicks(blind))
    True
    """

    @property
    def impressions(self) -> bool:
        """Whether it learns from what was shown and not clicked: it learns from nothing."""
        return False

    def bound(self, scene: Scene, readers: Readers, view: View) -> Ranker:
        """What ranks for one cohort this morning.

        Args:
            scene: people and notes.
            readers: people's state; read when they are ranked for.
            view: what the cohort is served from, and on what terms it responds.
        """

        def worth(users: NDArray[np.int64], notes: NDArray[np.int32]) -> NDArray[np.float32]:
            return np.asarray(
                behaviour.click_probability(
                    scene.people,
                    readers.taste[users],
                    readers.skill[users],
                    view.notes,
                    view.conditions,
                    users,
                    notes,
                )
            )

        return _Bound(worth, scene.notes.key)


@dataclass(frozen=True)
class _Bound:
    """A morning's oracle of one cohort."""

    worth: Worth
    keys: NDArray[np.uint64]

    def rank(
        self, users: NDArray[Any], k: int, candidates: NDArray[Any], seen: Seen
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `recsys.world.platform.policy.Ranker`."""
        notes, _ = best_of(self.worth, users, k, candidates, seen, self.keys)
        return notes, np.full(notes.shape, PERSONAL, dtype=np.uint8)


def best_of(
    worth: Worth,
    users: NDArray[np.int64],
    k: int,
    candidates: NDArray[np.bool_],
    seen: Seen,
    keys: NDArray[np.uint64],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k notes that are worth most to each user; equal ones in the order of keys.

    Args:
        worth: see `Worth`.
        users: int (n,), rows of people.
        k: depth.
        candidates: bool (n_notes,), what may be served.
        seen: what each has seen, and is not served again.
        keys: uint64 (n_notes,).

    Returns:
        int32 (n, k) rows of notes, -1 at the end, and float32 (n, k) what they are worth.
    """
    users = np.asarray(users, dtype=np.int64)
    notes = np.flatnonzero(candidates)
    notes = notes[np.argsort(keys[notes], kind="stable")].astype(np.int32)
    column = np.full(keys.size, -1, dtype=np.int64)
    column[notes] = np.arange(notes.size)
    best = np.full((users.size, k), -1, dtype=np.int32)
    values = np.full((users.size, k), np.nan, dtype=np.float32)
    for start in range(0, users.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        who = users[rows]
        chance = worth(who, np.tile(notes, (who.size, 1)))
        row, item = _seen_of(seen, who)
        there = column[item] >= 0
        chance[row[there], column[item][there]] = -np.inf
        order = np.argsort(-chance, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(chance, order, axis=1)
        best[rows, : order.shape[1]] = np.where(found >= 0, notes[order], -1)
        values[rows, : order.shape[1]] = np.where(found >= 0, found, np.nan)
    return best, values


def _seen_of(seen: Seen, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Row and item of everything that some users have seen."""
    length = seen.end[users] - seen.start[users]
    row = np.repeat(np.arange(users.size), length)
    first = np.repeat(seen.start[users] - (np.cumsum(length) - length), length)
    return row, seen.items[first + np.arange(row.size)]
