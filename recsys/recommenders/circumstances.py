"""Circumstances in which a post was shown, which change its chance of a click.

They are the slot, what the user had seen earlier that day, and how much the user clicks. The trees
of the ranker learn from them beside the features of a post, so that they do not take a good slot
for a good post. When a feed is made the circumstances are set to the same values for every post:
see `served`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.logs.log import InteractionLog
from recsys.recommenders.attributes import Attribute

_PRIOR_LOOKS = 6.0
"""Number of looks at the mean click rate that are added to the looks of each user."""


class Circumstances(NamedTuple):
    """How each item was first shown to each user.

    The columns of `values` are, in this order:

    - the rank;
    - log1p of the number of items that the user was shown earlier on the same day;
    - the user's clicks per look on other items;
    - for each attribute, how many of these earlier items had the same value.
    """

    pairs: NDArray[np.int64]
    """(n,) number of the pair, user · n_items + item, ascending."""
    values: NDArray[np.float64]
    """(n, 3 + n_attributes); NaN where a value is not known."""


def circumstances(log: InteractionLog, attributes: Sequence[Attribute]) -> Circumstances:
    """Computes the circumstances of each pair of a user and an item in a log.

    Args:
        log: what was shown and clicked on some days.
        attributes: attributes of the items, such as those of `categories`.

    >>> log = InteractionLog.from_frames({"user_id": [1, 1], "item_id": [7, 8], "rank": [1, 2],
    ...     "kind": ["click", "impression"], "timestamp": ["2025-01-01", "2025-01-01"]})
    >>> circumstances(log, []).values.round(3).tolist()
    [[1.0, 0.0, 0.429], [2.0, 0.693, 0.571]]
    """
    looks = log.dense.unique(["user", "item"], keep="first", maintain_order=True)
    user, item = (looks[name].to_numpy().astype(np.int64) for name in ("user", "item"))
    pairs = user * log.n_items + item
    clicked = np.isin(pairs, _liked_pairs(log))
    rate = clicked.mean()
    looked, clicks = np.bincount(user), np.bincount(user, clicked)
    others = (clicks[user] - clicked + _PRIOR_LOOKS * rate) / (looked[user] - 1 + _PRIOR_LOOKS)
    day = looks.select("user", pl.col("timestamp").dt.date().alias("day"))
    codes = [pl.Series("code", attribute.codes[item]) for attribute in attributes]
    same = [_n_earlier(day.with_columns(code)) for code in codes]
    earlier = np.stack([np.log1p(_n_earlier(day)), *same], axis=1)
    if not log.has_times:
        earlier[:] = np.nan
    rank = looks["rank"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    columns = [rank, earlier[:, 0], others, *earlier[:, 1:].T]
    order = np.argsort(pairs, kind="stable")
    return Circumstances(pairs[order], np.stack(columns, axis=1)[order])


def served(learned_from: Circumstances) -> NDArray[np.float64]:
    """The circumstances at which posts are scored: the first slot of a day, the mean click rate.

    Args:
        learned_from: the circumstances that the trees learned from.

    Returns:
        Float64 (3 + n_attributes,).
    """
    values = np.zeros(learned_from.values.shape[1])
    values[0] = 1.0
    values[2] = learned_from.values[:, 2].mean()
    return values


def _n_earlier(looks: pl.DataFrame) -> NDArray[np.float64]:
    """Float64 (n,): for each row, the number of earlier rows with the same values."""
    counted = looks.select(pl.int_range(pl.len()).over(looks.columns))
    return counted.to_series().cast(pl.Float64).to_numpy()


def _liked_pairs(log: InteractionLog) -> NDArray[np.int64]:
    """Numbers of the pairs with a positive event, as in `Circumstances.pairs`."""
    liked = log.dense.filter(pl.col("weight") > 0)
    return np.asarray(
        liked["user"].to_numpy().astype(np.int64) * log.n_items + liked["item"].to_numpy()
    )
