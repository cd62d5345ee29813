"""Quality: scikit-learn's NDCG, values worked by hand, and what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from recsys.measures import ndcg, recall, utility


def test_ndcg_equals_scikit_learns() -> None:
    rng = np.random.default_rng(7)
    relevant = rng.random((300, 40)) < 0.15
    relevant[:, 0] = True  # scikit-learn calls a user without relevant items 0
    depth = 10
    descending = np.arange(40, 0, -1.0)  # items served in the order of their number
    expected = [ndcg_score([row], [descending], k=depth) for row in relevant.astype(float)]
    got = ndcg(relevant[:, :depth], relevant.sum(axis=1))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("n_relevant", [1, 2, 5, 9])
def test_the_best_feed_possible_is_exactly_one(n_relevant: int) -> None:
    hits = np.arange(5)[None, :] < n_relevant
    assert ndcg(hits, [n_relevant])[0] == 1.0
    assert ndcg(np.zeros((1, 5), dtype=bool), [n_relevant])[0] == 0.0


def test_ndcg_of_one_hit_is_its_discount() -> None:
    # One relevant item on rank r: 1/log2(r+1)
    assert ndcg(np.eye(4, dtype=bool), [1] * 4) == pytest.approx(1 / np.log2([2, 3, 4, 5]))


def test_recall() -> None:
    hits = np.array([[True, True, False], [False, True, False], [False] * 3])
    assert recall(hits, [2, 4, 1]).tolist() == [1.0, 0.25, 0.0]


def test_nothing_relevant_is_undefined() -> None:
    hits = np.zeros((1, 3), dtype=bool)
    assert np.isnan(ndcg(hits, [0])).all()
    assert np.isnan(recall(hits, [0])).all()


def test_utility_is_a_weighted_mean_over_filled_slots() -> None:
    relevance = [[0.5, 0.2], [0.5, np.nan], [np.nan, np.nan]]
    expected = [(0.5 + 0.25 * 0.2) / 1.25, 0.5, np.nan]
    np.testing.assert_allclose(utility(relevance, [1.0, 0.25]), expected, rtol=1e-15)


def test_errors_name_what_was_expected() -> None:
    hit = [[True, False]]
    for function in (ndcg, recall):
        with pytest.raises(ValueError, match="row 0 has 1 hits and n_relevant 0"):
            function(hit, [0])
        with pytest.raises(ValueError, match=r"expected bool \(n, k\)"):
            function([[1, 0]], [1])
        with pytest.raises(ValueError, match=r"n_relevant has shape \(2,\)"):
            function(hit, [1, 1])
        with pytest.raises(ValueError, match="n_relevant has shape"):
            function(hit, [1.0])
    with pytest.raises(ValueError, match=r"expected \(n, k\) and \(k,\)"):
        utility([[0.1, 0.2]], [1.0])
    with pytest.raises(ValueError, match="expected at least 0"):
        utility([[0.1, 0.2]], [1.0, -1.0])
