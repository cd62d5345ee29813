"""From a world's arrays to the frames of its log: events in the order of time, users, notes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.core.noise import Stream, moment
from recsys.logs.schema import COHORTS, KINDS, WEIGHTS
from recsys.logs.times import TIME
from recsys.world.people.draws import draw
from recsys.world.people.notes import NoteTable
from recsys.world.people.population import FORMATS, LANGUAGES, People
from recsys.world.people.readers import State
from recsys.world.platform.blend import Shelves
from recsys.world.traffic import Traffic

_DAY = 86_400_000
_SECONDS_PER_RANK = 8
_LAST_START = 0.9
"""Visits begin before this fraction of a tick, and go fast enough to end in the same tick."""
_KINDS = list(KINDS.categories)
_WEIGHT_BY_KIND = np.array([WEIGHTS[kind] for kind in _KINDS], dtype=np.float32)


@dataclass(frozen=True)
class Day:
    """What one day produced, a row per event in the order of time.

    Attributes:
        day: 0 is the first day of the influx.
        user, item: int32 (n,), rows of people and notes.
        kind: uint8 (n,), position in `recsys.logs.schema.KINDS`.
        rank: uint16 (n,), 1 = top of the visit's feed.
        timestamp: int64 (n,), milliseconds since 1970.
        visits: how many visits there were.
        morning: what the day's feeds are made from, on days that are evaluated.
        traffic: what the visits came to, whether or not impressions are among the events.
        state: how people are when the day is over.
    """

    day: int
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    kind: NDArray[np.uint8]
    rank: NDArray[np.uint16]
    timestamp: NDArray[np.int64]
    visits: int
    morning: "Morning | None"
    traffic: Traffic
    state: State

    @property
    def is_click(self) -> NDArray[np.bool_]:
        """Bool (n,): which events are clicks."""
        return np.asarray(self.kind == _KINDS.index("click"))


class Morning(NamedTuple):
    """What feeds are made from when a day begins, for incumbents and for newcomers."""

    shelves: tuple[Shelves, Shelves]
    """What incumbents and newcomers are served from; the same but for closed gates."""
    follows: NDArray[np.int32]
    """(n_people, follows) rows of creators, -1 where there is none."""
    taste: NDArray[np.float32]
    """(n_people, topics)."""
    skill: NDArray[np.float32]
    """(n_people, 2)."""
    served: "Served | None" = None
    """Feeds of the audience, if somebody's recommender serves the platform."""
    without: "Served | None" = None
    """The incumbents' if this morning's fit had not learned from newcomers' events, and all else
    were as it is; None where that changes nothing."""


class Served(NamedTuple):
    """Feeds of some people as if they visited first thing in the morning."""

    users: NDArray[np.int64]
    feeds: NDArray[np.int32]
    """(n, k) rows of notes, -1 where empty."""
    sources: NDArray[np.uint8]
    """(n, k) positions in `recsys.logs.schema.SOURCES`."""


class Round(NamedTuple):
    """The visits number `visit` of the people who came that often on a day."""

    tick: int
    visit: int
    users: NDArray[np.int64]
    feeds: NDArray[np.int32]
    actions: NDArray[np.uint16]
    rewards: NDArray[np.float32]
    """Clicks expected per look."""


def collect(
    world: World, people: People, seed: int, day: int, rounds: list[Round], *, impressions: bool
) -> NDArray[np.int64]:
    """A day's events from its rounds of visits, in no order that counts.

    Args:
        world, people, seed, day: where the visits' times are drawn.
        rounds: the visits.
        impressions: whether impressions are wanted too.

    Returns:
        int64 (n, 5): user, item, kind, rank and milliseconds since midnight.
    """
    first = 0 if impressions else 1
    parts = [_round_events(world, people, seed, day, done, first) for done in rounds]
    return np.concatenate([np.zeros((0, 5), dtype=np.int64), *parts])


def in_time(events: NDArray[np.int64]) -> NDArray[np.int64]:
    """Events in the order of time, those of one moment by user."""
    users = int(events[:, 0].max(initial=0)) + 1
    place = events[:, 4] * users + events[:, 0]
    order = np.argsort(place)
    ordered = place[order]
    if (ordered[1:] == ordered[:-1]).any():  # rare; then they stay as they came
        order = np.argsort(place, kind="stable")
    return events[order]


def day_of(
    world: World,
    day: int,
    events: NDArray[np.int64],
    visits: int,
    morning: Morning | None,
    traffic: Traffic,
    state: State,
) -> Day:
    """A `Day` from its events as `collect` returns them."""
    user, item, kind, rank, time = events.T
    return Day(
        day,
        user.astype(np.int32),
        item.astype(np.int32),
        kind.astype(np.uint8),
        rank.astype(np.uint16),
        _milliseconds(world, day) + time,
        visits,
        morning,
        traffic,
        state,
    )


def _round_events(
    world: World, people: People, seed: int, day: int, done: Round, first: int
) -> NDArray[np.int64]:
    """(n, 5) as in `collect`, for kinds from `first` on."""
    when = moment(day, tick=done.tick, visit=done.visit)
    u = draw(seed, Stream.VISIT, people.address[done.users], 1, int(when))
    begins = ((done.tick + u * _LAST_START) * _DAY / world.ticks).astype(np.int64)
    slack = (1 - _LAST_START) * _DAY / world.ticks
    pace = int(min(1000 * _SECONDS_PER_RANK, slack / (world.platform.visit_ranks + 1)))
    wanted = np.uint16(~((1 << first) - 1) & 0xFFFF)
    shown = np.flatnonzero(done.actions & wanted)
    visit, rank = np.divmod(shown, done.actions.shape[1])
    bits, item = done.actions.ravel()[shown], done.feeds.ravel()[shown]
    parts = []
    for kind in range(first, len(_KINDS)):
        has = np.flatnonzero(bits & np.uint16(1 << kind))
        time = begins[visit[has]] + pace * rank[has] + kind
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


def events_frame(days: Iterable[Day], *, positive: bool = False) -> pl.DataFrame:
    """The log's events of several days, in the order of time.

    Args:
        days: the days.
        positive: whether only events with a weight are wanted.
    """
    parts = list(days)

    def column(name: str, dtype: type) -> NDArray[Any]:
        empty: NDArray[Any] = np.zeros(0, dtype=dtype)
        return np.concatenate([empty, *(getattr(day, name).astype(dtype) for day in parts)])

    kind = column("kind", np.uint8)
    kept = _WEIGHT_BY_KIND[kind] > 0 if positive else slice(None)
    return pl.DataFrame(
        {
            "user": column("user", np.uint32)[kept],
            "item": column("item", np.uint32)[kept],
            "timestamp": pl.Series(column("timestamp", np.int64)[kept]).cast(TIME),
            "kind": pl.Series(kind[kept]).cat.to(KINDS),
            "rank": column("rank", np.uint16)[kept],
            "weight": _WEIGHT_BY_KIND[kind[kept]],
        }
    )
