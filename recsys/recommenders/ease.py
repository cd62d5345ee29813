"""EASE: predicts items from items by a linear model in closed form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix

from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.core.threads import single_threaded_blas
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Model, Removal, Scores, Users, binary
from recsys.recommenders.collaborative import Collaborative, CollaborativeModel
from recsys.recommenders.fits import check_array, check_matrix
from recsys.recommenders.kernels import mirror_upper
from recsys.recommenders.recency import log_recency, multiply

_FEW = 0.5
"""Removal costs less than a new fit up to this number of removed users per item, as measured by
tests/benchmarks."""
_BLOCK = 1024
"""Number of rows that are removed at a time. It bounds the memory; another number changes only the
last bits of a result."""


class EASE(Collaborative):
    """Predicts each item of a user from the user's other items by ridge regression.

    B = I - P diag(P)^-1 with P = (XᵀX + λI)^-1: the least-squares weights with a zero diagonal.
    Steck 2019, "Embarrassingly shallow autoencoders for sparse data"; with `dropout` the penalty of
    EDLAE, Steck 2020, "Autoencoders that don't overfit towards the identity". Use it for up to some
    thousand items: it is accurate and needs no training seed, but its cost grows with the cube of
    the number of items.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> EASE(regularization=1.0).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = True

    regularization: float = Field(default=400.0, gt=0)
    """Ridge penalty λ."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability p with which each like is hidden from the model that has to predict it, in the
    mean over all ways to hide likes: λ_j = λ + p/(1-p) · (likes of item j). 0 hides none."""
    memory_gb: float = Field(default=9.0, gt=0)
    """Most memory in GiB that a fit may take; it holds three dense matrices of items × items. The
    limit does not depend on the machine, so that a study runs on every machine or on none."""

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> "EASEModel":
        """Solves for the item weights; see `Recommender.fit`. The seed has no effect.

        Raises:
            LogError: the log holds no positive event, or its items need more than `memory_gb`.
        """
        liked = binary(log)
        need = memory_of(liked.shape[1])
        if need > self.memory_gb:
            raise LogError(
                f"ease holds dense matrices of items: {liked.shape[1]:,} items take {need:.2g} GiB,"
                f" more than memory_gb = {self.memory_gb:g}; raise memory_gb if the machine has as "
                "much, leave out rare items (log.min_item_events), or use als"
            )
        gram = (liked.T @ liked).toarray()
        if self.dropout > 0:
            gram[np.diag_indices_from(gram)] /= 1 - self.dropout  # 1 + p / (1 - p)
        inverse = inverse_gram(gram, self.regularization)
        return self._model(log, liked, inverse)

    def _model(
        self, log: InteractionLog, liked: csr_matrix, inverse: NDArray[np.float64]
    ) -> "EASEModel":
        recency = log_recency(log, self.recency)
        days = self.candidate_days
        return EASEModel(log, liked, inverse, candidate_days=days, recency=recency)

    def fit_without(
        self, model: Model, log: InteractionLog, users: Users, seed: int = 0
    ) -> "EASEModel":
        """See `Recommender.fit_without`; few users are removed exactly by `without_rows`."""
        assert isinstance(model, EASEModel)
        if self.prefers_removal(model, users):
            return self.removed(model, log, users)
        return self.fit(log, seed)

    def prefers_removal(self, model: "EASEModel", users: Users) -> bool:
        """Whether removal is quicker than a new fit: at most half as many users as items go.

        With dropout the diagonal changes with the users, and nothing is removed.
        """
        if self.dropout > 0:
            return False
        rows = model.hot_row[users]
        return bool((rows >= 0).sum() <= _FEW * model.liked.shape[1])

    def removed(self, model: "EASEModel", log: InteractionLog, users: Users) -> "EASEModel":
        """The fit without some users, by exact removal, however many they are.

        Args:
            model: the fit of the whole log.
            log: the whole log without the events of these users.
            users: int, dense ids of the removed users, such as `np.array([3, 8])`.
        """
        rows = model.hot_row[users]
        inverse = without_rows(model.inverse, model.liked[rows[rows >= 0]])
        left = model.hot_column[log.interactions.items]
        inverse = np.ascontiguousarray(inverse[np.ix_(left, left)])
        return self._model(log, binary(log), inverse)

    def removal(self, model: Model, log: InteractionLog, users: Users) -> Removal | None:
        """See `Recommender.removal`; None with dropout, or if `memory_gb` holds no two models."""
        assert isinstance(model, EASEModel)
        if self.dropout > 0 or 2 * memory_of(model.liked.shape[1]) > self.memory_gb:
            return None
        removed, fitted = self.removed(model, log, users), self.fit(log)
        return Removal(
            removed,
            fitted,
            fitted.liked.shape[1],
            float(np.abs(removed.weights - fitted.weights).max()),
            self.prefers_removal(model, users),
        )


@dataclass(frozen=True)
class EASEModel(CollaborativeModel):
    """The model that ease learns.

    Attributes:
        liked: X, float64 CSR (n_hot_users, n_hot_items) of likes, in the order of keys.
        inverse: P = (XᵀX + λI)^-1, float64 (n_hot_items, n_hot_items).
    """

    liked: csr_matrix
    inverse: NDArray[np.float64]

    def check(self) -> None:
        """See `Model.check`."""
        super().check()
        hot = self.log.interactions
        check_matrix("liked", self.liked, (hot.users.size, hot.items.size))
        check_array("inverse", self.inverse, (hot.items.size, hot.items.size), np.float64)

    @lazy
    def weights(self) -> NDArray[np.float64]:
        """B, float64 (n_hot_items, n_hot_items); column j predicts item j, the diagonal is 0."""
        return item_weights(self.inverse)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; the columns of the items are copied once, unless all are scored."""
        columns = self.hot_column[items]
        all_items = np.array_equal(columns, np.arange(self.liked.shape[1]))
        weights = self.weights if all_items else np.ascontiguousarray(self.weights[:, columns])
        if self.recency is None:
            return lambda users: np.asarray(self.liked[self.hot_row[users]] @ weights)
        recency = self.recency[items]

        def score(users: Users) -> Scores:
            scores = np.asarray(self.liked[self.hot_row[users]] @ weights)
            multiply(scores, recency)
            return scores

        return score


def memory_of(items: int) -> float:
    """GiB that a fit takes: XᵀX, which becomes P, then B, and a copy while B is made from P.

    Args:
        items: number of items with positive events, such as 20_000.

    >>> memory_of(20_000)
    8.94
    """
    return 3 * 8 * items**2 / 2**30


def item_weights(inverse: NDArray[np.float64]) -> NDArray[np.float64]:
    """B = I - P diag(P)^-1 of EASE.

    Args:
        inverse: P, float64 (n_items, n_items), symmetric.

    >>> item_weights(np.array([[2.0, -1.0], [-1.0, 2.0]])).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0
    return np.asarray(weights)


def inverse_gram(gram: NDArray[np.float64], regularization: float) -> NDArray[np.float64]:
    """P = (XᵀX + λI)^-1 by Cholesky.

    Args:
        gram: XᵀX, float64 (n_items, n_items), symmetric; overwritten.
        regularization: λ > 0, such as 2000.0.

    Returns:
        Float64 (n_items, n_items), symmetric to the bit.

    Raises:
        LogError: the matrix is not positive definite in floating point.

    >>> inverse_gram(np.array([[2.0, 0.0], [0.0, 1.0]]), 2.0).round(6).tolist()
    [[0.25, 0.0], [0.0, 0.333333]]
    """
    from scipy.linalg.lapack import dpotrf, dpotri

    gram[np.diag_indices_from(gram)] += regularization
    with single_threaded_blas():
        # LAPACK wants Fortran order, which the transpose of a C array has without a copy. The lower
        # triangle of the transpose is the upper one of `gram`.
        factor, failed = dpotrf(gram.T, lower=True, overwrite_a=True)
        inverse, failed_too = dpotri(factor, lower=True, overwrite_c=True)
    if failed or failed_too:
        raise LogError("ease: the item matrix cannot be inverted; raise regularization")
    upper: NDArray[np.float64] = inverse.T
    mirror_upper(upper)
    return upper


def without_rows(inverse: NDArray[np.float64], removed: csr_matrix) -> NDArray[np.float64]:
    """P after rows C were removed from X: P + P Cᵀ (I - C P Cᵀ)^-1 C P, exact (Woodbury).

    Args:
        inverse: P, float64 (n_items, n_items).
        removed: C, float64 CSR (n_removed, n_items), rows of X.

    Returns:
        Float64 (n_items, n_items).

    >>> P = inverse_gram(np.array([[2.0, 0.0], [0.0, 1.0]]), 2.0)
    >>> without_rows(P, csr_matrix([[1.0, 0.0]])).round(6).tolist()
    [[0.333333, 0.0], [0.0, 0.333333]]
    """
    from scipy.linalg import cholesky, solve_triangular

    updated = np.array(inverse)
    with single_threaded_blas():
        for start in range(0, removed.shape[0], _BLOCK):
            rows = removed[start : start + _BLOCK]
            product = rows @ updated  # C P
            core = np.eye(rows.shape[0]) - rows @ product.T
            lower = cholesky((core + core.T) / 2, lower=True, check_finite=False)
            half = solve_triangular(lower, product, lower=True, check_finite=False)
            updated += half.T @ half  # a product of this form is symmetric to the bit
    return updated
