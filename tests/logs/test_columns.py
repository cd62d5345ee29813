"""Casts of columns: 3, 3.0 and "3" are one number, and what does not fit is named."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import LogError
from recsys.logs.columns import one_of, refuse, texts, weights, whole_numbers
from recsys.logs.log import InteractionLog
from recsys.logs.schema import COHORTS
from tests.kit.logs import pair


@pytest.mark.parametrize(
    "ranks",
    [
        [10, None, 2],
        [10.0, float("nan"), 2.0],
        ["10", "", " 2 "],
        ["10.0", None, "2.0"],
        [Decimal("10"), None, Decimal("2")],
        pl.Series(["10", None, "2"], dtype=pl.Categorical),
        pl.Series([10, None, 2], dtype=pl.UInt8),
    ],
)
def test_whole_numbers_of_any_type(ranks):
    column = pl.Series("rank", ranks)
    assert whole_numbers(column, "feeds", "", 1, 20).to_list() == [10, None, 2]


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ([1, 2.5], "feeds: rank is 2.5 in row 2; expected"),
        (["1", "two"], "rank is 'two' in row 2"),
        ([0, 0], "rank is 0 in row 1, and 1 more of 2 rows"),
        ([21, 1], "rank is 21 in row 1"),
        (["1e300", "1"], "rank is '1e300'"),
        ([float("inf"), 1.0], "rank is inf"),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), "rank is 18446744073709551615 in row 1"),
        ([True, False], "rank is Boolean; expected"),
        ([[1], [2]], "rank is List"),
        ([date(2025, 1, 1)], "rank is Date"),
    ],
)
def test_what_is_no_whole_number(ranks, message):
    with pytest.raises(LogError, match=message):
        whole_numbers(pl.Series("rank", ranks, strict=False), "feeds", "expected", 1, 20)


@pytest.mark.parametrize("weight", [1e300, 1e13, 1e-46, float("inf"), float("nan"), None, "heavy"])
def test_weights_that_float32_does_not_hold(weight):
    with pytest.raises(LogError, match=r"events: weight is .* in row 2"):
        weights(
            pl.Series("weight", ["1", weight] if weight == "heavy" else [1.0, weight]), "events"
        )


def test_weights_sum_to_finite_numbers():
    many = {"user_id": [1] * 1000, "item_id": [7] * 1000, "weight": [1e12] * 1000}
    many["timestamp"] = range(1_736_640_000, 1_736_641_000)
    log = InteractionLog.from_frames(many)
    assert np.isfinite(log.interactions.weights.data).all()
    with pytest.raises(LogError, match=r"weights: click has weight 1e\+308"):
        InteractionLog.from_frames(pair(), weights={"click": 1e308})


@pytest.mark.parametrize("values", [[0, 1], [0.0, 1.0], [True, False], [date(2025, 1, 1)] * 2])
@pytest.mark.parametrize("column", ["cohort", "kind", "cancels"])
def test_names_are_texts(column, values):
    """A number is not the place of a name in a list."""
    users = {"user_id": [1, 2], "cohort": values}
    events, users = (pair(), users) if column == "cohort" else (pair(**{column: values}), None)
    with pytest.raises(LogError, match=f"{column} is .*; give texts, of: "):
        InteractionLog.from_frames(events, users)


def test_names_of_any_type_of_text():
    for kind in (pl.String, pl.Categorical, pl.Enum(["newcomer", "other"])):
        column = pl.Series("cohort", ["newcomer", None], dtype=kind)
        assert one_of(column, COHORTS, "users", optional=True).to_list() == ["newcomer", None]


@pytest.mark.parametrize(
    "values",
    [[["a"]], [{"a": 1}], [b"\xff"], [timedelta(days=1)], pl.Series([object()], dtype=pl.Object)],
)
def test_what_is_no_name(values):
    with pytest.raises(LogError, match=r"items: topic holds .* cannot be an attribute"):
        texts(pl.Series("topic", values), "items", "an attribute")


def test_the_first_bad_row_is_named():
    with pytest.raises(LogError, match=r"^f: x is 'bad' in row 3, and 1 more of 4 rows; do y$"):
        refuse(
            pl.Series("x", ["a", "a", "bad", "worse"]),
            pl.Series([False, False, True, True]),
            "f",
            "do y",
        )


def test_attributes_with_the_separator_stay_apart():
    items = {"item_id": [7, 8], "a": ["x · y", "x"], "b": ["z", "y · z"]}
    log = InteractionLog.from_frames(pair(), items=items)
    codes, labels = log.item_codes("a", "b")
    assert codes[0] != codes[1]
    assert len(set(labels)) == 2
