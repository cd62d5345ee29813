"""Skewness of a mean's luck, and how much wider its interval must be on the side of the long tail.

A t interval supposes symmetric luck. Where one seed or one user in many carries most of the mean,
those who miss it see a mean and a variance that are both too small, and nearly all intervals that
miss the truth lie on the same side of it. Sources: Johnson (1978), "Modified t tests and confidence
intervals for asymmetrical populations", JASA 73; Hall (1992), "On the removal of skewness by
transformation", JRSS B 54.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Floats, Ints

_EVIDENCE, _NEED, _FEW = 1.17, 3.0, 15.0
_NODES = 8


def third_moment(effects: Floats, axis: int, n: Ints | int) -> Floats:
    """Estimated third cumulant of the mean of ``n`` independent values.

    It is Fisher's unbiased k-statistic divided by ``n`` squared.

    Args:
        effects: float, deviations from their mean; 0 where there is no value.
        axis: the axis of the values.
        n: int64, number of values along the axis, such as 8.

    Returns:
        Float array without that axis, in the unit of the values cubed; 0 with fewer than 3 values.

    >>> print(f"{third_moment(np.array([-1.0, -1.0, 2.0]), -1, 3):.3f}")
    1.000
    """
    count = np.asarray(n)
    free = np.maximum(count * (count - 1.0) * (count - 2.0), 1.0)
    return np.where(count > 2, (effects * effects * effects).sum(axis) / free, 0.0)


def widening(skewness: ArrayLike, df: ArrayLike) -> Floats:
    """Factor by which a t interval is made wider on the side of the long tail.

    The factor is ``1 + min(1.17 z**1.5, 3 skewness + 15 / df (1 - skewness))``. The second term is
    what a skewness of this size needs where it is known well; ``15 / df`` makes up for a variance
    from few seeds. The first term limits this by the evidence: z is the skewness divided by its
    standard error under Gaussian luck, and multiplied by ``1 - 2 / df**2``. For that standard
    error, the mean counts as one of ``df + 1`` values; its square is
    ``6 df / ((df - 1) (df + 2) (df + 4))``. The constants were chosen by simulation of skewed laws,
    so that the median interval of ``df + 1`` Gaussian values is at most 1.3 times as wide as the t
    interval.

    Args:
        skewness: skewness of the mean towards the side in question, up to 1, such as 0.4; 0 or less
            gives 1.
        df: degrees of freedom of the t interval, at least 1, such as 7.

    Returns:
        Float array, at least 1, of the shape to which the arguments broadcast.

    >>> [round(float(widening(skewness, 7)), 2) for skewness in (-0.5, 0.0, 0.1, 0.3, 0.8)]
    [1.0, 1.0, 1.25, 2.32, 3.83]
    """
    long_tail = np.maximum(np.asarray(skewness, dtype=np.float64), 0.0)
    free = np.asarray(df, dtype=np.float64)
    z = np.maximum(1 - 2 / free**2, 0.0) * long_tail / _standard_error(free)
    need = _NEED * long_tail + _FEW / free * (1 - long_tail)
    return np.asarray(1 + np.minimum(_EVIDENCE * z**1.5, need))


def widenings_by_chance(df: ArrayLike) -> Floats:
    """Factors by which :func:`widening` widens the longer side under Gaussian luck, each as likely.

    Few seeds look skewed by chance, so a test has less power than that of the t interval. The other
    side has the factor 1.

    Args:
        df: (...) float, degrees of freedom, at least 1, such as 7.

    Returns:
        Float array (..., 8), ascending, at least 1; the skewness is taken to be normal.

    >>> widenings_by_chance(7).round(2).tolist()
    [1.02, 1.13, 1.28, 1.48, 1.75, 2.12, 2.66, 3.57]
    """
    from scipy.special import ndtri

    free = np.asarray(df, dtype=np.float64)[..., None]
    z = ndtri(0.5 + (np.arange(_NODES) + 0.5) / (2 * _NODES))
    return widening(np.minimum(z * _standard_error(free), 1.0), free)


def _standard_error(df: Floats) -> Floats:
    """Standard error of the skewness of a mean of ``df + 1`` Gaussian values; inf for 1 df."""
    precision = np.maximum(df - 1, 0.0) * (df + 2) * (df + 4) / (6 * df)
    known = precision > 0
    return np.where(known, 1 / np.sqrt(np.where(known, precision, 1.0)), np.inf)
