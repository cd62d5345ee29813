"""What is known of a reader and a note when a feed is made: the ranker's sources and features.

Four sources propose notes: als, item neighbours, what is trending, and creators whom the reader
engaged with. A feature is computed alike for what was shown in the past and for what may be served.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders.attributes import Attribute, attribute_names, categories
from recsys.recommenders.base import Model, Users, binary
from recsys.recommenders.kernels import top_k

SOURCES = ("als", "item_knn", "trending", "following")
_DAY = 86_400_000
_LOOKS = 20.0
"""Looks at the common click rate in each note's."""


class Pairs(NamedTuple):
    """Readers and notes, a row each, sorted by both."""

    row: NDArray[np.int64]
    """(n,) place of the reader in the block."""
    column: NDArray[np.int64]
    """(n,) place of the note among the items asked for."""
    ranks: NDArray[np.float64]
    """(n, 4) rank from 1 in the list of each source; NaN where the source did not propose it."""
    features: NDArray[np.float64]
    """(n, n_features); NaN where nothing is known."""


@dataclass(frozen=True)
class Evidence:
    """A log as the ranker sees it.

    Attributes:
        log: events up to a moment.
        als, item_knn, trending, most_popular: fits of it.
        now: that moment, in milliseconds; NaN in a log without times.
        half_life_days: in which a note loses half of its freshness.
    """

    log: InteractionLog
    als: Model
    item_knn: Model
    trending: Model
    most_popular: Model
    now: float
    half_life_days: float

    @lazy
    def heat(self) -> NDArray[np.float64]:
        """Float64 (n_items,): decayed clicks."""
        return self._of_all(self.trending)

    @lazy
    def popularity(self) -> NDArray[np.float64]:
        """Float64 (n_items,): clicks."""
        return self._of_all(self.most_popular)

    @lazy
    def appeal(self) -> NDArray[np.float64]:
        """Float64 (n_items,): log of clicks per look, over everybody's; NaN without impressions.

        Of readers who clicked anything. A note that few have looked at has about 0: `_LOOKS` looks
        at the common rate are added. Popularity is this times how often the platform showed it.
        """
        log, hot = self.log, self.log.interactions
        shown = log.seen[hot.users]
        looks = np.bincount(shown.indices, minlength=log.n_items).astype(np.float64)
        if looks.sum() == hot.weights.nnz:
            return np.full(log.n_items, np.nan)
        clicks = np.zeros(log.n_items)
        clicks[hot.items] = np.bincount(hot.weights.indices, minlength=hot.items.size)
        common = clicks.sum() / looks.sum()
        return np.asarray(np.log((clicks + _LOOKS * common) / (looks + _LOOKS) / common))

    @lazy
    def age(self) -> NDArray[np.float64]:
        """Float64 (n_items,): days since an item was published; NaN where it is not known."""
        items = self.log.items
        known = "published" in items.columns
        if not known or not isinstance(items["published"].dtype, pl.Datetime | pl.Date):
            return np.full(self.log.n_items, np.nan)
        moment = items["published"].cast(pl.Datetime("ms")).to_physical().cast(pl.Float64)
        return np.asarray((self.now - moment.fill_null(np.nan).to_numpy()) / _DAY)

    @lazy
    def freshness(self) -> NDArray[np.float64]:
        """Float64 (n_items,): halves with every half-life since an item was published; else 1."""
        age = np.maximum(np.nan_to_num(self.age, nan=0.0), 0.0)
        return np.asarray(np.exp2(-age / self.half_life_days))

    @lazy
    def attributes(self) -> list[Attribute]:
        """The items' attributes, and their creators first if they are known."""
        hot, items = self.log.interactions.items, self.log.items
        names = ["creator_id"] if self._has_creators else []
        return categories(items, hot, [*names, *attribute_names(items)])

    @lazy
    def tastes(self) -> list[csr_matrix]:
        """For each attribute, hot users × its categories, float64: likes."""
        liked, hot = binary(self.log), self.log.interactions.items
        return [liked @ _members(attribute, hot) for attribute in self.attributes]

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Hot items, and others by creators of hot ones; in the order of their keys."""
        known = self.als.hot_column >= 0
        if self._has_creators and self.attributes and self.attributes[0].name == "creator_id":
            known = known | (self.attributes[0].codes >= 0)
        items = np.flatnonzero(known)
        keys = self.log.items["key"].to_numpy()
        return items[np.argsort(keys[items], kind="stable")].astype(np.int32)

    @property
    def feature_names(self) -> list[str]:
        """What the columns of features are."""
        own = [f"taste for {attribute.name}" for attribute in self.attributes]
        ranks = [f"rank by {source}" for source in SOURCES]
        return [
            "score by als",
            "score by item_knn",
            "heat",
            "affinity to the creator",
            *ranks,
            "popularity",
            "heat per popularity",
            "clicks per look",
            "age",
            "likes of the reader",
            *own,
        ]

    @property
    def _has_creators(self) -> bool:
        return "creator_id" in self.log.items.columns

    def _of_all(self, model: Model) -> NDArray[np.float64]:
        every = np.arange(self.log.n_items, dtype=np.int32)
        return np.asarray(model.score(np.zeros(1, dtype=np.int64), every)[0])


class Finder:
    """Pairs of some readers with some items; what does not depend on readers is done once.

    Args:
        evidence: what is known.
        items: int32, dense ids, from `Evidence.scorable`.
        candidates: how many notes each source proposes.
    """

    def __init__(self, evidence: Evidence, items: NDArray[np.int32], candidates: int) -> None:
        self.evidence, self.items = evidence, items
        self.depth = min(candidates, items.size)
        self.place = np.full(evidence.log.n_items, -1, dtype=np.int64)
        self.place[items] = np.arange(items.size)
        self.hot = np.flatnonzero(evidence.als.hot_column[items] >= 0)
        self.by_als = evidence.als.scorer(items[self.hot])
        self.by_neighbours = evidence.item_knn.scorer(items[self.hot])
        self.seen = Seen.from_matrix(evidence.log.withheld)
        codes = [attribute.codes[items] for attribute in evidence.attributes]
        self.codes = codes
        self.by_creator = codes[0] if evidence._has_creators and codes else None

    def pairs(
        self,
        users: Users,
        row: NDArray[np.int64],
        item: NDArray[np.int64],
        *,
        candidates: bool,
    ) -> Pairs:
        """Given pairs, and what the sources propose.

        Args:
            users: dense ids of a block of hot users.
            row: places in that block, item: dense ids; what was not asked for is left out.
            candidates: whether unseen notes that a source proposes are wanted too.
        """
        column = self.place[item]
        wanted = (row * self.items.size + column)[column >= 0]
        scores = self._scores(users)
        lists = [self._best(values, users) for values in scores]
        proposed = [row * self.items.size + column for row, column, _ in lists]
        wanted = np.unique(np.concatenate([wanted, *(proposed if candidates else ())]))
        row, column = np.divmod(wanted, self.items.size)
        ranks = np.full((wanted.size, len(SOURCES)), np.nan)
        for source, (numbers, (_, _, rank)) in enumerate(zip(proposed, lists, strict=True)):
            if wanted.size:
                place = np.minimum(np.searchsorted(wanted, numbers), wanted.size - 1)
                found = wanted[place] == numbers
                ranks[place[found], source] = rank[found]
        return Pairs(row, column, ranks, self._features(users, scores, row, column, ranks))

    def serving(self, users: Users) -> Pairs:
        """What the sources propose to a block of hot users, and what these have liked already."""
        hot = self.evidence.log.interactions
        mine = hot.weights[self.evidence.als.hot_row[users]]
        row = np.repeat(np.arange(users.size), np.diff(mine.indptr))
        return self.pairs(users, row, hot.items[mine.indices].astype(np.int64), candidates=True)

    def _scores(self, users: Users) -> list[NDArray[np.float64]]:
        """(n_users, n_items) by each source; -inf where it has nothing to say."""
        evidence, shape = self.evidence, (users.size, self.items.size)
        factors, neighbours = (np.full(shape, -np.inf) for _ in range(2))
        factors[:, self.hot] = self.by_als(users)
        neighbours[:, self.hot] = self.by_neighbours(users)
        heat = np.where(evidence.heat[self.items] > 0, evidence.heat[self.items], -np.inf)
        follows = np.full(shape, -np.inf)
        if self.by_creator is not None:
            known = evidence.tastes[0][evidence.als.hot_row[users]].toarray()
            affinity = np.where(self.by_creator >= 0, known[:, self.by_creator], 0.0)
            fresh = affinity * evidence.freshness[self.items]
            follows = np.where(affinity > 0, fresh, -np.inf)
        return [factors, neighbours, np.tile(heat, (users.size, 1)), follows]

    def _best(
        self, values: NDArray[np.float64], users: Users
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Rows, columns and ranks of the best that each reader has not seen."""
        n, columns = values.shape
        ids = np.full((n, self.depth), -1, dtype=np.int32)
        best = np.empty((n, self.depth))
        every = np.arange(columns, dtype=np.int32)
        top_k(values.copy(), users, self.seen, self.place, every, np.arange(n), ids, best)
        row, rank = np.nonzero(ids >= 0)
        return row, ids[row, rank].astype(np.int64), rank + 1

    def _features(
        self,
        users: Users,
        scores: list[NDArray[np.float64]],
        row: NDArray[np.int64],
        column: NDArray[np.int64],
        ranks: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """(n_pairs, n_features), in the order of `Evidence.feature_names`."""
        evidence, item = self.evidence, self.items[column]
        hot_row = evidence.als.hot_row[users]
        likes = np.diff(evidence.log.interactions.weights.indptr)[hot_row].astype(np.float64)
        heat, popularity = evidence.heat[item], evidence.popularity[item]
        columns = [
            _finite(scores[0][row, column]),
            _finite(scores[1][row, column]),
            np.log1p(heat),
            np.maximum(scores[3][row, column], 0.0),
            *ranks.T,
            np.log1p(popularity),
            np.divide(heat, popularity, out=np.full(item.size, np.nan), where=popularity > 0),
            evidence.appeal[item],
            evidence.age[item],
            np.log1p(likes)[row],
        ]
        for codes, taste in zip(self.codes, evidence.tastes, strict=True):
            share = np.full((users.size, taste.shape[1] + 1), np.nan)  # the last: not known
            share[:, :-1] = taste[hot_row].toarray() / likes[:, None]
            columns.append(share[row, codes[column]])
        return np.stack(columns, axis=1)


def _members(attribute: Attribute, rows: NDArray[np.int32]) -> csr_matrix:
    """Float64 CSR (n_rows, size): which category each row has."""
    codes = attribute.codes[rows]
    has = np.flatnonzero(codes >= 0)
    return csr_matrix((np.ones(has.size), (has, codes[has])), shape=(rows.size, attribute.size))


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)
