"""The house policy: what a platform serves before anybody's recommender is under study.

A personal ranking orders notes by the reader's affinity for their topic × language, counted from
the log, times the note's freshness. Of somebody new the platform knows the language that the app
is set to: affinities begin at the average of the readers of that language. Within one topic ×
language all readers agree on the order, so the exact ranking is a merge of a few dozen short lists:
no score per user and note exists.
"""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Platform
from recsys.world.people.notes import NoteTable
from recsys.world.people.population import LANGUAGES
from recsys.world.platform.blend import Shelves, mark_taken


def note_buckets(notes: NoteTable) -> NDArray[np.int32]:
    """Int32 (n_notes,): topic × language of each note."""
    return (notes.topic * len(LANGUAGES) + notes.language).astype(np.int32)


def freshness(age: NDArray[np.float64], platform: Platform) -> NDArray[np.float64]:
    """Weight of a note by its age in days: halves every half-life, down to a tail.

    >>> freshness(np.array([0.0, 2.0]), Platform(tail=0.0)).tolist()
    [1.0, 0.5]
    """
    decayed = np.exp2(-age / platform.half_life_days)
    return np.asarray(platform.tail + (1 - platform.tail) * decayed)


class Order(NamedTuple):
    """What does not change while notes age: sorted once, for as long as there are no new notes."""

    buckets: NDArray[np.int32]
    """(n_notes,) topic × language."""
    by_bucket: NDArray[np.intp]
    """Notes by topic × language, newest first; ties by key."""
    by_creator: NDArray[np.intp]
    """Notes by creator, newest first; ties by key."""

    @classmethod
    def of(cls, notes: NoteTable) -> Self:
        """The order of some notes."""
        buckets = note_buckets(notes)
        newest_first = (notes.key, -notes.published)
        return cls(
            buckets,
            np.lexsort((*newest_first, buckets)),
            np.lexsort((*newest_first, notes.creator)),
        )


def shelve(
    notes: NoteTable,
    order: Order,
    n_people: int,
    supplied: NDArray[np.bool_],
    exposed: NDArray[np.bool_],
    now: float,
    platform: Platform,
    trending_clicks: NDArray[np.float64],
    bucket_clicks: NDArray[np.float64],
) -> Shelves:
    """Sorts the live notes for the day; ties go by the notes' keys.

    Args:
        notes: all notes.
        order: of these notes.
        n_people: number of people.
        supplied: bool (n_notes,), what personal and following slots may hold.
        exposed: bool (n_notes,), what trending and fresh slots may hold.
        now: days since the start of day 0.
        platform: half-lives and sizes.
        trending_clicks: float (n_notes,) decayed clicks.
        bucket_clicks: float (languages, buckets) clicks so far by the language of the reader's app.
    """
    seen_by_all = np.flatnonzero(exposed)
    weight = freshness(np.maximum(now - notes.published, 0), platform)
    by_bucket = _freshest_first(order.by_bucket[supplied[order.by_bucket]], notes, order, weight)
    by_creator = order.by_creator[supplied[order.by_creator]]
    popular = seen_by_all[trending_clicks[seen_by_all] > 0]
    trending = popular[np.lexsort((notes.key[popular], -trending_clicks[popular]))]
    fresh = seen_by_all[now - notes.published[seen_by_all] < platform.fresh_days]
    position = (notes.key[fresh] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    around = np.argsort(position, kind="stable")
    return Shelves(
        bucket_start=_starts(order.buckets[by_bucket], bucket_clicks.shape[1]),
        bucket_notes=by_bucket.astype(np.int32),
        bucket_freshness=weight[by_bucket],
        freshness=weight,
        creator_start=_starts(notes.creator[by_creator], n_people),
        creator_notes=by_creator.astype(np.int32),
        trending=trending[: platform.trending_size].astype(np.int32),
        ring=position[around],
        ring_notes=fresh[around].astype(np.int32),
        average=(bucket_clicks + 1) / (bucket_clicks + 1).sum(axis=1, keepdims=True),
    )


def _freshest_first(
    by_bucket: NDArray[np.intp], notes: NoteTable, order: Order, weight: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Notes by bucket and falling freshness, ties by key.

    Newest first is that already, unless notes of different age are equally fresh: at the tail.
    """
    fresh, bucket = weight[by_bucket], order.buckets[by_bucket]
    age_differs = np.diff(notes.published[by_bucket]) != 0
    if not ((np.diff(bucket) == 0) & (np.diff(fresh) >= 0) & age_differs).any():
        return by_bucket
    ids = np.sort(by_bucket)
    return ids[np.lexsort((notes.key[ids], -weight[ids], order.buckets[ids]))]


def _starts(codes: NDArray[np.int32], n_codes: int) -> NDArray[np.int64]:
    """Where each code begins among sorted codes, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=n_codes))])


@njit(nogil=True, cache=True)
def rank(clicks, seen, shelves, app, prior, users, depth, ranking):  # type: ignore[no-untyped-def]
    """Personal rankings of some readers, without what they have seen or made.

    Args:
        clicks: float32 (n_people, buckets), clicks by topic × language.
        seen: Seen.
        shelves: Shelves.
        app: int (n_people,), language of each person's app.
        prior: clicks' worth of the average reader in an affinity.
        users: int (n,), rows of people; depth: int32 (n,), how many notes to rank.
        ranking: int32 (n, ranks) out, -1 past the depth or where nothing is left.
    """
    start, notes = shelves.bucket_start, shelves.bucket_notes
    fresh, average = shelves.bucket_freshness, shelves.average
    n_buckets = clicks.shape[1]
    leaves = 1
    while leaves < n_buckets:
        leaves *= 2
    taken = np.full(shelves.freshness.size, -1, dtype=np.int32)
    head = np.empty(n_buckets, dtype=np.int64)
    affinity = np.empty(n_buckets)
    value = np.full(leaves, -1.0)
    winner = np.empty(2 * leaves, dtype=np.int64)
    winner[leaves:] = np.arange(leaves)
    for visit in range(users.size):
        user = users[visit]
        mark_taken(taken, visit, user, seen, shelves)
        for bucket in range(n_buckets):
            affinity[bucket] = clicks[user, bucket] + prior * average[app[user], bucket]
            place = _next(start[bucket], start[bucket + 1], notes, taken, visit)
            head[bucket] = place
            value[bucket] = fresh[place] * affinity[bucket] if place < start[bucket + 1] else -1.0
        for match in range(leaves - 1, 0, -1):
            _play(winner, value, match)
        ranked = ranking[visit]
        ranked[:] = -1
        for rank_ in range(depth[visit]):
            best = winner[1]
            if value[best] < 0:
                break
            ranked[rank_] = notes[head[best]]
            place = _next(head[best] + 1, start[best + 1], notes, taken, visit)
            head[best] = place
            value[best] = fresh[place] * affinity[best] if place < start[best + 1] else -1.0
            match = (leaves + best) // 2
            while match > 0:
                _play(winner, value, match)
                match //= 2


@njit(nogil=True, cache=True)
def _play(winner, value, match):  # type: ignore[no-untyped-def]
    """A match of a tournament: the greater value goes on, the first of equal ones."""
    left, right = winner[2 * match], winner[2 * match + 1]
    winner[match] = left if value[left] >= value[right] else right


@njit(nogil=True, cache=True)
def _next(place, end, notes, taken, visit):  # type: ignore[no-untyped-def]
    """The first place from a given one on whose note is not taken; the end if there is none."""
    while place < end and taken[notes[place]] == visit:
        place += 1
    return place
