"""What matrix factorisations share: a model of vectors, and vectors to start from.

An entity's starting vector depends on the training seed and its key alone, so that people who do
nothing move nobody's feed; yesterday's vectors are found again by key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.errors import LogError
from recsys.core.noise import Stream, key_words, normals
from recsys.core.threads import single_threaded_blas
from recsys.recommenders.base import Model, Scores, Users

ByKey = tuple[NDArray[np.uint64], NDArray[np.float32]]
"""Keys, sorted, and their factors."""


@dataclass(frozen=True)
class FactorModel(Model):
    """Factors of hot users and items, in key order, float32; scores are their products."""

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    @property
    def factors(self) -> int:
        """Length of the vectors, biases included."""
        return int(self.user_factors.shape[1])

    @property
    def by_key(self) -> tuple[ByKey, ByKey]:
        """Users' and items' keys and factors."""
        hot = self.log.interactions
        return (hot.user_keys, self.user_factors), (hot.item_keys, self.item_factors)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; the items' vectors are gathered once, and one result is reused.

        The product is taken in float64 and rounded: OpenBLAS' float32 product on processors with
        AVX2 alone gives a user other last bits in another row of the block.
        """
        item_vectors = self.item_factors[self.hot_column[items]].T.astype(np.float64, order="C")
        exact = np.empty((0, items.size))
        rounded = np.empty((0, items.size), dtype=np.float32)

        def score(users: Users) -> Scores:
            nonlocal exact, rounded
            if exact.shape[0] != users.size:
                exact = np.empty((users.size, items.size))
                rounded = np.empty((users.size, items.size), dtype=np.float32)
            user_vectors = self.user_factors[self.hot_row[users]].astype(np.float64)
            np.copyto(
                rounded, np.matmul(user_vectors, item_vectors, out=exact), casting="same_kind"
            )
            return rounded

        return score


def solve(solver: Any, likes: csr_matrix, name: str) -> None:
    """Runs a solver of `implicit` from the factors that it was given, on one thread.

    Args:
        solver: with `user_factors` and `item_factors`; changed.
        likes: float32 CSR (n_users, n_items), all positive.
        name: of the recommender, for errors.

    Raises:
        LogError: the factors leave the finite numbers.
    """
    from implicit.recommender_base import ModelFitError

    with single_threaded_blas():
        try:
            solver.fit(likes, show_progress=False)
        except ModelFitError as error:
            raise LogError(
                f"{name}: the factors are not finite any more; lower learning_rate, or raise "
                "regularization"
            ) from error


def warm_factors(
    seed: int, stream: Stream, keys: NDArray[np.uint64], factors: int, before: ByKey | None
) -> NDArray[np.float32]:
    """Yesterday's factors of those who were there, keyed draws for the others.

    Args:
        seed, stream, keys, factors: as in `starting_factors`; keys are distinct.
        before: yesterday's keys and factors; None: all are drawn.

    Returns:
        float32 (n, factors).
    """
    if before is None:
        return starting_factors(seed, stream, keys, factors)
    made = np.empty((keys.size, factors), dtype=np.float32)
    old_keys, old_factors = before
    _, now, then = np.intersect1d(keys, old_keys, assume_unique=True, return_indices=True)
    new = np.ones(keys.size, dtype=np.bool_)
    new[now] = False
    made[now] = old_factors[then]
    made[new] = starting_factors(seed, stream, keys[new], factors)
    return made


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
    z = normals(seed, stream, *key_words(keys[:, None]), blocks)
    return (0.01 * z.reshape(keys.size, 4 * blocks.size)[:, :factors]).astype(np.float32)
