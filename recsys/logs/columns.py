"""Columns of a user's frame, cast to what recsys computes with, or refused as a whole.

A cast never loses a value silently: a value that does not fit is an error that names the frame, the
column, the first bad row and its value.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

import polars as pl

from recsys.core.errors import LogError, nearest
from recsys.logs.foreign import shortened

TEXT = (pl.String, pl.Categorical, pl.Enum)
"""Types of polars that hold texts."""

_EXACT = 2**53
"""Whole numbers above this are not exact as floats."""

LARGEST_WEIGHT = 1e12
"""Sums of so large weights stay finite as float32."""


def refuse(column: pl.Series, bad: pl.Series, called: str, expected: str) -> NoReturn:
    """Raises a LogError that names the first bad value of a column.

    Args:
        column: the column as it was given.
        bad: bool (n,), which values are bad; at least one is.
        called: what messages call the frame, such as "events".
        expected: what is expected and what to do, such as "ranks are whole numbers from 1".
    """
    row = bad.arg_max()
    assert row is not None
    count = int(bad.sum())
    more = f", and {count - 1:,} more of {len(bad):,} rows" if count > 1 else ""
    value = shown(_as_list(column[row]))
    raise LogError(f"{called}: {column.name} is {value} in row {row + 1}{more}; {expected}")


def shown(value: Any, most: int = 60) -> str:
    """A value for a message, cut to a length that can be read.

    >>> shown("a" * 100, 5)
    "'aaaa…"
    """
    return shortened(repr(value), most)


def numbers(column: pl.Series, called: str, expected: str) -> pl.Series:
    """A column of numbers or texts of numbers as Float64; NaN becomes null.

    Args:
        column: numbers, decimals or texts such as "2.5"; an empty text is a missing value.
        called: what messages call the frame, such as "events".
        expected: what is expected, for the message.

    Raises:
        LogError: another type, or a text that is no number.

    >>> numbers(pl.Series("weight", ["2.5", ""]), "events", "give numbers").to_list()
    [2.5, None]
    """
    given = _plain(column, called, expected)
    values = given.cast(pl.Float64, strict=False)
    bad = values.is_null() & given.is_not_null()
    if bad.any():
        refuse(column, bad, called, expected)
    return values.fill_nan(None)


def whole_numbers(column: pl.Series, called: str, expected: str, low: int, high: int) -> pl.Series:
    """A column of whole numbers as Int64, whatever type holds them: 3, 3.0 and "3" are one number.

    Args:
        column: integers, whole floats, decimals, or texts of them.
        called: what messages call the frame, such as "feeds".
        expected: what is expected, for the message.
        low, high: the smallest and the largest number that is allowed.

    Raises:
        LogError: another type, a fraction, or a number out of bounds; nulls are allowed.

    >>> whole_numbers(pl.Series("rank", ["10", "2"]), "feeds", "ranks start at 1", 1, 99).to_list()
    [10, 2]
    """
    given = _plain(column, called, expected)
    if given.dtype.is_float():
        given = given.fill_nan(None)
    values = given.cast(pl.Int64, strict=False)
    if not given.dtype.is_integer():
        as_floats = given.cast(pl.Float64, strict=False)
        whole = as_floats.is_not_null() & (as_floats == as_floats.floor())
        exact = (as_floats.abs() <= _EXACT).fill_null(False)
        values = values.fill_null(as_floats.set(~whole | ~exact, None).cast(pl.Int64, strict=False))
        values = values.set(~whole, None)
    bad = given.is_not_null() & ~values.is_between(low, high).fill_null(False)
    if bad.any():
        refuse(column, bad, called, expected)
    return values


def weights(column: pl.Series, called: str) -> pl.Series:
    """Weights of events as Float32, each of them finite, and 0 only where 0 was given.

    Raises:
        LogError: a weight that is missing, infinite, or too large or small for float32.

    >>> weights(pl.Series("weight", ["1", "2.5"]), "events").to_list()
    [1.0, 2.5]
    """
    expected = "weights are finite numbers, at most 1e12; fill it in or scale the column"
    values = numbers(column, called, expected)
    small = values.cast(pl.Float32)
    sound = (values.abs() <= LARGEST_WEIGHT) & ((small != 0) | (values == 0))
    if not sound.fill_null(False).all():
        refuse(column, ~sound.fill_null(False), called, expected)
    return small


def counts(column: pl.Series, called: str) -> pl.Series:
    """How many of an item each row is about, as Float64; a missing count is 1.

    Raises:
        LogError: a count that is no finite number.

    >>> counts(pl.Series("count", ["2", None]), "events").to_list()
    [2.0, 1.0]
    """
    expected = "counts are finite numbers; give another column, or leave it out"
    values = numbers(column, called, expected)
    bad = (values.abs() > LARGEST_WEIGHT).fill_null(False)
    if bad.any():
        refuse(column, bad, called, expected)
    return values.fill_null(1.0)


def one_of(column: pl.Series, names: pl.Enum, called: str, *, optional: bool) -> pl.Series:
    """A column of names out of a fixed list, as that Enum.

    Args:
        column: texts of any type.
        names: the names that are known.
        called: what messages call the frame, such as "events".
        optional: whether values may be null.

    Raises:
        LogError: a column that holds no texts, or a name that is not known.

    >>> one_of(pl.Series("cohort", ["newcomer"]), pl.Enum(["newcomer"]), "users", optional=True)[0]
    'newcomer'
    """
    what = column.name
    known = list(names.categories)
    if column.dtype != pl.Null and column.dtype not in TEXT:
        raise LogError(f"{called}: {what} is {column.dtype}; give texts, of: {', '.join(known)}")
    values = column.cast(pl.String).cast(names, strict=False)
    bad = values.is_null() & (column.is_not_null() if optional else True)
    if bad.any():
        row = bad.arg_max()
        assert row is not None
        hint = nearest(str(column[row]), known)
        refuse(column, bad, called, hint if column[row] is not None else f"fill it in; {hint}")
    return values


def texts(column: pl.Series, called: str, what: str) -> pl.Series:
    """The values of a column as texts, to tell groups, topics or cohorts apart.

    Args:
        column: values of any plain type.
        called: what messages call the frame, such as "items".
        what: how the column is used, such as "an attribute".

    Raises:
        LogError: lists, structs or other values that are not one name each.

    >>> texts(pl.Series("topic", [[1], [2]]), "items", "an attribute")
    Traceback (most recent call last):
    ...
    recsys.core.errors.LogError: items: topic holds List(Int64), such as [1], and cannot be an
    attribute; give one text or number per row
    """
    kind = column.dtype
    plain = kind.is_numeric() or kind in (*TEXT, pl.Boolean, pl.Date, pl.Datetime, pl.Time, pl.Null)
    if not plain:
        example = column.drop_nulls()
        such = f", such as {shown(_as_list(example[0]))}," if len(example) else ""
        raise LogError(
            f"{called}: {column.name} holds {kind}{such} and cannot be {what}; give one text or "
            "number per row"
        )
    return column.cast(pl.String)


def missing(columns: Sequence[str], required: Sequence[str], called: str) -> None:
    """Raises a LogError where a frame lacks a column that it must have.

    Args:
        columns: the columns of the frame.
        required: the columns that it must have.
        called: what messages call the frame.
    """
    absent = [name for name in required if name not in columns]
    if absent:
        raise LogError(
            f"{called}: no column {', '.join(map(repr, absent))}; "
            f"the columns are {', '.join(map(repr, columns)) or 'none'}. "
            "Rename yours, or map them under `columns` in the config"
        )


def _plain(column: pl.Series, called: str, expected: str) -> pl.Series:
    """Numbers as they are, texts stripped, an empty text as null; LogError for other types."""
    kind = column.dtype
    if kind in TEXT:
        return column.cast(pl.String).str.strip_chars().replace("", None)
    if kind.is_numeric():
        return column
    if kind == pl.Null:
        return column.cast(pl.Int64)
    raise LogError(f"{called}: {column.name} is {kind}; {expected}")


def _as_list(value: Any) -> Any:
    return value.to_list() if isinstance(value, pl.Series) else value
