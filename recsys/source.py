"""A platform's own log, read as its config says: the one place in the library that reads data."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from recsys.config import LogSource
from recsys.errors import ConfigError, LogError
from recsys.log import InteractionLog
from recsys.schema import COHORTS, KINDS

__all__ = ["read_frame", "read_log", "renamed"]


def read_log(source: LogSource) -> InteractionLog:
    """Reads the files of a log, maps their columns, marks newcomers, drops rare items.

    Args:
        source: files, column names, and conditions in SQL.

    Raises:
        ConfigError: a file that is not there, or a condition that cannot be evaluated.
        LogError: what the files hold is no log, or has no newcomers or no incumbents in it.
    """
    frames = {
        name: read_frame(path, f"log.{name}", f"log.{name}=path/to/{Path(path).name}")
        for name in ("events", "users", "items")
        if (path := getattr(source, name)) is not None
    }
    frames = renamed(frames, source.columns, "log.columns")
    events = _with_kind(frames["events"], source.kinds)
    users = _with_cohort(frames, source.newcomers)
    log = InteractionLog.from_frames(events, users, frames.get("items"))
    log = _without_rare_items(log, source.min_item_events)
    _check_cohorts(log, source.newcomers)
    return log


def read_frame(path: str, where: str, otherwise: str) -> pl.DataFrame:
    """A Parquet or CSV file as a frame.

    Args:
        path: of the file; whatever does not end in .parquet is read as CSV.
        where: what names it, for messages: a key of a config, an option of a program.
        otherwise: how to name another one.

    Raises:
        ConfigError: a file that is not there.
        LogError: one that cannot be read.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(
            f"{where}: no file at {file.resolve()}; put it there as Parquet or CSV, "
            f"or name another place: {otherwise}"
        )
    try:
        if file.suffix == ".parquet":
            return pl.read_parquet(file)
        return pl.read_csv(file, try_parse_dates=True, infer_schema_length=10_000)
    except (PolarsError, OSError, ValueError) as error:
        raise LogError(
            f"{where}: {file} cannot be read as {file.suffix or 'CSV'}: {error}"
        ) from error


def renamed(
    frames: Mapping[str, pl.DataFrame], columns: Mapping[str, str], where: str = "columns"
) -> dict[str, pl.DataFrame]:
    """Frames whose columns have our names.

    Args:
        frames: by what messages call them.
        columns: ours: theirs. Each is renamed in every frame that has it.
        where: what names the mapping, for messages.

    Raises:
        ConfigError: a column that no frame has.

    >>> renamed({"a": pl.DataFrame({"member": [1]})}, {"user_id": "member"})["a"].columns
    ['user_id']
    """
    for ours, theirs in columns.items():
        if not any(theirs in frame.columns for frame in frames.values()):
            have = "; ".join(f"{name}: {', '.join(f.columns)}" for name, f in frames.items())
            raise ConfigError(
                f"{where}.{ours}: no file has a column {theirs!r}. The files have {have}"
            )
    return {name: _renamed(frame, columns) for name, frame in frames.items()}


def _renamed(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    present = {theirs: ours for ours, theirs in columns.items() if theirs in frame.columns}
    replaced = [
        ours for theirs, ours in present.items() if ours in frame.columns and ours != theirs
    ]
    return frame.drop(replaced).rename(present)


def _with_kind(events: pl.DataFrame, kinds: Mapping[str, str]) -> pl.DataFrame:
    """Kinds of event by the first condition that holds; see `LogSource.kinds`."""
    if not kinds:
        return events
    unknown = [kind for kind in kinds if kind not in KINDS.categories]
    if unknown:
        known = ", ".join(KINDS.categories)
        raise ConfigError(f"log.kinds: no kind of event {unknown[0]!r}; known: {known}")
    kind = pl.lit("impression")
    for name, condition in reversed(list(kinds.items())):
        holds = _condition(events, condition, f"log.kinds.{name}")
        kind = pl.when(holds).then(pl.lit(name)).otherwise(kind)
    return events.with_columns(kind=kind)


def _with_cohort(frames: Mapping[str, pl.DataFrame], newcomers: str) -> pl.DataFrame:
    """The users, each incumbent or newcomer; a condition that is null makes an incumbent."""
    if "users" not in frames:
        raise ConfigError("log.users: give the users' file: log.newcomers is a condition on it")
    users = frames["users"]
    cohort = _condition(users, newcomers, "log.newcomers").fill_null(False)
    named = pl.when(cohort).then(pl.lit("newcomer")).otherwise(pl.lit("incumbent"))
    return users.with_columns(cohort=named.cast(COHORTS))


def _condition(frame: pl.DataFrame, text: str, where: str) -> pl.Expr:
    """A SQL condition as an expression that yields a boolean on this frame."""
    try:
        expression = pl.sql_expr(text)
        kind = frame.head(1).select(expression.alias("condition")).schema["condition"]
    except PolarsError as error:
        first = str(error).splitlines()[0]
        raise ConfigError(
            f"{where}: cannot evaluate {text!r}: {first}. The columns are "
            f"{', '.join(frame.columns)}"
        ) from error
    if kind != pl.Boolean:
        raise ConfigError(f"{where}: {text!r} gives {kind}, not true or false")
    return expression


def _without_rare_items(log: InteractionLog, least: int) -> InteractionLog:
    if least == 1:
        return log
    liked = log.dense.filter(pl.col("weight") > 0)
    counts = liked.group_by("item").len().filter(pl.col("len") >= least)["item"]
    kept = log.only(log.dense["item"].is_in(counts.implode()).to_numpy())
    dropped = log.dense.height - kept.dense.height
    if kept.dense.is_empty():
        raise LogError(f"log.min_item_events: no item has {least} positive events; lower it")
    report = {**log.cleaning, f"rows of items with fewer than {least} likes, dropped": dropped}
    report["rows kept"] = kept.dense.height
    return InteractionLog(kept.users, kept.items, kept.dense, report)


def _check_cohorts(log: InteractionLog, newcomers: str) -> None:
    active = log.users[log.dense["user"].unique().cast(pl.UInt32)]["cohort"]
    for cohort, advice in (("newcomer", "nobody"), ("incumbent", "everybody")):
        if (active == cohort).sum() == 0:
            raise LogError(
                f"log.newcomers: {advice} with events is a newcomer by {newcomers!r}, so there are "
                f"no {cohort}s to compare; change the condition"
            )
