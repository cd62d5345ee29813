"""The blend of a feed: a personal ranking, and slots that the platform fills from other sources.

Slots for followed creators, trending posts and fresh posts stand at fixed ranks. If a source has
nothing left for its slot, the personal ranking fills it.

A fresh post is drawn by consistent hashing. The fresh posts lie on a ring, at places given by their
keys. A user's draw is a point on the ring. Of the next few posts, the slot takes the one whose
topic and language the user likes best. So one more post changes few feeds. A plain version of
`blend`, which the tests hold equal to it, is `slow_blend` in tests/world/platform/test_house.py.
"""
# mypy: disallow-untyped-decorators=False

from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Slots
from recsys.core.noise import Stream, philox4x32, unit
from recsys.logs.schema import SOURCES

PERSONAL, FOLLOWING, TRENDING, FRESH = (
    list(SOURCES.categories).index(name) for name in ("personal", "following", "trending", "fresh")
)
_FRESH_STREAM = int(Stream.FRESH)


class Shelves(NamedTuple):
    """The day's live posts, sorted for each source."""

    bucket_start: NDArray[np.int64]
    """(buckets + 1,) where each topic × language begins in `bucket_posts`."""
    bucket_posts: NDArray[np.int32]
    """Live posts by topic × language, those with the greatest weight first."""
    bucket_weight: NDArray[np.float64]
    """Their weights in the platform's ranking, in that order."""
    buckets: NDArray[np.int32]
    """(n_posts,) topic × language of each post."""
    freshness: NDArray[np.float64]
    """(n_posts,) 1 when new, falling with age."""
    creator_start: NDArray[np.int64]
    """(n_people + 1,) where each creator begins in `creator_posts`."""
    creator_posts: NDArray[np.int32]
    """Live posts by creator, newest first."""
    trending: NDArray[np.int32]
    """Posts with most decayed clicks, best first."""
    ring: NDArray[np.float64]
    """Positions of the fresh posts on the unit ring, sorted."""
    ring_posts: NDArray[np.int32]
    """The fresh posts in that order."""


class Lists(NamedTuple):
    """Personal rankings of some users, wherever each of them begins."""

    start: NDArray[np.int64]
    """(n,) where the ranking of each begins in the arrays below."""
    end: NDArray[np.int64]
    """(n,) where it ends."""
    posts: NDArray[np.int32]
    """Rows of posts, the best first, -1 where nothing is left."""
    sources: NDArray[np.uint8]
    """Positions in `recsys.logs.schema.SOURCES`."""

    @classmethod
    def of_rows(cls, posts: NDArray[np.int32], sources: NDArray[np.uint8]) -> Self:
        """Rankings that are the rows, (n, width), of two arrays."""
        start = np.arange(len(posts), dtype=np.int64) * posts.shape[1]
        return cls(start, start + posts.shape[1], posts.reshape(-1), sources.reshape(-1))


_MARKS = 255
"""Number of visits that can be told apart by a mark of one byte."""


@lru_cache
def slot_pattern(slots: Slots, ranks: int) -> NDArray[np.int32]:
    """Which source fills each rank: after every rank the counts are closest to the shares.

    Args:
        slots: shares.
        ranks: how many ranks.

    Returns:
        int32 (ranks,), positions in `recsys.logs.schema.SOURCES`.

    >>> slot_pattern(Slots(), 10).tolist()
    [0, 0, 3, 0, 0, 1, 0, 2, 0, 0]
    """
    shares = np.zeros(len(SOURCES.categories))
    for source, name in (
        (PERSONAL, "personal"),
        (FOLLOWING, "following"),
        (TRENDING, "trending"),
        (FRESH, "fresh"),
    ):
        shares[source] = getattr(slots, name)
    pattern, counts = np.empty(ranks, dtype=np.int32), np.zeros(shares.size)
    for rank in range(ranks):
        source = int(np.argmax(shares * (rank + 1) - counts))
        pattern[rank] = source
        counts[source] += 1
    return pattern


@njit(nogil=True, cache=True)
def blend(  # type: ignore[no-untyped-def]
    personal,
    follows,
    affinity,
    seen,
    shelves,
    creators,
    per_creator,
    look_alike,
    address,
    pattern,
    seed,
    when,
    users,
    depth,
    feeds,
    sources,
):
    """Fills the feeds of some users.

    Args:
        personal: Lists, each user's personal ranking without what was seen. It is as long as the
            depth where posts are left, so that it can fill whatever the other sources cannot.
        follows: int32 (n_people, follows), rows of creators, -1 where there is none.
        affinity: float32 (n_people, buckets), how much people like topics and languages.
        seen: Seen.
        shelves: Shelves.
        creators: int32 (n_posts,), rows of the people who made them.
        per_creator: most posts of one creator in a feed.
        look_alike: number of fresh posts of which a fresh slot takes the one liked best.
        address: uint32 (n_people,), addresses of the people's draws.
        pattern: int32 (ranks,) from `slot_pattern`.
        seed: uint64, world seed; when: the visit's `moment`.
        users: int (n,), rows of people; depth: int32 (n,), ranks to fill.
        feeds: int32 (n, ranks) out, -1 past the depth or where nothing is left.
        sources: uint8 (n, ranks) out.
    """
    taken, mark = np.zeros(shelves.freshness.size, dtype=np.uint8), np.uint8(0)
    made_by = np.empty(pattern.size, dtype=np.int32)
    full_of = np.empty(pattern.size, dtype=np.int32)
    trending, posts, sources_of = shelves.trending, personal.posts, personal.sources
    starts, ends = personal.start, personal.end
    for visit in range(users.size):
        user, feed, source_of = users[visit], feeds[visit], sources[visit]
        mine = posts[starts[visit] : ends[visit]]
        if mark == _MARKS:
            taken[:] = 0
            mark = np.uint8(0)
        mark += np.uint8(1)
        n_full = 0
        _mark_taken(taken, mark, user, seen, shelves)
        feed[:] = -1
        next_personal, next_trending = 0, 0
        for rank in range(depth[visit]):
            source = pattern[rank]
            post = np.int32(-1)
            if source == FOLLOWING:
                post = _following(follows[user], shelves, taken, full_of, n_full, mark)
            elif source == TRENDING:
                next_trending = _skip(
                    trending, next_trending, taken, creators, full_of, n_full, mark
                )
                if next_trending < trending.size:
                    post = trending[next_trending]
            elif source == FRESH:
                word = philox4x32(
                    np.uint64(_FRESH_STREAM),
                    np.uint64(address[user]),
                    np.uint64(rank),
                    np.uint64(when),
                    seed,
                )[0]
                post = _explore(
                    shelves,
                    taken,
                    creators,
                    full_of,
                    n_full,
                    mark,
                    unit(word),
                    affinity[user],
                    look_alike,
                )
            if post < 0:
                next_personal = _skip(mine, next_personal, taken, creators, full_of, n_full, mark)
                if next_personal == mine.size:
                    break
                post = mine[next_personal]
                source = sources_of[starts[visit] + next_personal]
                if post < 0:
                    break
            taken[post] = mark
            feed[rank] = post
            source_of[rank] = source
            creator, posts_of_creator = creators[post], 1
            for before in range(rank):
                posts_of_creator += made_by[before] == creator
            made_by[rank] = creator
            if posts_of_creator == per_creator:
                full_of[n_full] = creator
                n_full += 1


# Helpers take arrays out of their tables first. Compiled code counts references at each look into a
# table, and that costs more than all the rest. What is taken is marked with a number of one byte:
# the marks of all posts then stay in the cache. Marks of all people would not, so the few creators
# who have as many posts in the feed as they may are a list.


@njit(nogil=True, cache=True)
def _mark_taken(taken, mark, user, seen, shelves):  # type: ignore[no-untyped-def]
    """Marks what a user may not be served: what was seen, and the user's own posts."""
    items, posts = seen.items, shelves.creator_posts
    for place in range(np.uint64(seen.start[user]), np.uint64(seen.end[user])):
        taken[np.uint32(items[place])] = mark
    for place in range(shelves.creator_start[user], shelves.creator_start[user + 1]):
        taken[posts[place]] = mark


@njit(nogil=True, cache=True)
def _holds(full_of, n_full, creator):  # type: ignore[no-untyped-def]
    """Whether a creator is among those of whom the feed holds as many posts as it may."""
    for place in range(n_full):  # noqa: SIM110 (compiled code knows no `any` of a generator)
        if full_of[place] == creator:
            return True
    return False


@njit(nogil=True, cache=True)
def _skip(posts, place, taken, creators, full_of, n_full, mark):  # type: ignore[no-untyped-def]
    """The next place in a list whose post may be served; its end if there is none."""
    while place < posts.size and posts[place] >= 0:
        post = np.uint32(posts[place])
        if taken[post] != mark and not _holds(full_of, n_full, creators[post]):
            break
        place += 1
    return place


@njit(nogil=True, cache=True)
def _following(follows, shelves, taken, full_of, n_full, mark):  # type: ignore[no-untyped-def]
    """The freshest post that may be served by anybody whom the user follows; -1 if none."""
    start, posts, freshness = shelves.creator_start, shelves.creator_posts, shelves.freshness
    freshest, best = np.int32(-1), -1.0
    for creator in follows:
        if creator < 0 or _holds(full_of, n_full, creator):
            continue
        for place in range(start[creator], start[creator + 1]):
            post = posts[place]
            if taken[post] != mark:
                if freshness[post] > best:
                    freshest, best = post, freshness[post]
                break
    return freshest


@njit(nogil=True, cache=True)
def _explore(  # type: ignore[no-untyped-def]
    shelves, taken, creators, full_of, n_full, mark, point, affinity, look_alike
):
    """Of the next fresh posts on the ring that may be served, the one the user likes best.

    Of posts that are liked equally, the first on the ring is taken; -1 if there is no post.
    """
    ring, posts, buckets = shelves.ring, shelves.ring_posts, shelves.buckets
    start = np.searchsorted(ring, point)
    best, liked, met = np.int32(-1), np.float32(-1.0), 0
    for step in range(ring.size):
        at = start + step
        post = posts[at if at < ring.size else at - ring.size]
        if taken[post] != mark and not _holds(full_of, n_full, creators[post]):
            if affinity[buckets[post]] > liked:
                best, liked = post, affinity[buckets[post]]
            met += 1
            if met == look_alike:
                break
    return best
