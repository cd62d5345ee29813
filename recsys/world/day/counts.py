"""Counts of clicks and looks after each tick: trending lists, buzz and rates are made from them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.logs.schema import KIND_CODES
from recsys.world.scene import Scene
from recsys.world.traffic import Looks

Rows = NDArray[np.integer[Any]]


class Counts(NamedTuple):
    """Clicks and looks by the cohort whose they are: incumbents, then newcomers."""

    last: NDArray[np.float64]
    """(2, n_posts) clicks in the last tick, by cohort and post."""
    trending: NDArray[np.float64]
    """(2, n_posts) clicks so far, decayed, by cohort and post."""
    clicks: NDArray[np.float64]
    """(2, n_posts) all clicks so far, by cohort and post."""
    looks: NDArray[np.float64]
    """(2, n_posts) all looks so far, by cohort and post."""
    bucket_clicks: NDArray[np.float64]
    """(2, 2, buckets) clicks so far. Axes: the cohort whose table of posts gives the buckets (the
    cohorts' tables may differ in language, see `Scene.posts_for`), the cohort that clicked, and
    topic × language."""
    bucket_looks: NDArray[np.float64]
    """(2, 2, buckets) looks so far, by the same axes."""

    @classmethod
    def none(cls, n_posts: int, n_buckets: int) -> "Counts":
        """The counts before anybody has clicked."""
        per_post, per_bucket = (2, n_posts), (2, 2, n_buckets)
        return cls(*(np.zeros(per_post) for _ in range(4)), *(np.zeros(per_bucket) for _ in "ab"))

    def with_room_for(self, n_posts: int) -> "Counts":
        """The same counts with zeros for more posts, `n_posts` in all."""
        more = ((0, 0), (0, n_posts - self.last.shape[1]))
        names = ("last", "trending", "clicks", "looks")
        return self._replace(**{name: np.pad(getattr(self, name), more) for name in names})

    def after(self, scene: Scene, events: NDArray[np.int64], looks: Looks) -> "Counts":
        """The counts after one more tick.

        Args:
            scene: the people and posts.
            events: int64 (n, 5), events of the tick; see `recsys.world.day.events.collect`.
            looks: who was shown what in the tick.
        """
        user, post = events[events[:, 2] == KIND_CODES["click"], :2].T
        last = self._by_post(scene, user, post)
        half_life = scene.world.platform.trending_half_life_days * scene.world.ticks
        return Counts(
            last,
            0.5 ** (1 / half_life) * self.trending + last,
            self.clicks + last,
            self.looks + self._by_post(scene, *looks),
            self.bucket_clicks + self._by_bucket(scene, user, post),
            self.bucket_looks + self._by_bucket(scene, *looks),
        )

    def _by_post(self, scene: Scene, user: Rows, post: Rows) -> NDArray[np.float64]:
        cohort = (user >= scene.world.incumbents).astype(np.int64)
        counted = np.bincount(cohort * scene.posts.n + post, minlength=self.last.size)
        return counted.reshape(self.last.shape).astype(np.float64)

    def _by_bucket(self, scene: Scene, user: Rows, post: Rows) -> NDArray[np.float64]:
        _, cohorts, n_buckets = self.bucket_clicks.shape
        offset = (user >= scene.world.incumbents).astype(np.int64) * n_buckets
        size = cohorts * n_buckets
        orders = scene.orders[:1] if scene.orders[0] is scene.orders[1] else scene.orders
        counted = [np.bincount(offset + order.buckets[post], minlength=size) for order in orders]
        both = np.stack([counted[0], counted[-1]]).astype(np.float64)
        return both.reshape(self.bucket_clicks.shape)
