"""The mean of daily figures over users who come back, with an interval.

A user may count on several days, and all users of a day share its luck, so neither users nor days
can be taken as independent rows. The variance is that of Cameron, Gelbach and Miller 2011, "Robust
inference with multiway clustering", Journal of Business and Economic Statistics 29: that by users,
plus that by days, less that of single rows, which both contain.
"""

import numpy as np
from scipy.special import stdtrit

from recsys.statistics.arrays import Floats, Ints


def user_day_interval(
    values: Floats, users: Ints, days: Ints, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean over days of the mean over users, and its interval.

    It is a t interval with one degree of freedom less than there are days, and its variance is at
    least that by users and that by days.

    Args:
        values: float (n,), one for each user and day, any unit; NaN is left out.
        users: int (n,), who.
        days: int (n,), when.
        level: coverage, in (0, 1), such as 0.95.

    Returns:
        mean, low and high; NaN for low and high with a single day, and for all without values.

    Example:
        >>> values, days = np.array([0.1, 0.3, 0.2, 0.4, 0.3, 0.2]), np.array([1, 1, 2, 2, 3, 3])
        >>> mean, low, high = user_day_interval(values, np.array([7, 8, 7, 9, 8, 9]), days)
        >>> print(f"{mean:.3f} [{low:.3f}, {high:.3f}]")
        0.250 [0.067, 0.433]
    """
    there = ~np.isnan(values)
    values = values[there]
    _, user = np.unique(users[there], return_inverse=True)
    names, day = np.unique(days[there], return_inverse=True)
    if values.size == 0:
        return float("nan"), float("nan"), float("nan")
    n_rows = np.bincount(day)
    means = np.bincount(day, values) / n_rows
    mean = float(means.mean())
    if names.size < 2:
        return mean, float("nan"), float("nan")
    share = (values - means[day]) / (n_rows[day] * names.size)
    by_users = float(np.square(np.bincount(user, share)).sum())
    by_days = float(means.var(ddof=1)) / names.size
    variance = max(by_users + by_days - float(np.square(share).sum()), by_users, by_days)
    half = float(stdtrit(names.size - 1, 0.5 + level / 2)) * np.sqrt(variance)
    return mean, mean - half, mean + half
