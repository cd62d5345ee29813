"""Users and items of a log: ids, dense numbers, stable keys, cohorts."""

from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.core.noise import Stream, stable_keys
from recsys.logs.schema import COHORTS, checked, to_polars


def entities(frame: Any, ids: pl.Series, name: str, stream: Stream) -> pl.DataFrame:
    """The users or the items of a log, one row each, with a column of stable keys.

    Args:
        frame: anybody's frame of users or items; None to take the ids from the events.
        ids: the ids in the events, a series called user_id or item_id.
        name: "users" or "items", for messages.
        stream: `Stream.USER_KEY` or `Stream.POST_KEY`; used for integer ids without keys.

    Raises:
        LogError: two rows with one id, or a column `key` that is not distinct integers from 0 up.
    """
    id_column = ids.name
    if frame is None:
        table = pl.DataFrame({id_column: ids.unique().sort()})
    else:
        table = checked(to_polars(frame, name), name)
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
    if "cohort" not in users.columns:
        return users.with_columns(cohort=pl.lit("incumbent", dtype=COHORTS))
    return users.with_columns(pl.col("cohort").cast(pl.String).fill_null("incumbent").cast(COHORTS))


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
    if ids.dtype != all_ids.dtype and not both_integers:
        raise LogError(
            f"{name}: {all_ids.name} is {all_ids.dtype} in {name} and {ids.dtype} in events; "
            "give both the same type"
        )
    common = pl.Int128 if both_integers else ids.dtype
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
