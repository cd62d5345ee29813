"""Item neighbours: similarities equal a slow reference."""

from math import sqrt

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.log import InteractionLog
from recsys.recommenders import ItemKNN
from recsys.recommenders.item_knn import similarities


def slow_similarities(liked, neighbours, shrinkage):
    """Set by set: the strongest `neighbours` of each item, of equal ones the first columns."""
    n_items = liked.shape[1]
    readers = [set(np.flatnonzero(liked[:, item])) for item in range(n_items)]
    out = np.zeros((n_items, n_items))
    for i in range(n_items):
        row = {
            j: len(readers[i] & readers[j])
            / (sqrt(len(readers[i])) * sqrt(len(readers[j])) + shrinkage)
            for j in range(n_items)
            if j != i and readers[i] & readers[j]
        }
        for j in sorted(row, key=lambda j: (-row[j], j))[:neighbours]:
            out[i, j] = row[j]
    return out


@pytest.mark.parametrize("neighbours", [1, 5, 1000])
@pytest.mark.parametrize("shrinkage", [0.0, 10.0])
@pytest.mark.parametrize(("n_items", "density"), [(30, 0.2), (300, 0.03)])
def test_against_a_slow_reference(neighbours, shrinkage, n_items, density):
    rng = np.random.default_rng(13)
    liked = rng.random((60, n_items)) < density
    liked[0] = True  # everybody in a log of interactions has been read by somebody
    got = similarities(csr_matrix(liked.astype(float)), neighbours, shrinkage)
    np.testing.assert_array_equal(got.toarray(), slow_similarities(liked, neighbours, shrinkage))
    assert (got.diagonal() == 0).all()


def test_worked_by_hand():
    # readers: a {1, 2}, b {1, 2, 3}, c {3}
    log = InteractionLog.from_frames(
        {"user_id": [1, 1, 2, 2, 3, 3], "item_id": ["a", "b", "a", "b", "b", "c"]}
    )
    model = ItemKNN(shrinkage=1.0).fit(log)
    got = model.recommend([3, 1], k=1)
    assert got["item_id"].to_list() == ["a", "c"]
    expected = [2 / (sqrt(2) * sqrt(3) + 1), 1 / (sqrt(3) * 1 + 1)]  # a from b, c from b
    assert got["score"].to_list() == pytest.approx(expected, rel=1e-6)
    assert got["source"].to_list() == ["personal", "personal"]


def test_no_evidence_is_no_recommendation():
    log = InteractionLog.from_frames({"user_id": [1, 1, 2, 2], "item_id": ["a", "b", "c", "d"]})
    model = ItemKNN().fit(log)
    assert (model.rank(np.array([0, 1]), 4).item_ids == -1).all()
    got = model.recommend([1], k=4)
    assert sorted(got["item_id"]) == ["c", "d"]
    assert (got["source"] == "fallback").all()
