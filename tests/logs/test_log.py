"""The interaction log: whose frames it takes, what it cleans, what it refuses, what it computes."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import KINDS
from recsys.logs.times import TIME
from recsys.recommenders import MostPopular
from tests.kit.logs import EPOCH, NOON, pair

EVENTS = {
    "user_id": ["ann", "bob", "ann", "cem"],
    "item_id": [7, 7, 9, 8],
    "timestamp": [NOON + timedelta(hours=hour) for hour in range(4)],
    "kind": ["click", "share", "impression", "like"],
    "rank": [1, 2, 3, None],
}
USERS = {
    "user_id": ["bob", "ann", "cem", "dee"],
    "cohort": ["incumbent", None, "newcomer", "newcomer"],
    "age": [30, 40, None, 50],
}
ITEMS = {
    "item_id": [9, 8, 7, 6],
    "creator_id": ["ann", "cem", None, "dee"],
    "topic": ["pets", "food", "pets", None],
    "format": ["video", "image", "image", "image"],
}


@pytest.fixture
def log():
    return InteractionLog.from_frames(EVENTS, USERS, ITEMS)


# Whose frames


@pytest.mark.parametrize(
    "make",
    [pl.DataFrame, pl.LazyFrame, pd.DataFrame, pa.table],
    ids=["polars", "lazy", "pandas", "arrow"],
)
def test_anybodys_frames_give_the_same_log(make, log):
    got = InteractionLog.from_frames(make(EVENTS), make(USERS), make(ITEMS))
    assert_frame_equal(got.dense, log.dense)
    assert_frame_equal(got.users, log.users, check_dtypes=False)
    assert_frame_equal(got.items, log.items, check_dtypes=False)


def test_dense_rows(log):
    assert log.dense["user"].to_list() == [1, 0, 1, 2]
    assert log.dense["item"].to_list() == [2, 2, 0, 1]
    assert log.dense.schema == {
        "user": pl.UInt32,
        "item": pl.UInt32,
        "timestamp": TIME,
        "kind": KINDS,
        "rank": pl.UInt16,
        "weight": pl.Float32,
    }
    assert (log.n_users, log.n_items) == (4, 4)
    assert log.users["cohort"].to_list() == ["incumbent", "incumbent", "newcomer", "newcomer"]
    assert log.newcomers.tolist() == [False, False, True, True]


def test_events_come_back_under_peoples_ids(log):
    got = log.events
    assert got.select("user_id", "item_id", "kind", "rank").to_dict(as_series=False) == {
        name: EVENTS[name] for name in ("user_id", "item_id", "kind", "rank")
    }
    assert got["timestamp"].dt.replace_time_zone(None).to_list() == EVENTS["timestamp"]
    again = InteractionLog.from_frames(got, log.users, log.items)
    assert_frame_equal(again.dense, log.dense)


def test_without_other_frames_everybody_is_an_incumbent():
    log = InteractionLog.from_frames({"user_id": [5, 3], "item_id": ["b", "a"]})
    assert log.users["user_id"].to_list() == [3, 5]
    assert log.items["item_id"].to_list() == ["a", "b"]
    assert not log.newcomers.any()
    assert log.events["kind"].to_list() == ["click", "click"]


@pytest.mark.parametrize("in_events", [pl.Int32, pl.Int64, pl.UInt32, pl.Int16])
@pytest.mark.parametrize("in_users", [pl.Int32, pl.Int64, pl.UInt64])
def test_integer_ids_of_any_width_meet(in_events, in_users):
    events = pl.DataFrame(pair()).cast({"user_id": in_events})
    users = pl.DataFrame({"user_id": [2, 1]}).cast({"user_id": in_users})
    log = InteractionLog.from_frames(events, users)
    assert log.dense["user"].to_list() == [1, 0]
    wide = InteractionLog.from_frames(pair(), {"user_id": [2, 1]})
    np.testing.assert_array_equal(log.users["key"].to_numpy(), wide.users["key"].to_numpy())


def test_users_without_events_may_have_ids_that_the_events_type_cannot_hold():
    events = pl.DataFrame(pair()).cast({"user_id": pl.Int32})
    log = InteractionLog.from_frames(events, {"user_id": [1, 2, 2**40]})
    assert log.dense["user"].to_list() == [0, 1]


def test_keys_belong_to_ids_alone():
    few = InteractionLog.from_frames({"user_id": ["bob"], "item_id": [8]})
    many = InteractionLog.from_frames(EVENTS)
    key = dict(zip(many.users["user_id"], many.users["key"], strict=True))
    assert few.users["key"].to_list() == [key["bob"]]
    key = dict(zip(many.items["item_id"], many.items["key"], strict=True))
    assert few.items["key"].to_list() == [key[8]]


def test_keys_can_be_given():
    log = InteractionLog.from_frames(pair(), {"user_id": [1, 2], "key": [2**40, 3]})
    assert log.users["key"].to_list() == [2**40, 3]
    assert log.users.schema["key"] == pl.UInt64


def test_inputs_stay_as_they_were():
    frames = [pl.DataFrame(frame) for frame in (EVENTS, USERS, ITEMS)]
    copies = [frame.clone() for frame in frames]
    log = InteractionLog.from_frames(*frames)
    _ = log.interactions, log.seen, log.only(np.array([True, False, True, True]))
    table = pd.DataFrame(EVENTS).iloc[::-1]
    InteractionLog.from_frames(table)
    for frame, copy in zip(frames, copies, strict=True):
        assert_frame_equal(frame, copy)
    pd.testing.assert_frame_equal(table, pd.DataFrame(EVENTS).iloc[::-1])


def test_the_order_of_rows_does_not_matter(log):
    shuffled = pl.DataFrame(EVENTS)[[2, 0, 3, 1]]
    got = InteractionLog.from_frames(shuffled, USERS, ITEMS)
    assert_frame_equal(got.dense, log.dense)
    assert log.cleaning["rows out of order, sorted"] == 0


# Bad inputs

PAIR = pair()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ({"events": {"item_id": [7]}}, "events: no column 'user_id'; the columns are 'item_id'"),
        ({"events": {"user_id": [], "item_id": []}}, "events: no rows; check the file"),
        ({"events": pair(user_id=[None, 2])}, "events: 1 of 2 rows have no user_id"),
        ({"events": pair(item_id=[None, None])}, "events: 2 of 2 rows have no item_id"),
        (
            {"events": pair(kind=["clik", "click"])},
            "events: kind is 'clik' in row 1; did you mean 'click' or",
        ),
        (
            {"events": pair(weight=[float("inf"), 1.0])},
            "events: weight is inf in row 1; weights are finite",
        ),
        (
            {"events": pair(cancels=["unlike", None])},
            "events: cancels is 'unlike' in row 1; did you mean 'like'?",
        ),
        (
            {"events": pair(rank=[0, 1])},
            "events: rank is 0 in row 1; ranks are whole numbers from 1",
        ),
        ({"events": pair(timestamp=[True, False])}, "events: timestamp is Boolean; give datetimes"),
        ({"events": pair(timestamp=["soon", "later"])}, "timestamp"),
        ({"events": pair(user_id=[[1], [2]])}, "user_id"),
        ({"events": 5}, "events: a int is not a frame"),
        ({"events": PAIR, "users": {"user_id": [1, 1, 2]}}, "users: 1 rows repeat an user_id"),
        ({"events": PAIR, "items": {"item_id": [7, 8, 8, 8]}}, "items: 2 rows repeat an item_id"),
        (
            {"events": PAIR, "users": {"user_id": [1]}},
            "users: 1 ids in events have no row in users, such as 2 (1 events)",
        ),
        (
            {"events": PAIR, "items": {"item_id": [9]}},
            "items: 2 ids in events have no row in items",
        ),
        (
            {"events": PAIR, "users": {"user_id": ["1", "2"]}},
            "users: user_id is String in users and Int64 in events",
        ),
        ({"events": PAIR, "users": {"name": ["x"]}}, "users: no column 'user_id'"),
        (
            {"events": PAIR, "users": {"user_id": [1, 2], "cohort": ["new", None]}},
            "users: cohort is 'new' in row 1; known: incumbent, newcomer",
        ),
        ({"events": PAIR, "users": {"user_id": [1, 2], "key": [None, 3]}}, "key"),
        ({"events": PAIR, "users": {"user_id": [1, 2], "key": [-1, 3]}}, "key"),
        ({"events": PAIR, "items": {"item_id": [7, 8], "key": ["a", "b"]}}, "key"),
        ({"events": PAIR, "users": {"user_id": [1, 2], "key": [3, 3]}}, "key"),
        ({"events": PAIR, "weights": {"clik": 2.0}}, "clik"),
        (
            {"events": PAIR, "weights": {"click": float("nan")}},
            "weights: click has weight nan; give a finite",
        ),
        (
            {"events": pair(timestamp=["13/01/2025", "2025-01-14"])},
            "such as '13/01/2025' in row 1; give ISO",
        ),
        (
            {"events": pair(timestamp=[0, EPOCH])},
            "1 of 2 values of timestamp are before 1990 or after 2099, such as 0 in row 1",
        ),
        (
            {"events": pair(timestamp=[EPOCH, EPOCH * 1000])},
            "read as 1970-01-21 02:24 UTC in milliseconds (the largest is 1736683200000",
        ),
        ({"events": pair(timestamp=[1, 2])}, "leave the column out if it only gives an order"),
        (
            {"events": pair(timestamp=[20250112, 20250113])},
            "such as 20250112 in row 1, read as 1970-08-23",
        ),
        (
            {"events": pair(timestamp=[datetime(2225, 1, 1), NOON])},
            "1 of 2 values of timestamp are before 1990 or",
        ),
    ],
)
def test_bad_inputs(frames, message):
    with pytest.raises(LogError) as caught:
        InteractionLog.from_frames(**frames)
    assert message in str(caught.value)


# What it computes


def test_interactions_are_sums_in_the_order_of_keys():
    log = InteractionLog.from_frames(
        {
            "user_id": [1, 1, 2, 3, 3, 1],
            "item_id": [7, 7, 8, 7, 9, 8],
            "kind": ["click", "share", "click", "impression", "hide", "follow"],
        },
        users={"user_id": [1, 2, 3], "key": [30, 10, 20]},
        items={"item_id": [7, 8, 9], "key": [5, 4, 3]},
    )
    hot = log.interactions
    assert hot.users.tolist() == [1, 0]  # keys 10, 30; user 3 liked nothing
    assert hot.items.tolist() == [1, 0]  # keys 4, 5; nobody liked item 9
    assert hot.user_keys.tolist() == [10, 30]
    assert hot.item_keys.tolist() == [4, 5]
    assert hot.weights.toarray().tolist() == [[1.0, 0.0], [8.0, 5.0]]
    assert hot.weights.dtype == np.float32
    assert hot.weights.has_sorted_indices
    assert hot.weights.nnz == 3


def test_interactions_of_many_events_sum_exactly():
    rng = np.random.default_rng(4)
    user, item, weight = rng.integers(0, 9, 500), rng.integers(0, 7, 500), rng.integers(0, 5, 500)
    log = InteractionLog.from_frames(
        {"user_id": user, "item_id": item, "weight": weight, "timestamp": EPOCH + np.arange(500)}
    )
    expected = np.zeros((9, 7))
    np.add.at(expected, (user, item), weight)
    hot = log.interactions
    got = np.zeros((9, 7))
    got[np.ix_(hot.users, hot.items)] = hot.weights.toarray()
    np.testing.assert_array_equal(got, expected)
    assert (np.diff(hot.user_keys.astype(object)) > 0).all()
    assert (np.diff(hot.item_keys.astype(object)) > 0).all()


def test_seen_is_shown_or_touched(log):
    # rows bob, ann, cem, dee; columns 9, 8, 7, 6
    assert log.seen.toarray().astype(int).tolist() == [
        [0, 0, 1, 0],
        [1, 0, 1, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 0],
    ]


def test_before(log):
    cut = NOON.replace(tzinfo=UTC) + timedelta(hours=2)
    assert log.before(cut).events["user_id"].to_list() == ["ann", "bob"]
    assert log.before(cut).users is log.users


def test_only_and_without_users(log):
    assert log.only(np.array([False, True, False, True])).events["user_id"].to_list() == [
        "bob",
        "cem",
    ]
    for ann in (np.array([1]), log.users["user_id"].to_numpy() == "ann"):
        left = log.without_users(ann)
        assert left.events["user_id"].to_list() == ["bob", "cem"]
        assert (left.n_users, left.n_items) == (4, 4)
    assert log.dense.height == 4
    nobody = log.without_users(np.array([], dtype=np.int64))
    assert_frame_equal(nobody.dense, log.dense)


def test_parts_have_statistics_of_their_own(log):
    _ = log.interactions, log.seen
    part = log.without_users(np.array([1]))
    assert part.interactions.users.size == 2
    assert part.seen.sum() == 2


def test_item_codes(log):
    codes, labels = log.item_codes("topic", "format")
    assert [labels[code] for code in codes] == [
        "pets · video",
        "food · image",
        "pets · image",
        "unknown · image",
    ]
    assert labels == sorted(labels)
    assert codes.dtype == np.int32
    with pytest.raises(LogError, match="items: no column 'langauge' among"):
        log.item_codes("langauge")


def test_items_from_newcomers(log):
    assert log.from_newcomers.tolist() == [False, True, False, True]
    without = InteractionLog.from_frames(EVENTS, USERS, {"item_id": [9, 8, 7]})
    assert without.from_newcomers is None


def test_creators_ids_may_be_of_another_integer_width():
    log = InteractionLog.from_frames(
        pair(),
        {"user_id": [1, 2], "cohort": ["incumbent", "newcomer"]},
        {"item_id": [7, 8], "creator_id": pl.Series([2, 1], dtype=pl.Int32)},
    )
    assert log.from_newcomers.tolist() == [True, False]


def test_own_items_are_those_of_which_one_is_the_creator():
    events = {"user_id": ["a", "b", "c"], "item_id": [1, 2, 3]}
    items = {"item_id": [1, 2, 3, 4], "creator_id": ["b", "b", "nobody", None]}
    log = InteractionLog.from_frames(events, items=items)
    assert log.own.toarray().tolist() == [[False] * 4, [True, True, False, False], [False] * 4]
    np.testing.assert_array_equal(log.withheld.toarray(), (log.own + log.seen).toarray())
    numbers = {"item_id": [1, 2, 3, 4], "creator_id": [1, 2, 3, 4]}  # creators of another kind
    assert InteractionLog.from_frames(events, items=numbers).own.nnz == 0
    assert InteractionLog.from_frames(events).own.nnz == 0
    strangers = {"item_id": [1, 2, 3, 4], "creator_id": ["b", "x", "y", None]}
    few = InteractionLog.from_frames(events, items=strangers)  # one of three is a user
    assert few.own.nnz == 0
    assert few.from_newcomers is None
    narrow = pl.DataFrame(numbers, schema_overrides={"creator_id": pl.Int16})
    same = InteractionLog.from_frames({"user_id": [3, 4], "item_id": [1, 2]}, items=narrow)
    assert same.own.toarray().tolist() == [[False, False, True, False], [False, False, False, True]]


def test_own_items_are_not_recommended():
    log = InteractionLog.from_frames(
        {"user_id": ["a", "b", "b", "c"], "item_id": [1, 1, 2, 2]},
        items={"item_id": [1, 2], "creator_id": ["c", "a"]},
    )
    for user, expected in (("a", []), ("c", [])):
        feed = MostPopular().fit(log).recommend([user], k=2)
        assert feed["item_id"].to_list() == expected
