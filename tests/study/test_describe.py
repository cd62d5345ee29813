"""What a log holds: arrivals, a wave, who may be new, how much can be matched."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recsys import LogError
from recsys.study.describe import describe_log, named

START = date(2025, 1, 1)


def _log(days, *, wave_on=None, per_day=10, of_wave=150, likes=6):
    """Users who come day by day and like a few items on their first three days."""
    random = np.random.default_rng(0)
    rows, user = [], 0
    for day in range(days):
        more = of_wave if wave_on is not None and wave_on <= day < wave_on + 3 else 0
        for _ in range(random.poisson(per_day) + more):
            for item in random.choice(80, likes, replace=False):
                when = START + timedelta(days=min(day + int(random.integers(0, 3)), days - 1))
                rows.append((user, int(item), when))
            user += 1
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


def test_a_wave_is_found_and_can_be_pasted():
    found = describe_log(_log(60, wave_on=40))
    assert found.wave is not None
    assert found.no_wave == ""
    assert abs((found.arrived - START).days - 40) <= 1
    first = found.proposals[0]
    assert first.line.startswith(f"{{first_seen: {{from: {found.arrived}, to: {found.ended}")
    assert 0.4 < first.share < 0.6
    assert 0 < first.matched <= 1


def test_no_wave_says_why():
    found = describe_log(_log(60))
    assert found.wave is None
    assert "no wave" in found.no_wave
    assert found.proposals == ()
    short = describe_log(_log(10))
    assert "needs 21 days" in short.no_wave


def test_arrivals_are_counted_by_day_week_or_month():
    for days, width in ((30, 1), (100, 7), (400, 30)):
        events = _log(days, per_day=2)
        table = describe_log(events).arrivals
        assert table["days"].unique().to_list() == [width]
        assert table.height == -(-days // width)
        assert table["first_seen"].sum() == events["user_id"].n_unique()
        assert table["from"][0] == START


def test_a_log_without_times():
    events = _log(30).drop("timestamp")
    found = describe_log(events)
    assert found.span is None
    assert found.arrivals.is_empty()
    assert found.no_wave == "the log has no times"


def test_columns_of_users_propose_newcomers():
    events = _log(40).drop("timestamp")
    n = events["user_id"].n_unique()
    users = pl.DataFrame(
        {
            "user_id": np.arange(n),
            "days_here": np.where(np.arange(n) % 5, 400, 10),
            "country": np.where(np.arange(n) % 4, "here", "o'er there"),
            "vip": np.arange(n) % 10 == 0,
            "height_cm": np.arange(n),
            "joined": [START + timedelta(days=int(i) % 100) for i in range(n)],
        }
    )
    found = describe_log(events, users)
    lines = {proposal.line: proposal for proposal in found.proposals}
    assert lines.keys() == {
        "days_here <= 30",
        "days_here <= 90",
        "days_here <= 365",
        "country = 'o''er there'",
        "vip",
        f"joined >= CAST('{START + timedelta(days=89)}' AS DATE)",
    }
    proposal = lines["days_here <= 30"]
    assert proposal.share == pytest.approx(0.2, abs=0.01)
    assert proposal.users == n - np.count_nonzero(np.arange(n) % 5)
    assert proposal.matched == pytest.approx(1.0, abs=0.05)


def test_dates_that_can_be_read_in_two_ways_propose_nobody_and_are_told():
    events = _log(40, per_day=3).drop("timestamp")
    users = (
        events.select("user_id")
        .unique()
        .with_columns(signup=pl.lit("17/01/2024"), vip=pl.col("user_id") % 10 == 0)
    )
    found = describe_log(events, users)
    assert [proposal.line for proposal in found.proposals] == ["vip"]
    assert found.hints[0].startswith("signup holds dates such as '17/01/2024'")


def test_a_part_that_cannot_be_matched_is_told():
    """Newcomers who do ten times as much as anybody else have no equals."""
    events = _log(40).drop("timestamp").with_columns(new=pl.lit(False))
    heavy = pl.DataFrame(
        [(10_000 + user, item, True) for user in range(30) for item in range(80)],
        schema=["user_id", "item_id", "new"],
        orient="row",
    )
    both = pl.concat([events, heavy])
    users = both.group_by("user_id").agg(pl.col("new").any())
    (proposal,) = describe_log(both.drop("new"), users).proposals
    assert proposal.line == "new"
    assert proposal.matched == 0.0


def test_recommenders_that_lack_something_say_what():
    found = describe_log(_log(30))
    assert found.recommenders["item_knn"] == ""
    assert "topic" in found.recommenders["platform_ranker"]


def test_columns_that_may_be_kinds_are_told():
    events = _log(30).with_columns(
        seen_to_end=pl.int_range(pl.len()) % 2,
        event=pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("a")).otherwise(pl.lit("b")),
        rating=pl.int_range(pl.len()) % 5 + 1,
    )
    text = " ".join(describe_log(events).hints)
    assert "seen_to_end (50.0%)" in text
    assert "event has the values a, b" in text
    assert "rating goes from 1 to 5" in text
    assert describe_log(events.with_columns(kind=pl.lit("click"))).hints == ()


def test_a_log_is_described_as_its_columns_suggest():
    events = _log(30).with_columns(
        event=pl.Series(["view", "buy", "refund", "view"] * 3000).head(_log(30).height),
        quantity=pl.int_range(pl.len()) % 4 + 1,
        land=pl.when(pl.col("user_id") % 4 == 0).then(pl.lit("far")).otherwise(pl.lit("near")),
    )
    found = describe_log(events)
    assert found.suggestion.columns == {"count": "quantity"}
    assert found.suggestion.of_users == ("land",)
    kinds = dict(found.kinds.iter_rows())
    assert {"click", "purchase", "impression"} == set(kinds)
    assert found.log.cleaning["cancelling rows with nothing to cancel, seen only"] > 0
    assert "land = 'far'" in [proposal.line for proposal in found.proposals]
    assert found.hints == ()


def test_no_events_are_an_error():
    with pytest.raises(LogError, match="no rows"):
        describe_log(_log(30).clear())


def test_names_are_found_whatever_their_signs():
    assert named(["USER-ID", "Movie Id", "TimeStamp"]) == {
        "user_id": "USER-ID",
        "item_id": "Movie Id",
        "timestamp": "TimeStamp",
    }
    assert named(["user_id", "item_id", "uid"]) == {}
