"""Item neighbours: similarities equal a slow reference."""

from math import sqrt

import numpy as np
import pytest
from implicit.nearest_neighbours import (
    BM25Recommender,
    CosineRecommender,
    TFIDFRecommender,
    bm25_weight,
    tfidf_weight,
)
from scipy.sparse import csr_matrix, random_array

from recsys.logs.log import InteractionLog
from recsys.recommenders import ItemKNN
from recsys.recommenders.item_knn import bm25, similarities, tfidf


def slow_similarities(liked, neighbours, shrinkage):
    """Set by set: the strongest `neighbours` of each item, of equal ones the first columns."""
    n_items = liked.shape[1]
    users = [set(np.flatnonzero(liked[:, item])) for item in range(n_items)]
    out = np.zeros((n_items, n_items))
    for i in range(n_items):
        row = {
            j: len(users[i] & users[j]) / (sqrt(len(users[i])) * sqrt(len(users[j])) + shrinkage)
            for j in range(n_items)
            if j != i and users[i] & users[j]
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
    rows = np.repeat(np.arange(n_items), np.diff(got.indptr))
    assert (np.diff(rows * n_items + got.indices) > 0).all()  # each row by its columns


def test_worked_by_hand():
    # users: a {1, 2}, b {1, 2, 3}, c {3}
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


# As implicit has it


def counts(seed, n_users=40, n_items=25):
    """Small whole numbers, 0 mostly; every user and every item has some."""
    rng = np.random.default_rng(seed)
    made = random_array((n_users, n_items), density=0.15, rng=rng).toarray()
    made = np.ceil(5 * made)
    made[np.arange(n_users), np.arange(n_users) % n_items] = 1 + seed
    return csr_matrix(made)


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_those_of_implicit(seed):
    weights = counts(seed)
    np.testing.assert_allclose(
        tfidf(weights).toarray(), tfidf_weight(weights.T).T.toarray(), rtol=1e-12
    )
    for k1, b in ((1.2, 0.75), (100.0, 0.8), (0.0, 0.0)):
        np.testing.assert_allclose(
            bm25(weights, k1, b).toarray(), bm25_weight(weights.T, k1, b).T.toarray(), rtol=1e-12
        )


@pytest.mark.filterwarnings("ignore:Method expects CSR input")  # implicit's own, by implicit
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("cosine", CosineRecommender),
        ("tfidf", TFIDFRecommender),
        (
            "bm25",
            lambda K, num_threads: BM25Recommender(K, K1=1.2, B=0.75, num_threads=num_threads),
        ),
    ],
)
def test_similarities_are_those_of_implicit(ours, theirs, seed):
    """Theirs has the item itself besides; our cosine counts a like once."""
    weights = counts(seed)
    if ours == "cosine":
        weights.data[:] = 1
    user, item = weights.nonzero()
    log = InteractionLog.from_frames({"user_id": user, "item_id": item, "weight": weights.data})
    options = {"neighbours": 100, "shrinkage": 0.0, "k1": 1.2, "b": 0.75}
    model = ItemKNN(similarity=ours, **options).fit(log)
    other = theirs(K=100, num_threads=1)
    other.fit(weights, show_progress=False)
    expected = other.similarity.toarray()
    np.fill_diagonal(expected, 0)
    hot = log.interactions.items
    np.testing.assert_allclose(
        model.similar.toarray(), expected[np.ix_(hot, hot)], rtol=1e-10, atol=1e-12
    )
