"""The most exposed third less the least: by hand, against Welch's formula, and its refusals."""

import numpy as np
import pytest
from scipy import stats

from recsys.statistics.by_exposure import FEWEST, by_exposure, changes, exposure_of


def test_difference_and_welchs_interval():
    rng = np.random.default_rng(0)
    exposure = rng.random(300)
    change = rng.normal(size=300) * (1 + exposure) + exposure
    found = by_exposure(change, exposure)
    order = np.argsort(exposure)
    least, most = change[order[:100]], change[order[-100:]]
    assert (found.n_low, found.n_high) == (100, 100)
    assert found.low == pytest.approx(least.mean())
    assert found.difference == pytest.approx(most.mean() - least.mean())
    variances = least.var(ddof=1) / 100, most.var(ddof=1) / 100
    df = sum(variances) ** 2 / sum(v**2 / 99 for v in variances)
    half = stats.t.ppf(0.975, df) * np.sqrt(sum(variances))
    assert found.ci_high - found.difference == pytest.approx(half)
    assert found.p_value == pytest.approx(
        2 * stats.t.sf(abs(found.difference) / np.sqrt(sum(variances)), df)
    )
    assert found.exposure_low < 1 / 3 < 2 / 3 < found.exposure_high


def test_intervals_cover_the_truth():
    """1,000 repetitions: 95 % give or take 2.8 points (four standard errors)."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        exposure = rng.random(90)
        found = by_exposure(rng.exponential(size=90) + 0.5 * (exposure > 0.5), exposure)
        covered += found.ci_low <= 0.5 <= found.ci_high
    assert 922 <= covered <= 978


def test_who_is_not_known_is_left_out():
    exposure = np.repeat([0.0, 0.5, 1.0], [31, 28, 31])
    change = np.tile([0.0, 1.0, 2.0], 30)
    whole = by_exposure(change, exposure)
    more = by_exposure(np.append(change, [5.0, np.nan]), np.append(exposure, [np.nan, 1.0]))
    assert (whole.lost_low, whole.lost_high) == (0, 0)
    assert more == whole._replace(lost_high=1)


def test_thirds_are_cut_before_anybody_is_lost():
    exposure = np.arange(180.0)
    change = np.where(exposure >= 150, np.nan, np.sin(exposure))
    found = by_exposure(change, exposure)
    assert (found.n_low, found.lost_low, found.n_high, found.lost_high) == (60, 0, 30, 30)
    assert found.high == pytest.approx(np.sin(np.arange(120.0, 150)).mean())


@pytest.mark.parametrize(
    ("change", "exposure"),
    [
        (np.arange(59.0), np.arange(59.0)),  # too few
        (np.arange(90.0), np.repeat([0.0, 1.0], [80, 10])),  # the thirds meet
        (np.ones(90), np.arange(90.0)),  # nothing varies
        (np.full(90, np.nan), np.arange(90.0)),
    ],
)
def test_no_contrast(change, exposure):
    assert by_exposure(change, exposure) is None


def test_equal_exposures_stay_together():
    exposure = np.repeat([0.0, 1.0, 2.0], [50, 20, FEWEST])
    found = by_exposure(np.random.default_rng(0).random(90), exposure)
    assert (found.n_low, found.n_high) == (50, 40)


def test_shapes():
    with pytest.raises(ValueError, match="one value per user"):
        by_exposure(np.ones(3), np.ones(4))


def test_exposure_by_hand():
    # user 0 liked things 0 and 1: newcomers 3 of 4, and 2 of 5 - 1 of his own; user 1 thing 2, his
    got = exposure_of(
        np.array([0, 0, 1]),
        np.array([0, 1, 2]),
        np.array([3, 2, 0]),
        np.array([4, 5, 1]),
        np.array([0, 1, 1]),
        3,
    )
    np.testing.assert_allclose(got, [(0.75 + 0.5) / 2, np.nan, np.nan])


def test_changes_are_0_on_average_in_a_taste_that_stays():
    """Whatever the base window holds, and however few likes there are: means over its corners."""
    rng = np.random.default_rng(5)
    taste = rng.dirichlet(np.ones(5), 20_000)
    earlier, base, later = (rng.multinomial(3, taste).astype(float) for _ in range(3))
    change = changes(earlier, base, later)
    for chosen in (base[:, 0] == 3, base.max(1) == 1, base[:, 0] == 0):
        error = change[chosen].std() / np.sqrt(chosen.sum())
        assert abs(change[chosen].mean()) < 4 * error


def test_changes_by_hand():
    rows = [[4.0, 0, 0]], [[2.0, 2, 0]], [[0.0, 2, 2]]
    assert changes(*map(np.array, rows)).tolist() == [0.0]
    assert changes(*map(np.array, (rows[0], rows[0], rows[2]))).tolist() == [1.0]
