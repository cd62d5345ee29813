"""Compiled loops behind the rank comparisons: one pass over each pair of feeds.

Everything follows from one question, "where in b is the note at rank i of a?", answered with
a hash table of b's notes, in time linear in the depth. Rows never touch each other, so any split of
the rows gives the same bits.

Each kernel returns the first row it cannot read (a gap, an id below -1, a forbidden repeat, an id
without a flag), or -1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

ABSENT = -1
"""Place of a note that the other feed does not hold."""


def _readonly(dtype: Any, dimensions: int) -> Any:
    """Accepts writable and read-only arrays alike, so that each kernel is compiled once."""
    return types.Array(dtype, dimensions, "C", readonly=True)


_feeds = _readonly(types.int32, 2)


_weights = _readonly(types.float64, 1)


_scores = _readonly(types.float64, 2)


_flags = _readonly(types.boolean, 1)


_counts = types.int32[::1]


_values = types.float64[::1]


@njit(nogil=True, cache=True)
def _length(ids: NDArray[np.int32], row: int) -> int:
    """Number of filled slots of a row, or -1 if it holds a gap or an id below -1."""
    depth = ids.shape[1]
    length = 0
    while length < depth and ids[row, length] >= 0:
        length += 1
    for rank in range(length, depth):
        if ids[row, rank] != -1:
            return -1
    return length


@njit(nogil=True, cache=True)
def _table_size(depth: int) -> int:
    """A power of two with room to spare (both feeds fill an eighth), so that ids seldom collide."""
    size = 16
    while size < 16 * depth:
        size *= 2
    return size


@njit(nogil=True, cache=True)
def _bucket(note: int, mask: int) -> int:
    """Fibonacci hashing (Knuth, TAOCP 3, §6.4): neighbouring ids land far apart."""
    return ((note * 2654435769) >> 16) & mask


@njit(nogil=True, cache=True)
def _match(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    row: int,
    number: int,
    length_a: int,
    length_b: int,
    distinct: bool,
    keys: NDArray[np.int64],
    places: NDArray[np.int32],
    partner: NDArray[np.int32],
) -> bool:
    """Writes the place in b of each note of a to `partner`; False at a repeat that is forbidden.

    The t-th copy of an id in a is matched with its t-th copy in b: the multiset intersection.
    A key holds this match's `number` above the note's, so keys of older ones, all with numbers of
    their own from 0, read as free buckets and nothing is ever cleared. A place is spent (ABSENT)
    once matched.
    """
    mask = keys.shape[0] - 1
    this_match = number << 32
    for rank in range(length_b):
        key = this_match | b[row, rank]
        bucket = _bucket(b[row, rank], mask)
        while (keys[bucket] ^ key) >> 32 == 0:
            if distinct and keys[bucket] == key:
                return False
            bucket = (bucket + 1) & mask
        keys[bucket] = key
        places[bucket] = rank

    for rank in range(length_a):
        key = this_match | a[row, rank]
        bucket = _bucket(a[row, rank], mask)
        while (keys[bucket] ^ key) >> 32 == 0:
            if keys[bucket] == key and (distinct or places[bucket] != ABSENT):
                break
            bucket = (bucket + 1) & mask
        if keys[bucket] == key:
            if places[bucket] == ABSENT:
                return False
            partner[rank] = places[bucket]
            places[bucket] = ABSENT
        else:
            partner[rank] = ABSENT
            if distinct:  # to catch a later copy of it
                keys[bucket] = key
                places[bucket] = ABSENT
    return True


@njit(nogil=True, cache=True)
def _count_arrivals(
    partner: NDArray[np.int32], length: int, depth: int, arrivals: NDArray[np.int32]
) -> None:
    """arrivals[d] = shared notes that both feeds hold from rank d on; X_d is its running sum."""
    arrivals[:depth] = 0
    for rank in range(length):
        if partner[rank] != ABSENT:
            arrivals[max(rank, partner[rank])] += 1


@njit(nogil=True, cache=True)
def _agreements(
    arrivals: NDArray[np.int32], length: int, weights: NDArray[np.float64]
) -> tuple[int, float, float]:
    """Notes shared, Σ w_d X_d/d / Σ w_d, and the same with weights of 1."""
    shared, total, normaliser, evenly = 0, 0.0, 0.0, 0.0
    for rank in range(length):
        shared += arrivals[rank]
        agreement = shared / (rank + 1)
        total += weights[rank] * agreement
        normaliser += weights[rank]
        evenly += agreement
    return shared, total / normaliser, evenly / length


@njit(nogil=True, cache=True)
def _lost(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    row: int,
    length: int,
    partner: NDArray[np.int32],
    from_newcomers: NDArray[np.bool_],
) -> int:
    """Newcomers' notes in b that are not in a; -1 at an id without a flag."""
    lost = 0
    for rank in range(length):
        if b[row, rank] >= from_newcomers.shape[0]:
            return -1
        lost += from_newcomers[b[row, rank]]
    for rank in range(length):
        if partner[rank] != ABSENT:  # a newcomer's note too, but in the reference as well
            lost -= from_newcomers[a[row, rank]]
    return lost


@njit(
    types.int64(
        _feeds, _feeds, _weights, _flags, types.boolean, _values, _counts, _counts, _counts
    ),
    nogil=True,
    cache=True,
)
def compare_rows(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    weights: NDArray[np.float64],
    from_newcomers: NDArray[np.bool_],
    distinct: bool,
    agreement: NDArray[np.float64],
    kept: NDArray[np.int32],
    displaced: NDArray[np.int32],
    slots: NDArray[np.int32],
) -> int:
    """Per row: Σ w_d X_d/d / Σ w_d, slots kept, slots lost to newcomers' notes, slots compared.

    The normaliser adds the same weights in the same order as the sum, so identical feeds give 1.0
    exactly. With no flags (`from_newcomers` of length 0) `displaced` stays 0.
    """
    depth = a.shape[1]
    size = _table_size(depth)
    keys = np.full(size, -1, np.int64)
    places = np.empty(size, np.int32)
    partner = np.empty(depth, np.int32)
    arrivals = np.empty(depth, np.int32)
    for row in range(a.shape[0]):
        length_a, length_b = _length(a, row), _length(b, row)
        if length_a < 0 or length_b < 0:
            return row
        length = min(length_a, length_b)
        if not _match(a, b, row, row, length, length, distinct, keys, places, partner):
            return row
        _count_arrivals(partner, length, length, arrivals)

        slots[row] = length
        if length > 0:
            kept[row], agreement[row], _ = _agreements(arrivals, length, weights)
        else:
            kept[row] = 0
            agreement[row] = 1.0 if length_a == length_b else 0.0

        displaced[row] = 0
        if from_newcomers.shape[0] > 0:
            lost = _lost(a, b, row, length, partner, from_newcomers)
            if lost < 0:
                return row
            displaced[row] = lost
    return -1


@njit(nogil=True, cache=True)
def _extrapolated(
    arrivals: NDArray[np.int32],
    shorter: int,
    longer: int,
    weights: NDArray[np.float64],
    tails: NDArray[np.float64],
) -> float:
    """RBO_ext of feeds of these lengths."""
    shared, shared_at_shorter = 0, 0
    total, normaliser, agreement = 0.0, 0.0, 0.0
    for rank in range(longer):
        shared += arrivals[rank]
        d = rank + 1
        if d <= shorter:
            shared_at_shorter = shared
            agreement = shared / d
        else:
            agreement = (shared * shorter + shared_at_shorter * (d - shorter)) / (shorter * d)
        total += weights[rank] * agreement
        normaliser += weights[rank]
    total += tails[longer - 1] * agreement
    return float(total / (normaliser + tails[longer - 1]))


@njit(types.int64(_feeds, _feeds, _weights, _weights, _values), nogil=True, cache=True)
def extrapolate_rows(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    weights: NDArray[np.float64],
    tails: NDArray[np.float64],
    similarity: NDArray[np.float64],
) -> int:
    """RBO_ext per row: the weighted mean of agreement, with the last agreement held to infinity.

    Past the shorter feed's end s the agreement is (X_d + X_s (d-s)/s) / d (Webber 2010, eq. 32),
    kept over the common denominator s d so that full agreement is 1.0 exactly.
    """
    depth = a.shape[1]
    size = _table_size(depth)
    keys = np.full(size, -1, np.int64)
    places = np.empty(size, np.int32)
    partner = np.empty(depth, np.int32)
    arrivals = np.empty(depth, np.int32)
    for row in range(a.shape[0]):
        length_a, length_b = _length(a, row), _length(b, row)
        if length_a < 0 or length_b < 0:
            return row
        if not _match(a, b, row, row, length_a, length_b, True, keys, places, partner):
            return row
        shorter, longer = min(length_a, length_b), max(length_a, length_b)
        if shorter == 0:
            similarity[row] = 1.0 if longer == 0 else 0.0
            continue
        _count_arrivals(partner, length_a, longer, arrivals)
        similarity[row] = _extrapolated(arrivals, shorter, longer, weights, tails)
    return -1


@njit(nogil=True, cache=True)
def _tie_groups(
    scores: NDArray[np.float64],
    row: int,
    length: int,
    top: NDArray[np.int32],
    bottom: NDArray[np.int32],
) -> None:
    """First and last rank of the group of equal neighbours that each rank belongs to; NaN is
    equal to nothing."""
    start = 0
    for rank in range(length):
        if rank > 0 and scores[row, rank] != scores[row, rank - 1]:
            start = rank
        top[rank] = start
    end = length - 1
    for rank in range(length - 1, -1, -1):
        if rank < length - 1 and top[rank] != top[rank + 1]:
            end = rank
        bottom[rank] = end


@njit(nogil=True, cache=True)
def _weight_at(rank: int, top: int, bottom: int) -> float:
    """Share of the orders of its tie group in which a note stands within ranks 0 to `rank`."""
    if rank >= bottom:
        return 1.0
    if rank < top:
        return 0.0
    return (rank - top + 1) / (bottom - top + 1)


@njit(
    types.int64(_feeds, _feeds, _scores, _scores, _weights, _weights, types.boolean, _values),
    nogil=True,
    cache=True,
)
def extrapolate_tied_rows(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    scores_a: NDArray[np.float64],
    scores_b: NDArray[np.float64],
    weights: NDArray[np.float64],
    tails: NDArray[np.float64],
    itself: bool,
    similarity: NDArray[np.float64],
) -> int:
    """RBO_ext^a per row: as `extrapolate_rows`, every note counting by the share of the orders of
    its tie group in which it is there already (Corsi & Urbano 2024).

    X_d is the sum over shared notes of the product of both feeds' shares. Past the shorter feed's
    end, what it does not show agrees as it did, A_s, with the longer feed's other notes, in the
    share in which these are there on average. `itself`: b is a, known to be readable, so its
    notes need no match.
    """
    depth = a.shape[1]
    size = _table_size(depth)
    keys = np.full(size, -1, np.int64)
    places = np.empty(size, np.int32)
    partner = np.empty(depth, np.int32)
    back = np.empty(depth, np.int32)
    top_a, bottom_a = np.empty(depth, np.int32), np.empty(depth, np.int32)
    top_b, bottom_b = np.empty(depth, np.int32), np.empty(depth, np.int32)
    whole = np.empty(depth + 1, np.int64)
    part = np.empty(depth, np.float64)
    for row in range(a.shape[0]):
        length_a, length_b = _length(a, row), _length(b, row)
        if length_a < 0 or length_b < 0:
            return row
        if itself:
            for rank in range(length_a):
                partner[rank] = rank
        elif not _match(a, b, row, row, length_a, length_b, True, keys, places, partner):
            return row
        shorter, longer = min(length_a, length_b), max(length_a, length_b)
        if shorter == 0:
            similarity[row] = 1.0 if longer == 0 else 0.0
            continue
        _tie_groups(scores_a, row, length_a, top_a, bottom_a)
        _tie_groups(scores_b, row, length_b, top_b, bottom_b)
        whole[: longer + 1] = 0
        part[:longer] = 0.0
        back[:longer] = ABSENT
        for rank in range(length_a):
            other = partner[rank]
            if other == ABSENT:
                continue
            back[other] = rank
            first = max(top_a[rank], top_b[other])
            last = max(bottom_a[rank], bottom_b[other])
            for d in range(first, last):
                part[d] += _weight_at(d, top_a[rank], bottom_a[rank]) * _weight_at(
                    d, top_b[other], bottom_b[other]
                )
            whole[last] += 1
        shared, agreement_at_shorter = 0, 0.0
        total, normaliser, agreement = 0.0, 0.0, 0.0
        for rank in range(longer):
            shared += whole[rank]
            d = rank + 1
            seen = shared + part[rank]
            if d <= shorter:
                agreement = seen / d
                agreement_at_shorter = seen
            else:
                there, count = 0.0, 0
                for other in range(longer):
                    if length_a > length_b:
                        alone = partner[other] == ABSENT
                        share = _weight_at(rank, top_a[other], bottom_a[other])
                    else:
                        alone = back[other] == ABSENT
                        share = _weight_at(rank, top_b[other], bottom_b[other])
                    if alone and share > 0.0:
                        there += share
                        count += 1
                unshared = agreement_at_shorter * (d - shorter) * (there / count)
                agreement = (seen * shorter + unshared) / (shorter * d)
            total += weights[rank] * agreement
            normaliser += weights[rank]
        total += tails[longer - 1] * agreement
        similarity[row] = total / (normaliser + tails[longer - 1])
    return -1


@njit(nogil=True, cache=True)
def _alone(partner: NDArray[np.int32], length: int) -> tuple[int, int]:
    """Pairs of one feed of which the other holds the lower only, and of which it holds none."""
    missing, lower_only = 0, 0
    for rank in range(length):
        if partner[rank] == ABSENT:
            missing += 1
        else:
            lower_only += missing
    return lower_only, missing * (missing - 1) // 2


@njit(nogil=True, cache=True)
def _kendall(
    partner: NDArray[np.int32], length: int, penalty: float, scratch: NDArray[np.int32]
) -> float:
    """K^(p) of two feeds of this length, from the places in the second of the first's notes.

    Pairs are counted in whole numbers: those in another order, those of which the other feed holds
    the lower one only, one note of each feed alone, and those of which the other holds none.
    """
    shared = 0
    for rank in range(length):
        if partner[rank] != ABSENT:
            scratch[shared] = partner[rank]
            shared += 1
    reversals = 0
    for lower in range(1, shared):
        place, above = scratch[lower], 0
        for upper in range(lower):
            above += scratch[upper] > place
        reversals += above
    lower_only, none = _alone(partner, length)
    scratch[:length] = ABSENT
    for rank in range(length):
        if partner[rank] != ABSENT:
            scratch[partner[rank]] = rank
    lower_only_b, none_b = _alone(scratch, length)
    unshared = length - shared
    counted = reversals + lower_only + lower_only_b + unshared * unshared
    return counted + penalty * (none + none_b)


@njit(nogil=True, cache=True)
def _kendall_of_nothing(longer: int, penalty: float) -> float:
    """K^(p) where one feed is empty: that of disjoint feeds at the length of the other."""
    return longer * longer + penalty * longer * (longer - 1)


@njit(types.int64(_feeds, _feeds, types.float64, _values), nogil=True, cache=True)
def kendall_rows(
    a: NDArray[np.int32], b: NDArray[np.int32], penalty: float, distance: NDArray[np.float64]
) -> int:
    """Fagin's K^(p) per row: pairs of notes on whose order the two feeds disagree."""
    depth = a.shape[1]
    size = _table_size(depth)
    keys = np.full(size, -1, np.int64)
    places = np.empty(size, np.int32)
    partner = np.empty(depth, np.int32)
    scratch = np.empty(depth, np.int32)
    for row in range(a.shape[0]):
        length_a, length_b = _length(a, row), _length(b, row)
        if length_a < 0 or length_b < 0:
            return row
        length = min(length_a, length_b)
        if length == 0:
            distance[row] = _kendall_of_nothing(max(length_a, length_b), penalty)
            continue
        if not _match(a, b, row, row, length, length, True, keys, places, partner):
            return row
        distance[row] = _kendall(partner, length, penalty, scratch)
    return -1


@njit(
    types.int64(
        _feeds,
        _feeds,
        _weights,
        _weights,
        types.float64,
        _flags,
        _values,
        _values,
        _values,
        _values,
        _counts,
        _counts,
        _counts,
    ),
    nogil=True,
    cache=True,
)
def pair_rows(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    weights: NDArray[np.float64],
    tails: NDArray[np.float64],
    penalty: float,
    from_newcomers: NDArray[np.bool_],
    agreement: NDArray[np.float64],
    average: NDArray[np.float64],
    extended: NDArray[np.float64],
    kendall: NDArray[np.float64],
    kept: NDArray[np.int32],
    displaced: NDArray[np.int32],
    slots: NDArray[np.int32],
) -> int:
    """What `compare_rows` (twice: average overlap has weights of 1), `extrapolate_rows` and
    `kendall_rows` say of each row, to the bit, from one match of its notes."""
    depth = a.shape[1]
    size = _table_size(depth)
    keys = np.full(size, -1, np.int64)
    places = np.empty(size, np.int32)
    partner = np.empty(depth, np.int32)
    scratch = np.empty(depth, np.int32)
    arrivals = np.empty(depth, np.int32)
    for row in range(a.shape[0]):
        length_a, length_b = _length(a, row), _length(b, row)
        if length_a < 0 or length_b < 0:
            return row
        length, longer = min(length_a, length_b), max(length_a, length_b)
        slots[row] = length
        displaced[row] = 0
        if length == 0:
            both = 1.0 if longer == 0 else 0.0
            agreement[row] = average[row] = extended[row] = both
            kendall[row] = _kendall_of_nothing(longer, penalty)
            kept[row] = 0
            continue
        if longer > length:  # nothing is cut here
            uncut = a.shape[0] + row  # a number of its own in the table
            if not _match(a, b, row, uncut, length_a, length_b, True, keys, places, partner):
                return row
            _count_arrivals(partner, length_a, longer, arrivals)
            extended[row] = _extrapolated(arrivals, length, longer, weights, tails)
        if not _match(a, b, row, row, length, length, True, keys, places, partner):
            return row
        _count_arrivals(partner, length, length, arrivals)
        if longer == length:
            extended[row] = _extrapolated(arrivals, length, longer, weights, tails)
        kept[row], agreement[row], average[row] = _agreements(arrivals, length, weights)
        kendall[row] = _kendall(partner, length, penalty, scratch)
        if from_newcomers.shape[0] > 0:
            lost = _lost(a, b, row, length, partner, from_newcomers)
            if lost < 0:
                return row
            displaced[row] = lost
    return -1
