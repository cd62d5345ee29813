"""Half-steps of ALS with a weight for each user and a pull to old factors.

The sweeps of als have neither weights of users nor a pull. With the factors x_u of users fixed, the
factors of an item are

    y = (A + μI)^-1 (b + μ y_old)
    A = Σ_u w_u (1 + (c_u - 1)[u liked it]) x_u x_uᵀ + λI,   b = Σ_{u liked it} w_u c_u x_u

as in Hu, Koren & Volinsky 2008, where w_u is a weight of all pairs of user u, and λ is the item's
penalty (`recsys.recommenders.least_squares.penalties`). Each item is solved
alone, in float64, so that its bits do not depend on the other items.
"""
# mypy: disallow-untyped-decorators=False

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.errors import ConfigError
from recsys.core.lazy import lazy
from recsys.core.threads import single_threaded_blas
from recsys.logs.log import InteractionLog
from recsys.mitigations.base import innermost, layers
from recsys.recommenders.als import ALS, ALSModel
from recsys.recommenders.base import Recommender, Users
from recsys.recommenders.least_squares import penalties
from recsys.recommenders.recency import log_recency

Factors = NDArray[np.float64]
Pull = NDArray[np.floating[Any]] | float
"""μ of each row, (n,), or of all rows."""
ByKey = tuple[NDArray[np.uint64], NDArray[np.floating[Any]]]
"""Distinct keys, (n,), and the factors of their users or items, (n, f)."""


def als_of(recommender: Recommender, name: str) -> ALS:
    """The ALS inside a recommender.

    Args:
        recommender: wrapped or not.
        name: name of the mitigation for the error, such as "anchor".

    Raises:
        ConfigError: the recommender is not als.
    """
    inner = innermost(recommender)
    if not isinstance(inner, ALS):
        raise ConfigError(
            f"{name} changes the factors of als and cannot act on {type(inner).__name__}"
        )
    return inner


def influence(recommender: Recommender, log: InteractionLog) -> Factors:
    """The weight w_u of each hot user in what is learned about items, float64 (n_hot_users,).

    Args:
        recommender: a recommender, whose mitigations may give newcomers a lower weight.
        log: the training log.
    """
    weight = 1.0
    for layer in layers(recommender):
        weight *= layer.mitigation.weigh(log)
    return np.where(log.newcomers[log.interactions.users], weight, 1.0)


@dataclass(frozen=True)
class TaughtModel(ALSModel):
    """An ALS model that may hold items from which nothing was learned.

    This happens where all users who liked an item have weight 0.

    Attributes:
        taught: bool (n_hot_items,), whether a user with a weight above 0 liked the item; other
            items are not served.
        reached: bool (n_hot_users,), whether the user liked a taught item; the model cannot serve
            other users.
    """

    taught: NDArray[np.bool_]
    reached: NDArray[np.bool_]

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """See `Model.scorable`."""
        return self.log.interactions.items[self.taught]

    def can_serve(self, users: Users) -> NDArray[np.bool_]:
        """See `Model.can_serve`."""
        row = self.hot_row[np.asarray(users)]
        return np.asarray(super().can_serve(users) & (row >= 0) & self.reached[row])

    @property
    def by_key(self) -> Any:
        """Keys and factors of the reached users, and of the taught items."""
        hot = self.log.interactions
        return (
            (hot.user_keys[self.reached], self.user_factors[self.reached]),
            (hot.item_keys[self.taught], self.item_factors[self.taught]),
        )


class Problem(NamedTuple):
    """The least-squares problem of an ALS fit, with a weight for each user."""

    log: InteractionLog
    """The training log."""
    confidence: csr_matrix
    """c = alpha·weight, float64 CSR (n_hot_users, n_taught_items)."""
    influence: Factors
    """w_u, float64 (n_hot_users,)."""
    taught: NDArray[np.bool_]
    """(n_hot_items,), whether a user with a weight above 0 liked the item."""
    als: ALS
    """Gives λ and ν."""
    candidate_days: float | None
    """See `Collaborative.candidate_days`."""
    recency: NDArray[np.float64] | None
    """See `CollaborativeModel.recency`."""

    @classmethod
    def of(cls, als: ALS, log: InteractionLog, influence: Factors) -> "Problem":
        """The problem of a log.

        Args:
            als: gives alpha, λ and the window.
            log: the training log.
            influence: w_u, float64 (n_hot_users,).
        """
        weights = log.interactions.weights
        taught = np.zeros(weights.shape[1], dtype=np.bool_)
        taught[weights[influence > 0].indices] = True
        confidence = weights[:, np.flatnonzero(taught)].astype(np.float64) * als.alpha
        return cls(
            log,
            csr_matrix(confidence),
            influence,
            taught,
            als,
            als.candidate_days,
            log_recency(log, als.recency),
        )

    @property
    def item_keys(self) -> NDArray[np.uint64]:
        """Keys of the taught items."""
        return self.log.interactions.item_keys[self.taught]

    def items(self, users: Factors, mu: Pull = 0.0, old: Factors | None = None) -> Factors:
        """Factors of the taught items given those of users; `mu` and `old` as in `half_step`."""
        has_weight = self.influence > 0
        confidence = self.confidence[has_weight].T.tocsr()
        confidence.sort_indices()
        weights = self.influence[has_weight]
        penalty = penalties(confidence, self.als.regularization, self.als.frequency, weights)
        return half_step(confidence, users[has_weight], penalty, weights, mu, old)

    def users(self, items: Factors, mu: Pull = 0.0, old: Factors | None = None) -> Factors:
        """Factors of users given those of the taught items; `mu` and `old` as in `half_step`."""
        ones = np.ones(items.shape[0])
        penalty = penalties(self.confidence, self.als.regularization, self.als.frequency)
        return half_step(self.confidence, items, penalty, ones, mu, old)

    def model(self, users: Factors, items: Factors) -> TaughtModel:
        """The model with these factors of users and of taught items."""
        item_factors = np.zeros((self.taught.size, items.shape[1]), dtype=np.float32)
        item_factors[self.taught] = items
        reached = np.diff(self.confidence.indptr) > 0
        return TaughtModel(
            self.log,
            users.astype(np.float32),
            item_factors,
            self.taught,
            reached,
            candidate_days=self.candidate_days,
            recency=self.recency,
        )


def aligned(keys: NDArray[np.uint64], before: ByKey) -> tuple[Factors, NDArray[np.bool_]]:
    """Factors of an earlier model, put in the order of other keys.

    Args:
        keys: uint64 (n,), distinct.
        before: keys and factors (n_before, f) of the earlier model.

    Returns:
        Float64 (n, f), 0 for a key without factors; and bool (n,), whether a key has factors.

    >>> before = (np.array([3], np.uint64), np.ones((1, 2)))
    >>> aligned(np.array([1, 3], np.uint64), before)[0].tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    old_keys, old_factors = before
    _, rows, old_rows = np.intersect1d(keys, old_keys, assume_unique=True, return_indices=True)
    factors = np.zeros((keys.size, old_factors.shape[1]))
    factors[rows] = old_factors[old_rows]
    has_factors = np.zeros(keys.size, dtype=np.bool_)
    has_factors[rows] = True
    return factors, has_factors


def half_step(
    confidence: csr_matrix,
    fixed: Factors,
    penalty: Pull,
    weights: Factors,
    mu: Pull = 0.0,
    old: Factors | None = None,
) -> Factors:
    """Factors of one side, solved exactly while those of the other side are fixed.

    Args:
        confidence: c where there was an event, float64 CSR (n, m).
        fixed: factors of the other side, float64 (m, f).
        penalty: λ, a number such as 1.0 or one per row.
        weights: w of the other side, float64 (m,).
        mu: μ, a number such as 100.0 or one per row.
        old: factors to which μ pulls, float64 (n, f); None for 0.

    Returns:
        Float64 (n, f).

    >>> half_step(csr_matrix([[3.0]]), np.ones((1, 1)), 1.0, np.ones(1)).tolist()  # 3 / (3 + 1)
    [[0.75]]
    """
    n, f = confidence.shape[0], fixed.shape[1]
    fixed = np.ascontiguousarray(fixed, dtype=np.float64)
    with single_threaded_blas():
        gram = (fixed * weights[:, None]).T @ fixed
    pull, ridge = (
        np.broadcast_to(np.asarray(each, dtype=np.float64), (n,)).copy() for each in (mu, penalty)
    )
    towards = np.zeros((n, f)) if old is None else np.ascontiguousarray(old, dtype=np.float64)
    out = np.empty((n, f))
    _solve_rows(
        confidence.indptr.astype(np.int64),
        confidence.indices.astype(np.int64),
        np.asarray(confidence.data, dtype=np.float64),
        fixed,
        weights,
        gram,
        ridge,
        pull,
        towards,
        out,
    )
    return out


@njit(nogil=True, cache=True)
def _solve_rows(indptr, indices, confidence, fixed, weights, gram, penalty, mu, old, out):  # type: ignore[no-untyped-def]
    """Solves each row's equations by Cholesky, in the lower triangle."""
    f = fixed.shape[1]
    a = np.empty((f, f))
    for row in range(indptr.size - 1):
        a[:] = gram
        largest = 0.0
        for i in range(f):
            a[i, i] += penalty[row] + mu[row]
            out[row, i] = mu[row] * old[row, i]
        for place in range(indptr[row], indptr[row + 1]):
            other = indices[place]
            w, c, x = weights[other], confidence[place], fixed[other]
            for i in range(f):
                out[row, i] += w * c * x[i]
                more = w * (c - 1) * x[i]
                for j in range(i + 1):
                    a[i, j] += more * x[j]
        for i in range(f):
            largest = max(largest, a[i, i])
        least = max(1e-10 * largest, 1e-30)  # λ = 0 may leave a pivot of 0
        for i in range(f):
            for j in range(i + 1):
                value = a[i, j]
                for step in range(j):
                    value -= a[i, step] * a[j, step]
                if i == j:
                    a[i, i] = np.sqrt(max(value, least))
                else:
                    a[i, j] = value / a[j, j]
        for i in range(f):
            for j in range(i):
                out[row, i] -= a[i, j] * out[row, j]
            out[row, i] /= a[i, i]
        for i in range(f - 1, -1, -1):
            for j in range(i + 1, f):
                out[row, i] -= a[j, i] * out[row, j]
            out[row, i] /= a[i, i]
