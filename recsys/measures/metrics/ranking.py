"""How well recommendations find what their users like later: one value a user.

The value is NaN for a user who likes nothing later.

NDCG and recall are also measures of feeds and stand in `recsys.measures.quality`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.measures.quality import checked_hits


def precision(hits: ArrayLike, n_relevant: ArrayLike) -> NDArray[np.float64]:
    """Precision: share of the k slots that hold a relevant item. An empty slot is a miss.

    Args:
        hits: True where the item on the rank is relevant, bool (n, k).
        n_relevant: relevant items of the user, recommended or not, integers (n,).

    Returns:
        Share in [0, 1], float64 (n,); NaN where nothing is relevant.

    Raises:
        ValueError: on shapes or dtypes other than the above, or more hits than relevant items.

    Example:
        >>> precision([[True, False], [False, False]], [4, 0]).tolist()
        [0.5, nan]
    """
    hit, relevant = checked_hits(hits, n_relevant)
    return np.where(relevant > 0, hit.mean(axis=1), np.nan)


def hit_rate(hits: ArrayLike, n_relevant: ArrayLike) -> NDArray[np.float64]:
    """Hit rate: 1 where at least one slot holds a relevant item, else 0.

    Args, Raises: as in `precision`.

    Returns:
        0 or 1, float64 (n,); NaN where nothing is relevant.

    Example:
        >>> hit_rate([[True, True], [False, False]], [4, 1]).tolist()
        [1.0, 0.0]
    """
    hit, relevant = checked_hits(hits, n_relevant)
    return np.where(relevant > 0, hit.any(axis=1).astype(np.float64), np.nan)


def reciprocal_rank(hits: ArrayLike, n_relevant: ArrayLike) -> NDArray[np.float64]:
    """Reciprocal rank: 1 / rank of the first relevant item, 0 where none is among the k.

    Its mean over users is the MRR.

    Args, Raises: as in `precision`.

    Returns:
        In [0, 1], float64 (n,); NaN where nothing is relevant.

    Source:
        Voorhees (1999), The TREC-8 question answering track report.

    Example:
        >>> reciprocal_rank([[False, True], [False, False]], [4, 1]).tolist()
        [0.5, 0.0]
    """
    hit, relevant = checked_hits(hits, n_relevant)
    first = np.where(hit.any(axis=1), 1.0 / (hit.argmax(axis=1) + 1), 0.0)
    return np.where(relevant > 0, first, np.nan)


def average_precision(hits: ArrayLike, n_relevant: ArrayLike) -> NDArray[np.float64]:
    """Average precision: Σ_r hit_r · (hits up to r)/r, over min(n_relevant, k).

    The best list possible gets 1. Where k is at least n_relevant, this is the average precision of
    TREC. Its mean over users is the MAP.

    Args, Raises: as in `precision`.

    Returns:
        In [0, 1], float64 (n,); NaN where nothing is relevant.

    Source:
        Buckley & Voorhees (2000), Evaluating evaluation measure stability, SIGIR.

    Example:
        >>> average_precision([[True, False, True], [True, True, True]], [2, 9]).round(3).tolist()
        [0.833, 1.0]
    """
    hit, relevant = checked_hits(hits, n_relevant)
    k = hit.shape[1]
    at_rank = np.cumsum(hit, axis=1) / np.arange(1, k + 1)
    gained = np.where(hit, at_rank, 0.0).sum(axis=1)
    return np.where(relevant > 0, gained / np.clip(relevant, 1, k), np.nan)
