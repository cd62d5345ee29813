"""Means over days of the means over users: by hand, and how often the interval covers the truth."""

import numpy as np
import pytest

from recsys.statistics.user_days import user_day_interval


def test_every_day_weighs_the_same():
    mean, low, high = user_day_interval(
        np.array([1.0, 1.0, 1.0, 3.0]), np.array([1, 2, 3, 1]), np.array([4, 4, 4, 9])
    )
    assert mean == 2
    assert low < mean < high


def test_missing_values_and_single_days():
    values, users = np.array([0.5, np.nan, 0.3]), np.array([1, 2, 3])
    mean, low, high = user_day_interval(values, users, np.array([1, 2, 1]))
    assert mean == pytest.approx(0.4)
    assert np.isnan([low, high]).all()
    assert np.isnan(user_day_interval(values[1:2], users[1:2], users[1:2])).all()


def test_equal_values_are_a_point():
    got = user_day_interval(np.full(6, 0.25), np.arange(6) % 3, np.arange(6) // 3)
    assert got == (0.25, 0.25, 0.25)


def test_rows_may_come_in_any_order():
    rng = np.random.default_rng(0)
    values, users, days = rng.random(60), rng.integers(0, 20, 60), rng.integers(0, 5, 60)
    order = rng.permutation(60)
    one = user_day_interval(values, users, days)
    other = user_day_interval(values[order], users[order], days[order])
    assert other == pytest.approx(one, rel=1e-12)


@pytest.mark.parametrize(("of_users", "of_days"), [(1.0, 0.0), (0.0, 0.5), (1.0, 0.5), (0.0, 0.0)])
def test_the_interval_covers_the_truth(of_users, of_days):
    """With luck of users, of days, of both or of neither, where half the users come on a day."""
    rng, covered = np.random.default_rng(1), 0
    n_users, n_days, rounds = 40, 6, 400
    for _ in range(rounds):
        come = rng.random((n_users, n_days)) < 0.5
        users, days = np.nonzero(come)
        luck = of_users * rng.normal(size=n_users)[users] + of_days * rng.normal(size=n_days)[days]
        _, low, high = user_day_interval(luck + rng.normal(size=users.size), users, days)
        covered += low <= 0 <= high
    assert covered / rounds > 0.93
