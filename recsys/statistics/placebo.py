"""P-values and bands from placebo groups, and the correction for groups that overlap.

A placebo group is a group of incumbents who are removed from a log in place of the newcomers; see
`recsys.statistics.matching`.
"""

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Floats


def permutation_p(observed: ArrayLike, placebo: ArrayLike) -> Floats:
    """P-value: the share of groups whose removal changes feeds at least as much as the newcomers'.

    ``p = (1 + #{placebo >= observed}) / (draws + 1)``, one-sided. The newcomers count as one of the
    groups, so p is never 0. Ties count against the claim.

    Args:
        observed: (...) float, drift when the newcomers are removed.
        placebo: (..., draws) float, drift when each placebo group is removed.

    Returns:
        Float array (...), in [1/(draws + 1), 1].

    Raises:
        ValueError: the leading shapes differ, there are no draws, or a value is NaN.

    Example:
        >>> float(permutation_p(0.5, [0.1, 0.2, 0.5, 0.3]))
        0.4
    """
    values, draws = np.asarray(observed, dtype=np.float64), _checked_draws(placebo)
    if values.shape != draws.shape[:-1]:
        raise ValueError(f"observed has shape {values.shape}, placebo {draws.shape[:-1]} × draws")
    if np.isnan(values).any():
        raise ValueError(f"{np.isnan(values).sum()} of {values.size} observed values are NaN")
    at_least = (draws >= values[..., None]).sum(-1)
    return np.asarray((1 + at_least) / (draws.shape[-1] + 1), dtype=np.float64)


def smallest_p(draws: int) -> float:
    """The smallest p-value that a number of draws can give.

    Args:
        draws: number of placebo groups, at least 1, such as 199.

    Returns:
        1 / (draws + 1).

    Raises:
        ValueError: ``draws`` is below 1.

    Example:
        >>> smallest_p(199), round(smallest_p(20), 3)
        (0.005, 0.048)
    """
    if draws < 1:
        raise ValueError(f"at least one draw is needed, not {draws}")
    return 1 / (draws + 1)


def widened(placebo: ArrayLike, pool_fraction: float) -> Floats:
    """Placebo draws, stretched about their mean to the spread that separate groups would have.

    Groups that each take a share f of one pool overlap, and so differ too little from each other.
    The variance of a draw about the mean of the pool is (1 - f)/(1 + f) of the variance that the
    newcomers would have if they were a group like any other. So deviations from the mean are
    multiplied by sqrt((1 + f)/(1 - f)) (finite population; Cochran 1977, ch. 2).

    Args:
        placebo: (..., draws) float.
        pool_fraction: f, in [0, 1), such as `Matching.crowding`.

    Returns:
        Float array (..., draws) with the same means.

    Raises:
        ValueError: f is out of range, or a draw is NaN.

    Example:
        >>> widened([1.0, 2.0, 3.0], pool_fraction=0.6).tolist()
        [0.0, 2.0, 4.0]
    """
    draws = _checked_draws(placebo)
    centre = draws.mean(-1, keepdims=True)
    return np.asarray(centre + (draws - centre) * spread_ratio(pool_fraction))


def spread_ratio(pool_fraction: float) -> float:
    """sqrt((1 + f)/(1 - f)), the factor of `widened`.

    Args:
        pool_fraction: f, in [0, 1), such as 0.1.

    Raises:
        ValueError: f is not in [0, 1).

    Example:
        >>> round(spread_ratio(0.6), 3)
        2.0
    """
    if not 0 <= pool_fraction < 1:
        raise ValueError(f"pool_fraction {pool_fraction} is not in [0, 1)")
    return sqrt((1 + pool_fraction) / (1 - pool_fraction))


def placebo_band(placebo: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """The range in which drift lies when an ordinary group of the same volume is removed.

    The ends are the order statistics at (draws + 1)(1 - level)/2 from either end, so that one more
    placebo group lies inside with probability ``level`` (Hyndman & Fan 1996, definition 6). With
    too few draws for that, the band runs from the smallest draw to the largest, and `band_level`
    gives the probability.

    Args:
        placebo: (..., draws) float.
        level: probability that one more draw lies inside, in (0, 1), such as 0.95.

    Returns:
        (low, high), float arrays (...), linear between order statistics.

    Raises:
        ValueError: there are no draws, a draw is NaN, or ``level`` is not in (0, 1).

    Example:
        >>> low, high = placebo_band(np.arange(1, 200))
        >>> round(float(low), 3), round(float(high), 3)
        (5.0, 195.0)
    """
    _check_level(level)
    tail = (1 - level) / 2
    low, high = np.quantile(_checked_draws(placebo), [tail, 1 - tail], axis=-1, method="weibull")
    return np.asarray(low), np.asarray(high)


def band_level(draws: int, level: float = 0.95) -> float:
    """Probability that one more draw lies in `placebo_band`: ``level``, or less with few draws.

    Args:
        draws: number of placebo groups, at least 1; 39 are enough for 95 %.
        level: level of the `placebo_band`, in (0, 1), such as 0.95.

    Returns:
        The probability, at most (draws - 1) / (draws + 1).

    Raises:
        ValueError: ``draws`` is below 1 or ``level`` is not in (0, 1).

    Example:
        >>> band_level(199), band_level(39), round(band_level(20), 3)
        (0.95, 0.95, 0.905)
    """
    _check_level(level)
    if draws < 1:
        raise ValueError(f"at least one draw is needed, not {draws}")
    return min(level, (draws - 1) / (draws + 1))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is the share of draws inside the band, in (0, 1), not {level}")


def false_alarm_rate(pool_fraction: float, level: float = 0.05) -> float:
    """Probability of p <= level, without `widened`, if newcomers are in truth like incumbents.

    It is computed for a drift that is a sum over the users of a group. The variance of a draw about
    the mean of the pool is ``(1 - f)/(1 + f)`` of the newcomers', so the probability is Phi(-z
    sqrt((1 - f)/(1 + f))) (normal approximation for many draws, with the same f in all strata;
    Cochran 1977, ch. 2). Where f differs between strata the true rate is higher: in simulations
    11 % instead of 9 %, and 20 % instead of 17 %.

    Args:
        pool_fraction: f, in [0, 1], such as 0.1.
        level: level of the test, in (0, .5), such as 0.05.

    Returns:
        A probability of at least ``level``; one half at f = 1.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> [round(false_alarm_rate(f), 3) for f in (0.0, 0.02, 0.1, 0.5, 1.0)]
        [0.05, 0.053, 0.068, 0.171, 0.5]
    """
    if not (0 <= pool_fraction <= 1 and 0 < level < 0.5):
        raise ValueError(f"pool_fraction {pool_fraction} or level {level} is out of range")
    normal = NormalDist()
    return normal.cdf(normal.inv_cdf(level) * sqrt((1 - pool_fraction) / (1 + pool_fraction)))


def _checked_draws(placebo: ArrayLike) -> Floats:
    """Placebo values as float64 (..., draws), checked."""
    draws = np.asarray(placebo, dtype=np.float64)
    if draws.ndim == 0 or draws.shape[-1] == 0:
        raise ValueError(f"placebo must have axes (..., draws) with a draw; got {draws.shape}")
    if np.isnan(draws).any():
        raise ValueError(
            f"{np.isnan(draws).sum()} of {draws.size} placebo values are NaN; a draw that failed "
            "must be run again, not left out"
        )
    return draws
