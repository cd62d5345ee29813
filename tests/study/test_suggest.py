"""What columns may mean: kinds, counts, returns, times of publication, attributes."""

from datetime import date

import polars as pl
import pytest

from recsys.config import OwnLog
from recsys.config.text import parsed
from recsys.logs.conditions import holds
from recsys.logs.log import InteractionLog
from recsys.logs.read import marked
from recsys.study.describe import describe_log
from recsys.study.suggest import suggestion_of


def events(**columns):
    n = len(next(iter(columns.values()))) if columns else 6
    rows = {"user_id": [i // 3 for i in range(n)], "item_id": list(range(n))}
    return pl.DataFrame({**rows, **columns})


@pytest.mark.parametrize(
    ("values", "kinds", "cancels"),
    [
        (["view", "addtocart", "transaction"], ["purchase", "product_click", "click"], []),
        (["impression", "click", "like"], ["like", "click"], []),
        (["like", "unlike", "play"], ["like", "click"], ["like"]),
        (["BUY", "Returned", "view"], ["purchase", "click"], ["purchase"]),
        (["red", "green", "blue"], [], []),
        (["click", "red", "blue"], [], []),
    ],
)
def test_values_that_are_kinds(values, kinds, cancels):
    found = suggestion_of(events(what=values * 2))
    assert list(found.kinds) == kinds
    assert list(found.cancels) == cancels


def test_conditions_are_quoted():
    found = suggestion_of(events(**{"the act": ["like", "likes", "play"] * 2}))
    assert found.kinds == {
        "like": "\"the act\" in ('like', 'likes')",
        "click": "\"the act\" = 'play'",
    }


def test_flags_that_are_kinds():
    found = suggestion_of(
        events(
            is_click=[0, 1, 1, 0, 1, 0],
            is_hate=[0, 0, 0, 1, 0, 0],
            forwarded=[False, True] * 3,
            shared=[True, False] * 3,
            long_view=[0, 1] * 3,
        )
    )
    assert found.kinds == {
        "hide": "is_hate = 1",
        "share": "forwarded or shared",
        "click": "is_click = 1",
    }


def test_flags_are_taken_before_values_of_which_some_are_not_known():
    both = events(event=["click", "hate", "long_view"] * 2, is_click=[0, 1] * 3)
    assert suggestion_of(both).kinds == {"click": "is_click = 1"}
    alone = suggestion_of(both.drop("is_click"))
    assert list(alone.kinds) == ["hide", "click"]


def test_a_column_kind_is_read_as_it_is():
    found = suggestion_of(events(kind=["click", "purchase", "like"] * 2))
    assert found.kinds == {}
    assert found.weights == {"purchase": 1}
    other = suggestion_of(events(kind=["like", "unlike", "like"] * 2))
    assert (other.kinds, other.cancels) == ({"like": "kind = 'like'"}, {"like": "kind = 'unlike'"})


def test_kinds_of_weight_0_get_a_weight():
    assert suggestion_of(events(what=["view", "buy"] * 3)).weights == {"purchase": 1}
    assert suggestion_of(events(what=["view", "cart"] * 3)).weights == {}


def test_counts_and_returns():
    sales = suggestion_of(events(Quantity=[1, 4, -2, 1, 1, -1]))
    assert sales.columns == {"count": "Quantity"}
    assert sales.kinds == {"purchase": "true"}
    assert sales.cancels == {"purchase": "count < 0"}
    assert sales.weights == {"purchase": 1}
    assert "2 rows have Quantity below 0: they take a purchase back." in sales.reasons
    assert suggestion_of(events(quantity=[1] * 6)).columns == {}


def test_what_items_tell():
    items = pl.DataFrame(
        {
            "item_id": range(12),
            "created_at": [date(2025, 1, 1 + i) for i in range(12)],
            "lang": ["en", "zh", "en"] * 4,
            "category": ["a", "b", "c"] * 4,
            "posts": ["x", "y", "z"] * 4,
            "title": [f"film {i}" for i in range(12)],
        }
    )
    found = suggestion_of(events(), items=items)
    assert found.columns == {"published": "created_at"}
    assert found.attributes == {"topic": "category", "language": "lang"}
    unclear = items.with_columns(created_at=pl.lit("13/01/2025"))
    assert suggestion_of(events(), items=unclear).columns == {}


def test_columns_with_one_value_for_each_user():
    log = events(land=["de"] * 3 + ["fr"] * 3, colour=["red", "blue"] * 3, all_alike=["x"] * 6)
    assert suggestion_of(log).of_users == ("land",)
    users = pl.DataFrame({"user_id": [0, 1], "land": ["de", "fr"]})
    assert suggestion_of(log, users).of_users == ()
    assert suggestion_of(log.with_columns(user_id=pl.int_range(6))).of_users == ()  # seen once each


@pytest.mark.parametrize("name", ["order", "user", "Group", "all", "true"])
def test_a_column_whose_name_means_something_in_sql(name):
    log = events(**{name: ["buy", "view", "refund"] * 2})
    found = suggestion_of(log)
    assert found.kinds == {"purchase": f"\"{name}\" = 'buy'", "click": f"\"{name}\" = 'view'"}
    for condition in (*found.kinds.values(), *found.cancels.values()):
        assert holds(log, condition, "kinds").sum() == 2
    flags = events(**{name: [True, False] * 3, "is_click": [0, 1] * 3})
    described = describe_log(flags.drop("is_click"), users_of(flags, name))
    assert f'"{name}"' in [parsed(f"x: {p.line}", "x")["x"] for p in described.proposals]


def users_of(log, name):
    return (
        log.group_by("user_id").agg(pl.col(name).first()).with_columns(pl.Series(name, [1, 0]) == 1)
    )


BELOW = [-1, 2, 1, 1, -2, 1]


@pytest.mark.parametrize(
    ("columns", "cancels"),
    [
        ({"what": ["hide", "buy", "view"] * 2}, {"purchase": "count < 0"}),
        ({"what": ["hide", "play", "hide"] * 2}, {"click": "count < 0"}),
        ({"what": ["refund", "buy", "cart"] * 2}, {"purchase": "what = 'refund' or count < 0"}),
        (
            {"what": ["unlike", "like", "like", "play", "play", "unlike"]},
            {"like": "what = 'unlike'", "click": "count < 0 and (what = 'play')"},
        ),
        (
            {"what": ["like", "like", "play", "play", "buy", "unlike"]},
            {
                "like": "what = 'unlike' or count < 0 and (what = 'like')",
                "purchase": "count < 0",
            },
        ),
        (
            {"kind": ["hide", "click", "purchase"] * 2},
            {"click": "count < 0 and (kind = 'click')", "purchase": "count < 0"},
        ),
        ({"kind": ["hide", "impression", "click"] * 2}, {"click": "count < 0"}),
        ({"weight": [1.0, 2.0] * 3}, {"click": "count < 0"}),
        ({"weight": [1.0, 2.0] * 3, "kind": ["hide", "purchase"] * 3}, {"purchase": "count < 0"}),
        ({"weight": [1.0] * 6, "kind": ["like", "unlike"] * 3}, {"like": "kind = 'unlike'"}),
    ],
)
def test_what_is_below_0_takes_back_what_was_liked(columns, cancels):
    log = events(
        **columns, quantity=BELOW if "unlike" not in columns.get("kind", []) else [1, 2] * 3
    )
    found = suggestion_of(log)
    assert found.cancels == cancels
    assert found.columns == {"count": "quantity"}
    if "weight" in columns:
        assert found.weights == {}
    source = OwnLog(
        events="events",
        newcomers="auto",
        kinds=found.kinds,
        cancels=found.cancels,
        weights=found.weights,
    )
    read = marked(log.rename({"quantity": "count"}), source)
    assert read.filter((pl.col("count") < 0) & pl.col("cancels").is_null()).is_empty()
    InteractionLog.from_frames(read, weights=found.weights)


def test_what_is_below_0_is_not_read_where_nothing_is_liked():
    found = suggestion_of(events(kind=["hide", "impression"] * 3, quantity=BELOW))
    assert (found.columns, found.cancels, found.kinds) == ({}, {}, {})
    assert "so quantity is not read" in " ".join(found.reasons)
