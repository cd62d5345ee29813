"""Comparisons within a trial, and how many people or periods it takes to see an effect."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from recsys.estimates.told import Told
from recsys.statistics.arrays import Floats


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
    groups = [values[known & ~held] / shown, values[known & held] / shown]
    if min(group.size for group in groups) < 2:
        return Told(float("nan")), float("nan")
    variances = [float(group.var(ddof=1)) for group in groups]
    se = math.sqrt(sum(v / group.size for v, group in zip(variances, groups, strict=True)))
    return Told(float(groups[0].mean() - groups[1].mean()), se), sum(variances) / 2


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
    differences, squared, variances = [], [], []
    for number in np.unique(part[known]):
        here = known & (part == number)
        groups = [values[here & on], values[here & ~on]]
        if min(group.size for group in groups) < 2:
            return Told(float("nan")), float("nan")
        spread = [float(group.var(ddof=1)) for group in groups]
        differences.append(groups[0].mean() - groups[1].mean())
        squared.append(sum(v / group.size for v, group in zip(spread, groups, strict=True)))
        variances.append(sum(spread) / 2)
    if not differences:
        return Told(float("nan")), float("nan")
    se = math.sqrt(sum(squared)) / len(differences)
    return Told(float(np.mean(differences)), se), float(np.mean(variances))


def needed(variance: float, effect: float, power: float = 0.8, level: float = 0.05) -> float:
    """How many people, or periods, each of the two groups must have to see an effect.

    Args:
        variance: between people or periods, as the functions above return it.
        effect: the effect to see, in the same unit, such as 0.01; not 0.
        power: probability that it is seen.
        level: probability that an effect is seen where there is none, two-sided.

    Returns:
        The number, at least 2; NaN where the variance is not known.

    Raises:
        ValueError: the effect is 0.

    >>> needed(0.04, 0.02)
    1570.0
    """
    if effect == 0:
        raise ValueError("the effect to see must not be 0")
    if math.isnan(variance):
        return math.nan
    z = float(norm.ppf(1 - level / 2) + norm.ppf(power))
    return float(max(2, math.ceil(2 * z**2 * variance / effect**2)))
