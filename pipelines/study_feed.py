"""Prints a user's feeds of a finished study side by side: `recsys feed STUDY [--user USER]`.

STUDY is the folder that `recsys run` wrote. The feeds are those of the table `shown_users`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from rich.console import Console

from pipelines.program import Outcome
from pipelines.report.console import print_section
from pipelines.report.headline import DASH, name_of, number
from pipelines.report.phones import LOG_SIDES, NEW, OUT, WORLD_SIDES, pair_of, slots_of
from pipelines.report.section import Section
from recsys.core.errors import ConfigError, nearest

_FILES = ("feeds.parquet", "shown_posts.parquet", "shown_users.csv")
_MAKERS = {"newcomer": "NEWCOMER", "small": "small creator", "large": "large creator"}
_WORDS = ("+ not in the feed compared with   - pushed out   ^ moved up   v moved down",)


class Wanted(NamedTuple):
    """Which feed is wanted; None for the first that the study has."""

    user: str | None = None
    """A user's id, or why a user was chosen, such as "most hit"."""
    day: int | None = None
    recommender: str | None = None
    mitigation: str | None = None


def is_study(run: str) -> bool:
    """Whether a word names the folder of a finished study."""
    return (Path(run) / "shown_users.csv").is_file()


def study_feed(run: str, wanted: Wanted, k: int) -> Outcome:
    """A user's feeds without and with the newcomers, beside each other.

    Args:
        run: the folder that `recsys run` wrote.
        wanted: which feed.
        k: most slots to show.

    Raises:
        ConfigError: the study has no such feed.
    """
    feeds, posts, users = _tables(Path(run))
    sides = LOG_SIDES if "full" in feeds["arm"].cast(pl.String) else WORLD_SIDES
    recommender = _one_of(
        "--recommender",
        wanted.recommender,
        users["recommender"].unique(maintain_order=True).to_list(),
    )
    mine = users.filter(recommender=recommender)
    user = _user(wanted.user, mine)
    slots = slots_of(feeds, posts, mine.filter(user_id=user["user_id"]), [arm for arm, *_ in sides])
    chains = list(dict.fromkeys(key[1] for key in slots if key[0] == recommender))
    chain = _one_of("--mitigation", wanted.mitigation, sorted(chains, key=lambda c: c != "none"))
    days = sorted(
        {key[4] for key in slots if key[:2] == (recommender, chain) and key[4] is not None}
    )
    day = _day(wanted.day, days)
    cards: dict[tuple[Any, ...], int] = {}
    found = [slots.get((recommender, chain, arm, user["user_id"], day)) for arm, *_ in sides]
    shown = pair_of(found, sides, cards)
    titles = [title for (_, title, _), feed in zip(sides, shown, strict=True) if feed is not None]
    known = list(cards)
    columns = [
        [_cell(known[card], source, state) for card, source, state in feed[:k]]
        for feed in shown
        if feed is not None
    ]
    depth = max(map(len, columns), default=0)
    rows = tuple(
        (str(place + 1), *(column[place] if place < len(column) else DASH for column in columns))
        for place in range(depth)
    )
    when = "" if day is None else f", day {day}"
    title = (
        f"{name_of((recommender, chain))}: user {user['user_id']} ({user['chosen']}; "
        f"{number(user['changed'])} % of posts changed){when}"
    )
    section = Section(title, ("rank", *titles), rows, (*_WORDS, _others(mine, days)))
    table = [dict(zip(section.columns, row, strict=True)) for row in rows]

    def show(console: Console) -> None:
        print_section(console, section)

    return Outcome(name_of((recommender, chain)), Path(run), table, show)


def _tables(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{folder}: has no {missing[0]}; run the study again with recsys run")
    feeds, posts = (pl.read_parquet(folder / name) for name in _FILES[:2])
    users = pl.read_csv(folder / _FILES[2], schema_overrides={"user_id": feeds["user_id"].dtype})
    if users.is_empty() or posts.is_empty():
        raise ConfigError(f"{folder}: no feed was kept in this study")
    return feeds, posts, users


def _one_of(option: str, wanted: str | None, options: list[str]) -> str:
    if wanted is None:
        return options[0]
    if wanted not in options:
        raise ConfigError(f"{option}: the study has no {wanted!r}; {nearest(wanted, options)}")
    return wanted


def _user(wanted: str | None, users: pl.DataFrame) -> Mapping[str, Any]:
    rows = users.to_dicts()
    if wanted is None:
        return rows[0]
    for row in rows:
        if wanted in (str(row["user_id"]), row["chosen"]):
            return row
    have = ", ".join(f"{row['user_id']} ({row['chosen']})" for row in rows)
    raise ConfigError(f"--user: {wanted!r} is not among the users that are shown: {have}")


def _day(wanted: int | None, days: list[int]) -> int | None:
    if not days:
        return None
    if wanted is None:
        return days[len(days) // 2]
    if wanted not in days:
        raise ConfigError(f"--day: day {wanted} was not measured; the days are {days}")
    return wanted


def _cell(card: tuple[Any, ...], source: str | None, state: Any) -> str:
    topic, language, form, tag, creator, more, title, _ = card
    marks = {NEW: "+ ", OUT: "- "}
    moved = f"{'^' if state > 0 else 'v'}{abs(state)} " if isinstance(state, int) and state else ""
    words = [
        title or topic or more,
        language,
        form,
        "product" if tag == "true" else None,
        _MAKERS.get(creator, creator),
        None if source == "personal" else source,
    ]
    return marks.get(state, moved) + ", ".join(word for word in words if word)


def _others(users: pl.DataFrame, days: list[int]) -> str:
    named = ", ".join(f"{row['user_id']} ({row['chosen']})" for row in users.to_dicts())
    measured = f"; days {days[0]} to {days[-1]}" if days else ""
    return f"Shown users: {named}{measured}."
