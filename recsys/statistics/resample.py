"""Means of resampled readers and seeds, for what no formula gives an interval of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def resampled_means(y: ArrayLike, resamples: int = 999) -> NDArray[np.float64]:
    """Means over users and seeds drawn again with replacement, both at once.

    Owen (2007), "The pigeonhole bootstrap", Annals of Applied Statistics 1: of users crossed with
    seeds it errs towards too wide, where drawing one of the two alone is far too narrow. With few
    seeds it errs the other way: a mean over S seeds varies by (S - 1) / S too little.

    Args:
        y: (..., users, seeds) float without NaN, any unit.
        resamples: how many.

    Returns:
        float64 (resamples, ...). Arrays of as many users and seeds are resampled alike, so that
        curves stay paired, and again the same in another call: draws are keyed.

    Raises:
        ValueError: fewer than two axes, or no user or seed.

    >>> y = np.add.outer(np.arange(100.0), [0.0, 10.0])
    >>> drawn = resampled_means(y)
    >>> drawn.shape, bool(abs(drawn.mean() - y.mean()) < 1)
    ((999,), True)
    """
    values = np.asarray(y, dtype=np.float64)
    if values.ndim < 2 or 0 in values.shape[-2:]:
        raise ValueError(f"y has shape {values.shape}; expected (..., users, seeds), some of each")
    users, seeds = (_counts(axis, n, resamples) / n for axis, n in enumerate(values.shape[-2:]))
    flat = values.reshape(-1, *values.shape[-2:])
    found = np.einsum("ru,dus,rs->rd", users, flat, seeds, optimize=["einsum_path", (0, 1), (0, 1)])
    return np.asarray(found.reshape(resamples, *values.shape[:-2]))


def _counts(axis: int, n: int, resamples: int) -> NDArray[np.float64]:
    """How often each of n is drawn in each resample, (resamples, n)."""
    from recsys.core.noise import Stream, uniforms

    blocks = np.arange(-(-n // 4))
    u = uniforms(axis, Stream.RESAMPLE, np.arange(resamples)[:, None], blocks)
    chosen = np.minimum((u.reshape(resamples, -1)[:, :n] * n).astype(np.int64), n - 1)
    place = np.arange(resamples)[:, None] * n + chosen
    return np.bincount(place.ravel(), minlength=resamples * n).reshape(resamples, n).astype(float)
