"""Reads frames of served feeds into arrays, checks them, and numbers users, items and days."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.logs.columns import whole_numbers
from recsys.logs.ids import LARGEST, ids_of
from recsys.logs.schema import checked, to_polars


@dataclass(frozen=True, eq=False)
class Served:
    """The feeds of one frame, a row each, in the order of days and, within a day, of users.

    Attributes:
        day: int32 (n,), position of the day in `Numbers.days`.
        user: int32 (n,), position of the user in `Numbers.users`.
        ids: int32 (n, k), positions of the items in `Numbers.items`; -1 in empty slots at the end.
        scores: float64 (n, k), NaN in empty slots; None if the frame has no scores.
    """

    day: NDArray[np.int32]
    user: NDArray[np.int32]
    ids: NDArray[np.int32]
    scores: NDArray[np.float64] | None

    @property
    def days(self) -> list[int]:
        """The days with feeds, in order."""
        return [int(day) for day in np.unique(self.day)]

    def on(self, day: int) -> slice:
        """The rows of a day."""
        return slice(*(int(edge) for edge in np.searchsorted(self.day, [day, day + 1])))


@dataclass(frozen=True, eq=False)
class Numbers:
    """The ids and days that the numbers in `Served` stand for, each in order.

    Attributes:
        users: ids of users, integers or text.
        items: ids of items, integers or text.
        days: integers or dates; a single null where feeds have no days.
    """

    users: pl.Series
    items: pl.Series
    days: pl.Series

    @property
    def has_days(self) -> bool:
        """Whether feeds have days."""
        return self.days.null_count() == 0


def read_feeds(frames: Mapping[str, Any], k: int | None) -> tuple[dict[str, Served], Numbers]:
    """Reads frames of feeds; a user, an item or a day has the same number in all frames.

    Args:
        frames: frames by their name in error messages, such as "a". A frame has one row per slot:
            user_id · rank (1 = top) · item_id and, if known, day and score.
        k: number of ranks to keep, such as 20; None for those of the deepest feed of all frames.

    Returns:
        The feeds of each frame, and the ids and days that numbers stand for.

    Raises:
        LogError: a frame lacks a column or has no rows, ids or days of frames do not match, ranks
            repeat or leave gaps, or an item stands twice in a feed.
    """
    tables = {
        name: checked(to_polars(frame, name), "feeds", name) for name, frame in frames.items()
    }
    for name, table in tables.items():
        if table.is_empty():
            raise LogError(f"{name}: no rows, so no feeds; check the file and its filters")
    tables = _with_days(tables)
    for column in ("user_id", "item_id"):
        tables = _with_ids(tables, column)
    numbers = Numbers(*(_distinct(tables, column) for column in ("user_id", "item_id", "day")))
    depth = max(int(table["rank"].max()) for table in tables.values()) if k is None else k  # type: ignore[arg-type]
    return {name: _served(table, numbers, depth, name) for name, table in tables.items()}, numbers


def rows_of_ids(ids: pl.Series, frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """The rows of a frame in the order of some ids; nulls for an id without a row.

    Args:
        ids: distinct integers or text; the name of the series is the column of ids in the frame.
        frame: a row for each id.
        name: name of the frame in error messages, such as "items".

    Raises:
        LogError: the frame lacks the column, or its ids are of another type or repeat.
    """
    if ids.name not in frame.columns:
        raise LogError(
            f"{name}: no column {ids.name!r}; the columns are {', '.join(frame.columns) or 'none'}"
        )
    column = plain_ids(frame[ids.name], name)
    if _kind(column) != _kind(ids):
        raise LogError(
            f"{name}: {ids.name} is {frame[ids.name].dtype} there and {_type_in_words(ids)} in the "
            "feeds; give both the same type"
        )
    repeated = frame.height - column.n_unique()
    if repeated:
        raise LogError(f"{name}: {repeated:,} rows repeat an {ids.name}; give one row for each")
    rows = frame.with_columns(column)
    return ids.to_frame().join(rows, on=ids.name, how="left", maintain_order="left")


def plain_ids(column: pl.Series, name: str, *, optional: bool = False) -> pl.Series:
    """Ids as Int64 or String.

    Args:
        column: integers, whole floats or text.
        name: name of the frame in error messages, such as "items".
        optional: whether ids may be missing, as those of creators.

    Raises:
        LogError: an id that is none, or a number that is too large for Int64.
    """
    plain = ids_of(column, name, optional=optional)
    if plain.dtype == pl.UInt64:
        raise LogError(
            f"{name}: {column.name} holds numbers above {LARGEST}; give these ids as strings"
        )
    return plain


def _kind(column: pl.Series) -> str:
    """Kind of ids: "integers" or "text"."""
    return "integers" if column.dtype.is_integer() else "text"


def _type_in_words(column: pl.Series) -> str:
    return {"integers": "an integer", "text": "text"}[_kind(column)]


def _with_ids(tables: Mapping[str, pl.DataFrame], column: str) -> dict[str, pl.DataFrame]:
    """The tables with a column of ids as `plain_ids`, of the same type in all."""
    kinds = {name: _kind(table[column]) for name, table in tables.items()}
    if len(set(kinds.values())) > 1:
        types = ", ".join(f"{kind} in {name}" for name, kind in kinds.items())
        raise LogError(
            f"{column}: {types}, so no two ids can be equal; cast one of them, "
            f"such as with polars.col({column!r}).cast(polars.String)"
        )
    return {
        name: table.with_columns(plain_ids(table[column], name)) for name, table in tables.items()
    }


def _with_days(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The tables with a column day of the same type, which is null where no table has days."""
    having = [name for name, table in tables.items() if "day" in table.columns]
    lacking = [name for name in tables if name not in having]
    if having and lacking:
        raise LogError(
            f"day: the column is in {', '.join(having)} but not in {', '.join(lacking)}; "
            "give it to all frames or to none"
        )
    if not having:
        return {
            name: table.with_columns(day=pl.lit(None, pl.Int32)) for name, table in tables.items()
        }
    tables = {name: table.with_columns(_days(table["day"], name)) for name, table in tables.items()}
    dates = {name: table["day"].dtype == pl.Date for name, table in tables.items()}
    if len(set(dates.values())) > 1:
        types = ", ".join(f"{'dates' if date else 'integers'} in {n}" for n, date in dates.items())
        raise LogError(f"day: {types}; give all frames the same type")
    return tables


def _days(column: pl.Series, name: str) -> pl.Series:
    """Days as dates or Int64, none missing."""
    kind = column.dtype
    if not (kind.is_numeric() or kind in (pl.Date, pl.Null)):
        raise LogError(
            f"{name}: day is {kind}; give integers or dates, such as with "
            "polars.col('time').dt.date()"
        )
    days = column
    if kind != pl.Date:
        days = whole_numbers(column, name, "days are whole numbers or dates", -LARGEST, LARGEST)
    if days.null_count():
        raise LogError(
            f"{name}: {days.null_count():,} of {len(days):,} rows have no day, the first of them "
            f"row {(days.is_null().arg_max() or 0) + 1}; fill them in"
        )
    return days


def _distinct(tables: Mapping[str, pl.DataFrame], column: str) -> pl.Series:
    """All values of a column in any table, in order."""
    return pl.concat([table[column].unique() for table in tables.values()]).unique().sort()


def _numbered(values: pl.Series, distinct: pl.Series) -> NDArray[np.int64]:
    """Position of each value among the distinct values, which are in order."""
    if distinct.dtype == pl.String:
        return values.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int64)
    if distinct.null_count():  # a single null: feeds without days
        return np.zeros(len(values), dtype=np.int64)
    return np.searchsorted(distinct.to_physical().to_numpy(), values.to_physical().to_numpy())


def _served(table: pl.DataFrame, numbers: Numbers, depth: int, name: str) -> Served:
    """The feeds of a table, its ranks and items checked."""
    user, item, day = (
        _numbered(table[column], distinct)
        for column, distinct in (
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
    day, user = np.divmod(feed[starts], len(numbers.users))
    return Served(
        day.astype(np.int32),
        user.astype(np.int32),
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
    """Raises unless each feed has each of the ranks 1, 2, 3, … once."""
    wrong = np.flatnonzero(rank != place + 1)
    if not wrong.size:
        return
    row, feeds = wrong[0], np.unique(feed[wrong]).size
    whose = _user_and_day(feed[row], numbers)
    if place[row] and rank[row] == rank[row - 1]:
        problem = f"rank {rank[row]} stands twice in the feed of {whose}"
        advice = "give each user one feed per day, with one row per slot"
    else:
        problem = f"rank {place[row] + 1} is missing from the feed of {whose}"
        advice = (
            "number the remaining slots again from 1, such as with "
            "polars.col('rank').rank('ordinal').over('user_id', 'day')"
        )
    raise LogError(f"{name}: {problem} ({feeds:,} feeds have such ranks); {advice}")


def _check_items(
    item: NDArray[np.int64], feed: NDArray[np.int64], numbers: Numbers, name: str
) -> None:
    """Raises if an item stands twice in a feed."""
    slot = feed * len(numbers.items) + item
    ordered = np.sort(slot)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if repeated.size:
        which_feed, which_item = divmod(int(repeated[0]), len(numbers.items))
        feeds = np.unique(repeated // len(numbers.items)).size
        raise LogError(
            f"{name}: item {numbers.items[which_item]!r} stands twice in the feed of "
            f"{_user_and_day(which_feed, numbers)} ({feeds:,} feeds repeat an item); keep its "
            "first slot and number the slots again from 1"
        )


def _user_and_day(feed: Any, numbers: Numbers) -> str:
    """User and day of the feed with the number day · n_users + user, in words."""
    day, user = divmod(int(feed), len(numbers.users))
    when = f" on day {numbers.days[day]}" if numbers.has_days else ""
    return f"user {numbers.users[user]!r}{when}"
