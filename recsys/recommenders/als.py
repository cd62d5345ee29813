"""ALS: matrix factorisation of implicit feedback, started from factors that belong to entities."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.errors import LogError
from recsys.log import InteractionLog
from recsys.noise import Stream, normals
from recsys.recommenders.base import Model, Recommender, Scores, Users
from recsys.threads import single_threaded_blas

__all__ = ["ALS", "starting_factors"]


class ALS(Recommender):
    """Users and items as vectors whose product predicts a like, weighted by how often it happened.

    Minimises Σ c_ui (p_ui - x_u·y_i)² + λ(Σ|x_u|² + Σ|y_i|²) over all pairs: p = 1 and
    c = alpha·weight where there was an event, p = 0 and c = 1 elsewhere. So `implicit` solves it;
    Hu, Koren & Volinsky 2008, "Collaborative filtering for implicit feedback datasets", have
    c = 1 + alpha·weight. An entity's starting factors depend on the training seed and its key
    alone, so that people who do nothing move nobody's feed. Use it where items are many.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> ALS(factors=2).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False

    factors: int = Field(default=64, ge=1, le=1024)
    """Length of the vectors."""
    regularization: float = Field(default=1.0, ge=0)
    """Penalty λ on the vectors."""
    alpha: float = Field(default=10.0, gt=0)
    """Confidence per unit of event weight; 1 is the confidence in an absence."""
    iterations: int = Field(default=10, ge=1)
    """Sweeps over users and items."""
    warm_iterations: int = Field(default=3, ge=1)
    """Sweeps where it goes on from a previous model."""

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> "ALSModel":
        """Alternates the two least-squares problems; see `Recommender.fit`.

        Args:
            log: the training log.
            seed: draws the starting factors.
            previous: an `ALSModel` with as many factors, from whose vectors to go on.
        """
        from implicit.cpu.als import AlternatingLeastSquares

        hot = log.interactions
        if hot.weights.nnz == 0:
            raise LogError("the training log holds no positive event: als has nothing to learn")
        before = previous if isinstance(previous, ALSModel) else None
        warm = before is not None and before.factors == self.factors
        with single_threaded_blas():
            solver = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.warm_iterations if warm else self.iterations,
                dtype=np.float32,
                num_threads=1,
                random_state=0,
            )
            users, items = before.by_key if before is not None and warm else (None, None)
            solver.user_factors = self._start(seed, Stream.MODEL_USER, hot.user_keys, users)
            solver.item_factors = self._start(seed, Stream.MODEL_ITEM, hot.item_keys, items)
            solver.fit(hot.weights, show_progress=False)
        return ALSModel(log, solver.user_factors, solver.item_factors)

    def _start(
        self, seed: int, stream: Stream, keys: NDArray[np.uint64], before: "_ByKey | None"
    ) -> NDArray[np.float32]:
        """Yesterday's factors of those who were there, keyed draws for the others."""
        if before is None:
            return starting_factors(seed, stream, keys, self.factors)
        factors = np.empty((keys.size, self.factors), dtype=np.float32)
        old_keys, old_factors = before
        _, now, then = np.intersect1d(keys, old_keys, assume_unique=True, return_indices=True)
        new = np.ones(keys.size, dtype=np.bool_)
        new[now] = False
        factors[now] = old_factors[then]
        factors[new] = starting_factors(seed, stream, keys[new], self.factors)
        return factors


_ByKey = tuple[NDArray[np.uint64], NDArray[np.float32]]
"""Keys, sorted, and their factors."""


@dataclass(frozen=True)
class ALSModel(Model):
    """Factors of hot users and items, in key order, float32."""

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    @property
    def factors(self) -> int:
        """Length of the vectors."""
        return int(self.user_factors.shape[1])

    @property
    def by_key(self) -> tuple[_ByKey, _ByKey]:
        """Users' and items' keys and factors."""
        hot = self.log.interactions
        return (hot.user_keys, self.user_factors), (hot.item_keys, self.item_factors)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        theirs = self.item_factors[self.hot_column[items]]
        return np.asarray(self.user_factors[self.hot_row[users]] @ theirs.T)


def starting_factors(
    seed: int, stream: Stream, keys: NDArray[np.uint64], factors: int
) -> NDArray[np.float32]:
    """Small normal factors, each entity's drawn at its key.

    Args:
        seed: training seed.
        stream: `Stream.MODEL_USER` or `Stream.MODEL_ITEM`.
        keys: uint64 (n,).
        factors: length of a vector.

    Returns:
        float32 (n, factors), standard deviation 0.01.

    >>> a = starting_factors(0, Stream.MODEL_USER, np.array([5, 9], np.uint64), 3)
    >>> b = starting_factors(0, Stream.MODEL_USER, np.array([9], np.uint64), 3)
    >>> bool((a[1] == b[0]).all())
    True
    """
    blocks = np.arange(-(-factors // 4))
    low, high = keys & np.uint64(0xFFFFFFFF), keys >> np.uint64(32)
    z = normals(seed, stream, low[:, None], high[:, None], blocks)
    return (0.01 * z.reshape(keys.size, -1)[:, :factors]).astype(np.float32)
