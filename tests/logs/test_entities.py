"""Users, items and their creators: ids, cohorts, and when they joined or were published."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from recsys.core.errors import LogError
from recsys.logs.entities import users_of_creators
from recsys.logs.holdout import split_log
from recsys.logs.log import InteractionLog
from tests.kit.logs import EPOCH, NOON, pair

MIDNIGHT = datetime(2025, 1, 12, tzinfo=UTC)


def published(values, timezone="UTC"):
    items = pl.DataFrame({"item_id": [7, 8], "published": values})
    return InteractionLog.from_frames(pair(), items=items, timezone=timezone).items["published"]


@pytest.mark.parametrize(
    "values",
    [
        [date(2025, 1, 12), None],
        [datetime(2025, 1, 12), None],
        pl.Series([datetime(2025, 1, 12), None], dtype=pl.Datetime("ns")),
        ["2025-01-12", None],
        ["2025-01-12 00:00", ""],
        ["2025-01-12T01:00:00+01:00", None],
        pl.Series(["2025-01-12", None], dtype=pl.Categorical),
        [EPOCH - 43_200, None],
        [(EPOCH - 43_200) * 1000.0, float("nan")],
    ],
)
def test_published_takes_every_form_of_a_time(values):
    assert published(values).to_list() == [MIDNIGHT, None]


def test_published_is_in_the_zone_of_the_log():
    """A time of items and one of events that read the same are the same."""
    log = InteractionLog.from_frames(
        pair(timestamp=[NOON, NOON]),
        items={"item_id": [7, 8], "published": [NOON, "2025-01-12 12:00"][:1] * 2},
        timezone="Asia/Shanghai",
    )
    assert log.items["published"].to_list() == log.dense["timestamp"].to_list()


@pytest.mark.parametrize("old", ["1812-06-24", "1954-07-29 08:00"])
def test_what_was_published_may_be_old(old):
    assert published([old, None])[0].year == int(old[:4])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["13/01/2025", None], "items: 1 of 2 values of published are no times, such as '13/01/20"),
        (["2025-01-12", "soon"], "published are no times, such as 'soon' in row 2"),
        ([1995, 2003], "such as 1995 in row 1, read as 1970-01-01 00:33 UTC in seconds"),
        ([0, EPOCH], "published are before 1990"),
        ([[1], [2]], r"items: published is List\(Int64\)"),
        (["9999-12-31", None], "or after 2099, such as '9999-12-31' in row 1"),
        ([float("inf"), None], "items: published is inf in row 1"),
    ],
)
def test_what_is_no_time_of_publication(values, message):
    with pytest.raises(LogError, match=message):
        published(values)


@pytest.mark.parametrize("values", [[True, False], ["yes", "no"], [None, None]])
def test_another_column_called_published_is_let_be(values):
    assert published(values).to_list() == values


def test_texts_of_publication_decide_who_is_a_candidate():
    items = {"item_id": [7, 8, 9], "published": ["2025-01-01", "2025-01-01", "2025-01-13 06:00"]}
    events = {
        "user_id": [1, 2, 1],
        "item_id": [7, 8, 9],
        "timestamp": [EPOCH, EPOCH, EPOCH + 86_400],
    }
    log = InteractionLog.from_frames(events, items=items)
    assert split_log(log, days=0.5).candidates.tolist() == [True, True, False]


@pytest.mark.parametrize("joined", [["2025-01-12 08:00", None], [datetime(2025, 1, 12, 8), None]])
def test_joined_is_in_the_zone_of_the_log(joined):
    users = {"user_id": [1, 2], "joined": joined}
    log = InteractionLog.from_frames(pair(), users, timezone="Asia/Shanghai")
    assert log.users["joined"].to_list() == [MIDNIGHT, None]


@pytest.mark.parametrize("joined", [[date(2025, 1, 12), None], [14, 15], ["early", "late"]])
def test_other_columns_called_joined_are_let_be(joined):
    log = InteractionLog.from_frames(pair(), {"user_id": [1, 2], "joined": joined})
    assert log.users["joined"].to_list() == joined


# Ids


@pytest.mark.parametrize(
    ("events", "users", "expected"),
    [
        ([1.0, 2.0], [1, 2], [1, 2]),
        (pl.Series([1, 2], dtype=pl.Int128), pl.Series([1.0, 2.0]), [1, 2]),
        (
            pl.Series([1, 2], dtype=pl.UInt8),
            pl.Series(["1.00", "2.00"]).cast(pl.Decimal(9, 2)),
            [1, 2],
        ),
        (pl.Series([2**64 - 1, 2], dtype=pl.UInt64), [2**64 - 1, 2], [2**64 - 1, 2]),
        (["007", "7"], ["007", "7"], ["007", "7"]),
        (pl.Series(["a", "b"], dtype=pl.Categorical), ["a", "b"], ["a", "b"]),
    ],
)
def test_ids_of_one_kind_meet(events, users, expected):
    log = InteractionLog.from_frames(pair(user_id=events), {"user_id": users})
    assert log.users["user_id"].to_list() == expected
    assert log.dense["user"].to_list() == [0, 1]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1.5, 2.0], "user_id is 1.5 in row 1"),
        ([2.0**53, 2.0], "user_id is 9007199254740992.0 in row 1"),
        ([float("nan"), 2.0], "1 of 2 rows have no user_id, the first of them row 1"),
        ([float("inf"), 2.0], "user_id is inf in row 1"),
        (["a", " "], "1 of 2 rows have no user_id, the first of them row 2"),
        ([True, False], "user_id is Boolean"),
        ([date(2025, 1, 1)] * 2, "user_id is Date"),
        (pl.Series([2**70, 1], dtype=pl.Int128), "integer ids are below"),
    ],
)
def test_what_is_no_id(ids, message):
    with pytest.raises(LogError, match=message):
        InteractionLog.from_frames(pair(user_id=ids))


@pytest.mark.parametrize(
    "creators",
    [
        [2.0, None, 3.0],
        ["2", None, "3"],
        ["2.0", None, "3.0"],
        pl.Series([2, None, 3], dtype=pl.UInt8),
    ],
)
def test_creators_are_users_whatever_holds_their_ids(creators):
    users = {"user_id": [1, 2, 3], "cohort": ["newcomer", "newcomer", None]}
    items = pl.DataFrame({"item_id": [7, 8, 9], "creator_id": creators})
    log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]}, users, items)
    assert log.from_newcomers.tolist() == [True, False, False]
    assert log.own.toarray().tolist() == [[False] * 3, [True, False, False], [False, False, True]]


def test_integer_creators_among_users_with_texts():
    pairs = users_of_creators(pl.Series([7, 8, None]), pl.Series(["7", "08"]))
    assert pairs.rows() == [(0, 0)]


@pytest.mark.parametrize(
    ("creators", "users"),
    [
        ([5, None, 9, 5, -3, 2**62], [9, -3, 5, 2**62]),
        ([1, 2, 2], []),
        ([None, None], [3, 1]),
        ([], [3, 1]),
        ([7, 0, 8], [1, 2]),
    ],
)
def test_users_of_integer_creators_are_those_of_a_join(creators, users):
    """By user, in whatever order users stand, and then by item."""
    found = users_of_creators(pl.Series(creators, dtype=pl.Int64), pl.Series(users, dtype=pl.Int64))
    expected = [
        (row, item)
        for row, user in enumerate(users)
        for item, creator in enumerate(creators)
        if creator == user
    ]
    assert found.rows() == expected
    assert found.schema == {"user": pl.UInt32, "item": pl.UInt32}


@pytest.mark.parametrize("creators", [[1.5, 2.0], [[1], [2]], [True, False]])
def test_what_is_no_creator(creators):
    with pytest.raises(LogError, match="items: creator_id is"):
        InteractionLog.from_frames(pair(), items={"item_id": [7, 8], "creator_id": creators})
