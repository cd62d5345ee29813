"""Difference in differences over exposure: change of the users who are most exposed to newcomers
minus change of those who are least exposed.

This is the secondary view of a real log. It rests on the assumption of parallel trends: without
newcomers both groups would have changed alike. Nothing proves the assumption. It becomes less
credible if the groups also differ between two windows before the first newcomer came.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Floats, Ints

FEWEST = 20
"""Least number of users in either group."""


class Contrast(NamedTuple):
    """Mean change of the most exposed third of users beside that of the least exposed third.

    Attributes:
        low: mean change in the least exposed third.
        high: mean change in the most exposed third.
        difference: high - low.
        ci_low: lower end of the 95 % interval of the difference over users (Welch).
        ci_high: upper end.
        p_value: of no difference, two-sided.
        exposure_low: mean exposure in the least exposed third.
        exposure_high: mean exposure in the most exposed third.
        n_low: users in the least exposed third whose change is known; only these are compared.
        n_high: the same in the most exposed third.
        lost_low: users in the least exposed third whose change is not known.
        lost_high: the same in the most exposed third.
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
    """Compares the change of the most exposed third of users with that of the least exposed.

    Thirds are formed among all users whose exposure is known, before anybody looks at their change.
    Users without a value after the arrival are left out of their third; `lost_low` and `lost_high`
    count them.

    Args:
        change: (n_users,) float, change of each user in any unit; NaN where it is not known.
        exposure: (n_users,) float, such as from `exposure_of`; NaN leaves a user out. Users with
            equal exposure are in the same third.

    Returns:
        The comparison; None if both thirds have the same bound, if either holds fewer than `FEWEST`
        users, or if change does not vary.

    Raises:
        ValueError: the lengths differ.

    >>> exposure = np.repeat([0.0, 0.5, 1.0], 20)
    >>> contrast = by_exposure(np.tile([0.1, 0.3], 30) + exposure, exposure)
    >>> contrast.difference.__round__(2), contrast.n_low, contrast.n_high
    (1.0, 20, 20)
    >>> by_exposure(exposure, np.zeros(60)) is None
    True
    """
    from scipy import stats

    y, e = np.asarray(change, dtype=np.float64), np.asarray(exposure, dtype=np.float64)
    if y.shape != e.shape or y.ndim != 1:
        raise ValueError(
            f"change has shape {y.shape}, exposure {e.shape}; give one value per user in each"
        )
    y, e = y[~np.isnan(e)], e[~np.isnan(e)]
    has_change = ~np.isnan(y)
    if has_change.sum() < 3 * FEWEST:
        return None
    lower, upper = np.quantile(e, [1 / 3, 2 / 3])
    lost = [int((third & ~has_change).sum()) for third in (e <= lower, e >= upper)]
    least, most = (e <= lower) & has_change, (e >= upper) & has_change
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
    user: Ints,
    item: Ints,
    newcomers_likes: Ints,
    all_likes: Ints,
    own_likes: Ints,
    n_users: int,
) -> Floats:
    """Exposure of each user: newcomers' share in the later likes of the items that the user liked.

    It is the mean of this share over the likes of the user before the arrival.

    Args:
        user: (n_likes,), user of each like before the arrival, from 0.
        item: (n_likes,), item of each like, from 0.
        newcomers_likes: (n_items,), likes of each item by newcomers after the arrival.
        all_likes: (n_items,), likes of each item by all users after the arrival.
        own_likes: (n_likes,), likes of the item by this user after the arrival; they do not count.
        n_users: number of users.

    Returns:
        Float (n_users,) in [0, 1]; NaN for a user whose items nobody else liked after the arrival.

    >>> exposure_of(np.array([0, 0, 1]), np.array([0, 1, 2]), np.array([3, 0, 0]),
    ...     np.array([4, 5, 1]), np.array([0, 1, 1]), 2).tolist()
    [0.375, nan]
    """
    by_others = all_likes[item] - own_likes
    counts = by_others > 0
    share = newcomers_likes[item[counts]] / by_others[counts]
    total = np.bincount(user[counts], share, minlength=n_users)
    count = np.bincount(user[counts], minlength=n_users)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def changes(earlier: Floats, base: Floats, later: Floats) -> Floats:
    """Change of each user's mix after the base window minus the change before it, in TV.

    TV(base, later) - TV(earlier, base), with the same number of likes in each window. For a user
    whose taste does not change, the earlier and the later window follow the same law. So the mean
    is 0 for any number of likes and for any content of the base window, and exposure may be
    computed from the base window.

    Args:
        earlier: (n_users, n_kinds), counts of likes by kind in the window before the base window.
        base: the same in the base window.
        later: the same in the window after the base window.

    Returns:
        Float (n_users,), in [-1, 1].

    >>> changes(np.array([[2.0, 0]]), np.array([[2.0, 0]]), np.array([[1.0, 1]])).tolist()
    [0.5]
    """
    sums = base.sum(1)

    def tv(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.abs(a - b).sum(1) / (2 * sums))

    return tv(base, later) - tv(earlier, base)
