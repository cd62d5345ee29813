"""Drift by embedding: how far the middle of a feed has moved in the space of the items' embeddings.

Both arms need the same embeddings. Those of two fits of one model cannot be compared, since each
fit has axes of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.measures.mix import position_weights
from recsys.measures.pair import FeedPair

_NUMBERS_AT_ONCE = 32_000
"""Points are made in blocks of so many numbers: larger arrays would not stay in the cache."""


def centroids(
    ids: ArrayLike, vectors: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """The weighted mean of the vectors of a feed's items.

    Args:
        ids: feeds, integer ids (n, k), -1 for empty slots.
        vectors: float (n_items, d), read as float32.
        weights: weight of each rank, float (k,), at least 0; None counts each slot once.

    Returns:
        Points, float64 (n, d); NaN where a feed is empty.

    Raises:
        ValueError: on shapes, dtypes or ids other than the above.

    Example:
        >>> centroids([[0, 1]], [[1.0, 0.0], [0.0, 1.0]], [3.0, 1.0]).tolist()
        [[0.75, 0.25]]
    """
    feeds, places = np.asarray(ids), np.asarray(vectors)
    if places.ndim != 2 or not np.issubdtype(places.dtype, np.floating):
        raise ValueError(
            f"vectors has shape {places.shape} and dtype {places.dtype}; "
            "expected float (n_items, d)"
        )
    ranks = position_weights(feeds, weights, places.shape[0])
    from recsys.measures.mix_kernels import centroid_rows

    points = np.empty((feeds.shape[0], places.shape[1]))
    centroid_rows(
        np.ascontiguousarray(feeds, dtype=np.int32),
        np.ascontiguousarray(places, dtype=np.float32),
        np.ascontiguousarray(ranks),
        points,
    )
    return points


def cosine_distance(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """1 - cosine of the angle between two points, seen from the origin.

    Args:
        a: points, float (n, d).
        b: points, float (n, d).

    Returns:
        Distance in [0, 2], float64 (n,): 0 the same direction, 1 at right angles, 2 opposite; NaN
        where a point is NaN or the origin itself.

    Raises:
        ValueError: on other shapes.

    Example:
        >>> cosine_distance([[1.0, 0.0], [2.0, 2.0]], [[0.0, 3.0], [1.0, 1.0]]).round(12).tolist()
        [1.0, 0.0]
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"a has shape {first.shape} and b {second.shape}; expected both (n, d)")
    lengths = [np.sqrt(np.einsum("nd,nd->n", x, x)) for x in (first, second)]
    have_direction = (lengths[0] > 0) & (lengths[1] > 0)
    # Of unit vectors u, v the distance is |u - v|² / 2: 0 exactly where they are the same.
    units = [
        np.divide(x, length[:, None], out=np.full(x.shape, np.nan), where=have_direction[:, None])
        for x, length in zip((first, second), lengths, strict=True)
    ]
    apart = units[0] - units[1]
    distance: NDArray[np.float64] = np.einsum("nd,nd->n", apart, apart) / 2
    return np.minimum(distance, 2.0)


def embedding_drift(pair: FeedPair) -> NDArray[np.float64]:
    """Cosine distance of the centroids of both feeds, slots weighted by attention."""
    assert pair.vectors is not None
    rows, axes = pair.feeds.shape[0], pair.vectors.shape[1]
    step = max(1, _NUMBERS_AT_ONCE // max(axes, 1))
    distance = np.empty(rows)
    for start in range(0, rows, step):
        block = slice(start, start + step)
        both = (ids[block] for ids in (pair.reference, pair.feeds))
        points = [centroids(ids, pair.vectors, pair.examine) for ids in both]
        distance[block] = cosine_distance(*points)
    return distance
