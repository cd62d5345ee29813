"""Compiled loops: the best k columns of each row, filling of empty slots, a mirrored matrix."""
# mypy: disallow-untyped-decorators=False

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def top_k(values, users, seen, column, items, rows, ids, scores):  # type: ignore[no-untyped-def]
    """Writes the k best columns of each row of scores; equal scores keep the order of columns.

    Args:
        values: float (n, n_columns), the scores; seen columns are overwritten with -inf.
        users: int (>= n,), dense id of the user of each row, -1 for a user who is not in the log.
        seen: a `Seen`, whose items are left out.
        column: int64 (n_items,), column of each item, -1 for an item without one.
        items: int32 (n_columns,), item of each column.
        rows: int (n,), row of `ids` and `scores` to write to.
        ids: int32 (n_users, k), written; slots without an item are left as they are.
        scores: float (n_users, k), written likewise.
    """
    k, shown = ids.shape[1], seen.items
    bounded = values.shape[1] < _SHALLOW * k
    maxima = np.empty(values.shape[1] // _CHUNK, dtype=values.dtype)
    best = np.full(k, -np.inf, dtype=values.dtype)
    no_bound = best[0]
    where = np.empty(k, dtype=np.int64)
    for row in range(values.shape[0]):
        user = users[row]
        if user >= 0:
            for place in range(seen.start[user], seen.end[user]):
                item = np.uint32(shown[place])
                if item < column.size and column[item] >= 0:
                    values[row, column[item]] = -np.inf
        line, held = values[row], 0
        floor = below_the_best(line, k, maxima) if bounded else no_bound
        for candidate in range(line.size):
            value = line[candidate]
            if value <= floor:
                continue
            place = held if held < k else k - 1
            while place > 0 and best[place - 1] < value:
                best[place] = best[place - 1]
                where[place] = where[place - 1]
                place -= 1
            best[place] = value
            where[place] = candidate
            held = min(held + 1, k)
            if held == k:
                floor = max(floor, best[k - 1])
        for place in range(held):
            ids[rows[row], place] = items[where[place]]
            scores[rows[row], place] = best[place]


@njit(nogil=True, cache=True)
def first_unseen(order, heat, users, seen, rows, ids, scores):  # type: ignore[no-untyped-def]
    """Writes the first k items of one list that a user has not seen, for each user.

    Args:
        order: int32 (n,), the items, best first.
        heat: float (n_items,), score of each item.
        users: int (n_rows,), dense ids, -1 for a user who is not in the log.
        seen: a `Seen`, whose items are left out.
        rows: int (n_rows,), row of `ids` and `scores` to write to.
        ids: int32 (n_users, k), written; slots without an item are left as they are.
        scores: float (n_users, k), written likewise.
    """
    seen_by = np.full(heat.size, -1, dtype=np.int64)
    for row in range(users.size):
        user = users[row]
        if user >= 0:
            for place in range(seen.start[user], seen.end[user]):
                seen_by[seen.items[place]] = row
        held = 0
        for item in order:
            if held == ids.shape[1]:
                break
            if seen_by[item] != row:
                ids[rows[row], held] = item
                scores[rows[row], held] = heat[item]
                held += 1


_CHUNK = 16
"""Number of values in a chunk of `below_the_best`."""
_SHALLOW = 128
"""With more columns than this per slot, `top_k` moves few values and works without a bound."""


@njit(nogil=True, cache=True)
def below_the_best(line, k, maxima):  # type: ignore[no-untyped-def]
    """A value that at least k values of a line exceed: just below the k-th largest chunk maximum.

    With n chunks, chunk i holds the values i, i + n, i + 2n, …, so that the maxima of neighbouring
    chunks are updated side by side.
    """
    chunks = maxima.size
    if chunks <= k:
        return maxima.dtype.type(-np.inf)
    for chunk in range(chunks):
        maxima[chunk] = line[chunk]
    for start in range(chunks, chunks * _CHUNK, chunks):
        for chunk in range(chunks):
            value = line[start + chunk]
            maxima[chunk] = value if value > maxima[chunk] else maxima[chunk]
    return np.nextafter(kth_largest(maxima, k), maxima.dtype.type(-np.inf))


@njit(nogil=True, cache=True)
def kth_largest(values, k):  # type: ignore[no-untyped-def]
    """The k-th largest of more than k numbers, whose order it changes (Hoare 1961, "Find").

    `np.partition` finds it as fast, but Numba takes eight seconds to compile that.
    """
    low, high, wanted = 0, values.size - 1, k - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if wanted <= right:
            high = right
        elif wanted >= left:
            low = left
        else:
            break
    return values[wanted]


@njit(inline="always")
def insert(value, column, values, columns, held):  # type: ignore[no-untyped-def]
    """Puts a column among the best, which are sorted; of equal ones the first column is better.

    Args:
        value: the score.
        column: its column.
        values, columns: (k,), scores and columns of the best so far, changed.
        held: number of the best so far.

    Returns:
        The number of the best afterwards.
    """
    k = values.size
    if held == k:
        last = values[k - 1]
        if value < last or (value == last and column > columns[k - 1]):
            return held
    place = held if held < k else k - 1
    while place > 0 and (
        values[place - 1] < value or (values[place - 1] == value and columns[place - 1] > column)
    ):
        values[place] = values[place - 1]
        columns[place] = columns[place - 1]
        place -= 1
    values[place] = value
    columns[place] = column
    return min(held + 1, k)


@njit(nogil=True, cache=True)
def strongest(  # type: ignore[no-untyped-def]
    user_indptr, users, by_item, item_indptr, items, weights, norm, shrinkage, ids, values
):
    """Writes the largest similarities of each item, in no order; see `similarities`.

    Args:
        user_indptr, users, by_item: CSR (n_items, n_users) of the weights.
        item_indptr, items, weights: CSR (n_users, n_items) of the weights.
        norm: float64 (n_items,), lengths of the items' vectors.
        shrinkage: see `similarities`; below 0 for products that are not divided.
        ids: int32 (n_items, k), written: the most similar items; slots without an item are left as
            they are.
        values: float64 (n_items, k), written: their similarities.
    """
    n_items, k = ids.shape
    sums = np.zeros(n_items)
    reached = np.zeros(n_items, dtype=np.bool_)
    touched = np.empty(n_items, dtype=np.int64)
    found, order = np.empty(n_items), np.empty(n_items)
    for item in range(n_items):
        n, n_found = 0, 0
        for at in range(user_indptr[item], user_indptr[item + 1]):
            user, weight = np.uint32(users[at]), by_item[at]
            for place in range(item_indptr[user], item_indptr[user + 1]):
                other = np.uint32(items[place])
                if not reached[other]:
                    reached[other] = True
                    touched[n] = other
                    n += 1
                sums[other] += weight * weights[place]
        for at in range(n):
            other = touched[at]
            value = sums[other]
            sums[other], reached[other] = 0.0, False
            if shrinkage >= 0:
                divisor = norm[item] * norm[other] + shrinkage
                value = value / divisor if divisor > 0 else 0.0
            if value != 0 and other != item:
                touched[n_found], found[n_found] = other, value
                n_found += 1
        if n_found <= k:
            ids[item, :n_found] = touched[:n_found]
            values[item, :n_found] = found[:n_found]
            continue
        order[:n_found] = found[:n_found]
        bound, held, level = kth_largest(order[:n_found], k), 0, 0
        for at in range(n_found):
            if found[at] > bound:
                ids[item, held], values[item, held] = touched[at], found[at]
                held += 1
            elif found[at] == bound:
                touched[level] = touched[at]
                level += 1
        if level > k - held:
            touched[:level] = np.sort(touched[:level])
        ids[item, held:] = touched[: k - held]
        values[item, held:] = bound


@njit(nogil=True, cache=True)
def fill_gaps(ids, scores, sources, rows, more_ids, more_scores, source):  # type: ignore[no-untyped-def]
    """Fills the empty slots (-1) of some rows, in order, with items that the row does not hold.

    Args:
        ids: int32 (n_users, k), changed.
        scores: float32 (n_users, k), changed.
        sources: uint8 (n_users, k), changed.
        rows: int (n,), the rows to fill.
        more_ids: int32 (n, depth), items to fill each of these rows with, the best first.
        more_scores: float32 (n, depth), their scores.
        source: uint8, code that marks filled slots in `sources`.
    """
    for index in range(rows.size):
        row, following = rows[index], 0
        for slot in range(ids.shape[1]):
            while ids[row, slot] < 0 and following < more_ids.shape[1]:
                item = more_ids[index, following]
                if item >= 0 and not (ids[row] == item).any():
                    ids[row, slot] = item
                    scores[row, slot] = more_scores[index, following]
                    sources[row, slot] = source
                following += 1


@njit(nogil=True, cache=True)
def mirror_upper(matrix):  # type: ignore[no-untyped-def]
    """Copies the upper triangle of a square matrix onto the lower, in tiles that fit the cache."""
    n, tile = matrix.shape[0], 64
    for rows in range(0, n, tile):
        for columns in range(rows, n, tile):
            for i in range(rows, min(rows + tile, n)):
                for j in range(max(columns, i + 1), min(columns + tile, n)):
                    matrix[j, i] = matrix[i, j]
