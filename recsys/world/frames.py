"""What a day of a world holds, and the frames of the log made from it: events, users, items."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.core.noise import Stream, moment
from recsys.logs.schema import COHORTS, KIND_CODES, KINDS, WEIGHTS
from recsys.logs.times import DAY, TIME
from recsys.world.people.draws import draw
from recsys.world.people.population import FORMATS, LANGUAGES, People
from recsys.world.people.posts import PostTable
from recsys.world.people.user_states import State
from recsys.world.platform.blend import Shelves
from recsys.world.traffic import Traffic

_SECONDS_PER_RANK = 8
"""Time from one rank of a visit to the next, unless the visit would then not end in its tick."""

_LAST_START = 0.9
"""Visits begin before this fraction of a tick, so that they can end in the same tick."""

_WEIGHT_BY_KIND = np.array([WEIGHTS[kind] for kind in KIND_CODES], dtype=np.float32)


@dataclass(frozen=True)
class Day:
    """What one day of a world produced. The arrays hold its n events in the order of time.

    Attributes:
        day: number of the day; 0 is the first day of the influx.
        user, item: int32 (n,), rows of people and posts.
        kind: uint8 (n,), position in `recsys.logs.schema.KINDS`.
        rank: uint16 (n,), 1 = top of the visit's feed.
        timestamp: int64 (n,), milliseconds since 1970.
        visits: number of visits.
        morning: what the day's feeds are made from; None on days that are not evaluated.
        traffic: counts of visits and impressions, whether or not the events hold impressions.
        state: counts of people and their satisfaction at the end of the day.
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
        return np.asarray(self.kind == KIND_CODES["click"])


class Morning(NamedTuple):
    """What feeds are made from at the start of a day."""

    shelves: tuple[Shelves, Shelves]
    """What incumbents and newcomers are served from; the same unless a gate is closed."""
    follows: NDArray[np.int32]
    """(n_people, follows) rows of creators, -1 where there is none."""
    taste: NDArray[np.float32]
    """(n_people, topics)."""
    skill: NDArray[np.float32]
    """(n_people, 2)."""
    served: "Served | None" = None
    """Feeds of the audience if a policy serves the platform; None if the house does."""
    without: "Served | None" = None
    """Incumbents' feeds if only newcomers' events were left out of this morning's fit; None if that
    is not asked for or changes nothing."""


class Served(NamedTuple):
    """Feeds that some people would get first thing in the morning."""

    users: NDArray[np.int64]
    """(n,) rows of people."""
    feeds: NDArray[np.int32]
    """(n, k) rows of posts, -1 where empty."""
    sources: NDArray[np.uint8]
    """(n, k) positions in `recsys.logs.schema.SOURCES`."""


class Round(NamedTuple):
    """The first visits, or second visits, and so on, of people of one cohort in a tick."""

    tick: int
    """Part of the day, from 0 on."""
    visit: int
    """Number of the visit on that day, from 0 on."""
    users: NDArray[np.int64]
    """(n,) rows of people."""
    feeds: NDArray[np.int32]
    """(n, ranks) rows of posts, -1 where nothing was shown."""
    actions: NDArray[np.uint16]
    """(n, ranks) a bit for each kind of event."""
    rewards: NDArray[np.float32]
    """(n,) utility of each visit: expected clicks per look."""


def collect(
    world: World, people: People, seed: int, day: int, rounds: list[Round], *, impressions: bool
) -> NDArray[np.int64]:
    """The events of some rounds of visits, in no particular order.

    Args:
        world, people, seed, day: give the addresses at which the times of visits are drawn.
        rounds: the rounds.
        impressions: whether to return impressions too.

    Returns:
        int64 (n, 5): user, item, kind, rank and milliseconds since midnight.
    """
    first = 0 if impressions else 1
    parts = [_round_events(world, people, seed, day, done, first) for done in rounds]
    return np.concatenate([np.zeros((0, 5), dtype=np.int64), *parts])


def in_time(events: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorts events by time, and by user where times are equal.

    Args:
        events: int64 (n, 5), as `collect` returns them.
    """
    users = int(events[:, 0].max(initial=0)) + 1
    rank = events[:, 4] * users + events[:, 0]
    order = np.argsort(rank)
    ordered = rank[order]
    # Two events of a user at the same time are rare; only then is the slower, stable sort needed.
    if (ordered[1:] == ordered[:-1]).any():
        order = np.argsort(rank, kind="stable")
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
    """Makes a `Day` from events as `collect` returns them; other arguments as its attributes."""
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
    """The events of one round, as `collect` returns them, of the kinds from number `first` on."""
    when = moment(day, tick=done.tick, visit=done.visit)
    u = draw(seed, Stream.VISIT, people.address[done.users], 1, int(when))
    begins = ((done.tick + u * _LAST_START) * DAY / world.ticks).astype(np.int64)
    slack = (1 - _LAST_START) * DAY / world.ticks
    pace = int(min(1000 * _SECONDS_PER_RANK, slack / (world.platform.visit_ranks + 1)))
    wanted = np.uint16(~((1 << first) - 1) & 0xFFFF)
    shown = np.flatnonzero(done.actions & wanted)
    visit, rank = np.divmod(shown, done.actions.shape[1])
    bits, item = done.actions.ravel()[shown], done.feeds.ravel()[shown]
    parts = []
    for kind in range(first, len(KIND_CODES)):
        has = np.flatnonzero(bits & np.uint16(1 << kind))
        time = begins[visit[has]] + pace * rank[has] + kind
        columns = (done.users[visit[has]], item[has], np.full(has.size, kind), rank[has] + 1, time)
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def _milliseconds(world: World, day: int | NDArray[Any]) -> Any:
    """Milliseconds since 1970 at the start of a day, or at a fraction of a day such as 1.5."""
    start = np.datetime64(world.start, "ms").astype(np.int64)
    return start + (np.asarray(day) * DAY).astype(np.int64)


def users_frame(world: World, people: People) -> pl.DataFrame:
    """The log's users, a row per person; `joined` is null for incumbents."""
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


def items_frame(world: World, posts: PostTable) -> pl.DataFrame:
    """The log's items: a row for each post that may be published in the run."""
    topics = list(world.population.incumbents.topics)

    def named(codes: NDArray[np.int32], names: Iterable[str]) -> pl.Series:
        return pl.Series(codes.astype(np.uint8)).cat.to(pl.Enum(list(names)))

    return pl.DataFrame(
        {
            "item_id": np.arange(posts.n, dtype=np.int64),
            "published": pl.Series(_milliseconds(world, posts.published)).cast(TIME),
            "creator_id": posts.creator.astype(np.int64),
            "key": posts.key,
            "topic": named(posts.topic, topics),
            "language": named(posts.language, LANGUAGES),
            "format": named(posts.format, FORMATS),
            "product_tag": posts.tagged,
            "subtitled": posts.subtitled,
        }
    )


def events_frame(days: Iterable[Day], *, positive: bool = False) -> pl.DataFrame:
    """The events of several days as `InteractionLog.dense` holds them.

    Args:
        days: the days, in order.
        positive: whether to return only events of positive weight.
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
