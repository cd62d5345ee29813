"""Frames of served feeds as arrays: checked once, on the way in; numbered alike in all frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.logs.schema import checked, to_polars

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_LARGEST = 2**63 - 1


@dataclass(frozen=True, eq=False)
class Served:
    """The feeds of one frame, in the order of days and, within a day, of users.

    Attributes:
        day: int32 (n,), place of the day in `Numbers.days`.
        user: int32 (n,), place of the user in `Numbers.users`.
        ids: int32 (n, k), places of the items in `Numbers.items`, -1 for empty slots at the end.
        scores: float64 (n, k), NaN where there is none; None if the frame has no scores.
    """

    day: NDArray[np.int32]
    user: NDArray[np.int32]
    ids: NDArray[np.int32]
    scores: NDArray[np.float64] | None

    @property
    def days(self) -> list[int]:
        """The days that have feeds, in order."""
        return [int(day) for day in np.unique(self.day)]

    def on(self, day: int) -> slice:
        """The rows of a day."""
        return slice(*(int(edge) for edge in np.searchsorted(self.day, [day, day + 1])))


@dataclass(frozen=True, eq=False)
class Numbers:
    """What the numbers in `Served` stand for: ids and days as people gave them, in order.

    Attributes:
        users, items: ids, integers or text.
        days: integers or dates; one null where feeds have no day.
    """

    users: pl.Series
    items: pl.Series
    days: pl.Series

    @property
    def has_days(self) -> bool:
        """Whether feeds have days."""
        return self.days.null_count() == 0


def read_feeds(frames: Mapping[str, Any], k: int | None) -> tuple[dict[str, Served], Numbers]:
    """Feeds as arrays, all frames numbered alike.

    Args:
        frames: by what messages call them: user_id · rank (1 = top) · item_id, and day and score
            where there are any; a row a slot.
        k: ranks to keep; None for the deepest feed of all.

    Returns:
        The feeds of each frame, and what their numbers mean.

    Raises:
        LogError: frames that lack a column or rows, ids or days that do not match, ranks that
            repeat or leave gaps, an item that stands twice in a feed.
    """
    tables = {
        name: checked(to_polars(frame, name), "feeds", name) for name, frame in frames.items()
    }
    for name, table in tables.items():
        if table.is_empty():
            raise LogError(f"{name}: no rows, so no feeds; check the file and what filters it")
    tables = _with_days(tables)
    for column in ("user_id", "item_id"):
        tables = _with_ids(tables, column)
    numbers = Numbers(*(_known(tables, column) for column in ("user_id", "item_id", "day")))
    depth = max(int(table["rank"].max()) for table in tables.values()) if k is None else k  # type: ignore[arg-type]
    return {name: _served(table, numbers, depth, name) for name, table in tables.items()}, numbers


def rows_of_ids(ids: pl.Series, frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """A frame's rows in the order of some ids; null where it lacks one.

    Args:
        ids: integers or text, distinct.
        frame: a row each, with a column called as `ids` is.
        name: what messages call the frame.

    Raises:
        LogError: no such column, ids of another kind, or ids that repeat.
    """
    if ids.name not in frame.columns:
        raise LogError(
            f"{name}: no column {ids.name!r}; the columns are {', '.join(frame.columns) or 'none'}"
        )
    column = frame[ids.name]
    if _kind(column) != _kind(ids):
        raise LogError(
            f"{name}: {ids.name} is {column.dtype} there and {_word(ids)} in the feeds; "
            "give both the same type"
        )
    repeated = frame.height - column.n_unique()
    if repeated:
        raise LogError(f"{name}: {repeated:,} rows repeat an {ids.name}; give one row for each")
    own = frame.with_columns(plain_ids(column, name))
    return ids.to_frame().join(own, on=ids.name, how="left", maintain_order="left")


def plain_ids(column: pl.Series, name: str) -> pl.Series:
    """Ids as Int64 or String.

    Args:
        column: integers or text.
        name: what messages call its frame.

    Raises:
        LogError: numbers that Int64 cannot hold.
    """
    if not column.dtype.is_integer():
        return column.cast(pl.String)
    plain = column.cast(pl.Int64, strict=False)
    if plain.null_count() > column.null_count():
        raise LogError(
            f"{name}: {column.name} holds numbers above {_LARGEST}; give these ids as strings"
        )
    return plain


def _kind(column: pl.Series) -> str:
    """Integers of all widths are one kind, and so are all texts."""
    if column.dtype.is_integer():
        return "integers"
    return "text" if column.dtype in _TEXT else str(column.dtype)


def _word(column: pl.Series) -> str:
    return {"integers": "an integer", "text": "text"}.get(_kind(column), _kind(column))


def _with_ids(tables: Mapping[str, pl.DataFrame], column: str) -> dict[str, pl.DataFrame]:
    kinds = {name: _kind(table[column]) for name, table in tables.items()}
    if len(set(kinds.values())) > 1:
        said = ", ".join(f"{kind} in {name}" for name, kind in kinds.items())
        raise LogError(
            f"{column}: {said}, so no two can be the same; cast one of them, "
            f"such as with polars.col({column!r}).cast(polars.String)"
        )
    return {
        name: table.with_columns(plain_ids(table[column], name)) for name, table in tables.items()
    }


def _with_days(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """All with a column day of one type; all null where none has any."""
    having = [name for name, table in tables.items() if "day" in table.columns]
    lacking = [name for name in tables if name not in having]
    if having and lacking:
        raise LogError(
            f"day: a column of {', '.join(having)} but not of {', '.join(lacking)}; "
            "give it to all frames or to none"
        )
    if not having:
        return {
            name: table.with_columns(day=pl.lit(None, pl.Int32)) for name, table in tables.items()
        }
    for name, table in tables.items():
        kind, nulls = table["day"].dtype, table["day"].null_count()
        if not (kind.is_integer() or kind == pl.Date):
            raise LogError(
                f"{name}: day is {kind}; give integers or dates, such as with "
                "polars.col('time').dt.date()"
            )
        if nulls:
            raise LogError(f"{name}: {nulls:,} of {table.height:,} rows have no day; fill them in")
    dates = {name: table["day"].dtype == pl.Date for name, table in tables.items()}
    if len(set(dates.values())) > 1:
        said = ", ".join(f"{'dates' if date else 'integers'} in {n}" for n, date in dates.items())
        raise LogError(f"day: {said}; give all the same type")
    common = pl.Date() if all(dates.values()) else pl.Int32()
    return {name: table.with_columns(pl.col("day").cast(common)) for name, table in tables.items()}


def _known(tables: Mapping[str, pl.DataFrame], column: str) -> pl.Series:
    """All values that occur, in order."""
    return pl.concat([table[column].unique() for table in tables.values()]).unique().sort()


def _numbered(values: pl.Series, known: pl.Series) -> NDArray[np.int64]:
    """Places of values among those known."""
    if known.dtype == pl.String:
        return values.cast(pl.Enum(known)).to_physical().to_numpy().astype(np.int64)
    if known.null_count():
        return np.zeros(len(values), dtype=np.int64)
    own, theirs = known.to_physical().to_numpy(), values.to_physical().to_numpy()
    return np.searchsorted(own, theirs)


def _served(table: pl.DataFrame, numbers: Numbers, depth: int, name: str) -> Served:
    user, item, day = (
        _numbered(table[column], known)
        for column, known in (
            ("user_id", numbers.users),
            ("item_id", numbers.items),
            ("day", numbers.days),
        )
    )
    rank = table["rank"].cast(pl.Int64).to_numpy()
    feed = day * len(numbers.users) + user
    order = np.lexsort((rank, feed))
    feed, rank, item = feed[order], rank[order], item[order]
    starts = np.flatnonzero(np.diff(feed, prepend=-1))
    place = np.arange(feed.size) - np.repeat(starts, np.diff(starts, append=feed.size))
    _check_ranks(rank, place, feed, numbers, name)
    _check_items(item, feed, numbers, name)
    row = np.cumsum(place == 0) - 1
    kept = place < depth
    ids = np.full((starts.size, depth), -1, dtype=np.int32)
    ids[row[kept], place[kept]] = item[kept]
    scores = None
    if "score" in table.columns:
        scores = np.full(ids.shape, np.nan)
        values = table["score"].cast(pl.Float64).to_numpy()[order]
        scores[row[kept], place[kept]] = values[kept]
    whose = feed[starts]
    return Served(
        (whose // len(numbers.users)).astype(np.int32),
        (whose % len(numbers.users)).astype(np.int32),
        ids,
        scores,
    )


def _check_ranks(
    rank: NDArray[np.int64],
    place: NDArray[np.int64],
    feed: NDArray[np.int64],
    numbers: Numbers,
    name: str,
) -> None:
    """Raises unless each feed has the ranks 1, 2, 3 … once each."""
    wrong = np.flatnonzero(rank != place + 1)
    if not wrong.size:
        return
    row, feeds = wrong[0], np.unique(feed[wrong]).size
    where = _called(feed[row], numbers)
    if place[row] and rank[row] == rank[row - 1]:
        said = f"rank {rank[row]} stands twice in the feed of {where}"
        advice = "give each user one feed a day, a row a slot"
    else:
        said = f"rank {place[row] + 1} is missing from the feed of {where}"
        advice = (
            "number the slots that are left afresh: "
            "polars.col('rank').rank('ordinal').over('user_id', 'day')"
        )
    raise LogError(f"{name}: {said} ({feeds:,} feeds have such ranks); {advice}")


def _check_items(
    item: NDArray[np.int64], feed: NDArray[np.int64], numbers: Numbers, name: str
) -> None:
    """Raises if an item stands twice in a feed."""
    slot = feed * len(numbers.items) + item
    ordered = np.sort(slot)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if repeated.size:
        which, what = divmod(int(repeated[0]), len(numbers.items))
        feeds = np.unique(repeated // len(numbers.items)).size
        raise LogError(
            f"{name}: item {numbers.items[what]!r} stands twice in the feed of "
            f"{_called(which, numbers)} ({feeds:,} feeds repeat an item); keep its highest rank "
            "and number the slots afresh"
        )


def _called(feed: Any, numbers: Numbers) -> str:
    """Whose feed of what day it is."""
    day, user = divmod(int(feed), len(numbers.users))
    when = f" on day {numbers.days[day]}" if numbers.has_days else ""
    return f"user {numbers.users[user]!r}{when}"
