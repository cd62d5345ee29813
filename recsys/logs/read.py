"""Reading your own log as a config says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from recsys.config import AUTO, Newcomers, OwnLog
from recsys.core.errors import ConfigError, LogError
from recsys.logs.cleaning import why_few_likes
from recsys.logs.columns import shown, texts
from recsys.logs.conditions import holds, names_in
from recsys.logs.foreign import explained
from recsys.logs.frames import ID_COLUMNS, read_frame, read_frames, renamed
from recsys.logs.ids import ids_of
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import DatedLog, by_condition, by_time
from recsys.logs.schema import COHORTS, KINDS

__all__ = ["is_of_users", "marked", "read_frame", "read_log", "read_own_log"]


def read_log(source: OwnLog) -> InteractionLog:
    """Reads a log and its cohorts; arguments and errors as in `read_own_log`."""
    return read_own_log(source).log


def read_own_log(source: OwnLog) -> DatedLog:
    """Reads the files of a log, renames their columns, marks newcomers and drops rare items.

    Args:
        source: the part `log` of a config, such as LogSource(events="data/events.csv", …).

    Raises:
        ConfigError: a file is not there, or a condition cannot be evaluated.
        LogError: the files hold no valid log, or a log without newcomers or without incumbents.
    """
    paths = {
        name: path
        for name in ("events", "users", "items")
        if (path := getattr(source, name)) is not None
    }
    ids = [source.columns.get(name, name) for name in ID_COLUMNS]
    topics = {"items": list(source.attributes.values())}
    frames = read_frames(paths, ids, topics, "log.{}", "log.{}=path/to/{}")
    frames = renamed(frames, source.columns, "log.columns")
    events = marked(frames["events"], source)
    _check_weights(events, source.weights)
    condition = source.newcomers if isinstance(source.newcomers, str) else AUTO
    users = _with_attributes(frames.get("users"), frames["events"], condition)
    if condition != AUTO:
        users = _with_cohort(users, condition)
    log = InteractionLog.from_frames(
        events, users, frames.get("items"), weights=source.weights, timezone=source.timezone
    )
    own = by_condition(log, source) if condition != AUTO else by_time(log, source)
    if source.min_item_events > 1:
        own = replace(own, log=_without_rare_items(own.log, source.min_item_events), uncut=own.log)
    _check_cohorts(own.log, source.newcomers)
    return own


def marked(events: pl.DataFrame, source: OwnLog) -> pl.DataFrame:
    """The events with the columns `kind` and `cancels`, as `source.kinds` and `cancels` say.

    Args:
        events: the events' file, with our names of columns.
        source: the part `log` of a config.

    Raises:
        ConfigError: a kind that does not exist, or a condition that cannot be evaluated.
    """
    return _with_cancels(_with_kind(events, source.kinds), events, source)


def _with_kind(events: pl.DataFrame, kinds: Mapping[str, str]) -> pl.DataFrame:
    """Sets the kind of each event to the first whose condition holds; see `OwnLog.kinds`."""
    if not kinds:
        return events
    _check_kinds(kinds, "log.kinds")
    kind = pl.lit("impression")
    for name, condition in reversed(list(kinds.items())):
        met = holds(events, condition, f"log.kinds.{name}")
        kind = pl.when(met).then(pl.lit(name)).otherwise(kind)
    return events.with_columns(kind=kind)


def _with_cancels(events: pl.DataFrame, given: pl.DataFrame, source: OwnLog) -> pl.DataFrame:
    """Adds a column with the kind of event that a row takes back (`OwnLog.cancels`), else null.

    Args:
        events: the events after `_with_kind`.
        given: the events before it, on which the conditions are evaluated.
        source: its `cancels` holds a condition, or a kind of the file, by the kind taken back.
    """
    if not source.cancels:
        return events
    cancels = pl.lit(None, dtype=pl.String)
    for name, text in reversed(list(source.cancels.items())):
        if name not in KINDS.categories or name == "impression":
            kinds = ", ".join(kind for kind in KINDS.categories if kind != "impression")
            raise ConfigError(
                f"log.cancels: no kind of event {name!r} to take back; known: {kinds}"
            )
        where = f"log.cancels.{name}"
        if text.isidentifier() and text not in given.columns and "kind" in given.columns:
            met = texts(given["kind"], "events", "the kind of an event") == text
        else:
            met = holds(given, text, where)
        cancels = pl.when(met.fill_null(False)).then(pl.lit(name)).otherwise(cancels)
    marked = events.with_columns(cancels=cancels)
    if "kind" in marked.columns:
        # The kind of a cancelling row, such as `unlike`, is not one that the schema allows.
        kind = texts(marked["kind"], "events", "the kind of an event")
        cancelling = pl.col("cancels").is_not_null()
        marked = marked.with_columns(
            kind=pl.when(cancelling).then(pl.lit("impression")).otherwise(kind)
        )
    return marked


def _check_kinds(kinds: Mapping[str, Any], where: str) -> None:
    """Raises ConfigError for a kind of event that does not exist."""
    unknown = [kind for kind in kinds if kind not in KINDS.categories]
    if unknown:
        raise ConfigError(
            f"{where}: no kind of event {unknown[0]!r}; known: {', '.join(KINDS.categories)}"
        )


def _check_weights(events: pl.DataFrame, weights: Mapping[str, float]) -> None:
    """Raises ConfigError for unknown kinds, and where each event has a weight of its own."""
    _check_kinds(weights, "log.weights")
    if weights and "weight" in events.columns:
        raise ConfigError(
            "log.weights: the events already have a column weight; leave one of the two out, or "
            "map the column to another name: log.columns.their_weight=weight"
        )


def _with_attributes(
    users: pl.DataFrame | None, events: pl.DataFrame, condition: str
) -> pl.DataFrame | None:
    """The users with what stands of them in the events' file alone.

    These are the columns that the condition names, and `joined`.

    Args:
        users: the users' file, if there is one.
        events: the events' file.
        condition: which users are newcomers.

    Raises:
        LogError: a column that the condition names has two values for one user.
    """
    known = ["user_id", "key", *(users.columns if users is not None else [])]
    asked = [] if condition == AUTO else names_in(condition)
    names = [
        name
        for name in dict.fromkeys([*asked, "joined"])
        if name in events.columns
        and name not in known
        and "user_id" in events.columns
        and is_of_users(events, name, needed=name in asked)
    ]
    if not names:
        return users
    ids = ids_of(events["user_id"], "events")
    rows = events.select(ids.alias("user_id"), *names)
    values = rows.group_by("user_id", maintain_order=True).agg(
        pl.col(name).drop_nulls().first() for name in names
    )
    if users is None:
        return values
    with explained("users: user_id is not of the type that it has in events", "give both the same"):
        users = users.with_columns(ids_of(users["user_id"], "users"))
        return users.join(values, on="user_id", how="left", maintain_order="left")


def is_of_users(events: pl.DataFrame, name: str, *, needed: bool) -> bool:
    """Whether a column of events has one value for each user.

    Args:
        events: the events' file.
        name: the column.
        needed: whether it is an error if it does not.

    Raises:
        LogError: a column that is needed has two values for one user.
    """
    pairs = events.select("user_id", name).drop_nulls().unique(maintain_order=True)
    again = pairs.filter(~pairs["user_id"].is_first_distinct())
    if again.is_empty() or not needed:
        return again.is_empty()
    user = again["user_id"][0]
    values = pairs.filter(pl.col("user_id") == user)[name].head(2)
    raise LogError(
        f"log.newcomers: {name} stands in the events and differs for user {shown(user)} "
        f"({', '.join(map(shown, values))}); give one value for each user, in a users' file"
    )


def _with_cohort(users: pl.DataFrame | None, newcomers: str) -> pl.DataFrame:
    """Marks users as newcomers where a condition holds; where it is null they are incumbents."""
    if users is None:
        raise ConfigError(
            "log.users: give the users' file: log.newcomers is a condition on its columns, and "
            "names none of the events"
        )
    is_newcomer = holds(users, newcomers, "log.newcomers").fill_null(False)
    cohort = pl.when(is_newcomer).then(pl.lit("newcomer")).otherwise(pl.lit("incumbent"))
    return users.with_columns(cohort=cohort.cast(COHORTS))


def _without_rare_items(log: InteractionLog, least: int) -> InteractionLog:
    """The log without events on items that have fewer than `least` positive events."""
    liked = log.dense.filter(pl.col("weight") > 0)
    items = liked.group_by("item").len().filter(pl.col("len") >= least)["item"]
    kept = log.only(log.dense["item"].is_in(items.implode()).to_numpy())
    dropped = log.dense.height - kept.dense.height
    if kept.dense.is_empty():
        raise LogError(
            f"log.min_item_events: no item has {least} positive events"
            f"{why_few_likes(log.dense) or '; lower it'}"
        )
    report = {**log.cleaning, f"rows of items with fewer than {least} likes, dropped": dropped}
    report["rows kept"] = kept.dense.height
    return InteractionLog(kept.users, kept.items, kept.dense, report)


def _check_cohorts(log: InteractionLog, newcomers: str | Newcomers) -> None:
    """Raises LogError where a cohort has no users with events."""
    by_condition = isinstance(newcomers, str)
    how, what = (repr(newcomers), "the condition") if by_condition else ("first_seen", "its dates")
    active = log.users[log.dense["user"].unique().cast(pl.UInt32)]["cohort"]
    for cohort, who in (("newcomer", "nobody"), ("incumbent", "everybody")):
        if (active == cohort).sum() == 0:
            raise LogError(
                f"log.newcomers: {who} with events is a newcomer by {how}, so there are "
                f"no {cohort}s to compare; change {what}"
            )
