"""bpr and lmf: descent over pairs, with draws that belong to keys."""

import numpy as np
import pytest

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.recommenders import ALS, BPR, LMF

KINDS = {BPR: {"factors": 6, "iterations": 30}, LMF: {"factors": 6, "iterations": 10}}


@pytest.fixture(params=KINDS, ids=["bpr", "lmf"])
def recommender(request):
    return request.param(**KINDS[request.param])


def factors_of(model):
    return model.user_factors, model.item_factors


def test_factors_are_finite_and_reproducible(recommender, log):
    one, again, other = (recommender.fit(log, seed) for seed in (3, 3, 4))
    for mine, same, different in zip(*map(factors_of, (one, again, other)), strict=True):
        assert np.isfinite(mine).all()
        np.testing.assert_array_equal(mine, same)
        assert (mine != different).any(axis=1).all()


def test_columns_that_hold_biases(log):
    x, y = factors_of(BPR(**KINDS[BPR]).fit(log))
    assert x.shape[1] == y.shape[1] == 7
    assert (x[:, -1] == 1).all()
    assert np.unique(y[:, -1]).size == y.shape[0]
    x, y = factors_of(LMF(**KINDS[LMF]).fit(log))
    assert x.shape[1] == y.shape[1] == 8
    assert (x[:, -2] == 1).all()
    assert (y[:, -1] == 1).all()


def test_scores_are_products(recommender, log):
    model = recommender.fit(log, seed=1)
    got = model.rank(np.array([100]), 20)
    x, y = (factors.astype(np.float64) for factors in factors_of(model))
    expected = y[model.hot_column[got.item_ids[0]]] @ x[model.hot_row[100]]
    np.testing.assert_allclose(got.scores[0], expected, rtol=1e-5, atol=1e-6)


def test_it_goes_on_from_yesterdays_factors(recommender, log):
    """A step of no length leaves what it began with: the previous factors, found by key."""
    still = recommender.model_copy(update={"learning_rate": 1e-30, "warm_iterations": 1})
    yesterday = recommender.fit(log.without_users(np.arange(300)), seed=5)
    warm = still.fit(log, 6, yesterday)
    row, before = warm.hot_row, yesterday.hot_row
    both = (row >= 0) & (before >= 0)
    assert both.sum() > 100
    np.testing.assert_array_equal(
        warm.user_factors[row[both]], yesterday.user_factors[before[both]]
    )
    assert not np.isin(warm.user_factors[row[(row >= 0) & ~both]], yesterday.user_factors).all()


@pytest.mark.parametrize("stranger", [ALS(factors=7), ALS(factors=8)])
def test_factors_of_another_kind_are_no_start(recommender, log, stranger):
    cold, after = recommender.fit(log, 1), recommender.fit(log, 1, stranger.fit(log))
    np.testing.assert_array_equal(cold.user_factors, after.user_factors)


def test_a_descent_that_leaves_the_numbers_is_an_error(log):
    with pytest.raises(LogError, match="bpr: the factors are not finite any more; lower learning"):
        BPR(factors=6, learning_rate=1e30).fit(log)


def test_how_often_something_happened_counts_for_lmf_alone():
    once = {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 9, 8]}
    heavy = {**once, "weight": [8.0, 1.0, 4.0, 0.5, 2.0]}
    for kind, same in ((BPR, True), (LMF, False)):
        fits = [kind(**KINDS[kind]).fit(InteractionLog.from_frames(e)) for e in (once, heavy)]
        assert np.array_equal(*(fit.item_factors for fit in fits)) == same
