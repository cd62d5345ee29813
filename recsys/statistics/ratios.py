"""Shares net of a floor, and ratios of two means.

`net_values` takes the floor out of a share of slots. `ratio_interval` gives Fieller's interval of a
ratio (Fieller 1954, "Some problems in interval estimation", JRSS B 16).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Floats
from recsys.statistics.intervals import Interval, two_way_interval

_DOUBLINGS = 60
"""How often the distance from a ratio is doubled in the search for an end of its interval."""


def net_values(changed: ArrayLike, floor: ArrayLike) -> Floats:
    """Values whose mean is the share of slots that changed, net of the floor.

    Some slots would have changed anyway, and a slot cannot change twice. With c the mean of
    `changed` in a seed and n the mean of `floor`, (c - n) of the (1 - n) slots that would have
    stayed did change: net = (c - n)/(1 - n). This is right if chance hits all slots alike.

    The mean over users of what is returned is net, exactly, in every seed. The users' values are
    net's linear approximation (delta method) around it, so that an interval of their mean is one
    of net: net + ((changed - c) - (1 - net)(floor - n))/(1 - n).

    Args:
        changed: (..., users, seeds) float in [0, 1], share of slots that changed; NaN where a
            user does not count in a seed.
        floor: the same share where nothing has happened, of the same shape.

    Returns:
        float64 (..., users, seeds); NaN for users who do not count, and in a seed where all slots
        change anyway.

    Raises:
        ValueError: the shapes differ; users and seeds are paired.

    Example:
        >>> changed, floor = [[0.5], [0.7]], [[0.1], [0.3]]
        >>> net_values(changed, floor).mean().round(4).item()  # (.6 - .2)/(1 - .2)
        0.5
    """
    c, n = np.asarray(changed, dtype=np.float64), np.asarray(floor, dtype=np.float64)
    if c.shape != n.shape:
        raise ValueError(f"changed and floor must have one shape, not {c.shape} and {n.shape}")
    mean_c, mean_n = _means(np.where(np.isnan(n), n, c)), _means(np.where(np.isnan(c), c, n))
    room = np.where(mean_n < 1, 1 - mean_n, np.nan)
    net = (mean_c - mean_n) / room
    return np.asarray(net + ((c - mean_c) - (1 - net) * (n - mean_n)) / room)


def _means(values: Floats) -> Floats:
    """Means over the users who count, (..., 1, seeds); NaN where nobody does."""
    counts = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        total = np.where(counts, values, 0).sum(axis=-2, keepdims=True)
        return np.asarray(total / counts.sum(axis=-2, keepdims=True))


class Ratio(NamedTuple):
    """A ratio of two means with the ends of its interval; all are NaN if it is not estimable."""

    value: float
    low: float
    high: float


def ratio_interval(
    numerator: ArrayLike,
    denominator: ArrayLike,
    estimate: Callable[..., Interval] = two_way_interval,
    level: float = 0.95,
) -> Ratio:
    """Ratio of two means over the same users and seeds, with Fieller's interval.

    The interval holds every ratio r for which the interval of ``numerator - r·denominator`` covers
    0. It is finite only if the denominator's own interval leaves out 0. If it does not, the ratio
    may be anything, and it is not estimable.

    Args:
        numerator: (users, seeds) float, any unit.
        denominator: of the same shape and unit.
        estimate: gives the interval of a mean, such as `nested_interval`.
        level: coverage, in (0, 1), such as 0.95.

    Returns:
        The ratio and its ends. All are NaN if the denominator's interval covers 0, or if there is
        none, as with one seed.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> few = np.array([[1.0, 1.2, 1.1], [0.9, 1.3, 1.1]])
        >>> found = ratio_interval(2 * few + [0.1, -0.1, 0.0], few)
        >>> print(f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]")
        2.00 [1.83, 2.34]
        >>> ratio_interval(few, few - 1.1).value
        nan
    """
    up, down = (np.asarray(y, dtype=np.float64) for y in (numerator, denominator))
    if up.shape != down.shape:
        raise ValueError(f"users and seeds are paired: shapes {up.shape} and {down.shape}")
    below = estimate(down, level)
    if not (below.low > 0 or below.high < 0):
        return Ratio(np.nan, np.nan, np.nan)
    ratio = float(estimate(up, level).mean / below.mean)

    def distance(r: float) -> float:
        """How far 0 is outside the interval of the difference; below 0 inside."""
        interval = estimate(up - r * down, level)
        return float(max(interval.low, -interval.high))

    return Ratio(ratio, _end(distance, ratio, -1), _end(distance, ratio, 1))


def _end(distance: Callable[[float], float], ratio: float, sign: int) -> float:
    """The place at which a distance crosses 0, below the ratio (sign -1) or above it (1)."""
    from scipy.optimize import brentq

    if not distance(ratio) < 0:
        return ratio
    inside, step = ratio, 0.01 * (1 + abs(ratio))
    for _ in range(_DOUBLINGS):
        outside = ratio + sign * step
        if distance(outside) > 0:
            return float(brentq(distance, inside, outside, xtol=1e-9, rtol=1e-9))
        inside, step = outside, 2 * step
    return sign * np.inf
