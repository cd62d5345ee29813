"""Placebo groups: matched totals, draws that depend on nothing else, p-values that hold."""

from itertools import pairwise
from math import sqrt

import numpy as np
import pytest

from recsys.statistics.matching import (
    _keyed_hash,
    draw_placebo,
    draw_totals,
    match_newcomers,
)
from recsys.statistics.placebo import (
    band_level,
    false_alarm_rate,
    permutation_p,
    placebo_band,
    smallest_p,
    widened,
)


def heavy_tailed_log(rng, n_users):
    """Events (Pareto with infinite variance) and active days (more for heavier users, noisy)."""
    events = np.floor(rng.pareto(1.5, n_users) * 8 + 1).clip(max=5000).astype(np.int64)
    days = np.minimum(events, np.ceil(events**0.6 * rng.uniform(0.5, 1.5, n_users)))
    return events, days.clip(1, 60).astype(np.int64)


def random_newcomers(rng, n_users, n_newcomers, n_panel=0):
    order = rng.permutation(n_users)
    newcomer, pool = np.zeros((2, n_users), dtype=bool)
    newcomer[order[:n_newcomers]] = True
    pool[order[n_newcomers + n_panel :]] = True
    return newcomer, pool


def stable_keys(rng, n_users):
    return rng.permutation(n_users).astype(np.uint64) * np.uint64(7919)


@pytest.mark.parametrize("late", [False, True], ids=["any newcomers", "fewer days each"])
def test_draws_match_users_events_and_days(late):
    rng = np.random.default_rng(1)
    events, days = heavy_tailed_log(rng, 8000)
    newcomer, pool = random_newcomers(rng, 8000, 400, n_panel=500)
    if late:
        days = np.where(newcomer, np.ceil(days / 2).astype(np.int64), days)
    matching = match_newcomers(events, days, newcomer, pool, stable_keys(rng, 8000), seed=3)
    assert matching.matched
    totals = np.array([draw_totals(matching, draw) for draw in range(100)])
    assert (totals[:, 0] == matching.newcomer_users).all()
    # An event bin is a factor of 1.5 wide: sd over mean 12 % within it, and the users who hold
    # half the volume number about 30, so 2-3 % a draw; the mean of draws is held to the tolerance.
    kept = np.array([matching.newcomer_events, matching.newcomer_days])
    assert (np.abs(totals[:, 1:].mean(0) / kept - 1) < matching.tolerance).all()
    assert (np.abs(totals[:, 1:] / kept - 1) < 0.1).mean() > 0.97
    expected = [matching.placebo_events, matching.placebo_days]
    np.testing.assert_allclose(totals[:, 1:].mean(0), expected, rtol=0.02)


def test_unmatched_draws_would_miss_the_volume():
    # What the strata are for: the same users drawn at random are off by tens of percent.
    rng = np.random.default_rng(1)
    events, _ = heavy_tailed_log(rng, 8000)
    off = [abs(events[rng.permutation(8000)[:400]].mean() / events.mean() - 1) for _ in range(100)]
    assert np.mean(off) > 0.1


def test_a_draw_holds_pool_users_once_each_and_no_one_else():
    rng = np.random.default_rng(2)
    events, days = heavy_tailed_log(rng, 1000)
    newcomer, pool = random_newcomers(rng, 1000, 100, n_panel=200)
    matching = match_newcomers(events, days, newcomer, pool, stable_keys(rng, 1000), seed=3)
    draws = [draw_placebo(matching, draw) for draw in range(20)]
    assert all(pool[ids].all() and len(np.unique(ids)) == len(ids) for ids in draws)
    assert len({tuple(ids) for ids in draws}) == 20
    other = match_newcomers(events, days, newcomer, pool, stable_keys(rng, 1000), seed=4)
    assert not np.array_equal(draw_placebo(other, 0), draws[0])
    assert np.array_equal(draw_placebo(matching, 7), draws[7])


def test_relabelling_users_relabels_the_draws():
    rng = np.random.default_rng(5)
    events, days = heavy_tailed_log(rng, 600)
    newcomer, pool = random_newcomers(rng, 600, 200, n_panel=150)
    keys, order = stable_keys(rng, 600), rng.permutation(600)
    plain = match_newcomers(events, days, newcomer, pool, keys, seed=9)
    moved = match_newcomers(
        events[order], days[order], newcomer[order], pool[order], keys[order], seed=9
    )
    assert np.array_equal(moved.newcomer, plain.newcomer[order])
    assert moved.describe() == plain.describe()
    for draw in range(5):
        back = order[draw_placebo(moved, draw)]
        assert np.array_equal(np.sort(back), draw_placebo(plain, draw))


def test_a_short_stratum_borrows_from_the_nearest():
    # Three newcomers with 40 events, one pool user like them; the others have 38 (same bin as 40
    # is not theirs: bins end at 38.4), 60 and 4.
    events = np.array([40, 40, 40, 10, 10, 41, 38, 38, 4, 4, 10, 10])
    newcomer = np.arange(12) < 5
    matching = match_newcomers(events, np.ones(12, int), newcomer, ~newcomer, np.arange(12), seed=1)
    assert (matching.borrowed, matching.subsampled, matching.matched) == (2, False, True)
    assert draw_placebo(matching, 0).tolist() == [5, 6, 7, 10, 11]


def test_newcomers_without_a_like_in_the_pool_are_left_out():
    # Ten newcomers with 1,000 events; the pool has four such users and many with 5.
    events = np.array([1000] * 10 + [5] * 10 + [1000] * 4 + [5] * 100)
    newcomer = np.arange(124) < 20
    matching = match_newcomers(
        events, np.ones(124, int), newcomer, ~newcomer, np.arange(124), seed=1
    )
    assert matching.subsampled
    assert matching.matched
    assert (matching.newcomer_users_before, matching.newcomer_events_before) == (20, 10_050)
    assert (matching.newcomer_users, matching.newcomer_events) == (14, 4050)
    assert matching.newcomer[:20].sum() == matching.newcomer.sum() == 14
    assert draw_totals(matching, 3) == (14, 4050, 14)
    assert "14 of 20 newcomers" in matching.describe()
    assert "could not supply" in matching.describe()


def test_a_pool_smaller_than_the_wave_is_said_to_be_crowded():
    newcomer = np.arange(30) < 20
    matching = match_newcomers(
        np.full(30, 6), np.ones(30, int), newcomer, ~newcomer, np.arange(30), seed=1
    )
    assert (matching.newcomer_users, matching.pool_fraction) == (10, 1.0)
    assert "crowded" in matching.describe()
    spare = match_newcomers(
        np.full(30, 6),
        np.ones(30, int),
        newcomer,
        ~newcomer,
        np.arange(30),
        seed=1,
        max_pool_fraction=0.2,
    )
    assert (spare.newcomer_users, spare.pool_fraction) == (2, 0.2)
    assert spare.pool_event_fraction == pytest.approx(0.2)


def test_heavy_users_who_are_in_every_draw_show_in_the_event_fraction():
    events = np.array([1000, 5, 1000] + [5] * 99)
    newcomer = np.arange(102) < 2
    matching = match_newcomers(
        events, np.ones(102, int), newcomer, ~newcomer, np.arange(102), seed=1
    )
    assert matching.pool_fraction == 0.02
    # The heavy user is the whole of a stratum: (1000 * 1 + 5 / 99) / 1005.
    assert matching.pool_event_fraction == pytest.approx((1000 + 5 / 99) / 1005)


def test_a_pool_that_is_nothing_like_the_newcomers_is_reported():
    newcomer = np.arange(40) < 10
    events = np.where(newcomer, 1000, 5)
    matching = match_newcomers(events, np.ones(40, int), newcomer, ~newcomer, np.arange(40), seed=1)
    assert not matching.matched
    assert "NOT MATCHED" in matching.describe()


def test_a_log_without_times_and_newcomers_without_events():
    newcomer = np.arange(40) < 10
    events = np.where(np.arange(40) < 3, 0, 4)
    matching = match_newcomers(
        events, np.zeros(40, int), newcomer, ~newcomer, np.arange(40), seed=1
    )
    assert (matching.newcomer_users, matching.subsampled, matching.matched) == (7, False, True)
    assert draw_totals(matching, 0) == (7, 28, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"events": np.ones(5, int)}, "shapes"),
        ({"events": np.ones(6)}, "dtype float64"),
        ({"events": np.array([1, 1, 1, 1, 1, -1])}, "1 users have negative"),
        ({"events": np.array([1, 1, 1, 1, 1, 0])}, "1 pool users have no events"),
        ({"pool": np.ones(6, bool)}, "both newcomers and in the pool"),
        ({"pool": np.zeros(6, bool)}, "0 pool users"),
        ({"newcomer": np.zeros(6, bool)}, "0 newcomers"),
        ({"user_keys": np.zeros(6, np.uint64)}, "repeat"),
        ({"event_ratio": 1.0}, "event_ratio"),
        ({"max_pool_fraction": 0.0}, "max_pool_fraction"),
        ({"max_pool_fraction": 0.1}, "can give a single user"),
    ],
)
def test_refuses_what_cannot_be_matched(change, message):
    good = {
        "events": np.ones(6, int),
        "active_days": np.ones(6, int),
        "newcomer": np.arange(6) < 2,
        "pool": np.arange(6) >= 2,
        "user_keys": np.arange(6),
        "seed": 0,
    }
    with pytest.raises(ValueError, match=message):
        match_newcomers(**{**good, **change})


def test_permutation_p_by_hand():
    placebo = np.array([[0.1, 0.2, 0.3], [0.5, 0.5, 0.6]])
    assert permutation_p([0.25, 0.5], placebo).tolist() == [2 / 4, 1.0]
    assert permutation_p([9.0, 9.0], placebo).tolist() == [smallest_p(3)] * 2
    with pytest.raises(ValueError, match="1 of 3 placebo values are NaN"):
        permutation_p(0.1, [0.1, np.nan, 0.2])
    with pytest.raises(ValueError, match="observed"):
        permutation_p(np.nan, [0.1, 0.2])
    with pytest.raises(ValueError, match="shape"):
        permutation_p([0.1], [0.1, 0.2])
    with pytest.raises(ValueError, match="with a draw"):
        permutation_p(0.1, [])
    with pytest.raises(ValueError, match="at least one"):
        smallest_p(0)


def test_placebo_band_is_a_pair_of_order_statistics():
    placebo = np.random.default_rng(0).random((4, 199))
    low, high = placebo_band(placebo)
    inner = np.sort(placebo, axis=-1)
    np.testing.assert_allclose(low, inner[:, 4], rtol=1e-12)
    np.testing.assert_allclose(high, inner[:, -5], rtol=1e-12)
    assert placebo_band([0.3] * 5) == (0.3, 0.3)
    with pytest.raises(ValueError, match="NaN"):
        placebo_band([np.nan])
    with pytest.raises(ValueError, match="level"):
        placebo_band([0.1], level=95)


@pytest.mark.parametrize("draws", [20, 39, 57, 199])
def test_one_more_draw_lies_in_the_band_as_often_as_it_says(draws):
    """30,000 repetitions: the standard error is at most .0017."""
    x = np.random.default_rng(draws).standard_normal((30_000, draws + 1))
    low, high = placebo_band(x[:, 1:])
    inside = ((low <= x[:, 0]) & (x[:, 0] <= high)).mean()
    assert inside == pytest.approx(band_level(draws), abs=0.006)


def test_few_draws_cover_less():
    assert band_level(20) == pytest.approx(19 / 21)
    assert placebo_band(np.arange(20.0)) == (0, 19)
    assert band_level(1) == 0
    with pytest.raises(ValueError, match="at least one"):
        band_level(0)
    with pytest.raises(ValueError, match="level"):
        band_level(20, level=1)


def share_of_small_p(rng, repetitions, n_users, n_newcomers, *, widen=False, n_draws=39):
    """How often p <= .05 where newcomers are a random subset; the statistic sums private effects.

    With 39 draws p <= .05 is p <= 2/40, so a fair test rejects exactly 5 %. Returns that share and
    the mean fraction of the pool seen by a draw.
    """
    small, crowding = 0, 0.0
    for repetition in range(repetitions):
        events = rng.geometric(0.05, n_users)
        effect = events * rng.normal(1.0, 1.0, n_users)
        newcomer, pool = random_newcomers(rng, n_users, n_newcomers)
        matching = match_newcomers(
            events, np.ones(n_users, int), newcomer, pool, np.arange(n_users), seed=repetition
        )
        groups = [draw_placebo(matching, draw) for draw in range(n_draws)]
        placebo = np.array([effect[ids].sum() for ids in groups])
        if widen:
            placebo = widened(placebo, matching.crowding)
        small += permutation_p(effect[matching.newcomer].sum(), placebo) <= 0.05
        crowding += matching.pool_event_fraction / repetitions
    return small / repetitions, crowding


@pytest.mark.parametrize("repetitions", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_p_is_uniform_where_newcomers_are_like_anybody(repetitions):
    share, crowding = share_of_small_p(np.random.default_rng(12), repetitions, 1500, 25)
    assert crowding < 0.035
    # Binomial sd sqrt(.055 * .945 / repetitions): 1.9 and .72 points; 3.3 of them on either side of
    # the 5.5 % that a pool sixty times the newcomers gives (its heaviest users are in more draws).
    expected = false_alarm_rate(crowding)
    assert abs(share - expected) < 3.3 * sqrt(expected * (1 - expected) / repetitions)


def test_a_crowded_pool_raises_false_alarms_as_documented():
    share, crowding = share_of_small_p(np.random.default_rng(13), 500, 300, 90)
    assert 0.35 < crowding < 0.55
    # Binomial sd 1.6 points, 3.3 of them, and 3 points for the formula: fractions differ between
    # strata here, and 3,000 repetitions put the true rate 2 points above it.
    assert abs(share - false_alarm_rate(crowding)) < 0.083
    assert share > 0.08


@pytest.mark.parametrize(("n_users", "n_newcomers"), [(600, 75), (300, 75)])
def test_widened_draws_take_the_false_alarms_of_a_crowded_pool_back(n_users, n_newcomers):
    rng = np.random.default_rng(n_users)
    share, crowding = share_of_small_p(rng, 600, n_users, n_newcomers, widen=True)
    assert 0.15 < crowding < 0.45
    # Binomial sd sqrt(.06 * .94 / 600) = 1 point; 3.3 of them, around the 6.7 % that 1,500
    # repetitions give (fractions differ between strata). Without widening it is 10 % and 16 %.
    assert abs(share - 0.067) < 0.033


def test_widened_keeps_means_and_refuses_a_whole_pool():
    draws = np.random.default_rng(0).random((3, 50))
    np.testing.assert_allclose(widened(draws, 0.3).mean(-1), draws.mean(-1), rtol=1e-12)
    ratio = widened(draws, 0.3).std(-1) / draws.std(-1)
    np.testing.assert_allclose(ratio, np.sqrt(1.3 / 0.7), rtol=1e-12)
    np.testing.assert_array_equal(
        widened(draws, 0.0), draws.mean(-1, keepdims=True) + (draws - draws.mean(-1, keepdims=True))
    )
    with pytest.raises(ValueError, match="pool_fraction"):
        widened(draws, 1.0)


def test_false_alarm_rate_refuses_nonsense():
    with pytest.raises(ValueError, match="out of range"):
        false_alarm_rate(1.5)


def test_keyed_hash_is_a_fair_lot():
    # Each of 50 users is among the lowest 10 in a fifth of 4,000 draws: 800, binomial sd 25.3.
    keys = np.arange(50, dtype=np.uint64)
    hashes = np.array([_keyed_hash(3, draw, keys) for draw in range(4000)])
    times = (hashes.argsort(axis=1)[:, :10, None] == np.arange(50)).sum((0, 1))
    assert np.abs(times - 800).max() < 4.5 * 25.3
    # Chi-square with 49 degrees of freedom, scaled by 4/5: mean 49, sd 9.9.
    assert abs(((times - 800) ** 2).sum() / (4000 * 0.2 * 0.8) * 49 / 50 - 49) < 4 * 9.9
    # Consecutive draws share what chance gives: 10 * 10 / 50 = 2 users.
    low = hashes.argsort(axis=1)[:, :10]
    shared = [len(np.intersect1d(a, b)) for a, b in pairwise(low)]
    # Hypergeometric sd 1.14, over 3,999 pairs .018; 4 of them.
    assert abs(np.mean(shared) - 2) < 0.08
