"""The oracle: it ranks posts by their true chance of a click, which no recommender can know.

It shows how good a recommender could be at most. It reads the state of people in the world and is
never trained, so it is no entry of `RECOMMENDERS`.
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
"""Number of users who are ranked for at once."""

Worth = Callable[[NDArray[np.int64], NDArray[np.int32]], NDArray[np.float32]]
"""Called with users (n,) and posts (n, m); returns the probability of each click, (n, m)."""


@dataclass(frozen=True)
class Oracle:
    """Serves each reader the posts that this reader is most likely to click when looking at them.

    The state of readers is that of the morning, with translation, subtitles and curiosity. Buzz and
    fatigue are left out, because they depend on the course of the day. The house serves during the
    burn-in, as it does for recommenders. Posts that a closed gate hides from a cohort are hidden
    from the cohort's oracle too.

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
        """Whether it learns from posts shown and not clicked: never, it is not trained."""
        return False

    def bound(self, scene: Scene, readers: Readers, view: View) -> Ranker:
        """The ranker of one cohort for this morning.

        Args:
            scene: the people and posts.
            readers: the state of people, read when `rank` is called.
            view: what the cohort is served from, and the coefficients of its responses.
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
    """The oracle of one cohort on one morning."""

    worth: Worth
    keys: NDArray[np.uint64]

    def rank(
        self, users: NDArray[Any], k: int, candidates: NDArray[Any], seen: Seen
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Ranks posts by their true chance of a click; see `Ranker.rank`."""
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
    """The k posts with the highest worth for each user; posts of equal worth in the order of keys.

    Args:
        worth: gives the worth of posts for users; see `Worth`.
        users: int (n,), rows of people.
        k: depth, such as 20.
        candidates: bool (n_notes,), which posts may be served.
        seen: what each person has seen; it is not served again.
        keys: uint64 (n_notes,), stable keys of posts.

    Returns:
        int32 (n, k) rows of posts, -1 where nothing is left, and float32 (n, k) their worth, NaN
        where nothing is left.
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
        block = users[rows]
        chance = worth(block, np.tile(notes, (block.size, 1)))
        row, item = _seen_of(seen, block)
        is_candidate = column[item] >= 0
        chance[row[is_candidate], column[item][is_candidate]] = -np.inf
        order = np.argsort(-chance, axis=1, kind="stable")[:, :k]
        top = np.take_along_axis(chance, order, axis=1)
        best[rows, : order.shape[1]] = np.where(top >= 0, notes[order], -1)
        values[rows, : order.shape[1]] = np.where(top >= 0, top, np.nan)
    return best, values


def _seen_of(seen: Seen, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """All that some users have seen, as pairs: positions in `users`, and rows of posts."""
    length = seen.end[users] - seen.start[users]
    row = np.repeat(np.arange(users.size), length)
    first = np.repeat(seen.start[users] - (np.cumsum(length) - length), length)
    return row, seen.items[first + np.arange(row.size)]
