"""The frames that come in: which columns a log and served feeds have, and the checks on them.

Frames are checked once, on the way in, by dataframely schemas; inside, everything is dense arrays.
"""

from functools import lru_cache
from typing import Any

import polars as pl

from recsys.core.errors import LogError

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
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, str | bytes):
        raise LogError(f"{name}: {frame!r} is no frame; read a file with polars.read_csv first")
    try:
        return pl.DataFrame(frame)
    except Exception as error:
        raise LogError(
            f"{name}: a {type(frame).__name__} is not a frame that polars can read ({error}); "
            "give a polars or pandas frame, an Arrow table, or a dict of columns"
        ) from error


def checked(frame: pl.DataFrame, name: str, called: str | None = None) -> pl.DataFrame:
    """Returns a frame unchanged if it keeps a schema, and raises an error otherwise.

    Args:
        frame: the frame to check.
        name: of the schema: "users", "items", "events" or "feeds".
        called: what messages call the frame, such as "before"; `name` unless given.

    Raises:
        LogError: a column or a rule fails; the message names it and the number of rows.

    >>> checked(pl.DataFrame({"user_id": [1], "rank": [0], "item_id": [7]}), "feeds")
    Traceback (most recent call last):
    ...
    recsys.core.errors.LogError: feeds: rank breaks 'min' in 1 row (ranks start at 1)
    """
    called = name if called is None else called
    schema = _schemas()[name]
    missing = [c for c in schema.column_names() if c not in frame.columns and c in _REQUIRED[name]]
    if missing:
        raise LogError(
            f"{called}: no column {', '.join(map(repr, missing))}; "
            f"the columns are {', '.join(map(repr, frame.columns)) or 'none'}. "
            "Rename yours, or map them under `columns` in the config"
        )
    for column in _REQUIRED[name]:
        dtype = frame.schema[column]
        if column != "rank" and not (dtype.is_integer() or dtype in _TEXT or dtype == pl.Null):
            raise LogError(f"{called}: {column} is {dtype}; ids are integers or strings")
        nulls = frame[column].null_count()
        if nulls:
            raise LogError(
                f"{called}: {nulls:,} of {frame.height:,} rows have no {column}; "
                "remove these rows or fill them in"
            )
    present = [column for column in schema.column_names() if column in frame.columns]
    _, failures = _subschema(name, tuple(present)).filter(frame.select(present), cast=True)
    for rule, count in sorted(failures.counts().items()):
        column, _, broken = rule.partition("|")
        meaning = f" ({_MEANING[column]})" if column in _MEANING else ""
        raise LogError(
            f"{called}: {column} breaks '{broken}' in {count:,} row{'s' * (count > 1)}{meaning}"
        )
    return frame


_REQUIRED = {
    "users": ("user_id",),
    "items": ("item_id",),
    "events": ("user_id", "item_id"),
    "feeds": ("user_id", "rank", "item_id"),
}
"""Columns that a frame must have; the others are optional."""

_TEXT = (pl.String, pl.Categorical, pl.Enum)

_MEANING = {
    "rank": "ranks start at 1",
    "weight": "weights are finite numbers",
    "kind": f"known kinds: {', '.join(KINDS.categories)}",
    "cancels": f"known kinds: {', '.join(KINDS.categories)}",
    "cohort": "known cohorts: incumbent, newcomer",
    "user_id": "each user has one row",
    "item_id": "each item has one row",
}
"""What the rules of a column ask for, for messages."""


def _columns() -> dict[str, dict[str, Any]]:
    import dataframely as dy  # its import takes as long as that of polars

    return {
        "users": {
            "user_id": dy.Any(),
            "cohort": dy.Enum(COHORTS.categories, nullable=True),
        },
        "items": {"item_id": dy.Any()},
        "events": {
            "user_id": dy.Any(),
            "item_id": dy.Any(),
            "kind": dy.Enum(KINDS.categories, nullable=False),
            "rank": dy.UInt16(min=1, nullable=True),
            "weight": dy.Float64(allow_inf=False, allow_nan=False, nullable=False),
            "cancels": dy.Enum(KINDS.categories, nullable=True),
        },
        "feeds": {
            "user_id": dy.Any(),
            "rank": dy.UInt16(min=1, nullable=False),
            "item_id": dy.Any(),
            "score": dy.Float64(nullable=True),
        },
    }


@lru_cache
def _schemas() -> dict[str, Any]:
    return {name: _subschema(name, tuple(columns)) for name, columns in _columns().items()}


@lru_cache
def _subschema(name: str, present: tuple[str, ...]) -> Any:
    """The part of a schema that concerns the columns present; optional columns may be missing."""
    import dataframely as dy

    columns = {column: _columns()[name][column] for column in present}
    return type(name.title(), (dy.Schema,), columns)
