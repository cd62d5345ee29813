"""Which feeds are kept, and what is known of their posts."""

import numpy as np
import polars as pl

from recsys.measures.attention_rows import Pool
from recsys.study.arms.snapshots import POSTS, Snapshots, posts_of

KEYS = {"recommender": "x", "mitigation": "none", "arm": "influx", "seed": 0}
ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "about": ["food", None, "pets", "<b>"],
        "tab": [1, 2, 3, 4],
        "title": ["A", "B", None, "D"],
        "tags": [["x", "y"], [], None, ["z"]],
    }
)


def pool(sizes):
    n = len(ITEMS)
    return Pool(np.ones(n, bool), np.arange(n, dtype=np.int32), np.zeros(n), np.zeros(1), sizes)


def test_draws_of_placebos_and_nudges_are_never_kept():
    for everything in (False, True):
        asked = Snapshots(everything)
        assert asked.cohorts_of({"arm": "placebo", "draw": 3}) == ()
        assert asked.cohorts_of({"arm": "nudge", "draw": 0}) == ()
    assert Snapshots(everything=True).cohorts_of({"arm": "locals", "draw": 0}) == (
        "incumbent",
        "newcomer",
    )


def test_what_is_known_of_posts():
    new = np.array([False, False, False, True])
    sizes = np.array([1.0, 5.0, 9.0, np.nan])
    columns = {"topic": "about", "tab": "tab", "tags": "tags"}
    found = posts_of(KEYS, np.array([0, 2, 3]), ITEMS, columns, new, pool(sizes))
    assert found.columns == list(POSTS)
    assert found["item_id"].to_list() == ["a", "c", "d"]
    assert found["topic"].to_list() == ["food", "pets", "<b>"]
    assert found["more"].to_list() == ["tab 1 · tags x, y", "tab 3", "tab 4 · tags z"]
    assert found["title"].to_list() == ["A", None, "D"]
    assert found["picture"].to_list() == [None] * 3
    assert found["creator"].to_list() == ["small", "large", "newcomer"]


def test_creators_of_unknown_size():
    found = posts_of(KEYS, np.array([0, 3]), ITEMS, {}, None, pool(np.array([1.0, 5, 9, np.nan])))
    assert found["creator"].to_list() == ["small", None]
    for without in (None, pool(None)):
        found = posts_of(KEYS, np.array([1]), ITEMS, {}, None, without)
        assert found["creator"].to_list() == [None]
        assert found["topic"].to_list() == [None]
