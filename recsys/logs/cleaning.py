"""Cleaning a log: which rows are dropped or changed before the log is used, and how many."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError, nearest
from recsys.logs.columns import LARGEST_WEIGHT
from recsys.logs.schema import KINDS, WEIGHTS
from recsys.logs.times import read_times

_MAX_NULL_TIMES = 0.05
"""Largest share of rows that may lack a time and are dropped; above it the log is refused."""


def with_canonical_columns(
    table: pl.DataFrame, weights: Mapping[str, float], timezone: str
) -> pl.DataFrame:
    """The events with the columns of `InteractionLog.dense`, their ids and `cancels`.

    Args:
        table: events from `checked`, with kinds; a missing column `rank` or `cancels` becomes null,
            a missing `weight` the weight of the event's kind.
        weights: weight by kind, such as {"save": 3}; other kinds keep their default.
        timezone: zone of times without one, such as "Asia/Shanghai".
    """
    by_kind = {kind: float(weight) for kind, weight in {**WEIGHTS, **weights}.items()}
    kind = pl.col("kind").cast(pl.String)
    optional = {
        "rank": pl.lit(None, pl.UInt16),
        "weight": kind.replace_strict(by_kind, default=0, return_dtype=pl.Float32),
        "cancels": pl.lit(None, KINDS),
    }
    given = table.with_columns(
        column.alias(name) for name, column in optional.items() if name not in table.columns
    )
    return given.select(
        "user_id", "item_id", read_times(table, timezone), "kind", "rank", "weight", "cancels"
    )


def check_weights(weights: Mapping[str, float]) -> None:
    """Raises LogError for a kind of event that does not exist, or a weight that is not finite."""
    for kind, weight in weights.items():
        if kind not in WEIGHTS:
            raise LogError(f"weights: no kind of event {kind!r}; {nearest(kind, WEIGHTS)}")
        if not abs(weight) <= LARGEST_WEIGHT:
            raise LogError(
                f"weights: {kind} has weight {weight}; give a finite number, at most 1e12"
            )


def clean(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Drops rows without a time and duplicates, sorts by time, and applies what takes back events.

    Args:
        table: as `with_canonical_columns` returns it.

    Returns:
        The events in the order of time without the column `cancels`, and the number of rows by
        what happened to them, such as {"rows": 19, "exact duplicates, dropped": 1, …}.

    Raises:
        LogError: more than 5 % of the rows have no time, and others have one.
    """
    rows = table.height
    no_time = table["timestamp"].null_count()
    if 0 < no_time < rows:
        if no_time > _MAX_NULL_TIMES * rows:
            raise LogError(
                f"events: {no_time:,} of {rows:,} rows have no timestamp, more than "
                f"{_MAX_NULL_TIMES:.0%}; fill in the times, or leave the whole column out"
            )
        table = table.filter(pl.col("timestamp").is_not_null())
    distinct = table.unique(maintain_order=True)
    unsorted = int((distinct["timestamp"].diff().dt.total_milliseconds() < 0).sum())
    in_order, taken_back = _with_events_taken_back(distinct.sort("timestamp", maintain_order=True))
    return in_order, {
        "rows": rows,
        "rows without a time, dropped": no_time if no_time < rows else 0,
        "exact duplicates, dropped": table.height - distinct.height,
        "rows out of order, sorted": unsorted,
        **taken_back,
        "rows kept": in_order.height,
    }


def _with_events_taken_back(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Applies cancelling rows and rows of negative weight to events in the order of time.

    The user has seen an item whose event is taken back, so the event stays with weight 0; an event
    that a cancelling row took back also becomes an impression. The cancelling row is dropped. If
    it found nothing to cancel, it stays as an impression of weight 0.
    """
    counts = {}
    if table["cancels"].null_count() < table.height:
        cancelled, without_target = _cancelled(table)
        seen_only = pl.Series(cancelled | without_target)
        counts = {
            "events cancelled, seen only": int(cancelled.sum()),
            "cancelling rows with nothing to cancel, seen only": int(without_target.sum()),
        }
        table = table.with_columns(
            kind=pl.when(seen_only).then(pl.lit("impression", dtype=KINDS)).otherwise("kind"),
            weight=pl.when(seen_only).then(pl.lit(0, pl.Float32)).otherwise("weight"),
        ).filter(pl.col("cancels").is_null() | pl.Series(without_target))
    table = table.drop("cancels")
    negative = table["weight"] < 0
    if negative.any():
        pair = ["user_id", "item_id"]
        row = pl.int_range(pl.len())
        # Without times a negative row counts as later than all others.
        position = row if table["timestamp"].null_count() == 0 else pl.lit(table.height)
        last_negative = position.filter(pl.col("weight") < 0).max().over(pair)
        taken_back = table.select((pl.col("weight") > 0) & (row < last_negative)).to_series()
        taken_back = taken_back.fill_null(False)
        counts |= {
            "negative events, seen only": int(negative.sum()),
            "events taken back by a negative one, seen only": int(taken_back.sum()),
        }
        table = table.with_columns(
            weight=pl.when(negative | taken_back).then(pl.lit(0, pl.Float32)).otherwise("weight")
        )
    return table, counts


def _cancelled(table: pl.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows are cancelled, and which cancelling rows find nothing to cancel; bool (rows,).

    A cancelling row takes back the last event before it that no other row has taken back. In a log
    without times every event counts as earlier than every cancelling row.
    """
    target = ["user_id", "item_id", "kind"]
    rows = table.select(
        "user_id",
        "item_id",
        kind=pl.coalesce("cancels", "kind"),
        cancelling=pl.col("cancels").is_not_null(),
        row=pl.int_range(pl.len()),
    )
    concerned = rows.join(rows.filter("cancelling").unique(target), on=target, how="semi")
    without_times = table["timestamp"].null_count() > 0
    concerned = concerned.sort(["cancelling", "row"] if without_times else ["row"])
    open_rows: dict[tuple[Any, ...], list[int]] = {}
    cancelled, without_target = np.zeros((2, table.height), dtype=np.bool_)
    for *key, cancelling, row in concerned.iter_rows():
        earlier = open_rows.setdefault(tuple(key), [])
        if not cancelling:
            earlier.append(row)
        elif earlier:
            cancelled[earlier.pop()] = True
        else:
            without_target[row] = True
    return cancelled, without_target
