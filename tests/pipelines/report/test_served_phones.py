"""Feeds that were served, side by side."""

import re
from datetime import date
from pathlib import Path

import polars as pl

import recsys
from pipelines.report.page import save_served_page
from pipelines.report.served_phones import served_phones

A = pl.DataFrame(
    {
        "user_id": [1, 1, 1, 2, 2, 2],
        "rank": [1, 2, 3] * 2,
        "item_id": [10, 11, 12, 10, 11, 12],
    }
)
B = A.with_columns(item_id=pl.Series([12, 10, 13, 10, 11, 12]))
ITEMS = pl.DataFrame(
    {
        "item_id": [10, 11, 12, 13],
        "genre": ["food", "pets", "<i>", "cars"],
        "title": ["a", "b", "c", "d"],
        "picture": [f"https://example.org/{n}.jpg" for n in range(4)],
        "creator_cohort": ["incumbent", "incumbent", None, "newcomer"],
    }
)
OPTIONS = {"attributes": {"topic": "genre"}}


def test_what_moved_came_and_went() -> None:
    result = recsys.compare_feeds(A, B)
    phones = served_phones(result, {"a": A, "b": B}, {})
    assert phones is not None
    users = [user["id"] for user in phones["recommenders"][0]["users"]]
    before, after = phones["feeds"][f"0.0.{users.index('1')}.0"]
    assert [slot[2] for slot in before] == [0, "out", 0]
    assert [slot[2] for slot in after] == [2, -1, "new"]
    assert [slot[2] for slot in phones["feeds"][f"0.0.{users.index('2')}.0"][1]] == [0, 0, 0]
    assert phones["cards"][0][5] == "item 10"  # nothing else is known


def test_titles_and_pictures_are_shown_and_never_fetched(tmp_path: Path) -> None:
    result = recsys.compare_feeds(A, B, items=ITEMS, **OPTIONS)
    phones = served_phones(result, {"a": A, "b": B, "items": ITEMS}, OPTIONS)
    assert phones is not None
    assert ["<i>", "c"] in [[card[0], card[6]] for card in phones["cards"]]
    assert {card[4] for card in phones["cards"]} == {"incumbent", "newcomer", None}
    save_served_page("feeds", result, phones, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "https://example.org/1.jpg" in text
    assert "<i>" not in text
    assert not re.search(r'(src|href)\s*=\s*"http', text)
    assert "How far are B’s feeds" in text or "How far are B&#39;s feeds from A&#39;s?" in text


def test_before_and_after_each_day_is_beside_the_last_day_before() -> None:
    days = [date(2025, 1, 1), date(2025, 1, 2)]
    a = pl.concat([A.with_columns(day=pl.lit(day)) for day in days])
    b = pl.concat([B.with_columns(day=pl.lit(date(2025, 1, day))) for day in (5, 6)])
    phones = served_phones(recsys.compare_feeds(a, b), {"a": a, "b": b}, {})
    assert phones is not None
    assert phones["days"] == ["2025-01-05", "2025-01-06"]
    assert all(side is not None for pair in phones["feeds"].values() for side in pair)


def test_an_id_is_the_same_as_a_whole_float() -> None:
    b = B.with_columns(pl.col("user_id", "item_id").cast(pl.Float64))
    phones = served_phones(recsys.compare_feeds(A, b), {"a": A, "b": b}, {})
    assert phones is not None
    assert all(side is not None for pair in phones["feeds"].values() for side in pair)
    assert {slot[2] for pair in phones["feeds"].values() for slot in pair[1]} == {0, 2, -1, "new"}


def test_renamed_columns_and_creators_among_the_users() -> None:
    a, b = (frame.rename({"item_id": "video"}) for frame in (A, B))
    items = ITEMS.drop("creator_cohort").rename({"item_id": "video"})
    items = items.with_columns(creator_id=pl.Series([1, 1, 2, 2]))
    users = pl.DataFrame({"user_id": [1, 2], "kind": ["incumbent", "newcomer"]})
    options = {"columns": {"item_id": "video"}, "cohort": "kind"}
    result = recsys.compare_feeds(a, b, items=items, users=users, **options)
    frames = {"a": a, "b": b, "items": items, "users": users}
    phones = served_phones(result, frames, options)
    assert phones is not None
    assert {card[4] for card in phones["cards"]} == {"incumbent", "newcomer"}
