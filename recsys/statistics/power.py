"""Power: the smallest effect that a study can detect, and the seeds that an effect needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Floats, Ints
from recsys.statistics.intervals import (
    Interval,
    _check_level,
    _interval_of,
    _mean_squares,
    _MeanSquares,
    _users_by_seeds,
    _variance_of_mean,
)
from recsys.statistics.skewness import widenings_by_chance

PLANNING_CONFIDENCE = 0.8
"""Confidence of the upper bound of the variance between seeds that plans use. A variance from few
seeds is too uncertain to plan with the estimate itself."""
_HALVINGS = 30


def planning_interval(
    y: ArrayLike, level: float = 0.95, confidence: float = PLANNING_CONFIDENCE
) -> Interval:
    """The interval of :func:`two_way_interval` with an upper bound of the variance between seeds.

    Use it for planning, not for tests. The mean square of seeds is replaced by its upper confidence
    bound, ``MS_s (S - 1) / chi2(1 - confidence, S - 1)``. This is 16 times the estimate with 2
    seeds, 4.5 times with 3 and 1.8 times with 8.

    Simulated pilots show why. An effect that is planned for a power of .8 with the estimate from 2
    or 3 seeds has a mean power of .56 to .74, and at least .8 in a third of the pilots. Planned
    with the bound it has a mean power of .87, and at least .8 in about the share ``confidence`` of
    the pilots. The variance between users is not bounded. Where 60 users vary more than many seeds
    do, that share is .6 and the mean power is .8.

    Args:
        y: (..., users, seeds) float, any unit, as for :func:`two_way_interval`.
        level: coverage of the interval before the bound widens it, in (0, 1), such as 0.95.
        confidence: confidence of the bound, in (0, 1), such as 0.8.

    Returns:
        Interval of shape (...), for :func:`minimum_detectable_effect`.

    Raises:
        ValueError: as :func:`two_way_interval`, or ``confidence`` is not in (0, 1).

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
    """The smallest true mean that such a study would tell from 0 with the given power.

    Where an interval covers 0, this says how large an effect the study could have missed. The
    two-sided test at ``1 - level`` has the given power if its noncentrality is some delta, and the
    effect is ``delta * sqrt(variance)``. The noncentral t distribution is used exactly; the usual
    sum of two quantiles is 14 % too small with two seeds. Luck is taken to be Gaussian, and what
    chance adds to the interval for skewness, :func:`~recsys.statistics.skewness.widening`, is
    averaged over. Rejections on the wrong side are ignored; their probability is below 1e-3 for a
    power of at least .5. The variance of the interval is treated as the true one. An estimate from
    few seeds is too uncertain for that, so pass the interval of :func:`planning_interval`.

    Args:
        interval: interval from :func:`planning_interval`, :func:`two_way_interval` or
            :func:`nested_interval`.
        power: probability of rejection, in (1 - level, 1), such as 0.8.
        level: coverage of the interval that the test belongs to, such as 0.95.

    Returns:
        Float array with the shape and unit of ``interval.mean``, >= 0; NaN where there is no
        variance estimate.

    Raises:
        ValueError: ``power`` or ``level`` is out of its range.

    Example:
        >>> from recsys.statistics import two_way_interval
        >>> y = [[0.1, 0.2, 0.3], [0.2, 0.2, 0.5], [0.0, 0.1, 0.4], [0.3, 0.5, 0.4]]
        >>> round(float(minimum_detectable_effect(two_way_interval(y))), 3)
        0.458
        >>> round(float(minimum_detectable_effect(planning_interval(y))), 3)
        0.96
    """
    _check_power(power, level)
    from scipy.special import nctdtrinc, stdtrit

    df, known = interval.df, ~np.isnan(interval.df)
    critical = stdtrit(df, 0.5 + level / 2)
    # The power of a test without any widening is too large, that of the widest one too small.
    most = np.where(known, widenings_by_chance(df)[..., -1], 1.0)
    low, high = (nctdtrinc(df, 1 - power, critical * factor) for factor in (1.0, most))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = _rejects(middle, df, level) >= power
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high * np.sqrt(interval.variance), dtype=np.float64)


def seeds_needed(
    y: ArrayLike,
    effect: ArrayLike,
    power: float = 0.8,
    level: float = 0.95,
    max_seeds: int = 200,
    confidence: float = PLANNING_CONFIDENCE,
) -> Floats:
    """Number of seeds needed to tell a mean of ``effect`` from 0 with the same users.

    Variance components are estimated from a pilot, that between seeds by its bound as in
    :func:`planning_interval`. The variance of the mean is then computed for 2, 3, ... seeds. More
    seeds do not reduce the variance between users, so some effects cannot be reached. A pilot of
    fewer than `MIN_SEEDS_FOR_CLAIMS` seeds says too little about the variance between seeds.

    Args:
        y: (..., users, seeds) float, the pilot, as for :func:`two_way_interval`.
        effect: float in the unit of ``y``, such as 0.02, broadcast against the leading axes; its
            sign does not matter.
        power: probability of rejection, in (1 - level, 1), such as 0.8.
        level: coverage of the interval that the test belongs to, such as 0.95.
        max_seeds: largest number of seeds to consider, at least 2.
        confidence: confidence of the bound, in (0, 1), such as 0.8.

    Returns:
        Float array (...) of whole numbers from 2 up. It is ``inf`` where ``max_seeds`` are too few,
        so that ``seeds_needed(...) <= budget`` is false, and NaN where the pilot has a single user
        or seed.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> y = [[0.1, 0.2, 0.3], [0.2, 0.2, 0.5], [0.0, 0.1, 0.4], [0.3, 0.5, 0.4]]
        >>> float(seeds_needed(y, 0.25)), float(seeds_needed(y, 0.01))
        (73.0, inf)
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
    """The mean squares with that of seeds replaced by its upper confidence bound."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is a probability in (0, 1), not {confidence}")
    from scipy.special import chdtri

    df = max(n_seeds - 1, 1)
    return squares._replace(seeds=np.asarray(squares.seeds * df / chdtri(df, confidence)))


def _planned_squares(squares: _MeanSquares, n_seeds: int, choices: Ints) -> _MeanSquares:
    """Expected mean squares (..., choices) for each number of seeds, given those of the pilot."""
    residual = np.asarray(squares.residual)[..., None]
    of_users = np.maximum(np.asarray(squares.users)[..., None] - residual, 0.0) / n_seeds
    return _MeanSquares(
        mean=np.asarray(squares.mean)[..., None],
        users=np.asarray(choices * of_users + residual, dtype=np.float64),
        seeds=np.maximum(np.asarray(squares.seeds)[..., None], residual),
        residual=residual,
        third=np.zeros(()),
        n_users=np.asarray(squares.n_users)[..., None],
    )


def _power(effect: Floats, variance: Floats, df: Floats, level: float) -> Floats:
    """Probability that the two-sided test rejects on the side of the effect."""
    certain = variance <= 0
    noncentrality = np.abs(effect) / np.sqrt(np.where(certain, 1.0, variance))
    return np.where(certain, np.where(effect == 0, 0.0, 1.0), _rejects(noncentrality, df, level))


def _rejects(noncentrality: Floats, df: Floats, level: float) -> Floats:
    """Mean probability, over the widenings that Gaussian luck gives, that t is beyond the end."""
    from scipy.special import nctdtr, stdtrit

    critical = stdtrit(df, 0.5 + level / 2)
    longer = np.asarray(critical)[..., None] * widenings_by_chance(df)
    beyond_longer = 1 - nctdtr(
        np.asarray(df)[..., None], np.asarray(noncentrality)[..., None], longer
    )
    return np.asarray((1 - nctdtr(df, noncentrality, critical) + beyond_longer.mean(-1)) / 2)
