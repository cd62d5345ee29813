"""What a metric is given (`Judged`: recommendations and what users liked later), and what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


@dataclass(frozen=True, eq=False)
class Judged:
    """Recommendations to n users, judged by what these liked later.

    Attributes:
        item_ids: int32 (n, k), best first, -1 for empty slots.
        hits: bool (n, k), where the user liked the item later.
        n_relevant: int64 (n,), items that the user liked later, recommended or not.
        likers: int64 (n_items,), number of users of the training log who liked an item.
        n_users: number of users of the training log who liked anything.
        n_candidates: items that could have been recommended.
        consumed: float64 (n,), mean popularity of what the user liked in the training log; NaN
            where that is nothing.
        utility: float (n, k), in a world the true chance that the user clicks the item when looking
            at it, NaN for empty slots; None where nobody knows.
        looks: float (k,), in a world the chance that a rank is looked at.
    """

    item_ids: NDArray[np.int32]
    hits: NDArray[np.bool_]
    n_relevant: NDArray[np.int64]
    likers: NDArray[np.int64]
    n_users: int
    n_candidates: int
    consumed: NDArray[np.float64]
    utility: NDArray[np.floating[Any]] | None = None
    looks: NDArray[np.floating[Any]] | None = None

    def only(self, rows: NDArray[Any]) -> Judged:
        """A part of the users.

        Args:
            rows: positions, or a bool mask (n,).
        """
        return replace(
            self,
            item_ids=self.item_ids[rows],
            hits=self.hits[rows],
            n_relevant=self.n_relevant[rows],
            consumed=self.consumed[rows],
            utility=None if self.utility is None else self.utility[rows],
        )


@dataclass(frozen=True)
class Metric:
    """A figure of merit, from 0 up unless it says otherwise.

    Attributes:
        name: its key, as in configs and result frames.
        title: its name for people.
        unit: what the figure is counted in.
        formula: one line.
        kind: "user": `function` gives float64 (n,), NaN where it is undefined, and a group's figure
            is the mean over those of its users who have one. "group": it gives a single float64.
        function: from judged recommendations to the figure, or to one for each user.
    """

    name: str
    title: str
    unit: str
    formula: str
    kind: Literal["user", "group"]
    function: Callable[[Judged], NDArray[np.float64]]

    def over(self, judged: Judged) -> tuple[float, int]:
        """The figure of a group, and how many users are behind it; NaN and 0 where there is none.

        This is where means over users are taken, in the order of the rows.
        """
        values = self.function(judged)
        if self.kind == "group":
            n_users = judged.item_ids.shape[0] if not np.isnan(values) else 0
            return float(values), n_users
        n_users = int((~np.isnan(values)).sum())
        return (float(np.nanmean(values)) if n_users else float("nan")), n_users


def judge(
    item_ids: NDArray[np.int32],
    users: NDArray[np.integer[Any]],
    relevant: csr_matrix,
    liked: csr_matrix,
    n_candidates: int,
) -> Judged:
    """Judges recommendations by what was liked later, and describes their items.

    Args:
        item_ids: int32 (n, k), best first, -1 for empty slots.
        users: int (n,), dense ids.
        relevant: CSR (n_users, n_items), nonzero where a user liked an item later.
        liked: CSR (n_users, n_items), nonzero where a user liked an item in the training log.
        n_candidates: items that could have been recommended.

    Raises:
        ValueError: on shapes that do not fit one another.

    >>> later = csr_matrix([[0, 1, 1], [0, 0, 0]])
    >>> before = csr_matrix([[1, 0, 0], [1, 1, 0]])
    >>> judged = judge(np.array([[1, 0], [2, -1]], np.int32), np.array([0, 1]), later, before, 3)
    >>> judged.hits.tolist(), judged.n_relevant.tolist(), judged.consumed.tolist()
    ([[True, False], [False, False]], [2, 0], [1.0, 0.75])
    """
    if relevant.shape != liked.shape:
        raise ValueError(f"relevant has shape {relevant.shape} and liked {liked.shape}")
    hits, n_relevant = hits_of(item_ids, relevant[users])
    likers = np.bincount(liked.indices, minlength=liked.shape[1]).astype(np.int64)
    n_users = int((np.diff(liked.indptr) > 0).sum())
    ones = csr_matrix((np.ones(liked.nnz), liked.indices, liked.indptr), shape=liked.shape)
    counts = np.diff(liked.indptr)[users]
    total = (ones @ (likers / max(n_users, 1)))[users]
    consumed = np.divide(total, counts, out=np.full(counts.size, np.nan), where=counts > 0)
    return Judged(item_ids, hits, n_relevant, likers, n_users, n_candidates, consumed)


def hits_of(
    item_ids: NDArray[np.int32], relevant: csr_matrix
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which recommendations are relevant, and how many items are.

    Args:
        item_ids: int32 (n, k), -1 for empty slots.
        relevant: CSR (n, n_items), nonzero where the item is relevant to the row's user.

    Returns:
        Bool (n, k), and int64 (n,).

    Raises:
        ValueError: on shapes that do not fit one another.

    >>> hits_of(np.array([[2, 0], [1, -1]], np.int32), csr_matrix([[1, 1, 0], [0, 1, 0]]))
    (array([[False,  True],
           [ True, False]]), array([2, 1]))
    """
    if item_ids.ndim != 2 or item_ids.shape[0] != relevant.shape[0]:
        raise ValueError(
            f"item_ids has shape {item_ids.shape}; expected ({relevant.shape[0]}, k), a row for "
            "each of relevant"
        )
    n_items = relevant.shape[1]
    if item_ids.size and not -1 <= item_ids.min() <= item_ids.max() < n_items:
        raise ValueError(f"item_ids must be -1 to {n_items - 1}, the columns of relevant")
    there = relevant.tocoo()
    kept = there.data != 0
    pairs = there.row[kept].astype(np.int64) * n_items + there.col[kept]
    rows = np.arange(item_ids.shape[0], dtype=np.int64)[:, None]
    hits = np.isin(rows * n_items + item_ids, pairs) & (item_ids >= 0)
    counts = np.bincount(there.row[kept], minlength=item_ids.shape[0])
    return hits, counts.astype(np.int64)
