"""The house policy: how the platform ranks posts when no recommender under study serves it.

A post's score for a user is the product of three factors: how much the user likes its topic and its
language (shrunk click rates, see `recsys.statistics.click_rates`), how much more than expected it
has been clicked so far, and its freshness. Users are learned from in the morning, posts after each
part of the day. Within one topic × language all users agree on the order. So the exact ranking is a
merge of a few dozen sorted lists, and no score per user and post has to be computed. The
recommender `platform_ranker` has the same arithmetic.
"""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Platform
from recsys.statistics.click_rates import newness
from recsys.world.people.population import LANGUAGES
from recsys.world.people.posts import PostTable
from recsys.world.platform.blend import Shelves, mark_taken


def post_buckets(posts: PostTable) -> NDArray[np.int32]:
    """Int32 (n_posts,): the bucket of each post, a number for its topic and language."""
    return (posts.topic * len(LANGUAGES) + posts.language).astype(np.int32)


class Order(NamedTuple):
    """Orders of posts that stay the same while posts age, so they are sorted once for an arm."""

    buckets: NDArray[np.int32]
    """(n_posts,) topic × language."""
    by_key: NDArray[np.intp]
    """(n_posts,) rows of posts by key."""
    by_creator: NDArray[np.intp]
    """(n_posts,) rows of posts by creator, newest first; ties by key."""

    @classmethod
    def of(cls, posts: PostTable) -> Self:
        """Sorts posts."""
        buckets = post_buckets(posts)
        newest_first = (posts.key, -posts.published)
        return cls(
            buckets,
            np.argsort(posts.key, kind="stable"),
            np.lexsort((*newest_first, posts.creator)),
        )


def shelve(
    posts: PostTable,
    order: Order,
    n_people: int,
    supplied: NDArray[np.bool_],
    exposed: NDArray[np.bool_],
    now: float,
    platform: Platform,
    n_buckets: int,
    early: NDArray[np.float64],
    trending_clicks: NDArray[np.float64],
    passed: NDArray[np.bool_],
) -> Shelves:
    """Sorts the posts that can be served now into lists for each source; ties go by key.

    Args:
        posts: all posts.
        order: the `Order` of these posts.
        n_people: number of people.
        supplied: bool (n_posts,), posts that personal and following slots may hold.
        exposed: bool (n_posts,), posts that trending and fresh slots may hold.
        now: the time in days since the start of day 0, such as 1.5.
        platform: gives half-lives and lengths of lists.
        n_buckets: number of pairs of topic and language.
        early: float64 (n_posts,), clicks over expected clicks of each post so far.
        trending_clicks: float (n_posts,), decayed clicks on each post.
        passed: bool (n_posts,), posts that have passed their pools of traffic.
    """
    public = np.flatnonzero(exposed)
    age = np.maximum(now - posts.published, 0)
    fresh = newness(age, platform.half_life_days, platform.tail)
    weight = early * fresh
    by_bucket = _best_first(order.by_key[supplied[order.by_key]], order, weight)
    by_creator = order.by_creator[supplied[order.by_creator]]
    popular = public[trending_clicks[public] > 0]
    trending = popular[np.lexsort((posts.key[popular], -trending_clicks[popular]))]
    new = public[(now - posts.published[public] < platform.fresh_days) & passed[public]]
    # A post's place on the ring is its key as a number from 0 to 1, so no post moves another.
    position = (posts.key[new] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    around = np.argsort(position, kind="stable")
    return Shelves(
        bucket_start=_starts(order.buckets[by_bucket], n_buckets),
        bucket_posts=by_bucket.astype(np.int32),
        bucket_weight=weight[by_bucket],
        buckets=order.buckets,
        freshness=fresh,
        creator_start=_starts(posts.creator[by_creator], n_people),
        creator_posts=by_creator.astype(np.int32),
        trending=trending[: platform.trending_size].astype(np.int32),
        ring=position[around],
        ring_posts=new[around].astype(np.int32),
    )


def _best_first(
    live: NDArray[np.intp], order: Order, weight: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Posts by bucket and falling weight; equal ones stay as they are in `live`, rows of posts."""
    best = live[np.argsort(-weight[live], kind="stable")]
    return best[np.argsort(order.buckets[best].astype(np.int16), kind="stable")]


def _starts(codes: NDArray[np.int32], n_codes: int) -> NDArray[np.int64]:
    """(n_codes + 1,): the first position of each code among sorted codes, and their number."""
    return np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=n_codes))])


@njit(nogil=True, cache=True)
def rank(affinity, seen, shelves, users, depth, ranking):  # type: ignore[no-untyped-def]
    """Writes personal rankings of some users, without posts that they have seen or made.

    The lists of the buckets are merged by a tournament: each leaf holds the score of the best post
    left in one bucket, each inner node the leaf that won below it, and node 1 the best post.

    Args:
        affinity: float32 (n_people, buckets), how much people like topics and languages.
        seen: Seen.
        shelves: Shelves.
        users: int (n,), rows of people.
        depth: int32 (n,), number of posts to rank.
        ranking: int32 (n, ranks), written: rows of posts, -1 past the depth or where nothing is
            left.
    """
    start, posts = shelves.bucket_start, shelves.bucket_posts
    weight, n_buckets = shelves.bucket_weight, affinity.shape[1]
    leaves = 1
    while leaves < n_buckets:
        leaves *= 2
    taken = np.full(shelves.freshness.size, -1, dtype=np.int32)
    head = np.empty(n_buckets, dtype=np.int64)
    value = np.full(leaves, -1.0)
    winner = np.empty(2 * leaves, dtype=np.int64)
    winner[leaves:] = np.arange(leaves)
    for visit in range(users.size):
        user = users[visit]
        liking = affinity[user]
        mark_taken(taken, visit, user, seen, shelves)
        for bucket in range(n_buckets):
            first = _next(start[bucket], start[bucket + 1], posts, taken, visit)
            head[bucket] = first
            value[bucket] = weight[first] * liking[bucket] if first < start[bucket + 1] else -1.0
        for match in range(leaves - 1, 0, -1):
            _play(winner, value, match)
        ranked = ranking[visit]
        ranked[:] = -1
        for rank_ in range(depth[visit]):
            best = winner[1]
            if value[best] < 0:
                break
            ranked[rank_] = posts[head[best]]
            following = _next(head[best] + 1, start[best + 1], posts, taken, visit)
            head[best] = following
            value[best] = weight[following] * liking[best] if following < start[best + 1] else -1.0
            match = (leaves + best) // 2
            while match > 0:
                _play(winner, value, match)
                match //= 2


@njit(nogil=True, cache=True)
def _play(winner, value, match):  # type: ignore[no-untyped-def]
    """Plays one match of the tournament: the greater value wins, the left one if they are equal."""
    left, right = winner[2 * match], winner[2 * match + 1]
    winner[match] = left if value[left] >= value[right] else right


@njit(nogil=True, cache=True)
def _next(position, end, posts, taken, visit):  # type: ignore[no-untyped-def]
    """The first position from `position` on whose post is not taken; `end` if there is none."""
    while position < end and taken[posts[position]] == visit:
        position += 1
    return position
