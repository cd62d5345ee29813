"""Exposure: values worked by hand, and properties of inequality measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.drift import coverage, gini, position_weighted_share

amounts = st.lists(st.integers(0, 1000), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("x", "expected"),
    # Σ(2i - m - 1) x_(i) / (m Σx): 0 for equal parts, 1 - 1/m for one who takes all
    [([1, 1, 1, 1], 0.0), ([0, 0, 0, 1], 0.75), ([1, 2, 3, 4], 0.25)],
)
def test_gini_values(x: list[float], expected: float) -> None:
    assert gini(x) == expected
    assert gini([x, x]).tolist() == [expected, expected]


@given(amounts)
def test_gini_is_half_the_relative_mean_difference(x: list[int]) -> None:
    values = np.array(x, dtype=float)
    if values.sum() == 0:
        assert np.isnan(gini(values))
        return
    expected = np.abs(values[:, None] - values).mean() / (2 * values.mean())
    # Integer sums below 2^53 are exact on both sides: only the divisions round.
    assert gini(values) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert gini(values) == gini(values[::-1]) == pytest.approx(gini(values * 4))


def test_position_weighted_share() -> None:
    flags = np.array([False, True, True])
    feeds = [[1, 0, 2], [0, 1, -1], [0, -1, -1], [-1, -1, -1]]
    np.testing.assert_allclose(
        position_weighted_share(feeds, flags, [4, 2, 1]), [5 / 7, 2 / 6, 0.0, np.nan]
    )
    np.testing.assert_allclose(
        position_weighted_share(feeds, flags, None), [2 / 3, 1 / 2, 0.0, np.nan]
    )
    assert (position_weighted_share(feeds[:3], np.ones(3, dtype=bool), [0.7, 0.2, 0.1]) == 1).all()


def test_coverage() -> None:
    assert coverage([[0, 1], [1, -1]], 4) == 0.5
    assert coverage([[-1, -1]], 4) == 0.0
    assert coverage([[0, 1], [2, 3]], 4) == 1.0


def test_errors_name_what_was_expected() -> None:
    with pytest.raises(ValueError, match="x has a minimum of -1"):
        gini([1, -1])
    with pytest.raises(ValueError, match=r"x has shape \(0,\)"):
        gini([])
    with pytest.raises(ValueError, match=r"expected bool \(n_items,\)"):
        position_weighted_share([[0]], [1], [1.0])
    with pytest.raises(ValueError, match="ids run from 0 to 3; expected 0 to 1"):
        position_weighted_share([[0, 3]], [True, False], None)
    with pytest.raises(ValueError, match="expected one weight"):
        position_weighted_share([[0, 1]], [True, False], [1.0, -1.0])
    with pytest.raises(ValueError, match="n_items is 0"):
        coverage([[-1]], 0)
    with pytest.raises(ValueError, match="ids run from 0 to 5"):
        coverage([[0, 5]], 5)
