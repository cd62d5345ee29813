"""The interaction log: people's frames outside, dense arrays inside.

Users and items keep three names: the id that people gave them, a dense number (their row) that
indexes arrays, and a stable key that addresses their randomness and orders sums. A key belongs to
the entity; ids may be renamed and rows renumbered without touching a result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from math import isfinite
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.errors import LogError, nearest
from recsys.lazy import lazy
from recsys.noise import Stream, stable_keys
from recsys.schema import COHORTS, KINDS, WEIGHTS, checked, to_polars

__all__ = [
    "TIME", "InteractionLog", "Interactions", "Seen", "in_utc", "item_codes", "parsed",
]  # fmt: skip

TIME = pl.Datetime("ms", "UTC")
_MAX_NULL_TIMES = 0.05
_PLAUSIBLE = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH_UNITS = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (float("inf"), 1e-6))
"""Up to which size a number counts seconds, milli-, micro- or nanoseconds; its milliseconds."""


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
                leaves out keep those of `recsys.schema.WEIGHTS`.
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


def _with_canonical_columns(
    table: pl.DataFrame, weights: Mapping[str, float], timezone: str
) -> pl.DataFrame:
    """The columns of an event, and what it cancels; what is not known is null, or 1 click."""
    kind = pl.col("kind").cast(pl.String).cast(KINDS)
    weight = (
        pl.col("weight")
        if "weight" in table.columns
        else kind.cast(pl.String).replace_strict(
            {kind: float(weight) for kind, weight in {**WEIGHTS, **weights}.items()},
            default=0,
            return_dtype=pl.Float64,
        )
    )
    rank = pl.col("rank") if "rank" in table.columns else pl.lit(None)
    cancels = pl.col("cancels") if "cancels" in table.columns else pl.lit(None)
    return table.select(
        "user_id",
        "item_id",
        _times(table, timezone),
        kind.alias("kind"),
        rank.cast(pl.UInt16).alias("rank"),
        weight.cast(pl.Float32).alias("weight"),
        cancels.cast(pl.String).cast(KINDS).alias("cancels"),
    )


def _check_weights(weights: Mapping[str, float]) -> None:
    for kind, weight in weights.items():
        if kind not in WEIGHTS:
            raise LogError(f"weights: no kind of event {kind!r}; {nearest(kind, WEIGHTS)}")
        if not isfinite(weight):
            raise LogError(f"weights: {kind} has {weight}; weights are finite numbers")


def _times(table: pl.DataFrame, timezone: str) -> pl.Series:
    """The column timestamp as `TIME`, whatever form the times have; null where there is none."""
    if "timestamp" not in table.columns:
        return pl.Series("timestamp", [None] * table.height, dtype=TIME)
    column = table["timestamp"]
    kind = column.dtype
    if kind == pl.String:
        column = parsed(column, timezone, "events")
    elif kind.is_numeric():
        column = _from_epoch(column)
    elif not isinstance(kind, pl.Datetime | pl.Date) and kind != pl.Null:
        raise LogError(f"events: timestamp is {kind}; give datetimes, dates or epoch seconds")
    times = in_utc(column, timezone)
    _check_plausible(times, table["timestamp"])
    return times


def in_utc(column: pl.Series, timezone: str) -> pl.Series:
    """Dates or datetimes as `TIME`; those without a zone are in `timezone`, a date its midnight.

    Of a time that comes twice when clocks are set back, the first; one that is skipped when they
    are set forward is null.

    >>> in_utc(pl.Series([datetime(2025, 1, 13)]), "Asia/Shanghai").to_list()
    [datetime.datetime(2025, 1, 12, 16, 0, tzinfo=zoneinfo.ZoneInfo(key='UTC'))]
    """
    if not (isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None):
        column = column.cast(pl.Datetime("ms")).dt.replace_time_zone(
            timezone, ambiguous="earliest", non_existent="null"
        )
    return column.dt.convert_time_zone("UTC").cast(TIME)


def _from_epoch(numbers: pl.Series) -> pl.Series:
    """Numbers since 1970 as times in UTC; their size tells the unit, one for the whole column."""
    is_float = numbers.dtype.is_float()
    values = numbers.cast(pl.Float64).fill_nan(None) if is_float else numbers
    size = values.cast(pl.Float64).abs().max()
    largest = size if isinstance(size, float) else 0.0
    milliseconds = next(scale for limit, scale in _EPOCH_UNITS if largest < limit)
    if milliseconds >= 1:
        wide = values.cast(pl.Float64 if is_float else pl.Int64) * int(milliseconds)
    else:
        wide = values.cast(pl.Int64) // round(1 / milliseconds)
    return wide.cast(pl.Int64).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")


def parsed(texts: pl.Series, timezone: str, frame: str) -> pl.Series:
    """ISO texts as times in UTC; those without an offset are in `timezone`.

    Raises:
        LogError: a text that is no ISO time, such as 13/01/2025, which may be read in two ways.

    >>> parsed(pl.Series(["2025-01-13 08:00"]), "Asia/Shanghai", "events").to_list()
    [datetime.datetime(2025, 1, 13, 0, 0, tzinfo=zoneinfo.ZoneInfo(key='UTC'))]
    """
    texts = texts.replace("", None)
    zoned = texts.str.to_datetime("%+", time_zone="UTC", strict=False)
    times = zoned
    if zoned.null_count() > texts.null_count():
        year_first = texts.str.contains(r"^\s*\d{4}\D")
        plain = texts.set(~year_first, None).str.to_datetime(strict=False)
        times = zoned.zip_with(zoned.is_not_null(), in_utc(plain, timezone).cast(zoned.dtype))
        unread = texts.filter(plain.is_null() & zoned.is_null() & texts.is_not_null())
        if len(unread):
            raise LogError(
                f"{frame}: {len(unread):,} of {len(texts):,} values of {texts.name or 'time'} are "
                f"no times, such as {unread[0]!r}; give ISO times such as 2025-01-12T08:30:00, or "
                "epoch seconds"
            )
    return times


def _check_plausible(times: pl.Series, given: pl.Series) -> None:
    """Zeros for missing times, mixed units and sequence numbers are errors, not dates."""
    first, last = _PLAUSIBLE
    odd = ((times < first) | (times >= last)).fill_null(False)
    if odd.any():
        example, read = given.filter(odd)[0], times.filter(odd)[0]
        raise LogError(
            f"events: {odd.sum():,} of {len(times):,} times are before {first.year} or after "
            f"{last.year - 1}, such as {example!r}, read as {read:%Y-%m-%d %H:%M} UTC; zeros "
            "for missing times, numbers of mixed units, and numbers that only give an order are no "
            "times: make them null, mend them, or leave the column out"
        )


def _clean(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    rows = table.height
    no_time = table["timestamp"].null_count()
    if 0 < no_time < rows:
        if no_time > _MAX_NULL_TIMES * rows:
            raise LogError(
                f"events: {no_time:,} of {rows:,} rows have no timestamp, more than "
                f"{_MAX_NULL_TIMES:.0%}; fill them in, or leave the column out altogether"
            )
        table = table.filter(pl.col("timestamp").is_not_null())
    distinct = table.unique(maintain_order=True)
    unsorted = int((distinct["timestamp"].diff().dt.total_milliseconds() < 0).sum())
    in_order, taken_back = _without_what_was_taken_back(
        distinct.sort("timestamp", maintain_order=True)
    )
    return in_order, {
        "rows": rows,
        "rows without a time, dropped": no_time if no_time < rows else 0,
        "exact duplicates, dropped": table.height - distinct.height,
        "rows out of order, sorted": unsorted,
        **taken_back,
        "rows kept": in_order.height,
    }


def _without_what_was_taken_back(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Events in the order of time after cancelling rows and rows of negative weight did their work.

    An event that was taken back was seen: it stays with weight 0, one that was cancelled as an
    impression. A cancelling row goes, or is an impression where it finds nothing to cancel.
    """
    counts = {}
    if table["cancels"].null_count() < table.height:
        taken, found_none = _cancelled(table)
        seen = pl.Series(taken | found_none)
        counts = {
            "events cancelled, seen only": int(taken.sum()),
            "cancelling rows with nothing to cancel, seen only": int(found_none.sum()),
        }
        table = table.with_columns(
            kind=pl.when(seen).then(pl.lit("impression", dtype=KINDS)).otherwise("kind"),
            weight=pl.when(seen).then(pl.lit(0, pl.Float32)).otherwise("weight"),
        ).filter(pl.col("cancels").is_null() | pl.Series(found_none))
    table = table.drop("cancels")
    negative = table["weight"] < 0
    if negative.any():
        pair = ["user_id", "item_id"]
        place = pl.int_range(pl.len())
        last = place if table["timestamp"].null_count() == 0 else pl.lit(table.height)
        until = last.filter(pl.col("weight") < 0).max().over(pair)
        taken_back = table.select((pl.col("weight") > 0) & (place < until)).to_series()
        taken_back = taken_back.fill_null(False)
        counts |= {
            "negative events, seen only": int(negative.sum()),
            "events taken back by a negative one, seen only": int(taken_back.sum()),
        }
        nothing = negative | taken_back
        table = table.with_columns(
            weight=pl.when(nothing).then(pl.lit(0, pl.Float32)).otherwise("weight")
        )
    return table, counts


def _cancelled(table: pl.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows that are cancelled, and cancelling rows that find nothing; both bool (rows,).

    Each takes the last event before it that no other took; without times any event is before it.
    """
    of = ["user_id", "item_id", "what"]
    rows = table.select(
        "user_id", "item_id", what=pl.coalesce("cancels", "kind"),
        cancelling=pl.col("cancels").is_not_null(), row=pl.int_range(pl.len()),
    )  # fmt: skip
    touched = rows.join(rows.filter("cancelling").unique(of), on=of, how="semi")
    without_times = table["timestamp"].null_count() > 0
    touched = touched.sort(["cancelling", "row"] if without_times else ["row"])
    open_rows: dict[tuple[Any, ...], list[int]] = {}
    taken, found_none = np.zeros((2, table.height), dtype=np.bool_)
    for *key, cancelling, row in touched.iter_rows():
        earlier = open_rows.setdefault(tuple(key), [])
        if not cancelling:
            earlier.append(row)
        elif earlier:
            taken[earlier.pop()] = True
        else:
            found_none[row] = True
    return taken, found_none


def _entities(frame: Any, in_events: pl.Series, name: str, stream: Stream) -> pl.DataFrame:
    """Users or items, a row each, with keys; from their frame, or else from the events."""
    id_column = in_events.name
    if frame is None:
        table = pl.DataFrame({id_column: in_events.unique().sort()})
    else:
        table = checked(to_polars(frame, name), name)
        twice = table.height - table[id_column].n_unique()
        if twice:
            raise LogError(f"{name}: {twice:,} rows repeat an {id_column}; give one row for each")
    if "key" not in table.columns:
        return table.with_columns(key=pl.Series(_keys(table[id_column], stream)))
    keys = table["key"].cast(pl.UInt64, strict=False) if table["key"].dtype.is_integer() else None
    if keys is None or keys.has_nulls() or keys.n_unique() < len(keys):
        raise LogError(
            f"{name}: the column key must hold a distinct integer from 0 up for each row; "
            "leave it out to have keys made from the ids"
        )
    return table.with_columns(key=keys)


def _keys(ids: pl.Series, stream: Stream) -> NDArray[np.uint64]:
    if ids.dtype.is_integer():
        return stable_keys(stream, ids.to_numpy())
    texts = ids.cast(pl.String).to_list()
    digests = (blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def _with_cohort(users: pl.DataFrame) -> pl.DataFrame:
    if "cohort" not in users.columns:
        return users.with_columns(cohort=pl.lit("incumbent", dtype=COHORTS))
    return users.with_columns(pl.col("cohort").cast(pl.String).fill_null("incumbent").cast(COHORTS))


def _dense(ids: pl.Series, known: pl.Series, name: str) -> pl.Series:
    """Row numbers of ids in `known`."""
    both_integers = ids.dtype.is_integer() and known.dtype.is_integer()
    if ids.dtype != known.dtype and not both_integers:
        raise LogError(
            f"{name}: {known.name} is {known.dtype} there and {ids.dtype} in events; "
            "give both the same type"
        )
    wide = pl.Int128 if both_integers else ids.dtype
    numbers = np.arange(len(known), dtype=np.uint32)
    rows = pl.DataFrame({"id": known.cast(wide), "row": numbers})
    asked = pl.DataFrame({"id": ids.cast(wide)})
    found = asked.join(rows, on="id", how="left", maintain_order="left")["row"]
    if found.null_count():
        lost = ids.filter(found.is_null())
        raise LogError(
            f"{name}: {lost.n_unique():,} ids that events name have no row there, "
            f"such as {lost[0]!r} ({len(lost):,} events); add them, or leave the {name} frame out"
        )
    return found


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
