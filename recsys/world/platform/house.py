"""The house policy: how the platform ranks posts when no recommender under study serves it.

A post's score for a user is the product of three factors: how much the user likes its topic and its
language (shrunk click rates, see `recsys.statistics.click_rates`), how much more than expected it
has been clicked so far, and its freshness. Users are learned from in the morning, posts after each
part of the day. Within one topic × language all users agree on the order, so the exact ranking is a
merge of a few dozen sorted lists. The recommender `platform_ranker` has the same arithmetic.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import Platform
from recsys.logs.log import Seen
from recsys.statistics.click_rates import newness
from recsys.statistics.merge import merge
from recsys.world.people.population import LANGUAGES
from recsys.world.people.posts import PostTable
from recsys.world.platform.blend import Shelves


def post_buckets(posts: PostTable) -> NDArray[np.int32]:
    """Int32 (n_posts,): the bucket of each post, a number for its topic and language."""
    return (posts.topic * len(LANGUAGES) + posts.language).astype(np.int32)


class Order(NamedTuple):
    """Buckets of posts, and orders that stay the same while posts age, sorted once for an arm."""

    buckets: NDArray[np.int32]
    """(n_posts,) topic × language; that of a post to come may change, see `Scene.adapt`."""
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


def rank(
    affinity: NDArray[np.float32],
    seen: Seen,
    shelves: Shelves,
    keys: NDArray[np.uint64],
    users: NDArray[np.int64],
    depth: NDArray[np.int32],
    ranking: NDArray[np.int32],
) -> None:
    """Writes personal rankings of some users, without posts that they have seen or made.

    Args:
        affinity: float32 (n_people, buckets), how much people like topics and languages.
        seen: what each person was shown.
        shelves: the posts.
        keys: uint64 (n_posts,), stable keys of posts.
        users: int (n,), rows of people.
        depth: int32 (n,), number of posts to rank.
        ranking: int32 (n, ranks), written: rows of posts, -1 past the depth or where nothing is
            left.
    """
    ranking[:] = -1
    merge(
        affinity,
        users,
        shelves.bucket_start,
        shelves.bucket_posts,
        shelves.bucket_weight,
        keys,
        tuple(seen),
        (shelves.creator_start, shelves.creator_posts),
        depth,
        ranking,
        np.empty(ranking.shape),
    )
