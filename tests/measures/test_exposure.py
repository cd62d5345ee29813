"""Exposure: values worked by hand, and properties of inequality measures."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.measures import coverage, gini, position_weighted_share, share_by_size

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


creators = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 3), st.booleans()), min_size=1, max_size=6
)


@given(creators, st.integers(1, 6), st.booleans())
def test_share_by_size_is_the_mean_over_the_orders_of_equals(
    table: list[tuple[int, int, bool]], count: int, largest: bool
) -> None:
    looks = np.array([row[0] for row in table], dtype=float)
    sizes = np.array([row[1] if row[2] else np.nan for row in table])
    ranked = np.flatnonzero(~np.isnan(sizes))
    if not ranked.size or not looks.sum():
        assert np.isnan(share_by_size(looks, sizes, 1.0))
        return
    count = min(count, ranked.size)
    sign = -1 if largest else 1
    kept = []
    for order in permutations(ranked):
        falling = sizes[list(order)] * sign
        if (np.diff(falling) >= 0).all():  # an order by size
            kept.append(looks[list(order[:count])].sum() / looks.sum())
    got = share_by_size(looks, sizes, count / ranked.size, largest=largest)
    assert got == pytest.approx(np.mean(kept), abs=1e-12)


def test_share_by_size_parts_sum_to_what_is_ranked() -> None:
    rng = np.random.default_rng(0)
    looks, sizes = rng.random(57), rng.integers(0, 9, 57).astype(float)
    sizes[:7] = np.nan
    whole = looks[7:].sum() / looks.sum()
    for part in (0.01, 0.3, 0.5):  # the cut may go through one creator
        parts = (
            share_by_size(looks, sizes, part),
            share_by_size(looks, sizes, 1 - part, largest=True),
        )
        assert sum(parts) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize(
    ("looks", "sizes", "part", "message"),
    [
        ([1.0], [1.0, 2.0], 0.5, r"looks has shape \(1,\), sizes \(2,\)"),
        ([-1.0], [1.0], 0.5, "minimum of -1.0"),
        ([1.0], [1.0], 0.0, "part is 0.0"),
        ([1.0], [1.0], 1.5, "part is 1.5"),
    ],
)
def test_share_by_size_refuses(
    looks: list[float], sizes: list[float], part: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        share_by_size(looks, sizes, part)
