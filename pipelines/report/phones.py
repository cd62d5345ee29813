"""Feeds side by side: what phones show of the same user's feeds in two or three arms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from pipelines.report.headline import Variant, number
from recsys.config import World
from recsys.study.result import StudyResult

Json = dict[str, Any]
Slot = tuple[Any, list[Any]]
"""A post's id, and what is known of it in the order of `CARD`, its source last."""

CARD = ("topic", "language", "format", "product_tag", "creator", "more", "title", "picture")
"""What is known of a post on a card."""
NEW, OUT = "new", "out"
"""State of a post that is not in the feed compared with, and of one that is in no other."""

_WORLD = (
    ("control", "Without the newcomers", "control"),
    ("influx", "With the newcomers", "control"),
    ("retrain", "Without them, trained again", "control"),
)
_LOG = (
    ("influx", "Trained without the newcomers", "full"),
    ("full", "Trained with everybody", "influx"),
    ("retrain", "Trained again with everybody", "full"),
)
_CHOSEN = {
    "typical": "Typical",
    "most hit": "Most hit",
    "least hit": "Least hit",
    "bilingual": "Reads both languages",
}


def phones_of(result: StudyResult, order: Sequence[Variant]) -> Json | None:
    """The feeds of the users in `shown_users`, for the page's script.

    Args:
        result: the result of a study.
        order: recommenders and mitigations, best first.

    Returns:
        columns · sides · days · day · recommenders · cards · feeds; None if no feed was kept.
        `feeds` has an entry for each recommender, mitigation, user and day, by their numbers: for
        each side a list of slots [card, source, state]. The state is 0 where the post is in the
        same place as in the feed compared with, how many ranks it moved up, `NEW` or `OUT`.
    """
    users = result.shown_users
    if users.is_empty() or result.feeds.is_empty():
        return None
    is_world = isinstance(result.study.source, World)
    sides = _WORLD if is_world else _LOG
    slots = _slots(result, [arm for arm, _, _ in sides])
    cards: dict[tuple[Any, ...], int] = {}
    feeds: dict[str, Any] = {}
    recommenders = []
    days = sorted({day for *_, day in slots if day is not None})
    for number_of, name in enumerate(dict.fromkeys(recommender for recommender, _ in order)):
        chains = [chain for recommender, chain in order if recommender == name]
        chains.sort(key=lambda chain: chain != "none")
        chosen = users.filter(recommender=name).to_dicts()
        recommenders.append(
            {"name": name, "mitigations": chains, "users": [_label(user) for user in chosen]}
        )
        for chain_at, chain in enumerate(chains):
            for user_at, user in enumerate(chosen):
                for day_at, day in enumerate(days or [None]):
                    found = [
                        slots.get((name, chain, arm, user["user_id"], day)) for arm, _, _ in sides
                    ]
                    key = f"{number_of}.{chain_at}.{user_at}.{day_at}"
                    feeds[key] = _compared(found, sides, cards)
    platform = result.study.world.platform if is_world else None
    return {
        "columns": platform.columns if platform is not None else 1,
        "platform": platform.kind if platform is not None else "",
        "sides": [title for _, title, _ in sides],
        "days": days,
        "day": _day(result, days),
        "recommenders": recommenders,
        "cards": [list(card) for card in cards],
        "feeds": feeds,
        "rule": _rule(users),
    }


def _slots(result: StudyResult, arms: Sequence[str]) -> dict[tuple[Any, ...], list[Slot]]:
    """The slots of each feed, by recommender, mitigation, arm, user and day."""
    names = ["recommender", "mitigation", "arm"]
    shown = result.feeds.with_columns(pl.col(names).cast(pl.String)).filter(
        pl.col("arm").is_in(arms),
        pl.col("user_id").is_in(result.shown_users["user_id"].implode()),
        seed=result.study.first_seed,
    )
    keys = [*names, "seed", "item_id"]
    rows = shown.join(result.shown_posts, on=keys, how="left", maintain_order="left")
    feeds: dict[tuple[Any, ...], list[Slot]] = {}
    columns = (*names, "user_id", "day", "item_id", *CARD, "source")
    for row in rows.sort("rank", maintain_order=True).select(columns).iter_rows():
        feeds.setdefault(row[:5], []).append((row[5], list(row[6:])))
    return feeds


def _compared(
    feeds: Sequence[Sequence[Slot] | None],
    sides: Sequence[tuple[str, str, str]],
    cards: dict[tuple[Any, ...], int],
) -> list[list[list[Any]] | None]:
    """The slots of each side, beside those of the side it is compared with."""
    by_arm = {arm: feed for (arm, _, _), feed in zip(sides, feeds, strict=True)}
    first, second = sides[0][0], sides[1][0]
    shown: list[list[list[Any]] | None] = []
    for (arm, _, reference), feed in zip(sides, feeds, strict=True):
        if feed is None:
            shown.append(None)
            continue
        other = by_arm[second] if arm == first else by_arm[reference]
        shown.append(compared(feed, other or (), cards, leaving=arm == first))
    return shown


def compared(
    feed: Sequence[Slot], other: Sequence[Slot], cards: dict[tuple[Any, ...], int], *, leaving: bool
) -> list[list[Any]]:
    """The slots of a feed beside another feed of the same user.

    Args:
        feed: its posts, top first.
        other: those of the feed compared with.
        cards: number of each card; new ones are added.
        leaving: whether only posts that the other feed does not have are marked, as `OUT`.

    >>> one, two = (7, ["food", "personal"]), (8, ["pets", "fresh"])
    >>> compared([two, one], [one], {}, leaving=False)
    [[0, 'fresh', 'new'], [1, 'personal', -1]]
    """
    places = {item: place for place, (item, _) in enumerate(other)}
    slots = []
    for place, (item, known) in enumerate(feed):
        card = cards.setdefault(tuple(known[:-1]), len(cards))
        if item not in places:
            state: Any = OUT if leaving else NEW
        else:
            state = 0 if leaving else places[item] - place
        slots.append([card, known[-1], state])
    return slots


def _label(user: Mapping[str, Any]) -> Json:
    words = _CHOSEN.get(user["chosen"], f"Hit more than {user['chosen'].removeprefix('above ')}")
    text = f"{words}: user {user['user_id']}, {number(user['changed'])} % of posts changed"
    return {"id": str(user["user_id"]), "text": text}


def _rule(users: pl.DataFrame) -> str:
    """How the users were chosen."""
    return (
        f"Nobody picked these users by hand. The {users['panel'][0]:,} users that are measured "
        "were sorted, for each recommender without mitigation in the first seed, by how many of "
        "their posts changed over all days; the users stand at fixed places of that order: the "
        "middle (typical), both ends, and tenths between them. Some of what changes would change "
        "anyway, as the third phone shows."
    )


def _day(result: StudyResult, days: Sequence[int]) -> int:
    """Place of the day on which newcomers' posts take most slots; the last day of a tie."""
    rows = result.headline.filter(pl.col("day").is_not_null(), group="all")
    if not days or rows.is_empty():
        return 0
    means = dict(rows.group_by("day").agg(pl.col("displaced").mean()).iter_rows())
    return max(range(len(days)), key=lambda place: (means.get(days[place]) or 0.0, place))


def served_phones(
    a: pl.DataFrame, b: pl.DataFrame, per_user: pl.DataFrame, items: pl.DataFrame | None
) -> Json | None:
    """The feeds of a dozen users in two frames that were served, for the page's script.

    Args:
        a, b: user_id · rank · item_id and, optionally, day; under our names.
        per_user: as in `recsys.FeedComparison`.
        items: item_id and attributes; None if none are known.

    Returns:
        As `phones_of`; None if no user has a value.
    """
    from recsys.study.tables.shown_users import chosen_users

    whole = per_user.filter(pl.col("day").is_null(), feeds="b")
    users = chosen_users(whole.filter(pl.col("slots_changed").is_not_null()))
    if not users:
        return None
    with_days = "day" in a.columns and "day" in b.columns
    days = per_user.filter(pl.col("day").is_not_null(), feeds="b")["day"].unique().sort().to_list()
    days = days[-14:] if with_days else []
    known = items.unique("item_id", keep="first") if items is not None else None
    ids = [user["user_id"] for user in users]
    frames = [_served_slots(frame, ids, known, with_days=bool(days)) for frame in (a, b)]
    cards: dict[tuple[Any, ...], int] = {}
    sides = (("a", "A", "a"), ("b", "B", "a"))
    feeds = {
        f"0.0.{user_at}.{day_at}": _compared(
            [frame.get((user, day)) for frame in frames], sides, cards
        )
        for user_at, user in enumerate(ids)
        for day_at, day in enumerate(days or [None])
    }
    return {
        "columns": 1,
        "platform": "",
        "sides": ["A: the reference", "B: under test"],
        "days": [str(day) for day in days],
        "day": max(len(days) - 1, 0),
        "recommenders": [
            {"name": "", "mitigations": ["none"], "users": [_label(user) for user in users]}
        ],
        "cards": [list(card) for card in cards],
        "feeds": feeds,
        "rule": "Nobody picked these users by hand: the users in both frames were sorted by how "
        "many of their posts changed, and these stand at fixed places of that order.",
    }


def _served_slots(
    frame: pl.DataFrame, users: Sequence[Any], items: pl.DataFrame | None, *, with_days: bool
) -> dict[tuple[Any, Any], list[Slot]]:
    mine = frame.filter(pl.col("user_id").is_in(users)).sort("rank", maintain_order=True)
    if items is not None:
        mine = mine.join(items, on="item_id", how="left", maintain_order="left")
    feeds: dict[tuple[Any, Any], list[Slot]] = {}
    for row in mine.iter_rows(named=True):
        key = (row["user_id"], row["day"] if with_days else None)
        feeds.setdefault(key, []).append((row["item_id"], list(_card(row))))
    return feeds


def _card(row: Mapping[str, Any]) -> Iterator[Any]:
    """The card of a row, and its source."""
    creator = row.get("creator_cohort")
    known = {**row, "creator": creator if creator is not None else row.get("creator_id")}
    if not any(row.get(name) is not None for name in ("topic", "title")):
        known["more"] = f"item {row['item_id']}"
    for name in (*CARD, "source"):
        value = known.get(name)
        yield None if value is None else str(value)
