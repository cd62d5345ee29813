"""The count of what incumbents were shown: by day, user and group, before newcomers and since."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from recsys import load_study, run
from recsys.logs.log import InteractionLog
from recsys.study.tables.counted import BEFORE, SINCE, WHOLE, counted_table, why_not

OLD, NEW = date(2025, 1, 1), date(2025, 1, 12)
USERS = {"user_id": ["ann", "bob", "new"], "cohort": ["incumbent", "incumbent", "newcomer"]}
ITEMS = {"item_id": [0, 1, 2], "creator_id": ["ann", "new", "new"]}


def a_log(kind="impression", items=ITEMS):
    """Since the 12th Ann is shown one of two posts of the newcomer, Bob both."""
    rows = [
        ("ann", 0, OLD, kind),
        ("ann", 0, NEW, kind),
        ("ann", 1, NEW, kind),
        ("ann", 1, NEW, "click"),
        ("bob", 1, NEW, kind),
        ("bob", 2, NEW, "click"),
        ("new", 0, NEW, kind),
    ]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "kind"], orient="row")
    return InteractionLog.from_frames(events, USERS, items)


def count(log, arrived=NEW, groups=()):
    users = log.users.with_columns(city=pl.Series(["x", "y", "x"]))
    return counted_table(log, ~log.newcomers, arrived, "UTC", users, groups)


def test_what_was_shown_is_counted_before_and_since():
    rows = count(a_log(), groups=("city",)).rows()
    assert rows == [
        ("all", BEFORE, 1, 0, 0.0, 1),
        ("all", SINCE, 4, 3, 0.75, 2),
        ("day", "2025-01-12", 4, 3, 0.75, 2),
        ("users", "half of the users", 4, 3, 0.5, 2),
        ("users", "nine tenths of the users", 4, 3, 1.0, 2),
        ("users", "99 of 100 users", 4, 3, 1.0, 2),
        ("city", "x", 2, 1, 0.5, 1),
        ("city", "y", 2, 2, 1.0, 1),
    ]


def test_without_a_day_of_arrival_the_whole_log_is_counted():
    whole = count(a_log(), arrived=None).filter(by="all")
    assert whole["value"].to_list() == [WHOLE]
    assert whole["share"].to_list() == [3 / 5]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (a_log(kind="like"), "keeps no impressions"),
        (a_log(items=None), "does not say who made the posts"),
    ],
)
def test_what_cannot_be_counted_is_said(log, words):
    assert words in why_not(log)
    assert count(log).is_empty()


def test_nothing_was_shown_to_incumbents():
    log = a_log()
    nobody = counted_table(log, np.zeros(3, np.bool_), NEW, "UTC", log.users, ())
    assert nobody["shown"].to_list() == [0, 0]
    assert nobody["share"].null_count() == 2


def test_an_impression_counts_whether_or_not_its_item_is_learned_from(tmp_path):
    """Each of 60 incumbents is shown two posts of newcomers, which nobody likes, and eight others.

    With `min_item_events` a model never sees the two; shown they were.
    """
    rng = np.random.default_rng(0)
    rows = [
        (user, item, NEW, user >= 60 or bool(rng.random() < 0.9))
        for user in range(70)
        for item in rng.permutation(20)[:8].tolist()
    ]
    rows += [(user, item, NEW, False) for user in range(60) for item in (20, 21)]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "liked"], orient="row")
    events.write_parquet(tmp_path / "events.parquet")
    creators = [*range(20), 60, 61]
    items = pl.DataFrame({"item_id": range(22), "creator_id": creators})
    items.write_parquet(tmp_path / "items.parquet")
    users = pl.DataFrame({"user_id": range(70), "days": [99] * 60 + [1] * 10})
    users.write_parquet(tmp_path / "users.parquet")
    study = {
        "name": "shown",
        "log": {
            **{name: str(tmp_path / f"{name}.parquet") for name in ("events", "users", "items")},
            "kinds": {"click": "liked"},
            "newcomers": "days < 30",
            "min_item_events": 2,
            "placebo_draws": 20,
        },
        "recommenders": ["trending"],
        "evaluation": {"k": 3, "panel": 20},
    }
    result = run(load_study(study))
    whole = result.counted.filter(by="all")
    assert whole.select("shown", "newcomers", "share").rows() == [(600, 120, 0.2)]
    assert "rows of items with fewer than 2 likes" in result.notes[0]
