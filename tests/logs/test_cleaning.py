"""Which rows a log drops, what weight it gives them, and what takes others back."""

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import KINDS, WEIGHTS
from tests.kit.logs import EPOCH, pair


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


def test_duplicates_differ_by_kind():
    log = InteractionLog.from_frames(
        {"user_id": [1, 1, 1], "item_id": [7, 7, 7], "kind": ["click", "like", "like"]}
    )
    assert log.events["kind"].to_list() == ["click", "like"]


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


# Counts, duplicates and kinds that weigh nothing


def orders(*rows, times=True):
    """One user's orders of item 7: (count, whether the row takes back); weights and cleaning."""
    n = len(rows)
    frame = {
        "user_id": [1] * n,
        "item_id": [7] * n,
        "kind": ["like"] * n,
        "cancels": ["like" if back else None for _, back in rows],
        "count": [count for count, _ in rows],
    }
    if times:
        frame["timestamp"] = [EPOCH + second for second in range(n)]
    log = InteractionLog.from_frames(pl.DataFrame(frame, schema_overrides={"cancels": pl.String}))
    return [round(weight, 6) for weight in log.dense["weight"]], log.cleaning


@pytest.mark.parametrize(
    ("rows", "weights", "whole", "part", "without"),
    [
        ([(5, False), (2, True)], [0.6], 0, 1, 0),
        ([(5, False), (-2, True)], [0.6], 0, 1, 0),  # a return may be counted below 0
        ([(5, False), (-2, True), (-3, True)], [0], 1, 0, 0),
        ([(5, False), (4, False), (6, True)], [0.6, 0], 1, 1, 0),  # the last first
        ([(5, False), (9, True)], [0], 1, 0, 0),
        ([(2, True), (5, False)], [0, 1], 0, 0, 1),
        ([(0.3, False), (0.1, True), (0.1, True), (0.1, True)], [0], 1, 0, 0),
        ([(5, False), (None, True)], [0.8], 0, 1, 0),  # a missing count is 1
    ],
)
def test_a_return_takes_back_as_many_as_it_says(rows, weights, whole, part, without):
    got, cleaning = orders(*rows)
    assert got == weights
    assert cleaning["events cancelled, seen only"] == whole
    assert cleaning["events cancelled in part"] == part
    assert cleaning["cancelling rows with nothing to cancel, seen only"] == without


def test_returns_without_times_are_later():
    assert orders((-2, True), (5, False), times=False)[0] == [0.6]


def test_a_count_below_0_has_to_take_something_back():
    with pytest.raises(LogError, match=r"count is -2\.0 in row 2; a row that takes something back"):
        InteractionLog.from_frames(pair(count=[1, -2]))
    with pytest.raises(LogError, match="count is 'two' in row 2; counts are finite numbers"):
        InteractionLog.from_frames(pair(count=["1", "two"]))


def test_rows_that_differ_in_what_is_not_read_are_told():
    line = {"user_id": [1, 1, 1, 2], "item_id": [7, 7, 7, 8], "quantity": [1, 3, 3, 1]}
    log = InteractionLog.from_frames({**line, "basket": [[1], [2], [3], [4]]})
    assert log.cleaning["exact duplicates, dropped"] == 2
    told = "of these duplicates differ in columns that are not read (quantity)"
    assert log.cleaning[told] == 1
    counted = InteractionLog.from_frames({**line, "count": line["quantity"]})
    assert counted.cleaning["exact duplicates, dropped"] == 1
    assert told not in counted.cleaning


def test_kinds_of_weight_0_are_named():
    events = pair(kind=["purchase", "click"])
    told = "purchase events of weight 0, seen only (see weights)"
    assert InteractionLog.from_frames(events).cleaning[told] == 1
    assert told not in InteractionLog.from_frames(events, weights={"purchase": 2}).cleaning
    seen = InteractionLog.from_frames(pair(kind=["impression", "hide"]))
    assert not any("weight 0" in what for what in seen.cleaning)
