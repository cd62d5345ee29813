"""Intervals: the hand-worked example, coverage and power by simulation, degenerate tables."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.statistics.intervals import (
    Interval,
    nested_interval,
    parts,
    share_interval,
    two_way_interval,
    users_interval,
)
from recsys.statistics.multiple import holm
from recsys.statistics.power import minimum_detectable_effect, seeds_needed
from recsys.statistics.skewness import widening
from tests.kit.crossed import EXAMPLE, anova_by_hand, crossed


def covers(interval, truth=0.0):
    return (interval.low <= truth) & (truth <= interval.high)


def test_example_worked_by_hand():
    interval = two_way_interval(EXAMPLE)
    assert interval.mean == pytest.approx(0.2666667, abs=1e-7)
    assert interval.variance == pytest.approx(0.0072222, abs=1e-7)
    assert interval.df == pytest.approx(3.1393, abs=1e-4)
    assert interval.low == pytest.approx(0.0028756, abs=1e-7)
    # Skewness .2866: third cumulants of users (.2, .3, .1667, .4) / 16 and of seeds (.15, .25, .4)
    # / 9, over variance^1.5. z = (1 - 2 / df^2) .2866 / .4664, the factor is 1 + 1.17 z^1.5.
    assert interval.skewness == pytest.approx(0.2866313, abs=1e-7)
    assert interval.high == pytest.approx(0.2666667 + 1.3730 * 0.2637910, abs=1e-4)
    assert (interval.n_users, interval.n_seeds) == (4, 3)


def test_covers_as_often_as_it_says_and_users_only_bootstrap_does_not():
    rng = np.random.default_rng(20250113)
    inside, bootstrap = [], []
    for _ in range(8):
        y = crossed(rng, 250, 500, 8)
        inside.append(covers(two_way_interval(y)))
        # 300 resamples of the 500 users, as multinomial weights on the users' means.
        weights = rng.multinomial(500, np.full(500, 1 / 500), size=300) / 500
        low, high = np.quantile(y.mean(-1) @ weights.T, [0.025, 0.975], axis=-1)
        bootstrap.append((low <= 0) & (high >= 0))
    # 2,000 repetitions: the standard error of a 95 % coverage is .5 points, so 93-97 is 4 of them.
    assert 0.93 < np.mean(inside) < 0.97
    # Normal theory: sd of the mean .0201 (users .0089, residual .0032, seeds .0177); what the
    # bootstrap sees is .0095. P(|Z| < 1.96 * .0095 / .0201) = .65, standard error 1.1 points.
    assert 0.55 < np.mean(bootstrap) < 0.75


def test_agrees_with_textbook_sums_and_satterthwaite():
    rng = np.random.default_rng(7)
    for n_users, n_seeds in [(2, 2), (5, 3), (30, 8)]:
        y = crossed(rng, 1, n_users, n_seeds, sd_users=1.0, sd_seeds=1.0, sd_residual=0.1)[0] + 3
        users, seeds, residual = anova_by_hand(y)
        total = users + seeds - residual
        noise = users**2 / (n_users - 1) + seeds**2 / (n_seeds - 1)
        noise += residual**2 / ((n_users - 1) * (n_seeds - 1))
        interval = two_way_interval(y)
        assert interval.variance == pytest.approx(total / (n_users * n_seeds), rel=1e-9)
        assert interval.df == pytest.approx(total**2 / noise, rel=1e-9)


def test_agrees_with_statsmodels_anova():
    import polars as pl
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    y = crossed(np.random.default_rng(8), 1, 6, 4, 1.0, 1.0, 0.3)[0]
    user, seed = np.indices(y.shape)
    columns = {"y": y.ravel(), "user": user.ravel(), "seed": seed.ravel()}
    frame = pl.DataFrame(columns).to_pandas()
    table = anova_lm(ols("y ~ C(user) + C(seed)", data=frame).fit())["mean_sq"]
    expected = (table["C(user)"] + table["C(seed)"] - table["Residual"]) / y.size
    assert two_way_interval(y).variance == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("transposed", [False, True])
def test_floor_takes_the_degrees_of_freedom_of_its_mean_square(transposed):
    # The rows' means are equal and columns' means are not: MS_e > MS of rows, so the floor holds.
    y = np.array([[0.0, 1.0, 5.0], [1.0, 2.0, 3.0], [2.0, 0.0, 4.0], [0.5, 1.5, 4.0]])
    users, seeds, residual = anova_by_hand(y)
    assert residual > users
    interval = two_way_interval(y.T if transposed else y)
    assert interval.variance == pytest.approx(seeds / 12)
    assert interval.df == 2


def test_leading_axes_are_independent_of_each_other():
    y = crossed(np.random.default_rng(3), 6, 10, 4).reshape(2, 3, 10, 4)
    y[1, 2, 4, 0] = np.nan
    together = two_way_interval(y)
    for index in np.ndindex(2, 3):
        alone = two_way_interval(y[index])
        for name in Interval.__dataclass_fields__:
            assert getattr(together, name)[index] == pytest.approx(getattr(alone, name), rel=1e-12)
    assert together.n_users.tolist() == [[10, 10, 10], [10, 10, 9]]
    assert together.n_seeds.tolist() == [[4] * 3] * 2


def test_users_with_a_missing_seed_are_left_out():
    y = np.vstack([[np.nan, 9.0, 9.0], EXAMPLE, [9.0, 9.0, np.nan]])
    with_gaps, without = two_way_interval(y), two_way_interval(EXAMPLE)
    assert with_gaps.n_users == 4
    assert with_gaps.mean == pytest.approx(without.mean, rel=1e-12)
    assert with_gaps.low == pytest.approx(without.low, rel=1e-9)


@pytest.mark.parametrize("interval", [two_way_interval, nested_interval])
@pytest.mark.parametrize("value", [0.0, 0.1, -0.3, 1e-200, 1e200])
def test_identical_values_are_a_point(interval, value):
    point = interval(np.full((7, 3), value))
    assert point.mean == point.low == point.high == value
    assert point.variance == 0
    assert point.p_value == (1.0 if value == 0 else 0.0)
    assert minimum_detectable_effect(point) == 0


@pytest.mark.parametrize("y", [np.ones((5, 1)), np.ones((1, 5)), [[0.5, 0.7], [np.nan, 1.0]]])
def test_one_seed_or_one_user_gives_a_mean_only(y):
    interval = two_way_interval(y)
    assert np.isfinite(interval.mean)
    for name in ("variance", "df", "low", "high", "p_value"):
        assert np.isnan(getattr(interval, name))
    assert np.isnan(minimum_detectable_effect(interval))
    assert np.isnan(seeds_needed(y, 0.1))


@pytest.mark.parametrize("interval", [two_way_interval, nested_interval])
@pytest.mark.parametrize("y", [np.full((4, 3), np.nan), np.empty((0, 3))])
def test_nobody_gives_nan(interval, y):
    nobody = interval(y)
    assert nobody.n_users == 0
    assert np.isnan([nobody.mean, nobody.low, nobody.p_value]).all()


def test_traded_places_are_not_certainty():
    # Two users swap: both mean squares are 0 and only the residual (1) varies.
    interval = two_way_interval([[0.0, 1.0], [1.0, 0.0]])
    assert interval.variance == pytest.approx(0.25)
    assert interval.df == 1


@given(
    arrays(np.float64, (5, 3), elements=st.integers(-1000, 1000).map(lambda n: n / 1024)),
    st.sampled_from([2.0**-300, 0.5, 2.0**300]),
)
def test_unit_of_measurement_does_not_matter(y, unit):
    plain, scaled = two_way_interval(y), two_way_interval(y * unit)
    assert scaled.mean == plain.mean * unit
    assert scaled.df == pytest.approx(plain.df, rel=1e-9)
    assert scaled.p_value == pytest.approx(plain.p_value, rel=1e-9, abs=1e-12)
    assert plain.low <= plain.mean <= plain.high


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0.1, 0.2], "axes"),
        (np.empty((3, 0)), "at least one seed"),
        ([[0.1, np.inf]], "1 infinite"),
    ],
)
def test_refuses_what_is_not_users_by_seeds(y, message):
    for function in (two_way_interval, nested_interval):
        with pytest.raises(ValueError, match=message):
            function(y)


def test_refuses_a_level_or_power_out_of_range():
    with pytest.raises(ValueError, match="level"):
        two_way_interval(EXAMPLE, level=95)
    with pytest.raises(ValueError, match="power"):
        minimum_detectable_effect(two_way_interval(EXAMPLE), power=0.01)
    with pytest.raises(ValueError, match="max_seeds"):
        seeds_needed(EXAMPLE, 0.1, max_seeds=1)


def as_by_scipy(interval, reference):
    """Whether a widened interval is scipy's t interval but for the side of the long tail."""
    from scipy.stats import t

    below, above = (widening(sign * interval.skewness, interval.df) for sign in (-1, 1))
    ends = reference.confidence_interval()
    low = interval.mean - (interval.mean - ends.low) * below
    high = interval.mean + (ends.high - interval.mean) * above
    statistic = np.abs(reference.statistic) / np.where(interval.mean > 0, below, above)
    np.testing.assert_allclose(interval.low, low, rtol=1e-9)
    np.testing.assert_allclose(interval.high, high, rtol=1e-9)
    np.testing.assert_allclose(interval.p_value, 2 * t.sf(statistic, interval.df), rtol=1e-9)


def test_nested_is_a_t_test_over_seed_means():
    from scipy.stats import ttest_1samp

    y = crossed(np.random.default_rng(5), 4, 20, 6) + 0.1
    as_by_scipy(nested_interval(y), ttest_1samp(y.mean(-2), 0.0, axis=-1))


def test_nested_leaves_out_values_not_rows():
    y = np.array([[1.0, 4.0, np.nan, 2.0], [3.0, np.nan, np.nan, 2.0]])
    interval = nested_interval(y)
    assert interval.mean == pytest.approx((2 + 4 + 2) / 3)
    assert (interval.n_users, interval.n_seeds, interval.df) == (5, 3, 2)


def test_nested_covers_when_the_population_is_redrawn():
    rng = np.random.default_rng(11)
    y = rng.normal(0, 0.2, (2000, 50, 5)) + rng.normal(0, 0.05, (2000, 1, 5))
    # The law is an exact t: 95 % with a standard error of .5 points over 2,000 repetitions.
    assert 0.93 < covers(nested_interval(y)).mean() < 0.97


@given(
    arrays(np.int64, (3, 4, 2), elements=st.integers(0, 1024)),
)
def test_parts_add_up_exactly(drift):
    # Multiples of 1/1024 are exact in binary, so equality is equality.
    split = parts(*(drift / 1024))
    assert list(split) == ["total", "volume", "composition"]
    assert (split["total"] == split["volume"] + split["composition"]).all()
    assert (split["total"] == (drift[0] - drift[2]) / 1024).all()


def test_shares_that_few_make_by_hand():
    """Nobody of 60, everybody, and 3 of 60 alike in all seeds: Clopper and Pearson's own."""
    from scipy.stats import binomtest

    for count in (0, 60):
        ends = binomtest(count, 60).proportion_ci(method="exact")
        found = share_interval(two_way_interval(np.full((60, 3), count / 60)))
        assert (found.low, found.high) == (pytest.approx(ends.low), pytest.approx(ends.high))
    three = np.repeat(np.arange(60)[:, None] < 3, 3, axis=1).astype(float)
    ends, interval = binomtest(3, 60).proportion_ci(method="exact"), two_way_interval(three)
    found = share_interval(interval)
    assert (found.low, found.high) == (
        pytest.approx(ends.low, 0.05),
        pytest.approx(ends.high, 0.05),
    )
    assert (found.mean, found.p_value) == (interval.mean, interval.p_value)
    assert np.isnan(share_interval(two_way_interval(three[:, :1])).high)
    with pytest.raises(ValueError, match="share"):
        share_interval(two_way_interval(three + 0.97))


@pytest.mark.parametrize("prob", [0.002, 0.005, 0.01])
def test_shares_that_few_make_are_covered(prob):
    """A trait of 200 users that few have: a t interval, often a point, covers it far too
    seldom."""
    y = np.random.default_rng(23).random((2000, 200, 1)) < prob
    y = np.repeat(y, 8, axis=2).astype(float)
    assert covers(share_interval(two_way_interval(y)), prob).mean() > 0.94
    assert covers(two_way_interval(y), prob).mean() < 0.9


def test_parts_of_any_floats_add_up_to_rounding():
    influx, placebo, retrain = np.random.default_rng(0).random((3, 50, 4))
    split = parts(influx, placebo, retrain)
    # Three roundings of numbers below 1.
    gap = split["total"] - (split["volume"] + split["composition"])
    np.testing.assert_allclose(gap, 0.0, rtol=0, atol=4 * np.finfo(float).eps)


def test_parts_refuses_arms_that_are_not_paired():
    with pytest.raises(ValueError, match=r"\(3, 2\), \(3, 1\)"):
        parts(np.ones((3, 2)), np.ones((3, 1)), np.ones((3, 2)))


def test_holm_by_hand():
    # Sorted .01 .02 .03 .5: times 4, 3, 2, 1 = .04 .06 .06 .5, then running maximum.
    np.testing.assert_allclose(holm([0.03, 0.01, 0.5, 0.02]), [0.06, 0.04, 0.5, 0.06], rtol=1e-12)
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])


@pytest.mark.slow  # statsmodels takes long to load; by hand above
def test_holm_equals_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(0)
    for n in range(1, 40):
        p = rng.random(n).round(2) ** 2  # with ties
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)


def test_holm_counts_only_tests_that_were_made():
    adjusted = holm([[0.01, np.nan], [0.04, np.nan]])
    np.testing.assert_allclose(adjusted, [[0.02, np.nan], [0.04, np.nan]], rtol=1e-12)
    assert holm([]).size == 0
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([0.2, 1.2])


def test_import_is_light():
    code = (
        "import sys, recsys.statistics; "
        "sys.exit(' '.join(m for m in ('scipy', 'statsmodels') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_interval_over_users_is_scipys_t():
    from scipy.stats import ttest_1samp

    y = np.random.default_rng(3).normal(0.1, 0.3, 40)
    ours = users_interval(np.append(y, np.nan))
    as_by_scipy(ours, ttest_1samp(y, 0))
    assert (int(ours.n_users), int(ours.n_seeds)) == (40, 1)
    rows = users_interval(np.stack([y, np.full(40, np.nan), np.full(40, 0.3)]))
    np.testing.assert_array_equal(np.isnan(rows.low), [False, True, False])
    assert rows.low[2] == rows.high[2] == 0.3
    alone = users_interval([0.5])
    assert alone.mean == 0.5
    assert np.isnan(alone.low)


@pytest.mark.parametrize(
    ("y", "message"), [(0.5, "an axis of users"), ([np.inf], "1 infinite values")]
)
def test_interval_over_users_refuses(y, message):
    with pytest.raises(ValueError, match=message):
        users_interval(y)
