"""Attributes of users and items as numbered categories, from whatever columns a log has.

Only values that a hot row has (a user or item with positive events) become categories. They are
numbered in the order of the keys of these rows. So rows without events add no category, and no
number changes when users, items or creators are renamed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

_OUR_OWN = {"user_id", "item_id", "cohort", "joined", "published", "creator_id", "key"}
"""Columns to which recsys gives a meaning of its own; they describe nothing."""
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

    These are all columns except those to which recsys gives a meaning of its own.

    Args:
        frame: the users or the items of a log.

    >>> attribute_names(pl.DataFrame({"item_id": [1], "key": [9], "topic": ["pets"]}))
    ['topic']
    """
    return [name for name in frame.columns if name not in _OUR_OWN]


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


def one_hot(attributes: Sequence[Attribute]) -> csr_matrix:
    """Float64 CSR (n, Σ sizes): 1 where a row has a category; attributes stand side by side."""
    codes = np.stack([attribute.codes for attribute in attributes], axis=1)
    sizes = np.array([attribute.size for attribute in attributes])
    first = np.concatenate([[0], np.cumsum(sizes)])
    has = codes >= 0
    indptr = np.concatenate([[0], np.cumsum(has.sum(axis=1))])
    columns = (codes + first[:-1])[has]
    return csr_matrix((np.ones(columns.size), columns, indptr), shape=(len(codes), first[-1]))


def _attribute(column: pl.Series, hot: NDArray[np.int32]) -> Attribute | None:
    """A column as categories; None for a type of column that cannot be read."""
    kind, hot_values = column.dtype, column.gather(hot).drop_nulls()
    if kind.is_float() or (kind.is_integer() and hot_values.n_unique() > _MOST_INTEGERS):
        return _in_fifths(column, hot_values)
    if not (kind in (pl.String, pl.Categorical, pl.Enum, pl.Boolean) or kind.is_integer()):
        return None
    values = hot_values.cast(pl.String).unique(maintain_order=True)
    codes = column.cast(pl.String).replace_strict(
        values, np.arange(len(values), dtype=np.int32), default=-1, return_dtype=pl.Int32
    )
    return Attribute(column.name, codes.fill_null(-1).to_numpy(), len(values))


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
