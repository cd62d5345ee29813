"""EASE: weights worked by hand, and the least-squares problem that they solve."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.recommenders import EASE
from recsys.recommenders import ease as ease_module
from recsys.recommenders.base import binary
from recsys.recommenders.ease import inverse_gram, item_weights, without_rows

X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]])


def fitted_weights(rows, regularization=1.0):
    """B of a fit on some rows of X, by item id rather than in the order of keys."""
    user, item = np.nonzero(X[rows])
    log = InteractionLog.from_frames(
        {"user_id": user, "item_id": item}, items={"item_id": range(X.shape[1])}
    )
    model = EASE(regularization=regularization).fit(log)
    hot = log.interactions.items
    weights = np.zeros((4, 4))
    weights[np.ix_(hot, hot)] = model.weights
    return weights


def test_weights_worked_by_hand():
    # B = I - P diag(P)^-1, P = (XᵀX + I)^-1, in fractions
    assert fitted_weights([0, 1, 2, 3, 4]) == pytest.approx(
        np.array(
            [
                [0, Fraction(6, 13), Fraction(-1, 8), Fraction(1, 3)],
                [Fraction(9, 16), 0, Fraction(9, 16), Fraction(-1, 3)],
                [Fraction(-1, 8), Fraction(6, 13), 0, Fraction(1, 3)],
                [Fraction(3, 8), Fraction(-4, 13), Fraction(3, 8), 0],
            ]
        ).astype(float),
        abs=1e-12,
    )


def test_weights_without_two_users():
    expected = np.zeros((4, 4))
    for i, j in ((0, 1), (1, 0), (1, 2), (2, 1)):
        expected[i, j] = 0.5
    assert fitted_weights([0, 1, 2]) == pytest.approx(expected, abs=1e-12)


def test_weights_solve_ridge_regression_without_the_item_itself():
    rng = np.random.default_rng(12)
    likes = (rng.random((50, 150)) < 0.2).astype(float)  # wider than a tile of the kernel
    gram = likes.T @ likes
    weights = item_weights(inverse_gram(gram.copy(), 3.0))
    assert (np.diag(weights) == 0).all()
    # (XᵀX + λI) b_j = Xᵀx_j + a multiple of e_j, for each column j
    residual = (gram + 3.0 * np.eye(150)) @ weights - gram
    np.fill_diagonal(residual, 0)
    assert abs(residual).max() < 1e-10
    # another way to the same: one ridge regression an item
    for j in (0, 77, 149):
        others = np.arange(150) != j
        A = gram[np.ix_(others, others)] + 3.0 * np.eye(149)
        np.testing.assert_allclose(
            weights[others, j], np.linalg.solve(A, gram[others, j]), atol=1e-10
        )


def test_scores_are_sums_of_weights():
    user, item = np.nonzero(X)
    log = InteractionLog.from_frames({"user_id": user, "item_id": item})
    got = EASE(regularization=1.0).fit(log).rank(np.arange(5), 4, exclude_seen=False)
    expected = X @ fitted_weights(range(5))
    np.testing.assert_allclose(got.scores, np.take_along_axis(expected, got.item_ids, 1), rtol=1e-6)


def test_how_often_something_happened_does_not_count():
    once = {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 9, 8]}
    heavy = {**once, "weight": [8.0, 1.0, 4.0, 0.5, 2.0]}
    a, b = (EASE().fit(InteractionLog.from_frames(events)).weights for events in (once, heavy))
    np.testing.assert_array_equal(a, b)


def test_too_many_items():
    log = InteractionLog.from_frames({"user_id": [1] * 4, "item_id": [1, 2, 3, 4]})
    needed = 3 * 4 * 4 * 8 / 2**30
    assert EASE(memory_gb=needed).fit(log).weights.shape == (4, 4)
    with pytest.raises(LogError, match=r"4 items take 3.6e-07 GiB, more than memory_gb"):
        EASE(memory_gb=3e-7).fit(log)


def test_removal_by_hand():
    # the worked example: rows 3 and 4 leave, and item 3 with them
    user, item = np.nonzero(X)
    log = InteractionLog.from_frames({"user_id": user, "item_id": item})
    gone = np.array([3, 4])
    left = log.without_users(gone)
    recommender = EASE(regularization=1.0)
    removed = recommender.removed(recommender.fit(log), left, gone)
    weights = np.zeros((4, 4))
    hot = left.interactions.items
    weights[np.ix_(hot, hot)] = removed.weights
    assert weights == pytest.approx(fitted_weights([0, 1, 2]), abs=1e-12)
    assert weights[0, 1] == pytest.approx(0.5, abs=1e-12)


def test_removal_keeps_the_matrix_symmetric_and_leaves_the_first_as_it_was():
    rng = np.random.default_rng(0)
    likes = (rng.random((80, 30)) < 0.3).astype(float)
    inverse = inverse_gram(likes.T @ likes, 2.0)
    before = inverse.copy()
    removed = without_rows(inverse, csr_matrix(likes[:50]))
    np.testing.assert_array_equal(inverse, before)
    np.testing.assert_array_equal(removed, removed.T)
    fitted = inverse_gram(likes[50:].T @ likes[50:], 2.0)
    np.testing.assert_allclose(removed, fitted, atol=1e-12)


def test_what_is_quicker():
    user, item = np.nonzero(X)
    log = InteractionLog.from_frames({"user_id": user, "item_id": item})
    model = EASE().fit(log)
    assert EASE().prefers_removal(model, np.array([0, 1]))  # 2 users, 4 items
    assert not EASE().prefers_removal(model, np.array([0, 1, 2]))


@pytest.mark.parametrize(("few", "block"), [(0.0, 1024), (100.0, 1024), (100.0, 3)])
def test_a_fit_without_users_is_the_fit_of_the_log_without_them(few, block, monkeypatch):
    # few = 0 always fits anew, few = 100 always removes rows; items 40 to 44 leave with the users
    monkeypatch.setattr(ease_module, "_FEW", few)
    monkeypatch.setattr(ease_module, "_BLOCK", block)
    rng = np.random.default_rng(3)
    likes = rng.random((60, 45)) < 0.2
    likes[10:, 40:] = False
    user, item = np.nonzero(likes)
    log = InteractionLog.from_frames({"user_id": user, "item_id": item})
    recommender = EASE(regularization=2.0)
    gone = np.arange(10)
    left = log.without_users(gone)
    removed = recommender.fit_without(recommender.fit(log), left, gone)
    fitted = recommender.fit(left)
    np.testing.assert_allclose(removed.weights, fitted.weights, atol=1e-12)
    users = np.arange(60)
    np.testing.assert_array_equal(removed.rank(users, 5).item_ids, fitted.rank(users, 5).item_ids)


def test_dropout_is_a_penalty_in_proportion_to_likes(log):
    """λ_j = λ + p / (1 - p) · likes of j."""
    liked = binary(log)
    gram = (liked.T @ liked).toarray()
    penalty = 10.0 + 0.3 / 0.7 * np.diag(gram)
    expected = np.linalg.inv(gram + np.diag(penalty))
    model = EASE(regularization=10.0, dropout=0.3).fit(log)
    np.testing.assert_allclose(model.inverse, expected, rtol=1e-9, atol=1e-12)


def test_with_dropout_nothing_is_removed_exactly(log):
    ease, gone = EASE(regularization=10.0, dropout=0.3), np.array([100, 101])
    model, rest = ease.fit(log), log.without_users(gone)
    assert not ease.prefers_removal(model, gone)
    assert ease.removal(model, rest, gone) is None
    without, anew = ease.fit_without(model, rest, gone), ease.fit(rest)
    np.testing.assert_array_equal(without.inverse, anew.inverse)
