"""Who is a newcomer in your own log: by a condition, by a window of days, or by a wave of arrivals.

A user who is first seen after the window is a *bystander*, neither incumbent nor newcomer. The
bystanders' events stay in the log, but bystanders are not measured and are in no placebo group.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Newcomers, OwnLog
from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import COHORTS
from recsys.logs.times import in_utc, parsed
from recsys.statistics.arrivals import Wave, find_wave, settled_after

ARRIVALS = {
    "from": pl.Date,
    "days": pl.Int32,
    "first_seen": pl.Int64,
    "used": pl.Boolean,
    "wave": pl.Boolean,
}
"""Columns of `DatedLog.arrivals`, a row per day or week: its first date, its length, the users
first seen in it, whether it is used (false in the burn-in), whether it belongs to the wave."""

_MIN_DAYS = 21
"""Fewest days after the burn-in in which a wave is looked for."""

_MOST_DAYS = 400
"""Longest log that is looked at by the day; a longer one is by the week."""

_WEEK = 7
"""Days."""

_MOST_SHOWN = 70
"""Most numbers of a series in a message."""


@dataclass(frozen=True)
class DatedLog:
    """A log whose users have cohorts, and how the cohorts were found.

    Attributes:
        log: the log.
        bystanders: bool (n_users,), which users came after the newcomers.
        arrived: first day on which newcomers came; None if it is not known.
        arrivals: the users first seen in each period, columns as in `ARRIVALS`; without rows unless
            newcomers were found by `auto`.
        wave: the wave of arrivals that `auto` found; None otherwise.
        notes: sentences on the cohorts that say how to read the figures.
        uncut: the log with the events on rare items, which `log` lacks; None if it lacks none.
    """

    log: InteractionLog
    bystanders: NDArray[np.bool_]
    arrived: date | None = None
    arrivals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ARRIVALS))
    wave: Wave | None = None
    notes: tuple[str, ...] = ()
    uncut: InteractionLog | None = None

    @property
    def complete(self) -> InteractionLog:
        """The log with all its events: what was done and shown, whatever is learned from."""
        return self.log if self.uncut is None else self.uncut


def by_condition(log: InteractionLog, source: OwnLog) -> DatedLog:
    """Wraps a log whose users have cohorts already.

    Args:
        log: a log with cohorts.
        source: its `arrived` may say on which day the newcomers arrived.
    """
    return DatedLog(log, np.zeros(log.n_users, dtype=np.bool_), source.arrived)


def by_time(log: InteractionLog, source: OwnLog) -> DatedLog:
    """Gives users a cohort by the day on which each was first seen.

    Args:
        log: the whole log, before any events are left out.
        source: its `newcomers` is a window of days, or `auto` to look for a wave of arrivals.

    Raises:
        LogError: the log has no times, is too short, or shows no wave.
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
    """The days on which each user has events: columns user · day, distinct and sorted.

    Args:
        log: a log with times.
        timezone: the zone whose midnight begins a day, such as "Asia/Shanghai".

    >>> log = InteractionLog.from_frames({"user_id": [1, 1], "item_id": [7, 8],
    ...     "timestamp": ["2025-01-12T15:59:00Z", "2025-01-12T16:01:00Z"]})
    >>> active_days(log, "UTC").height, active_days(log, "Asia/Shanghai").height
    (1, 2)
    """
    day = pl.col("timestamp").dt.convert_time_zone(timezone).dt.date()
    return log.dense.select("user", day.alias("day")).unique().sort("user", "day")


def _first_day(log: InteractionLog, source: OwnLog) -> pl.Series:
    """Dates (n_users,): a user's `joined`, else the day of the first event, else null."""
    first = active_days(log, source.timezone).group_by("user").agg(pl.col("day").min())
    all_users = pl.DataFrame({"user": np.arange(log.n_users, dtype=np.uint32)})
    seen = all_users.join(first, on="user", how="left", maintain_order="left")["day"]
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
    """Users first seen from `first` to `last` (or the end) are newcomers, later ones bystanders."""
    new = ((seen >= first) & (seen <= (last or date.max))).fill_null(False)
    later = (seen > (last or date.max)).fill_null(False).to_numpy()
    cohort = pl.select(
        pl.when(new).then(pl.lit("newcomer")).otherwise(pl.lit("incumbent")).cast(COHORTS)
    ).to_series()
    marked = replace(log, users=log.users.with_columns(cohort=cohort))
    until = f"to {last}" if last is not None else "on"
    came = "joined, or were first seen," if "joined" in log.users.columns else "were first seen"
    notes = [
        f"Newcomers: {int(new.sum()):,} users who {came} from {first} {until}. "
        f"Incumbents: {int((seen < first).sum()):,} users who came before."
    ]
    if later.any():
        notes.append(
            f"{int(later.sum()):,} users came later. They count as neither: they are not measured "
            "and are in no placebo group, but their events stay in the log."
        )
    return DatedLog(marked, later, first, notes=tuple(notes))


def _of_wave(log: InteractionLog, seen: pl.Series, source: OwnLog) -> DatedLog:
    """Looks for a wave in the arrivals by day, or, in a long log, by week."""
    arrivals, burn_in = _arrivals(log, seen, source)
    used = arrivals.filter("used")
    unit = "day" if used["days"][0] == 1 else "week"
    wave = find_wave(used["first_seen"], daily=unit == "day")
    left_out = ""
    if burn_in:
        days = "day is" if burn_in == 1 else f"{burn_in} days are"
        left_out = (
            f" The first {days} left out: users who were there before the log are first seen then."
        )
    where = f"in {used.height} {unit}s from {used['from'][0]} on"
    if wave.start is None or wave.end is None:
        raise LogError(_no_wave(where, wave.refusal, used, left_out))
    begins = used["from"][wave.start]
    last = None if wave.end >= used.height else used["from"][wave.end] - timedelta(days=1)
    if not wave.found:
        until = "the end" if last is None else last
        candidate = f"the best candidate, from {begins} to {until}, has {wave.evidence}"
        raise LogError(_no_wave(where, f"{wave.refusal} ({candidate})", used, left_out))
    first = begins if unit == "day" else _to_the_day(seen, begins)
    own = _in_window(log, seen, first, last)
    note = (
        f"auto: arrivals rise on {first}. By the {unit}, {where}: {wave.evidence}."
        f"{left_out} A rise in users first seen may also come from a change of what is logged. "
        f"{_series(used)}."
    )
    another = _another(used, wave)
    inside = pl.col("used") & pl.col("from").is_between(begins, last or date.max)
    marked = arrivals.with_columns(wave=inside)
    return replace(own, arrivals=marked, wave=wave, notes=(note, *another, *own.notes))


def _another(used: pl.DataFrame, wave: Wave) -> tuple[str, ...]:
    """A note on the next best wave, if there is one beside the best."""
    counts = used["first_seen"].to_numpy().astype(np.float64)
    counts[wave.start : wave.end] = wave.before
    other = find_wave(counts, daily=used["days"][0] == 1)
    if not other.found or other.start is None:
        return ()
    return (
        f"auto: arrivals rise on {used['from'][other.start]} too: {other.evidence}. Those users "
        "count as they came, before or after the first wave; to ask of them, give their dates.",
    )


def _no_wave(where: str, why: str, used: pl.DataFrame, left_out: str) -> str:
    return (
        f"log.newcomers: auto finds no wave of newcomers {where}: {why}. {_series(used)}."
        f"{left_out} Say who is a newcomer: by a condition on the users, or "
        "{first_seen: {from: DATE, to: DATE}}"
    )


def _series(used: pl.DataFrame) -> str:
    """The arrivals as numbers in a row, so many periods summed that a few lines hold them."""
    counts = used["first_seen"].to_numpy()
    width = -(-counts.size // _MOST_SHOWN)
    sums = np.add.reduceat(counts, np.arange(0, counts.size, width))
    days = int(used["days"][0]) * width
    by = "day" if days == 1 else f"{days} days"
    return f"Users first seen by {by}: {' '.join(str(count) for count in sums)}"


def _arrivals(log: InteractionLog, seen: pl.Series, source: OwnLog) -> tuple[pl.DataFrame, int]:
    """Users first seen by day or by week, and days of the burn-in."""
    days = active_days(log, source.timezone)
    begin, end = days["day"].min(), days["day"].max()
    assert isinstance(begin, date)
    assert isinstance(end, date)
    with_events = seen.gather(days["user"].unique(maintain_order=True)).drop_nulls()
    joined = _all_joined(log)
    if joined:
        first = with_events.min()
        assert isinstance(first, date)
        begin = min(begin, first)
    length = (end - begin).days + 1
    by_day = _counts(with_events, begin, end, 1, begin)
    burn_in = 0 if joined else settled_after(by_day["first_seen"])
    used_from = begin + timedelta(days=burn_in)
    if length - burn_in > _MOST_DAYS:
        monday = begin - timedelta(days=begin.weekday())
        return _counts(with_events, monday, end, _WEEK, used_from), burn_in
    if length - burn_in < _MIN_DAYS:
        raise LogError(
            f"log.newcomers: auto needs {_MIN_DAYS} days after the first {burn_in}, but the log "
            f"has {length} days in all (most users who were there before the log are first seen "
            f"in its first {burn_in} days); give dates (first_seen) or a condition on the users"
        )
    return _counts(with_events, begin, end, 1, used_from), burn_in


def _counts(seen: pl.Series, begin: date, end: date, width: int, used_from: date) -> pl.DataFrame:
    """Users first seen in each whole period of `width` days, columns as in `ARRIVALS`."""
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


def _to_the_day(seen: pl.Series, week: date) -> date:
    """The day, at most a week from the Monday `week`, on which daily arrivals rise most.

    Counts become nearly normal by 2·√(count + 3/8) (Anscombe 1948); the day is the one that splits
    them into two means with the largest gain in fit, among those where the mean rises.
    """
    begin = week - timedelta(days=2 * _WEEK)
    number = (seen.drop_nulls() - pl.Series([begin])).dt.total_days().to_numpy()
    inside = number[(number >= 0) & (number < 4 * _WEEK)]
    z = 2 * np.sqrt(np.bincount(inside, minlength=4 * _WEEK) + 0.375)
    cuts = np.arange(_WEEK, 3 * _WEEK)
    z = z - z.mean()
    low = np.cumsum(z)[cuts - 1]  # sum before the cut; the sum after it is the opposite
    gain = np.where(low < 0, low**2 / cuts + low**2 / (z.size - cuts), -1.0)
    return begin + timedelta(days=int(cuts[np.argmax(gain)]))
