"""The times of a log: texts, numbers, dates and datetimes become UTC times in milliseconds."""

from datetime import UTC, datetime

import polars as pl

from recsys.core.errors import LogError
from recsys.logs.columns import TEXT, refuse, shown

TIME = pl.Datetime("ms", "UTC")
"""Type of all times inside a log."""

DAY = 86_400_000
"""Milliseconds of a day."""

_PLAUSIBLE = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Times before the first or from the second on are taken for mistakes."""

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
"""Dates and texts from here on may say when an item was published: books are old."""

_EPOCH_UNITS = (
    (1e11, 1000.0, "seconds"),
    (1e14, 1.0, "milliseconds"),
    (1e17, 1e-3, "microseconds"),
    (float("inf"), 1e-6, "nanoseconds"),
)
"""Limit, milliseconds in a unit, and its name. Numbers below 1e11 are read as seconds since 1970,
larger ones below 1e14 as milliseconds, below 1e17 as microseconds, the rest as nanoseconds."""

_LARGEST = 2.0**63
"""Numbers from here on are no times in any unit."""

_FORMATS = tuple(
    f"{date}{time}"
    for date in ("%Y-%m-%d", "%Y/%m/%d")
    for time in ("", *(f"{by}{clock}" for by in " T" for clock in ("%H:%M:%S%.f", "%H:%M")))
)
"""How times without a zone may be written, from year to second."""


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
    return times_of(table["timestamp"], timezone, "events")


def times_of(
    column: pl.Series, timezone: str, called: str, *, may_be_old: bool = False
) -> pl.Series:
    """A column of times in any form as `TIME`; null where there is none.

    Args:
        column: datetimes, dates, ISO texts, or numbers since 1970 in seconds, milli-, micro- or
            nanoseconds.
        timezone: zone of times without one, such as "Asia/Shanghai"; numbers are in UTC.
        called: what messages call the frame, such as "items".
        may_be_old: whether dates and texts may be before 1990, as those of films and books are.

    Raises:
        LogError: values that are no times, or times before 1990 or after 2099.

    >>> times_of(pl.Series("published", ["1954-04-26"]), "UTC", "items", may_be_old=True)[0].year
    1954
    """
    kind = column.dtype
    if kind in TEXT:
        times = parsed(column.cast(pl.String), timezone, called)
    elif kind.is_numeric():
        times = _from_epoch(column, called)
    elif isinstance(kind, pl.Datetime | pl.Date) or kind == pl.Null:
        times = column
    else:
        raise LogError(f"{called}: {column.name} is {kind}; give datetimes, dates or epoch seconds")
    times = in_utc(times, timezone)
    first = _FIRST if may_be_old and not kind.is_numeric() else _PLAUSIBLE[0]
    _check_plausible(times, column, called, first)
    return times.alias(column.name)


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


def _from_epoch(numbers: pl.Series, called: str) -> pl.Series:
    """Numbers since 1970 as times in UTC; the largest one tells the unit of the whole column."""
    exact = numbers.dtype.is_integer()
    values = numbers if exact else numbers.cast(pl.Float64).fill_nan(None)
    size = values.cast(pl.Float64).abs()
    beyond = (size >= _LARGEST).fill_null(False)
    if beyond.any():
        refuse(
            numbers,
            beyond,
            called,
            "a time is a number since 1970 in seconds, milli-, micro- or nanoseconds; write "
            "missing times as null",
        )
    scale, _ = _unit(numbers)
    if scale >= 1:
        since = values.cast(pl.Int64 if exact else pl.Float64) * int(scale)
    else:
        since = values.cast(pl.Int64) // round(1 / scale)
    return since.cast(pl.Int64).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")


def _unit(numbers: pl.Series) -> tuple[float, str]:
    """The milliseconds in the unit of a column of numbers since 1970, and its name."""
    values = numbers.cast(pl.Float64)
    size = values.fill_nan(None).abs().max()
    largest = size if isinstance(size, float) else 0.0
    return next((scale, name) for limit, scale, name in _EPOCH_UNITS if largest < limit)


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
    times = texts.str.to_datetime("%+", time_zone="UTC", time_unit="us", strict=False)
    if times.null_count() == texts.null_count():
        return times
    plain = _without_zone(texts.set(times.is_not_null(), None))
    unread = plain.is_null() & times.is_null() & texts.is_not_null()
    if unread.any():
        raise LogError(
            f"{frame}: {int(unread.sum()):,} of {len(texts):,} values of {texts.name or 'time'} "
            f"are no times, such as {shown(texts.filter(unread)[0])} in row "
            f"{(unread.arg_max() or 0) + 1}; give ISO times such as 2025-01-12T08:30:00, or epoch "
            "seconds"
        )
    return times.zip_with(times.is_not_null(), in_utc(plain, timezone).cast(times.dtype))


def _without_zone(texts: pl.Series) -> pl.Series:
    """Texts without an offset as naive times; null where a text has none of the known forms."""
    texts = texts.str.strip_chars()
    times = pl.Series(texts.name, [None], dtype=pl.Datetime("us")).new_from_index(0, len(texts))
    for form in _FORMATS:
        if times.null_count() == texts.null_count():
            break
        left = texts.set(times.is_not_null(), None)
        read = left.str.to_datetime(form, time_unit="us", strict=False)
        times = times.zip_with(times.is_not_null(), read)
    return times


def _check_plausible(times: pl.Series, given: pl.Series, called: str, first: datetime) -> None:
    """Raises LogError for times before `first` or after 2099, of zeros or of wrong units."""
    last = _PLAUSIBLE[1]
    odd = ((times < first) | (times >= last)).fill_null(False)
    if not odd.any():
        return
    read = times.filter(odd).dt.to_string("%Y-%m-%d %H:%M")[0]
    if given.dtype.is_numeric():
        largest = given.fill_nan(None).max() if given.dtype.is_float() else given.max()
        read = f"{read} UTC in {_unit(given)[1]} (the largest is {largest!r}, which tells the unit)"
    else:
        read = f"{read} UTC"
    raise LogError(
        f"{called}: {odd.sum():,} of {len(times):,} values of {given.name} are before "
        f"{first.year} or after {last.year - 1}, such as {shown(given.filter(odd)[0])} in row "
        f"{(odd.arg_max() or 0) + 1}, read as {read}. Write missing times as null, not 0; use one "
        "unit for all numbers; leave the column out if it only gives an order"
    )
