"""Freshness windows: fresh items are ranked first, and older ones follow behind them.

A collaborative model scores every item that anybody ever liked, however old. A window of d days
lets it rank items published within d days before now; only where these do not fill a feed does it
go on to those up to 2d days old, then up to 4d, and so on.
"""
# mypy: disallow-untyped-decorators=False

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from recsys.logs.log import InteractionLog
from recsys.logs.times import DAY


def last_like(log: InteractionLog) -> float:
    """The moment of the last positive event in milliseconds since 1970; NaN without times.

    Args:
        log: a log with a positive event.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 2], "item_id": [7, 7], "timestamp": [1_736_640_000, 1_736_640_060]})
    >>> last_like(log)
    1736640060000.0
    """
    if not log.has_times:
        return np.nan
    liked = log.dense["weight"].to_numpy() > 0
    return float(log.milliseconds[liked].max())


def midnight_after(moment: float) -> float:
    """The end of a day in UTC, in milliseconds since 1970.

    A window that ends there does not move when a like at the end of the log is left out.

    Args:
        moment: in milliseconds since 1970; a midnight is returned as it is.

    >>> midnight_after(1.0), midnight_after(86_400_000.0)
    (86400000.0, 86400000.0)
    """
    return float(np.ceil(moment / DAY) * DAY)


def ages(log: InteractionLog, now: float) -> NDArray[np.float64]:
    """Days since each item was published.

    Args:
        log: a log, in whose items the column `published` holds dates or datetimes.
        now: a moment in milliseconds since 1970.

    Returns:
        Float64 (n_items,), NaN where the age is not known; below 0 for an item that is published
        after now.

    >>> items = pl.DataFrame({"item_id": [7, 8]}).with_columns(published=pl.date(2025, 1, 10))
    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1], "item_id": [7], "timestamp": ["2025-01-12"]}, items=items)
    >>> ages(log, last_like(log)).tolist()
    [2.0, 2.0]
    """
    published = log.items.get_column("published", default=None)
    if published is None or not isinstance(published.dtype, pl.Datetime | pl.Date):
        return np.full(log.n_items, np.nan)
    moment = published.cast(pl.Datetime("ms")).to_numpy()  # null turns NaT
    since_1970 = np.where(np.isnat(moment), np.nan, moment.astype(np.int64))
    return np.asarray((now - since_1970) / DAY)


def by_window(
    items: NDArray[np.int32], age: NDArray[np.float64], days: float
) -> list[NDArray[np.int32]]:
    """Items by window, the freshest first: up to `days` old, up to 2·days, up to 4·days, ….

    Args:
        items: int32 (n,), dense ids.
        age: float64 (n_items,), from `ages`.
        days: width of the first window, such as 5.0.

    Returns:
        Windows that hold any of the items, each in their order; items of unknown age make the last.

    >>> age = np.array([1.0, 5.0, 5.1, 11.0, np.nan])
    >>> [part.tolist() for part in by_window(np.arange(5, dtype=np.int32), age, 5.0)]
    [[0, 1], [2], [3], [4]]
    """
    of_items = age[items]
    known = of_items[~np.isnan(of_items)]
    doublings = np.ceil(np.log2(max(known.max(initial=days) / days, 1.0)))
    edges = days * 2.0 ** np.arange(doublings + 1)
    window = np.searchsorted(edges, of_items)  # NaN sorts behind all numbers
    return [items[window == number] for number in np.unique(window)]


@njit(nogil=True, cache=True)
def follow(ids, scores, rows, more_ids, more_scores):  # type: ignore[no-untyped-def]
    """Puts the best items of an older window behind what some rows hold already.

    Their scores are lowered by as much as the first of them exceeds the last score before, so that
    scores fall from slot to slot and keep their distances within a window.

    Args:
        ids: int32 (n_users, k), changed; -1 in an empty slot.
        scores: float32 (n_users, k), changed; NaN in an empty slot.
        rows: int (n,), the rows to fill.
        more_ids: int32 (n, k), the best item first; -1 in an empty slot.
        more_scores: float32 (n, k), likewise.

    >>> ids, scores = np.array([[3, -1, -1]], np.int32), np.array([[2, np.nan, np.nan]], np.float32)
    >>> follow(ids, scores, np.array([0]), np.array([[8, 9, 7]], np.int32),
    ...     np.array([[5, 4.5, 1]], np.float32))
    >>> ids.tolist(), scores.tolist()
    ([[3, 8, 9]], [[2.0, 2.0, 1.5]])
    """
    for at in range(rows.size):
        row, held = rows[at], 0
        while held < ids.shape[1] and ids[row, held] >= 0:
            held += 1
        last, excess = np.float32(np.inf), 0.0
        if held > 0:
            last = scores[row, held - 1]
            excess = max(np.float64(more_scores[at, 0]) - np.float64(last), 0.0)
        for slot in range(held, ids.shape[1]):
            lowered = np.float32(np.float64(more_scores[at, slot - held]) - excess)
            ids[row, slot] = more_ids[at, slot - held]
            scores[row, slot] = last if lowered > last else lowered
