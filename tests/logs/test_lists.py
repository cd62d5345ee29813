"""Lists in a user's frames: tags and vectors, or an error in words."""

import numpy as np
import polars as pl
import pytest

from recsys.config import OwnLog
from recsys.core.errors import LogError
from recsys.logs.lists import MOST_NUMBERS, with_lists
from recsys.logs.log import InteractionLog
from recsys.logs.read import read_log
from tests.kit.logs import pair

FLOATS = pl.List(pl.Float64)


@pytest.mark.parametrize(
    ("values", "tags"),
    [
        ([["a", "b"], [], None], [["a", "b"], None, None]),
        ([["a", None], [None], ["c"]], [["a"], None, ["c"]]),
        ([[3, 1], [2], []], [["3", "1"], ["2"], None]),
        ([[True], [False], None], [["true"], ["false"], None]),
        ([[], [], []], [None, None, None]),
        (pl.Series([["a"], ["b"], None], dtype=pl.List(pl.Categorical)), [["a"], ["b"], None]),
        (pl.Series([["a"], ["b"], None], dtype=pl.Array(pl.String, 1)), [["a"], ["b"], None]),
        (pl.Series([[], [], None], dtype=FLOATS), [None, None, None]),
    ],
)
def test_tags(values, tags):
    column = with_lists(pl.DataFrame({"genres": values}), "items")["genres"]
    assert column.dtype == pl.List(pl.String)
    assert column.to_list() == tags


@pytest.mark.parametrize(
    "values",
    [
        [[0.5, 1.0], None, [2.0, 0.0]],
        pl.Series([["0.5", "1"], [], ["2", "0"]]).cast(pl.List(pl.Decimal(4, 1))),
        pl.Series([[0.5, 1.0], None, [2.0, 0.0]], dtype=pl.Array(pl.Float32, 2)),
    ],
)
def test_vectors(values):
    column = with_lists(pl.DataFrame({"text": values}), "items")["text"]
    assert column.dtype == pl.Array(pl.Float32, 2)
    assert column.to_list() == [[0.5, 1.0], None, [2.0, 0.0]]


def test_rows_of_an_array_are_vectors():
    column = with_lists(pl.DataFrame({"text": np.eye(3, dtype=np.int8)}), "items")["text"]
    assert column.dtype == pl.Array(pl.Float32, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [[1.0], [1.0, 2.0]],
            r"text is \[1.0, 2.0\] in row 2; the first vector has 1 numbers; give",
        ),
        (
            [[1.0, float("nan")], [1.0, 2.0]],
            r"items: text is \[1.0, nan\] in row 1; a vector holds",
        ),
        (
            [[1.0, 2.0], [1.0, float("inf")]],
            r"text is \[1.0, inf\] in row 2; a vector holds finite",
        ),
        (
            [[1.0, None], [None, 2.0]],
            r"\[1.0, None\] in row 1, and 1 more of 2 rows; a vector holds",
        ),
        ([[1e300], None], "in row 1; a vector holds finite numbers"),
        ([[0.0] * (MOST_NUMBERS + 1), None], "vectors of 4,097 numbers; give vectors of at most"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(values, message):
    items = {"item_id": [7, 8], "text": pl.Series(values, dtype=FLOATS)}
    with pytest.raises(LogError, match=message):
        InteractionLog.from_frames(pair(), items=items)


@pytest.mark.parametrize(
    "values", [[[{"a": 1}], []], [[[1.0]], [[2.0]]], [{"a": 1}, {"a": 2}], np.zeros((2, 2, 2))]
)
def test_other_nested_columns_may_hold_anything(values):
    frame = pl.DataFrame({"other": values})
    assert with_lists(frame, "items").equals(frame)


def test_lists_in_files(tmp_path):
    """A measure by such an attribute is refused in words."""
    frames = {
        "events": pl.DataFrame(pair()),
        "users": pl.DataFrame({"user_id": [1, 2], "apps": [["a", "b"], None]}),
        "items": pl.DataFrame({"item_id": [7, 8], "genres": [["war", "drama"], ["war"]]}),
    }
    paths = {name: str(tmp_path / f"{name}.parquet") for name in frames}
    for name, frame in frames.items():
        frame.write_parquet(paths[name])
    log = read_log(OwnLog(**paths, newcomers="user_id = 2"))
    assert log.users["apps"].to_list() == [["a", "b"], None]
    assert log.items["genres"].to_list() == [["war", "drama"], ["war"]]
    with pytest.raises(LogError, match=r"genres holds List\(String\), such as \['war', 'drama'\]"):
        log.item_codes("genres")
