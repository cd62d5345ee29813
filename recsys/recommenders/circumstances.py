"""What else told whether a note was clicked when it was shown: where, when, and in which mood.

A click says something about a note only beside the slot it was in, what its reader had seen that
day and how much the reader clicked at all. Trees that know this need not blame the note for it;
when feeds are made it is the same for all notes: see `served`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.logs.log import InteractionLog
from recsys.recommenders.attributes import Attribute

_WORTH = 6.0
"""Looks' worth of everybody's click rate in a reader's."""


class Circumstances(NamedTuple):
    """Pairs of users and items, and how the item was first shown."""

    pairs: NDArray[np.int64]
    """(n,) user · n_items + item, ascending."""
    values: NDArray[np.float64]
    """(n, 3 + n_attributes): rank; log1p of the items that the user was shown earlier on that day;
    clicks per look of the user's other looks; and for each attribute how many of the earlier items
    shared it. NaN where it is not known."""


def circumstances(log: InteractionLog, attributes: Sequence[Attribute]) -> Circumstances:
    """How each item was first shown to each user of a log.

    Args:
        log: what was shown and clicked in some days.
        attributes: of the items.

    >>> log = InteractionLog.from_frames({"user_id": [1, 1], "item_id": [7, 8], "rank": [1, 2],
    ...     "kind": ["click", "impression"], "timestamp": ["2025-01-01", "2025-01-01"]})
    >>> circumstances(log, []).values.round(3).tolist()
    [[1.0, 0.0, 0.429], [2.0, 0.693, 0.571]]
    """
    looks = log.dense.unique(["user", "item"], keep="first", maintain_order=True)
    user, item = (looks[name].to_numpy().astype(np.int64) for name in ("user", "item"))
    pairs = user * log.n_items + item
    clicked = np.isin(pairs, _liked(log))
    rate = clicked.mean()
    looked, clicks = np.bincount(user), np.bincount(user, clicked)
    others = (clicks[user] - clicked + _WORTH * rate) / (looked[user] - 1 + _WORTH)
    day = looks.select("user", pl.col("timestamp").dt.date().alias("day"))
    codes = [pl.Series("code", attribute.codes[item]) for attribute in attributes]
    same = [_earlier(day.with_columns(each)) for each in codes]
    earlier = np.stack([np.log1p(_earlier(day)), *same], axis=1)
    if not log.has_times:
        earlier[:] = np.nan
    rank = looks["rank"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    columns = [rank, earlier[:, 0], others, *earlier[:, 1:].T]
    order = np.argsort(pairs, kind="stable")
    return Circumstances(pairs[order], np.stack(columns, axis=1)[order])


def served(found: Circumstances) -> NDArray[np.float64]:
    """(3 + n_attributes,): the first slot of a day, at everybody's click rate."""
    values = np.zeros(found.values.shape[1])
    values[0] = 1.0
    values[2] = found.values[:, 2].mean()
    return values


def _earlier(looks: pl.DataFrame) -> NDArray[np.float64]:
    """How many rows before each have the same values."""
    counted = looks.select(pl.int_range(pl.len()).over(looks.columns))
    return counted.to_series().cast(pl.Float64).to_numpy()


def _liked(log: InteractionLog) -> NDArray[np.int64]:
    liked = log.dense.filter(pl.col("weight") > 0)
    return np.asarray(
        liked["user"].to_numpy().astype(np.int64) * log.n_items + liked["item"].to_numpy()
    )
