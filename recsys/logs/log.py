"""The interaction log: people's frames outside, dense arrays inside.

Users and items keep three names: the id that people gave them, a dense number (their row) that
indexes arrays, and a stable key that addresses their randomness and orders sums. A key belongs to
the entity; ids may be renamed and rows renumbered without touching a result.
"""

from collections.abc import Mapping
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
from recsys.logs.cleaning import _check_weights, _clean, _with_canonical_columns
from recsys.logs.entities import _dense, _entities, _with_cohort
from recsys.logs.schema import checked, to_polars


class Seen(NamedTuple):
    """What each person was shown: the items from `start` to `end` of a flat array."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    items: NDArray[np.int32]

    @classmethod
    def from_matrix(cls, seen: csr_matrix) -> Self:
        """From a boolean CSR (n_users, n_items)."""
        start = seen.indptr.astype(np.int64)
        return cls(start[:-1], start[1:], seen.indices.astype(np.int32))


@dataclass(frozen=True)
class Interactions:
    """The positive part of a log: users × items that have events, both in the order of their keys.

    Attributes:
        users: int32 (n_hot_users,), dense ids of the rows.
        items: int32 (n_hot_items,), dense ids of the columns.
        user_keys, item_keys: uint64, the stable keys in the same order.
        weights: float32 CSR (n_hot_users, n_hot_items), summed event weights, all positive.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    user_keys: NDArray[np.uint64]
    item_keys: NDArray[np.uint64]
    weights: csr_matrix


@dataclass(frozen=True)
class InteractionLog:
    """Who did what when; made by `from_frames` or by a synthetic world, and never changed.

    Attributes:
        users: a row per user, the row number being the dense id:
            user_id · cohort · joined · key u64 · your attributes.
        items: a row per item, likewise: item_id · published · creator_id · key u64 · attributes.
        dense: a row per event in the order of time:
            user u32 · item u32 · timestamp · kind · rank u16 or null · weight f32.
        cleaning: what `from_frames` removed or reordered, by name, in rows.
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
        """A log from anybody's frames: polars, pandas, Arrow or dicts of columns.

        Unsorted rows are sorted by time, exact duplicates kept once, rows without a time dropped
        (an error above 5 %). An event with a value in `cancels` takes back the user's last event
        of that kind on the item; one of negative weight takes back all that the user did with the
        item before. What is taken back was seen and not liked. `cleaning` counts all this. A log
        without any times is allowed: there what takes back counts as the later.

        Args:
            events: user_id, item_id (integers or strings) and, where known, timestamp (datetime,
                ISO text, date, or epoch in seconds, milli-, micro- or nanoseconds), kind, rank
                (1 = top), weight, cancels (the kind that a row takes back, else null).
            users: user_id and, where known, cohort ("incumbent" or "newcomer"), joined, key (u64)
                and attributes. Without it, everybody in `events` is an incumbent.
            items: item_id and, where known, published, creator_id, key (u64) and attributes.
            weights: weight by kind of event, for events without a column weight; kinds that it
                leaves out keep those of `recsys.logs.schema.WEIGHTS`.
            timezone: what times without a zone are in; epochs are in UTC.

        Raises:
            LogError: a missing column, null ids, ids that the users or items frame lacks, too many
                missing times, times before 1990 or after 2099, or no event left.

        >>> log = InteractionLog.from_frames({"user_id": ["ann", "bob"], "item_id": [7, 7]})
        >>> log.users["user_id"].to_list(), log.n_items
        (['ann', 'bob'], 1)
        """
        table = to_polars(events, "events")
        if "kind" not in table.columns:
            table = table.with_columns(kind=pl.lit("click"))
        table = checked(table, "events")
        _check_weights(weights or {})
        if table.is_empty():
            raise LogError("events: no rows; check the file and the conditions that filter it")
        table, cleaning = _clean(_with_canonical_columns(table, weights or {}, timezone))
        people = _entities(users, table["user_id"], "users", Stream.USER_KEY)
        things = _entities(items, table["item_id"], "items", Stream.NOTE_KEY)
        dense = table.select(
            user=_dense(table["user_id"], people["user_id"], "users"),
            item=_dense(table["item_id"], things["item_id"], "items"),
            timestamp="timestamp",
            kind="kind",
            rank="rank",
            weight="weight",
        )
        return cls(_with_cohort(people), things, dense, cleaning)

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
        """The events under the ids that people gave: user_id · item_id · timestamp · kind · …"""
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
        """Bool (n_users,): who is a newcomer."""
        return (self.users["cohort"] == "newcomer").to_numpy()

    @lazy
    def from_newcomers(self) -> NDArray[np.bool_] | None:
        """Bool (n_items,): items whose creator is a newcomer; None if creators are not known."""
        if self._made is None:
            return None
        theirs = self._made["item"].to_numpy()[self.newcomers[self._made["user"].to_numpy()]]
        found = np.zeros(self.n_items, dtype=np.bool_)
        found[theirs] = True
        return found

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
        """Bool CSR (n_users, n_items): what each user was shown or touched."""
        user, item = self.dense["user"].to_numpy(), self.dense["item"].to_numpy()
        return csr_matrix(
            (np.ones(user.size, dtype=np.bool_), (user, item)), shape=(self.n_users, self.n_items)
        )

    @lazy
    def own(self) -> csr_matrix:
        """Bool CSR (n_users, n_items): what each user made; empty if creators are not known."""
        shape = (self.n_users, self.n_items)
        if self._made is None:
            return csr_matrix(shape, dtype=np.bool_)
        user, item = self._made["user"].to_numpy(), self._made["item"].to_numpy()
        return csr_matrix((np.ones(user.size, dtype=np.bool_), (user, item)), shape=shape)

    @lazy
    def _made(self) -> pl.DataFrame | None:
        """user · item (dense ids) of whom made what; None if creators are not known.

        Nor if most creators are no users: then both are numbered for themselves, and equal numbers
        mean nothing.
        """
        if "creator_id" not in self.items.columns:
            return None
        makers = pl.DataFrame({"id": self.users["user_id"]}).with_row_index("user")
        items = pl.DataFrame({"id": self.items["creator_id"]}).with_row_index("item")
        if items["id"].dtype.is_integer() and makers["id"].dtype.is_integer():
            items, makers = (each.cast({"id": pl.Int128}) for each in (items, makers))
        if items["id"].dtype != makers["id"].dtype:
            return None
        known = items.drop_nulls("id")
        found = makers.join(known, on="id").sort("user", "item")
        return found.select("user", "item") if 2 * found.height >= known.height else None

    @lazy
    def withheld(self) -> csr_matrix:
        """Bool CSR (n_users, n_items): what each user has seen or made: not to be recommended.

        >>> log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 7]},
        ...     items={"item_id": [7, 8], "creator_id": [3, 1]})
        >>> log.withheld.toarray().tolist()
        [[True, True], [True, False]]
        """
        return (self.seen + self.own).tocsr()

    def item_codes(self, *attributes: str) -> tuple[NDArray[np.int32], list[str]]:
        """One code an item for a combination of attributes, and what each code stands for.

        Args:
            attributes: columns of `items`; a missing value is a value of its own, "unknown".
                The codes of a single Enum are its own, whether or not all its values occur.

        Returns:
            int32 (n_items,) codes from 0, and their labels in the order of the codes.

        Raises:
            LogError: an attribute that `items` lacks.

        >>> log = InteractionLog.from_frames({"user_id": [1], "item_id": [7]},
        ...     items={"item_id": [7, 8], "format": ["video", "image"]})
        >>> log.item_codes("format")
        (array([1, 0], dtype=int32), ['image', 'video'])
        """
        return item_codes(self.items, *attributes)

    def before(self, moment: datetime) -> Self:
        """The log up to, and without, a moment (UTC where it names no zone)."""
        if not self.has_times:
            raise LogError("the events have no times, so the log cannot be cut by time")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return replace(self, dense=self.dense.filter(pl.col("timestamp") < moment))

    def only(self, keep: NDArray[np.bool_]) -> Self:
        """The log with a part of its events; users and items keep their numbers.

        Args:
            keep: bool (n_events,), in the order of `dense`.

        Raises:
            ValueError: on another shape.
        """
        if keep.shape != (self.dense.height,):
            raise ValueError(f"keep has shape {keep.shape}; expected ({self.dense.height},)")
        return replace(self, dense=self.dense.filter(pl.Series(keep)))

    def without_users(self, users: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Self:
        """The log without all events of some users; users and items keep their numbers.

        Args:
            users: dense ids, or a bool mask (n_users,).
        """
        gone = np.zeros(self.n_users, dtype=np.bool_)
        gone[users] = True
        return self.only(~gone[self.dense["user"].to_numpy()])


def item_codes(items: pl.DataFrame, *attributes: str) -> tuple[NDArray[np.int32], list[str]]:
    """See `InteractionLog.item_codes`; for a frame of items alone."""
    missing = [name for name in attributes if name not in items.columns]
    if missing or not attributes:
        named = repr(missing[0]) if missing else "to make codes of"
        raise LogError(f"items: no column {named} among {items.columns}")
    columns = [items[name] for name in attributes]
    if len(columns) == 1 and isinstance(columns[0].dtype, pl.Enum):
        known = columns[0].dtype.categories
        codes = columns[0].to_physical()
    else:
        text = [column.cast(pl.String).fill_null("unknown") for column in columns]
        labels = pl.select(pl.concat_str(text, separator=" · ")).to_series()
        known = labels.unique().sort()
        codes = labels.cast(pl.Enum(known)).to_physical()
    if codes.null_count():
        known = known.extend(pl.Series(["unknown"]))
    return codes.cast(pl.Int32).fill_null(len(known) - 1).to_numpy(), known.to_list()


def _in_key_order(
    ids: NDArray[np.uint32], keys: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Dense ids as positions among those that occur, the latter in the order of their keys."""
    present = np.zeros(keys.size, dtype=np.bool_)
    present[ids] = True
    hot = np.flatnonzero(present)
    hot = hot[np.argsort(keys[hot], kind="stable")]
    position = np.empty(keys.size, dtype=np.int64)
    position[hot] = np.arange(hot.size)
    return position[ids], hot.astype(np.int32)
