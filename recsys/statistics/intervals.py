"""Means over users and seeds with their confidence intervals.

All users of one trained world share its luck, so an interval over users alone is far too narrow.
Users are crossed with seeds, ``y_us = mu + a_u + b_s + e_us``, and the variance of both counts. The
sources are Satterthwaite (1946), "An approximate distribution of estimates of variance components",
Biometrics Bulletin 2; Searle, Casella & McCulloch (1992), *Variance Components*, ch. 4. Intervals
are t intervals that are made wider on the side of the long tail where luck looks skewed
(`recsys.statistics.skewness`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.statistics.arrays import Floats, Ints
from recsys.statistics.skewness import third_moment, widening

MIN_SEEDS_FOR_CLAIMS = 8
"""Least number of seeds for a claim. Figures over fewer seeds are printed with a mark, since the t
quantile grows fast with fewer seeds: it is 2.4 with 8 seeds and 4.3 with 3."""


@dataclass(frozen=True, eq=False)
class Interval:
    """Means with their intervals; each field is an array with the shape of the leading axes of the
    data, 0-d if there are none.

    Attributes:
        mean: the mean, in the unit of the data.
        variance: variance of the mean, in that unit squared; NaN where it cannot be estimated.
        skewness: estimated skewness of the mean's luck, from -1 to 1: 0 for Gaussian luck, and 1
            where a single seed or a single user carries all.
        df: degrees of freedom of the t distribution.
        low: lower end of the interval; NaN where the variance is NaN.
        high: upper end, likewise.
        p_value: p-value of a two-sided test of mean 0: 1 less the level of the interval that ends
            at 0.
        n_users: int64, number of users in the mean.
        n_seeds: int64, number of seeds in the mean.
    """

    mean: Floats
    variance: Floats
    skewness: Floats
    df: Floats
    low: Floats
    high: Floats
    p_value: Floats
    n_users: Ints
    n_seeds: Ints

    def at(self, index: int) -> Interval:
        """The interval of one index of the first axis.

        Args:
            index: such as 0.

        Example:
            >>> both = two_way_interval([[[0.1, 0.2], [0.2, 0.2]], [[0.3, 0.4], [0.4, 0.4]]])
            >>> print(f"{both.at(1).mean:.3f}")
            0.375
        """
        return Interval(*(np.asarray(values)[index] for values in vars(self).values()))


class _MeanSquares(NamedTuple):
    """Mean, mean squares of a two-way analysis of variance, and the estimated third cumulant of the
    mean; one per leading index."""

    mean: Floats
    users: Floats
    seeds: Floats
    residual: Floats
    third: Floats
    n_users: Ints


def two_way_interval(y: ArrayLike, level: float = 0.95) -> Interval:
    """Interval of the mean over users crossed with seeds.

    Use it for a study in which the users are the same for all seeds. ``Var = (MS_u + MS_s - MS_e) /
    (U S)``, but at least ``max(MS_u, MS_s) / (U S)``. The degrees of freedom are Satterthwaite's.
    Where this least value is taken, they are those of the mean square in it. The skewness of the
    mean is estimated from the means of users and those of seeds, and the t interval is made wider
    on the side of its long tail; see :func:`~recsys.statistics.skewness.widening`. If all values
    are equal the interval is a point, and the p-value is 1 if the mean is 0, and 0 otherwise. A
    single user or a single seed gives a mean without an interval.

    Args:
        y: (..., users, seeds) float, any unit. A user with NaN in any seed is left out, separately
            for each leading index.
        level: coverage, in (0, 1), such as 0.95.

    Returns:
        Interval of shape (...).

    Raises:
        ValueError: ``y`` has fewer than two axes, no seeds or infinite values, or ``level`` is not
            in (0, 1).

    Example:
        >>> y = [[0.1, 0.2, 0.3], [0.2, 0.2, 0.5], [0.0, 0.1, 0.4], [0.3, 0.5, 0.4]]
        >>> drift = two_way_interval(y)
        >>> print(f"{drift.mean:.4f} [{drift.low:.4f}, {drift.high:.4f}], df {drift.df:.2f}")
        0.2667 [0.0029, 0.6288], df 3.14
    """
    values = _users_by_seeds(y)
    return _interval_of(_mean_squares(values), values, level)


def nested_interval(y: ArrayLike, level: float = 0.95) -> Interval:
    """Interval of the mean where each seed has users of its own: a t interval over seed means.

    It is made wider for skewness, as in :func:`two_way_interval`. Row u holds a different user in
    each seed, so that no user can be compared across seeds. Every seed has the same weight, however
    many of its users were measured.

    Args:
        y: (..., users, seeds) float, any unit; NaN where a seed has no such user.
        level: coverage, in (0, 1), such as 0.95.

    Returns:
        Interval of shape (...); ``n_users`` counts the users of all seeds, and ``n_seeds`` the
        seeds with users.

    Raises:
        ValueError: as :func:`two_way_interval`.

    Example:
        >>> drift = nested_interval([[0.1, 0.2, 0.3], [0.3, 0.2, 0.7]])
        >>> print(f"{drift.mean:.2f} [{drift.low:.2f}, {drift.high:.2f}], {drift.n_users} users")
        0.30 [-0.13, 1.03], 6 users
    """
    values = _users_by_seeds(y)
    seed_means, per_seed = _mean_of_known(values, axis=-2)
    mean, n_seeds = _mean_of_known(seed_means, axis=-1)
    centred = np.where(per_seed > 0, seed_means - mean[..., None], 0.0)
    spread = (centred**2).sum(-1) / np.maximum(n_seeds - 1, 1)
    variance = np.where(n_seeds >= 2, spread / np.maximum(n_seeds, 1), np.nan)
    df = np.where(n_seeds >= 2, n_seeds - 1.0, np.nan)
    third = third_moment(centred, -1, n_seeds)
    return _t_interval(mean, variance, third, df, level, per_seed.sum(-1), n_seeds)


def users_interval(y: ArrayLike, level: float = 0.95) -> Interval:
    """Interval of the mean over users alone: a t interval over users.

    It is made wider for skewness, as in :func:`two_way_interval`. Use it for feeds that were served
    once. The interval says how far the mean would move with other users. It does not cover what
    changes for all users at once, such as another training run or another week.

    Args:
        y: (..., users) float, any unit; NaN for users without a value.
        level: coverage, in (0, 1), such as 0.95.

    Returns:
        Interval of shape (...); ``n_seeds`` is 1. A single user gives a mean without an interval.

    Raises:
        ValueError: ``y`` has no axis or infinite values, or ``level`` is not in (0, 1).

    Example:
        >>> drift = users_interval([0.1, 0.2, 0.3, float("nan")])
        >>> print(f"{drift.mean:.2f} [{drift.low:.2f}, {drift.high:.2f}], {drift.n_users} users")
        0.20 [-0.05, 0.45], 3 users
    """
    values = np.asarray(y, dtype=np.float64)
    if values.ndim == 0:
        raise ValueError("y must have an axis of users; got a single number")
    if np.isinf(values).any():
        raise ValueError(
            f"y has {np.isinf(values).sum()} infinite values; mark what was not measured with NaN"
        )
    mean, n_users = _mean_of_known(values, axis=-1)
    centred = np.where(np.isnan(values), 0.0, values - mean[..., None])
    free = np.maximum(n_users - 1, 1)
    spread = (centred**2).sum(-1) / free
    enough = n_users >= 2
    variance = np.where(enough, spread / np.maximum(n_users, 1), np.nan)
    third, df = third_moment(centred, -1, n_users), np.where(enough, free, np.nan)
    return _t_interval(mean, variance, third, df, level, n_users, np.array(1))


def share_interval(interval: Interval, level: float = 0.95) -> Interval:
    """The interval of a share that may be near 0 or 1: Clopper & Pearson's, with the same mean.

    Where nearly all users have the value 0 (or 1) the interval of a mean is not made for it, and
    where all have it, that interval is a point. Here an effective number replaces the number of
    users. It is the number of independent users who would give the same variance, adjusted for the
    degrees of freedom of this variance, and it is at most the number of users. The method is that
    of Korn & Graubard (1998), "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data", Survey Methodology 24. If no user has the value 1,
    the upper end is about 3.7 / users.

    Args:
        interval: interval of a mean of values in [0, 1], from a function of this module.
        level: coverage, in (0, 1), such as 0.95.

    Returns:
        The interval with new ends in [0, 1]; NaN where there is no variance estimate.

    Raises:
        ValueError: a mean is outside [0, 1], or ``level`` is not in (0, 1).

    Example:
        >>> nobody = share_interval(two_way_interval([[0.0, 0.0]] * 100))
        >>> print(f"{nobody.mean:.3f} [{nobody.low:.3f}, {nobody.high:.3f}]")
        0.000 [0.000, 0.036]
    """
    _check_level(level)
    from scipy.special import betaincinv, stdtrit

    p, variance, tail = interval.mean, interval.variance, 0.5 - level / 2
    if ((p < 0) | (p > 1)).any():
        raise ValueError(
            f"a share lies in [0, 1]; got a mean of {np.nanmin(p):g} … {np.nanmax(p):g}"
        )
    estimated = ~np.isnan(variance)
    users = np.maximum(interval.n_users, 2)
    varies = estimated & (variance > 0)
    for_df = stdtrit(users - 1, tail) / stdtrit(np.where(varies, interval.df, 1.0), tail)
    effective = p * (1 - p) / np.where(varies, variance, 1.0) * for_df**2
    n = np.where(varies, np.minimum(effective, users), users)
    ones = np.where(estimated, p * n, 0.0)
    zeros = n - ones
    low = np.where(ones > 0, betaincinv(np.where(ones > 0, ones, 1.0), zeros + 1, tail), 0.0)
    high = np.where(zeros > 0, betaincinv(ones + 1, np.where(zeros > 0, zeros, 1.0), 1 - tail), 1.0)
    low, high = (np.where(estimated, end, np.nan) for end in (low, high))
    return replace(interval, low=low, high=high)


def parts(influx: ArrayLike, placebo: ArrayLike, retrain: ArrayLike) -> dict[str, Floats]:
    """Splits drift: total = volume + composition.

    Retraining alone changes feeds (training noise), and so does any wave of the same size (volume).
    The rest is the effect of the composition of the newcomers. Differences are taken within user
    and seed, so that luck shared by the arms cancels. The equation holds for every value.

    Args:
        influx: (..., users, seeds) float, drift of the influx arm from the control.
        placebo: drift of the placebo arm, of the same shape.
        retrain: drift of the retrain arm, of the same shape.

    Returns:
        ``total`` = influx - retrain, ``volume`` = placebo - retrain and
        ``composition`` = influx - placebo; each of the same shape.

    Raises:
        ValueError: the shapes differ; users and seeds are paired, not broadcast.

    Example:
        >>> {name: float(part[0, 0]) for name, part in parts([[0.75]], [[0.5]], [[0.125]]).items()}
        {'total': 0.625, 'volume': 0.375, 'composition': 0.25}
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (influx, placebo, retrain)]
    if len({arm.shape for arm in arms}) != 1:
        shapes = ", ".join(str(arm.shape) for arm in arms)
        raise ValueError(
            f"influx, placebo, retrain must have one shape (users, seeds are paired), not {shapes}"
        )
    of_influx, of_placebo, of_retrain = arms
    return {
        "total": of_influx - of_retrain,
        "volume": of_placebo - of_retrain,
        "composition": of_influx - of_placebo,
    }


def _users_by_seeds(y: ArrayLike) -> Floats:
    """Data as float64 (..., users, seeds), checked."""
    values = np.asarray(y, dtype=np.float64)
    if values.ndim < 2 or values.shape[-1] == 0:
        raise ValueError(
            f"y must have axes (..., users, seeds) and at least one seed; got shape {values.shape}"
        )
    if np.isinf(values).any():
        raise ValueError(
            f"y has {np.isinf(values).sum()} infinite values; mark what was not measured with NaN"
        )
    return values


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is the coverage, in (0, 1), not {level}")


def _mean_squares(values: Floats) -> _MeanSquares:
    """Two-way analysis of variance without replication, over the users who have every seed."""
    kept = np.asarray(~np.isnan(values).any(-1))
    n_users, n_seeds = np.asarray(kept.sum(-1)), values.shape[-1]
    origin = _first_kept(values, kept)
    # With one of the values as origin, a constant table deviates by exactly 0, without rounding.
    table = np.where(kept[..., None], values - origin[..., None, None], 0.0)
    by_user = table.mean(-1)
    by_seed = table.sum(-2) / np.maximum(n_users, 1)[..., None]
    grand = by_seed.mean(-1)
    user_effect = np.where(kept, by_user - grand[..., None], 0.0)
    seed_effect = by_seed - grand[..., None]
    fitted = by_user[..., None] + seed_effect[..., None, :]
    residual = np.where(kept[..., None], table - fitted, 0.0)
    users_free, seeds_free = np.maximum(n_users - 1, 1), max(n_seeds - 1, 1)
    return _MeanSquares(
        mean=np.where(n_users > 0, origin + grand, np.nan),
        users=n_seeds * (user_effect**2).sum(-1) / users_free,
        seeds=n_users * (seed_effect**2).sum(-1) / seeds_free,
        residual=(residual**2).sum((-2, -1)) / (users_free * seeds_free),
        third=third_moment(user_effect, -1, n_users) + third_moment(seed_effect, -1, n_seeds),
        n_users=n_users,
    )


def _interval_of(squares: _MeanSquares, values: Floats, level: float) -> Interval:
    """Interval of the grand mean; with a single user or a single seed, the mean alone."""
    n_seeds = values.shape[-1]
    variance, df = _variance_of_mean(squares, n_seeds)
    enough = (squares.n_users >= 2) & (n_seeds >= 2)
    variance, df = np.where(enough, variance, np.nan), np.where(enough, df, np.nan)
    n = squares.n_users, np.array(n_seeds)
    return _t_interval(squares.mean, variance, squares.third, df, level, *n)


def _first_kept(values: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Value of the first kept user in the first seed, per leading index; 0 if no user is kept."""
    if values.shape[-2] == 0:
        return np.zeros(values.shape[:-2])
    row = kept.argmax(-1)[..., None]
    first = np.take_along_axis(values[..., 0], row, axis=-1)[..., 0]
    return np.where(kept.any(-1), first, 0.0)


def _variance_of_mean(squares: _MeanSquares, n_seeds: int | Ints) -> tuple[Floats, Floats]:
    """Variance of the grand mean and its degrees of freedom."""
    seeds_free = np.maximum(np.asarray(n_seeds) - 1, 1)
    users_free = np.maximum(squares.n_users - 1, 1)
    # Divided by the largest mean square, the squares below can neither overflow nor underflow.
    largest = np.maximum(np.maximum(squares.users, squares.seeds), squares.residual)
    scale = np.where(largest > 0, largest, 1.0)
    users, seeds, residual = squares.users / scale, squares.seeds / scale, squares.residual / scale

    combined, floor = users + seeds - residual, np.maximum(users, seeds)
    noise = users**2 / users_free + seeds**2 / seeds_free + residual**2 / (users_free * seeds_free)
    satterthwaite = combined**2 / np.where(noise > 0, noise, 1.0)
    df = np.where(combined > floor, satterthwaite, np.where(users > seeds, users_free, seeds_free))
    relative = np.maximum(combined, floor)

    # If two users swap values between two seeds, only the residual varies: the mean is uncertain.
    only_residual = floor < 1e-12 * residual
    relative = np.where(only_residual, residual, relative)
    df = np.where(only_residual, users_free * seeds_free, df)
    return relative * scale / np.maximum(squares.n_users * np.asarray(n_seeds), 1), df


def _t_interval(
    mean: Floats,
    variance: Floats,
    third: Floats,
    df: Floats,
    level: float,
    n_users: Ints,
    n_seeds: Ints,
) -> Interval:
    """The t interval of a mean, widened for skewness; a point if the variance is 0."""
    _check_level(level)
    from scipy.special import stdtr, stdtrit

    varies = variance > 0
    error = np.sqrt(variance)
    skewness = np.clip(third / np.where(varies, error, 1.0) ** 3, -1.0, 1.0)
    skewness = np.where(np.isnan(variance), np.nan, np.where(varies, skewness, 0.0))
    below, above = widening(-skewness, df), widening(skewness, df)
    half_width = np.where(variance == 0, 0.0, stdtrit(df, 0.5 + level / 2) * error)
    t = np.abs(mean) / np.where(variance == 0, 1.0, error) / np.where(mean > 0, below, above)
    p_value = np.where(variance == 0, np.where(mean == 0, 1.0, 0.0), 2 * stdtr(df, -t))
    return Interval(
        mean=np.asarray(mean, dtype=np.float64),
        variance=np.asarray(variance, dtype=np.float64),
        skewness=np.asarray(skewness, dtype=np.float64),
        df=np.asarray(df, dtype=np.float64),
        low=np.asarray(mean - below * half_width, dtype=np.float64),
        high=np.asarray(mean + above * half_width, dtype=np.float64),
        p_value=np.asarray(p_value, dtype=np.float64),
        n_users=np.asarray(n_users, dtype=np.int64),
        n_seeds=np.full(np.shape(mean), n_seeds, dtype=np.int64),
    )


def _mean_of_known(values: Floats, axis: int) -> tuple[Floats, Ints]:
    """Mean and number of the values that are not NaN; the mean is exact where all are equal."""
    has_value = ~np.isnan(values)
    count = has_value.sum(axis)
    origin = np.where(has_value, values, np.inf).min(axis, initial=np.inf)
    origin = np.where(count > 0, origin, 0.0)
    table = np.where(has_value, values - np.expand_dims(origin, axis), 0.0)
    mean = origin + table.sum(axis) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan), count
