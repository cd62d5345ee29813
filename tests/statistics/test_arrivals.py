"""A wave of arrivals: found where there is one, its absence said, dated as PELT and by hand."""

import builtins
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import ConfigError
from recsys.statistics import arrivals as module
from recsys.statistics.arrivals import MIN_PERIODS, find_wave, first_seen_by

DAILY = Path(__file__).parents[3] / "shared" / "data" / "rednote_arrivals" / "daily.csv"
N = 40


def counts(seed=0, n=N, mean=50.0, dispersion=1.0, wave=()):
    """Arrivals around a mean; `wave` is start, end and factor."""
    rng = np.random.default_rng(seed)
    level = np.full(n, mean)
    if wave:
        start, end, factor = wave
        level[start:end] *= factor
    if dispersion == 1:
        return rng.poisson(level)
    return rng.negative_binomial(level / (dispersion - 1), 1 / dispersion)


@pytest.fixture
def few_shuffles(monkeypatch):
    """Enough for p = .01."""
    monkeypatch.setattr(module, "SHUFFLES", 199)


@pytest.mark.parametrize(
    ("wave", "dispersion"),
    [((25, N, 2.0), 1.0), ((25, 31, 2.0), 1.0), ((12, 16, 4.0), 5.0), ((30, N, 3.0), 5.0)],
    ids=["stays", "goes", "over-dispersed, goes", "over-dispersed, stays"],
)
def test_a_wave_is_found_with_its_dates(wave, dispersion, few_shuffles):
    start, end, factor = wave
    for seed in range(5):
        found = find_wave(counts(seed, wave=wave, dispersion=dispersion))
        assert found.found, found
        assert abs(found.start - start) <= 1
        assert abs(found.end - end) <= 1
        assert found.during == pytest.approx(50 * factor, rel=0.35)
        assert found.before == pytest.approx(50, rel=0.35)
        assert found.gain > found.penalty
        assert found.p_value <= 0.01


@pytest.mark.parametrize("dispersion", [1.0, 5.0, 20.0])
def test_nothing_is_invented(dispersion, few_shuffles):
    """60 series in which nothing happens; at a rate of .01, 5 or more have probability 3e-4."""
    alarms = sum(find_wave(counts(seed, dispersion=dispersion)).found for seed in range(60))
    assert alarms <= 4


@pytest.mark.parametrize(
    ("level", "refusal"),
    [
        (np.linspace(50, 200, N), "straight line"),
        (20 + 400 * np.exp(-np.arange(N) / 4), "never rises"),
        (np.where(np.arange(N) < 20, 400, 500), "less than 1.5 times"),
        (np.full(N, 50.0), "never rises"),
    ],
    ids=["growth", "a log that begins", "a small rise", "even"],
)
def test_what_is_no_wave(level, refusal):
    found = find_wave(np.round(level))
    assert refusal in found.refusal
    assert not found.found


def test_one_period_that_stands_out_is_no_wave():
    """Wherever it stood it would stand out as much, so no order is evidence."""
    y = counts(3)
    y[20] = 400
    found = find_wave(y)
    assert not found.found


def test_slow_swings_are_told_from_waves_by_their_memory(few_shuffles, monkeypatch):
    """AR(1) in the logarithm, .8 from one period to the next: the second null halves the alarms."""

    def alarms():
        total = 0
        for seed in range(40):
            rng = np.random.default_rng(seed)
            x = np.zeros(N)
            for t in range(1, N):
                x[t] = 0.8 * x[t - 1] + 0.18 * rng.normal()
            total += find_wave(rng.poisson(50 * np.exp(x))).found
        return total

    with_memory = alarms()
    monkeypatch.setattr(module, "_correlation_of_neighbours", lambda z, start, end: 0.0)
    assert with_memory < alarms()


def test_gain_is_the_squared_error_that_ruptures_saves():
    from ruptures.costs import CostL2

    y = counts(1, wave=(15, 22, 3.0))
    z = 2 * np.sqrt(y + 0.375)
    cost = CostL2().fit(z.reshape(-1, 1))
    found = find_wave(y)
    edges = [0, found.start, found.end, N]
    saved = cost.error(0, N) - sum(cost.error(a, b) for a, b in pairwise(edges))
    assert found.gain * module._noise_variance(z) == pytest.approx(saved)


def test_most_is_that_of_all_windows_one_by_one():
    z = np.random.default_rng(0).normal(size=17)
    square = ((z - z.mean()) ** 2).sum()
    best = 0.0
    for start in range(2, 16):
        for end in [*range(start + 2, 16), 17]:
            parts = [part for part in (z[:start], z[start:end], z[end:]) if part.size]
            means = [part.mean() for part in parts]
            if means[1] <= means[0] or (len(parts) == 3 and means[1] <= means[2]):
                continue
            left = sum(((part - part.mean()) ** 2).sum() for part in parts)
            best = max(best, 1 - left / square)
    assert module._largest_gain(z, module._windows(17)) == pytest.approx(best)
    assert module._largest_gain(np.ones(17), module._windows(17)) == 0


def test_p_is_of_the_seed_alone():
    y = counts(5, wave=(20, 24, 2.5), dispersion=5.0)
    assert find_wave(y, seed=3) == find_wave(y, seed=3)
    z = 2 * np.sqrt(y + 0.375)
    by_seed = {module._p_value(z, 20, 24, seed) for seed in range(4)}
    assert len(by_seed) > 1
    assert max(by_seed) - min(by_seed) < 0.05


@pytest.mark.parametrize("bad", [np.ones(MIN_PERIODS - 1), -np.ones(30), np.ones((20, 2))])
def test_bad_counts(bad):
    with pytest.raises(ValueError, match="give 16 or more in one row, none below 0"):
        find_wave(bad)


def test_without_ruptures_it_says_so(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **named):
        if name == "ruptures":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match="auto needs the package ruptures"):
        find_wave(counts())


def test_evidence_in_words():
    found = find_wave(counts(0, wave=(25, N, 3.0)))
    for words in ("arrivals a period after", "penalised gain", "penalty 11.1", "p = 0.00"):
        assert words in found.evidence


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


# How long those who were there before remain unseen


def test_residual_lives_by_simulation():
    """Renewals of gamma gaps, watched from a moment far from their beginning."""
    rng = np.random.default_rng(2)
    gaps = rng.gamma(0.7, 10.0, size=(4000, 60))
    times = gaps.cumsum(1)
    wait = np.where(times > 200, times - 200, np.inf).min(1)
    assert first_seen_by(gaps.ravel(), 0.9) == pytest.approx(np.quantile(wait, 0.9), rel=0.08)


@pytest.mark.parametrize(("gaps", "days"), [([], 0.0), ([0.0, 0.0], 0.0), ([10.0], 9.0)])
def test_residual_lives_by_hand(gaps, days):
    assert first_seen_by(gaps) == pytest.approx(days)


def test_residual_lives_of_two_lengths():
    # E[(G - b)+] = ((10 - b) + (2 - b)) / 2 below 2, (10 - b) / 2 above; E[G] = 6; a tenth: .6
    assert first_seen_by([2.0, 10.0]) == pytest.approx(10 - 1.2)
    assert first_seen_by([2.0, 10.0], 0.1) == pytest.approx(0.6)
