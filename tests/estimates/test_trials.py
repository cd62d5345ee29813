"""Comparisons within a trial: exact, with errors that cover; sizes have the power asked for."""

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower

from recsys.estimates import between_people, between_periods, needed


def test_a_difference_is_exact():
    held = np.array([False, False, True, True, True])
    told, variance = between_people(np.array([0.5, 0.7, 0.1, 0.3, np.nan]), held)
    assert told.value == pytest.approx(0.4)
    assert told.se == pytest.approx(np.sqrt(0.02 / 2 + 0.02 / 2))
    assert variance == pytest.approx(0.02)


def test_half_of_the_newcomers_count_twice():
    values, held = np.array([0.5, 0.7, 0.1, 0.3]), np.array([False, False, True, True])
    whole, half = (between_people(values, held, shown)[0] for shown in (1.0, 0.5))
    assert half.value == pytest.approx(2 * whole.value)
    assert half.se == pytest.approx(2 * whole.se)


def test_one_person_a_group_tells_nothing():
    told, variance = between_people(np.array([0.5, 0.1]), np.array([False, True]))
    assert np.isnan([told.value, told.se, told.low, told.high, variance]).all()


def test_parts_of_the_day_do_not_pass_for_an_effect():
    """Evenings have more than mornings, and more of the evenings are on."""
    on = np.array([True, False, False, True, True, False, True, True])
    part = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    values = 0.2 * part + 0.05 * on
    values[5] += 0.01
    on[6], values[6] = False, 0.2
    told, _ = between_periods(values, on, part)
    assert told.value == pytest.approx((0.05 + (0.25 - 0.205)) / 2)


def test_a_kind_of_period_that_never_was_tells_nothing():
    nobody = np.array([True, True, True])
    assert np.isnan(between_periods(np.ones(3), nobody, np.zeros(3, dtype=int))[0].value)


@pytest.mark.parametrize("sizes", [(2, 3), (3, 6)])
def test_few_periods_have_intervals_that_cover(sizes):
    """Two parts of the day, each with so many periods on and off; evenings vary more.

    2,000 trials: a standard error of .5 points. With the normal quantile 86 and 92 % hold it; with
    Welch's t 95 %, or a little more with the fewest periods, as is known of it.
    """
    rng = np.random.default_rng(5)
    part = np.repeat([0, 1], sum(sizes))
    on = np.tile(np.repeat([True, False], sizes), 2)
    held = 0
    for _ in range(2000):
        values = 0.02 * on + 0.01 * (1 + part) * rng.normal(size=part.size)
        told, _ = between_periods(values, on, part)
        held += told.low <= 0.02 <= told.high
    assert 0.94 < held / 2000 < 0.98


def test_degrees_of_freedom_are_welchs():
    """Equal groups with equal variances have n1 + n2 - 2; equal parts add theirs."""
    values, on = np.array([0.1, 0.3, 0.5, 0.2, 0.4, 0.6]), np.arange(6) < 3
    assert between_people(values, on)[0].df == pytest.approx(4)
    twice, part = np.tile(values, 2), np.repeat([0, 1], 6)
    assert between_periods(twice, np.tile(on, 2), part)[0].df == pytest.approx(8)


def test_where_nothing_varies_the_interval_is_a_point():
    told, variance = between_people(np.array([0.5, 0.5, 0.1, 0.1]), np.arange(4) < 2)
    assert (told.value, told.low, told.high, variance) == (-0.4, -0.4, -0.4, 0.0)


@pytest.mark.parametrize("effect", [0.15, 0.3, -0.3, 0.6])
def test_the_size_is_the_smallest_with_the_power(effect):
    """statsmodels has the power of a t test; its other tail is below 1e-5 here."""
    n, power = needed(0.2**2, effect), TTestIndPower().power
    assert power(abs(effect) / 0.2, n, 0.05) >= 0.8
    assert power(abs(effect) / 0.2, n - 1, 0.05) < 0.8


def test_the_size_has_the_power():
    """With so many people a group, an effect of .02 is seen in 80 % of trials."""
    rng = np.random.default_rng(4)
    n, seen = int(needed(0.2**2, 0.02)), 0
    held = np.arange(2 * n) < n
    for _ in range(400):
        values = 0.2 * rng.normal(size=2 * n) + 0.02 * ~held
        told, _ = between_people(values, held)
        seen += told.low > 0 or told.high < 0
    assert seen / 400 == pytest.approx(0.8, abs=0.06)


def test_no_effect_needs_no_size():
    with pytest.raises(ValueError, match="must not be 0"):
        needed(1.0, 0.0)
    assert np.isnan(needed(float("nan"), 0.1))
    assert needed(0.0, 0.1) == 2
