"""Descent on a sampled softmax, for two_tower: compiled sums of embeddings, and keyed batches.

An epoch cuts the likes into batches, and the other items of a batch are the negatives of each of
its likes. The batch of a like is drawn at the keys of its user and item: one more like joins one
batch of an epoch, and leaves all others as they are.
"""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.core.noise import Stream, philox, wide_words

_BEGIN = np.float32(1.0)
"""Sum of squared gradients at the start. First steps would be of one length, however small the
gradient is, if it were 0, and one more like could turn them round."""
UNDATED = -(1 << 40)
"""Hour of an item of which it is not known when it was published."""


class Bags(NamedTuple):
    """A list of numbers for each row, such as the embeddings that it sums."""

    indptr: NDArray[np.int64]
    """(n + 1,) position in `indices` at which each row begins."""
    indices: NDArray[np.int64]
    """The numbers."""

    def rows(self, rows: NDArray[np.int32]) -> "Bags":
        """The lists of some rows."""
        size = np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        at = np.repeat(self.indptr[rows] - indptr[:-1], size) + np.arange(indptr[-1])
        return Bags(indptr, self.indices[at])


class Examples(NamedTuple):
    """The likes that are learned from, in the order of keys."""

    user: NDArray[np.int64]
    """(n,) row of the user in the training matrix."""
    item: NDArray[np.int64]
    """(n,) column of the item in the training matrix."""
    hour: NDArray[np.int64]
    """(n,) hour of the like since 1970; 0 in a log without times."""
    day: NDArray[np.int64]
    """(n,) row of `Context.heat` of the morning before the like."""
    history: Bags
    """Columns of the items that the user liked before."""
    words: tuple[NDArray[np.uint64], ...]
    """Three words (n,) of 32 bits each, the address of a like's draws."""
    likes: Bags
    """Columns of the items that each user liked at any time."""


class Context(NamedTuple):
    """What the chance of a like depends on besides user and item: the item's age and its heat."""

    published: NDArray[np.int64]
    """(n_items,) hour since 1970 in which each item was published, or `UNDATED`."""
    bucket: NDArray[np.int64]
    """(n_hours,) bucket of an age in hours; older items are in the last bucket but one, items of
    unknown age in the last."""
    heat: NDArray[np.float32]
    """(n_days + 1, n_items) log of the heat of each item on each morning, the next included."""
    rarity: NDArray[np.float32]
    """(n_items,) -log of each item's share of all likes."""


class Table:
    """Embeddings that are learned by AdaGrad; one coordinate has its own step length.

    Args:
        values: float32 (n, factors), where they start.
    """

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values
        self.sums = np.zeros_like(values)
        self.gradient = np.zeros_like(values)
        self.count = np.zeros(len(values), dtype=np.float32)
        self.touched = np.zeros(len(values), dtype=np.int64)

    def sum(self, bags: Bags, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Float32 (n_rows, factors): the sum of the embeddings of some rows."""
        out = np.zeros((rows.size, self.values.shape[1]), dtype=np.float32)
        gather(bags.indptr, bags.indices, rows, self.values, out)
        return out

    def step(
        self,
        bags: Bags,
        rows: NDArray[np.int64],
        gradient: NDArray[np.float32],
        count: NDArray[np.float32],
        rate: np.float32,
        penalty: np.float32,
    ) -> None:
        """A step down the gradient.

        Args:
            bags, rows: as they were summed.
            gradient: float32 (n_rows, factors), gradient of the loss by the sums.
            count: float32 (n_rows,), number of likes that each row stands for.
            rate: learning rate.
            penalty: λ on the embeddings for each like.
        """
        scatter(
            bags.indptr, bags.indices, rows, gradient, count, self.values, self.sums,
            self.gradient, self.count, self.touched, rate, penalty,
        )  # fmt: skip


def batches(words: tuple[NDArray[np.uint64], ...], seed: int, size: int) -> list[NDArray[np.int64]]:
    """The batches of an epoch: positions of the likes, in an order drawn at their addresses.

    Their number is a power of two. It is the same until the number of likes passes the next one.

    Args:
        words: three words (n,) of each like.
        seed: seed of the epoch.
        size: least number of likes that a batch holds on average, such as 512.
    """
    lots = wide_words(philox(seed, Stream.MODEL_PAIR, *words))
    bits = max(lots.size // size, 1).bit_length() - 1
    order = np.argsort(lots, kind="stable")
    if bits == 0:
        return [order]
    number = (lots[order] >> np.uint64(64 - bits)).astype(np.int64)
    parts = np.split(order, np.searchsorted(number, np.arange(1, 1 << bits)))
    return [part for part in parts if part.size > 1]


def adjust(
    effects: NDArray[np.float32],
    squares: NDArray[np.float64],
    gradient: NDArray[np.float64],
    rate: np.float32,
) -> None:
    """A step of AdaGrad for effects; `squares` are the sums of squared gradients so far."""
    squares += gradient**2
    effects -= (rate * gradient / np.sqrt(squares + _BEGIN)).astype(np.float32)


@njit(nogil=True, cache=True)
def gather(indptr, indices, rows, table, out):  # type: ignore[no-untyped-def]
    """Adds the embeddings of each row to `out`."""
    for place in range(rows.size):
        line = out[place]
        for at in range(indptr[rows[place]], indptr[rows[place] + 1]):
            embedding = table[indices[at]]
            for k in range(line.size):
                line[k] += embedding[k]


@njit(nogil=True, cache=True)
def scatter(  # type: ignore[no-untyped-def]
    indptr, indices, rows, by_row, likes, table, sums, gradient, count, touched, rate, penalty
):
    """A step of AdaGrad for each embedding that a row of the batch sums; see `Table.step`."""
    n = 0
    for place in range(rows.size):
        line = by_row[place]
        for at in range(indptr[rows[place]], indptr[rows[place] + 1]):
            number = indices[at]
            if count[number] == 0:
                touched[n] = number
                n += 1
            count[number] += likes[place]
            into = gradient[number]
            for k in range(line.size):
                into[k] += line[k]
    for place in range(n):
        number = touched[place]
        value, squares, down = table[number], sums[number], gradient[number]
        shrink = penalty * count[number]
        for k in range(value.size):
            g = down[k] + shrink * value[k]
            squares[k] += g * g
            value[k] -= rate * g / np.sqrt(squares[k] + _BEGIN)
            down[k] = 0
        count[number] = 0


@njit(nogil=True, cache=True)
def distinct(values, slot):  # type: ignore[no-untyped-def]
    """Distinct values in the order of their first place, the place of each among them, and counts.

    Args:
        values: int (n,), from 0 on.
        slot: int64, all -1, with a place for each possible value; -1 again afterwards.
    """
    found = np.empty(values.size, dtype=np.int64)
    place = np.empty(values.size, dtype=np.int64)
    count = np.zeros(values.size, dtype=np.float32)
    n = 0
    for at in range(values.size):
        value = values[at]
        if slot[value] < 0:
            slot[value] = n
            found[n] = value
            n += 1
        place[at] = slot[value]
        count[place[at]] += 1
    for at in range(n):
        slot[found[at]] = -1
    return found[:n], place, count[:n]


@njit(nogil=True, cache=True)
def histories(history, batch):  # type: ignore[no-untyped-def]
    """The histories of a batch, end to end: where each begins, and the items."""
    start = np.zeros(batch.size + 1, dtype=np.int64)
    for place in range(batch.size):
        like = batch[place]
        start[place + 1] = start[place] + history.indptr[like + 1] - history.indptr[like]
    items = np.empty(start[-1], dtype=np.int64)
    for place in range(batch.size):
        first = history.indptr[batch[place]]
        for at in range(start[place], start[place + 1]):
            items[at] = history.indices[first + at - start[place]]
    return start, items


@njit(nogil=True, cache=True)
def add_histories(start, place, tastes, out):  # type: ignore[no-untyped-def]
    """Adds Σ tastes / √n over the n items of each history to `out`."""
    for row in range(out.shape[0]):
        if start[row + 1] == start[row]:
            continue
        share = np.float32(1 / np.sqrt(np.float64(start[row + 1] - start[row])))
        line = out[row]
        for at in range(start[row], start[row + 1]):
            taste = tastes[place[at]]
            for k in range(taste.size):
                line[k] += share * taste[k]


@njit(nogil=True, cache=True)
def share_histories(start, place, gradient, out):  # type: ignore[no-untyped-def]
    """Adds the gradient of each row, over √n, to the items of its history."""
    for row in range(gradient.shape[0]):
        if start[row + 1] == start[row]:
            continue
        share = np.float32(1 / np.sqrt(np.float64(start[row + 1] - start[row])))
        line = gradient[row]
        for at in range(start[row], start[row + 1]):
            taste = out[place[at]]
            for k in range(taste.size):
                taste[k] += share * line[k]


_FAST = {"reassoc", "contract", "nsz"}
"""Freedoms of the compiler with sums, as in `pairs`."""


@njit(nogil=True, cache=True, fastmath=_FAST)
def corrected(  # type: ignore[no-untyped-def]
    logits, base, heat, published, bucket, effects, day, hour, place
):
    """Adds to the products of a batch all that is no product.

    Items that are published later than a like are no negatives of it.

    Args:
        logits: float32 (n, n_columns), changed.
        base: float32 (n_columns,), what is added for each item: log of its number in the batch less
            log of its share of all likes.
        heat: float32 (n_days, n_columns), see `Context.heat`.
        published: int64 (n_columns,), hour in which each item was published, or `UNDATED`.
        bucket: see `Context.bucket`.
        effects: float32 (2, n_buckets), what an age adds, and the factor of heat at this age.
        day, hour, place: int64 (n,), day and hour of each like, and the column of its item.
    """
    n_columns = logits.shape[1]
    oldest = bucket.size - 2
    dated = (published != UNDATED).any()
    unknown = bucket[bucket.size - 1]
    for row in range(logits.shape[0]):
        line, warmth = logits[row], heat[day[row]]
        if not dated:
            factor = effects[1, unknown]
            for column in range(n_columns):
                line[column] += base[column] + factor * warmth[column]
            continue
        now = hour[row]
        for column in range(n_columns):
            since = published[column]
            which = unknown
            if since > now and column != place[row]:
                line[column] = np.float32(-np.inf)
                continue
            if since != UNDATED:
                which = bucket[min(max(now - since, 0), oldest)]
            line[column] += base[column] + effects[0, which] + effects[1, which] * warmth[column]


@njit(nogil=True, cache=True)
def leave_out(logits, user, place, columns, indptr, indices, slot):  # type: ignore[no-untyped-def]
    """What a user likes is no negative of the user's other likes; sets the largest of a row to 0.

    Args:
        logits: float32 (n, n_columns), changed.
        user: int64 (n,), row of the user of each like.
        place: int64 (n,), column of its item.
        columns: int64 (n_columns,), item of each column.
        indptr, indices: items that each user likes.
        slot: int64 (n_items,), all -1; and again afterwards.
    """
    for column in range(columns.size):
        slot[columns[column]] = column
    for row in range(user.size):
        line = logits[row]
        for at in range(indptr[user[row]], indptr[user[row] + 1]):
            column = slot[indices[at]]
            if column >= 0 and column != place[row]:
                line[column] = np.float32(-np.inf)
    for column in range(columns.size):
        slot[columns[column]] = -1
    for row in range(user.size):
        line = logits[row]
        largest = line[place[row]]
        for column in range(line.size):
            largest = max(largest, line[column])
        for column in range(line.size):
            line[column] -= largest


@njit(nogil=True, cache=True, fastmath=_FAST)
def slopes(odds, heat, published, bucket, day, hour, place, by_effect):  # type: ignore[no-untyped-def]
    """Turns odds into the gradient of -Σ ln p by the logits, and sums it by effect.

    Args:
        odds: float32 (n, n_columns), exp of logits; changed to gradients.
        heat, published, bucket, day, hour, place: see `corrected`.
        by_effect: float64 (2, n_buckets), changed: gradient by `effects`.
    """
    n_columns = odds.shape[1]
    oldest = bucket.size - 2
    dated = (published != UNDATED).any()
    unknown = bucket[bucket.size - 1]
    for row in range(odds.shape[0]):
        line, warmth, now = odds[row], heat[day[row]], hour[row]
        total = np.float32(0)
        for column in range(n_columns):
            total += line[column]
        share = np.float32(1) / total
        for column in range(n_columns):
            line[column] *= share
        line[place[row]] -= np.float32(1)
        if dated:
            for column in range(n_columns):
                which = unknown
                if published[column] != UNDATED:
                    which = bucket[min(max(now - published[column], 0), oldest)]
                by_effect[0, which] += line[column]
                by_effect[1, which] += line[column] * warmth[column]
        else:
            warm = np.float32(0)
            for column in range(n_columns):
                warm += line[column] * warmth[column]
            by_effect[1, unknown] += warm
