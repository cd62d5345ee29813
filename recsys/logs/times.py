"""Times of a log: text, numbers and dates become UTC microseconds."""

from datetime import UTC, datetime

import polars as pl

from recsys.core.errors import LogError

TIME = pl.Datetime("ms", "UTC")


_PLAUSIBLE = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


_EPOCH_UNITS = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (float("inf"), 1e-6))
"""Up to which size a number counts seconds, milli-, micro- or nanoseconds; its milliseconds."""


def _times(table: pl.DataFrame, timezone: str) -> pl.Series:
    """The column timestamp as `TIME`, whatever form the times have; null where there is none."""
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
    """Dates or datetimes as `TIME`; those without a zone are in `timezone`, a date its midnight.

    Of a time that comes twice when clocks are set back, the first; one that is skipped when they
    are set forward is null.

    >>> in_utc(pl.Series([datetime(2025, 1, 13)]), "Asia/Shanghai").to_list()
    [datetime.datetime(2025, 1, 12, 16, 0, tzinfo=zoneinfo.ZoneInfo(key='UTC'))]
    """
    if not (isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None):
        column = column.cast(pl.Datetime("ms")).dt.replace_time_zone(
            timezone, ambiguous="earliest", non_existent="null"
        )
    return column.dt.convert_time_zone("UTC").cast(TIME)


def _from_epoch(numbers: pl.Series) -> pl.Series:
    """Numbers since 1970 as times in UTC; their size tells the unit, one for the whole column."""
    is_float = numbers.dtype.is_float()
    values = numbers.cast(pl.Float64).fill_nan(None) if is_float else numbers
    size = values.cast(pl.Float64).abs().max()
    largest = size if isinstance(size, float) else 0.0
    milliseconds = next(scale for limit, scale in _EPOCH_UNITS if largest < limit)
    if milliseconds >= 1:
        wide = values.cast(pl.Float64 if is_float else pl.Int64) * int(milliseconds)
    else:
        wide = values.cast(pl.Int64) // round(1 / milliseconds)
    return wide.cast(pl.Int64).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")


def parsed(texts: pl.Series, timezone: str, frame: str) -> pl.Series:
    """ISO texts as times in UTC; those without an offset are in `timezone`.

    Raises:
        LogError: a text that is no ISO time, such as 13/01/2025, which may be read in two ways.

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
    """Zeros for missing times, mixed units and sequence numbers are errors, not dates."""
    first, last = _PLAUSIBLE
    odd = ((times < first) | (times >= last)).fill_null(False)
    if odd.any():
        example, read = given.filter(odd)[0], times.filter(odd)[0]
        raise LogError(
            f"events: {odd.sum():,} of {len(times):,} times are before {first.year} or after "
            f"{last.year - 1}, such as {example!r}, read as {read:%Y-%m-%d %H:%M} UTC; zeros "
            "for missing times, numbers of mixed units, and numbers that only give an order are no "
            "times: make them null, mend them, or leave the column out"
        )
