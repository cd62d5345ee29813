"""Compiled sums over the slots of feeds: shares, counts and distances of codes, and middles.

Each kernel walks the rows of `ids` (int32 (n, k), -1 in empty slots), and writes to its last
arguments. `codes` (n_items,) numbers the value of each item from 0. Callers have checked all ids.
Plain versions stand in tests/measures/test_references.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from recsys.measures.rank_kernels import COUNTS, FEEDS, VALUES, WEIGHTS, readonly

_CODES = readonly(types.int64, 1)
_SMALL_CODES = readonly(types.int32, 1)
_POINTS = readonly(types.float32, 2)
_TABLE = types.float64[:, ::1]


@njit(types.void(FEEDS, _CODES, WEIGHTS, _TABLE), nogil=True, cache=True)
def mix_rows(
    ids: NDArray[np.int32],
    codes: NDArray[np.int64],
    weights: NDArray[np.float64],
    mix: NDArray[np.float64],
) -> None:
    """Share of the slots' weights that each code holds, (n, codes); NaN for an empty feed.

    Weights are added in the order of ranks.
    """
    for row in range(ids.shape[0]):
        mix[row] = 0.0
        for rank in range(ids.shape[1]):
            if ids[row, rank] >= 0:
                mix[row, codes[ids[row, rank]]] += weights[rank]
        whole = mix[row].sum()
        for code in range(mix.shape[1]):
            mix[row, code] = mix[row, code] / whole if whole > 0 else np.nan


@njit(types.void(FEEDS, _SMALL_CODES, types.int32[:, ::1], COUNTS), nogil=True, cache=True)
def count_rows(
    ids: NDArray[np.int32],
    codes: NDArray[np.int32],
    counts: NDArray[np.int32],
    slots: NDArray[np.int32],
) -> None:
    """Number of slots with each code, (n, codes), and of filled slots, (n,)."""
    for row in range(ids.shape[0]):
        counts[row] = 0
        filled = 0
        for rank in range(ids.shape[1]):
            if ids[row, rank] >= 0:
                counts[row, codes[ids[row, rank]]] += 1
                filled += 1
        slots[row] = filled


@njit(types.void(FEEDS, FEEDS, _SMALL_CODES, types.int64, VALUES), nogil=True, cache=True)
def joint_rows(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    codes: NDArray[np.int32],
    n_codes: int,
    distance: NDArray[np.float64],
) -> None:
    """Total variation between the codes in two feeds, (n,); NaN where one of them is empty.

    `balance` has a place for each code. Each slot of a adds n_B to the place of its code, each slot
    of b takes n_A away. The sum of the absolute balances is the result. They are set to 0 as they
    are read, so that the next row finds them clear.
    """
    balance = np.zeros(n_codes, np.int64)
    for row in range(a.shape[0]):
        n_a, n_b = 0, 0
        for rank in range(a.shape[1]):
            n_a += a[row, rank] >= 0
            n_b += b[row, rank] >= 0
        if n_a == 0 or n_b == 0:
            distance[row] = np.nan
            continue
        for rank in range(a.shape[1]):
            if a[row, rank] >= 0:
                balance[codes[a[row, rank]]] += n_b
            if b[row, rank] >= 0:
                balance[codes[b[row, rank]]] -= n_a
        total = 0
        for rank in range(a.shape[1]):
            if a[row, rank] >= 0:
                total += abs(balance[codes[a[row, rank]]])
                balance[codes[a[row, rank]]] = 0
            if b[row, rank] >= 0:
                total += abs(balance[codes[b[row, rank]]])
                balance[codes[b[row, rank]]] = 0
        distance[row] = total / (2 * n_a * n_b)


@njit(types.void(FEEDS, _POINTS, WEIGHTS, _TABLE), nogil=True, cache=True, error_model="numpy")
def centroid_rows(
    ids: NDArray[np.int32],
    places: NDArray[np.float32],
    weights: NDArray[np.float64],
    points: NDArray[np.float64],
) -> None:
    """Weighted mean of the vectors (`places`) of a feed's items, (n, d); NaN for an empty feed.

    Four slots are added at once, in the order of ranks: their vectors lie far apart in memory, and
    the processor fetches the four together.
    """
    depth, axes = ids.shape[1], points.shape[1]
    for row in range(ids.shape[0]):
        for axis in range(axes):
            points[row, axis] = 0.0
        whole = 0.0
        rank = 0
        while rank < depth:
            one = ids[row, rank]
            four_more = rank + 3 < depth and one >= 0 and ids[row, rank + 1] >= 0
            if four_more and ids[row, rank + 2] >= 0 and ids[row, rank + 3] >= 0:
                two, three, four = ids[row, rank + 1], ids[row, rank + 2], ids[row, rank + 3]
                w1, w2 = weights[rank], weights[rank + 1]
                w3, w4 = weights[rank + 2], weights[rank + 3]
                for axis in range(axes):
                    points[row, axis] = (
                        ((points[row, axis] + w1 * places[one, axis]) + w2 * places[two, axis])
                        + w3 * places[three, axis]
                    ) + w4 * places[four, axis]
                whole = (((whole + w1) + w2) + w3) + w4
                rank += 4
            else:
                if one >= 0:
                    whole += weights[rank]
                    for axis in range(axes):
                        points[row, axis] += weights[rank] * places[one, axis]
                rank += 1
        for axis in range(axes):
            points[row, axis] = points[row, axis] / whole if whole > 0 else np.nan
