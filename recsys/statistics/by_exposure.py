"""What changed for those whom newcomers concern most, less what changed for those least concerned.

A difference in differences over exposure, the secondary view of a log. It stands on parallel
trends: without newcomers, both groups would have changed alike. Nothing proves that; a like
difference between two windows before anybody came makes it less credible.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST = 20
"""Fewest users in either group."""

Floats = NDArray[np.float64]


class Contrast(NamedTuple):
    """Mean change of the most exposed third less that of the least exposed third.

    Attributes:
        low, high: mean change in the least and in the most exposed third.
        difference: high - low, with its 95 % interval over users (Welch) and p of no difference.
        exposure_low, exposure_high: mean exposure of the two.
        n_low, n_high: users in them whose change is known.
        lost_low, lost_high: users in them whose change is not known; the others are compared.
    """

    low: float
    high: float
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    exposure_low: float
    exposure_high: float
    n_low: int
    n_high: int
    lost_low: int
    lost_high: int


def by_exposure(change: ArrayLike, exposure: ArrayLike) -> Contrast | None:
    """Compares the outer thirds of users by exposure; None where they cannot be told apart.

    Thirds are cut among all whose exposure is known, so who is in one does not hang on what came
    after; whoever has no change then is lost to his third, and counted.

    Args:
        change: (n_users,) float, what changed for each; NaN where it is not known.
        exposure: (n_users,) float; NaN leaves a user out. Users with equal exposure stay together.

    Returns:
        None if the thirds meet, or hold fewer than `FEWEST` users.

    Raises:
        ValueError: if lengths differ.

    >>> exposure = np.repeat([0.0, 0.5, 1.0], 20)
    >>> found = by_exposure(np.tile([0.1, 0.3], 30) + exposure, exposure)
    >>> found.difference.__round__(2), found.n_low, found.n_high, found.lost_low, found.lost_high
    (1.0, 20, 20, 0, 0)
    >>> by_exposure(exposure, np.zeros(60)) is None
    True
    """
    from scipy import stats

    y, e = np.asarray(change, dtype=np.float64), np.asarray(exposure, dtype=np.float64)
    if y.shape != e.shape or y.ndim != 1:
        raise ValueError(f"change has shape {y.shape}, exposure {e.shape}; one value each a user")
    y, e = y[~np.isnan(e)], e[~np.isnan(e)]
    known = ~np.isnan(y)
    if known.sum() < 3 * FEWEST:
        return None
    lower, upper = np.quantile(e, [1 / 3, 2 / 3])
    lost = [int((third & ~known).sum()) for third in (e <= lower, e >= upper)]
    least, most = (e <= lower) & known, (e >= upper) & known
    if lower >= upper or min(least.sum(), most.sum()) < FEWEST:
        return None
    if y[least].std() == 0 and y[most].std() == 0:
        return None
    test = stats.ttest_ind(y[most], y[least], equal_var=False)
    edges = test.confidence_interval(0.95)
    low, high = float(y[least].mean()), float(y[most].mean())
    return Contrast(
        low,
        high,
        high - low,
        float(edges.low),
        float(edges.high),
        float(test.pvalue),
        float(e[least].mean()),
        float(e[most].mean()),
        int(least.sum()),
        int(most.sum()),
        *lost,
    )


def exposure_of(
    user: NDArray[np.int64],
    thing: NDArray[np.int64],
    theirs: NDArray[np.int64],
    everybody: NDArray[np.int64],
    own: NDArray[np.int64],
    n_users: int,
) -> Floats:
    """How much of what each user liked is newcomers' now: the mean share over the user's likes.

    Args:
        user, thing: (n_likes,) who liked what before anybody came.
        theirs, everybody: (n_things,) likes of each thing after the arrival: the newcomers', all.
        own: (n_likes,) the user's own likes of that thing after the arrival, which do not count.
        n_users: how many users there are.

    Returns:
        Float (n_users,) in [0, 1]; NaN where nobody else touched anything that the user liked.

    >>> exposure_of(np.array([0, 0, 1]), np.array([0, 1, 2]), np.array([3, 0, 0]),
    ...     np.array([4, 5, 1]), np.array([0, 1, 1]), 2).tolist()
    [0.375, nan]
    """
    others = everybody[thing] - own
    known = others > 0
    share = theirs[thing[known]] / others[known]
    total = np.bincount(user[known], share, minlength=n_users)
    count = np.bincount(user[known], minlength=n_users)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def changes(earlier: Floats, base: Floats, later: Floats) -> Floats:
    """How much more a mix moves from the base window to the later than it did to the base window.

    TV(base, later) - TV(earlier, base), from as many likes in each: in a user whose taste does not
    change, the earlier and the later window are alike, so the mean is 0 however few they are, and
    whatever the base window holds. That is why exposure may be read from the base window.

    Args:
        earlier, base, later: (n_users, n_kinds), counts in rows of the same sum.

    Returns:
        Float (n_users,).

    >>> changes(np.array([[2.0, 0]]), np.array([[2.0, 0]]), np.array([[1.0, 1]])).tolist()
    [0.5]
    """
    sums = base.sum(1)

    def tv(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.abs(a - b).sum(1) / (2 * sums))

    return tv(base, later) - tv(earlier, base)
