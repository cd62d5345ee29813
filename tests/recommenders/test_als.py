"""ALS: where a long fit ends, the gradient of its objective vanishes."""

import numpy as np
import pytest

from recsys.core.errors import LogError
from recsys.core.noise import Stream
from recsys.core.threads import single_threaded_blas, spare_threads
from recsys.logs.log import InteractionLog
from recsys.recommenders import ALS, RECOMMENDERS, least_squares
from recsys.recommenders.factors import starting_factors
from recsys.recommenders.least_squares import penalties

ALPHA, LAMBDA = 2.0, 0.5


@pytest.fixture(scope="module", params=[0.0, 0.5, 1.0], ids=lambda nu: f"frequency {nu}")
def fit(request):
    rng = np.random.default_rng(10)
    user, item = rng.integers(0, 40, 300), rng.integers(0, 25, 300)
    weight = rng.integers(1, 5, 300).astype(float)
    log = InteractionLog.from_frames({"user_id": user, "item_id": item, "weight": weight})
    als = ALS(
        factors=5, regularization=LAMBDA, alpha=ALPHA, iterations=400, frequency=request.param
    )
    model = als.fit(log, seed=1)
    weights = log.interactions.weights.toarray().astype(np.float64)
    factors = model.user_factors.astype(np.float64), model.item_factors.astype(np.float64)
    return (weights, *factors), request.param


def gradients(weights, X, Y, confidence, frequency):
    """Half gradients of Σ c (p - x·y)² + Σ λ_u|x|² + Σ λ_i|y|², relative to Σ c p x.

    λ_u is LAMBDA (Σ c)^frequency, where c is what als promises.
    """
    liked = weights > 0
    error = confidence * (liked - X @ Y.T)
    promised = np.where(liked, ALPHA * weights, 1.0)
    of_items, of_users = (LAMBDA * promised.sum(axis=a)[:, None] ** frequency for a in (0, 1))
    by_item = of_items * Y - error.T @ X
    by_user = of_users * X - error @ Y
    pull = np.linalg.norm((confidence * liked).T @ X), np.linalg.norm((confidence * liked) @ Y)
    return np.linalg.norm(by_item) / pull[0], np.linalg.norm(by_user) / pull[1]


def test_gradient_is_zero_at_the_end(fit):
    (weights, X, Y), frequency = fit
    confidence = np.where(weights > 0, ALPHA * weights, 1.0)
    # float32 solves: rounding 6e-8 times sums of some 100 terms, and what 400 sweeps leave over
    assert max(gradients(weights, X, Y, confidence, frequency)) < 1e-4


@pytest.mark.parametrize(
    "confidence",
    [lambda w: 1 + ALPHA * w, lambda w: ALPHA * w],
    ids=["1 + alpha w", "nothing where nothing happened"],
)
def test_other_objectives_have_their_minimum_elsewhere(fit, confidence):
    (weights, X, Y), frequency = fit
    assert min(gradients(weights, X, Y, confidence(weights), frequency)) > 1e-2


def test_scores_are_products(log, fitted):
    model = fitted(RECOMMENDERS["als"](factors=8))
    got = model.rank(np.array([100]), 20)
    x = model.user_factors[model.hot_row[100]].astype(np.float64)
    y = model.item_factors[model.hot_column[got.item_ids[0]]].astype(np.float64)
    np.testing.assert_allclose(got.scores[0], y @ x, rtol=1e-5, atol=1e-6)


def test_more_sweeps_fit_better():
    rng = np.random.default_rng(11)
    log = InteractionLog.from_frames(
        {"user_id": rng.integers(0, 60, 400), "item_id": rng.integers(0, 30, 400)}
    )
    weights = log.interactions.weights.toarray()
    confidence = np.where(weights > 0, 10.0 * weights, 1.0)
    losses = []
    for iterations in (1, 3, 10):
        model = ALS(
            factors=6, frequency=0.0, regularization=1.0, alpha=10.0, iterations=iterations
        ).fit(log)
        X, Y = model.user_factors, model.item_factors
        error = confidence * ((weights > 0) - X @ Y.T) ** 2
        losses.append(error.sum() + (X**2).sum() + (Y**2).sum())
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("frequency", [0.0, 1e-12])
def test_vectors_are_those_of_implicit(log, frequency):
    """With one λ for all it solves; our sweeps take the same steps from the same start."""
    from implicit.cpu.als import AlternatingLeastSquares

    ours = ALS(factors=8, frequency=frequency, regularization=3.0, alpha=10.0, iterations=4)
    ours = ours.fit(log, seed=2)
    hot = log.interactions
    with single_threaded_blas():
        solver = AlternatingLeastSquares(
            factors=8, regularization=3.0, alpha=10.0, iterations=4, num_threads=1, random_state=0
        )
        solver.user_factors = starting_factors(2, Stream.MODEL_USER, hot.user_keys, 8)
        solver.item_factors = starting_factors(2, Stream.MODEL_ITEM, hot.item_keys, 8)
        solver.fit(hot.weights, show_progress=False)
    for mine, theirs in (
        (ours.user_factors, solver.user_factors),
        (ours.item_factors, solver.item_factors),
    ):
        if frequency == 0:
            np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_allclose(mine, theirs, atol=2e-3 * np.abs(theirs).max())


def test_active_users_and_popular_items_are_penalised_more(log):
    weights = log.interactions.weights
    penalty = penalties(weights * 10, 2.0, 0.5)
    total = (
        np.asarray(10 * weights.sum(axis=1)).ravel() + weights.shape[1] - np.diff(weights.indptr)
    )
    np.testing.assert_allclose(penalty, 2.0 * np.sqrt(total), rtol=1e-6)
    np.testing.assert_array_equal(penalties(weights * 10, 2.0, 0.0), np.full(total.size, 2.0))
    half = penalties(weights, 1.0, 1.0, np.full(weights.shape[1], 0.5))
    np.testing.assert_allclose(half, penalties(weights, 0.5, 1.0), rtol=1e-6)


@pytest.mark.parametrize("alpha", [1e20, 1e30])
def test_weights_that_no_sum_can_hold_are_an_error(alpha):
    log = InteractionLog.from_frames(
        {"user_id": [1, 1, 2], "item_id": [7, 8, 7], "weight": [1e12, 1e12, 1.0]}
    )
    with pytest.raises(LogError, match="als: the factors are not finite any more; lower alpha"):
        ALS(alpha=alpha).fit(log)


@pytest.mark.parametrize("way", [{"frequency": 0}, {"frequency": 0, "solver": "own"}, {}])
def test_spare_threads_change_no_bit(log, way, monkeypatch):
    monkeypatch.setattr(least_squares, "_ROWS", 7)
    als = ALS(factors=5, iterations=2, **way)
    alone = als.fit(log, seed=1)
    with spare_threads(3):
        shared = als.fit(log, seed=1)
    np.testing.assert_array_equal(alone.user_factors, shared.user_factors)
    np.testing.assert_array_equal(alone.item_factors, shared.item_factors)


def test_our_own_sweeps_go_the_way_of_implicit(log):
    """Float32 keeps 7 digits; 2 sweeps of 3 steps lose three of them."""
    by_implicit, own = (
        ALS(factors=5, iterations=2, frequency=0, solver=solver).fit(log, seed=1)
        for solver in ("implicit", "own")
    )
    for name in ("user_factors", "item_factors"):
        theirs, ours = getattr(by_implicit, name), getattr(own, name)
        assert np.abs(theirs - ours).max() < 1e-4 * np.abs(theirs).max()
        assert not np.array_equal(theirs, ours)
