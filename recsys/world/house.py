"""The house policy: what a platform serves before anybody's recommender is under study.

A personal ranking orders notes by the reader's affinity for their topic × language, counted from
the log, times the note's freshness. Of somebody new the platform knows the language that the app
is set to: affinities begin at the average of the readers of that language. Within one topic ×
language all readers agree on the order, so the exact ranking is a merge of a few dozen short lists:
no score per user and note exists.
"""
# mypy: disallow-untyped-decorators=False

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Platform
from recsys.feeds import Shelves
from recsys.feeds.blend import mark_taken
from recsys.world.notes import NoteTable
from recsys.world.population import LANGUAGES

__all__ = ["freshness", "note_buckets", "rank", "shelve"]


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


def shelve(
    notes: NoteTable,
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
        n_people: number of people.
        supplied: bool (n_notes,), what personal and following slots may hold.
        exposed: bool (n_notes,), what trending and fresh slots may hold.
        now: days since the start of day 0.
        platform: half-lives and sizes.
        trending_clicks: float (n_notes,) decayed clicks.
        bucket_clicks: float (languages, buckets) clicks so far by the language of the reader's app.
    """
    ids, seen_by_all = np.flatnonzero(supplied), np.flatnonzero(exposed)
    weight = freshness(np.maximum(now - notes.published, 0), platform)
    buckets = note_buckets(notes)
    by_bucket = ids[np.lexsort((notes.key[ids], -weight[ids], buckets[ids]))]
    by_creator = ids[np.lexsort((notes.key[ids], -notes.published[ids], notes.creator[ids]))]
    popular = seen_by_all[trending_clicks[seen_by_all] > 0]
    trending = popular[np.lexsort((notes.key[popular], -trending_clicks[popular]))]
    fresh = seen_by_all[now - notes.published[seen_by_all] < platform.fresh_days]
    position = (notes.key[fresh] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    around = np.argsort(position, kind="stable")
    return Shelves(
        bucket_start=_starts(buckets[by_bucket], bucket_clicks.shape[1]),
        bucket_notes=by_bucket.astype(np.int32),
        freshness=weight,
        creator_start=_starts(notes.creator[by_creator], n_people),
        creator_notes=by_creator.astype(np.int32),
        trending=trending[: platform.trending_size].astype(np.int32),
        ring=position[around],
        ring_notes=fresh[around].astype(np.int32),
        average=(bucket_clicks + 1) / (bucket_clicks + 1).sum(axis=1, keepdims=True),
    )


def _starts(sorted_codes: NDArray[np.int32], n_codes: int) -> NDArray[np.int64]:
    return np.searchsorted(sorted_codes, np.arange(n_codes + 1)).astype(np.int64)


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
    n_buckets = clicks.shape[1]
    taken = np.full(shelves.freshness.size, -1, dtype=np.int32)
    head = np.empty(n_buckets, dtype=np.int64)
    affinity = np.empty(n_buckets)
    value = np.empty(n_buckets)
    for visit in range(users.size):
        user = users[visit]
        mark_taken(taken, visit, user, seen, shelves)
        for bucket in range(n_buckets):
            affinity[bucket] = clicks[user, bucket] + prior * shelves.average[app[user], bucket]
            head[bucket] = shelves.bucket_start[bucket] - 1
            value[bucket] = _advance(shelves, bucket, head, taken, visit) * affinity[bucket]
        ranking[visit] = -1
        for place in range(depth[visit]):
            best = np.argmax(value)
            if value[best] < 0:
                break
            ranking[visit, place] = shelves.bucket_notes[head[best]]
            value[best] = _advance(shelves, best, head, taken, visit) * affinity[best]


@njit(inline="always")
def _advance(shelves, bucket, head, taken, visit):  # type: ignore[no-untyped-def]
    """Moves a bucket's head to its next note that is not taken; its freshness, or -1 at the end."""
    head[bucket] += 1
    while head[bucket] < shelves.bucket_start[bucket + 1]:
        note = shelves.bucket_notes[head[bucket]]
        if taken[note] != visit:
            return shelves.freshness[note]
        head[bucket] += 1
    return -1.0
