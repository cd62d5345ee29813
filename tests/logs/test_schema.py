"""Frames at the boundary: what is read as a frame, and what each contract refuses."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from recsys.core.errors import LogError
from recsys.logs.schema import COHORTS, KINDS, WEIGHTS, checked, to_polars

COLUMNS = {"user_id": ["a", "b"], "rank": [1, 2]}


@pytest.mark.parametrize(
    "make",
    [pl.DataFrame, pl.LazyFrame, pd.DataFrame, pa.table, dict],
    ids=["polars", "lazy", "pandas", "arrow", "dict"],
)
def test_anybodys_frame(make):
    frame = to_polars(make(COLUMNS), "feeds")
    assert frame.to_dict(as_series=False) == COLUMNS


@pytest.mark.parametrize("thing", [5, object()])
def test_what_is_no_frame(thing):
    with pytest.raises(LogError, match=rf"events: a {type(thing).__name__} is not a frame"):
        to_polars(thing, "events")


def test_every_kind_has_a_weight():
    assert list(WEIGHTS) == KINDS.categories.to_list()


EVENT = {"user_id": [1, 2], "item_id": [7, 8]}
FEED = {"user_id": [1, 1], "rank": [1, 2], "item_id": [7, 8]}


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("events", {"item_id": [7]}, "events: no column 'user_id'; the columns are 'item_id'"),
        ("events", {}, "no column 'user_id', 'item_id'; the columns are none"),
        ("events", {**EVENT, "user_id": [None, 2]}, "events: 1 of 2 rows have no user_id"),
        ("events", {**EVENT, "kind": ["clik", "click"]}, "kind is 'clik' in row 1; did you mean"),
        (
            "events",
            {**EVENT, "kind": ["click", None]},
            "kind is None in row 2; fill it in; known: click",
        ),
        (
            "events",
            {**EVENT, "rank": [0, 0]},
            "events: rank is 0 in row 1, and 1 more of 2 rows; r",
        ),
        ("events", {**EVENT, "rank": [1, 70_000]}, "events: rank is 70000 in row 2; ranks are"),
        ("events", {**EVENT, "cancels": ["unlike", None]}, "cancels is 'unlike' in row 1"),
        (
            "events",
            {**EVENT, "weight": [float("nan"), 1.0]},
            "weight is nan in row 1; weights are fini",
        ),
        ("events", {**EVENT, "weight": [float("inf"), 1.0]}, "weight is inf in row 1"),
        ("events", {**EVENT, "weight": [None, 1.0]}, "weight is None in row 1"),
        ("events", {**EVENT, "weight": ["much", "1"]}, "weight is 'much' in row 1; weights"),
        (
            "users",
            {"user_id": [1], "cohort": ["native"]},
            "cohort is 'native' in row 1; known: inc",
        ),
        ("users", {"id": [1]}, "users: no column 'user_id'"),
        ("items", {"item_id": [None]}, "items: 1 of 1 rows have no item_id"),
        ("feeds", {**FEED, "rank": [None, 1]}, "feeds: 1 of 2 rows have no rank"),
        ("feeds", {**FEED, "score": ["high", "low"]}, "feeds: score is 'high' in row 1, and 1"),
    ],
)
def test_broken_contracts(name, columns, message):
    with pytest.raises(LogError) as caught:
        checked(pl.DataFrame(columns, strict=False), name)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("events", EVENT),
        ("events", {**EVENT, "rank": [1, None], "weight": [0, 2], "extra": ["x", None]}),
        ("users", {"user_id": ["a", "b"], "cohort": ["newcomer", None]}),
        ("users", {"user_id": ["a"], "cohort": pl.Series(["newcomer"], dtype=COHORTS)}),
        ("items", {"item_id": [7], "topic": [None]}),
        ("feeds", FEED),
    ],
)
def test_kept_contracts_change_nothing(name, columns):
    frame = pl.DataFrame(columns)
    assert_frame_equal(checked(frame, name), frame, check_dtypes=False)
