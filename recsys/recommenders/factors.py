"""What als, bpr, lmf and two_tower share: products of vectors, and vectors to start a fit from.

The starting vector of a user or an item depends on the training seed and its key alone, so that
users who do nothing change nobody's feed. Vectors of an earlier model are matched by key.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recsys.core.noise import Stream, key_words, normals
from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders.base import Model, Scores, Users
from recsys.recommenders.collaborative import CollaborativeModel
from recsys.recommenders.fits import check_array
from recsys.recommenders.ranking import Slots
from recsys.recommenders.recency import multiply
from recsys.recommenders.shortlist import write_best

ByKey = tuple[NDArray[np.uint64], NDArray[np.float32]]
"""Sorted keys, uint64 (n,), and the vectors of their users or items, float32 (n, factors)."""


class ProductModel(Model):
    """A model whose scores are products of the vectors of users and items."""

    recency: NDArray[np.float64] | None
    """(n_items,) the `log_recency` of the log; None without the option."""
    log_odds: ClassVar[bool] = False
    """Whether scores are on the scale of a logarithm, so that recency is added to them."""
    pruned: bool = False
    """Whether more than a few items are gone through by falling length of their vectors; see
    `shortlist`."""

    @abstractmethod
    def vectors_of_users(self, users: Users) -> NDArray[np.float32]:
        """Float32 (n_users, factors): vectors of users whom the model can serve."""

    @abstractmethod
    def vectors_of_items(self, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Float32 (n_items, factors): vectors of items out of `scorable`."""

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`."""
        recency = None if self.recency is None else self.recency[items]
        vectors = self.vectors_of_items(items)
        return products(self.vectors_of_users, vectors, recency, log_odds=self.log_odds)

    def _write_best(self, items: NDArray[np.int32], seen: Seen, slots: Slots) -> None:
        """Writes what `score` ranks best; without recency, in float32 where that is enough."""
        if self.recency is None:
            vectors = self.vectors_of_users(slots.users[slots.rows])
            to = self.vectors_of_items(items)
            left = write_best(vectors, to, items, seen, slots, pruned=self.pruned)
            if left.size == 0:
                return
            slots = slots._replace(rows=left)
        super()._write_best(items, seen, slots)


@dataclass(frozen=True)
class FactorModel(ProductModel, CollaborativeModel):
    """A model of vectors of users and items that learns from likes alone.

    Attributes:
        user_factors: float32 (n_hot_users, factors), in the order of keys.
        item_factors: float32 (n_hot_items, factors), in the order of keys.
        pruned: whether more than a few items are gone through by falling length of their vectors,
            until none that is left can reach a user's list.
    """

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]
    pruned: bool = field(default=False, kw_only=True)

    def check(self) -> None:
        """See `Model.check`."""
        super().check()
        hot = self.log.interactions
        check_array("user_factors", self.user_factors, (hot.users.size, None), np.float32)
        shape = (hot.items.size, self.factors)
        check_array("item_factors", self.item_factors, shape, np.float32)

    def without_events(self, log: InteractionLog) -> Self:
        """See `Model.without_events`."""
        if not self._is_plain:
            return self
        few = replace(self, log=log)
        few.__dict__["age"] = self.age
        return few

    @property
    def factors(self) -> int:
        """Length of the vectors, columns for biases included."""
        return int(self.user_factors.shape[1])

    @property
    def by_key(self) -> tuple[ByKey, ByKey]:
        """Keys and vectors of users, and of items."""
        hot = self.log.interactions
        return (hot.user_keys, self.user_factors), (hot.item_keys, self.item_factors)

    def vectors_of_users(self, users: Users) -> NDArray[np.float32]:
        """See `ProductModel`."""
        return self.user_factors[self.hot_row[users]]

    def vectors_of_items(self, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """See `ProductModel`."""
        return self.item_factors[self.hot_column[items]]


def products(
    vectors_of: Callable[[Users], NDArray[np.float32]],
    item_vectors: NDArray[np.float32],
    recency: NDArray[np.float64] | None = None,
    *,
    log_odds: bool = False,
) -> Callable[[Users], Scores]:
    """A function that gives the products of users' vectors with the same items' vectors.

    The vectors of items are copied once, and all results use one array. The product is computed in
    float64 and rounded to float32. In float32, OpenBLAS on processors with AVX2 alone gives the
    same user other last bits in another row of the block.

    Args:
        vectors_of: gives the vectors, float32 (n_users, factors), of a block of users.
        item_vectors: float32 (n_items, factors).
        recency: float64 (n_items,), the `log_recency` of these items; None without the option.
        log_odds: whether recency is added to scores instead of multiplying them.

    >>> items = np.array([[1, 0], [1, 1]], np.float32)
    >>> products(lambda users: items[users], items)(np.array([1])).tolist()
    [[1.0, 2.0]]
    """
    columns = item_vectors.T.astype(np.float64, order="C")
    exact = np.empty((0, columns.shape[1]))
    rounded = np.empty((0, columns.shape[1]), dtype=np.float32)

    def score(users: Users) -> Scores:
        nonlocal exact, rounded
        if exact.shape[0] != users.size:
            exact = np.empty((users.size, columns.shape[1]))
            rounded = np.empty((users.size, columns.shape[1]), dtype=np.float32)
        np.matmul(vectors_of(users).astype(np.float64), columns, out=exact)
        if recency is not None and log_odds:
            exact += recency
        elif recency is not None:
            multiply(exact, recency)
        np.copyto(rounded, exact, casting="same_kind")
        return rounded

    return score


def warm_factors(
    seed: int, stream: Stream, keys: NDArray[np.uint64], factors: int, before: ByKey | None
) -> NDArray[np.float32]:
    """The vectors of an earlier model where it has them, keyed draws for the other keys.

    Args:
        seed: as in `starting_factors`.
        stream: as in `starting_factors`.
        keys: uint64 (n,), distinct.
        factors: length of a vector, such as 8.
        before: keys and vectors of the earlier model; None if all vectors are to be drawn.

    Returns:
        Float32 (n, factors).
    """
    if before is None:
        return starting_factors(seed, stream, keys, factors)
    start = np.empty((keys.size, factors), dtype=np.float32)
    old_keys, old_factors = before
    _, rows, old_rows = np.intersect1d(keys, old_keys, assume_unique=True, return_indices=True)
    is_new = np.ones(keys.size, dtype=np.bool_)
    is_new[rows] = False
    start[rows] = old_factors[old_rows]
    start[is_new] = starting_factors(seed, stream, keys[is_new], factors)
    return start


def starting_factors(
    seed: int, stream: Stream, keys: NDArray[np.uint64], factors: int
) -> NDArray[np.float32]:
    """Vectors of small normal numbers, each drawn at the key of its user or item.

    Args:
        seed: training seed, such as 0.
        stream: `Stream.MODEL_USER` or `Stream.MODEL_ITEM`.
        keys: uint64 (n,).
        factors: length of a vector, such as 8.

    Returns:
        Float32 (n, factors), with standard deviation 0.01.

    >>> a = starting_factors(0, Stream.MODEL_USER, np.array([5, 9], np.uint64), 3)
    >>> b = starting_factors(0, Stream.MODEL_USER, np.array([9], np.uint64), 3)
    >>> bool((a[1] == b[0]).all())
    True
    """
    blocks = np.arange(-(-factors // 4))
    z = normals(seed, stream, *key_words(keys[:, None]), blocks)
    return (0.01 * z.reshape(keys.size, 4 * blocks.size)[:, :factors]).astype(np.float32)
