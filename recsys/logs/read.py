"""A platform's own log, read as its config says: the one place in the library that reads data."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from recsys.config import AUTO, Newcomers, OwnLog
from recsys.core.errors import ConfigError, LogError
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import DatedLog, by_condition, by_time
from recsys.logs.schema import COHORTS, KINDS


def read_log(source: OwnLog) -> InteractionLog:
    """The log alone of `read_own_log`."""
    return read_own_log(source).log


def read_own_log(source: OwnLog) -> DatedLog:
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
    events = _with_cancels(_with_kind(frames["events"], source.kinds), frames["events"], source)
    _check_weights(events, source.weights)
    condition = source.newcomers if isinstance(source.newcomers, str) else AUTO
    users = (
        _with_cohort(frames.get("users"), condition) if condition != AUTO else frames.get("users")
    )
    log = InteractionLog.from_frames(
        events, users, frames.get("items"), weights=source.weights, timezone=source.timezone
    )
    own = by_condition(log, source) if condition != AUTO else by_time(log, source)
    own = replace(own, log=_without_rare_items(own.log, source.min_item_events))
    _check_cohorts(own.log, source.newcomers)
    return own


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
        frame = pl.read_csv(file, try_parse_dates=True, infer_schema_length=10_000)
    except (PolarsError, OSError, ValueError) as error:
        raise LogError(
            f"{where}: {file} cannot be read as {file.suffix or 'CSV'}: {error}"
        ) from error
    _check_dates(frame, file, where)
    return frame


def _check_dates(frame: pl.DataFrame, file: Path, where: str) -> None:
    """Raises on dates of a CSV that do not begin with the year: 01/02/2025 may be either."""
    times = [column for column, kind in frame.schema.items() if kind.is_temporal()]
    raw = pl.scan_csv(file, infer_schema=False).select(times) if times else None
    for column in times:
        assert raw is not None
        text = raw.select(column).drop_nulls().head(1).collect().item()
        if frame.schema[column] != pl.Time and not text.strip()[:4].isdigit():
            raise LogError(
                f"{where}: {file} has dates such as {text!r} in {column}, which may be read in "
                "two ways; write them with the year first, such as 2025-01-13"
            )


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
    """Kinds of event by the first condition that holds; see `OwnLog.kinds`."""
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


def _with_cancels(events: pl.DataFrame, given: pl.DataFrame, source: OwnLog) -> pl.DataFrame:
    """A column that says of cancelling rows which kind they take back; see `OwnLog.cancels`."""
    if not source.cancels:
        return events
    cancels = pl.lit(None, dtype=pl.String)
    for name, text in reversed(list(source.cancels.items())):
        if name not in KINDS.categories or name == "impression":
            known = ", ".join(kind for kind in KINDS.categories if kind != "impression")
            raise ConfigError(
                f"log.cancels: no kind of event {name!r} to take back; known: {known}"
            )
        where = f"log.cancels.{name}"
        if text.isidentifier() and text not in given.columns and "kind" in given.columns:
            holds = pl.lit((given["kind"].cast(pl.String) == text).fill_null(False))
        else:
            holds = pl.lit(given.select(_condition(given, text, where)).to_series())
        cancels = pl.when(holds.fill_null(False)).then(pl.lit(name)).otherwise(cancels)
    marked = events.with_columns(cancels=cancels)
    if "kind" in marked.columns:  # a kind such as `unlike` is none of ours
        plain = pl.col("kind").cast(pl.String)
        cancelling = pl.col("cancels").is_not_null()
        marked = marked.with_columns(
            kind=pl.when(cancelling).then(pl.lit("impression")).otherwise(plain)
        )
    return marked


def _check_weights(events: pl.DataFrame, weights: Mapping[str, float]) -> None:
    unknown = [kind for kind in weights if kind not in KINDS.categories]
    if unknown:
        known = ", ".join(KINDS.categories)
        raise ConfigError(f"log.weights: no kind of event {unknown[0]!r}; known: {known}")
    if weights and "weight" in events.columns:
        raise ConfigError(
            "log.weights: the events have a column weight, which says the same of each row; leave "
            "one of them out, or map the column to another name: log.columns.their_weight=weight"
        )


def _with_cohort(users: pl.DataFrame | None, newcomers: str) -> pl.DataFrame:
    """The users, each incumbent or newcomer; a condition that is null makes an incumbent."""
    if users is None:
        raise ConfigError("log.users: give the users' file: log.newcomers is a condition on it")
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


def _check_cohorts(log: InteractionLog, newcomers: str | Newcomers) -> None:
    condition = isinstance(newcomers, str)
    how, what = (repr(newcomers), "the condition") if condition else ("first_seen", "its dates")
    active = log.users[log.dense["user"].unique().cast(pl.UInt32)]["cohort"]
    for cohort, advice in (("newcomer", "nobody"), ("incumbent", "everybody")):
        if (active == cohort).sum() == 0:
            raise LogError(
                f"log.newcomers: {advice} with events is a newcomer by {how}, so there are "
                f"no {cohort}s to compare; change {what}"
            )
