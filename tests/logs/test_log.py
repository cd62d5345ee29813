"""The interaction log: whose frames it takes, what it cleans, what it refuses, what it computes."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import KINDS, WEIGHTS
from recsys.logs.times import TIME
from recsys.recommenders import MostPopular

NOON = datetime(2025, 1, 12, 12)
EPOCH = 1_736_683_200  # NOON, seconds

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


def pair(**columns):
    """Two events, with some columns."""
    return {"user_id": [1, 2], "item_id": [7, 8], **columns}


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


# Times

UTC_PAIR = [NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=UTC) + timedelta(seconds=1)]
CHINA = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([EPOCH, EPOCH + 1]),
        pl.Series([EPOCH, EPOCH + 1], dtype=pl.Int32),
        pl.Series([EPOCH, EPOCH + 1], dtype=pl.UInt32),
        pl.Series([float(EPOCH), EPOCH + 1.0]),
        pl.Series([EPOCH * 1000, EPOCH * 1000 + 1000]),
        pl.Series([EPOCH * 10**6, EPOCH * 10**6 + 10**6]),
        pl.Series([EPOCH * 10**9, EPOCH * 10**9 + 10**9]),
        pl.Series([EPOCH * 1e6, EPOCH * 1e6 + 1e6]),
        pl.Series([NOON, NOON + timedelta(seconds=1)], dtype=pl.Datetime("us")),
        pl.Series(["2025/01/12 12:00:00", "2025-01-12T12:00:01Z"]),
        pl.Series([EPOCH * 1000.0, EPOCH * 1000.0 + 1000]),
        pl.Series([NOON, NOON + timedelta(seconds=1)]),
        pl.Series([NOON, NOON + timedelta(seconds=1)], dtype=pl.Datetime("ns")),
        pl.Series(UTC_PAIR),
        pl.Series([NOON, NOON + timedelta(seconds=1)])
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone("Asia/Shanghai"),
        pl.Series(["2025-01-12 12:00:00", "2025-01-12 12:00:01"]),
        pl.Series(["2025-01-12T12:00:00", "2025-01-12T12:00:01"]),
        pl.Series(["2025-01-12T12:00:00Z", "2025-01-12T12:00:01Z"]),
        pl.Series(["2025-01-12T20:00:00+08:00", "2025-01-12T20:00:01+08:00"]),
        pd.Series([time.astimezone(CHINA) for time in UTC_PAIR]),
        pd.Series([NOON, NOON + timedelta(seconds=1)]),
    ],
    ids=[
        "seconds",
        "seconds in 32 bits",
        "seconds in unsigned 32 bits",
        "seconds as floats",
        "milliseconds",
        "microseconds",
        "nanoseconds as numbers",
        "microseconds as floats",
        "microseconds of datetimes",
        "strings with slashes",
        "milliseconds as floats",
        "naive",
        "nanoseconds",
        "aware",
        "aware elsewhere",
        "strings",
        "strings with T",
        "strings with Z",
        "strings with offset",
        "pandas aware",
        "pandas naive",
    ],
)
# pandas 3.1 warns of the way in which pyarrow 25 reads its aware times.
@pytest.mark.filterwarnings("ignore:Series.values returning an ndarray that drops timezone")
def test_times_in_every_form(times):
    make = pd.DataFrame if isinstance(times, pd.Series) else pl.DataFrame
    log = InteractionLog.from_frames(make(pair(timestamp=times)))
    assert log.dense["timestamp"].to_list() == UTC_PAIR
    assert log.has_times


@pytest.mark.parametrize(
    "days", [[date(2025, 1, 12), date(2025, 1, 13)], ["2025-01-12", "2025-01-13"]]
)
def test_dates_are_midnights(days):
    log = InteractionLog.from_frames(pair(timestamp=days))
    midnights = [datetime(2025, 1, day, tzinfo=UTC) for day in (12, 13)]
    assert log.dense["timestamp"].to_list() == midnights


@pytest.mark.parametrize(
    "times",
    [
        ["2025-01-12 20:00:00", "2025-01-12T20:00:01"],
        [NOON + timedelta(hours=8), NOON + timedelta(hours=8, seconds=1)],
        UTC_PAIR,
        [EPOCH, EPOCH + 1],
        ["2025-01-12T12:00:00Z", "2025-01-12T13:00:01+01:00"],
    ],
    ids=["texts", "naive", "aware", "epochs", "texts with offsets"],
)
def test_times_without_a_zone_are_in_that_of_the_log(times):
    log = InteractionLog.from_frames(pair(timestamp=times), timezone="Asia/Shanghai")
    assert log.dense["timestamp"].to_list() == UTC_PAIR


def test_hours_that_clocks_skip_or_repeat():
    """2:30 does not exist on 30 March; on 26 October the first of two is meant."""
    times = [f"2025-10-26 02:30:{second:02d}" for second in range(19)] + ["2025-03-30 02:30:00"]
    log = InteractionLog.from_frames(
        {"user_id": range(20), "item_id": [7] * 20, "timestamp": times}, timezone="Europe/Berlin"
    )
    assert log.dense["timestamp"][0] == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert log.cleaning["rows without a time, dropped"] == 1


def test_empty_texts_are_missing_times():
    times = ["", *[f"2025-01-12 12:00:{second:02d}" for second in range(19)]]
    log = InteractionLog.from_frames(
        {"user_id": range(20), "item_id": [7] * 20, "timestamp": times}
    )
    assert log.cleaning["rows without a time, dropped"] == 1


@pytest.mark.parametrize("columns", [{}, {"timestamp": [None, None]}])
def test_a_log_without_times(columns):
    log = InteractionLog.from_frames(pair(**columns))
    assert not log.has_times
    assert log.dense.height == log.cleaning["rows kept"] == 2
    with pytest.raises(LogError, match="no times"):
        log.before(datetime(2025, 1, 12, tzinfo=UTC))


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_few_missing_times_are_dropped(missing):
    times = pl.Series([missing, *map(float, range(EPOCH, EPOCH + 19))], strict=False)
    log = InteractionLog.from_frames(
        {"user_id": range(20), "item_id": [7] * 20, "timestamp": times}
    )
    assert log.dense.height == 19  # one of 20 is 5 %, the most that is allowed
    assert log.cleaning["rows without a time, dropped"] == 1


def test_many_missing_times_are_an_error():
    times = [None, *range(EPOCH, EPOCH + 18)]
    with pytest.raises(LogError, match=r"events: 1 of 19 rows have no timestamp, more than 5%"):
        InteractionLog.from_frames({"user_id": range(19), "item_id": [7] * 19, "timestamp": times})


# Cleaning


def test_rows_are_sorted_and_exact_duplicates_dropped():
    log = InteractionLog.from_frames(
        {
            "user_id": [1, 2, 2, 3, 3, 4],
            "item_id": [7, 7, 7, 8, 8, 9],
            "timestamp": [EPOCH + 5, EPOCH, EPOCH, EPOCH + 9, EPOCH + 8, EPOCH + 9],
        }
    )
    assert log.events["user_id"].to_list() == [2, 1, 3, 3, 4]  # equal times: as they came
    assert log.cleaning == {
        "rows": 6,
        "rows without a time, dropped": 0,
        "exact duplicates, dropped": 1,
        "rows out of order, sorted": 2,  # after 5: 0; after 9: 8
        "rows kept": 5,
    }


def test_the_order_of_rows_does_not_matter(log):
    shuffled = pl.DataFrame(EVENTS)[[2, 0, 3, 1]]
    got = InteractionLog.from_frames(shuffled, USERS, ITEMS)
    assert_frame_equal(got.dense, log.dense)
    assert log.cleaning["rows out of order, sorted"] == 0


def test_duplicates_differ_by_kind():
    log = InteractionLog.from_frames(
        {"user_id": [1, 1, 1], "item_id": [7, 7, 7], "kind": ["click", "like", "like"]}
    )
    assert log.events["kind"].to_list() == ["click", "like"]


# Weights


@pytest.mark.parametrize("kind", KINDS.categories)
def test_weights_by_kind(kind):
    log = InteractionLog.from_frames(pair(kind=[kind, kind]))
    assert log.dense["weight"].to_list() == [WEIGHTS[kind]] * 2


def test_own_weights_by_kind():
    weights = {"click": 0.5, "purchase": 3}
    log = InteractionLog.from_frames(pair(kind=["click", "purchase"]), weights=weights)
    assert log.dense["weight"].to_list() == [0.5, 3.0]
    log = InteractionLog.from_frames(pair(kind=["like", "purchase"]), weights=weights)
    assert log.dense["weight"].to_list() == [1.0, 3.0]  # a like keeps its own


def test_a_column_of_weights_wins():
    log = InteractionLog.from_frames(pair(weight=[0.0, 2.5]), weights={"click": 9})
    assert log.dense["weight"].to_list() == [0.0, 2.5]


# What takes back

LIKE, UNLIKE, HIDE = ("like", None), ("impression", "like"), ("hide", None)


def story(*steps, times=True, **more):
    """One user's events on item 7 in this order: (kind, cancels); at the end he likes item 8."""
    n = len(steps)
    columns = {
        "user_id": [1] * n + [1],
        "item_id": [7] * n + [8],
        "kind": [kind for kind, _ in steps] + ["like"],
        "cancels": [cancels for _, cancels in steps] + [None],
    }
    if times:
        columns["timestamp"] = [EPOCH + second for second in range(n + 1)]
    log = InteractionLog.from_frames(columns, **more)
    mine = log.events.filter(pl.col("item_id") == 7)
    assert log.seen.sum() == 2  # whatever is taken back, it was seen
    assert log.events.filter(item_id=8)["weight"].to_list() == [1.0]
    return mine["kind"].to_list(), mine["weight"].to_list(), log.cleaning


@pytest.mark.parametrize(
    ("steps", "kinds", "weights", "counts"),
    [
        ([LIKE, UNLIKE], ["impression"], [0], (1, 0)),
        ([LIKE, UNLIKE, LIKE], ["impression", "like"], [0, 1], (1, 0)),
        ([LIKE, LIKE, UNLIKE], ["like", "impression"], [1, 0], (1, 0)),  # the latest
        ([LIKE, UNLIKE, UNLIKE], ["impression", "impression"], [0, 0], (1, 1)),
        ([UNLIKE, LIKE], ["impression", "like"], [0, 1], (0, 1)),
        ([("share", None), LIKE, UNLIKE], ["share", "impression"], [4, 0], (1, 0)),
        ([LIKE, LIKE, UNLIKE, UNLIKE], ["impression", "impression"], [0, 0], (2, 0)),
    ],
)
def test_a_cancel_takes_back_the_last_of_its_kind(steps, kinds, weights, counts):
    got_kinds, got_weights, cleaning = story(*steps)
    assert (got_kinds, got_weights) == (kinds, weights)
    assert cleaning["events cancelled, seen only"] == counts[0]
    assert cleaning["cancelling rows with nothing to cancel, seen only"] == counts[1]
    assert cleaning["rows kept"] == len(kinds) + 1


def test_cancels_are_of_the_same_user_and_item():
    log = InteractionLog.from_frames(
        {
            "user_id": [1, 2, 1, 1],
            "item_id": [7, 7, 8, 7],
            "kind": ["like", "like", "like", "impression"],
            "cancels": [None, None, None, "like"],
            "timestamp": range(EPOCH, EPOCH + 4),
        }
    )
    assert log.events["weight"].to_list() == [0, 1, 1]


def test_without_times_what_takes_back_is_the_later():
    for steps in ([UNLIKE, LIKE], [LIKE, UNLIKE]):
        kinds, weights, cleaning = story(*steps, times=False)
        assert (kinds, weights) == (["impression"], [0])
        assert cleaning["cancelling rows with nothing to cancel, seen only"] == 0
    _, weights, _ = story(HIDE, LIKE, times=False, weights={"hide": -1})
    assert weights == [0, 0]


@pytest.mark.parametrize(
    ("steps", "weights", "taken"),
    [
        ([LIKE, HIDE], [0, 0], 1),
        ([("share", None), LIKE, HIDE], [0, 0, 0], 2),
        ([HIDE, LIKE], [0, 1], 0),  # he came round
        ([LIKE, HIDE, LIKE, HIDE], [0, 0, 0, 0], 2),
    ],
)
def test_a_negative_event_takes_back_all_before_it(steps, weights, taken):
    kinds, got, cleaning = story(*steps, weights={"hide": -0.5})
    assert got == weights
    assert kinds == [kind for kind, _ in steps]
    assert cleaning["events taken back by a negative one, seen only"] == taken
    assert cleaning["negative events, seen only"] == kinds.count("hide")


def test_a_hide_of_weight_0_takes_nothing_back():
    _, weights, cleaning = story(LIKE, HIDE)
    assert weights == [1, 0]
    assert "negative events, seen only" not in cleaning


def test_duplicates_go_before_anything_is_taken_back():
    """A like that was logged twice and taken back once is taken back."""
    twice = {"user_id": [1, 1, 1, 1], "item_id": [7, 7, 7, 8], "kind": ["like"] * 2 + ["click"] * 2}
    twice |= {"cancels": [None, None, "like", None], "timestamp": [EPOCH, EPOCH, EPOCH + 1, EPOCH]}
    log = InteractionLog.from_frames(twice)
    assert log.events.filter(item_id=7)["weight"].to_list() == [0.0]
    assert log.cleaning["exact duplicates, dropped"] == 1


def test_many_cancels_by_brute_force():
    rng = np.random.default_rng(0)
    n = 400
    user, item, cancel = rng.integers(0, 4, n), rng.integers(0, 3, n), rng.random(n) < 0.4
    log = InteractionLog.from_frames(
        {
            "user_id": user,
            "item_id": item,
            "kind": ["like"] * n,
            "timestamp": EPOCH + np.arange(n),
            "cancels": ["like" if c else None for c in cancel],
        }
    )
    open_likes = {}
    for row in range(n):
        likes = open_likes.setdefault((user[row], item[row]), [])
        if not cancel[row]:
            likes.append(row)
        elif likes:
            likes.pop()
    left = sorted(row for likes in open_likes.values() for row in likes)
    times = log.dense.filter(pl.col("weight") > 0)["timestamp"].dt.epoch("s").to_numpy()
    assert (times - EPOCH).tolist() == left


# Bad inputs

PAIR = pair()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ({"events": {"item_id": [7]}}, "events: no column 'user_id'; the columns are 'item_id'"),
        ({"events": {"user_id": [], "item_id": []}}, "events: no rows; check the file"),
        ({"events": pair(user_id=[None, 2])}, "events: 1 of 2 rows have no user_id"),
        ({"events": pair(item_id=[None, None])}, "events: 2 of 2 rows have no item_id"),
        ({"events": pair(kind=["clik", "click"])}, "events: kind breaks 'dtype' in 1 row"),
        ({"events": pair(weight=[float("inf"), 1.0])}, "events: weight breaks 'inf' in 1 row"),
        ({"events": pair(cancels=["unlike", None])}, "events: cancels breaks 'dtype' in 1 row"),
        ({"events": pair(rank=[0, 1])}, "events: rank breaks 'min' in 1 row"),
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
            "users: cohort breaks 'dtype' in 1 row (known cohorts: incumbent, newcomer)",
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
            "such as '13/01/2025'; give ISO",
        ),
        (
            {"events": pair(timestamp=[0, EPOCH])},
            "1 of 2 times are before 1990 or after 2099, such ",
        ),
        (
            {"events": pair(timestamp=[EPOCH, EPOCH * 1000])},
            "read as 1970-01-21 02:24 UTC. Write missing",
        ),
        ({"events": pair(timestamp=[1, 2])}, "leave the column out if it only gives an order"),
        ({"events": pair(timestamp=[20250112, 20250113])}, "such as 20250112, read as 1970-08-23"),
        (
            {"events": pair(timestamp=[datetime(2225, 1, 1), NOON])},
            "1 of 2 times are before 1990 or",
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
