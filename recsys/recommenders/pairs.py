"""Stochastic gradient descent over pairs of a liked and an untouched item, for bpr and lmf.

Every epoch goes through the likes in an order that is drawn at their keys. For each like it draws
items that the user did not like, all with equal probability. Solvers that draw these items from the
list of likes, as `implicit` 0.7.3 does, compare popular items with popular items, so that
popularity cancels out of what they learn. Every draw is addressed by keys: one more like adds a few
steps and leaves all other draws as they are.
"""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.errors import LogError
from recsys.core.noise import (
    Stream,
    integer_seed,
    key_words,
    pair_words,
    philox,
    philox4x32,
    wide_words,
)
from recsys.logs.log import Interactions
from recsys.recommenders.base import ModelNumber

_STREAM = np.uint64(Stream.MODEL_PAIR)
_TRIES = 16
"""Number of times that four items are drawn; if the user likes them all, the like is skipped."""


class Steps(NamedTuple):
    """The likes of a log in the order in which an epoch goes through them."""

    user: NDArray[np.int64]
    """(n,) row of the user in the training matrix."""
    item: NDArray[np.int64]
    """(n,) column of the item in the training matrix."""
    weight: NDArray[np.float32]
    """(n,) event weight."""
    words: NDArray[np.uint64]
    """(n, 3) the address of the step's draws, three words of 32 bits."""
    indptr: NDArray[np.int64]
    """(n_users + 1,) position in `indices` at which the likes of each user begin."""
    indices: NDArray[np.int64]
    """(n,) columns of each user's likes, ascending."""


def steps_of(hot: Interactions, weights: csr_matrix, seed: int) -> Steps:
    """The likes of a log in an order that is drawn at the keys of user and item.

    Args:
        hot: users and items with positive events, in the order of their keys.
        weights: CSR (n_hot_users, n_hot_items), positive.
        seed: seed of the order.
    """
    user = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    item = weights.indices.astype(np.int64)
    words = pair_words(hot.user_keys[user], hot.item_keys[item])
    order = np.argsort(wide_words(philox(seed, Stream.MODEL_PAIR, *words)), kind="stable")
    return Steps(
        user[order],
        item[order],
        weights.data[order].astype(np.float32),
        np.stack(words, axis=1)[order],
        weights.indptr.astype(np.int64),
        item,
    )


def table_of(hot: Interactions, seed: int) -> NDArray[np.int32]:
    """A table of slots from which items are drawn; a quarter to a half of the slots hold an item.

    To draw an item is to draw slots until one of them holds an item, so that all items are equally
    likely. One more item fills one empty slot, and changes only the draws that hit this slot. If
    the table has to double, all draws change.

    Args:
        hot: users and items with positive events.
        seed: seed of the slots.

    Returns:
        Int32 (2^m,), the column of the item in each slot, -1 in an empty slot.
    """
    keys = hot.item_keys
    size = 1 << int(2 * keys.size - 1).bit_length()
    word = philox(seed, Stream.MODEL_PAIR, *key_words(keys))[:, 0]
    return np.asarray(_placed((word & np.uint32(size - 1)).astype(np.int64), size))


def epoch_seeds(number: ModelNumber, seed: int, n: int) -> list[np.uint64]:
    """A seed for the draws of each epoch.

    Args:
        number: the model that is fitted.
        seed: training seed, such as 0.
        n: number of epochs, such as 10.
    """
    return [np.uint64(integer_seed(seed, number, 1 + epoch)) for epoch in range(n)]


def all_finite(name: str, *factors: NDArray[np.float32]) -> None:
    """Raises unless all numbers in some arrays are finite.

    Args:
        name: name of the recommender for the error, such as "bpr".
        factors: the learned vectors.

    Raises:
        LogError: a number is infinite or NaN.
    """
    if not all(np.isfinite(array).all() for array in factors):
        raise LogError(
            f"{name}: the factors are not finite any more; lower learning_rate, or raise "
            "regularization"
        )


@njit(inline="always")
def _place(indices, start, end, item):  # type: ignore[no-untyped-def]
    """The first position from `start` to `end` of an ascending array whose value is >= `item`."""
    while start < end:
        middle = (start + end) // 2
        if indices[middle] < item:
            start = middle + 1
        else:
            end = middle
    return start


@njit(nogil=True, cache=True)
def _placed(slots, size):  # type: ignore[no-untyped-def]
    """A table with each item in its slot, or in the first empty slot after it."""
    table = np.full(size, -1, dtype=np.int32)
    for item in range(slots.size):
        slot = slots[item]
        while table[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        table[slot] = item
    return table


@njit(inline="always")
def _untouched(steps, step, draw, key, table):  # type: ignore[no-untyped-def]
    """A drawn item that the user of a step did not like; -1 if `_TRIES` draws gave none."""
    user = steps.user[step]
    first, last = steps.indptr[user], steps.indptr[user + 1]
    mask = np.uint64(table.size - 1)
    for again in range(_TRIES):
        entity, item = steps.words[step, 0], steps.words[step, 1]
        when = steps.words[step, 2] ^ np.uint64((draw << 8) + again)
        for word in philox4x32(_STREAM, entity, item, when, key):
            item = table[word & mask]
            if item >= 0:
                place = _place(steps.indices, first, last, item)
                if place == last or steps.indices[place] != item:
                    return item
    return -1


_FAST = {"reassoc", "contract", "nsz"}
"""Freedoms of the compiler with floating-point sums; it may not assume that all numbers are finite,
so that `all_finite` finds those that are not."""


@njit(nogil=True, cache=True, fastmath=_FAST)
def bpr_epoch(steps, key, table, x, y, rate, penalty):  # type: ignore[no-untyped-def]
    """One step down the gradient of -ln σ(s_ui - s_uj) for each like of i and a drawn item j.

    Args:
        steps: the `Steps` of a log.
        key: seed of the epoch.
        table: see `table_of`.
        x: float32 (n_users, factors + 1), changed; the last column is 1.
        y: float32 (n_items, factors + 1), changed; the last column is the bias.
        rate: learning rate.
        penalty: λ on vectors; biases have none.
    """
    last = x.shape[1] - 1
    for step in range(steps.user.size):
        i, j = steps.item[step], _untouched(steps, step, 0, key, table)
        if j < 0:
            continue
        u, liked, other = x[steps.user[step]], y[i], y[j]
        score = np.float32(0)
        for k in range(last + 1):
            score += u[k] * (liked[k] - other[k])
        z = rate / (np.float32(1) + np.exp(score))
        shrink = np.float32(1) - rate * penalty
        for k in range(last):
            u_k, liked_k, other_k = u[k], liked[k], other[k]
            u[k] = shrink * u_k + z * (liked_k - other_k)
            liked[k] = shrink * liked_k + z * u_k
            other[k] = shrink * other_k - z * u_k
        liked[last] += z
        other[last] -= z


@njit(nogil=True, cache=True, fastmath=_FAST)
def lmf_epoch(  # type: ignore[no-untyped-def]
    steps, key, table, x, y, x_sum, y_sum, rate, penalty, alpha, negatives
):
    """One step up the log likelihood for each like and for each item drawn beside it.

    Args:
        steps: the `Steps` of a log.
        key: seed of the epoch.
        table: see `table_of`.
        x: float32 (n_users, factors + 2), changed; the last two columns are 1 and the bias.
        y: float32 (n_items, factors + 2), changed; the last two columns are the bias and 1.
        x_sum: float32, shaped like x, changed: sums of squared gradients (AdaGrad).
        y_sum: float32, shaped like y, changed likewise.
        rate: learning rate.
        penalty: λ on vectors; biases have none.
        alpha: weight of a like with event weight 1.
        negatives: number of items drawn for each like.
    """
    width = x.shape[1]
    tiny = np.float32(1e-6)
    for step in range(steps.user.size):
        user = steps.user[step]
        for draw in range(negatives + 1):
            item = steps.item[step]
            if draw > 0:
                item = _untouched(steps, step, draw, key, table)
                if item < 0:
                    continue
            u, v, gu, gv = x[user], y[item], x_sum[user], y_sum[item]
            score = np.float32(0)
            for k in range(width):
                score += u[k] * v[k]
            z = np.float32(1) / (np.float32(1) + np.exp(score))
            z = alpha * steps.weight[step] * z if draw == 0 else z - np.float32(1)
            u_one, v_one = u[width - 2], v[width - 1]
            for k in range(width):
                u_k, v_k = u[k], v[k]
                shrink = penalty if k < width - 2 else np.float32(0)
                du, dv = z * v_k - shrink * u_k, z * u_k - shrink * v_k
                gu[k] += du * du
                gv[k] += dv * dv
                u[k] = u_k + rate * du / np.sqrt(gu[k] + tiny)
                v[k] = v_k + rate * dv / np.sqrt(gv[k] + tiny)
            u[width - 2], v[width - 1] = u_one, v_one  # the constants 1 are not learned
