"""Item neighbours: readers of this also read that."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix

from recsys.log import InteractionLog, Seen
from recsys.recommenders.base import BLOCK, Model, Recommender, Scores, Users, binary
from recsys.recommenders.kernels import top_k

__all__ = ["ItemKNN"]


class ItemKNN(Recommender):
    """Sums the cosine similarities of an item to the items a user liked.

    s_ij = |U_i ∩ U_j| / (sqrt(|U_i| |U_j|) + shrinkage) over the sets U of users who liked an item;
    of each item the most similar `neighbours` are kept. Deshpande & Karypis 2004, "Item-based
    top-N recommendation algorithms". Use it where reasons for a recommendation must be shown, or
    where items are few and users many.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> ItemKNN().fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = True

    neighbours: int = Field(default=100, ge=1)
    """How many similar items are kept for each item."""
    shrinkage: float = Field(default=10.0, ge=0)
    """Added to the denominator, so that similarities from few users count less."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "ItemKNNModel":
        """Counts co-occurrences; see `Recommender.fit`. The seed changes nothing."""
        liked = binary(log)
        return ItemKNNModel(log, liked, similarities(liked, self.neighbours, self.shrinkage))


@dataclass(frozen=True)
class ItemKNNModel(Model):
    """Likes (users × items) and similarities (items × items), both in key order."""

    liked: csr_matrix
    similar: csr_matrix

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`; 0 is no evidence, so such items are not recommended."""
        product = self.liked[self.hot_row[users]] @ self.similar[:, self.hot_column[items]]
        scores = product.toarray()
        scores[scores == 0] = -np.inf
        return np.asarray(scores)


def similarities(liked: csr_matrix, neighbours: int, shrinkage: float) -> csr_matrix:
    """Cosine similarities of items, of each item the strongest; equal ones in column order.

    Args:
        liked: float64 CSR (n_users, n_items) of 0 and 1.
        neighbours: how many are kept in each row.
        shrinkage: added to the denominator.

    Returns:
        float64 CSR (n_items, n_items) with a zero diagonal.
    """
    n_items = liked.shape[1]
    together = (liked.T @ liked).tocsr()
    size = np.sqrt(together.diagonal())
    none = np.zeros(1, dtype=np.int64)
    nothing_seen = Seen(none, none, np.zeros(0, dtype=np.int32))
    columns = np.arange(n_items)
    depth = min(neighbours, n_items)
    ids = np.full((n_items, depth), -1, dtype=np.int32)
    values = np.zeros((n_items, depth))
    for start in range(0, n_items, BLOCK):
        rows = columns[start : start + BLOCK]
        block = together[rows].toarray()
        block /= size[rows, None] * size + shrinkage
        block[np.arange(rows.size), rows] = 0
        block[block == 0] = -np.inf
        nobody = np.full(rows.size, -1)
        top_k(
            block,
            nobody,
            nothing_seen,
            columns,
            columns.astype(np.int32),
            rows,
            ids,
            values,
        )
    row, place = np.nonzero(ids >= 0)
    strongest = csr_matrix((values[row, place], (row, ids[row, place])), shape=together.shape)
    strongest.sort_indices()
    return strongest
