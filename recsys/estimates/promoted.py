"""Skip and promote: a morning's rankings without some posts, the rest moved up.

Where a platform keeps more of a ranking than it serves, this is the direct effect of posts on that
morning's feeds, without any model: who would have been served what, had these posts been skipped
that morning. It is exact for that morning's rankings alone, and only if the platform fills a slot
that becomes free with the next post of its source and does nothing else. What the posts did
earlier, to clicks, to models and to creators, is not in it, so it is no exact change of the mix.
What newcomers' posts displace is no estimate at all: it counts slots of the feeds that were served.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError

_Rank = TypeVar("_Rank", np.int32, np.uint8)
_MOST_SOURCES = 256
_KEYS = ("user_id", "day")


def promoted(
    rankings: NDArray[np.int32],
    left_out: NDArray[np.bool_],
    k: int,
    sources: NDArray[np.uint8] | None = None,
) -> NDArray[np.int32]:
    """The first k slots of each ranking without some posts.

    Args:
        rankings: int32 (n, depth), posts as ranked, -1 where there is none.
        left_out: bool (n_posts,), the posts that are taken out.
        k: number of slots that are served, such as 20.
        sources: uint8 (n, depth), what filled each slot, such as a trending list. If given, each
            of the k slots keeps its source, and posts move up within their source; a slot whose
            source holds nothing more takes the next post of any source. None moves all posts up.

    Returns:
        int32 (n, k); -1 at the end where the kept depth holds nothing more.

    Raises:
        ValueError: k is below 1, or `sources` has another shape than `rankings`.

    >>> ranking = np.array([[3, 0, 1, 2]], dtype=np.int32)
    >>> promoted(ranking, np.array([True, False, False, False]), 2).tolist()
    [[3, 1]]
    """
    if k < 1:
        raise ValueError(f"k is the number of slots that were served, at least 1; got {k}")
    if sources is not None and sources.shape != rankings.shape:
        raise ValueError(
            f"sources has shape {sources.shape} and rankings {rankings.shape}; give one for each"
        )
    if rankings.shape[1] < k:
        rankings = _as_deep(rankings, k, -1)
        sources = None if sources is None else _as_deep(sources, k, 0)
    kept = rankings >= 0
    kept[kept] = ~left_out[rankings[kept]]
    if sources is None:
        return _first(rankings, kept, k)
    out = np.full((rankings.shape[0], k), -1, dtype=np.int32)
    unused = kept.copy()
    for source in np.unique(sources):
        slots = (sources[:, :k] == source) & (rankings[:, :k] >= 0)
        own = kept & (sources == source)
        place = np.cumsum(slots, axis=1) - 1
        filled = slots & (place < own.sum(axis=1, keepdims=True))
        moved_up = _first(rankings, own, k)
        row, slot = np.nonzero(filled)
        out[row, slot] = moved_up[row, place[row, slot]]
        unused &= ~(own & (np.cumsum(own, axis=1) <= filled.sum(axis=1, keepdims=True)))
    gaps = (out < 0) & (rankings[:, :k] >= 0)
    row, slot = np.nonzero(gaps)
    out[row, slot] = _first(rankings, unused, k)[row, (np.cumsum(gaps, axis=1) - 1)[row, slot]]
    return _first(out, out >= 0, k)


def _as_deep(ranks: NDArray[_Rank], depth: int, empty: int) -> NDArray[_Rank]:
    """(n, depth): what stands in each rank; ranks that were not kept are empty."""
    return np.pad(ranks, ((0, 0), (0, depth - ranks.shape[1])), constant_values=empty)


def _first(rankings: NDArray[np.int32], kept: NDArray[np.bool_], k: int) -> NDArray[np.int32]:
    """Int32 (n, k): the first k posts that are kept in each row, -1 where there are fewer."""
    order = np.argsort(~kept, axis=1, kind="stable")[:, :k]
    there = np.take_along_axis(kept, order, axis=1)
    return np.where(there, np.take_along_axis(rankings, order, axis=1), np.int32(-1))


def direct_effect(
    rankings: pl.DataFrame,
    newcomers_posts: pl.Series,
    k: int,
    shares: Mapping[str, pl.Series] | None = None,
) -> pl.DataFrame:
    """The direct effect of newcomers' posts on the feeds of each user and day.

    Args:
        rankings: user_id · day · rank (1 = top) · item_id, deeper than what was served, and
            optionally source; one ranking for each user and day.
        newcomers_posts: the item_id of all posts by newcomers.
        k: number of slots that were served, such as 20.
        shares: by name, the item_id of the posts that are counted, such as
            `{"english": items.filter(language="en")["item_id"]}`.

    Returns:
        A frame user_id · day · slots (slots that were filled) · displaced (share of these that hold
        newcomers' posts: a count, exact by definition) · unknown (share that the kept depth could
        not fill again). For each name in `shares` there are NAME (share as served), NAME_without
        and NAME_change, served less without; a slot that could not be filled again counts in none
        of them. The change is that morning's direct effect alone; see above.

    Raises:
        LogError: a value is missing, a rank is not a whole number from 1 on, a user has two posts
            at one rank of a day, or there are more sources than 256.
        ValueError: k is below 1.

    >>> kept = pl.DataFrame({"user_id": ["ann"] * 3, "day": [7] * 3, "rank": [1, 2, 3],
    ...     "item_id": ["new", "old", "older"]})
    >>> direct_effect(kept, pl.Series(["new"]), k=2).row(0)
    ('ann', 7, 2, 0.5, 0.0)
    """
    _check(rankings)
    people = rankings.select(_KEYS).unique().sort(_KEYS).with_row_index("row")
    items = rankings.select("item_id").unique(maintain_order=True).with_row_index("post")
    table = rankings.join(people, on=_KEYS).join(items, on="item_id")
    row, rank, post = (table[name].to_numpy() for name in ("row", "rank", "post"))
    shape = people.height, max(int(rank.max(initial=0)), k)
    deep = np.full(shape, -1, dtype=np.int32)
    deep[row, rank - 1] = post
    sources = None
    if "source" in rankings.columns:
        sources = np.zeros(shape, dtype=np.uint8)
        sources[row, rank - 1] = table["source"].cast(pl.String).rank("dense").to_numpy() - 1
    by_newcomers = items["item_id"].is_in(newcomers_posts.implode()).to_numpy()
    without = promoted(deep, by_newcomers, k, sources)
    served = deep[:, :k]
    filled, again = served >= 0, without >= 0
    slots = np.maximum(filled.sum(axis=1), 1)
    columns = {
        "slots": filled.sum(axis=1),
        "displaced": _hits(served, by_newcomers, filled) / slots,
        "unknown": (filled & ~again).sum(axis=1) / slots,
    }
    for name, counted in (shares or {}).items():
        is_counted = items["item_id"].is_in(counted.implode()).to_numpy()
        both = filled & again
        known = np.maximum(both.sum(axis=1), 1)
        before, after = (_hits(feed, is_counted, both) / known for feed in (served, without))
        columns |= {name: before, f"{name}_without": after, f"{name}_change": before - after}
    return people.drop("row").with_columns(**{n: pl.Series(v) for n, v in columns.items()})


def _hits(
    feeds: NDArray[np.int32], which: NDArray[np.bool_], slots: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Int (n,): how many of some slots of each feed hold one of some posts."""
    hits = np.zeros(feeds.shape, dtype=np.bool_)
    hits[slots] = which[feeds[slots]]
    return np.asarray(hits.sum(axis=1))


def _check(rankings: pl.DataFrame) -> None:
    """Raises unless each user has one ranking for each day, with ranks from 1 on."""
    named = [name for name in (*_KEYS, "rank", "item_id", "source") if name in rankings.columns]
    missing = next((name for name in named if rankings[name].has_nulls()), None)
    if missing is not None:
        raise LogError(
            f"rankings: {rankings[missing].null_count()} of {rankings.height} rows have no "
            f"{missing}; leave these rows out, or fill them in"
        )
    rank = rankings["rank"]
    if not rank.dtype.is_integer():
        raise LogError(f"rankings: ranks are whole numbers, 1 on top; got {rank.dtype}")
    if (rank < 1).any():
        raise LogError(
            f"rankings: {(rank < 1).sum()} of {rankings.height} rows have a rank below 1; the top "
            "has rank 1, so add 1 to all if ranks begin at 0"
        )
    if rankings.select(*_KEYS, "rank").is_duplicated().any():
        raise LogError("rankings: a user has two posts at one rank of a day; keep one ranking each")
    if "source" in named and rankings["source"].n_unique() > _MOST_SOURCES:
        raise LogError(
            f"rankings: {rankings['source'].n_unique()} sources are more than {_MOST_SOURCES}; "
            "name the kind of a source, such as fresh or trending"
        )
