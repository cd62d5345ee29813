"""The k largest products of users' vectors with items' vectors, exact at the price of float32.

Products in float32 are quick, but the last bits of one depend on where it stands in its block. They
only say which items can be among the best: those within the error bound of the k-th. For these few
the product is computed anew in float64, term by term, and rounded.

Items are gone through by falling length of their vectors, tile by tile. |x·y| is at most |x| |y|
(Cauchy–Schwarz), so a user is done at the first tile whose longest vector cannot reach the user's
k-th product: no item behind it can be on the list, which is exact (Teflioudi, Gemulla & Mykytiuk
2015, "LEMP: fast retrieval of large entries in a matrix product", length-based pruning). Vectors of
als differ much in length, so few tiles are multiplied.

Where there are few items, all products are computed in float64, and no shortlist is made.
"""
# mypy: disallow-untyped-decorators=False

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.core.threads import single_threaded_blas
from recsys.logs.log import Seen
from recsys.recommenders.kernels import below_the_best, kth_largest
from recsys.recommenders.ranking import Slots

_ROWS, _COLUMNS = 256, 768
"""Users and items whose products are computed together; a tile of so many fits into the cache."""
_USERS = 2048
"""Users who are in work together. Of these, the ones who are not done yet are multiplied."""
_FEW = 512
"""Most items whose products are all computed in float64."""
_STRIDE = 64
"""Number of products that are looked through together."""
_DEEP = 256
"""Least number of items per slot with which shortlists save time if no tile can be left out."""
_GUESSES = 12
"""Number of guesses at a bound before it is computed."""
_ALL_BUT_SIGN, _BILLIONS = np.int32(2**31 - 1), 2**32
"""Mask that turns the bits of negative floats round, so that they are in order as whole numbers,
and a factor greater than any number of columns."""
_SLACK = 1 + 1e-9
"""Factor on lengths, which are rounded, so that a product of two of them is an upper bound."""


def write_best(
    vectors: NDArray[np.float32],
    item_vectors: NDArray[np.float32],
    items: NDArray[np.int32],
    seen: Seen,
    slots: Slots,
    *,
    pruned: bool = False,
) -> NDArray[np.int64]:
    """Writes the k items of some users with the largest products; equal ones keep their order.

    Args:
        vectors: float32 (n, factors), vector of the user of each row to write to.
        item_vectors: float32 (n_columns, factors), vectors of the items.
        items: int32 (n_columns,), dense id of each item.
        seen: a `Seen`, whose items are left out.
        slots: where to write.
        pruned: whether shortlists are made however few items there are for each slot, if there are
            more than `_FEW`. They pay where the lengths of the items' vectors differ much.

    Returns:
        The rows to which nothing was written: all where there are more than a few items but few
        for each slot, since then shortlists are not short; or else those of which too many products
        are almost equal.
    """
    users, rows, ids, scores = slots
    k, factors = ids.shape[1], vectors.shape[1]
    who = users[rows].astype(np.int64)
    if items.size <= _FEW:
        by_factor = np.ascontiguousarray(item_vectors.T, dtype=np.float64)
        _write_all(vectors, by_factor, who, seen, items, rows, ids, scores)
        return rows[:0]
    if rows.size == 0 or (items.size < _DEEP * k and not pruned):
        return rows
    length, reach = _lengths(vectors), _lengths(item_vectors)
    # |fl(x·y) - x·y| is at most factors · 2^-24 |x| |y| (Higham 2002, "Accuracy and stability of
    # numerical algorithms", ch. 3); here it is doubled for the rounding of the exact product too.
    error = (factors + 2) * 2.0**-23 * length * reach.max() + 1e-37
    longest_first = np.argsort(-reach, kind="stable")
    reach = reach[longest_first][::_COLUMNS]
    tiles = [
        np.ascontiguousarray(item_vectors[longest_first[first : first + _COLUMNS]].T)
        for first in range(0, items.size, _COLUMNS)
    ]
    # The last place of the table stands for all items behind it.
    column = np.full(int(items.max()) + 2, -1, dtype=np.int32)
    column[items[longest_first]] = np.arange(items.size)
    failed = np.zeros(rows.size, dtype=np.bool_)
    products = np.empty(_ROWS * min(_COLUMNS, items.size), dtype=np.float32)
    values = np.empty((min(_USERS, rows.size), 3 * k + 64), dtype=np.float32)
    where = np.empty(values.shape, dtype=np.int32)
    with single_threaded_blas():
        for start in range(0, rows.size, _USERS):
            part = slice(start, min(start + _USERS, rows.size))
            block, bound = vectors[part], length[part]
            hidden_start, hidden = _hidden(who[part], seen, column, len(tiles), _COLUMNS)
            next_hidden, held = hidden_start[:-1].copy(), np.zeros(len(block), dtype=np.int64)
            floor = np.full(len(block), -np.inf, dtype=np.float32)
            left = np.arange(len(block))
            for number, tile in enumerate(tiles):
                can = _SLACK * bound[left] * reach[number] + error[part][left] > floor[left]
                left = left[can & ~failed[part][left]]
                for first in range(0, left.size, _ROWS):
                    some = left[first : first + _ROWS]
                    into = products[: some.size * tile.shape[1]].reshape(some.size, -1)
                    np.matmul(block[some], tile, out=into)
                    _shorten(
                        into, some, number * _COLUMNS, k, hidden_start, hidden, next_hidden,
                        error[part], values, where, held, floor, failed[part],
                    )  # fmt: skip
            _write(
                block, item_vectors, where, longest_first, held, failed[part], items, rows[part],
                ids, scores,
            )  # fmt: skip
    return rows[failed]


def _lengths(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Float64 (n,): lengths of vectors."""
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1)))


@njit(nogil=True, cache=True)
def _write_all(vectors, by_factor, who, seen, items, rows, ids, scores):  # type: ignore[no-untyped-def]
    """Computes all products, each summed term by term, and writes the best.

    Args:
        vectors: float32 (n, factors), vector of the user of each row.
        by_factor: float64 (factors, n_columns), vectors of the items.
        who: int64 (n,), the user of each row, -1 for none.
        seen: a `Seen`.
        items: int32 (n_columns,), dense id of each item.
        rows: int (n,), rows of the arrays below.
        ids, scores: (n_users, k), written; slots without an item are left as they are.
    """
    n, k, shown = by_factor.shape[1], ids.shape[1], seen.items
    # The last place of the table stands for all items behind it, the last product for no item.
    column = np.full(items.max() + 2 if n else 1, n, dtype=np.int32)
    for at in range(n):
        column[items[at]] = at
    last = np.uint32(column.size - 1)
    sums, products = np.empty(n), np.empty(n + 1, dtype=np.float32)
    values, where = np.empty(n + 1, dtype=np.float32), np.empty(n + 1, dtype=np.int64)
    keys = np.empty(n + 1, dtype=np.int64)
    for row in range(rows.size):
        _sum_up(vectors[row], by_factor, sums)
        for at in range(n):
            products[at] = sums[at]
        if who[row] >= 0:
            for place in range(seen.start[who[row]], seen.end[who[row]]):
                products[column[min(np.uint32(shown[place]), last)]] = -np.inf
        held = 0
        for at in range(n):
            values[held], where[held] = products[at], at
            held += products[at] > -np.inf
        if held > k + _some_more(k):
            floor, most, held = _below_kth(values[:held], k), held, 0
            for at in range(most):
                value, which = values[at], where[at]
                values[held], where[held] = value, which
                held += value >= floor
        _write_sorted(values, where, held, keys, items, ids[rows[row]], scores[rows[row]])


@njit(nogil=True, cache=True)
def _sum_up(x, by_factor, sums):  # type: ignore[no-untyped-def]
    """Writes the products of a vector with each column; four terms are added at a time."""
    sums[:] = 0.0
    factors, n = by_factor.shape
    fours = factors - factors % 4
    for factor in range(0, fours, 4):
        x0, x1 = np.float64(x[factor]), np.float64(x[factor + 1])
        x2, x3 = np.float64(x[factor + 2]), np.float64(x[factor + 3])
        for at in range(n):
            sums[at] = (
                sums[at]
                + x0 * by_factor[factor, at]
                + x1 * by_factor[factor + 1, at]
                + x2 * by_factor[factor + 2, at]
                + x3 * by_factor[factor + 3, at]
            )
    for factor in range(fours, factors):
        for at in range(n):
            sums[at] += np.float64(x[factor]) * by_factor[factor, at]


@njit(nogil=True, cache=True)
def _hidden(who, seen, column, tiles, width):  # type: ignore[no-untyped-def]
    """Columns of seen items of each row, tile by tile: where each row's begin, and the columns.

    Args:
        who: int64 (n,), the user of each row, -1 for none.
        seen: a `Seen`.
        column: int32, the column of each item, -1 for none.
        tiles, width: number of tiles, and of the columns of each but the last.
    """
    items, start = seen.items, np.zeros(who.size + 1, dtype=np.int64)
    last, width = np.uint32(column.size - 1), np.uint32(width)  # 32 bits are quick to divide by
    for row in range(who.size):
        start[row + 1] = start[row]
        if who[row] >= 0:
            start[row + 1] += seen.end[who[row]] - seen.start[who[row]]
    columns, n = np.empty(start[-1] + 1, dtype=np.int32), 0
    mine, begin = np.empty(columns.size, dtype=np.int32), np.empty(tiles + 1, dtype=np.int64)
    for row in range(who.size):
        start[row], m = n, 0
        if who[row] >= 0:
            for place in range(seen.start[who[row]], seen.end[who[row]]):
                found = column[min(np.uint32(items[place]), last)]
                mine[m] = found
                m += found >= 0  # without a branch, which nobody could foretell
        begin[:] = 0
        for at in range(m):
            begin[np.uint32(mine[at]) // width + 1] += 1
        for before in range(tiles):
            begin[before + 1] += begin[before]
        for at in range(m):
            tile = np.uint32(mine[at]) // width
            columns[n + begin[tile]] = mine[at]
            begin[tile] += 1
        n += m
    start[-1] = n
    return start, columns


@njit(nogil=True, cache=True)
def _shorten(  # type: ignore[no-untyped-def]
    products, rows, first, k, hidden_start, hidden, next_hidden, error, values, where, held, floor,
    failed
):  # fmt: skip
    """Takes what can be among the best of each row of a tile into the row's shortlist.

    Args:
        products: float32 (n, n_columns), changed: products of the tile.
        rows: int (n,), whose products they are: rows of the arrays below.
        first: place of the first column of the tile.
        k: number of slots.
        hidden_start, hidden: see `_hidden`.
        next_hidden: int64 (n_rows,), place of each row's first hidden column that is not in an
            earlier tile; changed.
        error: float64 (n_rows,), bound of the error of a product.
        values, where: (n_rows, size) products and columns on the shortlists, changed.
        held: int64 (n_rows,), numbers of them, changed.
        floor: float32 (n_rows,), what an item needs to be among the best, changed.
        failed: bool (n_rows,), set where a shortlist is full.
    """
    n_columns, size = products.shape[1], values.shape[1]
    maxima = np.empty(n_columns // 16, dtype=products.dtype)
    for at_row in range(rows.size):
        row, line = rows[at_row], products[at_row]
        n, limit = held[row], floor[row]
        while next_hidden[row] < hidden_start[row + 1]:
            at = hidden[next_hidden[row]] - first
            if at >= n_columns:
                break
            line[at] = -np.inf
            next_hidden[row] += 1
        if first == 0:
            limit = _lowered(below_the_best(line, k, maxima), error[row])
        for start in range(0, n_columns, _STRIDE):
            stride = line[start : start + _STRIDE]
            above = np.uint32(0)
            for at in range(stride.size):
                above |= np.uint32(stride[at] > limit)
            if above == 0:
                continue
            for at in range(stride.size):
                if stride[at] > limit:
                    values[row, n], where[row, n] = stride[at], first + start + at
                    n += 1
                    if n == size:
                        n, limit = _kept(values[row], where[row], n, k, error[row])
                        if n > size - size // 4:
                            failed[row] = True
                            n = 0
                            break
            if failed[row]:
                break
        if n > k + _some_more(k) and not failed[row]:
            n, limit = _kept(values[row], where[row], n, k, error[row])
        held[row], floor[row] = n, limit


@njit(nogil=True, cache=True)
def _lowered(value, error):  # type: ignore[no-untyped-def]
    """A number below all products that may be as large as another product."""
    return np.float32(np.nextafter(np.float32(value - 2 * error), np.float32(-np.inf)))


@njit(nogil=True, cache=True)
def _kept(values, where, n, k, error):  # type: ignore[no-untyped-def]
    """Shortens a list of more than k products to those that can be among the best, and a few more.

    Returns:
        Their number, and what others need.
    """
    limit = _lowered(_below_kth(values[:n], k), error)
    kept = 0
    for at in range(n):
        value, column = values[at], where[at]
        values[kept], where[kept] = value, column
        kept += value > limit
    return kept, limit


@njit(nogil=True, cache=True)
def _below_kth(values, k):  # type: ignore[no-untyped-def]
    """A number that is not above the k-th largest of more than k numbers, and near to it.

    The numbers above a guess between two bounds are counted, and the guess becomes a bound. This
    takes a fraction of the time of finding the k-th largest itself, which is found where guesses
    come to no end.
    """
    low = high = values[0]
    for value in values:
        low, high = min(low, value), max(high, value)
    above_low, above_high, wanted = np.float64(values.size), 0.0, k + 0.5 * _some_more(k)
    for _ in range(_GUESSES):
        share = (wanted - above_high) / (above_low - above_high)
        guess = np.float32(high - share * (np.float64(high) - low))
        above = np.int32(0)
        for value in values:
            above = np.int32(above + np.int32(value > guess))
        if above < k:
            high, above_high = guess, np.float64(above)
        elif above <= k + _some_more(k):
            return guess
        else:
            low, above_low = guess, np.float64(above)
    return kth_largest(values.copy(), k)


@njit(inline="always")
def _some_more(k):  # type: ignore[no-untyped-def]
    """How many more than k products may stay on a shortlist."""
    return k // 4


@njit(nogil=True, cache=True)
def _four_products(x, items, some):  # type: ignore[no-untyped-def]
    """The products of a vector with four others, each summed term by term.

    A sum waits for its last term, so four of them take little longer than one.
    """
    one, two, three, four = items[some[0]], items[some[1]], items[some[2]], items[some[3]]
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    for factor in range(x.size):
        value = np.float64(x[factor])
        first += value * np.float64(one[factor])
        second += value * np.float64(two[factor])
        third += value * np.float64(three[factor])
        fourth += value * np.float64(four[factor])
    return first, second, third, fourth


@njit(nogil=True, cache=True)
def _write(  # type: ignore[no-untyped-def]
    users, items, where, order, held, failed, item_ids, rows, ids, scores
):
    """Computes the products on the shortlists exactly, and writes the best."""
    size = where.shape[1]
    some, columns = np.empty(4, dtype=np.int64), np.empty(size, dtype=np.int64)
    exact, keys = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.int64)
    for row in range(users.shape[0]):
        if failed[row]:
            continue
        n = held[row]
        for at in range(0, n, some.size):
            for place in range(some.size):
                some[place] = order[where[row, min(at + place, n - 1)]]
            products = _four_products(users[row], items, some)
            for place in range(min(some.size, n - at)):
                columns[at + place] = some[place]
                exact[at + place] = products[place]
        _write_sorted(exact, columns, n, keys, item_ids, ids[rows[row]], scores[rows[row]])


@njit(nogil=True, cache=True)
def _write_sorted(values, columns, n, keys, item_ids, ids, scores):  # type: ignore[no-untyped-def]
    """Writes the best of n products to a row; of equal ones the first column is better.

    How many are better says where each belongs. Few can be counted quicker than sorted.

    Args:
        values: float32, the products.
        columns: int64, their columns.
        n: number of them.
        keys: int64 (at least n,), room to work in.
        item_ids: int32 (n_columns,), dense id of each item.
        ids, scores: (k,), written.
    """
    bits = values.view(np.int32)
    for at in range(n):
        # Whole numbers in the order of the products, among which 0 and -0 are alike.
        number = bits[at] ^ ((bits[at] >> 31) & _ALL_BUT_SIGN) if values[at] != 0 else np.int32(0)
        keys[at] = np.int64(number) * _BILLIONS - columns[at]
    for at in range(n):
        place = 0
        for other in range(n):
            place += keys[other] > keys[at]
        if place < ids.size:
            ids[place] = item_ids[columns[at]]
            scores[place] = values[at]
