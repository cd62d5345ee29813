"""Compiled rank comparisons: one pass over each pair of feeds. Slow versions: `slow_ranks.py`.

All follow from one question: where in b is the post at rank i of a? A table of the posts of b
answers it, in time linear in the depth: by id where ids are small, by a hash of the id where they
are not. No row looks at another, so any split of the rows gives the same bits.

`_match` reads and matches a row, for all comparisons. A kernel calls it row by row and writes what
its comparison makes of the match. The opposite, a loop that hands each row to a function of the
kernel, is slower by up to a quarter: numba then counts references to each array, row by row.

The arguments of the kernels:

    a, b: int32 (n, k), item ids by rank, -1 in empty slots (at the end of a row).
    weights: float64 (k,), weight of each depth d.
    tails: float64 (k,), sum of the weights of all depths past d.
    from_newcomers: bool (n_items,), True where a newcomer made the item; of length 0 if nobody
        asks.
    distinct: whether a row that holds an id twice is an error; if not, the t-th copy of an id in a
        is matched with its t-th copy in b.
    penalty: cost of a pair of posts that one feed says nothing about.
    scores_a, scores_b: float64 (n, k), what the slots were ranked by.

All further arguments are results, (n,) each: agreement, average, extended, similarity and kendall
float64; kept, displaced and slots int32.

A kernel returns the first row that it cannot read (a gap between slots, an id below -1, a
forbidden repeat, an id without a flag), or -1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

ABSENT = -1
"""Place of a post that the other feed does not hold."""
_TAKEN = 0x7FFFFFFF
"""Stands for the rank of a post that has been asked for already."""
MOST_BY_ID = 1 << 18
"""A table of more ids leaves the processor's cache, and is slower than hashing."""
_IDS_A_ROW = 64
"""To make room for an id takes a hundredth of what is saved by the row."""


def readonly(dtype: Any, dimensions: int) -> Any:
    """The type of an argument that may be writable or read-only, so that each kernel is compiled
    once."""
    return types.Array(dtype, dimensions, "C", readonly=True)


FEEDS = readonly(types.int32, 2)
WEIGHTS = readonly(types.float64, 1)
SCORES = readonly(types.float64, 2)
FLAGS = readonly(types.boolean, 1)
COUNTS = types.int32[::1]
VALUES = types.float64[::1]


@njit(nogil=True, cache=True)
def _length(ids: NDArray[np.int32], row: int) -> int:
    """Number of filled slots of a row, or -1 if it holds a gap or an id below -1."""
    depth: int = ids.shape[1]
    signs = np.int64(0)
    for rank in range(depth):  # several at a time, since nothing ends it early
        signs |= ids[row, rank]
    if signs >= 0:
        return depth
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
def _bucket(post: int, mask: int) -> int:
    """Fibonacci hashing (Knuth, TAOCP 3, §6.4): neighbouring ids land far apart."""
    return ((post * 2654435769) >> 16) & mask


@njit(nogil=True, cache=True)
def _match_by_id(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    row: int,
    number: int,
    upto_a: int,
    upto_b: int,
    ranks: NDArray[np.int64],
    partner: NDArray[np.int32],
) -> bool:
    """As `_match` by a table with a place for every id; whether no id is met twice.

    A place of `ranks` holds the number of the match and, in its low half, the post's rank in b, or
    `_TAKEN` once a post of a is matched with it or has no match. Nothing here branches on what the
    feeds hold, which is what makes it three times as fast as hashing.
    """
    match, once = number << 32, True
    for rank in range(upto_b):
        post = np.uint32(b[row, rank])
        once &= (ranks[post] >> 32) != number
        ranks[post] = match | rank
    for rank in range(upto_a):
        post = np.uint32(a[row, rank])
        place = ranks[post] - match
        found = (ranks[post] >> 32) == number
        once &= not (found & (place == _TAKEN))
        partner[rank] = place if found else ABSENT
        ranks[post] = match | _TAKEN
    return once


@njit(nogil=True, cache=True)
def _match(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    row: int,
    number: int,
    cut: bool,
    distinct: bool,
    keys: NDArray[np.int64],
    places: NDArray[np.int32],
    partner: NDArray[np.int32],
) -> tuple[int, int]:
    """Reads the feeds of a row, and writes the rank in b of each post of a to `partner`.

    Returns the lengths of both feeds, or -1 for each if they cannot be read or if a forbidden
    repeat is met. With `cut`, posts are matched down to the end of the shorter feed only.

    A bucket of `keys` holds an int64: the number of the match in its high half, the post's id in
    its low half. Buckets start at -1, and numbers at 0. Each match has a number of its own, so a
    bucket with another number is free, and nothing is ever cleared.
    """
    length_a, length_b = _length(a, row), _length(b, row)
    if length_a < 0 or length_b < 0:
        return -1, -1
    upto_a, upto_b = length_a, length_b
    if cut:
        upto_a = upto_b = min(length_a, length_b)
    if places.shape[0] == 0:
        if _match_by_id(a, b, row, number, upto_a, upto_b, keys, partner):
            return length_a, length_b
        return -1, -1
    mask = keys.shape[0] - 1
    this_match = number << 32
    for rank in range(upto_b):
        key = this_match | b[row, rank]
        bucket = _bucket(b[row, rank], mask)
        while (keys[bucket] ^ key) >> 32 == 0:
            if distinct and keys[bucket] == key:
                return -1, -1
            bucket = (bucket + 1) & mask
        keys[bucket] = key
        places[bucket] = rank

    for rank in range(upto_a):
        key = this_match | a[row, rank]
        bucket = _bucket(a[row, rank], mask)
        while (keys[bucket] ^ key) >> 32 == 0:
            if keys[bucket] == key and (distinct or places[bucket] != ABSENT):
                break
            bucket = (bucket + 1) & mask
        if keys[bucket] == key:
            if places[bucket] == ABSENT:
                return -1, -1
            partner[rank] = places[bucket]
            places[bucket] = ABSENT
        else:
            partner[rank] = ABSENT
            if distinct:  # so that a later copy of this post is noticed
                keys[bucket] = key
                places[bucket] = ABSENT
    return length_a, length_b


@njit(nogil=True, cache=True)
def _table(
    a: NDArray[np.int32], b: NDArray[np.int32], distinct: bool
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Room for the matches of these rows: `keys` and `places`, both empty, and `partner`.

    There is a key for every id and no `places` where that is worth its making.
    """
    rows, depth = a.shape
    most = np.int32(0)
    if distinct:
        for row in range(rows):
            for rank in range(depth):
                most = max(most, a[row, rank], b[row, rank])
    worth = min(MOST_BY_ID, _IDS_A_ROW * rows)
    by_id = distinct and most < worth
    size = most + 1 if by_id else _table_size(depth)
    keys, places = np.full(size, -1, np.int64), np.empty(0 if by_id else size, np.int32)
    return keys, places, np.empty(depth, np.int32)


@njit(nogil=True, cache=True)
def _count_arrivals(
    partner: NDArray[np.int32], length: int, depth: int, arrivals: NDArray[np.int32]
) -> None:
    """Writes how many shared posts both feeds hold from each rank on; X_d is the running sum."""
    for rank in range(depth):
        arrivals[rank] = 0
    for rank in range(length):  # no branch, since half of the posts of usual feeds are shared
        arrivals[max(rank, partner[rank])] += partner[rank] != ABSENT


@njit(nogil=True, cache=True)
def _agreements(
    arrivals: NDArray[np.int32], length: int, weights: NDArray[np.float64]
) -> tuple[int, float, float]:
    """Posts shared, Σ w_d X_d/d / Σ w_d, and the same with weights of 1."""
    shared, total, normaliser, evenly = 0, 0.0, 0.0, 0.0
    for rank in range(length):
        shared += arrivals[rank]
        agreement = shared / (rank + 1)
        total += weights[rank] * agreement
        normaliser += weights[rank]
        evenly += agreement
    return shared, total / normaliser, evenly / length


@njit(nogil=True, cache=True)
def _displaced(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    row: int,
    length: int,
    partner: NDArray[np.int32],
    from_newcomers: NDArray[np.bool_],
) -> int:
    """Newcomers' posts in b that are not in a; -1 at an id without a flag."""
    count = 0
    for rank in range(length):
        if b[row, rank] >= from_newcomers.shape[0]:
            return -1
        count += from_newcomers[b[row, rank]]
    for rank in range(length):
        if partner[rank] != ABSENT:  # b holds it too, but took it from nobody
            count -= from_newcomers[a[row, rank]]
    return count


@njit(
    types.int64(FEEDS, FEEDS, WEIGHTS, FLAGS, types.boolean, VALUES, COUNTS, COUNTS, COUNTS),
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
    """Agreement Σ w_d X_d/d / Σ w_d, slots kept, slots that newcomers' posts took, slots compared.

    Feeds are cut to the shorter one. The weights are added in one order above and below the
    fraction bar, so identical feeds give 1.0 exactly.
    """
    keys, places, partner = _table(a, b, distinct)
    arrivals = np.empty(a.shape[1], np.int32)
    for row in range(a.shape[0]):
        length_a, length_b = _match(a, b, row, row, True, distinct, keys, places, partner)
        if length_a < 0:
            return row
        length = min(length_a, length_b)
        slots[row] = length
        kept[row] = 0
        displaced[row] = 0
        if length == 0:
            agreement[row] = 1.0 if length_a == length_b else 0.0
            continue
        _count_arrivals(partner, length, length, arrivals)
        kept[row], agreement[row], _ = _agreements(arrivals, length, weights)
        if from_newcomers.shape[0] > 0:
            displaced[row] = _displaced(a, b, row, length, partner, from_newcomers)
        if displaced[row] < 0:
            return row
    return -1


@njit(nogil=True, cache=True, error_model="numpy")
def _extrapolated(
    arrivals: NDArray[np.int32],
    shorter: int,
    longer: int,
    weights: NDArray[np.float64],
    so_far: NDArray[np.float64],
    tails: NDArray[np.float64],
) -> float:
    """RBO_ext of feeds of these lengths; `so_far` is the running sum of the weights."""
    shared = 0
    total, agreement = 0.0, 0.0
    for rank in range(shorter):
        shared += arrivals[rank]
        agreement = shared / (rank + 1)
        total += weights[rank] * agreement
    shared_at_shorter = shared
    for rank in range(shorter, longer):
        shared += arrivals[rank]
        d = rank + 1
        agreement = (shared * shorter + shared_at_shorter * (d - shorter)) / (shorter * d)
        total += weights[rank] * agreement
    total += tails[longer - 1] * agreement
    return float(total / (so_far[longer - 1] + tails[longer - 1]))


@njit(types.int64(FEEDS, FEEDS, WEIGHTS, WEIGHTS, VALUES), nogil=True, cache=True)
def extrapolate_rows(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    weights: NDArray[np.float64],
    tails: NDArray[np.float64],
    similarity: NDArray[np.float64],
) -> int:
    """RBO_ext: the weighted mean of agreement, with the last agreement held to infinity.

    Feeds are not cut. Past the end s of the shorter feed the agreement is (X_d + X_s (d-s)/s) / d
    (Webber 2010, eq. 32), kept over the common denominator s d so that full agreement is 1.0
    exactly.
    """
    keys, places, partner = _table(a, b, True)
    arrivals, so_far = np.empty(a.shape[1], np.int32), np.cumsum(weights)
    for row in range(a.shape[0]):
        length_a, length_b = _match(a, b, row, row, False, True, keys, places, partner)
        if length_a < 0:
            return row
        shorter, longer = min(length_a, length_b), max(length_a, length_b)
        if shorter == 0:
            similarity[row] = 1.0 if longer == 0 else 0.0
            continue
        _count_arrivals(partner, length_a, longer, arrivals)
        similarity[row] = _extrapolated(arrivals, shorter, longer, weights, so_far, tails)
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
    """Share of the orders of its tie group in which a post stands within ranks 0 to `rank`."""
    if rank >= bottom:
        return 1.0
    if rank < top:
        return 0.0
    return (rank - top + 1) / (bottom - top + 1)


@njit(nogil=True, cache=True)
def _share_of_others(
    at: int,
    partner: NDArray[np.int32],
    top: NDArray[np.int32],
    bottom: NDArray[np.int32],
    length: int,
) -> float:
    """Mean weight at a rank of a feed's posts that the other feed does not hold, of those whose
    weight there is above 0."""
    total, count = 0.0, 0
    for rank in range(length):
        share = _weight_at(at, top[rank], bottom[rank])
        if partner[rank] == ABSENT and share > 0.0:
            total += share
            count += 1
    return total / count


@njit(types.int64(FEEDS, FEEDS, SCORES, SCORES, WEIGHTS, WEIGHTS, VALUES), nogil=True, cache=True)
def extrapolate_tied_rows(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    scores_a: NDArray[np.float64],
    scores_b: NDArray[np.float64],
    weights: NDArray[np.float64],
    tails: NDArray[np.float64],
    similarity: NDArray[np.float64],
) -> int:
    """RBO_ext^a: RBO_ext averaged over the orders of posts with equal scores (Corsi & Urbano 2024).

    Neighbours with equal scores are a tie group. A post counts at rank d by the share of the orders
    of its group in which it stands within the first d ranks. X_d is the sum over shared posts of
    the product of their shares in both feeds.

    Past its end s, the shorter feed's unseen posts agree with those posts of the longer feed that
    it does not hold, by its agreement A_s at the end times the mean share of these posts at d.
    """
    depth = a.shape[1]
    keys, places, partner = _table(a, b, True)
    top_a, bottom_a = np.empty(depth, np.int32), np.empty(depth, np.int32)
    top_b, bottom_b = np.empty(depth, np.int32), np.empty(depth, np.int32)
    back, whole, part = np.empty(depth, np.int32), np.empty(depth, np.int64), np.empty(depth)
    for row in range(a.shape[0]):
        length_a, length_b = _match(a, b, row, row, False, True, keys, places, partner)
        if length_a < 0:
            return row
        shorter, longer = min(length_a, length_b), max(length_a, length_b)
        if shorter == 0:
            similarity[row] = 1.0 if longer == 0 else 0.0
            continue
        _tie_groups(scores_a, row, length_a, top_a, bottom_a)
        _tie_groups(scores_b, row, length_b, top_b, bottom_b)
        whole[:longer] = 0
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
                if length_a > length_b:
                    share = _share_of_others(rank, partner, top_a, bottom_a, longer)
                else:
                    share = _share_of_others(rank, back, top_b, bottom_b, longer)
                unshared = agreement_at_shorter * (d - shorter) * share
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
    """K^(p) of two feeds of this length, from the places in the second of the first's posts.

    Pairs are counted in whole numbers: those in another order, those of which the other feed holds
    the lower one only, one post of each feed alone, and those of which the other holds none.
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


@njit(types.int64(FEEDS, FEEDS, types.float64, VALUES), nogil=True, cache=True)
def kendall_rows(
    a: NDArray[np.int32], b: NDArray[np.int32], penalty: float, distance: NDArray[np.float64]
) -> int:
    """Fagin's K^(p): pairs of posts on whose order the two feeds disagree; cut to the shorter."""
    keys, places, partner = _table(a, b, True)
    spare = np.empty(a.shape[1], np.int32)
    for row in range(a.shape[0]):
        length_a, length_b = _match(a, b, row, row, True, True, keys, places, partner)
        if length_a < 0:
            return row
        length = min(length_a, length_b)
        if length == 0:
            distance[row] = _kendall_of_nothing(max(length_a, length_b), penalty)
        else:
            distance[row] = _kendall(partner, length, penalty, spare)
    return -1


@njit(
    types.int64(
        FEEDS,
        FEEDS,
        WEIGHTS,
        WEIGHTS,
        types.float64,
        FLAGS,
        VALUES,
        VALUES,
        VALUES,
        VALUES,
        COUNTS,
        COUNTS,
        COUNTS,
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
    """All of the above but the ties, from one match of each row, to the bit.

    `agreement` and the counts are those of `compare_rows`, `average` its agreement with weights of
    1, `extended` that of `extrapolate_rows`, `kendall` that of `kendall_rows`.
    """
    keys, places, partner = _table(a, b, True)
    arrivals, spare = np.empty(a.shape[1], np.int32), np.empty(a.shape[1], np.int32)
    so_far = np.cumsum(weights)
    for row in range(a.shape[0]):
        length_a, length_b = _match(a, b, row, row, True, True, keys, places, partner)
        if length_a < 0:
            return row
        length, longer = min(length_a, length_b), max(length_a, length_b)
        slots[row] = length
        kept[row] = 0
        displaced[row] = 0
        if length == 0:
            agreement[row] = average[row] = extended[row] = 1.0 if longer == 0 else 0.0
            kendall[row] = _kendall_of_nothing(longer, penalty)
            continue
        _count_arrivals(partner, length, length, arrivals)
        kept[row], agreement[row], average[row] = _agreements(arrivals, length, weights)
        kendall[row] = _kendall(partner, length, penalty, spare)
        if from_newcomers.shape[0] > 0:
            displaced[row] = _displaced(a, b, row, length, partner, from_newcomers)
        if longer > length:  # RBO_ext cuts nothing: match again, to the end of both
            number = a.shape[0] + row
            length_a, length_b = _match(a, b, row, number, False, True, keys, places, partner)
            if length_a < 0:
                return row
            _count_arrivals(partner, length_a, longer, arrivals)
        extended[row] = _extrapolated(arrivals, length, longer, weights, so_far, tails)
        if displaced[row] < 0:
            return row
    return -1
