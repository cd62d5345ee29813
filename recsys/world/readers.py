"""What a run changes: each reader's memory and habits, each note's counts. Struct of arrays.

Rows of `Readers` belong to one person each, so threads that hold different visits never meet.
"""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.feeds import Seen
from recsys.world.population import MAX_FOLLOWS
from recsys.world.tables import stacked

__all__ = ["Readers", "remember"]


class Readers(NamedTuple):
    """Mutable state of people; a row each."""

    seen: NDArray[np.int32]
    """(n, memory) ring of the notes shown last."""
    n_seen: NDArray[np.int64]
    """How many notes were ever shown."""
    clicks: NDArray[np.float32]
    """(n, buckets) clicks by topic × language: what the house policy knows of a reader."""
    follows: NDArray[np.int32]
    """(n, MAX_FOLLOWS) rows of creators, -1 where there is none."""
    n_follows: NDArray[np.int32]
    """How many were ever followed; the oldest make room."""
    seen_today: NDArray[np.uint8]
    """(n, topics) notes seen today, by topic."""

    @classmethod
    def fresh(cls, follows: NDArray[np.int32], memory: int, topics: int, buckets: int) -> Self:
        """People of whom the platform knows only whom they follow."""
        n = follows.shape[0]
        return cls(
            seen=np.full((n, memory), -1, dtype=np.int32),
            n_seen=np.zeros(n, dtype=np.int64),
            clicks=np.zeros((n, buckets), dtype=np.float32),
            follows=follows.copy(),
            n_follows=(follows >= 0).sum(axis=1).astype(np.int32),
            seen_today=np.zeros((n, topics), dtype=np.uint8),
        )

    def shown(self) -> Seen:
        """What each was shown, as far as the platform remembers; a view, not a copy."""
        memory = self.seen.shape[1]
        start = np.arange(self.n_seen.size, dtype=np.int64) * memory
        return Seen(start, start + np.minimum(self.n_seen, memory), self.seen.reshape(-1))

    def copy(self) -> "Readers":
        """An independent copy."""
        return Readers._make([array.copy() for array in self])

    def with_newcomers(self, newcomers: int) -> "Readers":
        """These readers, then people of whom nothing is known."""
        nobody = np.full((newcomers, MAX_FOLLOWS), -1, dtype=np.int32)
        others = Readers.fresh(
            nobody, self.seen.shape[1], self.seen_today.shape[1], self.clicks.shape[1]
        )
        return stacked(self, others)


@njit(nogil=True, cache=True)
def remember(readers, users, feeds, actions, buckets, creators, clicked, followed):  # type: ignore[no-untyped-def]
    """Writes a round of visits into the readers' memory.

    Args:
        readers: Readers; changed.
        users: int (n,), each at most once.
        feeds: int32 (n, ranks); actions: uint16 (n, ranks).
        buckets: int32 (n_notes,) topic × language; creators: int32 (n_notes,).
        clicked, followed: the bits of these actions.
    """
    memory = readers.seen.shape[1]
    for visit in range(feeds.shape[0]):
        user = users[visit]
        for rank in range(feeds.shape[1]):
            note = feeds[visit, rank]
            if note < 0:
                continue
            readers.seen[user, readers.n_seen[user] % memory] = note
            readers.n_seen[user] += 1
            if actions[visit, rank] & clicked:
                readers.clicks[user, buckets[note]] += 1
            if actions[visit, rank] & followed and not _follows(readers, user, creators[note]):
                slot = readers.n_follows[user] % readers.follows.shape[1]
                readers.follows[user, slot] = creators[note]
                readers.n_follows[user] += 1


@njit(inline="always")
def _follows(readers, user, creator):  # type: ignore[no-untyped-def]
    return (readers.follows[user] == creator).any()
