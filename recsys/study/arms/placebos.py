"""Placebo groups of a log: which incumbents are removed in place of the newcomers, and of what.

There are two sorts of placebos.

- *Whole users*: all events of an incumbent are removed, as all events of a newcomer are. This is
  the sort where it is not known when newcomers came.
- *Joined users*: an incumbent who would have joined on the newcomers' first day, in their place.
  The events before that day and the newcomers are in neither of the two fits that are compared,
  and the later events are removed from one. So a placebo has as many days in the log as a newcomer,
  the same days, and is as new to the recommender; and a group, like the newcomers, is all that
  there is of new users. This is the sort where newcomers came at a known time: hardly any incumbent
  does in all of a long log what a newcomer did in one week of it.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import active_days
from recsys.statistics.matching import Matching, NoMatchError, match_newcomers


@dataclass(frozen=True)
class Early:
    """What newcomers did before the day that was given as their first.

    Attributes:
        arrived: that day.
        first: day of the earliest of these events.
        users: newcomers who have any.
        events: how many there are.
    """

    arrived: date
    first: date
    users: int
    events: int

    def describe(self) -> str:
        """For people: what follows, and what to do."""
        return (
            f"Newcomers who did something before {self.arrived}, the first day that was given for "
            f"them: {self.users:,} (events: {self.events:,}, from {self.first} on). So placebos "
            "are whole users, not users who join on that day, and the mix before it is not shown. "
            "Give an earlier day (log.arrived, or from in first_seen), or a log.newcomers that "
            "leaves these users out."
        )


@dataclass(frozen=True)
class Placebos:
    """The placebo groups of a log.

    Attributes:
        matching: the newcomers to leave out, and the incumbents from whom groups are drawn.
        since: the moment, in UTC, at which placebos would have joined; None for placebos who are
            whole users.
        elsewhen: whether newcomers came at a known time, but placebos are whole users, who may have
            been active at other times.
        early: what newcomers did before the day that was given as their first, so that placebos
            are whole users; None if they did nothing, or no day was given.
    """

    matching: Matching
    since: datetime | None = None
    elsewhen: bool = False
    early: Early | None = None

    def describe(self) -> str:
        """A line for people: both groups, what is removed of placebos, what limits the p-value."""
        line = self.matching.describe()
        if self.since is not None:
            return (
                f"{line} Placebos are as new to the recommender as the newcomers, in whose place "
                "they come: the newcomers who are tested, and what placebos did before the "
                "newcomers' first day, are left out of both fits that are compared."
            )
        if self.early is not None:
            return f"{line} {self.early.describe()}"
        if self.elsewhen:
            return (
                f"{line} Too few long-time users were active when the newcomers were, so placebos "
                "did as much at other times: a recommender that favours what is recent may "
                "tell the two apart by that alone."
            )
        return line


def placebos_of(
    log: InteractionLog,
    panel: NDArray[np.int64],
    incumbents: NDArray[np.bool_],
    seed: int,
    *,
    arrived: date | None,
    timezone: str,
    max_pool_fraction: float,
) -> Placebos:
    """The placebo groups of a log: joined users where these match, else the sort that matches more.

    Args:
        log: the log to train on.
        panel: dense ids of the incumbents that are measured.
        incumbents: bool (n_users,), which users were there before the newcomers.
        seed: seed of the draws, such as 0.
        arrived: first day on which newcomers came; None if it is not known.
        timezone: the time zone in which days begin, such as "Asia/Shanghai".
        max_pool_fraction: largest share of these incumbents that one group may take, such as 0.5.

    Raises:
        LogError: see `matching_of`.
    """

    def matched(since: datetime | None) -> Matching:
        return matching_of(
            log,
            panel,
            incumbents,
            seed,
            timezone=timezone,
            max_pool_fraction=max_pool_fraction,
            since=since,
        )

    since = arrival(log, arrived, timezone)
    if since is None:
        return Placebos(matched(None), early=_early(log, arrived, timezone))
    try:
        joined = matched(since)
    except LogError:
        return Placebos(matched(None), elsewhen=True)
    if joined.testable:
        return Placebos(joined, since)
    try:
        whole = matched(None)
    except LogError:
        return Placebos(joined, since)
    if _better(whole) > _better(joined):
        return Placebos(whole, elsewhen=True)
    return Placebos(joined, since)


def _better(matching: Matching) -> tuple[bool, bool, float]:
    """A key by which the better of two matchings is the larger."""
    return matching.testable, matching.matched, matching.event_share


def arrival(log: InteractionLog, arrived: date | None, timezone: str) -> datetime | None:
    """The moment, in UTC, at which the newcomers' first day begins.

    Args:
        log: the log to train on.
        arrived: that day; None if it is not known.
        timezone: the time zone in which days begin, such as "Asia/Shanghai".

    Returns:
        None if it is not known, the log has no times, or a newcomer did anything before it.
    """
    if arrived is None or not log.has_times:
        return None
    since = _begin_of(arrived, timezone)
    return since if _before(log, since).is_empty() else None


def _begin_of(day: date, timezone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC)


def _before(log: InteractionLog, since: datetime) -> pl.DataFrame:
    """What newcomers did before their first day, which should be nothing."""
    theirs = pl.Series(log.newcomers[log.dense["user"].to_numpy()])
    return log.dense.filter(theirs, pl.col("timestamp") < since)


def _early(log: InteractionLog, arrived: date | None, timezone: str) -> Early | None:
    """What newcomers did before their first day; None if nothing, or if that day is not known."""
    if arrived is None or not log.has_times:
        return None
    events = _before(log, _begin_of(arrived, timezone))
    first = events["timestamp"].dt.convert_time_zone(timezone).dt.date().min()
    if not isinstance(first, date):
        return None
    return Early(arrived, first, events["user"].n_unique(), events.height)


def matching_of(
    log: InteractionLog,
    panel: NDArray[np.int64],
    incumbents: NDArray[np.bool_],
    seed: int,
    *,
    timezone: str,
    max_pool_fraction: float,
    since: datetime | None = None,
) -> Matching:
    """The newcomers of a log, and the incumbents from whom placebo groups are drawn.

    These are the incumbents outside the panel who have liked something. Activity is the number of
    positive events of a user, and of days on which the user has any.

    Args:
        log: the log to train on.
        panel: dense ids of the incumbents that are measured.
        incumbents: bool (n_users,), which users were there before the newcomers.
        seed: seed of the draws, such as 0.
        timezone: the time zone in which days begin, such as "Asia/Shanghai".
        max_pool_fraction: largest share of these incumbents that one group may take, such as 0.5.
        since: the moment from which activity counts; None for the whole log.

    Raises:
        LogError: no incumbents outside the panel are like the newcomers, or too few.
    """
    counted = pl.col("weight") > 0
    if since is not None:
        counted &= pl.col("timestamp") >= since
    which = log.dense.select(counted).to_series().to_numpy()
    events = np.bincount(log.dense["user"].to_numpy()[which], minlength=log.n_users)
    pool = incumbents & (events > 0)
    pool[panel] = False
    if not pool.any():
        raise LogError(
            "evaluation.panel: the panel holds all incumbents with a positive event, so that none "
            "are left for the placebo groups; lower it"
        )
    try:
        return match_newcomers(
            events,
            _active_days(log, which, events, timezone),
            log.newcomers,
            pool,
            log.users["key"].to_numpy(),
            seed,
            max_pool_fraction=max_pool_fraction,
        )
    except NoMatchError as error:
        raise LogError(f"log.max_pool_fraction: {error}; or lower evaluation.panel") from error


def _active_days(
    log: InteractionLog, which: NDArray[np.bool_], events: NDArray[np.int64], timezone: str
) -> NDArray[np.int64]:
    """Int64 (n_users,): days on which each user was active; 1 for all if events have no times."""
    if not log.has_times:
        return (events > 0).astype(np.int64)
    days = active_days(log.only(which), timezone)
    return np.bincount(days["user"].to_numpy(), minlength=log.n_users)
