"""Clicks, counted after every tick: what trending lists, buzz and averages are made from."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.logs.schema import KINDS
from recsys.world.people.population import LANGUAGES
from recsys.world.scene import Scene

_CLICK = list(KINDS.categories).index("click")


class Counts(NamedTuple):
    """Clicks by who made them, incumbents or newcomers, on the first axis."""

    last: NDArray[np.float64]
    """(2, n_notes) in the last tick."""
    trending: NDArray[np.float64]
    """(2, n_notes) decayed."""
    buckets: NDArray[np.float64]
    """(2, 2, languages, buckets) by language of the app and topic × language, so far; the first
    axis says who is told, since the cohorts may be given notes in different languages."""

    @classmethod
    def none(cls, n_notes: int, n_buckets: int) -> "Counts":
        """Before anybody has clicked."""
        per_note, per_bucket = (2, n_notes), (2, 2, len(LANGUAGES), n_buckets)
        return cls(np.zeros(per_note), np.zeros(per_note), np.zeros(per_bucket))

    def with_room_for(self, n_notes: int) -> "Counts":
        """The same clicks, with room for more notes behind the others."""
        more = ((0, 0), (0, n_notes - self.last.shape[1]))
        return self._replace(last=np.pad(self.last, more), trending=np.pad(self.trending, more))

    def after(self, scene: Scene, events: NDArray[np.int64]) -> "Counts":
        """The counts when a tick is over.

        Args:
            scene: who and what is there.
            events: the tick's, int64 (n, 5) as `recsys.world.frames.collect` returns them.
        """
        user, note = events[events[:, 2] == _CLICK, :2].T
        cohort = (user >= scene.world.incumbents).astype(np.int64)
        per_note = np.bincount(cohort * scene.notes.n + note, minlength=self.last.size)
        last = per_note.reshape(self.last.shape).astype(np.float64)
        half_life = scene.world.platform.trending_half_life_days * scene.world.ticks
        _, cohorts, languages, n_buckets = self.buckets.shape
        app = scene.people.app_language[user].astype(np.int64)
        whose, size = (cohort * languages + app) * n_buckets, cohorts * languages * n_buckets
        per_bucket = np.stack(
            [np.bincount(whose + order.buckets[note], minlength=size) for order in scene.orders]
        )
        return Counts(
            last,
            0.5 ** (1 / half_life) * self.trending + last,
            self.buckets + per_bucket.reshape(self.buckets.shape),
        )
