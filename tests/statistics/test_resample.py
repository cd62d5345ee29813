"""Resampling users and seeds at once."""

import numpy as np
import pytest

from recsys.statistics import resampled_means, two_way_interval


def test_both_kinds_of_luck_count():
    """The spread is about that of the two-way analysis, whichever of the two has more of it."""
    rng = np.random.default_rng(0)
    for sd_users, sd_seeds in ((0.5, 0.0), (0.0, 0.5), (0.3, 0.3)):
        y = (
            rng.normal(0, sd_users, (400, 1))
            + rng.normal(0, sd_seeds, 40)
            + rng.normal(0, 0.1, (400, 40))
        )
        drawn = resampled_means(y)
        assert drawn.mean() == pytest.approx(y.mean(), abs=0.01)
        expected = np.sqrt(two_way_interval(y).variance)
        assert 0.85 < drawn.std() / expected < 1.25


def test_weights_are_those_of_draws_with_replacement():
    counts = resampled_means(np.eye(5)[:, :, None] * 5)  # five columns: how often each is drawn
    assert counts.shape == (999, 5)
    np.testing.assert_allclose(counts.sum(axis=1), 5)
    assert set(np.unique(counts.round(9))) <= {0, 1, 2, 3, 4, 5}
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.12)
    assert counts.var(axis=0) == pytest.approx(np.full(5, 0.8), abs=0.15)


def test_arrays_are_resampled_alike():
    y = np.random.default_rng(1).normal(size=(3, 20, 4))
    np.testing.assert_allclose(resampled_means(y)[:, 1], resampled_means(y[1]))
    np.testing.assert_allclose(resampled_means(y + 1), resampled_means(y) + 1)


def test_nothing_to_draw_from():
    with pytest.raises(ValueError, match="users, seeds"):
        resampled_means(np.zeros(3))
    with pytest.raises(ValueError, match="users, seeds"):
        resampled_means(np.zeros((0, 3)))
