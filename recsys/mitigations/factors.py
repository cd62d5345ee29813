"""Half-steps of ALS of our own: exact, with a weight for each teacher and a pull to old factors.

The library's ALS takes neither. With the other side's factors x_u fixed, an item's are

    y = (A + μI)^-1 (b + μ y_old)
    A = Σ_u w_u (1 + (c_u - 1)[u liked it]) x_u x_uᵀ + λI,   b = Σ_{u liked it} w_u c_u x_u

Hu, Koren & Volinsky 2008, with w_u the weight of a user's whole row. Each row is solved alone, in
float64, so that its bits do not depend on which others there are.
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

Factors = NDArray[np.float64]
Pull = NDArray[np.floating[Any]] | float
ByKey = tuple[NDArray[np.uint64], NDArray[np.floating[Any]]]


def als_of(recommender: Recommender, name: str) -> ALS:
    """The ALS inside a recommender.

    Args:
        recommender: wrapped or not.
        name: the mitigation that asks, for the error.

    Raises:
        ConfigError: it is another recommender.
    """
    inner = innermost(recommender)
    if not isinstance(inner, ALS):
        raise ConfigError(
            f"{name} acts on the factors of als; {type(inner).__name__} has none that it knows"
        )
    return inner


def influence(recommender: Recommender, log: InteractionLog) -> Factors:
    """The weight of each hot user of a log as a teacher of items, float64 (n_hot_users,).

    Args:
        recommender: whose mitigations say what newcomers count.
        log: the training log.
    """
    weight = 1.0
    for layer in layers(recommender):
        weight *= layer.mitigation.weigh(log)
    return np.where(log.newcomers[log.interactions.users], weight, 1.0)


@dataclass(frozen=True)
class TaughtModel(ALSModel):
    """An ALS model some of whose items nobody teaches, and some of whose users know only those.

    Attributes:
        taught: bool (n_hot_items,); what is not taught is not served.
        reached: bool (n_hot_users,); who likes nothing that is taught is not served.
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
        """Keys and factors of the users and items that have some."""
        hot = self.log.interactions
        return (
            (hot.user_keys[self.reached], self.user_factors[self.reached]),
            (hot.item_keys[self.taught], self.item_factors[self.taught]),
        )


class Problem(NamedTuple):
    """What one ALS fit is to explain, with a weight for each user."""

    log: InteractionLog
    confidence: csr_matrix
    """Float64 (n_hot_users, n_taught_items): alpha·weight."""
    influence: Factors
    """(n_hot_users,)."""
    taught: NDArray[np.bool_]
    """(n_hot_items,): who teaches it has a weight above 0."""
    regularization: float

    @classmethod
    def of(cls, als: ALS, log: InteractionLog, influence: Factors) -> "Problem":
        """The problem of a log under the options of an ALS."""
        weights = log.interactions.weights
        taught = np.zeros(weights.shape[1], dtype=np.bool_)
        taught[weights[influence > 0].indices] = True
        confidence = weights[:, np.flatnonzero(taught)].astype(np.float64) * als.alpha
        return cls(log, csr_matrix(confidence), influence, taught, als.regularization)

    @property
    def item_keys(self) -> NDArray[np.uint64]:
        """Of the taught items."""
        return self.log.interactions.item_keys[self.taught]

    def items(self, users: Factors, mu: Pull = 0.0, old: Factors | None = None) -> Factors:
        """Items' factors from the users' who teach; μ and old factors as in `half_step`."""
        teachers = self.influence > 0
        confidence = self.confidence[teachers].T.tocsr()
        confidence.sort_indices()
        weights = self.influence[teachers]
        return half_step(confidence, users[teachers], self.regularization, weights, mu, old)

    def users(self, items: Factors, mu: Pull = 0.0, old: Factors | None = None) -> Factors:
        """Users' factors from those of the taught items."""
        ones = np.ones(items.shape[0])
        return half_step(self.confidence, items, self.regularization, ones, mu, old)

    def model(self, users: Factors, items: Factors) -> TaughtModel:
        """The fitted model."""
        every = np.zeros((self.taught.size, items.shape[1]), dtype=np.float32)
        every[self.taught] = items
        reached = np.diff(self.confidence.indptr) > 0
        return TaughtModel(self.log, users.astype(np.float32), every, self.taught, reached)


def aligned(keys: NDArray[np.uint64], known: ByKey) -> tuple[Factors, NDArray[np.bool_]]:
    """Factors by key in the order of other keys.

    Args:
        keys: uint64 (n,), distinct.
        known: distinct keys, and factors (n_known, f).

    Returns:
        float64 (n, f), 0 where a key has none, and bool (n,) whether it has.

    >>> known = (np.array([3], np.uint64), np.ones((1, 2)))
    >>> aligned(np.array([1, 3], np.uint64), known)[0].tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    old_keys, old = known
    _, now, then = np.intersect1d(keys, old_keys, assume_unique=True, return_indices=True)
    factors = np.zeros((keys.size, old.shape[1]))
    factors[now] = old[then]
    has = np.zeros(keys.size, dtype=np.bool_)
    has[now] = True
    return factors, has


def half_step(
    confidence: csr_matrix,
    fixed: Factors,
    regularization: float,
    weights: Factors,
    mu: Pull = 0.0,
    old: Factors | None = None,
) -> Factors:
    """One side's factors, solved exactly with the other side's fixed.

    Args:
        confidence: float64 CSR (n, m), c where there was an event.
        fixed: float64 (m, f), factors of the other side.
        regularization: λ.
        weights: float64 (m,), w of the other side's rows.
        mu: μ of each row, or of all.
        old: float64 (n, f), what μ pulls to.

    Returns:
        float64 (n, f).

    >>> half_step(csr_matrix([[3.0]]), np.ones((1, 1)), 1.0, np.ones(1)).tolist()  # 3 / (3 + 1)
    [[0.75]]
    """
    n, f = confidence.shape[0], fixed.shape[1]
    fixed = np.ascontiguousarray(fixed, dtype=np.float64)
    with single_threaded_blas():
        gram = (fixed * weights[:, None]).T @ fixed
    gram[np.diag_indices(f)] += regularization
    pull = np.broadcast_to(np.asarray(mu, dtype=np.float64), (n,)).copy()
    towards = np.zeros((n, f)) if old is None else np.ascontiguousarray(old, dtype=np.float64)
    out = np.empty((n, f))
    _solve_rows(
        confidence.indptr.astype(np.int64),
        confidence.indices.astype(np.int64),
        np.asarray(confidence.data, dtype=np.float64),
        fixed,
        weights,
        gram,
        pull,
        towards,
        out,
    )
    return out


@njit(nogil=True, cache=True)
def _solve_rows(indptr, indices, confidence, fixed, weights, gram, mu, old, out):  # type: ignore[no-untyped-def]
    """Solves each row's equations by Cholesky, in the lower triangle."""
    f = fixed.shape[1]
    a = np.empty((f, f))
    for row in range(indptr.size - 1):
        a[:] = gram
        largest = 0.0
        for i in range(f):
            a[i, i] += mu[row]
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
        least = max(1e-10 * largest, 1e-30)  # where λ = 0 leaves a direction open
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
