"""Reading your own log as a config says. No other module of the library reads data from files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from recsys.config import AUTO, Newcomers, OwnLog
from recsys.core.errors import ConfigError, LogError
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import DatedLog, by_condition, by_time
from recsys.logs.schema import COHORTS, KINDS


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
    frames = {
        name: read_frame(path, f"log.{name}", f"log.{name}=path/to/{Path(path).name}")
        for name in ("events", "users", "items")
        if (path := getattr(source, name)) is not None
    }
    frames = renamed(frames, source.columns, "log.columns")
    events = _with_cancels(_with_kind(frames["events"], source.kinds), frames["events"], source)
    _check_weights(events, source.weights)
    users = frames.get("users")
    condition = source.newcomers if isinstance(source.newcomers, str) else AUTO
    if condition != AUTO:
        users = _with_cohort(users, condition)
    log = InteractionLog.from_frames(
        events, users, frames.get("items"), weights=source.weights, timezone=source.timezone
    )
    own = by_condition(log, source) if condition != AUTO else by_time(log, source)
    own = replace(own, log=_without_rare_items(own.log, source.min_item_events))
    _check_cohorts(own.log, source.newcomers)
    return own


def read_frame(path: str, where: str, otherwise: str) -> pl.DataFrame:
    """Reads a Parquet or CSV file.

    Args:
        path: such as "data/events.csv"; a file that does not end in .parquet is read as CSV.
        where: the config key or option that names the file, for messages, such as "log.events".
        otherwise: how to name another file, for messages, such as "log.events=path/to/file.csv".

    Raises:
        ConfigError: the file is not there.
        LogError: the file cannot be read.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(
            f"{where}: no file at {file.resolve()}; put a Parquet or CSV file there, "
            f"or name another place: {otherwise}"
        )
    try:
        if file.suffix == ".parquet":
            return pl.read_parquet(file)
        frame = pl.read_csv(file, try_parse_dates=True, infer_schema_length=10_000)
    except (PolarsError, OSError, ValueError) as error:
        raise LogError(
            f"{where}: {file} cannot be read as {file.suffix or 'CSV'}: {error}"
        ) from error
    _check_dates(frame, file, where)
    return frame


def _check_dates(frame: pl.DataFrame, file: Path, where: str) -> None:
    """Raises on dates of a CSV that do not begin with the year; 01/02/2025 has two meanings."""
    times = [column for column, kind in frame.schema.items() if kind.is_temporal()]
    raw = pl.scan_csv(file, infer_schema=False).select(times) if times else None
    for column in times:
        assert raw is not None
        text = raw.select(column).drop_nulls().head(1).collect().item()
        if frame.schema[column] != pl.Time and not text.strip()[:4].isdigit():
            raise LogError(
                f"{where}: {file} has dates such as {text!r} in {column}, which can be read in "
                "two ways; write them with the year first, such as 2025-01-13"
            )


def renamed(
    frames: Mapping[str, pl.DataFrame], columns: Mapping[str, str], where: str = "columns"
) -> dict[str, pl.DataFrame]:
    """Renames the columns of frames to the names that recsys uses.

    Args:
        frames: frames by the name that messages call them, such as "events".
        columns: the file's name of a column by ours, such as {"user_id": "member"}. A column is
            renamed in each frame that has it.
        where: the config key that holds the mapping, for messages, such as "log.columns".

    Raises:
        ConfigError: no frame has a column that is named.

    >>> renamed({"a": pl.DataFrame({"member": [1]})}, {"user_id": "member"})["a"].columns
    ['user_id']
    """
    for our_name, file_name in columns.items():
        if not any(file_name in frame.columns for frame in frames.values()):
            have = "; ".join(f"{name}: {', '.join(f.columns)}" for name, f in frames.items())
            raise ConfigError(
                f"{where}.{our_name}: no file has a column {file_name!r}. The files have {have}"
            )
    return {name: _renamed(frame, columns) for name, frame in frames.items()}


def _renamed(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """One frame with our names; a column of the file that has such a name already is dropped."""
    renames = {
        file_name: our_name for our_name, file_name in columns.items() if file_name in frame.columns
    }
    replaced = [new for old, new in renames.items() if new in frame.columns and new != old]
    return frame.drop(replaced).rename(renames)


def _with_kind(events: pl.DataFrame, kinds: Mapping[str, str]) -> pl.DataFrame:
    """Sets the kind of each event to the first whose condition holds; see `OwnLog.kinds`."""
    if not kinds:
        return events
    _check_kinds(kinds, "log.kinds")
    kind = pl.lit("impression")
    for name, condition in reversed(list(kinds.items())):
        holds = _condition(events, condition, f"log.kinds.{name}")
        kind = pl.when(holds).then(pl.lit(name)).otherwise(kind)
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
            holds = pl.lit((given["kind"].cast(pl.String) == text).fill_null(False))
        else:
            holds = pl.lit(given.select(_condition(given, text, where)).to_series())
        cancels = pl.when(holds.fill_null(False)).then(pl.lit(name)).otherwise(cancels)
    marked = events.with_columns(cancels=cancels)
    if "kind" in marked.columns:
        # The kind of a cancelling row, such as `unlike`, is not one that the schema allows.
        kind = pl.col("kind").cast(pl.String)
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


def _with_cohort(users: pl.DataFrame | None, newcomers: str) -> pl.DataFrame:
    """Marks users as newcomers where a condition holds; where it is null they are incumbents."""
    if users is None:
        raise ConfigError("log.users: give the users' file: log.newcomers is a condition on it")
    is_newcomer = _condition(users, newcomers, "log.newcomers").fill_null(False)
    cohort = pl.when(is_newcomer).then(pl.lit("newcomer")).otherwise(pl.lit("incumbent"))
    return users.with_columns(cohort=cohort.cast(COHORTS))


def _condition(frame: pl.DataFrame, text: str, where: str) -> pl.Expr:
    """An SQL condition as an expression that yields true or false for each row of the frame."""
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
    """The log without events on items that have fewer than `least` positive events."""
    if least == 1:
        return log
    liked = log.dense.filter(pl.col("weight") > 0)
    items = liked.group_by("item").len().filter(pl.col("len") >= least)["item"]
    kept = log.only(log.dense["item"].is_in(items.implode()).to_numpy())
    dropped = log.dense.height - kept.dense.height
    if kept.dense.is_empty():
        raise LogError(f"log.min_item_events: no item has {least} positive events; lower it")
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
