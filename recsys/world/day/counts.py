"""Counts of clicks after each tick; trending lists, buzz and averages are made from them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.logs.schema import KIND_CODES
from recsys.world.people.population import LANGUAGES
from recsys.world.scene import Scene


class Counts(NamedTuple):
    """Clicks by the cohort that made them: incumbents, then newcomers."""

    last: NDArray[np.float64]
    """(2, n_posts) clicks in the last tick, by cohort and post."""
    trending: NDArray[np.float64]
    """(2, n_posts) clicks so far, decayed, by cohort and post."""
    buckets: NDArray[np.float64]
    """(2, 2, languages, buckets) clicks so far. Axes: the cohort whose table of posts gives the
    buckets (the cohorts' tables may differ in language, see `Scene.posts_for`), the cohort that
    clicked, the user's app language, and topic × language."""

    @classmethod
    def none(cls, n_posts: int, n_buckets: int) -> "Counts":
        """The counts before anybody has clicked."""
        per_post, per_bucket = (2, n_posts), (2, 2, len(LANGUAGES), n_buckets)
        return cls(np.zeros(per_post), np.zeros(per_post), np.zeros(per_bucket))

    def with_room_for(self, n_posts: int) -> "Counts":
        """The same clicks with zeros for more posts, `n_posts` in all."""
        more = ((0, 0), (0, n_posts - self.last.shape[1]))
        return self._replace(last=np.pad(self.last, more), trending=np.pad(self.trending, more))

    def after(self, scene: Scene, events: NDArray[np.int64]) -> "Counts":
        """The counts after one more tick.

        Args:
            scene: the people and posts.
            events: int64 (n, 5), events of the tick; see `recsys.world.day.events.collect`.
        """
        user, post = events[events[:, 2] == KIND_CODES["click"], :2].T
        cohort = (user >= scene.world.incumbents).astype(np.int64)
        per_post = np.bincount(cohort * scene.posts.n + post, minlength=self.last.size)
        last = per_post.reshape(self.last.shape).astype(np.float64)
        half_life = scene.world.platform.trending_half_life_days * scene.world.ticks
        _, cohorts, languages, n_buckets = self.buckets.shape
        app = scene.people.app_language[user].astype(np.int64)
        offset, size = (cohort * languages + app) * n_buckets, cohorts * languages * n_buckets
        per_bucket = np.stack(
            [np.bincount(offset + order.buckets[post], minlength=size) for order in scene.orders]
        )
        return Counts(
            last,
            0.5 ** (1 / half_life) * self.trending + last,
            self.buckets + per_bucket.reshape(self.buckets.shape),
        )
