"""What columns may mean: kinds, counts, returns, times of publication, attributes."""

from datetime import date

import polars as pl
import pytest

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
