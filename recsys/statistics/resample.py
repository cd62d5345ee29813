"""Bootstrap over users and seeds, for quantities whose interval no formula gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Floats


def resampled_means(y: ArrayLike, resamples: int = 999) -> Floats:
    """Means over users and seeds, both drawn with replacement in each resample.

    Owen (2007), "The pigeonhole bootstrap", Annals of Applied Statistics 1. For users crossed with
    seeds its intervals are somewhat too wide, while resampling users or seeds alone gives intervals
    that are far too narrow. With few seeds they are too narrow: the variance of a mean over S seeds
    comes out as (S - 1) / S of the true one.

    Args:
        y: (..., users, seeds) float without NaN, any unit.
        resamples: number of resamples, such as 999.

    Returns:
        Float64 (resamples, ...). Draws are keyed: all calls with the same number of users and seeds
        draw the same users and seeds, so that curves can be compared resample by resample.

    Raises:
        ValueError: ``y`` has fewer than two axes, or no user or seed.

    >>> y = np.add.outer(np.arange(100.0), [0.0, 10.0])
    >>> means = resampled_means(y)
    >>> means.shape, bool(abs(means.mean() - y.mean()) < 1)
    ((999,), True)
    """
    values = np.asarray(y, dtype=np.float64)
    if values.ndim < 2 or 0 in values.shape[-2:]:
        raise ValueError(f"y has shape {values.shape}; expected (..., users, seeds), some of each")
    users, seeds = (_counts(axis, n, resamples) / n for axis, n in enumerate(values.shape[-2:]))
    flat = values.reshape(-1, *values.shape[-2:])
    means = np.einsum("ru,dus,rs->rd", users, flat, seeds, optimize=["einsum_path", (0, 1), (0, 1)])
    return np.asarray(means.reshape(resamples, *values.shape[:-2]))


def _counts(axis: int, n: int, resamples: int) -> Floats:
    """(resamples, n): number of times that each of n users or seeds is drawn."""
    from recsys.core.noise import Stream, uniforms

    blocks = np.arange(-(-n // 4))
    u = uniforms(axis, Stream.RESAMPLE, np.arange(resamples)[:, None], blocks)
    chosen = np.minimum((u.reshape(resamples, -1)[:, :n] * n).astype(np.int64), n - 1)
    place = np.arange(resamples)[:, None] * n + chosen
    return np.bincount(place.ravel(), minlength=resamples * n).reshape(resamples, n).astype(float)
