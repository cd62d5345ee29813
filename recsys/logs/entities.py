"""Users and items of a log: ids, dense numbers, stable keys, cohorts."""

from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.core.noise import Stream, stable_keys
from recsys.logs.columns import TEXT
from recsys.logs.foreign import explained
from recsys.logs.ids import from_texts, ids_of
from recsys.logs.lists import with_lists
from recsys.logs.schema import COHORTS, checked, to_polars
from recsys.logs.times import times_of


def entities(frame: Any, ids: pl.Series, name: str, stream: Stream) -> pl.DataFrame:
    """The users or the items of a log, one row each, with a column of stable keys.

    Args:
        frame: anybody's frame of users or items; None to take the ids from the events.
        ids: the ids in the events, a series called user_id or item_id.
        name: "users" or "items", for messages.
        stream: `Stream.USER_KEY` or `Stream.POST_KEY`; used for integer ids without keys.

    Raises:
        LogError: two rows with one id, a column `key` that is not distinct integers from 0 up, or
            vectors that do not fit together.
    """
    id_column = ids.name
    if frame is None:
        table = pl.DataFrame({id_column: ids.unique().sort()})
    else:
        table = checked(to_polars(frame, name), name)
        with explained(f"{name}: a list cannot be read", "give lists of texts or of numbers"):
            table = with_lists(table, name)
        repeated = table.height - table[id_column].n_unique()
        if repeated:
            raise LogError(
                f"{name}: {repeated:,} rows repeat an {id_column}; give one row for each"
            )
    if "key" not in table.columns:
        return table.with_columns(key=pl.Series(_keys(table[id_column], stream)))
    keys = table["key"].cast(pl.UInt64, strict=False) if table["key"].dtype.is_integer() else None
    if keys is None or keys.has_nulls() or keys.n_unique() < len(keys):
        raise LogError(
            f"{name}: the column key must hold a distinct integer, 0 or above, for each row; "
            "leave the column out to have keys made from the ids"
        )
    return table.with_columns(key=keys)


def _keys(ids: pl.Series, stream: Stream) -> NDArray[np.uint64]:
    """A stable key for each id: by addressed randomness from an integer, by a hash from a text."""
    if ids.dtype.is_integer():
        return stable_keys(stream, ids.to_numpy())
    texts = ids.cast(pl.String).to_list()
    digests = (blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def with_cohort(users: pl.DataFrame) -> pl.DataFrame:
    """The users with a cohort each; a user without one is an incumbent."""
    incumbent = pl.lit("incumbent", dtype=COHORTS)
    if "cohort" not in users.columns:
        return users.with_columns(cohort=incumbent)
    return users.with_columns(pl.col("cohort").fill_null(incumbent))


def with_times(frame: pl.DataFrame, name: str, timezone: str) -> pl.DataFrame:
    """The users with `joined`, or the items with `published`, as times in the log's zone.

    Dates on which users joined stay dates. A column that holds something else under this name
    stays as it is: flags, texts without any digit, or users' numbers of days.

    Args:
        frame: the users or the items of a log.
        name: "users" or "items".
        timezone: zone of times without one, such as "Asia/Shanghai".

    Raises:
        LogError: some value is no time, such as 13/01/2025 or, as a number, a year.

    >>> items = pl.DataFrame({"item_id": [7], "published": ["2025-01-13 08:00"]})
    >>> str(with_times(items, "items", "Asia/Shanghai")["published"][0])
    '2025-01-13 00:00:00+00:00'
    """
    column = {"users": "joined", "items": "published"}[name]
    if column not in frame.columns:
        return frame
    given = frame[column]
    if column == "joined" and not (given.dtype in TEXT or isinstance(given.dtype, pl.Datetime)):
        return frame
    is_text = given.dtype in TEXT
    if given.dtype == pl.Boolean or (
        is_text and not given.cast(pl.String).str.contains(r"\d").any()
    ):
        return frame
    return frame.with_columns(times_of(given, timezone, name, may_be_old=True))


def with_creators(items: pl.DataFrame) -> pl.DataFrame:
    """The items with creators as ids: integers or texts; nulls stay.

    Args:
        items: a log's items; the column `creator_id` may be missing.

    Raises:
        LogError: creators that are neither integers nor texts.
    """
    if "creator_id" not in items.columns:
        return items
    return items.with_columns(ids_of(items["creator_id"], "items", optional=True))


def users_of_creators(creators: pl.Series, users: pl.Series) -> pl.DataFrame:
    """The rows of items whose creator is a user: columns user · item, numbers of rows.

    Creators 3 and "3" are the user 3. Texts such as "channel 3" are nobody among users with
    integer ids.

    Args:
        creators: ids from `with_creators`, one for each item.
        users: ids of all users.

    >>> users_of_creators(pl.Series(["3", None]), pl.Series([3, 4])).rows()
    [(0, 0)]
    """
    if users.dtype.is_integer() and not creators.dtype.is_integer():
        creators = from_texts(creators)
    if users.dtype.is_integer() != creators.dtype.is_integer():
        users, creators = users.cast(pl.String), creators.cast(pl.String)
    elif users.dtype != creators.dtype:
        users, creators = users.cast(pl.Int128), creators.cast(pl.Int128)
    if users.dtype.is_integer() and users.dtype != pl.Int128:
        return _among_integers(creators, users)
    by_user = pl.DataFrame({"id": users}).with_row_index("user")
    by_item = pl.DataFrame({"id": creators}).with_row_index("item").drop_nulls("id")
    return by_user.join(by_item, on="id").sort("user", "item").select("user", "item")


def _among_integers(creators: pl.Series, users: pl.Series) -> pl.DataFrame:
    """`users_of_creators` of integers of one type, a fraction of the time of a join.

    Args:
        creators: ids of the items' creators, null where there is none.
        users: distinct ids of the users.
    """
    item = np.arange(len(creators), dtype=np.uint32)
    if creators.null_count():
        item = item[creators.is_not_null().to_numpy()]
        creators = creators.drop_nulls()
    made_by, ids = creators.to_numpy(), users.to_numpy()
    order = np.argsort(ids, kind="stable")
    place = np.searchsorted(ids, made_by, sorter=order)
    user = order[np.minimum(place, max(ids.size - 1, 0))] if ids.size else place
    found = ids[user] == made_by if ids.size else np.zeros(place.size, dtype=np.bool_)
    pairs = user[found].astype(np.uint32), item[found]
    by_user = np.argsort(pairs[0], kind="stable")  # items of a user stay in order
    return pl.DataFrame({"user": pairs[0][by_user], "item": pairs[1][by_user]})


def dense_ids(ids: pl.Series, all_ids: pl.Series, name: str) -> pl.Series:
    """The dense id of each event's user or item: its row in the frame of users or items.

    Args:
        ids: the ids in the events.
        all_ids: the ids of the frame, in the order of its rows.
        name: "users" or "items", for messages.

    Returns:
        uint32 (n_events,).

    Raises:
        LogError: the two have different types, or the frame lacks an id that the events hold.
    """
    both_integers = ids.dtype.is_integer() and all_ids.dtype.is_integer()
    if ids.dtype.is_integer() != all_ids.dtype.is_integer():
        raise LogError(
            f"{name}: {all_ids.name} is {all_ids.dtype} in {name} and {ids.dtype} in events; "
            "give both the same type"
        )
    common = pl.Int128 if both_integers and ids.dtype != all_ids.dtype else ids.dtype
    numbers = np.arange(len(all_ids), dtype=np.uint32)
    frame_rows = pl.DataFrame({"id": all_ids.cast(common), "row": numbers})
    event_ids = pl.DataFrame({"id": ids.cast(common)})
    rows = event_ids.join(frame_rows, on="id", how="left", maintain_order="left")["row"]
    if rows.null_count():
        lost = ids.filter(rows.is_null())
        raise LogError(
            f"{name}: {lost.n_unique():,} ids in events have no row in {name}, "
            f"such as {lost[0]!r} ({len(lost):,} events); add them, or leave the {name} frame out"
        )
    return rows
