"""Mixes of feeds: formulas worked by hand, scipy, and exact properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cityblock, jensenshannon

from recsys.measures import (
    MEASURES,
    FeedPair,
    calibration_kl,
    feed_mix,
    hellinger,
    jsd,
    mix_measure,
    tv,
)
from recsys.measures.mix import joint_codes

DISTANCES = [tv, jsd, hellinger]


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    # tv = ½Σ|p-q|; jsd in bits; hellinger = √(½Σ(√p-√q)²); calibration in nats (Steck 2018, α .01)
    [
        ([0.95, 0.05], [0.75, 0.25], (0.2, 0.0610027639, 0.2099986912, 0.1419690906)),
        ([0.25] * 4, [0.4, 0.3, 0.2, 0.1], (0.2, 0.0402015823, 0.1678995964, 0.1187871776)),
        ([1.0, 0.0], [0.0, 1.0], (1.0, 1.0, 1.0, 4.605170186)),  # the last: ln 100
    ],
)
def test_values(p: list[float], q: list[float], expected: tuple[float, ...]) -> None:
    got = [distance([p], [q])[0] for distance in (tv, jsd, hellinger, calibration_kl)]
    assert got == pytest.approx(list(expected), abs=1e-9)


# Three feeds of some slots each over five bins.
mixes = (
    arrays(np.int64, (3, 5), elements=st.integers(0, 100))
    .filter(lambda counts: counts.sum(axis=1).all())
    .map(lambda counts: counts / counts.sum(axis=1, keepdims=True))
)


@given(mixes, mixes)
def test_against_scipy(p: np.ndarray, q: np.ndarray) -> None:
    theirs = [jensenshannon(x, y, base=2) ** 2 for x, y in zip(p, q, strict=True)]
    np.testing.assert_allclose(jsd(p, q), theirs, atol=1e-12)
    theirs = [cityblock(x, y) / 2 for x, y in zip(p, q, strict=True)]
    np.testing.assert_allclose(tv(p, q), theirs, atol=1e-12)


@given(mixes, mixes)
def test_bounds_symmetry_identity(p: np.ndarray, q: np.ndarray) -> None:
    for distance in DISTANCES:
        value = distance(p, q)
        assert ((value >= 0.0) & (value <= 1.0)).all()
        np.testing.assert_array_equal(value, distance(q, p))
        assert (distance(p, p) == 0.0).all()
    assert (calibration_kl(p, p) == 0.0).all()
    # 1e-9: rounding of a sum of five terms around ln(1/α)
    assert ((calibration_kl(p, q) >= 0.0) & (calibration_kl(p, q) <= np.log(100) + 1e-9)).all()


@given(mixes, mixes)
def test_known_inequalities(p: np.ndarray, q: np.ndarray) -> None:
    # H² ≤ TV ≤ √2·H (Le Cam) and JSD ≤ TV in bits (Lin 1991, theorem 3); 1e-9 for rounding.
    assert (hellinger(p, q) ** 2 <= tv(p, q) + 1e-9).all()
    assert (tv(p, q) <= np.sqrt(2) * hellinger(p, q) + 1e-9).all()
    assert (jsd(p, q) <= tv(p, q) + 1e-9).all()


def test_jsd_of_a_share_near_the_smallest_float() -> None:
    assert jsd([[1.0, 0.0]], [[1.0, 5e-324]])[0] == 0.0


def test_feed_mix_counts_filled_slots() -> None:
    feeds = np.array([[0, 1, 2, 3], [3, 0, -1, -1], [-1, -1, -1, -1]])
    got = feed_mix(feeds, codes=[0, 1, 1, 2], n_codes=4)
    np.testing.assert_array_equal(got, [[0.25, 0.5, 0.25, 0.0], [0.5, 0.0, 0.5, 0.0], [np.nan] * 4])


def test_feed_mix_with_position_weights() -> None:
    got = feed_mix([[0, 1, -1]], codes=[1, 0], n_codes=2, weights=[3, 1, 4])
    assert got.tolist() == [[0.25, 0.75]]


def test_feed_mix_is_of_the_feed_alone() -> None:
    rng = np.random.default_rng(3)
    feeds, codes = rng.integers(-1, 50, (200, 9)), rng.integers(0, 7, 50)
    together = feed_mix(feeds, codes, 7)
    alone = np.concatenate([feed_mix(feeds[row : row + 1], codes, 7) for row in range(200)])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together.sum(axis=1), 1.0, rtol=1e-12)


def test_an_empty_feed_has_no_distance() -> None:
    nowhere, somewhere = [[np.nan, np.nan]], [[0.5, 0.5]]
    for distance in (*DISTANCES, calibration_kl):
        assert np.isnan(distance(nowhere, somewhere)).all()
        assert np.isnan(distance(somewhere, nowhere)).all()


def test_joint_codes_are_one_to_one() -> None:
    language, topic = np.repeat([0, 1, 2], 4), np.tile([0, 1, 2, 3], 3)
    codes, bins = joint_codes((language, topic))
    assert bins == 12
    assert sorted(codes.tolist()) == list(range(12))


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([0.5, 0.5], [0.5, 0.5], r"expected both \(n, bins\)"),
        ([[0.5, 0.5]], [[1.0]], r"p has shape \(1, 2\) and q \(1, 1\)"),
        ([[0.5, 0.5]], [[0.5, 0.6]], r"row 0 of q sums to 1.1"),
        ([[1.0, 0.0], [1.5, -0.5]], [[1.0, 0.0]] * 2, "row 1 of p sums to 1; expected shares of"),
    ],
)
def test_what_is_no_distribution(p: object, q: object, message: str) -> None:
    for distance in (*DISTANCES, calibration_kl):
        with pytest.raises(ValueError, match=message):
            distance(p, q)  # type: ignore[arg-type]


def test_errors_name_what_was_expected() -> None:
    with pytest.raises(ValueError, match="alpha is 0"):
        calibration_kl([[1.0]], [[1.0]], alpha=0)
    with pytest.raises(ValueError, match="ids run from 0 to 2; expected 0 to 1"):
        feed_mix([[0, 2]], [0, 1], 2)
    with pytest.raises(ValueError, match="codes run from -1 to 1; expected 0 to 1"):
        feed_mix([[0, 1]], [-1, 1], 2)
    with pytest.raises(ValueError, match="codes has shape"):
        feed_mix([[0, 1]], [0.0, 1.0], 2)
    with pytest.raises(ValueError, match="ids has shape"):
        feed_mix([0, 1], [0, 1], 2)
    with pytest.raises(ValueError, match=r"weights has shape \(1,\); expected one weight"):
        feed_mix([[0, 1]], [0, 1], 2, weights=[1.0])
    with pytest.raises(ValueError, match="has attributes 'topic'; expected a tuple"):
        mix_measure("mine", "topic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has distance 'kl'; expected one of"):
        mix_measure("mine", ("topic",), "kl")  # type: ignore[arg-type]


def test_joint_mix_of_more_combinations_than_fit_a_table() -> None:
    """Five attributes of a million values each: 10^30 combinations, 200 of which occur."""
    rng = np.random.default_rng(5)
    values = rng.integers(0, 10**6, (5, 3)).astype(np.int32)
    values[:, 0] = 10**6 - 1
    names = [f"attribute {place}" for place in range(5)]
    chosen = rng.integers(0, 3, (5, 200))
    codes = {name: values[place][chosen[place]] for place, name in enumerate(names)}
    ids = rng.permuted(np.tile(np.arange(200, dtype=np.int32), (50, 1)), axis=1)
    a, b = np.ascontiguousarray(ids[:, :9]), np.ascontiguousarray(ids[:, 5:14])
    b[:25, 6:] = -1
    got = MEASURES["joint_mix"](FeedPair(a, b, codes, None, np.ones(9)))
    for row in range(50):
        counts = []
        for feed in (a[row], b[row]):
            keys = [tuple(codes[name][i] for name in names) for i in feed if i >= 0]
            counts.append({key: keys.count(key) / len(keys) for key in keys})
        p, q = counts
        expected = sum(abs(p.get(key, 0) - q.get(key, 0)) for key in {*p, *q}) / 2
        assert got[row] == pytest.approx(expected, abs=1e-12)
    assert 0 < got.min() < got.max() < 1


def test_joint_mix_of_two_is_their_mix() -> None:
    rng = np.random.default_rng(6)
    codes = {name: rng.integers(0, 3, 40, dtype=np.int32) for name in ("language", "format")}
    feeds = [rng.integers(-1, 40, (300, 8), dtype=np.int32) for _ in range(2)]
    pair = FeedPair(*feeds, codes, None, np.ones(8))
    got = MEASURES["joint_mix"](pair)
    np.testing.assert_allclose(got, MEASURES["language_format"](pair), rtol=0, atol=1e-15)
    alone = FeedPair(*feeds, {"language": codes["language"]}, None, np.ones(8))
    assert "attributes" not in alone.provides
    with pytest.raises(ValueError, match=r"measure 'joint_mix' needs \['attributes'\]"):
        MEASURES["joint_mix"](alone)
