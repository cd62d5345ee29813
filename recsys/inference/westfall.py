"""P-values of many measures at once, from the placebo draws that all of them share.

Measures of the same feeds go up and down together, and Holm's correction knows nothing of that.
Nor can it pass .05 here: with 199 draws no p is below .005, and eleven times that is more. Placebo
draws keep the measures together: how often is *any* measure of a draw as extreme as this one?
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["westfall_young"]

Floats = NDArray[np.float64]


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
