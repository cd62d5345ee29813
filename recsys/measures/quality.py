"""How good a feed is for its user: expected clicks in a world, later clicks in a log.

Drift alone does no harm, and a feed that never changes has none. So read quality beside drift.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.measures.pair import FeedPair, ratio


def utility(relevance: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """Expected click rate of a feed: Σ w·relevance / Σ w over its filled slots.

    Args:
        relevance: probability that the user clicks the slot when looking at it, float (n, k);
            NaN for empty slots.
        weights: probability that the user looks at the rank, float (k,), at least 0.

    Returns:
        Utility, in the range of `relevance`, float64 (n,); NaN where a feed is empty.

    Raises:
        ValueError: on shapes other than the above.

    Example:
        >>> utility([[0.3, 0.1], [0.3, float("nan")]], [1.0, 0.5]).round(4).tolist()
        [0.2333, 0.3]
    """
    values, looks = np.asarray(relevance, np.float64), np.asarray(weights, np.float64)
    if values.ndim != 2 or looks.shape != values.shape[1:]:
        raise ValueError(
            f"relevance has shape {values.shape} and weights {looks.shape}; "
            "expected (n, k) and (k,)"
        )
    if not (looks >= 0).all():
        raise ValueError(f"weights are {looks.tolist()}; expected at least 0")
    filled = ~np.isnan(values)
    whole = np.where(filled, looks, 0.0).sum(axis=1)
    part = np.where(filled, looks * np.where(filled, values, 0.0), 0.0).sum(axis=1)
    return ratio(part, whole)


def ndcg(hits: ArrayLike, n_relevant: ArrayLike) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain: Σ_r hit_r/log2(r+1), over that of the best feed
    possible.

    The best feed possible holds min(n_relevant, k) hits, on top. It is not the best order of the
    hits that are there: by that, a feed with a single hit, on rank 1, would be perfect.

    Args:
        hits: True where the item on the rank is relevant, bool (n, k).
        n_relevant: relevant items of the user, in the feed or not, integers (n,).

    Returns:
        Quality in [0, 1], float64 (n,); NaN where nothing is relevant.

    Raises:
        ValueError: on shapes or dtypes other than the above, or more hits than relevant items.

    Source:
        Järvelin & Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques, ACM TOIS
        20(4).

    Example:
        >>> ndcg([[True, False], [False, True]], [1, 5]).round(3).tolist()
        [1.0, 0.387]
    """
    hit, relevant = checked_hits(hits, n_relevant)
    discounts = 1.0 / np.log2(np.arange(2, hit.shape[1] + 2))
    # Running sums on both sides add in the same order, so the best feed possible is 1.0 exactly.
    gain = np.cumsum(hit * discounts, axis=1)[:, -1]
    ideal = np.cumsum(discounts)[np.clip(relevant, 1, hit.shape[1]) - 1]
    return np.where(relevant > 0, gain / ideal, np.nan)


def recall(hits: ArrayLike, n_relevant: ArrayLike) -> NDArray[np.float64]:
    """Recall: relevant items found in the feed, over relevant items there are.

    Args:
        hits: True where the item on the rank is relevant, bool (n, k).
        n_relevant: relevant items of the user, in the feed or not, integers (n,).

    Returns:
        Share in [0, 1], float64 (n,); NaN where nothing is relevant.

    Raises:
        ValueError: on shapes or dtypes other than the above, or more hits than relevant items.

    Example:
        >>> recall([[True, False], [False, False]], [4, 0]).tolist()
        [0.25, nan]
    """
    hit, relevant = checked_hits(hits, n_relevant)
    return np.where(relevant > 0, hit.sum(axis=1) / np.maximum(relevant, 1), np.nan)


# --- the same for a FeedPair: levels of the measured feeds ----------------------------------------


def feed_utility(pair: FeedPair) -> NDArray[np.float64]:
    """Utility of the measured feeds."""
    assert pair.relevance is not None
    return utility(np.where(pair.feeds >= 0, pair.relevance, np.nan), pair.examine)


def feed_ndcg(pair: FeedPair) -> NDArray[np.float64]:
    """NDCG of the measured feeds."""
    assert pair.hits is not None
    assert pair.n_relevant is not None
    return ndcg(pair.hits & (pair.feeds >= 0), pair.n_relevant)


def feed_recall(pair: FeedPair) -> NDArray[np.float64]:
    """Recall of the measured feeds."""
    assert pair.hits is not None
    assert pair.n_relevant is not None
    return recall(pair.hits & (pair.feeds >= 0), pair.n_relevant)


def checked_hits(
    hits: ArrayLike, n_relevant: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Both as arrays, if they can be the hits and relevant items of the same users.

    Args, Raises: as in `ndcg`.
    """
    hit, relevant = np.asarray(hits), np.asarray(n_relevant)
    if hit.ndim != 2 or hit.shape[1] == 0 or hit.dtype != np.bool_:
        raise ValueError(f"hits has shape {hit.shape} and dtype {hit.dtype}; expected bool (n, k)")
    if relevant.shape != hit.shape[:1] or not np.issubdtype(relevant.dtype, np.integer):
        raise ValueError(
            f"n_relevant has shape {relevant.shape} and dtype {relevant.dtype}; "
            f"expected integers ({hit.shape[0]},)"
        )
    too_many = hit.sum(axis=1) > relevant
    if too_many.any():
        row = int(np.argmax(too_many))
        raise ValueError(
            f"row {row} has {hit[row].sum()} hits and n_relevant {relevant[row]}; "
            "expected no more hits than relevant items"
        )
    return hit, relevant.astype(np.int64)
