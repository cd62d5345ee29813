"""The sources and features of the ranker, computed from a log up to some moment.

Four sources propose posts to a user: als, item neighbours, the trending list, and the creators that
the user has liked posts of. The same code computes features of posts that were shown, from which
the trees learn, and of posts that may be served.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders.attributes import Attribute, attribute_names, categories
from recsys.recommenders.base import Model, Users, binary
from recsys.recommenders.fits import check_number
from recsys.recommenders.forest import Forest
from recsys.recommenders.item_knn import ItemKNNModel
from recsys.recommenders.proposals import (
    Blend,
    People,
    Pool,
    pairs_of_block,
    room_for,
    write_best_of_block,
)
from recsys.recommenders.window import ages

SOURCES = ("als", "item_knn", "trending", "following")
RANKS = slice(3, 3 + len(SOURCES))
"""Columns of `Pairs.features` that hold the rank from 1 in the list of each source; NaN where the
source did not propose the post."""
_POOLS = 4
"""Number of pools that are kept: one for each window of posts that a morning's lists reach."""
_PRIOR_LOOKS = 20.0
"""Number of looks at the mean click rate that are added to the looks at each post."""


class Pairs(NamedTuple):
    """Pairs of a user and a post with their features, sorted by user, then by post."""

    row: NDArray[np.int64]
    """(n,) position of the user in the block."""
    column: NDArray[np.int64]
    """(n,) position of the post among the items of the `Finder`."""
    features: NDArray[np.float64]
    """(n, n_features), in the order of `Evidence.feature_names`; NaN where a value is not known."""


@dataclass(frozen=True)
class Evidence:
    """A log up to some moment, the sources fitted to it, and features of its items.

    Attributes:
        log: the log up to the moment.
        als: the als model of the log.
        item_knn: the item_knn model of the log.
        trending: the trending model of the log.
        most_popular: the most_popular model of the log.
        now: the moment in milliseconds since 1970; NaN in a log without times.
        half_life_days: days in which a post loses half of its freshness.
    """

    log: InteractionLog
    als: Model
    item_knn: ItemKNNModel
    trending: Model
    most_popular: Model
    now: float
    half_life_days: float

    def check(self) -> None:
        """Raises a ValueError where the models do not fit the log; see `Model.check`."""
        for model in (self.als, self.item_knn, self.trending, self.most_popular):
            if model.log is not self.log:
                raise ValueError("a source is of another log")
            model.check()
        check_number("half_life_days", self.half_life_days, float, 0)
        if not isinstance(self.now, float):
            raise ValueError(f"now is {self.now!r}, not a moment")

    @lazy
    def heat(self) -> NDArray[np.float64]:
        """Float64 (n_items,): sum of event weights with decay."""
        return self._scores_of_all_items(self.trending)

    @lazy
    def popularity(self) -> NDArray[np.float64]:
        """Float64 (n_items,): sum of event weights."""
        return self._scores_of_all_items(self.most_popular)

    @lazy
    def appeal(self) -> NDArray[np.float64]:
        """Float64 (n_items,): log of clicks per look over their mean; NaN without impressions.

        Only users with likes are counted. `_PRIOR_LOOKS` looks at the mean rate are added, so that
        an item with few looks has about 0. Unlike popularity, appeal does not grow with how often
        the platform showed an item.
        """
        log, hot = self.log, self.log.interactions
        shown = log.seen[hot.users]
        looks = np.bincount(shown.indices, minlength=log.n_items).astype(np.float64)
        if looks.sum() == hot.weights.nnz:
            return np.full(log.n_items, np.nan)
        clicks = np.zeros(log.n_items)
        clicks[hot.items] = np.bincount(hot.weights.indices, minlength=hot.items.size)
        mean_rate = clicks.sum() / looks.sum()
        rate = (clicks + _PRIOR_LOOKS * mean_rate) / (looks + _PRIOR_LOOKS)
        return np.asarray(np.log(rate / mean_rate))

    @lazy
    def age(self) -> NDArray[np.float64]:
        """Float64 (n_items,): days since an item was published; NaN where this is not known."""
        return ages(self.log, self.now)

    @lazy
    def freshness(self) -> NDArray[np.float64]:
        """Float64 (n_items,): 2^(-age / half_life_days); 1 where the age is not known."""
        age = np.maximum(np.nan_to_num(self.age, nan=0.0), 0.0)
        return np.asarray(np.exp2(-age / self.half_life_days))

    @lazy
    def attributes(self) -> list[Attribute]:
        """Attributes of the items; the first of them is the creator, if creators are known."""
        hot, items = self.log.interactions.items, self.log.items
        names = ["creator_id"] if self._has_creators else []
        return categories(items, hot, [*names, *attribute_names(items)])

    @lazy
    def tastes(self) -> list[csr_matrix]:
        """For each attribute, float64 CSR (n_hot_users, size): likes of each user by category."""
        liked, hot = binary(self.log), self.log.interactions.items
        return [liked @ _category_of_rows(attribute, hot) for attribute in self.attributes]

    @lazy
    def people(self) -> People:
        """What each hot user likes, for `pairs_of_block`."""
        liked = binary(self.log)
        tastes = (
            hstack(self.tastes, format="csr") if self.tastes else csr_matrix((liked.shape[0], 0))
        )
        tastes.sort_indices()
        return People(
            liked.indptr.astype(np.int64),
            liked.indices.astype(np.int64),
            tastes.indptr.astype(np.int64),
            tastes.indices.astype(np.int64),
            tastes.data.astype(np.float64),
        )

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Int32, dense ids of items with likes and of items by their creators, in key order."""
        can_score = self.als.hot_column >= 0
        if self.knows_creators:
            can_score = can_score | (self.attributes[0].codes >= 0)
        items = np.flatnonzero(can_score)
        keys = self.log.items["key"].to_numpy()
        return items[np.argsort(keys[items], kind="stable")].astype(np.int32)

    def kept(self, items: NDArray[np.int32], made: Callable[[], Pool]) -> Pool:
        """The pool of some items; those of the last items are kept, since lists are made in parts.

        Args:
            items: int32, dense ids.
            made: makes the pool.
        """
        for before, pool in self._pools:
            if np.array_equal(before, items):
                return pool
        pool = made()
        self._pools[:] = [*self._pools[1 - _POOLS :], (items, pool)]
        return pool

    @lazy
    def _pools(self) -> list[tuple[NDArray[np.int32], Pool]]:
        """Items and their pools, the last ones at the end; the list is changed."""
        return []

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns of `Pairs.features`."""
        tastes = [f"taste for {attribute.name}" for attribute in self.attributes]
        ranks = [f"rank by {source}" for source in SOURCES]
        return [
            "score by als",
            "score by item_knn",
            "affinity to the creator",
            *ranks,
            "likes of the user",
            "heat",
            "popularity",
            "heat per popularity",
            "clicks per look",
            "age",
            *tastes,
        ]

    @property
    def knows_creators(self) -> bool:
        """Whether the first of `attributes` is the creator."""
        first = self.attributes[0].name if self.attributes else ""
        return first == "creator_id"

    @property
    def _has_creators(self) -> bool:
        return "creator_id" in self.log.items.columns

    def _scores_of_all_items(self, model: Model) -> NDArray[np.float64]:
        """Float64 (n_items,): scores by a model that scores alike for all users."""
        all_items = np.arange(self.log.n_items, dtype=np.int32)
        return np.asarray(model.score(np.zeros(1, dtype=np.int64), all_items)[0])


class Finder:
    """Proposes posts out of some items to users, and computes features of pairs.

    The work that does not depend on users is done once, when a finder is made.

    Args:
        evidence: sources and features.
        items: int32, dense ids out of `Evidence.scorable`.
        candidates: number of posts that each source proposes, such as 50.
    """

    def __init__(self, evidence: Evidence, items: NDArray[np.int32], candidates: int) -> None:
        self.evidence, self.items = evidence, items
        self.depth = min(candidates, items.size)
        self.place = np.full(evidence.log.n_items, -1, dtype=np.int64)
        self.place[items] = np.arange(items.size)
        hot = np.flatnonzero(evidence.als.hot_column[items] >= 0)
        self.by_als = evidence.als.scorer(items[hot])
        self.seen = evidence.log.withheld_by_user
        self.pool = evidence.kept(items, lambda: self._pool(hot))
        self.room = room_for(self.pool, self.depth)

    def pairs(
        self,
        users: Users,
        row: NDArray[np.int64],
        item: NDArray[np.int64],
        *,
        candidates: bool,
    ) -> Pairs:
        """Features of given pairs and, if wanted, of the pairs that the sources propose.

        Args:
            users: int, dense ids of a block of hot users.
            row: (n,) position in this block of the user of each given pair.
            item: (n,) dense id of the item of each given pair; pairs with an item that is none of
                `items` are left out.
            candidates: whether to add the unseen posts that the sources propose.
        """
        column = self.place[item]
        order = np.argsort(row, kind="stable")
        order = order[column[order] >= 0]
        given = np.searchsorted(row[order], np.arange(users.size + 1))
        rows, ids = self._rows(users)
        return Pairs(
            *pairs_of_block(
                rows,
                ids,
                self.by_als(users),
                self.seen,
                self.place,
                self.pool,
                self.evidence.people,
                self.room,
                given.astype(np.int64),
                column[order],
                candidates,
            )
        )

    def write_best(
        self,
        users: Users,
        barred: Seen,
        trees: tuple[Forest, Blend],
        rows: NDArray[np.int64],
        ids: NDArray[np.int32],
        scores: NDArray[np.float32],
    ) -> None:
        """Writes the best of `serving` to some rows of a ranking.

        Args:
            users: dense ids of a block of hot users.
            barred: posts that are not written.
            trees: the trees and their part in the score; without any, ranks are fused.
            rows: int64 (n,), row of `ids` and `scores` of each of the first n users.
            ids, scores: (n_rows, k), written.
        """
        places, who = self._rows(users)
        write_best_of_block(
            places,
            who,
            self.by_als(users),
            self.seen,
            barred,
            self.place,
            self.pool,
            self.evidence.people,
            self.room,
            *trees,
            self.items,
            rows,
            ids,
            scores,
        )

    def _rows(self, users: Users) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of users in the training matrix, and their dense ids."""
        return self.evidence.als.hot_row[users].astype(np.int64), np.asarray(users, dtype=np.int64)

    def serving(self, users: Users) -> Pairs:
        """The posts that the sources propose to a block of hot users, and those they have liked.

        Liked posts are scored too, since a caller may serve what was seen (`exclude_seen=False`).
        """
        hot = self.evidence.log.interactions
        likes = hot.weights[self.evidence.als.hot_row[users]]
        row = np.repeat(np.arange(users.size), np.diff(likes.indptr))
        return self.pairs(users, row, hot.items[likes.indices].astype(np.int64), candidates=True)

    def _pool(self, hot: NDArray[np.int64]) -> Pool:
        """What is known of the items, by column.

        Args:
            hot: columns of the items with likes.
        """
        evidence, items = self.evidence, self.items
        own = np.full(items.size, -1, dtype=np.int64)
        own[hot] = np.arange(hot.size)
        column_of_liked = self.place[evidence.log.interactions.items]
        similar = evidence.item_knn.similar[:, evidence.als.hot_column[items[hot]]]
        heat, popularity = evidence.heat[items], evidence.popularity[items]
        warm = np.flatnonzero(heat > 0)
        codes, first = np.full((items.size, len(evidence.attributes)), -1, dtype=np.int64), 0
        for number, attribute in enumerate(evidence.attributes):
            known = attribute.codes[items] >= 0
            codes[known, number] = first + attribute.codes[items][known]
            first += attribute.size
        maker, n_makers = np.full(items.size, -1, dtype=np.int64), 0
        if evidence.knows_creators:
            maker, n_makers = codes[:, 0].copy(), evidence.attributes[0].size
        made = np.argsort(maker, kind="stable")
        made = made[maker[made] >= 0]
        share = np.divide(heat, popularity, out=np.full(heat.size, np.nan), where=popularity > 0)
        static = (np.log1p(heat), np.log1p(popularity), share, evidence.appeal[items])
        return Pool(
            hot.astype(np.int64),
            own,
            column_of_liked,
            similar.indptr.astype(np.int64),
            similar.indices.astype(np.int64),
            similar.data,
            warm[np.argsort(-heat[warm], kind="stable")],
            maker,
            np.searchsorted(maker[made], np.arange(n_makers + 1)).astype(np.int64),
            made,
            evidence.freshness[items],
            np.stack([*static, evidence.age[items]], axis=1),
            codes,
            first,
        )


def _category_of_rows(attribute: Attribute, rows: NDArray[np.int32]) -> csr_matrix:
    """Float64 CSR (n_rows, size): 1 in the column of each row's category."""
    codes = attribute.codes[rows]
    has = np.flatnonzero(codes >= 0)
    return csr_matrix((np.ones(has.size), (has, codes[has])), shape=(rows.size, attribute.size))
