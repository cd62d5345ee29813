"""The frames that come in: which columns a log and served feeds have, and the checks on them.

Each column that recsys uses is cast, or refused as a whole, once, on the way in. Columns that it
does not use may hold anything.
"""

from collections.abc import Callable
from typing import Any

import polars as pl

from recsys.core.errors import LogError
from recsys.logs import columns
from recsys.logs.foreign import explained, first_line
from recsys.logs.ids import ids_of

COHORTS = pl.Enum(["incumbent", "newcomer"])
KINDS = pl.Enum(
    [
        "impression",
        "click",
        "like",
        "save",
        "comment",
        "share",
        "follow",
        "product_click",
        "purchase",
        "hide",
    ]
)
KIND_CODES = {kind: code for code, kind in enumerate(KINDS.categories)}
"""Position of each kind of event in `KINDS`, such as 1 for a click."""

SOURCES = pl.Enum(["personal", "following", "trending", "fresh", "fallback"])
"""How a post came into a feed; `fallback` marks a slot that the recommender could not fill."""

WEIGHTS: dict[str, float] = {
    "impression": 0,
    "click": 1,
    "like": 1,
    "save": 1,
    "comment": 4,
    "share": 4,
    "follow": 8,
    "product_click": 0,
    "purchase": 0,
    "hide": 0,
}
"""What an event of each kind adds to a user's interest in an item. An event of weight 0 was seen
and not liked. A negative weight also takes back the user's earlier events on the item."""


def to_polars(frame: Any, name: str) -> pl.DataFrame:
    """Converts a frame of any kind to polars.

    Args:
        frame: a polars DataFrame or LazyFrame, a pandas frame, an Arrow table, or a dict of
            columns.
        name: what messages call it, such as "users".

    Raises:
        LogError: polars cannot read it.

    >>> to_polars({"user_id": [1, 2]}, "users").columns
    ['user_id']
    """
    if isinstance(frame, pl.LazyFrame):
        with explained(f"{name}: the lazy frame cannot be collected", "mend its query"):
            return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, str | bytes):
        raise LogError(f"{name}: {frame!r} is no frame; read a file with polars.read_csv first")
    try:
        return pl.DataFrame(frame)
    except (Exception, pl.exceptions.PanicException) as error:
        raise LogError(
            f"{name}: a {type(frame).__name__} is not a frame that polars can read "
            f"({first_line(error)}); give a polars or pandas frame, an Arrow table, or a dict of "
            "columns"
        ) from error


def checked(frame: pl.DataFrame, name: str, called: str | None = None) -> pl.DataFrame:
    """The frame with the columns that recsys uses cast to its types; other columns stay.

    Args:
        frame: the frame to check.
        name: of the frame's contract: "users", "items", "events" or "feeds".
        called: what messages call the frame, such as "before"; `name` unless given.

    Raises:
        LogError: a column is missing or holds a value that does not fit; the message names the
            first bad row and its value.

    >>> checked(pl.DataFrame({"user_id": [1], "rank": [0], "item_id": [7]}), "feeds")
    Traceback (most recent call last):
    ...
    recsys.core.errors.LogError: feeds: rank is 0 in row 1; ranks are whole numbers from 1 to 65,535
    """
    called = name if called is None else called
    columns.missing(frame.columns, _REQUIRED[name], called)
    casts = {column: cast for column, cast in _CASTS[name].items() if column in frame.columns}
    with explained(f"{called}: a column cannot be cast", "give it a plain type"):
        return frame.with_columns(cast(frame[column], called) for column, cast in casts.items())


_REQUIRED = {
    "users": ("user_id",),
    "items": ("item_id",),
    "events": ("user_id", "item_id"),
    "feeds": ("user_id", "rank", "item_id"),
}
"""Columns that a frame must have; the others are optional."""

_RANKS = "ranks are whole numbers from 1 to 65,535"


def _ranks(column: pl.Series, called: str) -> pl.Series:
    return columns.whole_numbers(column, called, _RANKS, 1, 2**16 - 1).cast(pl.UInt16)


def _each_rank(column: pl.Series, called: str) -> pl.Series:
    ranks = _ranks(column, called)
    if ranks.null_count():
        raise LogError(
            f"{called}: {ranks.null_count():,} of {len(ranks):,} rows have no rank, the first of "
            f"them row {(ranks.is_null().arg_max() or 0) + 1}; remove these rows or fill them in"
        )
    return ranks


def _scores(column: pl.Series, called: str) -> pl.Series:
    return columns.numbers(column, called, "scores are numbers; leave the column out otherwise")


_Cast = Callable[[pl.Series, str], pl.Series]

_CASTS: dict[str, dict[str, _Cast]] = {
    "users": {
        "user_id": ids_of,
        "cohort": lambda column, called: columns.one_of(column, COHORTS, called, optional=True),
    },
    "items": {"item_id": ids_of},
    "events": {
        "user_id": ids_of,
        "item_id": ids_of,
        "kind": lambda column, called: columns.one_of(column, KINDS, called, optional=False),
        "rank": _ranks,
        "weight": columns.weights,
        "count": columns.counts,
        "cancels": lambda column, called: columns.one_of(column, KINDS, called, optional=True),
    },
    "feeds": {"user_id": ids_of, "rank": _each_rank, "item_id": ids_of, "score": _scores},
}
"""How each column is cast. `timestamp`, `published`, `joined` and `key` are cast where the log is
made, since they need its zone."""
