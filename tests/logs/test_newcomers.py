"""Newcomers of an own log by their first day, by `joined`, and by a wave that is looked for."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys.config import FirstSeen, Newcomers, OwnLog
from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import ARRIVALS, by_condition, by_time
from recsys.statistics.arrivals import find_wave

START = datetime(2024, 9, 2, tzinfo=UTC)  # a Monday
WAVE = date(2025, 1, 13)


def source(newcomers, **more):
    return OwnLog(events="events.parquet", newcomers=newcomers, **more)


def window(first, last=None):
    return Newcomers(first_seen=FirstSeen(from_=date.fromisoformat(first), to=last))


def log_of(rows, **users):
    """A log of user, day, hour."""
    events = {
        "user_id": [user for user, _, _ in rows],
        "item_id": list(range(len(rows))),
        "timestamp": [datetime(2025, 1, day, hour, tzinfo=UTC) for _, day, hour in rows],
    }
    known = sorted({user for user, _, _ in rows})
    return InteractionLog.from_frames(events, {"user_id": known, **users})


def arriving(days, per_day, *, regulars=300, seed=0, every=8):
    """Regulars who come about each `every` days from before the log on, and new users day by day.

    Args:
        days: length of the log.
        per_day: new users on each day, each there for a while.
    """
    rng = np.random.default_rng(seed)
    users, moments, user = [], [], 0
    for _ in range(regulars):
        at = -rng.random() * every
        while at < days:
            if at >= 0:
                users.append(user)
                moments.append(at)
            at += rng.exponential(every)
        user += 1
    for day, count in enumerate(per_day):
        for _ in range(count):
            visits = day + rng.random() + np.append(0, rng.exponential(every, 3).cumsum())
            users += [user] * int((visits < days).sum())
            moments += visits[visits < days].tolist()
            user += 1
    times = [int((START + timedelta(days=float(at))).timestamp()) for at in moments]
    items = rng.integers(0, 50, len(users))
    return InteractionLog.from_frames({"user_id": users, "item_id": items, "timestamp": times})


# By a window of days


def test_both_days_of_a_window_are_in_it():
    log = log_of([("a", 11, 23), ("b", 12, 0), ("c", 14, 23), ("d", 15, 0), ("a", 13, 1)])
    own = by_time(log, source(window("2025-01-12", date(2025, 1, 14))))
    assert own.log.newcomers.tolist() == [False, True, True, False]
    assert own.bystanders.tolist() == [False, False, False, True]
    assert own.arrived == date(2025, 1, 12)
    assert (
        "2 users who were first seen from 2025-01-12 to 2025-01-14. Incumbents: 1" in own.notes[0]
    )
    assert own.notes[1].startswith("1 users came later. They count as neither")
    assert own.arrivals.is_empty()
    assert own.wave is None


def test_an_open_window_has_no_bystanders():
    log = log_of([("a", 11, 23), ("b", 12, 0), ("c", 31, 0)])
    own = by_time(log, source(window("2025-01-12")))
    assert own.log.newcomers.tolist() == [False, True, True]
    assert not own.bystanders.any()
    assert len(own.notes) == 1


def test_days_begin_where_the_log_is():
    log = log_of([("a", 11, 15), ("b", 11, 16)])  # 23:00 on the 11th and 0:00 on the 12th
    own = by_time(log, source(window("2025-01-12"), timezone="Asia/Shanghai"))
    assert own.log.newcomers.tolist() == [False, True]


@pytest.mark.parametrize(
    "joined",
    [
        [date(2020, 5, 1), date(2025, 1, 12), None],
        ["2020-05-01", "2025-01-12", None],
        [datetime(2020, 5, 1, tzinfo=UTC), datetime(2025, 1, 12, 9, tzinfo=UTC), None],
    ],
    ids=["dates", "texts", "times"],
)
def test_who_has_joined_is_known_before_the_first_event(joined):
    log = log_of([("a", 20, 1), ("b", 20, 1), ("c", 20, 1)], joined=joined)
    own = by_time(log, source(window("2025-01-12", date(2025, 1, 13))))
    assert own.log.newcomers.tolist() == [False, True, False]
    assert own.bystanders.tolist() == [False, False, True]  # c: by his first event
    assert "joined, or were first seen" in own.notes[0]


@pytest.mark.parametrize(
    ("joined", "message"),
    [
        ([5, 6], "users: joined is Int64; give dates"),
        (["soon", None], "values of joined are no times"),
    ],
)
def test_bad_joined(joined, message):
    log = log_of([("a", 20, 1), ("b", 20, 1)])
    log = InteractionLog(log.users.with_columns(joined=pl.Series(joined)), log.items, log.dense)
    with pytest.raises(LogError, match=message):
        by_time(log, source(window("2025-01-12")))


@pytest.mark.parametrize("how", ["auto", window("2025-01-12")])
def test_times_are_needed(how):
    log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]})
    name = "auto" if how == "auto" else "first_seen"
    with pytest.raises(
        LogError, match=f"log.newcomers: {name} needs times, and the events have none"
    ):
        by_time(log, source(how))


def test_a_condition_may_come_with_a_date():
    log = log_of([("a", 11, 1), ("b", 12, 1)], cohort=["incumbent", "newcomer"])
    own = by_condition(log, source("days < 5", arrived=date(2025, 1, 12)))
    assert own.log is log
    assert own.arrived == date(2025, 1, 12)
    assert not own.bystanders.any()


# By a wave


def test_a_wave_in_weeks_is_dated_to_the_day():
    """450 days: 2 new users a day, 20 on the 26 days from Wednesday, 15 January, on."""
    per_day = np.full(450, 2)
    begins = (date(2025, 1, 15) - START.date()).days
    per_day[begins : begins + 26] = 20
    own = by_time(arriving(450, per_day), source("auto"))
    assert own.arrived == date(2025, 1, 15)
    assert own.arrivals["days"].unique().to_list() == [7]
    assert own.arrivals.schema == ARRIVALS
    assert own.arrivals["from"].dt.weekday().unique().to_list() == [1]
    waves = own.arrivals.filter("wave")["from"].to_list()
    assert waves[0] in (date(2025, 1, 13), date(2025, 1, 20))
    assert own.wave.found
    assert own.log.newcomers.sum() == pytest.approx(26 * 20, rel=0.15)
    assert own.bystanders.sum() > 20
    assert own.notes[0].startswith("auto: arrivals rise on 2025-01-15. By the week, ")
    assert "p = 0.00" in own.notes[0]
    assert "Users first seen by 7 days: " in own.notes[0]


def test_an_early_wave_is_not_lost_in_the_burn_in():
    """351 days with people who come about every 40 days: two waves, on days 30 and 60."""
    per_day = np.full(351, 3)
    for begins in (30, 60):
        per_day[begins : begins + 4] = [30, 40, 25, 12]
    log = arriving(351, per_day, regulars=200, every=40)
    own = by_time(log, source("auto"))
    assert own.arrivals.filter(~pl.col("used")).height < 30
    found = {(own.arrived - START.date()).days}
    other = next(note for note in own.notes if "too: " in note)
    found.add((date.fromisoformat(other.split()[4]) - START.date()).days)
    assert found <= {30, 31, 60, 61}
    assert len(found) == 2


def test_a_wave_of_five_days_is_found_in_a_long_log():
    per_day = np.full(210, 2)
    begins = (date(2025, 1, 13) - START.date()).days
    per_day[begins : begins + 5] = 60
    own = by_time(arriving(210, per_day), source("auto"))
    assert own.arrived == date(2025, 1, 13)
    assert own.arrivals["days"].unique().to_list() == [1]


def test_a_wave_in_a_short_log_is_looked_for_by_the_day():
    per_day = np.full(60, 3)
    per_day[40:43] = 60
    own = by_time(arriving(60, per_day), source("auto"))
    assert own.arrived == (START + timedelta(days=40)).date()
    assert own.arrivals["days"].unique().to_list() == [1]
    assert own.arrivals.filter("wave").height == 3
    burn_in = own.arrivals.filter(~pl.col("used")).height
    assert 5 <= burn_in <= 20
    counted = own.arrivals["first_seen"].to_numpy()
    assert counted[:burn_in].sum() > 200  # the regulars
    assert find_wave(counted[burn_in:]).start == 40 - burn_in


def test_a_log_that_begins_is_no_wave():
    """Regulars are first seen in its first days, and nobody else comes."""
    log = arriving(60, np.full(60, 3))
    with pytest.raises(
        LogError, match=r"auto finds no wave of newcomers in \d+ days from"
    ) as caught:
        by_time(log, source("auto"))
    for words in (
        "left out: users who were there before",
        "Users first seen by day: ",
        "Say who is a newcomer",
        "first_seen: {from: DATE, to: DATE}",
    ):
        assert words in str(caught.value)


def test_growth_is_no_wave():
    log = arriving(60, np.round(np.linspace(5, 40, 60)).astype(int))
    with pytest.raises(LogError, match=r"rise to less than 1\.5 times the usual|p is above"):
        by_time(log, source("auto"))


def test_logs_too_short():
    with pytest.raises(
        LogError, match=r"auto needs 21 days after the first \d+, .* has 25 days in all"
    ):
        by_time(arriving(25, np.full(25, 3)), source("auto"))


def test_who_joined_needs_no_burn_in():
    """Whoever has a date of joining was not first seen because the log began."""
    per_day = np.full(60, 3)
    per_day[40:43] = 60
    log = arriving(60, per_day, regulars=50)
    first = log.dense.group_by("user").agg(pl.col("timestamp").min()).sort("user")["timestamp"]
    long_ago = pl.Series([date(2024, 8, 1) + timedelta(days=i % 30) for i in range(log.n_users)])
    regular = pl.Series(log.users["user_id"] < 50)
    joined = pl.select(pl.when(regular).then(long_ago).otherwise(first.dt.date())).to_series()
    log = InteractionLog(log.users.with_columns(joined=joined), log.items, log.dense)
    own = by_time(log, source("auto"))
    assert own.arrivals["used"].all()
    assert own.arrivals["from"][0] <= date(2024, 8, 1)
    assert own.arrived == (START + timedelta(days=40)).date()
