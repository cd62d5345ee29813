"""Westfall & Young's p-values: by hand, their error over a family, and what Holm's cannot find."""

import numpy as np
import pytest

from recsys.statistics import holm, permutation_p, westfall_young

DRAWS = 199


def family(rng, repetitions, measures, shared, *, skewed=True):
    """Correlated measures of exchangeable groups, half of them skewed: repetitions × … × groups."""
    common = rng.standard_normal((repetitions, 1, DRAWS + 1))
    own = rng.standard_normal((repetitions, measures, DRAWS + 1))
    values = shared**0.5 * common + (1 - shared) ** 0.5 * own
    if skewed:
        values[:, ::2] = np.exp(values[:, ::2])
    return values


def test_by_hand():
    # Deviations in standard deviations, over the observed and 3 draws: the first measure's are
    # (1.5, -.5, -.5, -.5) / .866; the second's (1, 3, -1, -3) / √5.
    p = westfall_young([2.0, 4.0], [[0.0, 0.0, 0.0], [6.0, 2.0, 0.0]])
    assert p.tolist() == [1 / 4, 2 / 4]  # 1.73 is above all; .45 is reached by itself and 1.34
    p = westfall_young([1.0, 4.0], [[0.0, 2.0, 1.0], [6.0, 2.0, 0.0]], [True, True])
    assert p.tolist() == [1.0, 1.0]
    assert westfall_young([-9.0], [[0.0, 1.0, 2.0]], two_sided=True).tolist() == [1 / 4]
    assert westfall_young([-9.0], [[0.0, 1.0, 2.0]]).tolist() == [1.0]


def test_of_one_measure_it_is_the_permutation_p():
    groups = np.random.default_rng(0).random((50, 40)).round(1)  # with ties
    for observed, *draws in groups:
        assert westfall_young([observed], [draws])[0] == permutation_p(observed, draws)


@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_error_over_a_family_is_at_most_5_per_cent(shared):
    """1,000 families of 20 measures without an effect: any p <= .05 in 5 %, give or take 2.1."""
    groups = family(np.random.default_rng(1), 1000, 20, shared)
    any_small = [westfall_young(one[:, 0], one[:, 1:]).min() <= 0.05 for one in groups]
    assert np.mean(any_small) == pytest.approx(0.05, abs=0.021)


def test_error_over_the_rest_where_one_is_true():
    """A planted measure leaves the chance of any other p <= .05 as it is: step down."""
    groups = family(np.random.default_rng(2), 1000, 20, 0.6)
    groups[:, 0, 0] += 100.0
    p = np.array([westfall_young(one[:, 0], one[:, 1:]) for one in groups])
    assert (p[:, 0] <= 0.05).mean() > 0.99
    assert (p[:, 1:].min(axis=1) <= 0.05).mean() == pytest.approx(0.05, abs=0.021)


def test_one_true_measure_of_20_is_found_where_holm_cannot():
    """Six standard deviations: nearly always; Holm's p of it is .1 at least, however far out."""
    groups = family(np.random.default_rng(3), 100, 20, 0.6, skewed=False)
    groups[:, 1, 0] += 6.0
    found = sum(westfall_young(one[:, 0], one[:, 1:])[1] <= 0.05 for one in groups)
    assert found >= 90
    plain = permutation_p(groups[:, :, 0], groups[:, :, 1:])
    assert all(holm(p)[1] >= 0.0999 for p in plain)


def test_what_does_not_vary_tells_nothing():
    assert westfall_young([0.1, 1.0], [[0.1] * 4, [0.0] * 4]).tolist() == [1.0, 1 / 5]


@pytest.mark.parametrize(
    ("observed", "placebo", "message"),
    [
        ([1.0], [1.0, 2.0], r"\(measures, draws\) with at least"),
        ([1.0, 2.0], [[1.0, 2.0]], r"\(measures, draws\) with at least"),
        ([1.0], [[]], r"\(measures, draws\) with at least"),
        ([np.nan], [[1.0, 2.0]], "1 of 3 values are not finite"),
    ],
)
def test_errors(observed, placebo, message):
    with pytest.raises(ValueError, match=message):
        westfall_young(observed, placebo)
