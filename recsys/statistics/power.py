"""What a study of this size could have seen, and how many seeds a claim takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Counts, Floats
from recsys.statistics.intervals import (
    Interval,
    _check_level,
    _interval_of,
    _mean_squares,
    _MeanSquares,
    _users_by_seeds,
    _variance_of_mean,
)

PLANNING_CONFIDENCE = 0.8
"""Plans take the seeds' luck to be this upper confidence bound of what was seen of it: of few
seeds it is known too badly to be taken for the truth."""


def planning_interval(
    y: ArrayLike, level: float = 0.95, confidence: float = PLANNING_CONFIDENCE
) -> Interval:
    """As :func:`two_way_interval`, with luck of seeds as large as it may well be: for planning.

    The seeds' mean square is replaced by its upper confidence bound, ``MS_s (S - 1) /
    chi2(1 - confidence, S - 1)``: 16 times the estimate with 2 seeds, 4.5 with 3, 1.8 with 8. An
    effect that is planned with the estimate itself has, on average over pilots, a power of .56 to
    .74 instead of .8 with 2 or 3 seeds, and .8 or more in a third of them; planned with the bound,
    in about the share ``confidence``, and .87 on average. What users differ by is no bound but an
    estimate: where 60 of them differ more than many seeds do, the share is .6, with a mean of .8.

    Args:
        y: (..., users, seeds) float, any unit, as for :func:`two_way_interval`.
        level: coverage of the interval, in (0, 1), before the bound widens it.
        confidence: of the bound, in (0, 1).

    Returns:
        Interval of shape (...), for :func:`minimum_detectable_effect`; not for tests.

    Raises:
        ValueError: as :func:`two_way_interval`, or if ``confidence`` is not in (0, 1).

    Example:
        >>> from recsys.statistics import two_way_interval
        >>> y = [[0.1, 0.2, 0.3], [0.2, 0.2, 0.5], [0.0, 0.1, 0.4], [0.3, 0.5, 0.4]]
        >>> bound = planning_interval(y)
        >>> print(f"{bound.variance:.4f} instead of {two_way_interval(y).variance:.4f}")
        0.0256 instead of 0.0072
    """
    values = _users_by_seeds(y)
    return _interval_of(
        _bounded(_mean_squares(values), values.shape[-1], confidence), values, level
    )


def minimum_detectable_effect(
    interval: Interval, power: float = 0.8, level: float = 0.95
) -> Floats:
    """The smallest true mean that a study like this one would tell from 0 with the given power.

    An interval that covers 0 says little unless one knows what it could have found. The two-sided
    t test at ``1 - level`` has this power where its noncentrality is delta: the effect is ``delta
    * sqrt(variance)``. Exact in the noncentral t (not the sum of two quantiles, which is 14 % too
    small at two seeds); the chance of a rejection on the wrong side is left out, below 1e-3 for a
    power of at least .5. The interval's variance is taken for the truth, which an estimate from few
    seeds is not: give the interval of :func:`planning_interval` to be on the safe side of it.

    Args:
        interval: of :func:`planning_interval`, :func:`two_way_interval` or
            :func:`nested_interval`.
        power: probability of rejection, in (1 - level, 1).
        level: coverage of the interval that the test belongs to.

    Returns:
        Float array of ``interval``'s shape and unit, >= 0; NaN where there is no variance
        estimate.

    Raises:
        ValueError: if ``power`` or ``level`` is out of its range.

    Example:
        >>> from recsys.statistics import two_way_interval
        >>> y = [[0.1, 0.2, 0.3], [0.2, 0.2, 0.5], [0.0, 0.1, 0.4], [0.3, 0.5, 0.4]]
        >>> round(float(minimum_detectable_effect(two_way_interval(y))), 3)
        0.354
        >>> round(float(minimum_detectable_effect(planning_interval(y))), 3)
        0.8
    """
    _check_power(power, level)
    from scipy.special import nctdtrinc, stdtrit

    critical = stdtrit(interval.df, 0.5 + level / 2)
    noncentrality = nctdtrinc(interval.df, 1 - power, critical)
    return np.asarray(noncentrality * np.sqrt(interval.variance), dtype=np.float64)


def seeds_needed(
    y: ArrayLike,
    effect: ArrayLike,
    power: float = 0.8,
    level: float = 0.95,
    max_seeds: int = 200,
    confidence: float = PLANNING_CONFIDENCE,
) -> Floats:
    """Seeds that it would take to tell a mean of ``effect`` from 0 with these same users.

    Variance components are read off ``y``, the seeds' as its bound as in :func:`planning_interval`,
    and the variance of the mean is worked out again for 2, 3, ... seeds. More seeds cannot shrink
    what differs between users, so some effects are out of reach. A pilot of fewer than
    `MIN_SEEDS_FOR_CLAIMS` seeds knows too little of their luck to plan with.

    Args:
        y: (..., users, seeds) float, a pilot, as for :func:`two_way_interval`.
        effect: float, broadcast against the leading axes, in the unit of ``y``; its sign does not
            matter.
        power: probability of rejection, in (1 - level, 1).
        level: coverage of the interval that the test belongs to.
        max_seeds: the largest number to consider, at least 2.
        confidence: that the seeds' luck is no larger than planned for, in (0, 1).

    Returns:
        Float array (...): whole numbers from 2 up; ``inf`` where even ``max_seeds`` are too few
        (so that ``seeds_needed(...) <= budget`` is false); NaN where the pilot has a single user
        or seed.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> y = [[0.1, 0.2, 0.3], [0.2, 0.2, 0.5], [0.0, 0.1, 0.4], [0.3, 0.5, 0.4]]
        >>> float(seeds_needed(y, 0.25)), float(seeds_needed(y, 0.01))
        (15.0, inf)
    """
    _check_power(power, level)
    if max_seeds < 2:
        raise ValueError(f"max_seeds must be at least 2, not {max_seeds}")
    values = _users_by_seeds(y)
    n_seeds = values.shape[-1]
    squares = _bounded(_mean_squares(values), n_seeds, confidence)
    choices = np.arange(2, max_seeds + 1)
    planned = _planned_squares(squares, n_seeds, choices)
    variance, df = _variance_of_mean(planned, choices)
    sizes = np.asarray(effect, dtype=np.float64)[..., None]
    enough = _power(sizes, variance, df, level) >= power
    first = np.where(enough.any(-1), choices[enough.argmax(-1)], np.inf)
    return np.where((squares.n_users >= 2) & (n_seeds >= 2), first, np.nan)


def _check_power(power: float, level: float) -> None:
    _check_level(level)
    if not 1 - level < power < 1:
        raise ValueError(f"power must lie in (1 - level, 1) = ({1 - level:g}, 1), not {power}")


def _bounded(squares: _MeanSquares, n_seeds: int, confidence: float) -> _MeanSquares:
    """With the upper confidence bound of the seeds' mean square in its place."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is a probability in (0, 1), not {confidence}")
    from scipy.special import chdtri

    free = max(n_seeds - 1, 1)
    return squares._replace(seeds=np.asarray(squares.seeds * free / chdtri(free, confidence)))


def _planned_squares(squares: _MeanSquares, n_seeds: int, choices: Counts) -> _MeanSquares:
    """Expected mean squares (..., choices) if the pilot's variance components are the truth."""
    residual = np.asarray(squares.residual)[..., None]
    of_users = np.maximum(np.asarray(squares.users)[..., None] - residual, 0.0) / n_seeds
    return _MeanSquares(
        mean=np.asarray(squares.mean)[..., None],
        users=np.asarray(choices * of_users + residual, dtype=np.float64),
        seeds=np.maximum(np.asarray(squares.seeds)[..., None], residual),
        residual=residual,
        n_users=np.asarray(squares.n_users)[..., None],
    )


def _power(effect: Floats, variance: Floats, df: Floats, level: float) -> Floats:
    """Probability that the two-sided t test rejects on the side of the effect."""
    from scipy.special import nctdtr, stdtrit

    certain = variance <= 0
    noncentrality = np.abs(effect) / np.sqrt(np.where(certain, 1.0, variance))
    rejects = 1 - nctdtr(df, noncentrality, stdtrit(df, 0.5 + level / 2))
    return np.where(certain, np.where(effect == 0, 0.0, 1.0), rejects)
