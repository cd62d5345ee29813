"""Difference in differences over exposure: right where its assumptions hold, and told where not."""

import numpy as np
import pytest

from recsys.estimates import by_thirds


def people(seed, n=600, *, effect=0.5, by_activity=0.0, trend=0.0):
    """Exposure rises with activity; change follows exposure, and activity where asked."""
    rng = np.random.default_rng(seed)
    activity = rng.normal(size=n)
    exposure = np.exp(0.5 * activity + rng.normal(size=n)) / 20
    noise = rng.normal(size=(2, n)) * 0.05
    before = trend * exposure + by_activity * activity + noise[0]
    change = (effect + trend) * exposure + by_activity * activity + noise[1]
    return exposure, change, before, activity[:, None]


def test_it_finds_an_effect_in_proportion_to_exposure():
    found = [by_thirds(*people(seed)) for seed in range(100)]
    truth = np.array([0.5 * people(seed)[0].mean() for seed in range(100)])
    told = np.array([one.average.value for one in found])
    assert told.mean() == pytest.approx(truth.mean(), rel=0.05)
    held = [
        one.average.low <= true <= one.average.high for one, true in zip(found, truth, strict=True)
    ]
    assert np.mean(held) > 0.85
    assert np.mean([one.credible for one in found]) > 0.88


def test_small_thirds_have_intervals_that_cover():
    """1,200 platforms of 120 users: a standard error of .7 points. With the normal quantile 90 %
    of intervals hold no effect, and 11 % of earlier trends are seen that are not there.
    """
    found = [by_thirds(*people(seed, 120, effect=0.0)) for seed in range(1200)]
    held = [one.contrast.low <= 0 <= one.contrast.high for one in found]
    assert 0.92 < np.mean(held) < 0.97
    assert 0.92 < np.mean([one.credible for one in found]) < 0.97
    assert np.mean([one.contrast.value for one in found]) == pytest.approx(0, abs=2e-3)


def test_activity_is_taken_out():
    """The more active change more whether or not they are exposed."""
    given, plain = [], []
    for seed in range(40):
        exposure, change, _, activity = people(seed, effect=0.0, by_activity=0.1)
        given.append(by_thirds(exposure, change, given=activity).contrast.value)
        plain.append(by_thirds(exposure, change).contrast.value)
    assert abs(np.mean(given)) < 0.01
    assert np.mean(plain) > 0.05


def test_a_trend_from_before_is_told():
    found = [by_thirds(*people(seed, effect=0.0, trend=0.5)) for seed in range(20)]
    assert not any(one.credible for one in found)
    assert np.mean([one.contrast.value for one in found]) > 0.01


def test_what_reaches_everybody_alike_is_not_seen():
    exposure, change, _, _ = people(1, effect=0.0)
    assert by_thirds(exposure, change + 0.2).contrast.value == pytest.approx(
        by_thirds(exposure, change).contrast.value
    )


def test_where_most_are_not_exposed_the_exposed_are_compared_with_them():
    exposure = np.repeat([0.0, 0.2], [120, 30])
    told = by_thirds(exposure, np.tile([-0.01, 0.01], 75) + exposure)
    assert told.contrast.value == pytest.approx(0.2)
    assert told.average.value == pytest.approx(exposure.mean())


def test_there_is_no_answer_without_thirds():
    ones = np.ones(90)
    assert by_thirds(ones, ones) is None
    assert by_thirds(np.arange(30.0), np.arange(30.0)) is None
    assert by_thirds(np.full(90, np.nan), ones) is None
