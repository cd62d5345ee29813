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
from recsys.world.people.user_states import UserStates
from recsys.world.platform.blend import PERSONAL
from recsys.world.platform.policy import Ranker
from recsys.world.scene import Scene

_BLOCK = 64
"""Number of users who are ranked for at once."""

Utility = Callable[[NDArray[np.int64], NDArray[np.int32]], NDArray[np.float32]]
"""Called with users (n,) and posts (n, m); returns the probability of each click, (n, m)."""


@dataclass(frozen=True)
class Oracle:
    """Serves each user the posts that this user is most likely to click when looking at them.

    The state of users is that of the morning, with translation, subtitles and curiosity. Buzz and
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

    @property
    def by_need(self) -> bool:
        """Whether rankings are only as long as visits need them: never."""
        return False

    def bound(self, scene: Scene, states: UserStates, view: View) -> Ranker:
        """The ranker of one cohort for this morning.

        Args:
            scene: the people and posts.
            states: the state of people, read when `rank` is called.
            view: what the cohort is served from, and the coefficients of its responses.
        """

        def utility_of(users: NDArray[np.int64], posts: NDArray[np.int32]) -> NDArray[np.float32]:
            return np.asarray(
                behaviour.click_probability(
                    scene.people,
                    states.taste[users],
                    states.skill[users],
                    view.posts,
                    view.conditions,
                    users,
                    posts,
                )
            )

        return _Bound(utility_of, scene.posts.key)


@dataclass(frozen=True)
class _Bound:
    """The oracle of one cohort on one morning."""

    utility_of: Utility
    keys: NDArray[np.uint64]

    def rank(
        self, users: NDArray[Any], k: int, candidates: NDArray[Any], seen: Seen
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Ranks posts by their true chance of a click; see `Ranker.rank`."""
        posts, _ = best_of(self.utility_of, users, k, candidates, seen, self.keys)
        return posts, np.full(posts.shape, PERSONAL, dtype=np.uint8)


def best_of(
    utility_of: Utility,
    users: NDArray[np.int64],
    k: int,
    candidates: NDArray[np.bool_],
    seen: Seen,
    keys: NDArray[np.uint64],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k posts with the highest utility for each user; equal ones in the order of keys.

    Args:
        utility_of: gives the utility of posts for users; see `Utility`.
        users: int (n,), rows of people.
        k: depth, such as 20.
        candidates: bool (n_posts,), which posts may be served.
        seen: what each person has seen; it is not served again.
        keys: uint64 (n_posts,), stable keys of posts.

    Returns:
        int32 (n, k) rows of posts, -1 where nothing is left, and float32 (n, k) their utility, NaN
        where nothing is left.
    """
    users = np.asarray(users, dtype=np.int64)
    posts = np.flatnonzero(candidates)
    posts = posts[np.argsort(keys[posts], kind="stable")].astype(np.int32)
    column = np.full(keys.size, -1, dtype=np.int64)
    column[posts] = np.arange(posts.size)
    best = np.full((users.size, k), -1, dtype=np.int32)
    values = np.full((users.size, k), np.nan, dtype=np.float32)
    for start in range(0, users.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = users[rows]
        chance = utility_of(block, np.tile(posts, (block.size, 1)))
        row, item = _seen_of(seen, block)
        is_candidate = column[item] >= 0
        chance[row[is_candidate], column[item][is_candidate]] = -np.inf
        order = np.argsort(-chance, axis=1, kind="stable")[:, :k]
        top = np.take_along_axis(chance, order, axis=1)
        best[rows, : order.shape[1]] = np.where(top >= 0, posts[order], -1)
        values[rows, : order.shape[1]] = np.where(top >= 0, top, np.nan)
    return best, values


def _seen_of(seen: Seen, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """All that some users have seen, as pairs: positions in `users`, and rows of posts."""
    length = seen.end[users] - seen.start[users]
    row = np.repeat(np.arange(users.size), length)
    first = np.repeat(seen.start[users] - (np.cumsum(length) - length), length)
    return row, seen.items[first + np.arange(row.size)]
