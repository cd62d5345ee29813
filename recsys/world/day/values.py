"""What one day of a world holds: its rounds of visits, its morning, the feeds of its audience."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.logs.schema import KIND_CODES
from recsys.world.people.behaviour import Conditions
from recsys.world.people.user_states import State
from recsys.world.platform.blend import Shelves
from recsys.world.traffic import Traffic


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
        life: the rows of `recsys.world.life.life_rows`, where events were left out; else empty.
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
    life: tuple[dict[str, Any], ...] = ()

    @property
    def is_click(self) -> NDArray[np.bool_]:
        """Bool (n,): which events are clicks."""
        return np.asarray(self.kind == KIND_CODES["click"])

    def of_users(self, users: NDArray[np.int64], life: tuple[dict[str, Any], ...]) -> "Day":
        """The same day with the events of some people alone.

        Args:
            users: int64, rows of people.
            life: the rows of all people's life on that day.
        """
        here = np.flatnonzero(np.isin(self.user, users))
        kept = {name: getattr(self, name)[here] for name in _COLUMNS}
        return replace(self, **kept, life=life)


_COLUMNS = ("user", "item", "kind", "rank", "timestamp")
"""The columns of a day's events."""


class Morning(NamedTuple):
    """What feeds are made from at the start of a day."""

    shelves: tuple[Shelves, ...]
    """What incumbents and newcomers are served from; the same unless a gate is closed."""
    affinities: tuple[NDArray[np.float32], ...]
    """(n_people, buckets) how much people like topics and languages, as the platform knew it when
    it served incumbents and newcomers; the same unless a gate is closed."""
    follows: NDArray[np.int32]
    """(n_people, follows) rows of creators, -1 where there is none."""
    taste: NDArray[np.float32]
    """(n_people, topics)."""
    skill: NDArray[np.float32]
    """(n_people, 2)."""
    conditions: tuple[Conditions, Conditions]
    """Coefficients of the responses of incumbents and of newcomers."""
    served: "Served"
    """Feeds of the audience, made by the policy or by the house."""
    without: "Served | None" = None
    """Incumbents' feeds if only newcomers' events were left out of this morning's fit; None if that
    is not asked for or changes nothing."""
    people: NDArray[np.int64] | None = None
    """Sorted rows of the people to whom the rows of `taste` and `skill` belong; None for all
    people. Where it is not None, `shelves`, `affinities` and `follows` are empty."""
    liked: "Liked | None" = None
    """What was liked in the days from which the morning's fit learned; None if not asked for."""

    def rows_of(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of `taste` and `skill` that belong to some people, int64 (n,)."""
        return users if self.people is None else np.searchsorted(self.people, users)


class Liked(NamedTuple):
    """Popularity of posts before a morning, and in the likes of each of some people."""

    popularity: NDArray[np.float64]
    """(n_posts,), see `recsys.measures.items.popularity_of`."""
    by_user: NDArray[np.float64]
    """(n,) see `recsys.measures.items.liked_popularity`, for `Morning.people`."""


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
    """(n, ranks) rows of posts, -1 from the end of the visit on."""
    actions: NDArray[np.uint16]
    """(n, ranks) a bit for each kind of event."""
    rewards: NDArray[np.float32]
    """(n,) utility of each visit: expected clicks per look."""
