"""ALS: where a long fit ends, the gradient of its objective vanishes."""

import numpy as np
import pytest

from recsys.logs.log import InteractionLog
from recsys.recommenders import ALS, RECOMMENDERS

ALPHA, LAMBDA = 2.0, 0.5


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(10)
    user, item = rng.integers(0, 40, 300), rng.integers(0, 25, 300)
    weight = rng.integers(1, 5, 300).astype(float)
    log = InteractionLog.from_frames({"user_id": user, "item_id": item, "weight": weight})
    als = ALS(factors=5, regularization=LAMBDA, alpha=ALPHA, iterations=400)
    model = als.fit(log, seed=1)
    weights = log.interactions.weights.toarray().astype(np.float64)
    return weights, model.user_factors.astype(np.float64), model.item_factors.astype(np.float64)


def gradients(weights, X, Y, confidence):
    """Half gradients of Σ c (p - x·y)² + λ(Σ|x|² + Σ|y|²), relative to Σ c p x."""
    liked = weights > 0
    error = confidence * (liked - X @ Y.T)
    by_item = LAMBDA * Y - error.T @ X
    by_user = LAMBDA * X - error @ Y
    pull = np.linalg.norm((confidence * liked).T @ X), np.linalg.norm((confidence * liked) @ Y)
    return np.linalg.norm(by_item) / pull[0], np.linalg.norm(by_user) / pull[1]


def test_gradient_is_zero_at_the_end(fit):
    weights, X, Y = fit
    confidence = np.where(weights > 0, ALPHA * weights, 1.0)
    # float32 solves: rounding 6e-8 times sums of some 100 terms, and what 400 sweeps leave over
    assert max(gradients(weights, X, Y, confidence)) < 1e-4


@pytest.mark.parametrize(
    "confidence",
    [lambda w: 1 + ALPHA * w, lambda w: ALPHA * w],
    ids=["1 + alpha w", "nothing where nothing happened"],
)
def test_other_objectives_have_their_minimum_elsewhere(fit, confidence):
    weights, X, Y = fit
    assert min(gradients(weights, X, Y, confidence(weights))) > 1e-2


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
        model = ALS(factors=6, regularization=1.0, alpha=10.0, iterations=iterations).fit(log)
        X, Y = model.user_factors, model.item_factors
        error = confidence * ((weights > 0) - X @ Y.T) ** 2
        losses.append(error.sum() + (X**2).sum() + (Y**2).sum())
    assert losses == sorted(losses, reverse=True)
