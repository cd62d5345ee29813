"""How attention is spread over posts and creators: one row a measure, for all users of an arm."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.exposure import attention, gini, homogenisation, share_by_size
from recsys.measures.rows import KEY_TYPES

EXPOSURE: dict[str, Any] = {
    **KEY_TYPES,
    "measure": pl.String,
    "value": pl.Float64,
    "n_users": pl.Int64,
}
"""Columns of the frame and their types."""

EXPOSURE_FORMULAS = {
    "gini_posts": "Gini of the attention to posts that could be served",
    "gini_creators": "Gini of the attention to creators who have such posts",
    "small_creators": "(attention to the half of such creators with fewest followers)/(attention)",
    "top_creators": "(attention to the 1 % of such creators with most followers)/(attention)",
    "coverage": "(such posts in any feed)/(such posts)",
    "homogenisation": "mean over pairs of users of (posts in common)/k",
    "popularity_lift": "(mean popularity of what is shown)/(of what the same users liked) - 1",
}
"""What is measured, by name. A log does not know followers: there, positive events on a creator's
items stand for them."""

_SMALL, _TOP = 0.5, 0.01
"""Share of the creators that are called small, and share that are called the top."""


class Pool(NamedTuple):
    """What could be served on a day, and how popular it is.

    Attributes:
        candidates: bool (n_items,), True where an item could be served.
        creators: int32 (n_items,), number of each item's creator; None if a log names none.
        popularity: float64 (n_items,), share of the users who liked each item.
        liked: float64 (n,), mean popularity of what each user liked before; NaN for a user who
            liked nothing.
        sizes: float64 (creators,), size of each creator by number, such as followers. NaN for
            newcomers, who have had no time to gather followers, and for creators that a log does
            not name. None if no size is there.
    """

    candidates: NDArray[np.bool_]
    creators: NDArray[np.int32] | None
    popularity: NDArray[np.float64]
    liked: NDArray[np.float64]
    sizes: NDArray[np.float64] | None = None


def exposure_rows(
    keys: Mapping[str, Any], ids: NDArray[np.int32], examine: NDArray[np.float64], pool: Pool
) -> pl.DataFrame:
    """A row for each measure of `EXPOSURE_FORMULAS` whose inputs are there.

    Args:
        keys: recommender, mitigation, arm, seed, draw, day and cohort of the rows.
        ids: int32 (n, k), feeds of the users, -1 for empty slots.
        examine: float64 (k,), probability that a slot is looked at.
        pool: what could be served.

    Returns:
        Columns as in `EXPOSURE`.

    >>> pool = Pool(np.ones(4, dtype=bool), None, np.array([1, 0.5, 0, 0]), np.array([0.5, 0.5]))
    >>> keys = {"recommender": "x", "mitigation": "none", "arm": "control", "seed": 0, "draw": 0,
    ...     "day": 1, "cohort": "incumbent"}
    >>> feeds = np.array([[0, 1], [0, 2]], dtype=np.int32)
    >>> rows = exposure_rows(keys, feeds, np.ones(2), pool)
    >>> rows.select("measure", "value").rows()
    [('gini_posts', 0.375), ('coverage', 0.75), ('homogenisation', 0.5), ('popularity_lift', 0.25)]
    """
    n_items = pool.candidates.size
    looks = attention(ids, examine, n_items)
    shown = np.unique(ids[ids >= 0])
    among = pool.candidates.copy()
    among[shown] = True
    values = {"gini_posts": float(gini(looks[among])) if among.any() else float("nan")}
    if pool.creators is not None and among.any():
        creators, number = np.unique(pool.creators[among], return_inverse=True)
        creators_looks = np.bincount(number, looks[among], minlength=creators.size)
        values["gini_creators"] = float(gini(creators_looks))
        if pool.sizes is not None:
            sizes = pool.sizes[creators]
            values["small_creators"] = share_by_size(creators_looks, sizes, _SMALL)
            values["top_creators"] = share_by_size(creators_looks, sizes, _TOP, largest=True)
    values["coverage"] = shown.size / max(int(among.sum()), 1)
    values["homogenisation"] = homogenisation(ids, n_items)
    values["popularity_lift"] = _lift(ids, pool)
    rows = [
        {**keys, "measure": name, "value": None if np.isnan(x) else x, "n_users": len(ids)}
        for name, x in values.items()
    ]
    return pl.DataFrame(rows, schema=EXPOSURE)


def _lift(ids: NDArray[np.int32], pool: Pool) -> float:
    """Mean popularity of what is shown / that of what was liked, - 1; over users who have both."""
    filled = ids >= 0
    slots = filled.sum(axis=1)
    total = np.where(filled, pool.popularity[np.where(filled, ids, 0)], 0.0).sum(axis=1)
    both = (slots > 0) & ~np.isnan(pool.liked)
    liked = pool.liked[both].sum()
    if not liked > 0:
        return float("nan")
    return float((total[both] / slots[both]).sum() / liked - 1)
