"""Attributes of users and items as categories, whatever columns a log brings.

Categories are found among hot rows alone and numbered by the smallest key that has them. So rows
without events add none, and new names for people, items or creators change no number.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

_OUR_OWN = {"user_id", "item_id", "cohort", "joined", "published", "creator_id", "key"}
_MOST_INTEGERS = 50
"""A column of integers with more values than this is a quantity."""
_BINS = 5


class Attribute(NamedTuple):
    """One column as categories."""

    name: str
    codes: NDArray[np.int32]
    """(n,) from 0; -1 where the value is missing, or no hot row has it."""
    size: int
    """Number of categories."""


def attribute_names(frame: pl.DataFrame) -> list[str]:
    """The columns that describe people or items: all that recsys gives no meaning of its own.

    >>> attribute_names(pl.DataFrame({"item_id": [1], "key": [9], "topic": ["pets"]}))
    ['topic']
    """
    return [name for name in frame.columns if name not in _OUR_OWN]


def categories(
    frame: pl.DataFrame, hot: NDArray[np.int32], names: Sequence[str]
) -> list[Attribute]:
    """Columns as categories.

    Texts, enums, booleans and integers of few values are taken as they are, other numbers by fifths
    of the hot rows. Columns of other types are left out; one that no hot row has a value in has no
    category.

    Args:
        frame: users or items.
        hot: rows with positive events, in the order of their keys.
        names: columns.

    >>> frame = pl.DataFrame({"topic": ["pets", "food", None, "cars"]})
    >>> categories(frame, np.array([1, 0, 2]), ["topic"])[0].codes.tolist()
    [1, 0, -1, -1]
    """
    found = (_category(frame[name], hot) for name in names)
    return [attribute for attribute in found if attribute is not None]


def one_hot(attributes: Sequence[Attribute]) -> csr_matrix:
    """Float64 CSR (n, Σ sizes): 1 where a row has a category, attributes side by side."""
    codes = np.stack([attribute.codes for attribute in attributes], axis=1)
    sizes = np.array([attribute.size for attribute in attributes])
    first = np.concatenate([[0], np.cumsum(sizes)])
    has = codes >= 0
    indptr = np.concatenate([[0], np.cumsum(has.sum(axis=1))])
    columns = (codes + first[:-1])[has]
    return csr_matrix((np.ones(columns.size), columns, indptr), shape=(len(codes), first[-1]))


def _category(column: pl.Series, hot: NDArray[np.int32]) -> Attribute | None:
    kind, known = column.dtype, column.gather(hot).drop_nulls()
    if kind.is_float() or (kind.is_integer() and known.n_unique() > _MOST_INTEGERS):
        return _in_fifths(column, known)
    if not (kind in (pl.String, pl.Categorical, pl.Enum, pl.Boolean) or kind.is_integer()):
        return None
    values = known.cast(pl.String).unique(maintain_order=True)
    codes = column.cast(pl.String).replace_strict(
        values, np.arange(len(values), dtype=np.int32), default=-1, return_dtype=pl.Int32
    )
    return Attribute(column.name, codes.fill_null(-1).to_numpy(), len(values))


def _in_fifths(column: pl.Series, known: pl.Series) -> Attribute:
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    there = known.cast(pl.Float64).to_numpy()
    there = there[~np.isnan(there)]
    if there.size == 0:
        return Attribute(column.name, np.full(values.size, -1, dtype=np.int32), 0)
    edges = np.unique(np.quantile(there, np.arange(1, _BINS) / _BINS))
    codes = np.searchsorted(edges, values, side="right").astype(np.int32)
    codes[np.isnan(values)] = -1
    return Attribute(column.name, codes, edges.size + 1)
