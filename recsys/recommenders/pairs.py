"""Stochastic descent over likes and untouched items, each draw addressed by keys; for bpr and lmf.

Every epoch goes through the likes in an order of their keys, and draws for each like items that its
user did not like, all with equal probability. Solvers that draw them from the list of likes instead
(`implicit` 0.7.3 does) pit popular items against popular ones, so that popularity cancels out of
what they learn. One more like adds a few steps and leaves all other draws as they are.
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
"""Fours of draws before a like is passed over because its user likes all that was drawn."""


class Steps(NamedTuple):
    """The likes of a log in the order in which an epoch goes through them."""

    user: NDArray[np.int64]
    """(n,) row of the user."""
    item: NDArray[np.int64]
    """(n,) column of the item."""
    weight: NDArray[np.float32]
    """(n,) event weight."""
    words: NDArray[np.uint64]
    """(n, 3) the address of the draws: 32 bits each."""
    indptr: NDArray[np.int64]
    """(n_users + 1,) where the likes of each user begin in `indices`."""
    indices: NDArray[np.int64]
    """(n,) columns of each user's likes, ascending."""


def steps_of(hot: Interactions, weights: csr_matrix, seed: int) -> Steps:
    """The likes in an order drawn at the keys of user and item.

    Args:
        hot: users and items, in the order of their keys.
        weights: CSR (n_hot_users, n_hot_items), positive.
        seed: of the order.
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
    """Items in the slots of a table, each in one, between a quarter and a half of which are taken.

    A draw is a slot, another one where it is empty, so that all items are equally likely. One more
    item takes an empty slot, and the draws that fall there; when the table must grow, all change.

    Args:
        hot: the items.
        seed: of the slots.

    Returns:
        int32 (2^m,): the column of the item in each slot, -1 where it is empty.
    """
    keys = hot.item_keys
    size = 1 << int(2 * keys.size - 1).bit_length()
    word = philox(seed, Stream.MODEL_PAIR, *key_words(keys))[:, 0]
    return np.asarray(_placed((word & np.uint32(size - 1)).astype(np.int64), size))


def epoch_seeds(number: ModelNumber, seed: int, n: int) -> list[np.uint64]:
    """A seed for the draws of each of n epochs.

    Args:
        number: whose epochs.
        seed: training seed.
        n: how many.
    """
    return [np.uint64(integer_seed(seed, number, 1 + epoch)) for epoch in range(n)]


def all_finite(name: str, *factors: NDArray[np.float32]) -> None:
    """Checks what a descent came to.

    Args:
        name: of the recommender.
        factors: what it learned.

    Raises:
        LogError: a number that is none.
    """
    if not all(np.isfinite(each).all() for each in factors):
        raise LogError(
            f"{name}: the factors are not finite any more; lower learning_rate, or raise "
            "regularization"
        )


@njit(inline="always")
def _place(indices, start, end, item):  # type: ignore[no-untyped-def]
    """The first place from start to end of an ascending array that is not below an item."""
    while start < end:
        middle = (start + end) // 2
        if indices[middle] < item:
            start = middle + 1
        else:
            end = middle
    return start


@njit(nogil=True, cache=True)
def _placed(slots, size):  # type: ignore[no-untyped-def]
    """Each item in its slot, or in the first empty one after it."""
    table = np.full(size, -1, dtype=np.int32)
    for item in range(slots.size):
        slot = slots[item]
        while table[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        table[slot] = item
    return table


@njit(inline="always")
def _untouched(steps, step, draw, key, table):  # type: ignore[no-untyped-def]
    """An item that the user of a step did not like, -1 where none was found."""
    user = steps.user[step]
    first, last = steps.indptr[user], steps.indptr[user + 1]
    mask = np.uint64(table.size - 1)
    for again in range(_TRIES):
        entity, item = steps.words[step, 0], steps.words[step, 1]
        when = steps.words[step, 2] ^ np.uint64((draw << 8) + again)
        for word in philox4x32(_STREAM, entity, item, when, key):
            item = table[word & mask]
            if item >= 0:
                found = _place(steps.indices, first, last, item)
                if found == last or steps.indices[found] != item:
                    return item
    return -1


_FAST = {"reassoc", "contract", "nsz"}


@njit(nogil=True, cache=True, fastmath=_FAST)
def bpr_epoch(steps, key, table, x, y, rate, penalty):  # type: ignore[no-untyped-def]
    """A step for each like and one untouched item, down the gradient of -ln σ(s_ui - s_uj).

    Args:
        steps: Steps.
        key: seed of the epoch.
        table: see `table_of`.
        x, y: float32 (n, factors + 1), changed; the last column is 1, and the items' biases.
        rate: length of a step.
        penalty: on vectors, not on biases.
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
            mine, better, worse = u[k], liked[k], other[k]
            u[k] = shrink * mine + z * (better - worse)
            liked[k] = shrink * better + z * mine
            other[k] = shrink * worse - z * mine
        liked[last] += z
        other[last] -= z


@njit(nogil=True, cache=True, fastmath=_FAST)
def lmf_epoch(  # type: ignore[no-untyped-def]
    steps, key, table, x, y, x_sum, y_sum, rate, penalty, alpha, negatives
):
    """A step up the log likelihood for each like, and for untouched items of the same user.

    Args:
        steps: Steps.
        key: seed of the epoch.
        table: see `table_of`.
        x, y: float32 (n, factors + 2), changed; of users the last but one is 1 and the last the
            bias, of items the reverse.
        x_sum, y_sum: float32, as x and y: sums of squared gradients (AdaGrad).
        rate: length of the first step.
        penalty: on vectors, not on biases.
        alpha: what a unit of weight counts.
        negatives: untouched items drawn for each like.
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
            one, other = u[width - 2], v[width - 1]
            for k in range(width):
                mine, theirs = u[k], v[k]
                shrink = penalty if k < width - 2 else np.float32(0)
                du, dv = z * theirs - shrink * mine, z * mine - shrink * theirs
                gu[k] += du * du
                gv[k] += dv * dv
                u[k] = mine + rate * du / np.sqrt(gu[k] + tiny)
                v[k] = theirs + rate * dv / np.sqrt(gv[k] + tiny)
            u[width - 2], v[width - 1] = one, other
