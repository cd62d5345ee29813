"""What is dropped from a log before it is used, and counted."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError, nearest
from recsys.logs.schema import KINDS, WEIGHTS
from recsys.logs.times import _times

_MAX_NULL_TIMES = 0.05


def _with_canonical_columns(
    table: pl.DataFrame, weights: Mapping[str, float], timezone: str
) -> pl.DataFrame:
    """The columns of an event, and what it cancels; what is not known is null, or 1 click."""
    kind = pl.col("kind").cast(pl.String).cast(KINDS)
    weight = (
        pl.col("weight")
        if "weight" in table.columns
        else kind.cast(pl.String).replace_strict(
            {kind: float(weight) for kind, weight in {**WEIGHTS, **weights}.items()},
            default=0,
            return_dtype=pl.Float64,
        )
    )
    rank = pl.col("rank") if "rank" in table.columns else pl.lit(None)
    cancels = pl.col("cancels") if "cancels" in table.columns else pl.lit(None)
    return table.select(
        "user_id",
        "item_id",
        _times(table, timezone),
        kind.alias("kind"),
        rank.cast(pl.UInt16).alias("rank"),
        weight.cast(pl.Float32).alias("weight"),
        cancels.cast(pl.String).cast(KINDS).alias("cancels"),
    )


def _check_weights(weights: Mapping[str, float]) -> None:
    for kind, weight in weights.items():
        if kind not in WEIGHTS:
            raise LogError(f"weights: no kind of event {kind!r}; {nearest(kind, WEIGHTS)}")
        if not isfinite(weight):
            raise LogError(f"weights: {kind} has {weight}; weights are finite numbers")


def _clean(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    rows = table.height
    no_time = table["timestamp"].null_count()
    if 0 < no_time < rows:
        if no_time > _MAX_NULL_TIMES * rows:
            raise LogError(
                f"events: {no_time:,} of {rows:,} rows have no timestamp, more than "
                f"{_MAX_NULL_TIMES:.0%}; fill them in, or leave the column out altogether"
            )
        table = table.filter(pl.col("timestamp").is_not_null())
    distinct = table.unique(maintain_order=True)
    unsorted = int((distinct["timestamp"].diff().dt.total_milliseconds() < 0).sum())
    in_order, taken_back = _without_what_was_taken_back(
        distinct.sort("timestamp", maintain_order=True)
    )
    return in_order, {
        "rows": rows,
        "rows without a time, dropped": no_time if no_time < rows else 0,
        "exact duplicates, dropped": table.height - distinct.height,
        "rows out of order, sorted": unsorted,
        **taken_back,
        "rows kept": in_order.height,
    }


def _without_what_was_taken_back(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Events in the order of time after cancelling rows and rows of negative weight did their work.

    An event that was taken back was seen: it stays with weight 0, one that was cancelled as an
    impression. A cancelling row goes, or is an impression where it finds nothing to cancel.
    """
    counts = {}
    if table["cancels"].null_count() < table.height:
        taken, found_none = _cancelled(table)
        seen = pl.Series(taken | found_none)
        counts = {
            "events cancelled, seen only": int(taken.sum()),
            "cancelling rows with nothing to cancel, seen only": int(found_none.sum()),
        }
        table = table.with_columns(
            kind=pl.when(seen).then(pl.lit("impression", dtype=KINDS)).otherwise("kind"),
            weight=pl.when(seen).then(pl.lit(0, pl.Float32)).otherwise("weight"),
        ).filter(pl.col("cancels").is_null() | pl.Series(found_none))
    table = table.drop("cancels")
    negative = table["weight"] < 0
    if negative.any():
        pair = ["user_id", "item_id"]
        place = pl.int_range(pl.len())
        last = place if table["timestamp"].null_count() == 0 else pl.lit(table.height)
        until = last.filter(pl.col("weight") < 0).max().over(pair)
        taken_back = table.select((pl.col("weight") > 0) & (place < until)).to_series()
        taken_back = taken_back.fill_null(False)
        counts |= {
            "negative events, seen only": int(negative.sum()),
            "events taken back by a negative one, seen only": int(taken_back.sum()),
        }
        nothing = negative | taken_back
        table = table.with_columns(
            weight=pl.when(nothing).then(pl.lit(0, pl.Float32)).otherwise("weight")
        )
    return table, counts


def _cancelled(table: pl.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows that are cancelled, and cancelling rows that find nothing; both bool (rows,).

    Each takes the last event before it that no other took; without times any event is before it.
    """
    of = ["user_id", "item_id", "what"]
    rows = table.select(
        "user_id",
        "item_id",
        what=pl.coalesce("cancels", "kind"),
        cancelling=pl.col("cancels").is_not_null(),
        row=pl.int_range(pl.len()),
    )
    touched = rows.join(rows.filter("cancelling").unique(of), on=of, how="semi")
    without_times = table["timestamp"].null_count() > 0
    touched = touched.sort(["cancelling", "row"] if without_times else ["row"])
    open_rows: dict[tuple[Any, ...], list[int]] = {}
    taken, found_none = np.zeros((2, table.height), dtype=np.bool_)
    for *key, cancelling, row in touched.iter_rows():
        earlier = open_rows.setdefault(tuple(key), [])
        if not cancelling:
            earlier.append(row)
        elif earlier:
            taken[earlier.pop()] = True
        else:
            found_none[row] = True
    return taken, found_none
