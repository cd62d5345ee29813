"""Net shares against slots drawn one by one; Fieller's interval against its quadratic, and luck."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import t

from recsys.statistics import net_values, ratio_interval, two_way_interval
from tests.kit.crossed import crossed

RNG = np.random.default_rng(4)


def slots(rng, n_users, n_seeds, k, displaced, floor):
    """Shares of k slots that changed in both arms, float (users, seeds) each, slot by slot.

    Chance changes each slot with the same probability; the influx displaces slots whether chance
    has changed them or not.
    """
    shape = (n_users, n_seeds, k)
    by_chance = rng.random(shape) < floor
    also_by_chance = rng.random(shape) < floor
    taken = rng.random(shape) < displaced
    return (taken | by_chance).mean(axis=-1), also_by_chance.mean(axis=-1)


@pytest.mark.parametrize("floor", [0.0, 0.05, 0.4, 0.7])
def test_net_recovers_what_was_displaced_and_subtraction_does_not(floor):
    changed, nothing = slots(np.random.default_rng(1), 4000, 4, 20, 0.15, floor)
    interval = two_way_interval(net_values(changed, nothing))
    assert interval.mean == pytest.approx(0.15, abs=0.006)
    plain = (changed - nothing).mean()
    assert plain == pytest.approx(0.15 * (1 - floor), abs=0.006)
    if floor >= 0.4:
        assert abs(plain - 0.15) > 5 * abs(interval.mean - 0.15)


def test_subtraction_reverses_what_net_ranks():
    """More is displaced by the second, of which chance leaves less to see."""
    rng = np.random.default_rng(2)
    first, second = (slots(rng, 4000, 4, 20, d, n) for d, n in ((0.12, 0.1), (0.15, 0.5)))
    net = [net_values(*arms).mean() for arms in (first, second)]
    plain = [(changed - floor).mean() for changed, floor in (first, second)]
    assert net[0] < net[1]
    assert plain[0] > plain[1]


def test_the_mean_of_a_seed_is_net_and_equal_arms_are_exactly_zero():
    changed, floor = RNG.random((2, 50, 3))
    c, n = changed.mean(axis=0), floor.mean(axis=0)
    np.testing.assert_allclose(net_values(changed, floor).mean(axis=0), (c - n) / (1 - n))
    assert not net_values(changed, changed).any()
    assert np.isnan(net_values(changed, np.ones_like(changed))).all()
    with pytest.raises(ValueError, match="must have one shape"):
        net_values(changed, floor[:, :2])


def test_the_interval_holds_net_as_often_as_it_says():
    """Users differ in how much chance changes their feeds: the denominator varies as they do."""
    rng, held = np.random.default_rng(3), 0
    for _ in range(400):
        own = rng.beta(2, 2, (60, 1)) * 0.9
        luck = rng.normal(0, 0.03, (1, 6))
        floor = np.clip(own + luck, 0, 1)
        changed, nothing = slots(rng, 60, 6, 20, 0.3, floor[..., None])
        interval = two_way_interval(net_values(changed, nothing))
        held += interval.low <= 0.3 <= interval.high
    assert held / 400 >= 0.93


def over_seeds(y, level):
    """A plain t interval over seed means, whose ratios have the ends of Fieller's quadratic."""
    means = y.mean(axis=0)
    half = t.ppf(0.5 + level / 2, means.size - 1) * means.std(ddof=1) / np.sqrt(means.size)
    return SimpleNamespace(mean=means.mean(), low=means.mean() - half, high=means.mean() + half)


def fieller(numerator, denominator):
    """Ends by the quadratic formula, for two means over seeds."""
    a, b = numerator.mean(axis=0), denominator.mean(axis=0)
    covariance, quantile = np.cov(a, b) / a.size, t.ppf(0.975, a.size - 1) ** 2
    square = b.mean() ** 2 - quantile * covariance[1, 1]
    middle = -2 * (a.mean() * b.mean() - quantile * covariance[0, 1])
    return np.sort(np.roots([square, middle, a.mean() ** 2 - quantile * covariance[0, 0]]))


@pytest.mark.parametrize("factor", [-2.0, 0.3, 1.0, 5.0])
def test_ends_are_those_of_the_quadratic(factor):
    rng = np.random.default_rng(5)
    below = rng.normal(0.3, 0.05, (40, 8)) + rng.normal(0, 0.05, 8)
    above = factor * below + rng.normal(0, 0.05, (40, 8)) + rng.normal(0, 0.04, 8)
    found = ratio_interval(above, below, over_seeds)
    assert found.value == pytest.approx(above.mean() / below.mean())
    np.testing.assert_allclose([found.low, found.high], fieller(above, below), rtol=1e-6)


def test_ratios_are_held_as_often_as_their_intervals_say():
    rng, held, told = np.random.default_rng(6), 0, 0
    for _ in range(300):
        both = crossed(rng, 2, 40, 6)
        below = 0.35 + both[0]
        above = 0.5 * below + 0.35 + both[1]
        found = ratio_interval(above, below)
        told += not np.isnan(found.value)
        held += found.low <= 1.5 <= found.high
    assert told > 250
    assert held / told >= 0.93


def test_a_denominator_that_may_be_nothing_has_no_ratio():
    values = np.array([[1.0, 1.2, 1.1], [0.9, 1.3, 1.1]])
    assert np.isnan(ratio_interval(values, values - values.mean())).all()
    assert np.isnan(ratio_interval(values[:, :1], values[:, :1])).all()  # one seed
    same = ratio_interval(values, values)
    assert same == (1.0, 1.0, 1.0)
    below_zero = ratio_interval(values, -values)
    assert below_zero.value == -1.0
    with pytest.raises(ValueError, match="paired"):
        ratio_interval(values, values[:1])
