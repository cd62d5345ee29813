"""What placebo groups tell: p-values, bands, and how much wider these must be."""

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Floats


def permutation_p(observed: ArrayLike, placebo: ArrayLike) -> Floats:
    """How often a placebo group moves feeds at least as much as the newcomers did.

    ``p = (1 + #{placebo >= observed}) / (draws + 1)``, one-sided: the newcomers count as a draw, so
    p is never 0, and ties count against the claim.

    Args:
        observed: (...) float, drift without the newcomers.
        placebo: (..., draws) float, drift without each placebo group.

    Returns:
        Float array (...), in [1/(draws + 1), 1].

    Raises:
        ValueError: if the leading shapes differ, there are no draws, or a value is NaN.

    Example:
        >>> float(permutation_p(0.5, [0.1, 0.2, 0.5, 0.3]))
        0.4
    """
    values, draws = np.asarray(observed, dtype=np.float64), _draws(placebo)
    if values.shape != draws.shape[:-1]:
        raise ValueError(f"observed has shape {values.shape}, placebo {draws.shape[:-1]} × draws")
    if np.isnan(values).any():
        raise ValueError(f"{np.isnan(values).sum()} of {values.size} observed values are NaN")
    exceeding = (draws >= values[..., None]).sum(-1)
    return np.asarray((1 + exceeding) / (draws.shape[-1] + 1), dtype=np.float64)


def widened(placebo: ArrayLike, pool_fraction: float) -> Floats:
    """Draws from one pool, stretched about their mean to spread as independent groups would.

    Groups that each take a share f of one pool overlap. About the pool's mean a draw's variance is
    (1 - f)/(1 + f) of what the newcomers' would be if they were a group like any other, so
    deviations are multiplied by sqrt((1 + f)/(1 - f)) (finite population; Cochran 1977, ch. 2).

    Args:
        placebo: (..., draws) float.
        pool_fraction: f, in [0, 1), such as `Matching.crowding`.

    Returns:
        Float array (..., draws) with the same means.

    Raises:
        ValueError: if f is out of range, or a draw is NaN.

    Example:
        >>> widened([1.0, 2.0, 3.0], pool_fraction=0.6).tolist()
        [0.0, 2.0, 4.0]
    """
    draws = _draws(placebo)
    centre = draws.mean(-1, keepdims=True)
    return np.asarray(centre + (draws - centre) * spread_ratio(pool_fraction))


def spread_ratio(pool_fraction: float) -> float:
    """sqrt((1 + f)/(1 - f)): see `widened`.

    Raises:
        ValueError: if f is not in [0, 1).

    Example:
        >>> round(spread_ratio(0.6), 3)
        2.0
    """
    if not 0 <= pool_fraction < 1:
        raise ValueError(f"pool_fraction {pool_fraction} is not in [0, 1)")
    return sqrt((1 + pool_fraction) / (1 - pool_fraction))


def placebo_band(placebo: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """The range of drift that removing any group of that volume gives: what is nothing special.

    Order statistics at (draws + 1)(1 - level)/2 from either end, so that one more group like these
    lies inside with chance ``level`` (Hyndman & Fan 1996, definition 6). Few draws reach less far:
    the band then runs from the least to the largest, and `band_level` says what it covers.

    Args:
        placebo: (..., draws) float.
        level: chance that one more draw lies inside, in (0, 1).

    Returns:
        (low, high), float arrays (...), linear between order statistics.

    Raises:
        ValueError: if there are no draws, a draw is NaN, or ``level`` is not in (0, 1).

    Example:
        >>> low, high = placebo_band(np.arange(1, 200))
        >>> round(float(low), 3), round(float(high), 3)
        (5.0, 195.0)
    """
    _check_level(level)
    tail = (1 - level) / 2
    low, high = np.quantile(_draws(placebo), [tail, 1 - tail], axis=-1, method="weibull")
    return np.asarray(low), np.asarray(high)


def band_level(draws: int, level: float = 0.95) -> float:
    """What `placebo_band` covers: ``level``, or less where the draws are too few to reach it.

    Args:
        draws: number of placebo groups, at least 1; 39 are enough for 95 %.
        level: as asked of `placebo_band`.

    Returns:
        Chance that one more draw lies inside: at most (draws - 1) / (draws + 1).

    Raises:
        ValueError: if ``draws`` is below 1 or ``level`` is not in (0, 1).

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
    """How often p <= level where newcomers are in truth like anybody, for a crowded pool.

    For a sum over a group's users, with f of the pool in each draw: a draw's variance about the
    pool is ``(1 - f)/(1 + f)`` of the newcomers', so the rate is Phi(-z sqrt((1 - f)/(1 + f)))
    (normal approximation, many draws, f alike in all strata; Cochran 1977, ch. 2). Where f differs
    between strata the true rate is higher: in simulation 11 % for 9 %, 20 % for 17 %.

    Args:
        pool_fraction: f, in [0, 1].
        level: of the test, in (0, .5).

    Returns:
        A probability, at least ``level``; one half at f = 1.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> [round(false_alarm_rate(f), 3) for f in (0.0, 0.02, 0.1, 0.5, 1.0)]
        [0.05, 0.053, 0.068, 0.171, 0.5]
    """
    if not (0 <= pool_fraction <= 1 and 0 < level < 0.5):
        raise ValueError(f"pool_fraction {pool_fraction} or level {level} is out of range")
    normal = NormalDist()
    return normal.cdf(normal.inv_cdf(level) * sqrt((1 - pool_fraction) / (1 + pool_fraction)))


def _draws(placebo: ArrayLike) -> Floats:
    draws = np.asarray(placebo, dtype=np.float64)
    if draws.ndim == 0 or draws.shape[-1] == 0:
        raise ValueError(f"placebo must have axes (..., draws) with a draw; got {draws.shape}")
    if np.isnan(draws).any():
        raise ValueError(
            f"{np.isnan(draws).sum()} of {draws.size} placebo values are NaN; a draw that failed "
            "must be run again, not left out"
        )
    return draws
