"""Small communities on which contracts try a class: few users, few posts, every awkward case.

The first has string ids and describes users and posts; the second has integer ids and newcomers.
Both are drawn from a fixed seed, so that they are the same everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Model, Recommender
from recsys.recommenders.ranking import Ranking

START = 1_736_640_000
"""First moment of every community, in seconds since 1970."""
FIRST_NEWCOMER = 320
"""Users of `community_with_newcomers` from this number on are newcomers."""
DEPTH = 20
"""Ranks that most promises look at."""
_DAY = 86_400


@dataclass(frozen=True, eq=False)
class Community:
    """Frames of a small community, its log, and fits that were made on it.

    Attributes:
        events, users, items: as `InteractionLog.from_frames` takes them.
        mixed: int64, dense ids of users with events, of users without, and -1, which is nobody.
        idle: further users, all newcomers, who do nothing.
        unread: further items, which nobody was shown.
        before_row: number of the log's rows that were there in the morning before.
    """

    events: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame
    mixed: NDArray[np.int64]
    idle: pl.DataFrame
    unread: pl.DataFrame
    before_row: int
    _fits: list[tuple[Recommender, Model | None, Model, Ranking]] = field(default_factory=list)

    @lazy
    def log(self) -> InteractionLog:
        """The log of all events."""
        return InteractionLog.from_frames(self.events, self.users, self.items)

    @lazy
    def before(self) -> InteractionLog:
        """The log of the earlier events, with the same users and items."""
        return self.log.only(np.arange(self.log.dense.height) < self.before_row)

    def fitted(self, recommender: Recommender, after: bool = False) -> tuple[Model | None, Model]:
        """An earlier model and the model of the log with seed 0, made once for each recommender.

        Args:
            recommender: what is fitted.
            after: whether the model goes on from one of the earlier log; if not, there is no
                earlier model.
        """
        earlier, model, _ = self._tried(recommender, after)
        return earlier, model

    def served(self, recommender: Recommender, after: bool = False) -> Ranking:
        """What that model serves everybody, 20 deep, made once for each recommender.

        Args:
            recommender, after: see `fitted`.
        """
        return self._tried(recommender, after)[2]

    def _tried(self, recommender: Recommender, after: bool) -> tuple[Model | None, Model, Ranking]:
        for fitted, earlier, model, ranking in self._fits:
            if fitted == recommender and (earlier is not None) == after:
                return earlier, model, ranking
        earlier = recommender.fit(self.before, seed=0) if after else None
        model = recommender.fit(self.log, 0, earlier)
        ranking = model.rank(np.arange(self.log.n_users), DEPTH)
        for array in (ranking.item_ids, ranking.scores, ranking.sources):
            array.flags.writeable = False
        self._fits.append((recommender, earlier, model, ranking))
        return earlier, model, ranking


@cache
def community() -> Community:
    """700 users and 60 items with string ids: users 0-4 have no events, 5-9 only impressions.

    Items are liked the less the higher their number; items 58 and 59 have no events. The language
    of users 3 and 11 is known, and three attributes of items, tags of most and a vector of each.
    """
    n_users, n_items, n_events = 700, 60, 5000
    rng = np.random.default_rng(5)
    user = rng.integers(10, n_users, n_events)
    item = (58 * rng.random(n_events) ** 2).astype(int)
    kind = rng.choice(["click", "share", "impression", "hide"], n_events, p=[0.6, 0.1, 0.25, 0.05])
    shown = np.arange(5, 10)
    events = pl.DataFrame(
        {
            "user_id": [f"user {u}" for u in (*user, *shown)],
            "item_id": [f"item {i}" for i in (*item, *shown)],
            "kind": [*kind, *["impression"] * shown.size],
            "timestamp": START + np.sort(rng.integers(0, 5 * _DAY, n_events + shown.size)),
        }
    )
    users = pl.DataFrame(
        {
            "user_id": [f"user {u}" for u in range(n_users)],
            "language": ["zh" if u in (3, 11) else None for u in range(n_users)],
        }
    )
    number = np.arange(n_items)
    items = pl.DataFrame(
        {
            "item_id": [f"item {i}" for i in number],
            "topic": [f"topic {t}" for t in rng.integers(0, 7, n_items)],
            "subtitled": number % 3 == 0,
            "length": np.where(number % 7 > 0, number**1.5, np.nan),
            "tags": [[f"tag {n % 3}", f"tag {n % 5}"] if n % 4 else None for n in number],
            "text": np.cos(np.outer(number, [1.0, 2.0, 3.0])),
        }
    )
    return Community(
        events,
        users,
        items,
        mixed=np.array([100, 3, 650, 7, -1, 11]),
        idle=pl.DataFrame({"user_id": [f"idle {n}" for n in range(300)], "cohort": "newcomer"}),
        unread=pl.DataFrame({"item_id": [f"unread {n}" for n in range(200)]}),
        before_row=2500,
    )


@cache
def community_with_newcomers() -> Community:
    """400 users and 60 items with integer ids; users from 320 on are newcomers.

    Users 0-4 have no events. Newcomers come on the third of five days and make items 40-59.
    """
    n_users, n_items, n_events = 400, 60, 5000
    rng = np.random.default_rng(5)
    when = np.sort(rng.integers(0, 5 * _DAY, n_events))
    user = rng.integers(5, FIRST_NEWCOMER, n_events)
    late = (when >= 2 * _DAY) & (rng.random(n_events) < 0.4)
    user[late] = rng.integers(FIRST_NEWCOMER, n_users, late.sum())
    item = (40 * rng.random(n_events) ** 2).astype(int)
    from_newcomers = (when >= 2 * _DAY) & (rng.random(n_events) < 0.5)
    item[from_newcomers] = rng.integers(40, 60, from_newcomers.sum())
    events = pl.DataFrame(
        {
            "user_id": user,
            "item_id": item,
            "kind": rng.choice(["click", "share", "impression"], n_events, p=[0.6, 0.1, 0.3]),
            "timestamp": START + when,
        }
    )
    newcomer = np.arange(n_users) >= FIRST_NEWCOMER
    users = pl.DataFrame(
        {
            "user_id": np.arange(n_users),
            "cohort": np.where(newcomer, "newcomer", "incumbent"),
            "language": np.where(newcomer, "en", "zh"),
            "declared_language": [
                (None, "zh", "en")[code] for code in rng.choice(3, n_users, p=[0.6, 0.2, 0.2])
            ],
        }
    )
    creators = np.where(np.arange(n_items) >= 40, FIRST_NEWCOMER + np.arange(n_items), 10)
    items = pl.DataFrame(
        {
            "item_id": np.arange(n_items),
            "creator_id": creators,
            "language": np.where(np.arange(n_items) >= 40, "en", "zh"),
            "topic": rng.choice(["cars", "food", "pets"], n_items),
        }
    )
    idle = {"user_id": [*range(1000, 1100)], "cohort": "newcomer", "language": "en"}
    unread = {"item_id": [*range(900, 950)], "creator_id": 1001, "language": "en", "topic": "cars"}
    return Community(
        events,
        users,
        items,
        mixed=np.array([100, 3, 350, -1, 11]),
        idle=pl.DataFrame(idle),
        unread=pl.DataFrame(unread),
        before_row=int((when < 2 * _DAY).sum()),
    )


def described(
    events: pl.DataFrame | Mapping[str, Sequence[Any]],
    users: Mapping[str, Sequence[Any]] | None = None,
) -> InteractionLog:
    """A log whose items have attributes: of five, two have the same topic and language.

    Args:
        events: such as `{"user_id": [1, 1, 2], "item_id": [7, 8, 7]}`.
        users: as `InteractionLog.from_frames` takes them.
    """
    items = sorted(set(events["item_id"]))
    attributes = {
        "item_id": items,
        "topic": [("pets", "food")[n % 5 < 3] for n in range(len(items))],
        "language": [("zh", "en")[n % 5 in (1, 4)] for n in range(len(items))],
    }
    return InteractionLog.from_frames(events, users=users, items=attributes)


def two_hours_apart(
    user: Sequence[int],
    item: Sequence[int],
    kind: Sequence[str],
    newcomers: Sequence[int] = (),
) -> InteractionLog:
    """A log of few events, two hours apart, with all columns that any mitigation asks for.

    Args:
        user: user of each event, such as `[1, 1, 2]`. User 9 is always there and makes all items.
        item: item of each event, such as `[7, 8, 8]`.
        kind: kind of each event, such as `["click", "click", "impression"]`.
        newcomers: the users who are newcomers, such as `[2, 9]`.
    """
    people = sorted({*user, 9})
    items = sorted(set(item))
    return InteractionLog.from_frames(
        {
            "user_id": user,
            "item_id": item,
            "kind": kind,
            "timestamp": [START + 7200 * place for place in range(len(user))],
        },
        {
            "user_id": people,
            "cohort": ["newcomer" if person in newcomers else "incumbent" for person in people],
            "language": ["zh"] * len(people),
            "declared_language": [None] * len(people),
        },
        {
            "item_id": items,
            "creator_id": [9] * len(items),
            "language": (["zh", "en"] * len(items))[: len(items)],
            "topic": ["food"] * len(items),
        },
    )
