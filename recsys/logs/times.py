"""The times of a log: texts, numbers, dates and datetimes become UTC times in milliseconds."""

from datetime import UTC, datetime

import polars as pl

from recsys.core.errors import LogError

TIME = pl.Datetime("ms", "UTC")
"""Type of all times inside a log."""

DAY = 86_400_000
"""Milliseconds of a day."""

_PLAUSIBLE = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Times before the first or from the second on are taken for mistakes."""

_EPOCH_UNITS = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (float("inf"), 1e-6))
"""Pairs of (limit, milliseconds in a unit). Numbers below 1e11 are read as seconds since 1970,
larger ones below 1e14 as milliseconds, below 1e17 as microseconds, the rest as nanoseconds."""


def read_times(table: pl.DataFrame, timezone: str) -> pl.Series:
    """The column `timestamp` of a frame as `TIME`; null where a row has no time.

    Args:
        table: events; a frame without this column yields nulls.
        timezone: zone of times without one, such as "Asia/Shanghai".

    Raises:
        LogError: values that are no times, or times before 1990 or after 2099.
    """
    if "timestamp" not in table.columns:
        return pl.Series("timestamp", [None] * table.height, dtype=TIME)
    column = table["timestamp"]
    kind = column.dtype
    if kind == pl.String:
        column = parsed(column, timezone, "events")
    elif kind.is_numeric():
        column = _from_epoch(column)
    elif not isinstance(kind, pl.Datetime | pl.Date) and kind != pl.Null:
        raise LogError(f"events: timestamp is {kind}; give datetimes, dates or epoch seconds")
    times = in_utc(column, timezone)
    _check_plausible(times, table["timestamp"])
    return times


def in_utc(column: pl.Series, timezone: str) -> pl.Series:
    """Dates or datetimes as `TIME`; a date stands for its midnight.

    A time that occurs twice because clocks are set back is read as the first of the two. A time
    that is skipped because clocks are set forward becomes null.

    Args:
        column: dates or datetimes.
        timezone: zone of values that carry none, such as "Asia/Shanghai".

    >>> in_utc(pl.Series([datetime(2025, 1, 13)]), "Asia/Shanghai").to_list()
    [datetime.datetime(2025, 1, 12, 16, 0, tzinfo=zoneinfo.ZoneInfo(key='UTC'))]
    """
    if not (isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None):
        column = column.cast(pl.Datetime("ms")).dt.replace_time_zone(
            timezone, ambiguous="earliest", non_existent="null"
        )
    return column.dt.convert_time_zone("UTC").cast(TIME)


def _from_epoch(numbers: pl.Series) -> pl.Series:
    """Numbers since 1970 as times in UTC; the largest one tells the unit of the whole column."""
    is_float = numbers.dtype.is_float()
    values = numbers.cast(pl.Float64).fill_nan(None) if is_float else numbers
    size = values.cast(pl.Float64).abs().max()
    largest = size if isinstance(size, float) else 0.0
    milliseconds = next(scale for limit, scale in _EPOCH_UNITS if largest < limit)
    if milliseconds >= 1:
        since = values.cast(pl.Float64 if is_float else pl.Int64) * int(milliseconds)
    else:
        since = values.cast(pl.Int64) // round(1 / milliseconds)
    return since.cast(pl.Int64).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")


def parsed(texts: pl.Series, timezone: str, frame: str) -> pl.Series:
    """ISO texts as times in UTC.

    Args:
        texts: such as "2025-01-13 08:00" or "2025-01-13T00:00Z"; an empty text is a missing time.
        timezone: zone of texts without an offset, such as "Asia/Shanghai".
        frame: what messages call the frame, such as "events".

    Raises:
        LogError: a text that is no ISO time, such as 01/02/2025, which can be read in two ways.

    >>> parsed(pl.Series(["2025-01-13 08:00"]), "Asia/Shanghai", "events").to_list()
    [datetime.datetime(2025, 1, 13, 0, 0, tzinfo=zoneinfo.ZoneInfo(key='UTC'))]
    """
    texts = texts.replace("", None)
    zoned = texts.str.to_datetime("%+", time_zone="UTC", strict=False)
    times = zoned
    if zoned.null_count() > texts.null_count():
        year_first = texts.str.contains(r"^\s*\d{4}\D")
        plain = texts.set(~year_first, None).str.to_datetime(strict=False)
        times = zoned.zip_with(zoned.is_not_null(), in_utc(plain, timezone).cast(zoned.dtype))
        unread = texts.filter(plain.is_null() & zoned.is_null() & texts.is_not_null())
        if len(unread):
            raise LogError(
                f"{frame}: {len(unread):,} of {len(texts):,} values of {texts.name or 'time'} are "
                f"no times, such as {unread[0]!r}; give ISO times such as 2025-01-12T08:30:00, or "
                "epoch seconds"
            )
    return times


def _check_plausible(times: pl.Series, given: pl.Series) -> None:
    """Raises LogError for times before 1990 or after 2099: they come from zeros or wrong units."""
    first, last = _PLAUSIBLE
    odd = ((times < first) | (times >= last)).fill_null(False)
    if odd.any():
        example, read = given.filter(odd)[0], times.filter(odd)[0]
        raise LogError(
            f"events: {odd.sum():,} of {len(times):,} times are before {first.year} or after "
            f"{last.year - 1}, such as {example!r}, read as {read:%Y-%m-%d %H:%M} UTC. Write "
            "missing times as null, not 0; use one unit for all numbers; leave the column out if "
            "it only gives an order"
        )
