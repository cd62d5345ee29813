"""Feeds side by side: what phones show of the same user's feeds in two or three arms."""

from collections.abc import Mapping, Sequence
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

WORLD_SIDES = (
    ("control", "Without the newcomers", "control"),
    ("influx", "With the newcomers", "control"),
    ("retrain", "Without them, trained again", "control"),
)
LOG_SIDES = (
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
    sides = WORLD_SIDES if is_world else LOG_SIDES
    arms = [arm for arm, _, _ in sides]
    slots = slots_of(result.feeds, result.shown_posts, users, arms)
    cards: dict[tuple[Any, ...], int] = {}
    feeds: dict[str, Any] = {}
    recommenders = []
    days = sorted({day for *_, day in slots if day is not None})
    for number_of, name in enumerate(dict.fromkeys(recommender for recommender, _ in order)):
        chains = [chain for recommender, chain in order if recommender == name]
        chains.sort(key=lambda chain: chain != "none")
        chosen = users.filter(recommender=name).to_dicts()
        floors = [[_floor(result, name, chain, day) for day in days or [None]] for chain in chains]
        labels = [label_of(user) for user in chosen]
        recommenders.append(
            {"name": name, "mitigations": chains, "users": labels, "anyway": floors}
        )
        for chain_at, chain in enumerate(chains):
            for user_at, user in enumerate(chosen):
                for day_at, day in enumerate(days or [None]):
                    found = [
                        slots.get((name, chain, arm, user["user_id"], day)) for arm, _, _ in sides
                    ]
                    key = f"{number_of}.{chain_at}.{user_at}.{day_at}"
                    feeds[key] = pair_of(found, sides, cards)
    platform = result.study.world.platform if is_world else None
    return {
        "columns": platform.columns if platform is not None else 1,
        "platform": platform.kind if platform is not None else "",
        "native": result.study.world.population.incumbents.language if is_world else None,
        "sides": [title for _, title, _ in sides],
        "days": days,
        "day": _day(result, days),
        "recommenders": recommenders,
        "cards": [list(card) for card in cards],
        "feeds": feeds,
        "rule": _rule(users, is_world=is_world),
    }


def slots_of(
    feeds: pl.DataFrame, posts: pl.DataFrame, users: pl.DataFrame, arms: Sequence[str]
) -> dict[tuple[Any, ...], list[Slot]]:
    """The slots of the shown users' feeds, by recommender, mitigation, arm, user and day.

    Args:
        feeds, posts, users: the tables `feeds`, `shown_posts` and `shown_users` of a study.
        arms: the arms whose feeds are wanted.
    """
    if posts.is_empty():  # nothing was served, as where nothing is trending
        return {}
    names = ["recommender", "mitigation", "arm"]
    shown = feeds.with_columns(pl.col(names).cast(pl.String)).filter(
        pl.col("arm").is_in(arms),
        pl.col("user_id").is_in(users["user_id"].implode()),
        pl.col("seed") == posts["seed"].min(),
    )
    keys = [*names, "seed", "item_id"]
    rows = shown.join(posts, on=keys, how="left", maintain_order="left")
    found: dict[tuple[Any, ...], list[Slot]] = {}
    columns = (*names, "user_id", "day", "item_id", *CARD, "source")
    for row in rows.sort("rank", maintain_order=True).select(columns).iter_rows():
        found.setdefault(row[:5], []).append((row[5], list(row[6:])))
    return found


def pair_of(
    feeds: Sequence[Sequence[Slot] | None],
    sides: Sequence[tuple[str, str, str]],
    cards: dict[tuple[Any, ...], int],
) -> list[list[list[Any]] | None]:
    """The slots of each side, beside those of the side it is compared with.

    Args:
        feeds: the posts of each side, top first; None where there is no feed.
        sides: of each side its arm, its title, and the arm it is compared with. The first is
            marked by what gives way in the second.
        cards: number of each card; new ones are added.
    """
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


def _floor(result: StudyResult, recommender: str, mitigation: str, day: int | None) -> str | None:
    """What changes by chance on a day, in hundredths of the slots; None where it is not known."""
    rows = result.headline.filter(
        pl.col("day").eq_missing(day), group="all", recommender=recommender, mitigation=mitigation
    )
    floors = rows["floor"].drop_nulls()
    return number(floors[0]) if len(floors) else None


def label_of(user: Mapping[str, Any]) -> Json:
    """Id of a user that is shown, and the text by which the user is picked.

    Args:
        user: a row of the table `shown_users`.
    """
    words = _CHOSEN.get(user["chosen"], f"Hit more than {user['chosen'].removeprefix('above ')}")
    changed = f"{number(user['changed'])} % of posts changed, chance included"
    text = f"{words}: user {user['user_id']}, {changed}"
    return {"id": str(user["user_id"]), "text": text}


def _rule(users: pl.DataFrame, *, is_world: bool) -> str:
    """How the users were chosen, and when the phones open."""
    where = " without mitigation in the first seed" if is_world else " without mitigation"
    words = (
        f"Nobody picked these users by hand. The {users['panel'][0]:,} users that are measured "
        f"were sorted, for each recommender{where}, by how many of their posts changed; the users "
        "stand at fixed places of that order: the middle (typical), both ends, and tenths between "
        "them."
    )
    if not is_world:
        return f"{words} Some of what changes would change anyway: training again shows how much."
    return (
        f"{words} The phones open on the day on which newcomers' posts take most slots of all "
        "these users."
    )


def _day(result: StudyResult, days: Sequence[int]) -> int:
    """Place of the day on which newcomers' posts take most slots; the last day of a tie."""
    rows = result.headline.filter(pl.col("day").is_not_null(), group="all")
    if not days or rows.is_empty():
        return 0
    means = dict(rows.group_by("day").agg(pl.col("displaced").mean()).iter_rows())
    return max(range(len(days)), key=lambda place: (means.get(days[place]) or 0.0, place))
