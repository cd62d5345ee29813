"""Counts of users first seen on each day of a log: in which nothing happens, and with a wave.

As a program it prints how often `find_wave` announces a wave:

    python -m tests.kit.arrival_series DAYS REPETITIONS
"""

import sys

import numpy as np

from recsys.statistics import arrivals

MEAN = 50.0


def _swing(period, size):
    return lambda t, rng: size * np.sin(2 * np.pi * (t / period + rng.random()))


def _memory(correlation, spread):
    def log_rate(t, rng):
        x = rng.normal(size=t.size) * spread
        for now in range(1, t.size):
            x[now] = correlation * x[now - 1] + np.sqrt(1 - correlation**2) * x[now]
        return x

    return log_rate


LOG_RATES = {
    "flat": lambda t, rng: 0 * t,
    "weekdays, 50 % up and down": lambda t, rng: np.log(
        1 + 0.5 * np.sin(2 * np.pi * (t / 7 + rng.random()))
    ),
    "growth to 3 times": lambda t, rng: np.log(1 + 2 * t / t.size),
    "growth to 8 times, exponential": lambda t, rng: np.log(8) * t / t.size,
    "sine of 20 days, ± 30 %": _swing(20, 0.3),
    "sine of 30 days, ± 50 %": _swing(30, 0.5),
    "sine of 60 days, ± 50 %": _swing(60, 0.5),
    "sine of 60 days, × or / 2.7": _swing(60, 1.0),
    "sine of 90 days, × or / 2.7": _swing(90, 1.0),
    "log-AR(1) .5, spread 30 %": _memory(0.5, 0.3),
    "log-AR(1) .8, spread 30 %": _memory(0.8, 0.3),
    "log-AR(1) .9, spread 50 %": _memory(0.9, 0.5),
    "launch, decay of 5 days": lambda t, rng: np.log(1 + 20 * np.exp(-t / 5)),
    "launch, slow (1 + day/5)^-2": lambda t, rng: np.log(1 + 20 * (1 + t / 5) ** -2.0),
}
"""Logarithm of the rate over its mean, by what happens: nothing that is a wave."""
DISPERSED = {"variance 5 times the mean": 5.0, "variance 20 times the mean": 20.0}


def quiet(what, days, seed, mean=MEAN):
    """Counts (days,) in which nothing happens.

    Args:
        what: of `LOG_RATES` or `DISPERSED`.
        days: length.
        seed: of numpy's generator.
        mean: arrivals a day.
    """
    rng = np.random.default_rng(seed)
    if what in DISPERSED:
        ratio = DISPERSED[what]
        return rng.negative_binomial(mean / (ratio - 1), 1 / ratio, days)
    return rng.poisson(mean * np.exp(LOG_RATES[what](np.arange(days), rng)))


def with_wave(what, days, seed, *, start, times, decay, mean=MEAN):
    """The same with a wave from day `start` on: `times` the usual, the excess falling by e^-1 in
    `decay` days."""
    rng = np.random.default_rng(10_000 + seed)
    after = np.arange(days) - start
    excess = np.where(after >= 0, (times - 1) * mean * np.exp(-np.maximum(after, 0) / decay), 0)
    return quiet(what, days, seed, mean) + rng.poisson(excess)


def announced(counts):
    """The wave that is announced, or None."""
    used = arrivals.settled_after(counts)
    wave = arrivals.find_wave(counts[used:])
    return (wave.start + used, wave.end + used) if wave.found else None


def main(days, repetitions):
    for what in (*LOG_RATES, *DISPERSED):
        alarms = sum(announced(quiet(what, days, seed)) is not None for seed in range(repetitions))
        _say(f"{days} days, {what}: {alarms / repetitions:.3f}")
    few = max(repetitions // 5, 1)
    for what in ("flat", "weekdays, 50 % up and down", "log-AR(1) .8, spread 30 %"):
        for mean, times, decay in (
            (50, 8, 2),
            (50, 8, 5),
            (5, 8, 5),
            (50, 3, 5),
            (50, 2, 1e9),
        ):
            start = int(0.6 * days)
            made = [
                announced(
                    with_wave(what, days, seed, start=start, times=times, decay=decay, mean=mean)
                )
                for seed in range(few)
            ]
            dated = [abs(wave[0] - start) <= 1 for wave in made if wave]
            _say(
                f"{days} days, {what}, mean {mean}: {times} times, decay {decay:g} days: "
                f"found {len(dated) / few:.2f}, dated {np.mean(dated) if dated else 0:.2f}"
            )


def _say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Of 499 series five give a p above .01, whatever the others do.
    arrivals._ENOUGH, arrivals._CHUNK = 5, 20
    main(int(sys.argv[1]), int(sys.argv[2]))
