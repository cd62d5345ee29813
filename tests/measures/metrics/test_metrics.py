"""Metrics against their definitions, written out slowly, and against scikit-learn."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import average_precision_score, coverage_error, ndcg_score

from recsys.measures.metrics import (
    METRICS,
    average_precision,
    hit_rate,
    hits_of,
    judge,
    mean_popularity,
    ndcg,
    novelty,
    popularity_lift,
    precision,
    recall,
    reciprocal_rank,
)

N_USERS, N_ITEMS = 40, 30


@pytest.fixture(params=range(5))
def case(request):
    """Rankings of random lengths, what is relevant to each user, and what each liked before."""
    rng = np.random.default_rng(request.param)
    k = int(rng.integers(1, 12))
    rankings = np.full((N_USERS, k), -1, dtype=np.int32)
    for row in range(N_USERS):
        length = rng.integers(0, k + 1)
        rankings[row, :length] = rng.permutation(N_ITEMS)[:length]
    relevant = csr_matrix(rng.random((N_USERS, N_ITEMS)) < rng.choice([0.02, 0.2, 0.9]))
    liked = csr_matrix(rng.random((N_USERS, N_ITEMS)) < rng.choice([0.03, 0.1], (N_USERS, 1)))
    return rankings, relevant, liked


def slowly(ranking, relevant):
    """All metrics of one user, from a list and a set, as the formulas have them."""
    k, shown = len(ranking), [item for item in ranking if item >= 0]
    hits = [item in relevant for item in ranking]
    if not relevant:
        return dict.fromkeys(("precision", "recall", "hit_rate", "mrr", "map", "ndcg"), math.nan)
    best = min(len(relevant), k)
    first = next((rank for rank, hit in enumerate(hits, start=1) if hit), None)
    return {
        "precision": len(relevant & set(shown)) / k,
        "recall": len(relevant & set(shown)) / len(relevant),
        "hit_rate": float(bool(relevant & set(shown))),
        "mrr": 0.0 if first is None else 1 / first,
        "map": sum(sum(hits[:r]) / r for r in range(1, k + 1) if hits[r - 1]) / best,
        "ndcg": sum(1 / math.log2(r + 1) for r in range(1, k + 1) if hits[r - 1])
        / sum(1 / math.log2(r + 1) for r in range(1, best + 1)),
    }


def test_each_user_has_what_the_formulas_give(case):
    rankings, relevant, liked = case
    judged = judge(rankings, np.arange(N_USERS), relevant, liked, N_ITEMS)
    expected = [
        slowly(row.tolist(), set(relevant[user].indices.tolist()))
        for user, row in enumerate(rankings)
    ]
    for name in expected[0]:
        values = METRICS[name].function(judged)
        np.testing.assert_allclose(values, [user[name] for user in expected], rtol=1e-12)


def test_what_describes_items_is_what_counting_gives(case):
    rankings, relevant, liked = case
    judged = judge(rankings, np.arange(N_USERS), relevant, liked, N_ITEMS)
    sets = [set(liked[user].indices.tolist()) for user in range(N_USERS)]
    n_users = sum(1 for items in sets if items)
    share = [sum(item in items for items in sets) / n_users for item in range(N_ITEMS)]
    surprise = [-math.log2(max(s, 1 / n_users)) for s in share]
    shown = [[item for item in row.tolist() if item >= 0] for row in rankings]

    def mean(values):
        return sum(values) / len(values) if values else math.nan

    novelties = [mean([surprise[item] for item in items]) for items in shown]
    np.testing.assert_allclose(METRICS["novelty"].function(judged), novelties, rtol=1e-12)
    consumed = [mean([share[item] for item in items]) for items in sets]
    np.testing.assert_allclose(judged.consumed, consumed, rtol=1e-12)
    both = [
        (mean([share[item] for item in items]), liked_before)
        for items, liked_before in zip(shown, consumed, strict=True)
        if items and not math.isnan(liked_before)
    ]
    lift = mean([a for a, _ in both]) / mean([b for _, b in both]) - 1
    assert METRICS["popularity_lift"].over(judged)[0] == pytest.approx(lift, rel=1e-12)
    covered = len({item for items in shown for item in items}) / N_ITEMS
    assert METRICS["coverage"].over(judged)[0] == covered


def test_ndcg_and_average_precision_are_scikit_learns():
    """On whole rankings, where both have one definition."""
    rng = np.random.default_rng(7)
    truth = rng.random((N_USERS, N_ITEMS)) < 0.2
    truth[:, 0] = True  # scikit-learn wants something relevant
    scores = rng.random((N_USERS, N_ITEMS))
    rankings = np.argsort(-scores, axis=1).astype(np.int32)
    for k in (1, 5, N_ITEMS):
        hits, n_relevant = hits_of(rankings[:, :k], csr_matrix(truth))
        assert ndcg(hits, n_relevant).mean() == pytest.approx(ndcg_score(truth, scores, k=k))
    hits, n_relevant = hits_of(rankings, csr_matrix(truth))
    theirs = [average_precision_score(t, s) for t, s in zip(truth, scores, strict=True)]
    np.testing.assert_allclose(average_precision(hits, n_relevant), theirs)
    # how deep one must go to find all: 1 / rank of the first hit of a user with one relevant item
    single = np.eye(N_ITEMS, dtype=bool)[rng.integers(0, N_ITEMS, N_USERS)]
    hits, n_relevant = hits_of(rankings, csr_matrix(single))
    depths = [
        coverage_error(t[None], s[None], sample_weight=None)
        for t, s in zip(single, scores, strict=True)
    ]
    np.testing.assert_allclose(reciprocal_rank(hits, n_relevant), 1 / np.array(depths))


@pytest.mark.parametrize(
    "function", [precision, recall, hit_rate, reciprocal_rank, ndcg, average_precision]
)
def test_best_and_worst_lists(function):
    n_relevant = np.array([3, 3, 0])
    hits = np.array([[True, True, True], [False] * 3, [False] * 3])
    best, worst, nobody = function(hits, n_relevant)
    assert (best, worst) == (1.0, 0.0)
    assert math.isnan(nobody)


@pytest.mark.parametrize("function", [precision, hit_rate, reciprocal_rank, average_precision])
def test_shapes_that_do_not_fit(function):
    with pytest.raises(ValueError, match="expected bool"):
        function([[0.5, 0.5]], [1])
    with pytest.raises(ValueError, match="expected integers"):
        function([[True, False]], [1, 2])
    with pytest.raises(ValueError, match="row 0 has 2 hits and n_relevant 1"):
        function([[True, True]], [1])


def test_utility_is_of_worlds_alone(case):
    rankings, relevant, liked = case
    judged = judge(rankings, np.arange(N_USERS), relevant, liked, N_ITEMS)
    assert np.isnan(METRICS["utility"].function(judged)).all()
    rng = np.random.default_rng(3)
    looks = np.linspace(1, 0.5, rankings.shape[1])
    utility = np.where(rankings >= 0, rng.random(rankings.shape), np.nan)
    known = replace(judged, utility=utility, looks=looks)
    got = METRICS["utility"].function(known)
    for row, values in enumerate(utility):
        there = ~np.isnan(values)
        if there.any():
            expected = 100 * (values * looks)[there].sum() / looks[there].sum()
            assert got[row] == pytest.approx(expected)
        else:
            assert math.isnan(got[row])
    some = np.arange(N_USERS) % 3 == 0
    np.testing.assert_array_equal(METRICS["utility"].function(known.only(some)), got[some])


def test_a_groups_figure_is_the_mean_of_those_who_have_one(case):
    rankings, relevant, liked = case
    judged = judge(rankings, np.arange(N_USERS), relevant, liked, N_ITEMS)
    for metric in METRICS.values():
        value, known = metric.over(judged)
        if metric.kind == "user":
            values = metric.function(judged)
            assert known == np.isfinite(values).sum()
            assert value == np.nanmean(values) if known else math.isnan(value)
    nobody = judged.only(np.zeros(N_USERS, dtype=bool))
    for metric in METRICS.values():
        value, known = metric.over(nobody)
        assert math.isnan(value)
        assert known == 0


def test_popularity_of_items():
    assert novelty([[0]], [4], n_users=4).tolist() == [0.0]
    assert novelty([[0, 1]], [0, 1], n_users=8).tolist() == [3.0]  # nobody counts as one
    assert mean_popularity([[1, -1]], [0.0, 0.25]).tolist() == [0.25]
    assert math.isnan(popularity_lift([], []))
    with pytest.raises(ValueError, match="n_users is 0"):
        novelty([[0]], [4], n_users=0)
    with pytest.raises(ValueError, match="item_ids must be -1 to 1"):
        mean_popularity([[2]], [0.0, 0.25])
    with pytest.raises(ValueError, match="expected integers"):
        mean_popularity([[0.5]], [0.0, 0.25])
    with pytest.raises(ValueError, match="expected"):
        popularity_lift([0.1], [0.1, 0.2])


def test_rankings_that_do_not_fit():
    relevant = csr_matrix(np.eye(3, dtype=bool))
    with pytest.raises(ValueError, match=r"expected \(3, k\)"):
        hits_of(np.zeros((2, 1), np.int32), relevant)
    with pytest.raises(ValueError, match="item_ids must be -1 to 2"):
        hits_of(np.full((3, 1), 3, np.int32), relevant)
    with pytest.raises(ValueError, match="relevant has shape"):
        judge(np.zeros((3, 1), np.int32), np.arange(3), relevant, csr_matrix((2, 3)), 3)
