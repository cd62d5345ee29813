"""Cutting a log: by one moment for all, or by lot; and what is fair to test on."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import ConfigError
from recsys.logs.holdout import by_lot, split_days, split_log
from recsys.logs.log import InteractionLog


def log_of(*events, items=None):
    """A log of (user, item, day of January 2025, kind)."""
    user, item, day, kind = zip(*events, strict=True)
    return InteractionLog.from_frames(
        {
            "user_id": user,
            "item_id": item,
            "timestamp": [datetime(2025, 1, d, 12, tzinfo=UTC) for d in day],
            "kind": kind,
        },
        items=items,
    )


LOG_ROWS = (
    ("ann", 1, 1, "click"),
    ("bob", 1, 2, "click"),
    ("ann", 2, 2, "impression"),
    ("cat", 3, 3, "click"),
    ("ann", 2, 4, "click"),  # was shown before
    ("ann", 3, 4, "click"),
    ("ann", 3, 5, "like"),  # the same again
    ("bob", 4, 5, "click"),  # nobody knew of 4 before
    ("dan", 3, 5, "click"),  # nobody knew of dan
    ("cat", 1, 5, "impression"),  # shown, not liked
)
LOG = log_of(*LOG_ROWS)


def relevant(split):
    users, items = split.train.users["user_id"], split.train.items["item_id"]
    user, item = split.relevant.nonzero()
    return sorted(zip(users.gather(user), items.gather(item), strict=True))


def test_days_are_cut_at_one_moment_for_all():
    split = split_log(LOG, days=1.5)
    assert split.cut == datetime(2025, 1, 4, 0, tzinfo=UTC)
    assert split.train.dense.height == 4
    assert split.test.dense.height == 6
    assert relevant(split) == [("ann", 3), ("dan", 3)]
    assert split.likes == (2, 4)
    assert split.train.users["user_id"].gather(split.users).to_list() == ["ann", "dan"]
    assert split.candidates.tolist() == [True, True, True, False]


def test_the_end_may_be_later_than_the_last_event():
    split = split_log(LOG, days=2, end=datetime(2025, 1, 6, tzinfo=UTC))
    assert split.cut == datetime(2025, 1, 4, tzinfo=UTC)


def test_a_share_is_the_last_events():
    split = split_log(LOG, share=0.4)
    assert split.cut == datetime(2025, 1, 5, 12, tzinfo=UTC)
    assert (split.train.dense.height, split.test.dense.height) == (6, 4)


@pytest.mark.parametrize("zone", ["UTC", None, "Asia/Shanghai", "date"])
def test_candidates_are_published_before_the_cut_and_not_too_old(zone):
    published = pl.Series([datetime(2025, 1, day) for day in (1, 2, 3, 4)] + [None, None])
    if zone == "date":
        published = published.dt.date()
    elif zone is not None:
        published = published.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    items = pl.DataFrame({"item_id": [11, 12, 13, 14, 1, 4], "published": published})
    items = pl.concat([items, pl.DataFrame({"item_id": [2, 3]})], how="diagonal")
    log = log_of(
        *zip(
            *(
                c.to_list()
                for c in LOG.events.select(
                    "user_id",
                    "item_id",
                    pl.col("timestamp").dt.day(),
                    pl.col("kind").cast(pl.String),
                )
            ),
            strict=True,
        ),
        items=items,
    )
    split = split_log(log, days=1.5, window_days=2.5)
    ids = log.items["item_id"].to_list()
    can_be = [item for item, can in zip(ids, split.candidates, strict=True) if can]
    # 12 and 13 are fresh; of 1, 2, 3, 4 no time is known, and all but 4 occur before
    assert sorted(can_be) == [1, 2, 3, 12, 13]


def test_why_likes_are_out_of_reach():
    """One like of each kind is planted, and two that can be found."""
    day = [datetime(2025, 1, d, tzinfo=UTC) for d in range(1, 8)]
    items = pl.DataFrame(
        {
            "item_id": ["seen", "young", "old", "later", "mine", "unknown", "undated"],
            "published": [day[3], day[3], day[0], day[4], day[3], None, None],
            "creator_id": ["bob", "bob", "bob", "bob", "ann", "bob", "bob"],
        }
    )
    log = log_of(
        ("ann", "seen", 4, "impression"),
        ("bob", "undated", 4, "click"),
        *(("ann", name, 5, "click") for name in items["item_id"]),
        ("ann", "young", 6, "like"),  # the same again
        items=items,
    )
    split = split_log(log, days=2, end=datetime(2025, 1, 7, tzinfo=UTC), window_days=3)
    assert split.cut == day[4]
    assert relevant(split) == [("ann", "undated"), ("ann", "young")]
    assert split.likes == (2, 7)
    assert split.out_of_reach == {
        "seen before": 1,
        "of items published later": 1,
        "of items too old to be served": 1,
        "of items without events before": 1,
        "of one's own items": 1,
    }
    # what is out of reach is no candidate, or is withheld from who liked it
    ids = log.items["item_id"].to_list()
    can_be = {item for item, can in zip(ids, split.candidates, strict=True) if can}
    assert can_be == {"seen", "young", "mine", "undated"}
    withheld = split.train.withheld[0].toarray()[0]
    assert {ids[item] for item in np.flatnonzero(withheld)} == {"seen", "mine"}


def test_likes_are_tested_or_out_of_reach():
    rng = np.random.default_rng(4)
    n = 3000
    items = pl.DataFrame(
        {
            "item_id": range(200),
            "published": [
                datetime(2025, 1, int(d)) if d else None for d in rng.integers(0, 9, 200)
            ],
            "creator_id": rng.integers(0, 40, 200),
        }
    )
    log = log_of(
        *zip(
            rng.integers(0, 40, n).tolist(),
            rng.integers(0, 200, n).tolist(),
            rng.integers(1, 9, n).tolist(),
            rng.choice(["click", "impression"], n).tolist(),
            strict=True,
        ),
        items=items,
    )
    for window in (None, 2.5):
        split = split_log(log, days=3, window_days=window)
        tested, liked = split.likes
        assert tested + sum(split.out_of_reach.values()) == liked
        assert all(split.out_of_reach[why] > 0 for why in ("seen before", "of one's own items"))
        assert (split.out_of_reach["of items too old to be served"] > 0) == (window is not None)


def test_other_columns_called_published_are_let_be():
    items = {"item_id": [1, 2, 3, 4], "published": ["long ago"] * 4}
    events = LOG.events.select("user_id", "item_id", "timestamp", "kind")
    log = InteractionLog.from_frames(events, items=items)
    assert split_log(log, days=1.5).candidates.tolist() == [True, True, True, False]


def test_without_times_pairs_are_drawn_by_lot():
    rng = np.random.default_rng(0)
    events = {"user_id": rng.integers(0, 50, 4000), "item_id": rng.integers(0, 40, 4000)}
    events["kind"] = rng.choice(["click", "like"], 4000)
    items = {"item_id": range(45)}  # the last five occur nowhere
    log = InteractionLog.from_frames(events, items=items)
    late = by_lot(log, 0.25, seed=3)
    pairs = log.dense.with_columns(late=pl.Series(late)).group_by("user", "item")
    assert pairs.agg(pl.col("late").n_unique())["late"].max() == 1
    share = pairs.agg(pl.col("late").first())["late"].mean()
    n = log.dense.select("user", "item").n_unique()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / n)  # 4 standard errors
    split = split_log(log, share=0.25, seed=3)
    assert split.cut is None
    assert split.candidates.tolist() == [True] * 40 + [False] * 5
    np.testing.assert_array_equal(split.test.dense["user"], log.dense["user"].filter(late))
    assert (by_lot(log, 0.25, seed=4) != late).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"days": 1.0, "share": 0.5}, "give one of them"),
        ({}, "give one of them"),
        ({"days": 4.0}, "test_days: no event is left to train on; hold out less"),
        ({"days": 1.0, "end": datetime(2025, 2, 1, tzinfo=UTC)}, "no event is left to test on"),
    ],
)
def test_splits_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        split_log(LOG, **options)


def test_days_of_a_log_without_times():
    log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 7]})
    with pytest.raises(ConfigError, match="the log has no times; use test_share instead"):
        split_log(log, days=1)


END = datetime(2025, 1, 6, tzinfo=UTC)


def test_each_day_is_tested_after_all_before_it():
    splits = list(split_days(LOG, days=3, end=END))
    assert [split.cut.day for split in splits] == [3, 4, 5]
    assert [split.train.dense.height for split in splits] == [3, 4, 6]
    assert [split.test.dense.height for split in splits] == [1, 2, 4]
    assert [relevant(split) for split in splits] == [
        [("cat", 3)],
        [("ann", 3)],
        [("bob", 4), ("dan", 3)],
    ]
    assert [np.flatnonzero(split.new).tolist() for split in splits] == [[2], [], [3]]
    assert all(split.candidates[split.new].all() for split in splits)


def test_days_end_with_the_last_event():
    """The last of them, which is at the end of the day, is in it."""
    (split,) = split_days(LOG, days=1)
    assert split.cut == datetime(2025, 1, 4, 12, tzinfo=UTC)
    assert split.test.dense.height == 6


def test_posts_published_on_the_day_are_candidates_that_day():
    """Those of later days are not, nor are posts too old; without a date the first event tells."""
    items = {
        "item_id": [1, 2, 3, 4, 5],
        "published": ["2024-12-01", None, "2025-01-05 18:00", None, "2025-01-06"],
    }
    split = list(split_days(log_of(*LOG_ROWS, items=items), days=2, end=END, window_days=30))[-1]
    assert np.flatnonzero(split.new).tolist() == [2, 3]
    assert np.flatnonzero(split.candidates).tolist() == [1, 2, 3]


def test_days_without_likes_are_left_out():
    log = log_of((1, 1, 1, "click"), (2, 1, 2, "impression"), (2, 1, 4, "click"))
    assert [s.cut.day for s in split_days(log, days=3, end=datetime(2025, 1, 5, tzinfo=UTC))] == [4]


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (LOG, "evaluation.rolling.days: no event is left to train on; test fewer days"),
        (
            InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]}),
            "evaluation.rolling.days: the log has no times; use test_share instead",
        ),
    ],
)
def test_logs_too_short_for_days(log, message):
    with pytest.raises(ConfigError, match=message):
        list(split_days(log, days=9))
