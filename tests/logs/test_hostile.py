"""Whatever columns hold, a log is right or refused in words: no other error, no half of each."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import UserError, compare_feeds
from recsys.logs.columns import whole_numbers
from recsys.logs.log import InteractionLog
from recsys.logs.times import TIME
from tests.kit.hostile import frames

EVENTS = {
    "user_id": [1, 1, 2, 2, 3, 3],
    "item_id": [7, 8, 7, 9, 8, 9],
    "timestamp": [1_736_640_000 + 60 * row for row in range(6)],
    "kind": ["click", "like", "click", "impression", "save", "hide"],
    "rank": [1, 2, 3, 1, 2, 3],
    "weight": [1.0, 2.0, 0.0, 1.0, -1.0, 0.5],
    "cancels": [None, None, None, "like", None, None],
    "extra": ["x"] * 6,
}
USERS = {
    "user_id": [1, 2, 3],
    "cohort": ["newcomer", "incumbent", None],
    "joined": ["2025-01-01", None, "2025-01-02"],
    "age": [20, 30, 40],
}
ITEMS = {
    "item_id": [7, 8, 9],
    "published": ["2024-12-31", "2025-01-01 08:00", None],
    "creator_id": [1, 2, None],
    "topic": ["a", "b", None],
}
FEEDS = {
    "user_id": [1, 1, 2, 2],
    "rank": [1, 2, 1, 2],
    "item_id": [7, 8, 7, 9],
    "day": [1, 1, 1, 1],
    "score": [0.9, 0.8, 0.7, 0.6],
}

logs = given(frames(EVENTS), st.none() | frames(USERS, 2), st.none() | frames(ITEMS, 2))
feeds = given(
    frames(FEEDS, 2), frames(FEEDS, 1), st.none() | frames(USERS), st.none() | frames(ITEMS)
)


def in_words(refusal):
    """One sentence or two, in a line."""
    assert 20 < len(str(refusal)) < 1_000
    assert "\n" not in str(refusal)


def check_log(events, users, items):
    try:
        log = InteractionLog.from_frames(events, users, items, timezone="Asia/Shanghai")
        codes = [log.item_codes(name) for name in log.items.columns if name == "topic"]
    except UserError as refusal:
        in_words(refusal)
        return
    assert log.users["user_id"].dtype in (pl.Int64, pl.UInt64, pl.String)
    assert log.users["user_id"].n_unique() == log.n_users
    if users is None:
        assert log.n_users <= events["user_id"].n_unique()
    weights = log.dense["weight"].to_numpy()
    assert np.isfinite(weights).all()
    assert np.isfinite(log.interactions.weights.data).all()
    if "weight" in events.columns:
        assert (weights > 0).sum() <= (events["weight"].cast(pl.Float64, strict=False) > 0).sum()
    if "rank" in events.columns and log.dense.height == events.height:
        given = whole_numbers(events["rank"], "events", "", 1, 2**16)
        assert log.dense["rank"].null_count() == given.null_count()
    times = log.dense["timestamp"].drop_nulls()
    assert times.dt.year().is_between(1989, 2100).all()
    if "published" in log.items.columns and log.items["published"].dtype.is_numeric():
        pytest.fail("numbers of `published` were left as they are")
    if "published" in log.items.columns and log.items["published"].dtype.is_temporal():
        assert log.items["published"].dtype in (TIME, pl.Time)
    assert all(code.shape == (log.n_items,) for code, _ in codes)
    _ = log.withheld, log.from_newcomers


def check_feeds(a, b, users, items):
    groups = [] if users is None else [name for name in ("age", "cohort") if name in users.columns]
    try:
        result = compare_feeds(a, b, users=users, items=items, groups=groups)
    except UserError as refusal:
        in_words(refusal)
        return
    changed = result.drift.filter(measure="slots_changed")["drift"]
    assert changed.is_between(0, 1).all()
    assert result.k == max(
        int(frame["rank"].cast(pl.String).cast(pl.Float64).max()) for frame in (a, b)
    )


@logs
@settings(max_examples=150, deadline=None)
def test_any_columns_of_a_log(events, users, items):
    check_log(events, users, items)


@feeds
@settings(max_examples=40, deadline=None)
def test_any_columns_of_feeds(a, b, users, items):
    check_feeds(a, b, users, items)


@pytest.mark.slow
@logs
@settings(max_examples=5_000, deadline=None)
def test_five_thousand_logs(events, users, items):
    check_log(events, users, items)


@pytest.mark.slow
@feeds
@settings(max_examples=1_000, deadline=None)
def test_a_thousand_feeds(a, b, users, items):
    check_feeds(a, b, users, items)
