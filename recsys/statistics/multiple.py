"""P-values adjusted for the number of measures: Holm; Westfall and Young."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.statistics.arrays import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Holm's adjusted p-values, for the measures that are not primary.

    If all tests with an adjusted value <= alpha are rejected, the probability of any false claim in
    the family is at most alpha, whatever the dependence between measures. Holm (1979), Scandinavian
    Journal of Statistics 6. statsmodels gives the same values, but it runs a garbage collection
    each time, which takes most of a second where much is in memory.

    Args:
        p_values: float array of any shape, all of one family. NaN, for a test that could not be
            made, stays NaN and is not counted.

    Returns:
        Float array of the same shape; each value is at least the given one and at most 1.

    Raises:
        ValueError: a value is outside [0, 1].

    Example:
        >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    adjusted = np.array(p_values, dtype=np.float64)
    made = ~np.isnan(adjusted)
    outside = adjusted[made & ~((adjusted >= 0) & (adjusted <= 1))]
    if outside.size:
        raise ValueError(f"p-values must lie in [0, 1]; got {outside[0]:g} ({outside.size} such)")
    p = adjusted[made]
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    p[order] = np.minimum(steps, 1.0)
    adjusted[made] = p
    return adjusted


def westfall_young(observed: ArrayLike, placebo: ArrayLike, two_sided: ArrayLike = False) -> Floats:
    """P-values adjusted for the number of measures by step-down maxT over placebo groups.

    Westfall & Young (1993), algorithm 4.1. Each measure is standardised over all groups, that of
    the newcomers included. The newcomers' most extreme measure is compared with the most extreme
    measure of every group. Their next measure is compared with the most extreme of the remaining
    measures of every group, and so on. If groups are exchangeable, the probability that any true
    null hypothesis gets p <= level is at most level (Ge, Dudoit & Speed 2003, section 3). The
    variant minP is not used, because with m unrelated measures its p-values are at least about
    m / (draws + 1). The price of maxT is that measures with long tails count for more.

    Args:
        observed: (n_measures,) float, values of the newcomers' group.
        placebo: (n_measures, draws) float, values of the placebo groups.
        two_sided: bool or (n_measures,) bool, whether small values of a measure are extreme too;
            otherwise only large values are.

    Returns:
        Float (n_measures,) in [1/(draws + 1), 1], in the same order as before the adjustment unless
        the distributions of measures differ in shape.

    Raises:
        ValueError: the shapes do not fit, there are no draws, or a value is not finite.

    Example:
        >>> others = np.random.default_rng(0).normal(size=(20, 199))
        >>> p = westfall_young([6.0, *others[1:, 0]], others)
        >>> float(p[0]), bool(p[1:].min() > 0.05)
        (0.005, True)
    """
    values, draws = np.asarray(observed, dtype=np.float64), np.asarray(placebo, dtype=np.float64)
    if values.ndim != 1 or draws.ndim != 2 or draws.shape[0] != values.size or not draws.shape[1]:
        raise ValueError(
            f"observed has shape {values.shape}, placebo {draws.shape}; expected (measures,) and "
            "(measures, draws) with at least one draw"
        )
    groups = np.column_stack([values, draws])
    if not np.isfinite(groups).all():
        raise ValueError(f"{(~np.isfinite(groups)).sum()} of {groups.size} values are not finite")
    extreme = _standardised(groups, np.broadcast_to(two_sided, values.shape))
    order = np.argsort(-extreme[:, 0], kind="stable")
    # Row r: each group's most extreme value among the measures from rank r on.
    rest = np.maximum.accumulate(extreme[order][::-1], axis=0)[::-1]
    share = (rest >= extreme[order, :1]).mean(axis=1)
    adjusted = np.empty(values.size)
    adjusted[order] = np.maximum.accumulate(share)
    return adjusted


def _standardised(groups: Floats, two_sided: NDArray[np.bool_]) -> Floats:
    """(n_measures, groups): deviations from the mean in standard deviations; 0 without variance."""
    deviation = groups - groups.mean(axis=1, keepdims=True)
    deviation = np.where(two_sided[:, None], np.abs(deviation), deviation)
    spread = groups.std(axis=1, keepdims=True)
    varies = np.ptp(groups, axis=1, keepdims=True) > 0
    return np.where(varies, deviation / np.where(varies, spread, 1.0), 0.0)
