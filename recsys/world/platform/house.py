"""The house policy: how the platform ranks posts when no recommender under study serves it.

A post's score for a user is the user's affinity for its topic × language times its freshness.
Affinities are counted from the user's clicks; they begin at the average of the users with the
same app language, which is all that the platform knows of a new user. Within one topic ×
language all users agree on the order. So the exact ranking is a merge of a few dozen sorted
lists, and no score per user and post has to be computed.
"""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Platform
from recsys.world.people.population import LANGUAGES
from recsys.world.people.posts import PostTable
from recsys.world.platform.blend import Shelves, mark_taken


def post_buckets(posts: PostTable) -> NDArray[np.int32]:
    """Int32 (n_posts,): the bucket of each post, a number for its topic and language."""
    return (posts.topic * len(LANGUAGES) + posts.language).astype(np.int32)


def freshness(age: NDArray[np.float64], platform: Platform) -> NDArray[np.float64]:
    """Weight of posts by their age: it halves every half-life, down to a tail.

    Args:
        age: float64 (n,), days.
        platform: its `half_life_days` and `tail` are used.

    >>> freshness(np.array([0.0, 2.0]), Platform(tail=0.0)).tolist()
    [1.0, 0.5]
    """
    decayed = np.exp2(-age / platform.half_life_days)
    return np.asarray(platform.tail + (1 - platform.tail) * decayed)


class Order(NamedTuple):
    """Orders of posts that stay the same while posts age, so they are sorted once for an arm."""

    buckets: NDArray[np.int32]
    """(n_posts,) topic × language."""
    by_bucket: NDArray[np.intp]
    """(n_posts,) rows of posts by bucket, newest first; ties by key."""
    by_creator: NDArray[np.intp]
    """(n_posts,) rows of posts by creator, newest first; ties by key."""

    @classmethod
    def of(cls, posts: PostTable) -> Self:
        """Sorts posts."""
        buckets = post_buckets(posts)
        newest_first = (posts.key, -posts.published)
        return cls(
            buckets,
            np.lexsort((*newest_first, buckets)),
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
    trending_clicks: NDArray[np.float64],
    bucket_clicks: NDArray[np.float64],
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
        trending_clicks: float (n_posts,), decayed clicks on each post.
        bucket_clicks: float (languages, buckets), clicks so far by the user's app language.
    """
    public = np.flatnonzero(exposed)
    weight = freshness(np.maximum(now - posts.published, 0), platform)
    by_bucket = _freshest_first(order.by_bucket[supplied[order.by_bucket]], posts, order, weight)
    by_creator = order.by_creator[supplied[order.by_creator]]
    popular = public[trending_clicks[public] > 0]
    trending = popular[np.lexsort((posts.key[popular], -trending_clicks[popular]))]
    fresh = public[now - posts.published[public] < platform.fresh_days]
    # A post's place on the ring is its key as a number from 0 to 1, so no post moves another.
    position = (posts.key[fresh] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    around = np.argsort(position, kind="stable")
    return Shelves(
        bucket_start=_starts(order.buckets[by_bucket], bucket_clicks.shape[1]),
        bucket_posts=by_bucket.astype(np.int32),
        bucket_freshness=weight[by_bucket],
        freshness=weight,
        creator_start=_starts(posts.creator[by_creator], n_people),
        creator_posts=by_creator.astype(np.int32),
        trending=trending[: platform.trending_size].astype(np.int32),
        ring=position[around],
        ring_posts=fresh[around].astype(np.int32),
        average=(bucket_clicks + 1) / (bucket_clicks + 1).sum(axis=1, keepdims=True),
    )


def _freshest_first(
    by_bucket: NDArray[np.intp], posts: PostTable, order: Order, weight: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Posts by bucket and falling freshness, ties by key.

    Posts that are sorted newest first have this order already, unless posts of different age are
    equally fresh, which happens at the tail. Only then are they sorted again.
    """
    fresh, bucket = weight[by_bucket], order.buckets[by_bucket]
    age_differs = np.diff(posts.published[by_bucket]) != 0
    if not ((np.diff(bucket) == 0) & (np.diff(fresh) >= 0) & age_differs).any():
        return by_bucket
    ids = np.sort(by_bucket)
    return ids[np.lexsort((posts.key[ids], -weight[ids], order.buckets[ids]))]


def _starts(codes: NDArray[np.int32], n_codes: int) -> NDArray[np.int64]:
    """(n_codes + 1,): the first position of each code among sorted codes, and their number."""
    return np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=n_codes))])


@njit(nogil=True, cache=True)
def rank(clicks, seen, shelves, app, prior, users, depth, ranking):  # type: ignore[no-untyped-def]
    """Writes personal rankings of some users, without posts that they have seen or made.

    The lists of the buckets are merged by a tournament: each leaf holds the score of the best post
    left in one bucket, each inner node the leaf that won below it, and node 1 the best post.

    Args:
        clicks: float32 (n_people, buckets), clicks by topic × language.
        seen: Seen.
        shelves: Shelves.
        app: int (n_people,), app language of each person.
        prior: number of clicks that the average user counts for in an affinity, such as 10.
        users: int (n,), rows of people.
        depth: int32 (n,), number of posts to rank.
        ranking: int32 (n, ranks), written: rows of posts, -1 past the depth or where nothing is
            left.
    """
    start, posts = shelves.bucket_start, shelves.bucket_posts
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
            first = _next(start[bucket], start[bucket + 1], posts, taken, visit)
            head[bucket] = first
            value[bucket] = fresh[first] * affinity[bucket] if first < start[bucket + 1] else -1.0
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
            value[best] = fresh[following] * affinity[best] if following < start[best + 1] else -1.0
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
