"""The loops under the recommenders: top-k with ties, filling of gaps."""

import numpy as np
import pytest

from recsys.logs.log import Seen
from recsys.recommenders import Ranking, Trending, with_fallback
from recsys.recommenders.kernels import fill_gaps, top_k

NOBODY = np.zeros(1, dtype=np.int32)


def best(values, k, seen=()):
    """top_k of each row; `seen`: the items seen by the user of each row."""
    values = np.array(values, dtype=np.float64)
    n, columns = values.shape
    ids, scores = np.full((n, k), -1, dtype=np.int32), np.full((n, k), np.nan)
    start = np.cumsum([0, *map(len, seen)]).astype(np.int32)
    items = np.array([item for row in seen for item in row], dtype=np.int32)
    users = np.arange(n) if seen else np.full(n, -1)
    all_columns = np.arange(columns)
    top_k(
        values,
        users,
        Seen(start[:-1], start[1:], items),
        all_columns,
        all_columns.astype(np.int32),
        np.arange(n),
        ids,
        scores,
    )
    return ids, scores


@pytest.mark.parametrize(
    ("row", "k", "expected"),
    [
        ([1, 3, 2], 2, [1, 2]),
        ([1, 1, 1], 2, [0, 1]),
        ([0, 2, 2, 1, 2], 4, [1, 2, 4, 3]),
        ([2, 2, 3, 3], 3, [2, 3, 0]),
        ([-1, -2], 2, [0, 1]),
        ([-np.inf, 5, -np.inf], 3, [1, -1, -1]),
        ([-np.inf], 1, [-1]),
        ([1, 2], 4, [1, 0, -1, -1]),
        ([], 2, [-1, -1]),
    ],
)
def test_top_k(row, k, expected):
    ids, scores = best([row], k)
    assert ids[0].tolist() == expected
    assert scores[0].tolist()[: len([i for i in expected if i >= 0])] == [
        row[i] for i in expected if i >= 0
    ]
    assert np.isnan(scores[ids < 0]).all()


def test_top_k_against_a_stable_sort():
    rng = np.random.default_rng(14)
    values = rng.integers(0, 6, (200, 30)).astype(float)
    seen = [rng.permutation(30)[: rng.integers(0, 30)].tolist() for _ in range(200)]
    ids, _ = best(values, 12, seen)
    for row in range(200):
        order = [i for i in np.argsort(-values[row], kind="stable") if i not in seen[row]][:12]
        assert ids[row].tolist() == order + [-1] * (12 - len(order))


@pytest.mark.parametrize("values", [2, 40, 10**9])
@pytest.mark.parametrize("columns", [160, 1_000, 1_023])
def test_top_k_with_a_bound(columns, values):
    """Rows so long that the worst slot is bounded first, with many, some and no ties."""
    rng = np.random.default_rng(columns)
    scores = rng.integers(0, values, (50, columns)).astype(float)
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    scores[:10] = np.sort(scores[:10], axis=1)
    scores[10:20] = -np.sort(-scores[10:20], axis=1)
    ids, _ = best(scores, 9)
    assert (ids == np.argsort(-scores, axis=1, kind="stable")[:, :9]).all()


def test_fill_gaps():
    ids = np.array([[4, -1, 7, -1], [1, 2, 3, 4], [-1, -1, -1, -1]], dtype=np.int32)
    scores = np.where(ids < 0, np.nan, 1.0).astype(np.float32)
    sources = np.zeros(ids.shape, dtype=np.uint8)
    more = np.array([[7, 4, 9, -1, 2], [5, -1, -1, -1, -1]], dtype=np.int32)
    more_scores = np.array([[5, 4, 3, np.nan, 2], [1] + [np.nan] * 4], dtype=np.float32)
    fill_gaps(ids, scores, sources, np.array([0, 2]), more, more_scores, np.uint8(4))
    assert ids.tolist() == [[4, 9, 7, 2], [1, 2, 3, 4], [5, -1, -1, -1]]
    assert sources.tolist() == [[0, 4, 0, 4], [0, 0, 0, 0], [4, 0, 0, 0]]
    assert scores[0].tolist() == [1.0, 3.0, 1.0, 2.0]
    assert np.isnan(scores[2, 1:]).all()


def test_with_fallback_fills_the_end_and_leaves_the_rest(log, fitted):
    fallback = fitted(Trending())
    whole = fallback.rank(np.array([0]), 6).item_ids[0]
    ids = np.array([[whole[1], -1, -1], [whole[5], whole[4], whole[3]]], dtype=np.int32)
    own = Ranking(
        ids, np.where(ids < 0, np.nan, 0.5).astype(np.float32), np.zeros((2, 3), dtype=np.uint8)
    )
    got = with_fallback(own, fallback, np.array([0, 1]))
    assert got.item_ids.tolist() == [[whole[1], whole[0], whole[2]], [whole[5], whole[4], whole[3]]]
    assert got.sources.tolist() == [[0, 4, 4], [0, 0, 0]]
    assert own.item_ids.tolist() == ids.tolist()
    full = with_fallback(got, fallback, np.array([0, 1]))
    assert full is got


def test_with_fallback_keeps_to_the_candidates(log, fitted):
    fallback = fitted(Trending())
    candidates = np.zeros(log.n_items, dtype=bool)
    candidates[[3, 9, 20]] = True
    empty = Ranking(
        np.full((1, 5), -1, dtype=np.int32),
        np.full((1, 5), np.nan, dtype=np.float32),
        np.zeros((1, 5), dtype=np.uint8),
    )
    got = with_fallback(empty, fallback, np.array([0]), candidates)
    assert sorted(got.item_ids[0].tolist()) == [-1, -1, 3, 9, 20]
