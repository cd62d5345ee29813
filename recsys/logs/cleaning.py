"""Cleaning a log: which rows are dropped or changed before the log is used, and how many."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError, nearest
from recsys.logs.columns import LARGEST_WEIGHT, TEXT, refuse
from recsys.logs.schema import KINDS, WEIGHTS
from recsys.logs.times import read_times

_NEVER_LIKES = ("impression", "hide")
"""Kinds of events that nobody expects to count as likes."""

_ROUNDING = 1e-9
"""Part of a count below which nothing is left of it."""

_MAX_NULL_TIMES = 0.05
"""Largest share of rows that may lack a time and are dropped; above it the log is refused."""


def with_canonical_columns(
    table: pl.DataFrame, weights: Mapping[str, float], timezone: str
) -> pl.DataFrame:
    """The events with the columns of `InteractionLog.dense`, their ids, `cancels` and `count`.

    Args:
        table: events from `checked`, with kinds; a missing column `rank` or `cancels` becomes null,
            a missing `weight` the weight of the event's kind, a missing `count` 1.
        weights: weight by kind, such as {"save": 3}; other kinds keep their default.
        timezone: zone of times without one, such as "Asia/Shanghai".

    Raises:
        LogError: a count below 0 in a row that takes nothing back.
    """
    by_kind = {kind: float(weight) for kind, weight in {**WEIGHTS, **weights}.items()}
    kind = pl.col("kind").cast(pl.String)
    optional = {
        "rank": pl.lit(None, pl.UInt16),
        "weight": kind.replace_strict(by_kind, default=0, return_dtype=pl.Float32),
        "cancels": pl.lit(None, KINDS),
        "count": pl.lit(1.0),
    }
    given = table.with_columns(
        column.alias(name) for name, column in optional.items() if name not in table.columns
    )
    below = (given["count"] < 0) & given["cancels"].is_null()
    if below.any():
        refuse(
            given["count"],
            below,
            "events",
            "a row that takes something back is named by log.cancels, such as "
            '{purchase: "count < 0"}',
        )
    return given.select(
        *("user_id", "item_id", read_times(table, timezone), "kind", "rank", "weight"),
        *("cancels", pl.col("count").abs()),
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


def of_weight_0(dense: pl.DataFrame) -> dict[str, int]:
    """Rows of the kinds that may mean interest and of which every row weighs 0, by kind.

    Args:
        dense: events with `kind` and `weight`.

    >>> of_weight_0(pl.DataFrame({"kind": ["purchase", "click"], "weight": [0.0, 1.0]}))
    {'purchase': 1}
    """
    kinds = dense.group_by(pl.col("kind").cast(pl.String)).agg(
        rows=pl.len(), least=pl.col("weight").min(), most=pl.col("weight").max()
    )
    none = kinds.filter(
        (pl.col("least") == 0) & (pl.col("most") == 0) & ~pl.col("kind").is_in(_NEVER_LIKES)
    )
    return dict(none.sort("kind").select("kind", "rows").iter_rows())


def why_few_likes(dense: pl.DataFrame) -> str:
    """What to add to a message on too few positive events: the kinds that weigh 0, and the remedy.

    Args:
        dense: events with `kind` and `weight`.

    Returns:
        A clause that begins with a semicolon; empty if there are no such kinds.

    >>> why_few_likes(pl.DataFrame({"kind": ["purchase", "click"], "weight": [0.0, 1.0]}))
    '; 1 rows are of kind purchase, which weighs 0: log.weights={purchase: 1} makes them count'
    """
    kinds = of_weight_0(dense)
    if not kinds:
        return ""
    weigh = "weighs" if len(kinds) == 1 else "weigh"
    remedy = ", ".join(f"{kind}: 1" for kind in kinds)
    return (
        f"; {sum(kinds.values()):,} rows are of kind {' and '.join(kinds)}, which {weigh} 0: "
        f"log.weights={{{remedy}}} makes them count"
    )


def unlike_duplicates(given: pl.DataFrame, read: pl.DataFrame) -> tuple[int, list[str]]:
    """Rows that are dropped as duplicates though they differ in columns that are not read.

    Args:
        given: the events with all columns of the file.
        read: the same rows with the columns that are read.

    Returns:
        Their number, and the columns in which they differ; columns of lists or structs do not
        count.
    """
    others = [
        name
        for name, kind in given.schema.items()
        if name not in read.columns and (kind.is_numeric() or kind.is_temporal() or kind in TEXT)
    ]
    again = ~read.is_unique()
    if not others or not again.any():
        return 0, []
    rows = read.with_columns(given[name].alias(f"not read: {name}") for name in others).filter(
        again
    )
    differ = rows.group_by(read.columns).agg(pl.col("^not read: .*$").n_unique())
    names = [name for name in others if (differ[f"not read: {name}"] > 1).any()]
    unlike = rows.n_unique() - differ.height
    return unlike, names


def clean(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Drops rows without a time and duplicates, sorts by time, and applies what takes back events.

    Args:
        table: as `with_canonical_columns` returns it.

    Returns:
        The events in the order of time without `cancels` and `count`, and the number of rows by
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
    that a cancelling row took back also becomes an impression. Where only a part of its count was
    taken back, it keeps its kind, and the same part of its weight is gone. The cancelling row is
    dropped. If it found nothing to cancel, it stays as an impression of weight 0.
    """
    counts = {}
    if table["cancels"].null_count() < table.height:
        taken = _taken_back(table)
        seen_only = pl.Series((taken.share >= 1) | taken.without_target)
        counts = {
            "events cancelled, seen only": int((taken.share >= 1).sum()),
            "events cancelled in part": int(((taken.share > 0) & (taken.share < 1)).sum()),
            "cancelling rows with nothing to cancel, seen only": int(taken.without_target.sum()),
        }
        kept = pl.col("weight") * pl.Series(1 - taken.share)
        table = table.with_columns(
            kind=pl.when(seen_only).then(pl.lit("impression", dtype=KINDS)).otherwise("kind"),
            weight=pl.when(seen_only).then(0).otherwise(kept).cast(pl.Float32),
        ).filter(pl.col("cancels").is_null() | pl.Series(taken.without_target))
    table = table.drop("cancels", "count")
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


class _TakenBack(NamedTuple):
    """What the cancelling rows of a table take back."""

    share: NDArray[np.float64]
    """(rows,), share of the row's count that is taken back; 1 where nothing of it is left."""
    without_target: NDArray[np.bool_]
    """(rows,), which cancelling rows find nothing to cancel."""


def _taken_back(table: pl.DataFrame) -> _TakenBack:
    """What each row loses, and which cancelling rows find nothing to cancel.

    A cancelling row takes back as many as its count from the last event before it of which
    something is left, and what it has over from the one before. In a log without times every event
    counts as earlier than every cancelling row.
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
    count = table["count"].to_numpy()
    left = count.copy()
    open_rows: dict[tuple[Any, ...], list[int]] = {}
    without_target = np.zeros(table.height, dtype=np.bool_)
    for *key, cancelling, row in concerned.iter_rows():
        earlier = open_rows.setdefault(tuple(key), [])
        if not cancelling:
            earlier.append(row)
            continue
        without_target[row] = not earlier
        back = left[row]
        while earlier and back > 0:
            last = earlier[-1]
            taken = min(back, left[last])
            back, left[last] = back - taken, left[last] - taken
            if left[last] <= _ROUNDING * count[last]:
                left[last] = 0
                earlier.pop()
    share = 1 - np.divide(left, count, out=np.ones_like(left), where=count > 0)
    share[table["cancels"].is_not_null().to_numpy()] = 0
    return _TakenBack(share, without_target)
