"""Counts of clicks and looks after each tick: trending lists, buzz and rates are made from them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.logs.schema import KIND_CODES
from recsys.world.scene import Scene


class Counts(NamedTuple):
    """Clicks and looks by the cohort whose they are, incumbents' then newcomers', and by post."""

    last: NDArray[np.float64]
    """(2, n_posts) clicks in the last tick."""
    trending: NDArray[np.float64]
    """(2, n_posts) clicks so far, decayed."""
    clicks: NDArray[np.float64]
    """(2, n_posts) all clicks so far."""
    looks: NDArray[np.float64]
    """(2, n_posts) all looks so far."""

    @classmethod
    def none(cls, n_posts: int) -> "Counts":
        """The counts before anybody has come."""
        return cls(*(np.zeros((2, n_posts)) for _ in range(4)))

    def with_room_for(self, n_posts: int) -> "Counts":
        """The same counts with zeros for more posts, `n_posts` in all."""
        more = ((0, 0), (0, n_posts - self.last.shape[1]))
        return Counts(*(np.pad(counted, more) for counted in self))

    def after(
        self, scene: Scene, events: NDArray[np.int64], looks: NDArray[np.float64]
    ) -> "Counts":
        """The counts after one more tick.

        Args:
            scene: the people and posts.
            events: int64 (n, 5), events of the tick; see `recsys.world.day.events.collect`.
            looks: float64 (2, n_posts), looks of the tick.
        """
        user, post = events[events[:, 2] == KIND_CODES["click"], :2].T
        cohort = (user >= scene.world.incumbents).astype(np.int64)
        per_post = np.bincount(cohort * scene.posts.n + post, minlength=self.last.size)
        last = per_post.reshape(self.last.shape).astype(np.float64)
        half_life = scene.world.platform.trending_half_life_days * scene.world.ticks
        return Counts(
            last,
            0.5 ** (1 / half_life) * self.trending + last,
            self.clicks + last,
            self.looks + looks,
        )
