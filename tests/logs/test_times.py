"""In which forms a log takes times, and what it does without them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import polars as pl
import pytest

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from tests.kit.logs import EPOCH, NOON, pair

UTC_PAIR = [NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=UTC) + timedelta(seconds=1)]
CHINA = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([EPOCH, EPOCH + 1]),
        pl.Series([EPOCH, EPOCH + 1], dtype=pl.Int32),
        pl.Series([EPOCH, EPOCH + 1], dtype=pl.UInt32),
        pl.Series([float(EPOCH), EPOCH + 1.0]),
        pl.Series([EPOCH * 1000, EPOCH * 1000 + 1000]),
        pl.Series([EPOCH * 10**6, EPOCH * 10**6 + 10**6]),
        pl.Series([EPOCH * 10**9, EPOCH * 10**9 + 10**9]),
        pl.Series([EPOCH * 1e6, EPOCH * 1e6 + 1e6]),
        pl.Series([NOON, NOON + timedelta(seconds=1)], dtype=pl.Datetime("us")),
        pl.Series(["2025/01/12 12:00:00", "2025-01-12T12:00:01Z"]),
        pl.Series([EPOCH * 1000.0, EPOCH * 1000.0 + 1000]),
        pl.Series([NOON, NOON + timedelta(seconds=1)]),
        pl.Series([NOON, NOON + timedelta(seconds=1)], dtype=pl.Datetime("ns")),
        pl.Series(UTC_PAIR),
        pl.Series([NOON, NOON + timedelta(seconds=1)])
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone("Asia/Shanghai"),
        pl.Series(["2025-01-12 12:00:00", "2025-01-12 12:00:01"]),
        pl.Series(["2025-01-12T12:00:00", "2025-01-12T12:00:01"]),
        pl.Series(["2025-01-12T12:00:00Z", "2025-01-12T12:00:01Z"]),
        pl.Series(["2025-01-12T20:00:00+08:00", "2025-01-12T20:00:01+08:00"]),
        pd.Series([time.astimezone(CHINA) for time in UTC_PAIR]),
        pd.Series([NOON, NOON + timedelta(seconds=1)]),
    ],
    ids=[
        "seconds",
        "seconds in 32 bits",
        "seconds in unsigned 32 bits",
        "seconds as floats",
        "milliseconds",
        "microseconds",
        "nanoseconds as numbers",
        "microseconds as floats",
        "microseconds of datetimes",
        "strings with slashes",
        "milliseconds as floats",
        "naive",
        "nanoseconds",
        "aware",
        "aware elsewhere",
        "strings",
        "strings with T",
        "strings with Z",
        "strings with offset",
        "pandas aware",
        "pandas naive",
    ],
)
# pandas 3.1 warns of the way in which pyarrow 25 reads its aware times.
@pytest.mark.filterwarnings("ignore:Series.values returning an ndarray that drops timezone")
def test_times_in_every_form(times):
    make = pd.DataFrame if isinstance(times, pd.Series) else pl.DataFrame
    log = InteractionLog.from_frames(make(pair(timestamp=times)))
    assert log.dense["timestamp"].to_list() == UTC_PAIR
    assert log.has_times


@pytest.mark.parametrize(
    "days", [[date(2025, 1, 12), date(2025, 1, 13)], ["2025-01-12", "2025-01-13"]]
)
def test_dates_are_midnights(days):
    log = InteractionLog.from_frames(pair(timestamp=days))
    midnights = [datetime(2025, 1, day, tzinfo=UTC) for day in (12, 13)]
    assert log.dense["timestamp"].to_list() == midnights


@pytest.mark.parametrize(
    "times",
    [
        ["2025-01-12 20:00:00", "2025-01-12T20:00:01"],
        [NOON + timedelta(hours=8), NOON + timedelta(hours=8, seconds=1)],
        UTC_PAIR,
        [EPOCH, EPOCH + 1],
        ["2025-01-12T12:00:00Z", "2025-01-12T13:00:01+01:00"],
    ],
    ids=["texts", "naive", "aware", "epochs", "texts with offsets"],
)
def test_times_without_a_zone_are_in_that_of_the_log(times):
    log = InteractionLog.from_frames(pair(timestamp=times), timezone="Asia/Shanghai")
    assert log.dense["timestamp"].to_list() == UTC_PAIR


def test_hours_that_clocks_skip_or_repeat():
    """2:30 does not exist on 30 March; on 26 October the first of two is meant."""
    times = [f"2025-10-26 02:30:{second:02d}" for second in range(19)] + ["2025-03-30 02:30:00"]
    log = InteractionLog.from_frames(
        {"user_id": range(20), "item_id": [7] * 20, "timestamp": times}, timezone="Europe/Berlin"
    )
    assert log.dense["timestamp"][0] == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert log.cleaning["rows without a time, dropped"] == 1


def test_empty_texts_are_missing_times():
    times = ["", *[f"2025-01-12 12:00:{second:02d}" for second in range(19)]]
    log = InteractionLog.from_frames(
        {"user_id": range(20), "item_id": [7] * 20, "timestamp": times}
    )
    assert log.cleaning["rows without a time, dropped"] == 1


@pytest.mark.parametrize("columns", [{}, {"timestamp": [None, None]}])
def test_a_log_without_times(columns):
    log = InteractionLog.from_frames(pair(**columns))
    assert not log.has_times
    assert log.dense.height == log.cleaning["rows kept"] == 2
    with pytest.raises(LogError, match="no times"):
        log.before(datetime(2025, 1, 12, tzinfo=UTC))


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_few_missing_times_are_dropped(missing):
    times = pl.Series([missing, *map(float, range(EPOCH, EPOCH + 19))], strict=False)
    log = InteractionLog.from_frames(
        {"user_id": range(20), "item_id": [7] * 20, "timestamp": times}
    )
    assert log.dense.height == 19  # one of 20 is 5 %, the most that is allowed
    assert log.cleaning["rows without a time, dropped"] == 1


def test_many_missing_times_are_an_error():
    times = [None, *range(EPOCH, EPOCH + 18)]
    with pytest.raises(LogError, match=r"events: 1 of 19 rows have no timestamp, more than 5%"):
        InteractionLog.from_frames({"user_id": range(19), "item_id": [7] * 19, "timestamp": times})
