"""A wave of arrivals: found where there is one, dated, and its absence said."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from recsys.statistics import arrivals as module
from recsys.statistics.arrivals import LEVEL, MIN_PERIODS, find_wave, settled_after
from tests.kit.arrival_series import DISPERSED, LOG_RATES, announced, quiet, with_wave

DAILY = Path(__file__).parents[3] / "shared" / "data" / "rednote_arrivals" / "daily.csv"
QUIET = [3, 5, 4, 2, 6, 4, 3, 5, 4, 3, 4, 5, 2, 4, 6, 3, 4, 5, 3, 4]


@pytest.fixture
def few_series(monkeypatch):
    """Enough for p = .01."""
    monkeypatch.setattr(module, "SERIES", 199)


# Waves


@pytest.mark.parametrize("decay", [2, 5])
@pytest.mark.parametrize("mean", [5, 50])
@pytest.mark.parametrize(
    "what", ["flat", "weekdays, 50 % up and down", "log-AR(1) .8, spread 30 %"]
)
def test_eight_times_the_usual_in_sixty_days(what, mean, decay, few_series):
    """A wave that decays within two weeks; docs/log.md has the rates of many more."""
    for seed in range(2):
        counts = with_wave(what, 60, seed, start=36, times=8, decay=decay, mean=mean)
        used = settled_after(counts)
        wave = find_wave(counts[used:])
        assert wave.found, wave
        assert abs(wave.start + used - 36) <= 1
        assert 38 <= wave.end + used <= 50
        assert wave.p_value <= LEVEL
        assert wave.peak > 4 * wave.before


def test_a_wave_that_stays():
    counts = quiet("flat", 60, 3)
    counts[35:] += quiet("flat", 60, 4)[35:]
    wave = find_wave(counts)
    assert wave.found
    assert (wave.start, wave.end) == (35, 60)
    assert wave.before == pytest.approx(50, rel=0.1)
    assert wave.during == pytest.approx(100, rel=0.1)


def test_two_waves_do_not_hide_one_another(few_series):
    """In 351 days, on the 40th and the 70th."""
    counts = with_wave("flat", 351, 0, start=40, times=8, decay=5, mean=10)
    counts = counts + np.roll(counts - np.minimum(counts, 10), 30)
    assert announced(counts)[0] in (39, 40, 41, 69, 70, 71)


def test_size_is_what_came_beyond_the_usual():
    wave = find_wave([*QUIET, 32, 24, 15, 8, *QUIET])
    assert wave.size == pytest.approx((32 + 24 + 15) - 3 * 4)
    assert wave.peak == 32
    assert wave.evidence == (
        "23.7 arrivals a period for 4.0 usually, 32 at most, 59 more than usual in all; p = 0.002"
    )


# None


def test_false_alarms_are_as_seldom_as_the_level_says(few_series):
    """Ten series of each sort. At a rate of `LEVEL` over all of them no more than the bound are
    announced, with probability .994; at five times that rate with .18."""
    series = [
        quiet(what, 60, 500 + seed) for what in (*LOG_RATES, *DISPERSED) for seed in range(10)
    ]
    alarms = sum(announced(counts) is not None for counts in series)
    assert alarms <= binom.ppf(0.99, len(series), LEVEL)


@pytest.mark.parametrize("height", [100, 200, 400])
def test_one_period_that_stands_out_is_no_wave(height):
    counts = quiet("flat", 60, 3)
    counts[30] = height
    found = find_wave(counts)
    assert found.start in (29, 30)
    assert found.refusal == "a single period stands out, which is no wave"


def test_the_end_of_a_dip_is_no_wave():
    counts = quiet("flat", 60, 1)
    counts[20:32] //= 5
    wave = find_wave(counts)
    assert not wave.found
    assert "less than 1.5 times the usual" in wave.refusal


@pytest.mark.parametrize(
    ("level", "refusal"),
    [
        (np.linspace(50, 200, 40), "p is above 0.01"),
        (np.where(np.arange(40) < 20, 400, 500), "less than 1.5 times"),
        (np.full(40, 50.0), "never rise"),
    ],
    ids=["growth", "a small rise", "even"],
)
def test_what_is_no_wave(level, refusal):
    found = find_wave(np.round(level))
    assert refusal in found.refusal
    assert not found.found
    assert "p =" not in found.evidence


def test_nothing_rises():
    wave = find_wave(np.full(30, 4.0))
    assert (wave.start, wave.end, wave.size, wave.before, wave.p_value) == (None, None, 0, 4, 1)


# How it is computed


@pytest.mark.parametrize("q", [0.0, 0.3])
def test_gains_are_those_of_generalised_least_squares(q):
    """Each shape's gain is what its coefficient saves in a fit written out in full."""
    n = 30
    model = next(m for m in module._models(n, True) if m.q == q)
    shapes = module._shapes(n)
    time = np.arange(n)
    covariance = np.eye(n) + q * (np.minimum.outer(time, time) + 1.0)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    X = np.stack(
        [np.ones(n), time, *(np.exp(-time / decay) for decay in module._BEGINNING)]
        + [time % 7 == day for day in range(1, 7)],
        axis=1,
    ).astype(float)
    z = np.random.default_rng(0).normal(size=n)

    def square(*shape):
        design = whiten @ np.column_stack([X, *shape])
        target = whiten @ z
        return float(np.sum((target - design @ np.linalg.lstsq(design, target)[0]) ** 2))

    residual = model.projection @ z
    assert z @ residual == pytest.approx(square())
    for place in (0, 17, shapes.low.size - 1):
        level = np.zeros(n)
        level[shapes.low[place] : shapes.high[place]] = 1
        gain = (level @ residual) ** 2 / model.squares[place]
        assert gain == pytest.approx(square() - square(level))
    jump = np.where(time >= 12, np.exp(-(time - 12.0) / module._DECAYS[1]), 0)
    place = shapes.jumps.size + int(np.flatnonzero(shapes.jumps == 12)[0])
    gain = (z @ model.jumps[:, place]) ** 2 / model.squares[shapes.low.size + place]
    assert gain == pytest.approx(square() - square(jump))


def test_p_is_of_the_seed_alone():
    counts = with_wave("variance 5 times the mean", 42, 5, start=25, times=2, decay=5)
    assert find_wave(counts, seed=3) == find_wave(counts, seed=3)
    by_seed = {find_wave(counts, seed=seed).p_value for seed in range(4)}
    assert len(by_seed) > 1
    assert max(by_seed) - min(by_seed) < 0.1


@pytest.mark.parametrize("bad", [np.ones(MIN_PERIODS - 1), -np.ones(30), np.ones((20, 2))])
def test_bad_counts(bad):
    with pytest.raises(ValueError, match="give 16 or more in one row, none below 0"):
        find_wave(bad)


@pytest.mark.parametrize(
    ("column", "day"),
    [("posting_authors", "2025-01-13"), ("authors_registered_that_day", "2025-01-12")],
)
def test_the_refugees_of_january_2025(column, day):
    """They posted from the 13th on; 80 had registered on the 12th, 334 on the 13th."""
    if not DAILY.is_file():
        pytest.skip("the arrivals are not here: put rednote_arrivals/daily.csv beside the checkout")
    table = pl.read_csv(DAILY)
    found = find_wave(table[column])
    assert found.found
    assert table["date"][found.start] == day
    assert table["date"][found.end] in ("2025-01-15", "2025-01-16")
    assert found.p_value <= 0.005


# How long a log takes to begin


def test_a_log_that_begins_settles_when_few_old_users_are_left():
    launch = 1000 * np.exp(-np.arange(60) / 3)
    days = settled_after(launch + 10)
    assert 8 <= days <= 12
    assert launch[days : days + 7].mean() <= 10 < launch[days - 1 : days + 6].mean()


def test_a_log_that_never_settles_loses_a_quarter():
    assert settled_after(1000 / (1 + np.arange(60))) == 15
    assert settled_after(np.full(40, 7)) == 1
