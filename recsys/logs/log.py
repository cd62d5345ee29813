"""The interaction log: frames of any kind go in, dense arrays are inside.

A user or an item has three names: its id, as given by whoever made the log; its dense id, the row
of arrays that belongs to it; and its stable key, which addresses its random draws and orders sums.
Ids can be renamed and rows renumbered without changing a result, as long as the keys stay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.core.noise import Stream
from recsys.logs.cleaning import (
    check_weights,
    clean,
    of_weight_0,
    unlike_duplicates,
    with_canonical_columns,
)
from recsys.logs.columns import texts
from recsys.logs.entities import (
    dense_ids,
    entities,
    users_of_creators,
    with_cohort,
    with_creators,
    with_times,
)
from recsys.logs.pairs import distinct_pairs
from recsys.logs.schema import KINDS, checked, to_polars


class Seen(NamedTuple):
    """What each user was shown: user u has seen items[start[u]:end[u]]."""

    start: NDArray[np.int64]
    """(n_users,)"""
    end: NDArray[np.int64]
    """(n_users,)"""
    items: NDArray[np.int32]
    """Dense ids of items, one user after the other."""

    @classmethod
    def from_matrix(cls, seen: csr_matrix) -> Self:
        """From a boolean CSR (n_users, n_items)."""
        start = seen.indptr.astype(np.int64)
        return cls(start[:-1], start[1:], seen.indices.astype(np.int32, copy=False))


@dataclass(frozen=True)
class Interactions:
    """The positive events of a log as a matrix of the users and items that have any.

    Rows and columns are in the order of the stable keys.

    Attributes:
        users: int32 (n_hot_users,), dense ids of the rows.
        items: int32 (n_hot_items,), dense ids of the columns.
        user_keys, item_keys: uint64, stable keys of the rows and of the columns.
        weights: float32 CSR (n_hot_users, n_hot_items), sums of event weights; stored values are
            positive.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    user_keys: NDArray[np.uint64]
    item_keys: NDArray[np.uint64]
    weights: csr_matrix


@dataclass(frozen=True)
class InteractionLog:
    """Who did what when. It is made by `from_frames` or by a synthetic world, and never changed.

    Attributes:
        users: a row per user; its number is the user's dense id. Columns:
            user_id · cohort · joined · key u64 · your attributes.
        items: a row per item; its number is the item's dense id. Columns:
            item_id · published · creator_id · key u64 · your attributes.
        dense: a row per event, in the order of time. Columns:
            user u32 · item u32 (dense ids) · timestamp · kind · rank u16 or null · weight f32.
        cleaning: numbers of rows that `from_frames` dropped or changed, by what happened to them.
    """

    users: pl.DataFrame
    items: pl.DataFrame
    dense: pl.DataFrame
    cleaning: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_frames(
        cls,
        events: Any,
        users: Any = None,
        items: Any = None,
        *,
        weights: Mapping[str, float] | None = None,
        timezone: str = "UTC",
    ) -> Self:
        """A log from frames of any kind: polars, pandas, Arrow or dicts of columns.

        Rows are sorted by time. Exact duplicates are kept once. Rows without a time are dropped;
        more than 5 % of them are an error, but a log without any times is allowed.

        A row with a value in `cancels` takes back the user's last event of that kind on the item,
        or, with `count`, as many as it says: of an event of 5 of which 2 are taken back, three
        fifths of its weight are left.
        A row of negative weight takes back all earlier events of the user on the item. What is
        taken back counts as seen, not as liked. In a log without times the rows that take back
        count as the later ones. `cleaning` counts the rows of each sort.

        Args:
            events: user_id and item_id (integers or strings) and, optionally, timestamp (datetime,
                date, ISO text, or a number since 1970 in seconds, milli-, micro- or nanoseconds),
                kind (such as "click", the default), rank (1 = top), weight, count (how many of the
                item, 1 unless given; rows alike in all but this are no duplicates), and cancels
                (the kind that a row takes back, such as "like", else null; its count may be
                negative).
            users: user_id and, optionally, cohort ("incumbent" or "newcomer"), joined, key (u64)
                and attributes. Without this frame all users in `events` are incumbents.
            items: item_id and, optionally, published, creator_id, key (u64) and attributes. An
                attribute may be a list: of texts or whole numbers, such as genres, or of decimals,
                such as the embedding of a text, as long in each row (`recsys.logs.lists`).
            weights: weight by kind of event, such as {"save": 3}; used where `events` has no column
                weight. Other kinds keep their weight in `recsys.logs.schema.WEIGHTS`.
            timezone: zone of times without one, such as "Asia/Shanghai"; numbers are in UTC.

        Raises:
            LogError: a missing column, null ids, ids that the users or items frame lacks, too many
                missing times, times before 1990 or after 2099, vectors of different lengths, or no
                events.

        >>> log = InteractionLog.from_frames({"user_id": ["ann", "bob"], "item_id": [7, 7]})
        >>> log.users["user_id"].to_list(), log.n_items
        (['ann', 'bob'], 1)
        """
        table = checked(to_polars(events, "events"), "events")
        if "kind" not in table.columns:
            table = table.with_columns(kind=pl.lit("click", KINDS))
        check_weights(weights or {})
        if table.is_empty():
            raise LogError("events: no rows; check the file and the conditions that filter it")
        read = with_canonical_columns(table, weights or {}, timezone)
        unlike, differing = unlike_duplicates(table, read)
        by_kind = {} if "weight" in table.columns else of_weight_0(read)
        table, cleaning = clean(read)
        if unlike:
            names = ", ".join(differing)
            cleaning[f"of these duplicates differ in columns that are not read ({names})"] = unlike
        for kind, rows in by_kind.items():
            cleaning[f"{kind} events of weight 0, seen only (see weights)"] = rows
        all_users = entities(users, table["user_id"], "users", Stream.USER_KEY)
        all_items = entities(items, table["item_id"], "items", Stream.POST_KEY)
        all_users = with_times(all_users, "users", timezone)
        all_items = with_creators(with_times(all_items, "items", timezone))
        dense = table.select(
            user=dense_ids(table["user_id"], all_users["user_id"], "users"),
            item=dense_ids(table["item_id"], all_items["item_id"], "items"),
            timestamp="timestamp",
            kind="kind",
            rank="rank",
            weight="weight",
        )
        return cls(with_cohort(all_users), all_items, dense, cleaning)

    @property
    def n_users(self) -> int:
        """Number of users, with or without events."""
        return self.users.height

    @property
    def n_items(self) -> int:
        """Number of items, with or without events."""
        return self.items.height

    @property
    def events(self) -> pl.DataFrame:
        """The events by given ids: user_id · item_id · timestamp · kind · rank · weight."""
        return self.dense.select(
            user_id=self.users["user_id"].gather(self.dense["user"]),
            item_id=self.items["item_id"].gather(self.dense["item"]),
            timestamp="timestamp",
            kind="kind",
            rank="rank",
            weight="weight",
        )

    @property
    def has_times(self) -> bool:
        """Whether the events have times."""
        return self.dense["timestamp"].null_count() == 0

    @lazy
    def newcomers(self) -> NDArray[np.bool_]:
        """Bool (n_users,): which users are newcomers."""
        return (self.users["cohort"] == "newcomer").to_numpy()

    @lazy
    def from_newcomers(self) -> NDArray[np.bool_] | None:
        """Bool (n_items,): items whose creator is a newcomer; None if creators are not known."""
        if self._creators is None:
            return None
        by_newcomer = self.newcomers[self._creators["user"].to_numpy()]
        mask = np.zeros(self.n_items, dtype=np.bool_)
        mask[self._creators["item"].to_numpy()[by_newcomer]] = True
        return mask

    @lazy
    def milliseconds(self) -> NDArray[np.int64]:
        """Int64 (n_events,): times of the events in milliseconds since 1970; the log has times.

        >>> frame = {"user_id": [1], "item_id": [7], "timestamp": ["2025-01-12"]}
        >>> InteractionLog.from_frames(frame).milliseconds.tolist()
        [1736640000000]
        """
        return self.dense["timestamp"].cast(pl.Int64).to_numpy()

    @lazy
    def interactions(self) -> Interactions:
        """The positive events as a matrix; rows and columns without any are left out."""
        liked = self.dense["weight"].to_numpy() > 0
        user, item = self.dense["user"].to_numpy()[liked], self.dense["item"].to_numpy()[liked]
        rows, users = _in_key_order(user, self.users["key"].to_numpy())
        columns, items = _in_key_order(item, self.items["key"].to_numpy())
        weights = csr_matrix(
            (self.dense["weight"].to_numpy()[liked].astype(np.float32), (rows, columns)),
            shape=(users.size, items.size),
        )
        weights.sort_indices()
        return Interactions(
            users,
            items,
            self.users["key"].to_numpy()[users],
            self.items["key"].to_numpy()[items],
            weights,
        )

    @lazy
    def seen(self) -> csr_matrix:
        """Bool CSR (n_users, n_items): items on which the user has an event of any kind."""
        user, item = self.dense["user"].to_numpy(), self.dense["item"].to_numpy()
        shape, here = (self.n_users, self.n_items), np.ones(user.size, dtype=np.bool_)
        found = distinct_pairs(user, item, here, *shape)
        return csr_matrix((found.flag, found.item, found.start), shape=shape)

    @lazy
    def own(self) -> csr_matrix:
        """Bool CSR (n_users, n_items): items that the user made; empty if creators are unknown."""
        shape = (self.n_users, self.n_items)
        if self._creators is None:
            return csr_matrix(shape, dtype=np.bool_)
        user, item = self._creators["user"].to_numpy(), self._creators["item"].to_numpy()
        return csr_matrix((np.ones(user.size, dtype=np.bool_), (user, item)), shape=shape)

    @lazy
    def _creators(self) -> pl.DataFrame | None:
        """user · item (dense ids): the creator of each item; None if creators are not known.

        Creators also count as not known if less than half of the items have a creator among the
        users: then users and creators are probably numbered separately, and equal numbers do not
        mean the same person.
        """
        if "creator_id" not in self.items.columns:
            return None
        creators = self.items["creator_id"]
        pairs = users_of_creators(creators, self.users["user_id"])
        n_with_creator = self.n_items - creators.null_count()
        return pairs if 2 * pairs.height >= n_with_creator else None

    @lazy
    def withheld(self) -> csr_matrix:
        """Bool CSR (n_users, n_items): items that are not recommended to a user: seen, or own.

        >>> log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 7]},
        ...     items={"item_id": [7, 8], "creator_id": [3, 1]})
        >>> log.withheld.toarray().tolist()
        [[True, True], [True, False]]
        """
        return (self.seen + self.own).tocsr()

    @lazy
    def withheld_by_user(self) -> Seen:
        """The items of `withheld`, one user after the other."""
        return Seen.from_matrix(self.withheld)

    def item_codes(self, *attributes: str) -> tuple[NDArray[np.int32], list[str]]:
        """Numbers the values of an attribute of items, or the combinations of several.

        Args:
            attributes: columns of `items`, such as "language", "format". A missing value counts as
                the value "unknown". A single Enum keeps its own codes, whether or not all its
                values occur.

        Returns:
            int32 (n_items,) codes from 0 on, and the label of each code, such as "en · video".

        Raises:
            LogError: an attribute that `items` lacks.

        >>> log = InteractionLog.from_frames({"user_id": [1], "item_id": [7]},
        ...     items={"item_id": [7, 8], "format": ["video", "image"]})
        >>> log.item_codes("format")
        (array([1, 0], dtype=int32), ['image', 'video'])
        """
        return item_codes(self.items, *attributes)

    def dense_users(self, user_ids: Sequence[Any]) -> NDArray[np.int64]:
        """The dense id of each user; -1 for a user who is not in the log.

        Args:
            user_ids: ids as they stand in the log, such as [3, 17].

        Returns:
            int64 (n,).

        >>> log = InteractionLog.from_frames({"user_id": ["ann", "bob"], "item_id": [7, 7]})
        >>> log.dense_users(["bob", "eve"]).tolist()
        [1, -1]
        """
        rows = self._row_of_user
        return np.array([rows.get(user, -1) for user in user_ids], dtype=np.int64)

    @lazy
    def _row_of_user(self) -> dict[Any, int]:
        return {user: row for row, user in enumerate(self.users["user_id"].to_list())}

    def before(self, moment: datetime) -> Self:
        """The log with the events before a moment alone.

        Args:
            moment: such as datetime(2025, 1, 12); in UTC unless it names a zone.

        Raises:
            LogError: the log has no times.
        """
        if not self.has_times:
            raise LogError("the events have no times, so the log cannot be cut by time")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return replace(self, dense=self.dense.filter(pl.col("timestamp") < moment))

    def without_events(self) -> Self:
        """The log without its events, which still knows who liked anything and what was liked.

        A model that scores from vectors needs no more of the log that it was fitted to.
        """
        known, few = self.interactions, replace(self, dense=self.dense.clear())
        empty = csr_matrix(known.weights.shape, dtype=np.float32)
        few.__dict__["interactions"] = replace(known, weights=empty)
        return few

    def only(self, keep: NDArray[np.bool_]) -> Self:
        """The log with a part of its events; users and items keep their dense ids.

        Args:
            keep: bool (n_events,), in the order of `dense`.

        Raises:
            ValueError: `keep` has another shape.
        """
        if keep.shape != (self.dense.height,):
            raise ValueError(f"keep has shape {keep.shape}; expected ({self.dense.height},)")
        return replace(self, dense=self.dense.filter(pl.Series(keep)))

    def without_users(self, users: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Self:
        """The log without the events of some users; users and items keep their dense ids.

        Args:
            users: dense ids, or bool (n_users,).
        """
        gone = np.zeros(self.n_users, dtype=np.bool_)
        gone[users] = True
        return self.only(~gone[self.dense["user"].to_numpy()])


def item_codes(items: pl.DataFrame, *attributes: str) -> tuple[NDArray[np.int32], list[str]]:
    """The same as `InteractionLog.item_codes`, for a frame of items alone."""
    missing = [name for name in attributes if name not in items.columns]
    if missing or not attributes:
        named = repr(missing[0]) if missing else "to make codes of"
        raise LogError(f"items: no column {named} among {items.columns}")
    columns = [items[name] for name in attributes]
    if len(columns) == 1 and isinstance(columns[0].dtype, pl.Enum):
        labels = columns[0].dtype.categories
        codes = columns[0].to_physical()
    else:
        names = [texts(column, "items", "an attribute").fill_null("unknown") for column in columns]
        if len(names) > 1:  # so that "a · b" with "c" is not "a" with "b · c"
            names = [name.str.replace_all("·", "··", literal=True) for name in names]
        combinations = pl.select(pl.concat_str(names, separator=" · ")).to_series()
        labels = combinations.unique().sort()
        codes = combinations.cast(pl.Enum(labels)).to_physical()
    if codes.null_count():
        labels = labels.extend(pl.Series(["unknown"]))
    return codes.cast(pl.Int32).fill_null(len(labels) - 1).to_numpy(), labels.to_list()


def _in_key_order(
    ids: NDArray[np.uint32], keys: NDArray[np.uint64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The position of each dense id among those that occur, in the order of their keys.

    Args:
        ids: uint32 (n,), dense ids; they may repeat.
        keys: uint64 (n_entities,), stable keys by dense id.

    Returns:
        int32 (n,) positions, and int32 (n_hot,) the dense ids that occur, in the order of keys.
    """
    present = np.zeros(keys.size, dtype=np.bool_)
    present[ids] = True
    hot = np.flatnonzero(present)
    hot = hot[np.argsort(keys[hot], kind="stable")]
    position = np.empty(keys.size, dtype=np.int32)
    position[hot] = np.arange(hot.size)
    return position[ids], hot.astype(np.int32)
