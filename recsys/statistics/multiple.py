"""P-values of several measures at once: Holm; Westfall and Young."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.statistics.arrays import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Holm's adjusted p-values, for the measures that are not primary.

    Rejecting where the adjusted value is <= alpha keeps the chance of any false claim in the
    family at or below alpha, whatever the dependence between measures. Holm (1979), Scandinavian
    Journal of Statistics 6. statsmodels gives the same, but collects garbage each time, which
    takes most of a second where much is in memory.

    Args:
        p_values: float array of any shape, all one family. NaN (a test that could not be made)
            stays NaN, uncounted.

    Returns:
        Float array of the same shape, each value at least the one given and at most 1.

    Raises:
        ValueError: if a value is outside [0, 1].

    Example:
        >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    adjusted = np.array(p_values, dtype=np.float64)
    known = ~np.isnan(adjusted)
    outside = adjusted[known & ~((adjusted >= 0) & (adjusted <= 1))]
    if outside.size:
        raise ValueError(f"p-values must lie in [0, 1]; got {outside[0]:g} ({outside.size} such)")
    p = adjusted[known]
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    p[order] = np.minimum(steps, 1.0)
    adjusted[known] = p
    return adjusted


def westfall_young(observed: ArrayLike, placebo: ArrayLike, two_sided: ArrayLike = False) -> Floats:
    """P-values adjusted for the number of measures: step-down maxT (Westfall & Young 1993).

    Their algorithm 4.1, over placebo draws. Each measure is put in standard deviations from its
    mean, over all groups, the observed one among them. The most extreme measure is held against
    every group's most extreme one, the next against every group's most extreme of the rest, and so
    forth. Where groups are exchangeable, the chance that any true null has p <= level is at most
    level (Ge, Dudoit & Speed 2003, section 3). minP is not used: of m unrelated measures it gives
    no less than about m / (draws + 1). The price is that measures with long tails count for more.

    Args:
        observed: (n_measures,) float, of the newcomers' group.
        placebo: (n_measures, draws) float, of the other groups.
        two_sided: bool, or (n_measures,) of them: whether a measure counts by how far it is from
            the mean either way; else only large values count.

    Returns:
        Float (n_measures,), in [1/(draws + 1), 1]; in the order of p's before adjustment, unless
        spreads differ in shape.

    Raises:
        ValueError: if shapes do not fit, there are no draws, or a value is not finite.

    Example:
        >>> others = np.random.default_rng(0).normal(size=(20, 199))
        >>> p = westfall_young([6.0, *others[1:, 0]], others)
        >>> float(p[0]), bool(p[1:].min() > 0.05)
        (0.005, True)
    """
    one, others = np.asarray(observed, dtype=np.float64), np.asarray(placebo, dtype=np.float64)
    if one.ndim != 1 or others.ndim != 2 or others.shape[0] != one.size or not others.shape[1]:
        raise ValueError(
            f"observed has shape {one.shape}, placebo {others.shape}; expected a value for each "
            "measure, and measures × draws with a draw"
        )
    groups = np.column_stack([one, others])
    if not np.isfinite(groups).all():
        raise ValueError(f"{(~np.isfinite(groups)).sum()} of {groups.size} values are not finite")
    extreme = _standardised(groups, np.broadcast_to(two_sided, one.shape))
    order = np.argsort(-extreme[:, 0], kind="stable")
    # Row r: each group's most extreme value among the measures from rank r on.
    rest = np.maximum.accumulate(extreme[order][::-1], axis=0)[::-1]
    share = (rest >= extreme[order, :1]).mean(axis=1)
    adjusted = np.empty(one.size)
    adjusted[order] = np.maximum.accumulate(share)
    return adjusted


def _standardised(groups: Floats, two_sided: NDArray[np.bool_]) -> Floats:
    """(n_measures, groups) deviations in standard deviations; 0 where a measure does not vary."""
    away = groups - groups.mean(axis=1, keepdims=True)
    away = np.where(two_sided[:, None], np.abs(away), away)
    spread = groups.std(axis=1, keepdims=True)
    varies = np.ptp(groups, axis=1, keepdims=True) > 0
    return np.where(varies, away / np.where(varies, spread, 1.0), 0.0)
