"""Feeds that were served, side by side: the same phones as of a study, without anything fetched."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from pipelines.report.phones import CARD, Json, Slot, label_of, pair_of
from recsys.logs.frames import renamed
from recsys.logs.ids import ids_of
from recsys.logs.schema import to_polars
from recsys.served.compare import FeedComparison
from recsys.study.tables.shown_users import chosen_users

_MOST_DAYS = 14
_SIDES = (("a", "A", "a"), ("b", "B", "a"))
_RULE = (
    "Nobody picked these users by hand: the users in both frames were sorted by how many of their "
    "posts differ, over all days, and these stand at fixed places of that order. Titles and "
    "addresses of pictures are shown where the items have such a column; nothing is fetched."
)


def served_phones(
    result: FeedComparison, frames: Mapping[str, Any], options: Mapping[str, Any]
) -> Json | None:
    """The feeds of a dozen users in A and B, for the page's script.

    Args:
        result: the result of `recsys.compare_feeds` for these frames.
        frames: the frames `a`, `b` and, if they exist, `items` and `users`.
        options: `columns`, `attributes` and `cohort` as they were given to `compare_feeds`.

    Returns:
        As `pipelines.report.phones.phones_of`; None if no user can be compared.
    """
    whole = _with_text_ids(result.per_user.filter(pl.col("day").is_null(), feeds="b"))
    users = chosen_users(whole.filter(pl.col("slots_changed").is_not_null()))
    if not users:
        return None
    wanted = {name: to_polars(frames[name], name) for name in frames if name != "reference"}
    tables = {
        n: _with_text_ids(f) for n, f in renamed(wanted, options.get("columns") or {}).items()
    }
    known = _posts(tables, options)
    ids = [user["user_id"] for user in users]
    both = [_feeds(tables[name], ids, known, result.k) for name in ("a", "b")]
    days = sorted({day for _, day in both[1] if day is not None})[-_MOST_DAYS:]
    last = max((day for _, day in both[0] if day is not None), default=None)
    cards: dict[tuple[Any, ...], int] = {}
    shown: dict[str, Any] = {}
    for user_at, user in enumerate(ids):
        for day_at, day in enumerate(days or [None]):
            has_day = any(key[1] == day for key in both[0])
            before = both[0].get((user, day if has_day else last))
            pair = pair_of([before, both[1].get((user, day))], _SIDES, cards)
            shown[f"0.0.{user_at}.{day_at}"] = pair
    everybody = {"name": "", "mitigations": ["none"], "users": [label_of(user) for user in users]}
    return {
        "columns": 1,
        "platform": "",
        "native": None,
        "sides": ["A: the reference", "B: under test"],
        "days": [str(day) for day in days],
        "day": max(len(days) - 1, 0),
        "recommenders": [everybody],
        "cards": [list(card) for card in cards],
        "feeds": shown,
        "rule": _RULE,
    }


def _with_text_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Ids as text, so that those of several files can be compared."""
    return frame.with_columns(
        ids_of(frame[name], "frame", optional=True).cast(pl.String)
        for name in ("user_id", "item_id", "creator_id")
        if name in frame.columns
    )


def _posts(tables: Mapping[str, pl.DataFrame], options: Mapping[str, Any]) -> pl.DataFrame | None:
    """What is known of each item, under our names; None without a frame of items."""
    if "items" not in tables:
        return None
    items = tables["items"].unique("item_id", keep="first", maintain_order=True)
    named = options.get("attributes") or {}
    pairs = named if isinstance(named, Mapping) else {name: name for name in named}
    items = items.with_columns(pl.col(theirs).alias(ours) for ours, theirs in pairs.items())
    cohort, users = options.get("cohort", "cohort"), tables.get("users")
    if "creator_cohort" in items.columns:
        return items.with_columns(creator="creator_cohort")
    if users is None or cohort not in users.columns or "creator_id" not in items.columns:
        return items.with_columns(creator=pl.lit(None, pl.String))
    cohorts = users.select(creator_id="user_id", creator=cohort).unique("creator_id", keep="first")
    return items.drop("creator", strict=False).join(
        cohorts, on="creator_id", how="left", maintain_order="left"
    )


def _feeds(
    frame: pl.DataFrame, users: Sequence[str], posts: pl.DataFrame | None, k: int
) -> dict[tuple[str, Any], list[Slot]]:
    """The first k slots of each feed, by user and day."""
    mine = frame.filter(pl.col("user_id").is_in(users), pl.col("rank") <= k)
    if posts is not None:
        mine = mine.join(posts, on="item_id", how="left", maintain_order="left", suffix="_of_item")
    feeds: dict[tuple[str, Any], list[Slot]] = {}
    for row in mine.sort("rank", maintain_order=True).iter_rows(named=True):
        slot = row["item_id"], list(_card(row))
        feeds.setdefault((row["user_id"], row.get("day")), []).append(slot)
    return feeds


def _card(row: Mapping[str, Any]) -> Iterator[str | None]:
    """What a card says, in the order of `CARD`, and what filled the slot."""
    known = dict(row)
    if row.get("topic") is None and row.get("title") is None:
        known["more"] = f"item {row['item_id']}"
    for name in (*CARD, "source"):
        value = known.get(name)
        yield None if value is None else str(value).lower() if name == "product_tag" else str(value)
