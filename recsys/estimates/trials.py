"""Comparisons within a trial, and how many people or periods it takes to see an effect.

Intervals are Welch's: a t quantile with Satterthwaite's degrees of freedom, since a trial may have
a handful of periods alone. Source: Welch (1947), "The generalization of 'Student's' problem when
several different population variances are involved", Biometrika 34.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtr, ndtri, stdtrit

from recsys.estimates.told import Told
from recsys.statistics.arrays import Floats

_UNKNOWN = Told(float("nan")), float("nan")


def between_people(
    values: Floats, held: NDArray[np.bool_], shown: float = 1.0
) -> tuple[Told, float]:
    """What people who were reached have more than people who were held.

    Args:
        values: (n_people,) float, each person's mean; NaN where it is not known.
        held: bool (n_people,), who was kept away, by lot.
        shown: share of newcomers whose posts those reached were shown, such as 0.5. The effect of
            all is taken to be in proportion.

    Returns:
        The effect of all newcomers, and the variance between people that it rests on: the squared
        standard error for two groups of m people each is twice this variance over m.

    >>> told, _ = between_people(np.array([0.2, 0.4, 0.1, 0.1]), np.array([0, 0, 1, 1], dtype=bool))
    >>> round(told.value, 3)
    0.2
    """
    known = ~np.isnan(values)
    return _apart([(values[known & ~held] / shown, values[known & held] / shown)])


def between_periods(
    values: Floats, on: NDArray[np.bool_], part: NDArray[np.int64]
) -> tuple[Told, float]:
    """What periods that were on have more than periods that were off, in the same part of the day.

    Args:
        values: (n_periods,) float, mean of each period; NaN where nobody came.
        on: bool (n_periods,), whether newcomers' posts were shown.
        part: int (n_periods,), part of the day, such as 0 for the first half.

    Returns:
        The mean over parts of the difference, and the variance between periods, as in
        `between_people`.

    >>> values, on = np.array([0.3, 0.3, 0.1, 0.1]), np.array([True, True, False, False])
    >>> round(between_periods(values, on, np.zeros(4, dtype=int))[0].value, 3)
    0.2
    """
    known = ~np.isnan(values)
    parts = [known & (part == number) for number in np.unique(part[known])]
    return _apart([(values[here & on], values[here & ~on]) for here in parts])


def _apart(pairs: Sequence[tuple[Floats, Floats]]) -> tuple[Told, float]:
    """The mean over pairs of groups of how far their means are apart, and the mean variance."""
    if not pairs or min(group.size for pair in pairs for group in pair) < 2:
        return _UNKNOWN
    apart = float(np.mean([first.mean() - second.mean() for first, second in pairs]))
    groups = [group for pair in pairs for group in pair]
    variances = np.array([group.var(ddof=1) for group in groups])
    sizes = np.array([group.size for group in groups])
    squared = variances / sizes
    if not squared.any():
        return Told(apart, 0.0), 0.0
    df = float(squared.sum() ** 2 / (squared**2 / (sizes - 1)).sum())
    return Told(apart, math.sqrt(squared.sum()) / len(pairs), df), float(variances.mean())


def needed(variance: float, effect: float, power: float = 0.8, level: float = 0.05) -> float:
    """How many people, or periods, each of the two groups must have to see an effect.

    Args:
        variance: between people or periods, as the functions above return it.
        effect: the effect to see, in the same unit, such as 0.01; not 0.
        power: probability that a t test sees it, on the effect's own side.
        level: probability that an effect is seen where there is none, two-sided.

    Returns:
        The number, at least 2; NaN where the variance is not known.

    Raises:
        ValueError: the effect is 0.

    >>> needed(0.04, 0.02), needed(0.04, 0.3)
    (1571.0, 9.0)
    """
    if effect == 0:
        raise ValueError("the effect to see must not be 0")
    if math.isnan(variance):
        return math.nan
    if variance == 0:
        return 2.0
    z = float(ndtri(1 - level / 2) + ndtri(power))
    apart = abs(effect) / math.sqrt(variance)
    n = max(2, math.ceil(2 * (z / apart) ** 2))  # of a test with the normal quantile: too few
    while _power(n, apart, level) < power:
        n += 1
    return float(n)


def _power(n: int, apart: float, level: float) -> float:
    """Power of a t test of two groups of n whose means are so many standard deviations apart."""
    df = 2 * (n - 1)
    return float(1 - nctdtr(df, apart * math.sqrt(n / 2), stdtrit(df, 1 - level / 2)))
