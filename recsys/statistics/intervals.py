"""Means of drift with honest intervals.

Readers measured within one trained world share its luck, so a bootstrap over users alone is far
too sure of itself. Users are crossed with seeds, ``y_us = mu + a_u + b_s + e_us``, and both kinds
of luck count: Satterthwaite (1946), "An approximate distribution of estimates of variance
components", Biometrics Bulletin 2; Searle, Casella & McCulloch (1992), *Variance Components*, ch.
4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.statistics.arrays import Counts, Floats

MIN_SEEDS_FOR_CLAIMS = 8
"""Fewer seeds are printed, and marked: the t quantile is 4.3 with 3 seeds, 2.4 with 8."""


@dataclass(frozen=True, eq=False)
class Interval:
    """A mean with its uncertainty; every field is an array of the leading axes' shape (0-d where
    there are none).

    Attributes:
        mean: the estimate, in the unit of ``y``.
        variance: of the mean, in that unit squared; NaN where it cannot be estimated.
        df: degrees of freedom of the t distribution.
        low, high: ends of the interval; NaN where the variance is.
        p_value: two-sided, of a t test against 0.
        n_users: users (int64) that the mean is taken over.
        n_seeds: seeds (int64) that the mean is taken over.
    """

    mean: Floats
    variance: Floats
    df: Floats
    low: Floats
    high: Floats
    p_value: Floats
    n_users: Counts
    n_seeds: Counts


class _MeanSquares(NamedTuple):
    """One row of an analysis of variance per leading index."""

    mean: Floats
    users: Floats
    seeds: Floats
    residual: Floats
    n_users: Counts


def two_way_interval(y: ArrayLike, level: float = 0.95) -> Interval:
    """Interval of the mean over users crossed with seeds.

    For a population that stays the same while the seed draws the luck. ``Var = (MS_u + MS_s -
    MS_e) / (U S)``, not below ``max(MS_u, MS_s) / (U S)``, with Satterthwaite's degrees of
    freedom; where the floor holds, those of the one mean square that sets it. Where all values
    are the same the interval is that point, with p-value 1 if it is 0 and 0 otherwise. A single
    user or a single seed gives a mean without an interval.

    Args:
        y: (..., users, seeds) float, any unit. A user with NaN in any seed is left out (per
            leading index).
        level: coverage, in (0, 1).

    Returns:
        Interval of shape (...).

    Raises:
        ValueError: if ``y`` has fewer than two axes, no seeds, or infinite values, or ``level``
            is not in (0, 1).

    Example:
        >>> y = [[0.1, 0.2, 0.3], [0.2, 0.2, 0.5], [0.0, 0.1, 0.4], [0.3, 0.5, 0.4]]
        >>> drift = two_way_interval(y)
        >>> print(f"{drift.mean:.4f} [{drift.low:.4f}, {drift.high:.4f}], df {drift.df:.2f}")
        0.2667 [0.0029, 0.5305], df 3.14
    """
    values = _users_by_seeds(y)
    return _interval_of(_mean_squares(values), values, level)


def nested_interval(y: ArrayLike, level: float = 0.95) -> Interval:
    """Interval of the mean where each seed has a population of its own: a t over the seeds'
    means.

    Row u is then another person in each seed, so nothing can be said about users across seeds,
    and NaN is left out value by value. Every seed counts the same, however many of its users were
    measured.

    Args:
        y: (..., users, seeds) float, any unit; NaN where a seed has no such user.
        level: coverage, in (0, 1).

    Returns:
        Interval of shape (...); ``n_users`` counts people over all seeds, ``n_seeds`` the seeds
        that have any.

    Raises:
        ValueError: as :func:`two_way_interval`.

    Example:
        >>> drift = nested_interval([[0.1, 0.2, 0.3], [0.3, 0.2, 0.7]])
        >>> print(f"{drift.mean:.2f} [{drift.low:.2f}, {drift.high:.2f}], {drift.n_users} users")
        0.30 [-0.13, 0.73], 6 users
    """
    values = _users_by_seeds(y)
    seed_means, per_seed = _mean_of_known(values, axis=-2)
    mean, n_seeds = _mean_of_known(seed_means, axis=-1)
    centred = np.where(per_seed > 0, seed_means - mean[..., None], 0.0)
    spread = (centred**2).sum(-1) / np.maximum(n_seeds - 1, 1)
    variance = np.where(n_seeds >= 2, spread / np.maximum(n_seeds, 1), np.nan)
    df = np.where(n_seeds >= 2, n_seeds - 1.0, np.nan)
    return _t_interval(mean, variance, df, level, per_seed.sum(-1), n_seeds)


def users_interval(y: ArrayLike, level: float = 0.95) -> Interval:
    """Interval of the mean over users of one and the same pair of systems: a t over users.

    For feeds that were served once. It says how far the mean would move had other users been drawn;
    that another training run or another week would have given other feeds to all of them at once is
    luck that users share, and no interval over users can see it.

    Args:
        y: (..., users) float, any unit; NaN for users who have no value.
        level: coverage, in (0, 1).

    Returns:
        Interval of shape (...); ``n_seeds`` is 1. A single user gives a mean without an interval.

    Raises:
        ValueError: if ``y`` has no axis or infinite values, or ``level`` is not in (0, 1).

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
    return _t_interval(mean, variance, np.where(enough, free, np.nan), level, n_users, np.array(1))


def share_interval(interval: Interval, level: float = 0.95) -> Interval:
    """The same mean with ends for a share that few users make: Clopper & Pearson's.

    Where hardly anybody has a value other than 0 (or 1) a t interval is far too narrow, and a point
    where nobody has. Instead of the number of users counts how many independent ones would give the
    interval's variance, adjusted for its degrees of freedom, at most as many as there are: Korn &
    Graubard (1998), "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 24. Where nobody has the value the upper
    end is about 3.7 / users.

    Args:
        interval: of a mean of values in [0, 1], by any function here.
        level: coverage, in (0, 1).

    Returns:
        Interval with other ends, within [0, 1]; NaN where there was no variance estimate.

    Raises:
        ValueError: a mean outside [0, 1], or ``level`` is not in (0, 1).

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
    known = ~np.isnan(variance)
    users = np.maximum(interval.n_users, 2)
    spread = known & (variance > 0)
    wider = stdtrit(users - 1, tail) / stdtrit(np.where(spread, interval.df, 1.0), tail)
    as_good_as = p * (1 - p) / np.where(spread, variance, 1.0) * wider**2
    n = np.where(spread, np.minimum(as_good_as, users), users)
    have = np.where(known, p * n, 0.0)
    rest = n - have
    low = np.where(have > 0, betaincinv(np.where(have > 0, have, 1.0), rest + 1, tail), 0.0)
    high = np.where(rest > 0, betaincinv(have + 1, np.where(rest > 0, rest, 1.0), 1 - tail), 1.0)
    return replace(interval, low=np.where(known, low, np.nan), high=np.where(known, high, np.nan))


def parts(influx: ArrayLike, placebo: ArrayLike, retrain: ArrayLike) -> dict[str, Floats]:
    """Split drift into what came from how many came and what from who came.

    Retraining alone moves feeds, and so does any wave of that size. Differences are taken within
    user and seed, so that luck shared by the arms cancels; **total = volume + who** for every
    value.

    Args:
        influx, placebo, retrain: (..., users, seeds) float, drift of each arm from the same
            reference; one shape.

    Returns:
        ``total`` = influx - retrain, ``volume`` = placebo - retrain, ``who`` = influx - placebo;
        of the same shape.

    Raises:
        ValueError: if the shapes differ (users and seeds must be paired, not broadcast).

    Example:
        >>> {name: float(part[0, 0]) for name, part in parts([[0.75]], [[0.5]], [[0.125]]).items()}
        {'total': 0.625, 'volume': 0.375, 'who': 0.25}
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (influx, placebo, retrain)]
    if len({arm.shape for arm in arms}) != 1:
        shapes = ", ".join(str(arm.shape) for arm in arms)
        raise ValueError(
            f"influx, placebo, retrain must have one shape (users, seeds are paired), not {shapes}"
        )
    came, sham, again = arms
    return {"total": came - again, "volume": sham - again, "who": came - sham}


def _users_by_seeds(y: ArrayLike) -> Floats:
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
    # Measured from one of its own values, a constant table deviates by exactly 0, not by rounding.
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
        n_users=n_users,
    )


def _interval_of(squares: _MeanSquares, values: Floats, level: float) -> Interval:
    """Interval of the grand mean; without a second user or seed the mean alone."""
    n_seeds = values.shape[-1]
    variance, df = _variance_of_mean(squares, n_seeds)
    enough = (squares.n_users >= 2) & (n_seeds >= 2)
    variance, df = np.where(enough, variance, np.nan), np.where(enough, df, np.nan)
    return _t_interval(squares.mean, variance, df, level, squares.n_users, np.array(n_seeds))


def _first_kept(values: Floats, kept: NDArray[np.bool_]) -> Floats:
    """One value per leading index to measure from; 0 where no user is kept."""
    if values.shape[-2] == 0:
        return np.zeros(values.shape[:-2])
    row = kept.argmax(-1)[..., None]
    first = np.take_along_axis(values[..., 0], row, axis=-1)[..., 0]
    return np.where(kept.any(-1), first, 0.0)


def _variance_of_mean(squares: _MeanSquares, n_seeds: int | Counts) -> tuple[Floats, Floats]:
    """Variance of the grand mean and its degrees of freedom."""
    seeds_free = np.maximum(np.asarray(n_seeds) - 1, 1)
    users_free = np.maximum(squares.n_users - 1, 1)
    # Relative to the largest mean square, the squares below can neither overflow nor vanish.
    largest = np.maximum(np.maximum(squares.users, squares.seeds), squares.residual)
    scale = np.where(largest > 0, largest, 1.0)
    users, seeds, residual = squares.users / scale, squares.seeds / scale, squares.residual / scale

    combined, floor = users + seeds - residual, np.maximum(users, seeds)
    noise = users**2 / users_free + seeds**2 / seeds_free + residual**2 / (users_free * seeds_free)
    satterthwaite = combined**2 / np.where(noise > 0, noise, 1.0)
    df = np.where(combined > floor, satterthwaite, np.where(users > seeds, users_free, seeds_free))
    relative = np.maximum(combined, floor)

    # Two users who trade places in two seeds: only the residual varies, yet the mean is uncertain
    only_residual = floor < 1e-12 * residual
    relative = np.where(only_residual, residual, relative)
    df = np.where(only_residual, users_free * seeds_free, df)
    return relative * scale / np.maximum(squares.n_users * np.asarray(n_seeds), 1), df


def _t_interval(
    mean: Floats, variance: Floats, df: Floats, level: float, n_users: Counts, n_seeds: Counts
) -> Interval:
    _check_level(level)
    from scipy.special import stdtr, stdtrit

    error = np.sqrt(variance)
    half_width = np.where(variance == 0, 0.0, stdtrit(df, 0.5 + level / 2) * error)
    t = np.abs(mean) / np.where(variance == 0, 1.0, error)
    p_value = np.where(variance == 0, np.where(mean == 0, 1.0, 0.0), 2 * stdtr(df, -t))
    return Interval(
        mean=np.asarray(mean, dtype=np.float64),
        variance=np.asarray(variance, dtype=np.float64),
        df=np.asarray(df, dtype=np.float64),
        low=np.asarray(mean - half_width, dtype=np.float64),
        high=np.asarray(mean + half_width, dtype=np.float64),
        p_value=np.asarray(p_value, dtype=np.float64),
        n_users=np.asarray(n_users, dtype=np.int64),
        n_seeds=np.full(np.shape(mean), n_seeds, dtype=np.int64),
    )


def _mean_of_known(values: Floats, axis: int) -> tuple[Floats, Counts]:
    """Mean over the values that are not NaN (exact where all are the same), and how many these
    are."""
    known = ~np.isnan(values)
    count = known.sum(axis)
    origin = np.where(known, values, np.inf).min(axis, initial=np.inf)
    origin = np.where(count > 0, origin, 0.0)
    table = np.where(known, values - np.expand_dims(origin, axis), 0.0)
    mean = origin + table.sum(axis) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan), count
