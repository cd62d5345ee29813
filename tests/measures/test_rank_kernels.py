"""The compiled rank comparisons against the plain ones, on random feeds of all lengths."""

import numpy as np
import pytest

from recsys.measures import slow_ranks
from recsys.measures.rank_kernels import (
    MOST_BY_ID,
    compare_rows,
    extrapolate_rows,
    extrapolate_tied_rows,
    kendall_rows,
    pair_rows,
)

N, P, PENALTY = 2000, 0.9, 0.5
HASHED = MOST_BY_ID + 3
"""Ids so far apart are hashed; those of neighbours have a place each."""


@pytest.fixture(scope="module", params=[1, 2, 7, 20])
def neighbours(request):
    """Feeds of 0 to k of 2k + 2 items, so that some rows share much and some nothing."""
    depth = request.param
    rng = np.random.default_rng(depth)

    def some():
        ids = rng.permuted(np.tile(np.arange(2 * depth + 2), (N, 1)), axis=1)[:, :depth]
        lengths = np.where(rng.random(N) < 0.5, depth, rng.integers(0, depth + 1, N))
        return np.where(np.arange(depth) < lengths[:, None], ids, -1).astype(np.int32)

    return some(), some(), rng.random(2 * depth + 2) < 0.3


@pytest.fixture(params=[1, HASHED], ids=["small ids", "large ids"])
def feeds(neighbours, request):
    """The same with ids so far apart."""
    a, b, flags = neighbours
    return *(np.where(of < 0, of, of * request.param) for of in (a, b)), flags.repeat(request.param)


def lists(ids):
    return [[int(post) for post in row if post >= 0] for row in ids]


def weights_of(depth):
    weights = np.array([P**d for d in range(depth)])
    return weights, weights * P / (1.0 - P)


def results(values, counts):
    return np.empty((values, N)), np.empty((counts, N), dtype=np.int32)


def test_agreement_and_slots(feeds):
    a, b, flags = feeds
    (agreement,), counts = results(1, 3)
    assert compare_rows(a, b, weights_of(a.shape[1])[0], flags, True, agreement, *counts) == -1
    rows = list(zip(lists(a), lists(b), strict=True))
    assert agreement.tolist() == [slow_ranks.agreement(*row, P) for row in rows]
    assert list(zip(*counts.tolist(), strict=True)) == [
        slow_ranks.slots(*row, flags) for row in rows
    ]


def test_agreement_of_feeds_with_repeats(neighbours):
    a, b, _ = (ids // 3 if ids.ndim == 2 else ids for ids in neighbours)  # -1 // 3 is -1
    (agreement,), counts = results(1, 3)
    weights, flags = weights_of(a.shape[1])[0], np.zeros(0, dtype=np.bool_)
    assert compare_rows(a, b, weights, flags, False, agreement, *counts) == -1
    rows = zip(lists(a), lists(b), strict=True)
    assert agreement.tolist() == [slow_ranks.agreement(*row, P) for row in rows]


def test_extrapolated(feeds):
    a, b, _ = feeds
    (similarity,), _ = results(1, 0)
    assert extrapolate_rows(a, b, *weights_of(a.shape[1]), similarity) == -1
    rows = zip(lists(a), lists(b), strict=True)
    assert similarity.tolist() == [slow_ranks.extrapolated(*row, P) for row in rows]


def test_extrapolated_over_ties(feeds):
    a, b, _ = feeds
    rng = np.random.default_rng(1)
    scores = [-np.sort(rng.integers(0, 4, a.shape)).astype(np.float64) for _ in range(2)]
    (similarity,), _ = results(1, 0)
    assert extrapolate_tied_rows(a, b, *scores, *weights_of(a.shape[1]), similarity) == -1
    expected = [
        slow_ranks.extrapolated_over_ties(*row, P)
        for row in zip(lists(a), lists(b), *(values.tolist() for values in scores), strict=True)
    ]
    # The loop adds whole posts apart from fractions: sums of up to 20 terms in another order.
    np.testing.assert_allclose(similarity, expected, rtol=1e-13)


def test_kendall(feeds):
    a, b, _ = feeds
    (distance,), _ = results(1, 0)
    assert kendall_rows(a, b, PENALTY, distance) == -1
    rows = zip(lists(a), lists(b), strict=True)
    assert distance.tolist() == [slow_ranks.kendall(*row, PENALTY) for row in rows]


def test_all_at_once_are_each_alone_to_the_bit(feeds):
    a, b, flags = feeds
    weights, tails = weights_of(a.shape[1])
    ones = np.ones(a.shape[1])
    values, counts = results(4, 3)
    assert pair_rows(a, b, weights, tails, PENALTY, flags, *values, *counts) == -1
    alone, counts_alone = results(4, 3)
    compare_rows(a, b, ones, flags, True, alone[1], *counts_alone)
    compare_rows(a, b, weights, flags, True, alone[0], *counts_alone)
    extrapolate_rows(a, b, weights, tails, alone[2])
    kendall_rows(a, b, PENALTY, alone[3])
    np.testing.assert_array_equal(values, alone)
    np.testing.assert_array_equal(counts, counts_alone)


@pytest.mark.parametrize("row", [[3, -1, 5], [3, -2, -1], [3, 5, 3]], ids=["gap", "low", "twice"])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("largest", [2, HASHED], ids=["small ids", "large ids"])
def test_the_first_row_that_cannot_be_read(row, side, largest):
    good = np.tile(np.array([0, 1, largest], dtype=np.int32), (4, 1))
    pair = [good, good.copy()]
    pair[side][2:] = row
    weights, tails = weights_of(3)
    flags, (value, *_), counts = np.zeros(largest + 9, np.bool_), *results(1, 3)
    assert compare_rows(*pair, weights, flags, True, value, *counts) == 2
    assert extrapolate_rows(*pair, weights, tails, value) == 2
    assert kendall_rows(*pair, PENALTY, value) == 2
