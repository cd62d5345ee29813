"""From a world's arrays to the frames of its log: events in the order of time, users, notes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.feeds import Shelves
from recsys.log import TIME
from recsys.noise import Stream, moment, uniforms
from recsys.schema import COHORTS, KINDS, WEIGHTS
from recsys.world.notes import NoteTable
from recsys.world.population import FORMATS, LANGUAGES, People

__all__ = ["Day", "Morning", "Round", "collect", "events_frame", "items_frame", "users_frame"]

_DAY = 86_400_000
_SECONDS_PER_RANK = 8
_LAST_START = 0.95
"""Visits begin before this fraction of the day, so that they end on the same day."""
_KINDS = list(KINDS.categories)
_WEIGHT_BY_KIND = np.array([WEIGHTS[kind] for kind in _KINDS], dtype=np.float32)


@dataclass(frozen=True)
class Day:
    """What one day produced, a row per event in the order of time.

    Attributes:
        day: 0 is the first day of the influx.
        user, item: int32 (n,), rows of people and notes.
        kind: uint8 (n,), position in `recsys.schema.KINDS`.
        rank: uint16 (n,), 1 = top of the visit's feed.
        timestamp: int64 (n,), milliseconds since 1970.
        visits: how many visits there were.
        morning: what the platform's own slots were filled from.
    """

    day: int
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    kind: NDArray[np.uint8]
    rank: NDArray[np.uint16]
    timestamp: NDArray[np.int64]
    visits: int
    morning: "Morning"

    @property
    def is_click(self) -> NDArray[np.bool_]:
        """Bool (n,): which events are clicks."""
        return np.asarray(self.kind == _KINDS.index("click"))


class Morning(NamedTuple):
    """What the platform's own slots are filled from when a day begins."""

    shelves: Shelves
    follows: NDArray[np.int32]
    """(n_people, follows) rows of creators, -1 where there is none."""


class Round(NamedTuple):
    """The visits number `visit` of the people who came that often on a day."""

    visit: int
    users: NDArray[np.int64]
    feeds: NDArray[np.int32]
    sources: NDArray[np.uint8]
    actions: NDArray[np.uint16]


def collect(
    world: World, people: People, seed: int, day: int, rounds: list[Round], morning: Morning
) -> Day:
    """The day's events from its rounds of visits, in the order of time."""
    parts = [_round_events(people, seed, day, done) for done in rounds]
    events = np.concatenate([np.zeros((0, 5), dtype=np.int64), *parts])
    user, item, kind, rank, time = events[np.lexsort((events[:, 0], events[:, 4]))].T
    return Day(
        day,
        user.astype(np.int32),
        item.astype(np.int32),
        kind.astype(np.uint8),
        rank.astype(np.uint16),
        _milliseconds(world, day) + time,
        sum(done.users.size for done in rounds),
        morning,
    )


def _round_events(people: People, seed: int, day: int, done: Round) -> NDArray[np.int64]:
    """(n, 5): user, item, kind, rank and milliseconds since midnight."""
    when = moment(day, visit=done.visit)
    u = uniforms(seed, Stream.VISIT, people.address[done.users], 1, when)[:, 0]
    begins = (u * _DAY * _LAST_START).astype(np.int64)
    shown = np.flatnonzero(done.actions)
    visit, rank = np.divmod(shown, done.actions.shape[1])
    bits, item = done.actions.ravel()[shown], done.feeds.ravel()[shown]
    parts = []
    for kind in range(len(_KINDS)):
        has = np.flatnonzero(bits & np.uint16(1 << kind))
        time = begins[visit[has]] + 1000 * _SECONDS_PER_RANK * rank[has] + kind
        columns = (done.users[visit[has]], item[has], np.full(has.size, kind), rank[has] + 1, time)
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def _milliseconds(world: World, day: int | NDArray[Any]) -> Any:
    """Milliseconds since 1970 at a day, or a fraction of it."""
    start = np.datetime64(world.start, "ms").astype(np.int64)
    return start + (np.asarray(day) * _DAY).astype(np.int64)


def users_frame(world: World, people: People) -> pl.DataFrame:
    """The log's users; incumbents have no known day of joining."""
    newcomer = np.arange(people.n) >= world.incumbents
    return pl.DataFrame(
        {
            "user_id": np.arange(people.n, dtype=np.int64),
            "cohort": pl.Series(newcomer.astype(np.uint8)).cat.to(COHORTS),
            "joined": pl.Series(_milliseconds(world, people.arrival)).cast(TIME),
            "key": people.key,
            "language": pl.Series(people.app_language).cat.to(pl.Enum(LANGUAGES)),
            "skill_in_other_language": people.skill.min(axis=1),
        }
    ).with_columns(pl.when(pl.col("cohort") == "newcomer").then("joined").alias("joined"))


def items_frame(world: World, notes: NoteTable) -> pl.DataFrame:
    """The log's items: every note that may be published in the run."""
    topics = list(world.population.incumbents.topics)

    def named(codes: NDArray[np.int32], names: Iterable[str]) -> pl.Series:
        return pl.Series(codes.astype(np.uint8)).cat.to(pl.Enum(list(names)))

    return pl.DataFrame(
        {
            "item_id": np.arange(notes.n, dtype=np.int64),
            "published": pl.Series(_milliseconds(world, notes.published)).cast(TIME),
            "creator_id": notes.creator.astype(np.int64),
            "key": notes.key,
            "topic": named(notes.topic, topics),
            "language": named(notes.language, LANGUAGES),
            "format": named(notes.format, FORMATS),
            "product_tag": notes.tagged,
            "subtitled": notes.subtitled,
        }
    )


def events_frame(days: Iterable[Day]) -> pl.DataFrame:
    """The log's events of several days, in the order of time."""
    parts = list(days)

    def column(name: str, dtype: type) -> NDArray[Any]:
        empty: NDArray[Any] = np.zeros(0, dtype=dtype)
        return np.concatenate([empty, *(getattr(day, name).astype(dtype) for day in parts)])

    kind = column("kind", np.uint8)
    return pl.DataFrame(
        {
            "user": column("user", np.uint32),
            "item": column("item", np.uint32),
            "timestamp": pl.Series(column("timestamp", np.int64)).cast(TIME),
            "kind": pl.Series(kind).cat.to(KINDS),
            "rank": column("rank", np.uint16),
            "weight": _WEIGHT_BY_KIND[kind],
        }
    )
