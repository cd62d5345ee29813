"""Who of a platform's own log is a newcomer: by condition, by a window of days, or by a wave.

Who comes after the window is neither: such a *bystander*'s events stay in the log, but he is not
measured, and in no placebo group.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from math import ceil
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Newcomers, OwnLog
from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import COHORTS
from recsys.logs.times import in_utc, parsed
from recsys.statistics.arrivals import LEVEL, MIN_PERIODS, Wave, find_wave, first_seen_by

ARRIVALS = {
    "from": pl.Date,
    "days": pl.Int32,
    "first_seen": pl.Int64,
    "used": pl.Boolean,
    "wave": pl.Boolean,
}
"""Columns of `DatedLog.arrivals`: a row a day or week; `used` is false in the burn-in."""
_MIN_DAYS = 21
"""Fewest days in which a wave is looked for by the day."""
_MOST_BURN_IN = 1 / 3
_SEEN = 0.9
"""Share of those there before the log that the burn-in waits for."""
_WEEK = 7


@dataclass(frozen=True)
class DatedLog:
    """A log, and what is known of who came when.

    Attributes:
        log: the log, with cohorts.
        bystanders: bool (n_users,), who came after the newcomers.
        arrived: first day on which newcomers came; None if it is not known.
        arrivals: `ARRIVALS`, the counts in which a wave was looked for; no row unless `auto`.
        wave: what was found in them.
        notes: what a reader of the figures must know of this, a sentence each.
    """

    log: InteractionLog
    bystanders: NDArray[np.bool_]
    arrived: date | None = None
    arrivals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ARRIVALS))
    wave: Wave | None = None
    notes: tuple[str, ...] = ()


def by_condition(log: InteractionLog, source: OwnLog) -> DatedLog:
    """A log whose users have cohorts already.

    Args:
        log: with cohorts.
        source: may say when the newcomers arrived.
    """
    return DatedLog(log, np.zeros(log.n_users, dtype=np.bool_), source.arrived)


def by_time(log: InteractionLog, source: OwnLog) -> DatedLog:
    """A log with cohorts by the day on which each user was first seen.

    Args:
        log: all of it, before any events are left out.
        source: `newcomers` is a window, or `auto`.

    Raises:
        LogError: the log has no times, is too short, or holds no wave.
    """
    how = "first_seen" if isinstance(source.newcomers, Newcomers) else "auto"
    if not log.has_times:
        raise LogError(
            f"log.newcomers: {how} needs times, and the events have none; map their column "
            "(log.columns.timestamp), or give a condition on the users' columns"
        )
    seen = _first_day(log, source)
    if isinstance(source.newcomers, Newcomers):
        window = source.newcomers.first_seen
        return _in_window(log, seen, window.from_, window.to)
    return _of_wave(log, seen, source)


def active_days(log: InteractionLog, timezone: str) -> pl.DataFrame:
    """The days on which each user has events: user · day, each once, in order.

    Args:
        log: with times.
        timezone: where days begin.

    >>> log = InteractionLog.from_frames({"user_id": [1, 1], "item_id": [7, 8],
    ...     "timestamp": ["2025-01-12T15:59:00Z", "2025-01-12T16:01:00Z"]})
    >>> active_days(log, "UTC").height, active_days(log, "Asia/Shanghai").height
    (1, 2)
    """
    day = pl.col("timestamp").dt.convert_time_zone(timezone).dt.date()
    return log.dense.select("user", day.alias("day")).unique().sort("user", "day")


def _first_day(log: InteractionLog, source: OwnLog) -> pl.Series:
    """Date (n_users,): `joined` where the users have it, else the first event; null for neither."""
    first = active_days(log, source.timezone).group_by("user").agg(pl.col("day").min())
    everybody = pl.DataFrame({"user": np.arange(log.n_users, dtype=np.uint32)})
    seen = everybody.join(first, on="user", how="left", maintain_order="left")["day"]
    if "joined" not in log.users.columns:
        return seen
    joined = log.users["joined"]
    if joined.dtype == pl.String:
        joined = parsed(joined, source.timezone, "users")
    if not isinstance(joined.dtype, pl.Date | pl.Datetime):
        raise LogError(f"users: joined is {joined.dtype}; give dates such as 2025-01-13")
    if isinstance(joined.dtype, pl.Datetime):
        joined = in_utc(joined, source.timezone).dt.convert_time_zone(source.timezone).dt.date()
    return joined.zip_with(joined.is_not_null(), seen)


def _in_window(log: InteractionLog, seen: pl.Series, first: date, last: date | None) -> DatedLog:
    new = ((seen >= first) & (seen <= (last or date.max))).fill_null(False)
    later = (seen > (last or date.max)).fill_null(False).to_numpy()
    cohort = pl.select(
        pl.when(new).then(pl.lit("newcomer")).otherwise(pl.lit("incumbent")).cast(COHORTS)
    ).to_series()
    marked = replace(log, users=log.users.with_columns(cohort=cohort))
    until = f"to {last}" if last is not None else "on"
    known = "joined, or were first seen" if "joined" in log.users.columns else "were first seen"
    notes = [
        f"Newcomers: {int(new.sum()):,} users who {known}, from {first} {until}; incumbents: "
        f"{int((seen < first).sum()):,} who came before."
    ]
    if later.any():
        notes.append(
            f"{int(later.sum()):,} users came later: they are neither, are not measured, and are "
            "in no placebo group; their events stay."
        )
    return DatedLog(marked, later, first, notes=tuple(notes))


class _Looked(NamedTuple):
    """Where a wave was looked for, and what was found."""

    arrivals: pl.DataFrame
    wave: Wave

    @property
    def unit(self) -> str:
        return "day" if self.arrivals["days"][0] == 1 else "week"

    @property
    def where(self) -> str:
        used = self.arrivals.filter("used")
        return f"{used.height} {self.unit}s from {used['from'][0]} on"

    @property
    def refusal(self) -> str:
        figures = "" if self.wave.start is None else f" ({self.wave.evidence})"
        return f"in {self.where}: {self.wave.refusal}{figures}"


def _of_wave(log: InteractionLog, seen: pl.Series, source: OwnLog) -> DatedLog:
    """By the week if there are enough and they show one, else by the day."""
    tables, burn_in = _arrivals(log, seen, source)
    waited = ""
    if burn_in:
        waited = (
            f" The first {burn_in} days are left out: in them most of those who were there before "
            "are first seen."
        )
    looked = []
    for table in tables:
        counts = table.filter("used")["first_seen"]
        looked.append(_Looked(table, find_wave(counts, level=LEVEL / len(tables))))
        if looked[-1].wave.found:
            break
    found = looked[-1]
    wave, used = found.wave, found.arrivals.filter("used")
    if not wave.found or wave.start is None or wave.end is None:
        refusals = "; ".join(each.refusal for each in looked)
        raise LogError(
            f"log.newcomers: auto finds no wave of newcomers {refusals}.{waited} Say "
            "who is one: a condition on the users, or {first_seen: {from: DATE, to: DATE}}"
        )
    begins = used["from"][wave.start]
    first = begins if found.unit == "day" else _to_the_day(seen, begins)
    last = None if wave.end >= used.height else used["from"][wave.end] - timedelta(days=1)
    own = _in_window(log, seen, first, last)
    note = (
        f"auto: arrivals rise on {first}. By the {found.unit}, {found.where}: {wave.evidence}."
        f"{waited} A rise in users first seen may also be a change of what is logged."
    )
    inside = pl.col("used") & pl.col("from").is_between(begins, last or date.max)
    arrivals = found.arrivals.with_columns(wave=inside)
    return replace(own, arrivals=arrivals, wave=wave, notes=(note, *own.notes))


def _arrivals(
    log: InteractionLog, seen: pl.Series, source: OwnLog
) -> tuple[list[pl.DataFrame], int]:
    """Users first seen by week, where there are enough, and by day; and the days of the burn-in."""
    days = active_days(log, source.timezone)
    begin, end = days["day"].min(), days["day"].max()
    assert isinstance(begin, date)
    assert isinstance(end, date)
    with_events = seen.gather(days["user"].unique(maintain_order=True)).drop_nulls()
    length = (end - begin).days + 1
    burn_in = 0 if _all_joined(log) else _burn_in(days, length)
    if burn_in == 0:
        first = with_events.min()
        assert isinstance(first, date)
        begin = min(begin, first)
    monday = begin - timedelta(days=begin.weekday())
    used_from = begin + timedelta(days=burn_in)
    weeks = _counts(with_events, monday, end, _WEEK, used_from)
    by_day = _counts(with_events, begin, end, 1, used_from)
    enough = ((weeks, MIN_PERIODS), (by_day, _MIN_DAYS))
    tables = [table for table, least in enough if table["used"].sum() >= least]
    if not tables:
        raise LogError(
            f"log.newcomers: auto needs {_MIN_DAYS} days after the first {burn_in}, in which most "
            f"of those who were there before the log are first seen, but it has {length} days in "
            "all; give dates (first_seen) or a condition on the users"
        )
    return tables, burn_in


def _counts(seen: pl.Series, begin: date, end: date, width: int, used_from: date) -> pl.DataFrame:
    """Users first seen in each whole period of so many days."""
    number = ((seen - pl.Series([begin])).dt.total_days() // width).to_numpy()
    count = ((end - begin).days + 1) // width
    starts = [begin + timedelta(days=width * i) for i in range(count)]
    return pl.DataFrame(
        {
            "from": starts,
            "days": [width] * count,
            "first_seen": np.bincount(number[number < count], minlength=count),
            "used": [day >= used_from for day in starts],
            "wave": [False] * count,
        },
        schema=ARRIVALS,
    )


def _all_joined(log: InteractionLog) -> bool:
    return "joined" in log.users.columns and log.users["joined"].null_count() == 0


def _burn_in(days: pl.DataFrame, length: int) -> int:
    """Days until most of those who were there before the log have been seen; a third at most."""
    gaps = days.select(pl.col("day").diff().over("user").dt.total_days()).to_series().drop_nulls()
    return max(1, min(ceil(first_seen_by(gaps, _SEEN)), int(length * _MOST_BURN_IN)))


def _to_the_day(seen: pl.Series, week: date) -> date:
    """The day within a week of a Monday at which daily arrivals rise most."""
    begin = week - timedelta(days=2 * _WEEK)
    number = (seen.drop_nulls() - pl.Series([begin])).dt.total_days().to_numpy()
    inside = number[(number >= 0) & (number < 4 * _WEEK)]
    z = 2 * np.sqrt(np.bincount(inside, minlength=4 * _WEEK) + 0.375)
    cuts = np.arange(_WEEK, 3 * _WEEK)
    z = z - z.mean()
    low = np.cumsum(z)[cuts - 1]  # of the days before the cut; the rest sum to its opposite
    gain = np.where(low < 0, low**2 / cuts + low**2 / (z.size - cuts), -1.0)
    return begin + timedelta(days=int(cuts[np.argmax(gain)]))
