"""Beyond accuracy: how well known are the items that are recommended?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def novelty(item_ids: ArrayLike, likers: ArrayLike, n_users: int) -> NDArray[np.float64]:
    """Novelty: mean self-information of the recommended items, -log2(likers_i / n_users).

    An item that nobody liked counts as one that a single user did.

    Args:
        item_ids: integer ids (n, k), -1 for empty slots.
        likers: number of users who liked each item, integers (n_items,), such as [8, 2].
        n_users: number of users who liked anything, such as 8; at least 1.

    Returns:
        Bits, float64 (n,); 0 where everybody knows everything; NaN where nothing is recommended.

    Raises:
        ValueError: on shapes, dtypes or ids other than the above.

    Source:
        Zhou et al. (2010), Solving the apparent diversity-accuracy dilemma of recommender systems,
        PNAS 107(10).

    Example:
        >>> novelty([[0, 1], [1, -1]], [8, 2], n_users=8).tolist()
        [1.0, 2.0]
    """
    if n_users < 1:
        raise ValueError(f"n_users is {n_users}; expected at least 1")
    information = -np.log2(np.maximum(np.asarray(likers), 1) / n_users)
    return _mean_over_slots(item_ids, information)


def mean_popularity(item_ids: ArrayLike, popularity: ArrayLike) -> NDArray[np.float64]:
    """Mean popularity of the recommended items.

    Args:
        item_ids: integer ids (n, k), -1 for empty slots.
        popularity: share of the users who liked each item, float (n_items,).

    Returns:
        Share, float64 (n,); NaN where nothing is recommended.

    Raises:
        ValueError: on shapes, dtypes or ids other than the above.

    Example:
        >>> mean_popularity([[0, 1], [-1, -1]], [0.5, 0.1]).tolist()
        [0.3, nan]
    """
    return _mean_over_slots(item_ids, np.asarray(popularity, dtype=np.float64))


def popularity_lift(recommended: ArrayLike, consumed: ArrayLike) -> np.float64:
    """Popularity lift of a group: GAP of what is recommended over GAP of what was liked, minus 1.

    GAP, the group average popularity, is the mean over users of the mean popularity of their items.
    Above 0 the recommender shows more popular items than people choose. Users without one of the
    two are left out.

    Args:
        recommended: mean popularity of what is recommended to each user, float (n,).
        consumed: mean popularity of what each user liked before, float (n,).

    Returns:
        At least -1; NaN where no user has both.

    Raises:
        ValueError: on other shapes.

    Source:
        Abdollahpouri et al. (2019), The unfairness of popularity bias in recommendation, RMSE.

    Example:
        >>> float(popularity_lift([0.3, 0.3, 0.9], [0.1, 0.2, float("nan")]).round(6))
        1.0
    """
    shown, liked = np.asarray(recommended, np.float64), np.asarray(consumed, np.float64)
    if shown.ndim != 1 or shown.shape != liked.shape:
        raise ValueError(
            f"recommended has shape {shown.shape} and consumed {liked.shape}; expected (n,) each"
        )
    both = ~np.isnan(shown) & ~np.isnan(liked)
    if not both.any():
        return np.float64(np.nan)
    return np.float64(shown[both].mean() / liked[both].mean() - 1)


def _mean_over_slots(item_ids: ArrayLike, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean value of the items in the filled slots of each row."""
    ids = np.asarray(item_ids)
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer) or values.ndim != 1:
        raise ValueError(
            f"item_ids has shape {ids.shape} and dtype {ids.dtype}, and there are values of shape "
            f"{values.shape}; expected integers (n, k) and (n_items,)"
        )
    if ids.size and not -1 <= ids.min() <= ids.max() < values.size:
        raise ValueError(f"item_ids must be -1 to {values.size - 1}")
    filled = ids >= 0
    totals = np.where(filled, values[np.where(filled, ids, 0)], 0.0).sum(axis=1)
    count = filled.sum(axis=1)
    mean = np.full(count.size, np.nan)
    np.divide(totals, count, out=mean, where=count > 0)
    return mean
