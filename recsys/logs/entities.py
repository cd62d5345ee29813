"""Users and items of a log: ids, dense numbers, stable keys, cohorts."""

from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.core.noise import Stream, stable_keys
from recsys.logs.schema import COHORTS, checked, to_polars


def _entities(frame: Any, in_events: pl.Series, name: str, stream: Stream) -> pl.DataFrame:
    """Users or items, a row each, with keys; from their frame, or else from the events."""
    id_column = in_events.name
    if frame is None:
        table = pl.DataFrame({id_column: in_events.unique().sort()})
    else:
        table = checked(to_polars(frame, name), name)
        twice = table.height - table[id_column].n_unique()
        if twice:
            raise LogError(f"{name}: {twice:,} rows repeat an {id_column}; give one row for each")
    if "key" not in table.columns:
        return table.with_columns(key=pl.Series(_keys(table[id_column], stream)))
    keys = table["key"].cast(pl.UInt64, strict=False) if table["key"].dtype.is_integer() else None
    if keys is None or keys.has_nulls() or keys.n_unique() < len(keys):
        raise LogError(
            f"{name}: the column key must hold a distinct integer from 0 up for each row; "
            "leave it out to have keys made from the ids"
        )
    return table.with_columns(key=keys)


def _keys(ids: pl.Series, stream: Stream) -> NDArray[np.uint64]:
    if ids.dtype.is_integer():
        return stable_keys(stream, ids.to_numpy())
    texts = ids.cast(pl.String).to_list()
    digests = (blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def _with_cohort(users: pl.DataFrame) -> pl.DataFrame:
    if "cohort" not in users.columns:
        return users.with_columns(cohort=pl.lit("incumbent", dtype=COHORTS))
    return users.with_columns(pl.col("cohort").cast(pl.String).fill_null("incumbent").cast(COHORTS))


def _dense(ids: pl.Series, known: pl.Series, name: str) -> pl.Series:
    """Row numbers of ids in `known`."""
    both_integers = ids.dtype.is_integer() and known.dtype.is_integer()
    if ids.dtype != known.dtype and not both_integers:
        raise LogError(
            f"{name}: {known.name} is {known.dtype} there and {ids.dtype} in events; "
            "give both the same type"
        )
    wide = pl.Int128 if both_integers else ids.dtype
    numbers = np.arange(len(known), dtype=np.uint32)
    rows = pl.DataFrame({"id": known.cast(wide), "row": numbers})
    asked = pl.DataFrame({"id": ids.cast(wide)})
    found = asked.join(rows, on="id", how="left", maintain_order="left")["row"]
    if found.null_count():
        lost = ids.filter(found.is_null())
        raise LogError(
            f"{name}: {lost.n_unique():,} ids that events name have no row there, "
            f"such as {lost[0]!r} ({len(lost):,} events); add them, or leave the {name} frame out"
        )
    return found
