"""The table `counted`: newcomers' share of what incumbents were shown, where impressions are kept.

Nothing is estimated: it counts. A post counts once for each user and day on which the log has any
row of the user on it, since a platform may keep a click in place of the impression before it.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.logs.log import InteractionLog
from recsys.study.tables.groups import groups_of_users, in_order
from recsys.study.tables.table import Column, Columns, schema_of

BEFORE, SINCE = "before the newcomers", "since the newcomers' first day"
WHOLE = "the whole log"
_USERS = {"half of the users": 0.5, "nine tenths of the users": 0.9, "99 of 100 users": 0.99}

COLUMNS: Columns = {
    "by": Column(
        pl.String,
        "what the rows tell apart: `all`, `day`, `users` (quantiles of users' shares), or an "
        "attribute of `evaluation.groups`",
    ),
    "value": Column(pl.String, "the day, the group, or the part of the log or of the users"),
    "shown": Column(pl.Int64, "posts that incumbents were shown, once for each user and day"),
    "newcomers": Column(pl.Int64, "those of them that newcomers made"),
    "share": Column(
        pl.Float64, "newcomers / shown; in rows by `users` the share that so many users stay within"
    ),
    "users": Column(pl.Int64, "incumbents who were shown anything"),
}
"""Columns of the table. Rows by users or groups are about the time since the newcomers' first day,
where that day is known."""


def why_not(log: InteractionLog) -> str:
    """Why nothing can be counted in a log; empty if it can.

    Args:
        log: the whole log.
    """
    if log.from_newcomers is None:
        return "the log does not say who made the posts (items need a column creator_id)"
    if not (log.dense["kind"] == "impression").any():
        return "the log keeps no impressions (events of weight 0 that were shown and not liked)"
    return ""


def counted_table(
    log: InteractionLog,
    incumbents: NDArray[np.bool_],
    arrived: date | None,
    timezone: str,
    users: pl.DataFrame,
    groups: tuple[str, ...],
) -> pl.DataFrame:
    """Counts how much of what incumbents were shown newcomers had made.

    Args:
        log: the whole log.
        incumbents: bool (n_users,).
        arrived: first day on which newcomers came; None if it is not known.
        timezone: the time zone in which days begin, such as "Asia/Shanghai".
        users: user_id and attributes, a row for each user of the log.
        groups: attributes of users, such as ("activity",).

    Returns:
        The columns of `COLUMNS`; no row if nothing can be counted, as `why_not` says.
    """
    nothing = pl.DataFrame(schema=schema_of(COLUMNS))
    if why_not(log):
        return nothing
    assert log.from_newcomers is not None
    day = pl.lit(None, dtype=pl.Date)
    if log.has_times:
        day = pl.col("timestamp").dt.convert_time_zone(timezone).dt.date()
    shown = log.dense.filter(pl.Series(incumbents[log.dense["user"].to_numpy()])).select(
        "user", "item", day.alias("day")
    )
    shown = shown.unique()
    theirs = pl.Series("theirs", log.from_newcomers[shown["item"].to_numpy()])
    shown = shown.with_columns(theirs).sort("user", "item", "day")
    rows = list(_rows(shown, arrived, users, groups))
    return pl.DataFrame(rows, schema=schema_of(COLUMNS)) if rows else nothing


def _rows(
    shown: pl.DataFrame, arrived: date | None, users: pl.DataFrame, groups: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    after, name = shown, WHOLE
    if arrived is not None and shown["day"].null_count() == 0:
        before, name = shown.filter(pl.col("day") < arrived), SINCE
        after = shown.filter(pl.col("day") >= arrived)
        yield _row("all", BEFORE, before)
    yield _row("all", name, after)
    for (day,), part in (
        after.filter(pl.col("day").is_not_null()).sort("day").group_by("day", maintain_order=True)
    ):
        yield _row("day", str(day), part)
    shares = after.group_by("user").agg(pl.col("theirs").mean())["theirs"].to_numpy()
    if shares.size:
        whole = _row("users", "", after)
        for who, level in _USERS.items():
            share = float(np.quantile(shares, level, method="inverted_cdf"))
            yield {**whole, "value": who, "share": share}
    cut = groups_of_users(users, groups, "evaluation.groups")
    for attribute in groups:
        group = cut[attribute].gather(after["user"])
        for value in in_order(group):
            yield _row(attribute, value, after.filter(group == value))


def _row(by: str, value: str, part: pl.DataFrame) -> dict[str, Any]:
    newcomers = int(part["theirs"].sum())
    return {
        "by": by,
        "value": value,
        "shown": part.height,
        "newcomers": newcomers,
        "share": newcomers / part.height if part.height else None,
        "users": part["user"].n_unique(),
    }
