"""Item neighbours: recommends items that were liked by the same users."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix

from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Model, Scores, Users, binary
from recsys.recommenders.collaborative import Collaborative, CollaborativeModel
from recsys.recommenders.fits import check_matrix
from recsys.recommenders.kernels import strongest
from recsys.recommenders.recency import log_recency, multiply


class ItemKNN(Collaborative):
    """Scores an item by the sum of its similarities to the items that a user liked.

    s_ij = v_i·v_j / (|v_i| |v_j| + shrinkage), where the vector v_i of an item holds a weight for
    each user. The `neighbours` largest similarities of each item are kept. `similarity` chooses the
    weights:

    - cosine: 1 for a like. Deshpande & Karypis 2004, "Item-based top-N recommendation algorithms";
    - tfidf: sqrt(w_ui) idf_u with idf_u = ln(n_items / (1 + likes of u)), since a user who likes
      everything says little about which items belong together;
    - bm25: idf_u (k1 + 1) w_ui / (w_ui + k1 (1 - b + b L_i / L)), where L_i is an item's sum of
      event weights w and L the mean of L_i over items. Here s_ij = v_i·v_j without a denominator,
      which favours popular items. Robertson & Zaragoza 2009, "The probabilistic relevance
      framework: BM25 and beyond".

    Weights are those of `implicit.nearest_neighbours`. Use it where a recommendation must be
    explained, or where there are few items and many users.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> ItemKNN().fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = True

    similarity: Literal["cosine", "tfidf", "bm25"] = "cosine"
    """How likes are weighted."""
    neighbours: int = Field(default=100, ge=1)
    """Number of similar items that are kept for each item."""
    shrinkage: float = Field(default=50.0, ge=0)
    """Number added to the denominator, so that similarities from few users count less; bm25 does
    not use it."""
    k1: float = Field(default=8.0, ge=0)
    """bm25: the larger, the more further events by the same user on the same item count."""
    b: float = Field(default=0.05, ge=0, le=1)
    """bm25: how much the events of popular items are discounted, 0 not at all, 1 in full."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "ItemKNNModel":
        """Computes the similarities; see `Recommender.fit`. The seed has no effect."""
        liked = binary(log)
        if self.similarity == "cosine":
            similar = similarities(liked, self.neighbours, self.shrinkage)
        else:
            weights = log.interactions.weights.astype(np.float64)
            if self.similarity == "tfidf":
                similar = similarities(tfidf(weights), self.neighbours, self.shrinkage)
            else:
                similar = similarities(bm25(weights, self.k1, self.b), self.neighbours, None)
        recency = log_recency(log, self.recency)
        days = self.candidate_days
        return ItemKNNModel(log, liked, similar, candidate_days=days, recency=recency)


@dataclass(frozen=True)
class ItemKNNModel(CollaborativeModel):
    """The model that item_knn learns.

    Attributes:
        liked: float64 CSR (n_hot_users, n_hot_items) of likes, in the order of keys.
        similar: float64 CSR (n_hot_items, n_hot_items); row i holds the similarities that are kept
            of item i.
    """

    liked: csr_matrix
    similar: csr_matrix

    def check(self) -> None:
        """See `Model.check`."""
        super().check()
        hot = self.log.interactions
        check_matrix("liked", self.liked, (hot.users.size, hot.items.size))
        check_matrix("similar", self.similar, (hot.items.size, hot.items.size))

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`; an item similar to none of the user's likes scores -inf, not 0."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; the columns of the items are selected once."""
        similar = self.similar[:, self.hot_column[items]]
        recency = None if self.recency is None else self.recency[items]

        def score(users: Users) -> Scores:
            scores = (self.liked[self.hot_row[users]] @ similar).toarray()
            if recency is not None:
                multiply(scores, recency)
            scores[scores == 0] = -np.inf
            return np.asarray(scores)

        return score


def tfidf(weights: csr_matrix) -> csr_matrix:
    """Weights of tfidf: sqrt(w_ui) idf_u with idf_u = ln(n_items / (1 + likes of u)).

    Args:
        weights: float64 CSR (n_users, n_items), all positive.

    >>> tfidf(csr_matrix([[4.0, 0.0, 0.0]])).data.round(3).tolist()
    [0.811]
    """
    return _reweighted(weights, np.sqrt(weights.data) * _idf(weights))


def bm25(weights: csr_matrix, k1: float, b: float) -> csr_matrix:
    """Weights of bm25: idf_u (k1 + 1) w_ui / (w_ui + k1 (1 - b + b L_i / L)), idf as in `tfidf`.

    Args:
        weights: float64 CSR (n_users, n_items), all positive.
        k1: see `ItemKNN.k1`, such as 8.0.
        b: see `ItemKNN.b`, such as 0.05.

    >>> bm25(csr_matrix([[4.0, 0.0, 0.0]]), 0.0, 0.0).data.round(3).tolist()
    [0.405]
    """
    length = np.bincount(weights.indices, weights.data, minlength=weights.shape[1])
    norm = 1 - b + b * length / length.mean()
    saturated = weights.data * (k1 + 1) / (k1 * norm[weights.indices] + weights.data)
    return _reweighted(weights, saturated * _idf(weights))


def _idf(weights: csr_matrix) -> NDArray[np.float64]:
    """Float64 (nnz,): idf_u of the user of each stored value."""
    likes = np.diff(weights.indptr)
    idf = np.log(weights.shape[1]) - np.log1p(likes)
    return np.asarray(np.repeat(idf, likes))


def _reweighted(matrix: csr_matrix, data: NDArray[np.float64]) -> csr_matrix:
    return csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def similarities(weights: csr_matrix, neighbours: int, shrinkage: float | None) -> csr_matrix:
    """The largest similarities of each item; of equal ones that of the first column.

    Args:
        weights: float64 CSR (n_users, n_items).
        neighbours: number of similarities to keep in each row, such as 100.
        shrinkage: number added to the product of norms by which v_i·v_j is divided, such as 50.0;
            None for v_i·v_j itself.

    Returns:
        Float64 CSR (n_items, n_items) with a zero diagonal.
    """
    n_items = weights.shape[1]
    by_item = weights.T.tocsr()
    norm = np.sqrt(np.bincount(weights.indices, weights.data**2, minlength=n_items))
    depth = min(neighbours, n_items)
    ids = np.full((n_items, depth), -1, dtype=np.int32)
    values = np.zeros((n_items, depth))
    strongest(
        by_item.indptr,
        by_item.indices,
        by_item.data,
        weights.indptr,
        weights.indices,
        weights.data,
        norm,
        -1.0 if shrinkage is None else float(shrinkage),
        ids,
        values,
    )
    kept = ids >= 0
    start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    similar = csr_matrix((values[kept], ids[kept], start), shape=(n_items, n_items))
    return similar.tocsc().tocsr()  # sorts each row, and more quickly than `sort_indices`
