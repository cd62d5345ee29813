"""Attributes of users and items as numbered categories, from whatever columns a log has.

Only values that a hot row has (a user or item with positive events) become categories. They are
numbered in the order of the keys of these rows. So rows without events add no category, and no
number changes when users, items or creators are renamed. Tags are categories of which a row may
have several; vectors stay numbers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from recsys.logs.lists import OUR_OWN, TAGS, is_known, is_vector

_MOST_INTEGERS = 50
"""A column of integers with more distinct values than this is a quantity, not a category."""
_BINS = 5
"""Number of categories into which a quantity is cut."""


class Attribute(NamedTuple):
    """A column as numbered categories."""

    name: str
    """Name of the column."""
    codes: NDArray[np.int32]
    """(n,) number of each row's category, from 0; -1 where the value is missing or no hot row has
    it."""
    size: int
    """Number of categories."""


def attribute_names(frame: pl.DataFrame) -> list[str]:
    """Names of the columns that describe users or items, such as topic or age.

    These are all columns except those to which recsys gives a meaning of its own, and nested
    columns that are neither tags nor vectors.

    Args:
        frame: the users or the items of a log.

    >>> attribute_names(pl.DataFrame({"item_id": [1], "key": [9], "topic": ["pets"]}))
    ['topic']
    """
    return [name for name, kind in frame.schema.items() if name not in OUR_OWN and is_known(kind)]


def categories(
    frame: pl.DataFrame, hot: NDArray[np.int32], names: Sequence[str]
) -> list[Attribute]:
    """Turns columns into categories.

    Each value of a text, an enum, a boolean or an integer column with few values is a category.
    Other numbers are cut at the fifths of the hot rows. Columns of other types are left out. A
    column without any value in a hot row has 0 categories.

    Args:
        frame: the users or the items of a log, (n,).
        hot: int, rows with positive events, in the order of their keys, such as
            `log.interactions.items`.
        names: the columns, such as `["topic"]`.

    >>> frame = pl.DataFrame({"topic": ["pets", "food", None, "cars"]})
    >>> categories(frame, np.array([1, 0, 2]), ["topic"])[0].codes.tolist()
    [1, 0, -1, -1]
    """
    attributes = (_attribute(frame[name], hot) for name in names)
    return [attribute for attribute in attributes if attribute is not None]


def indicators(frame: pl.DataFrame, hot: NDArray[np.int32], names: Sequence[str]) -> csr_matrix:
    """Float64 CSR (n, n_categories): 1 where a row has a category; columns stand side by side.

    Args:
        frame: the users or the items of a log, (n,).
        hot: as in `categories`.
        names: the columns; of these tags and all that `categories` reads are taken.

    >>> frame = pl.DataFrame({"genres": [["war", "drama"], ["war"], None], "seen": [1, 1, 2]})
    >>> indicators(frame, np.array([0, 1]), ["genres", "seen"]).toarray().tolist()
    [[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    parts = [csr_matrix((frame.height, 0))]
    for name in names:
        if frame.schema[name] == TAGS:
            parts.append(_of_tags(frame[name], hot))
        else:
            parts += [_of_categories(attribute) for attribute in categories(frame, hot, [name])]
    together = hstack(parts, format="csr")
    together.sort_indices()
    return together


def vectors(
    frame: pl.DataFrame, hot: NDArray[np.int32], names: Sequence[str]
) -> NDArray[np.float32]:
    """Float32 (n, Σ lengths): the vectors of each row, those of several columns side by side.

    The vectors of a column are centred and scaled so that those of hot rows have squares that sum
    to 1 on average: a vector weighs as much as a category. A row without one has zeros, and a
    column without vectors of hot rows is left out.

    Args:
        frame: the users or the items of a log, (n,).
        hot: as in `categories`.
        names: the columns; of these the vectors are taken.
    """
    parts = [_scaled(frame[name], hot) for name in names if is_vector(frame.schema[name])]
    return np.concatenate([np.zeros((frame.height, 0), dtype=np.float32), *parts], axis=1)


def _attribute(column: pl.Series, hot: NDArray[np.int32]) -> Attribute | None:
    """A column as categories; None for a type of column that cannot be read."""
    kind = column.dtype
    if isinstance(kind, pl.Enum) or kind == pl.Boolean:
        return _by_table(column, hot)
    hot_values = column.gather(hot).drop_nulls()
    if kind.is_float() or (kind.is_integer() and hot_values.n_unique() > _MOST_INTEGERS):
        return _in_fifths(column, hot_values)
    if not (kind in (pl.String, pl.Categorical) or kind.is_integer()):
        return None
    values = hot_values.unique(maintain_order=True).cast(pl.String)
    codes = column.cast(pl.String).replace_strict(
        values, np.arange(len(values), dtype=np.int32), default=-1, return_dtype=pl.Int32
    )
    return Attribute(column.name, codes.fill_null(-1).to_numpy(), len(values))


def _by_table(column: pl.Series, hot: NDArray[np.int32]) -> Attribute:
    """A column of an enum or of booleans as categories."""
    kind = column.dtype
    size = len(kind.categories) if isinstance(kind, pl.Enum) else 2
    codes = column.to_physical().cast(pl.Float64).to_numpy()  # null turns NaN
    rows = np.where(np.isnan(codes), size, codes).astype(np.int32)
    known, first = np.unique(rows[hot], return_index=True)
    known = known[np.argsort(first)]
    known = known[known < size]
    number = np.full(size + 1, -1, dtype=np.int32)
    number[known] = np.arange(known.size)
    return Attribute(column.name, number[rows], known.size)


def _in_fifths(column: pl.Series, hot_values: pl.Series) -> Attribute:
    """A column of numbers as categories, cut at the fifths of the values of hot rows."""
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    numbers = hot_values.cast(pl.Float64).to_numpy()
    numbers = numbers[~np.isnan(numbers)]
    if numbers.size == 0:
        return Attribute(column.name, np.full(values.size, -1, dtype=np.int32), 0)
    edges = np.unique(np.quantile(numbers, np.arange(1, _BINS) / _BINS))
    codes = np.searchsorted(edges, values, side="right").astype(np.int32)
    codes[np.isnan(values)] = -1
    return Attribute(column.name, codes, edges.size + 1)


def _of_categories(attribute: Attribute) -> csr_matrix:
    """Float64 CSR (n, size): 1 in the column of each row's category."""
    has = attribute.codes >= 0
    indptr = np.concatenate([[0], np.cumsum(has)])
    columns = attribute.codes[has]
    return csr_matrix((np.ones(columns.size), columns, indptr), shape=(has.size, attribute.size))


def _of_tags(column: pl.Series, hot: NDArray[np.int32]) -> csr_matrix:
    """Float64 CSR (n, n_tags): 1 where a row has a tag, once or more often."""
    tags = pl.DataFrame({"row": np.arange(len(column)), "tag": column}).explode("tag").drop_nulls()
    known = column.gather(hot).explode().drop_nulls().unique(maintain_order=True)
    codes = tags["tag"].replace_strict(
        known, np.arange(len(known), dtype=np.int32), default=None, return_dtype=pl.Int32
    )
    pairs = tags.select("row", code=codes).drop_nulls().unique()
    return csr_matrix(
        (np.ones(pairs.height), (pairs["row"].to_numpy(), pairs["code"].to_numpy())),
        shape=(len(column), len(known)),
    )


def _scaled(column: pl.Series, hot: NDArray[np.int32]) -> NDArray[np.float32]:
    """The vectors of a column, see `vectors`."""
    has = column.is_not_null().to_numpy()
    given = np.zeros((len(column), column.dtype.shape[0]))  # type: ignore[attr-defined]
    given[has] = column.drop_nulls().to_numpy()
    known = hot[has[hot]]
    if known.size == 0:
        return np.zeros((len(column), 0), dtype=np.float32)
    given[has] -= given[known].mean(axis=0)
    square = np.square(given[known]).sum(axis=1).mean()
    return (given / np.sqrt(square) if square > 0 else 0 * given).astype(np.float32)
