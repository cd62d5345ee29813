"""Placebos of a log: as new to the recommender as newcomers, where it is known when these came."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys import load_study, run
from recsys.logs.log import InteractionLog
from recsys.study.arms.placebos import arrival, placebos_of
from recsys.study.sources import Sources

START, CAME = date(2025, 1, 1), date(2025, 1, 29)
WAVE = {"first_seen": {"from": CAME.isoformat()}}


def wave(folder, *, different, seed=0, incumbents=500, newcomers=60):
    """A log of five weeks; newcomers come in its last week, in which each likes 10 of 80 items.

    Incumbents like two items a week, and two in three of them ten in the last one. Everybody likes
    items of one of two tastes; newcomers who are different like items 0 to 9 before them.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(incumbents + newcomers):
        taste = 40 * (user % 2) + rng.permutation(40)
        last = 10 if user >= incumbents or user % 3 else 2
        weeks = [[4]] * last if user >= incumbents else [[week] * 2 for week in range(4)]
        days = [week for some in weeks for week in some] if user >= incumbents else None
        when = days or [*np.repeat(np.arange(4), 2), *[4] * last]
        liked = taste[: len(when)]
        if user >= incumbents and different:
            liked[:8] = rng.permutation(10)[:8]
        rows += [(user, int(item), week) for item, week in zip(liked, when, strict=True)]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "week"], orient="row")
    moment = pl.Series(rng.integers(0, 7 * 86_400, events.height))
    begin = int(datetime(START.year, START.month, START.day, tzinfo=UTC).timestamp())
    events = events.with_columns(timestamp=begin + pl.col("week") * 7 * 86_400 + moment)
    events.drop("week").unique(["user_id", "item_id"], maintain_order=True).write_parquet(
        folder / "events.parquet"
    )
    kinds = ["short" if item % 2 else "long" for item in range(80)]
    pl.DataFrame({"item_id": np.arange(80), "format": kinds}).write_parquet(
        folder / "items.parquet"
    )
    return {
        "name": "wave",
        "log": {
            "events": str(folder / "events.parquet"),
            "items": str(folder / "items.parquet"),
            "newcomers": WAVE,
            "attributes": {"format": "format"},
            "placebo_draws": 39,
        },
        "recommenders": ["trending"],
        "evaluation": {"k": 8, "panel": 60},
        "seeds": 1,
    }


def test_a_wave_of_a_week_is_matched_with_what_others_did_in_that_week(tmp_path):
    placebos = Sources(load_study(wave(tmp_path, different=False))).log.placebos
    assert placebos.since == datetime(2025, 1, 29, tzinfo=UTC)
    assert placebos.matching.testable
    assert placebos.matching.event_share == 1.0
    assert "before the newcomers' first day is left out of both fits" in placebos.describe()


def test_a_placebo_is_compared_with_the_log_in_which_its_group_had_just_joined(tmp_path):
    log = Sources(load_study(wave(tmp_path, different=False))).log
    removals = log.removals
    group = removals.left_out("placebo", 3)
    joined = removals.log_of("joined", 3)
    mine = joined.dense.filter(pl.col("user").is_in(group))
    assert mine["timestamp"].min() >= removals.since
    others = pl.col("user").is_in(group).not_()
    assert_frame_equal(joined.dense.filter(others), removals.log.dense.filter(others))
    assert_frame_equal(removals.log_of("placebo", 3).dense, removals.log.dense.filter(others))
    before = removals.log_of("before", 0).dense
    assert before["timestamp"].max() < removals.since


def test_a_wave_is_told_from_others_only_where_it_differs(tmp_path):
    """A fair test has p <= .05 with probability 5 %; three of three with 1e-4."""
    small = []
    for seed in range(3):
        config = wave(tmp_path, different=False, seed=seed)
        small.append(run(load_study(config)).drift.filter(measure="posts")["p_value"].item())
    assert max(small) > 0.05
    result = run(load_study(wave(tmp_path, different=True)))
    assert result.drift.filter(measure="posts")["p_value"].item() == 1 / 40
    assert {"full", "influx", "before", "joined", "placebo"} == set(result.per_user["arm"])
    assert result.matching["joined"].item()
    assert result.mix["before"].drop_nulls().len() == 2
    full = result.summary.filter(arm="full", measure="format:short")["mean"].item()
    influx = result.summary.filter(arm="influx", measure="format:short")["mean"].item()
    row = result.mix.filter(value="short").row(0, named=True)
    assert (row["with"], row["without"], row["moved"]) == pytest.approx(
        (full, influx, full - influx)
    )


def test_whole_users_where_nobody_else_was_there(tmp_path):
    """In the last week nobody but newcomers does anything."""
    rng = np.random.default_rng(0)
    rows = [
        (user, int(item), START + timedelta(days=28 if user >= 200 else int(rng.integers(28))))
        for user in range(230)
        for item in rng.permutation(40)[:6]
    ]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    log = InteractionLog.from_frames(
        events,
        {"user_id": range(230), "cohort": ["incumbent"] * 200 + ["newcomer"] * 30},
    )
    placebos = placebos_of(
        log,
        np.arange(50),
        ~log.newcomers,
        0,
        arrived=CAME,
        timezone="UTC",
        max_pool_fraction=0.5,
    )
    assert placebos.since is None
    assert placebos.elsewhen
    assert "at other times" in placebos.describe()


@pytest.mark.parametrize(
    ("arrived", "timezone", "since"),
    [
        (date(2025, 1, 29), "Asia/Shanghai", datetime(2025, 1, 28, 16, tzinfo=UTC)),
        (date(2025, 1, 30), "UTC", None),
        (None, "UTC", None),
    ],
)
def test_the_moment_of_arrival(arrived, timezone, since):
    log = InteractionLog.from_frames(
        {"user_id": [0, 1], "item_id": [0, 0], "timestamp": [date(2025, 1, 1), date(2025, 1, 29)]},
        {"user_id": [0, 1], "cohort": ["incumbent", "newcomer"]},
    )
    assert arrival(log, arrived, timezone) == since
