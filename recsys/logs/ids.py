"""Ids of users, items and creators: what people call two things stays two, what is one stays one.

Ids are integers or texts. Integers of any width, whole floats and whole decimals are one kind: 7
and 7.0 are the same id. Texts stay as they are: "007", "07" and "7" are three ids. A CSV file has
no types: its ids are integers if all of them are written as integers are, and texts otherwise.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import polars as pl

from recsys.core.errors import LogError
from recsys.logs.columns import TEXT, refuse, shown

LARGEST = 2**63 - 1
"""Largest number that Int64 holds."""

_EXACT = 2**53
"""Whole numbers from here on are not exact as floats: two ids may have become one."""

_WRITTEN = r"^-?(?:0|[1-9][0-9]*)$"
"""A whole number as it is written without loss: no leading zeros, no sign +, no spaces."""

_WITH_POINT = r"^-?(?:0|[1-9][0-9]*)\.0+$"
"""A whole number as programs write it that hold numbers as floats."""


def ids_of(column: pl.Series, called: str, *, optional: bool = False) -> pl.Series:
    """A column of ids as Int64, as UInt64 if they are larger, or as String.

    Args:
        column: integers, whole floats or texts.
        called: what messages call the frame, such as "events".
        optional: whether ids may be missing, as those of creators.

    Raises:
        LogError: ids of another type, missing ids, fractions, floats from 2**53 on, and integers
            that 64 bits do not hold.

    >>> ids_of(pl.Series("user_id", [3.0, 4.0]), "events").to_list()
    [3, 4]
    """
    kind = column.dtype
    is_number = kind.is_integer() or kind.is_float() or kind.is_decimal()
    if not (is_number or kind in TEXT or kind == pl.Null):
        raise LogError(f"{called}: {column.name} is {kind}; ids are integers or strings")
    given = column.fill_nan(None) if kind.is_float() else column
    if kind in TEXT:
        given = given.cast(pl.String)
        given = given.set(given.str.strip_chars() == "", None)
    if not optional and given.null_count():
        row = given.is_null().arg_max()
        raise LogError(
            f"{called}: {given.null_count():,} of {len(given):,} rows have no {column.name}, the "
            f"first of them row {(row or 0) + 1}; remove these rows or fill them in"
        )
    if kind in TEXT:
        return given
    if kind == pl.Null:
        return given.cast(pl.Int64)
    return _integers(given, called) if kind.is_integer() else _whole(given, column, called)


def from_texts(column: pl.Series) -> pl.Series:
    """Ids of a file without types: integers if nothing is lost by it, else the texts.

    Args:
        column: texts, such as those of a CSV.

    >>> from_texts(pl.Series(["7", "8.0"])).to_list(), from_texts(pl.Series(["7", "08"])).to_list()
    ([7, 8], ['7', '08'])
    """
    given = column.drop_nulls()
    if not given.str.contains(_WRITTEN).all():
        with_point = given.str.contains(_WITH_POINT)
        exact = given.filter(with_point).cast(pl.Float64).abs() < _EXACT
        if not ((with_point | given.str.contains(_WRITTEN)).all() and exact.all()):
            return column
        column = column.str.replace(r"\.0+$", "")
    if column.str.contains(r"^-0$").any():
        return column
    for kind in (pl.Int64, pl.UInt64):
        numbers = column.cast(kind, strict=False)
        if numbers.null_count() == column.null_count():
            return numbers
    return column


def as_texts(column: pl.Series) -> pl.Series:
    """The ids as texts, an integer as it is written; texts stay."""
    return column.cast(pl.String)


def parsed_id(text: str, ids: pl.Series) -> Any:
    """An id that was typed, with the type that ids have in a log.

    Args:
        text: such as "17".
        ids: the ids of the log, as `ids_of` returns them.

    Raises:
        ValueError: the log's ids are integers, and the text is not written as one.

    >>> parsed_id("17", pl.Series([3, 17])), parsed_id("017", pl.Series(["017"]))
    (17, '017')
    """
    if not ids.dtype.is_integer():
        return text
    if re.fullmatch(_WRITTEN, text, re.ASCII) is None or text == "-0":
        raise ValueError(f"{text!r} is not a whole number, as the user ids of this log are")
    return int(text)


def checked_ids(user_ids: Sequence[Any] | pl.Series, ids: pl.Series) -> pl.Series:
    """Ids that are asked for, of the same type as those of a log, or wider.

    Args:
        user_ids: ids as they stand in the log, such as `["ann", "bob"]`.
        ids: the ids of the log, as `ids_of` returns them.

    Raises:
        LogError: ids are missing, fractions, or texts where the log has numbers, or the reverse.

    >>> checked_ids([3.0, 17], pl.Series([3, 17])).to_list()
    [3, 17]
    """
    try:
        asked = pl.Series("user_ids", user_ids)
    except (TypeError, ValueError, OverflowError) as error:
        raise LogError(f"user_ids: {error}; give the ids as they stand in the log") from error
    if not len(asked):
        return asked.cast(ids.dtype)
    try:
        typed = ids_of(asked, "recommend")
    except LogError as error:
        raise LogError(
            f"{error}; the log's are {ids.dtype}: give the ids as they stand in the log"
        ) from error
    if typed.dtype.is_integer() != ids.dtype.is_integer():
        raise LogError(
            f"user_ids are {asked.dtype}, the log's are {ids.dtype}: give the ids as "
            "they stand in the log"
        )
    return typed


class Ids(NamedTuple):
    """What ids of a log can be: texts, or the whole numbers from `low` to `high`.

    >>> Ids.of(pl.Series([3, 17])).one(3.0), Ids.of(pl.Series(["ann"])).one("bob")
    (3, 'bob')
    """

    are_texts: bool
    low: int = 0
    high: int = LARGEST

    @classmethod
    def of(cls, ids: pl.Series) -> Self:
        """What ids of a log can be; no number is negative unless the log has such ids.

        Args:
            ids: the ids of the log, as `ids_of` returns them.
        """
        if not ids.dtype.is_integer():
            return cls(True)
        smallest = ids.min()
        negative = isinstance(smallest, int) and smallest < 0
        return cls(
            False,
            -LARGEST if negative else 0,
            2 * LARGEST + 1 if ids.dtype == pl.UInt64 else LARGEST,
        )

    def one(self, value: Any) -> Any:
        """A single id that is asked for, as the log has it.

        Args:
            value: as JSON or a frame of pandas holds it: an integer, a whole float or a text.

        Raises:
            LogError: the id is missing, a fraction, of another type than the log's, or a number
                that no id of the log can be.
        """
        if self.are_texts:
            if isinstance(value, str) and value.strip():
                return value
            raise LogError(f"user_id is {shown(value)}; the ids of this log are texts")
        number = one_number(value, "user_id")
        if number is None:
            raise LogError("user_id is missing; give the id of a user")
        if not self.low <= number <= self.high:
            raise LogError(
                f"user_id is {number}; ids of this log are whole numbers from {self.low} to "
                f"{self.high}"
            )
        return number


def one_number(value: Any, name: str) -> int | None:
    """A single whole number as JSON or a frame of pandas holds it; None where it is missing.

    Args:
        value: an integer or a whole float; None, NaN or pandas' NA where it is missing.
        name: what messages call it, such as "k".

    Raises:
        LogError: anything else.

    >>> one_number(20.0, "k"), one_number(float("nan"), "k")
    (20, None)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float):
        if value != value:
            return None
        if value.is_integer() and abs(value) < _EXACT:
            return int(value)
    raise LogError(f"{name} is {shown(value)}; give a whole number")


def _integers(column: pl.Series, called: str) -> pl.Series:
    """Integers of any width as Int64, or as UInt64 if they are larger."""
    for kind in (pl.Int64, pl.UInt64):
        numbers = column.cast(kind, strict=False)
        if numbers.null_count() == column.null_count():
            return numbers
    bad = column.is_not_null() & numbers.is_null()
    refuse(column, bad, called, "integer ids are below 2**64; give these ids as strings")


def _whole(given: pl.Series, column: pl.Series, called: str) -> pl.Series:
    """Whole floats or decimals as Int64."""
    floats = given.cast(pl.Float64)
    sound = (floats == floats.floor()) & (floats.abs() < _EXACT)
    bad = given.is_not_null() & ~sound.fill_null(False)
    if bad.any():
        refuse(
            column,
            bad,
            called,
            f"{column.name} is {column.dtype}; ids are integers or strings, and floats are exact "
            "up to 2**53 alone",
        )
    return floats.cast(pl.Int64)
