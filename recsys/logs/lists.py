"""Columns of lists that describe users or items: tags, such as genres, and vectors.

A vector is an embedding, of a text or a picture by any model. Tags are names of which a row has any
number. Each of these columns is brought to one type on the way in, or refused as a whole.
"""

import numpy as np
import polars as pl

from recsys.core.errors import LogError
from recsys.logs.columns import TEXT, refuse

OUR_OWN = {"user_id", "item_id", "cohort", "joined", "published", "creator_id", "key"}
"""Columns of users and items to which recsys gives a meaning of its own; they describe nothing."""
TAGS = pl.List(pl.String)
"""The type of a column of tags."""
MOST_NUMBERS = 4096
"""Longest vector."""


def with_lists(frame: pl.DataFrame, called: str) -> pl.DataFrame:
    """The frame with its lists as tags or vectors; lists of anything else stay as they are.

    Lists of texts, whole numbers or truth values become tags; lists of decimals, and arrays of
    numbers, become vectors. An empty list is a missing value.

    Args:
        frame: users or items.
        called: what messages call it, such as "items".

    Raises:
        LogError: vectors of different lengths, or with a missing or infinite number.

    >>> frame = pl.DataFrame({"genres": [["war", "drama"], []], "text": [[0.5, 1.0], [2.0, 0.0]]})
    >>> with_lists(frame, "items").dtypes
    [List(String), Array(Float32, shape=(2,))]
    """
    return frame.with_columns(
        cast
        for column in frame.iter_columns()
        if column.name not in OUR_OWN
        and (cast := _tags(column) if _holds_tags(column) else _vectors(column, called)) is not None
    )


def is_vector(kind: pl.DataType) -> bool:
    """Whether a column of this type holds vectors, as `with_lists` makes them.

    >>> is_vector(pl.Array(pl.Float32, 3)), is_vector(pl.List(pl.Float32))
    (True, False)
    """
    return isinstance(kind, pl.Array) and kind.inner == pl.Float32 and len(kind.shape) == 1


def is_known(kind: pl.DataType) -> bool:
    """Whether models read columns of this type: plain values, tags and vectors.

    >>> is_known(pl.String()), is_known(TAGS), is_known(pl.List(pl.Struct({"tag": pl.String})))
    (True, True, False)
    """
    return not (kind.is_nested() or kind.is_object()) or kind == TAGS or is_vector(kind)


def _holds_tags(column: pl.Series) -> bool:
    kind = column.dtype
    if isinstance(kind, pl.Array):
        return len(kind.shape) == 1 and kind.inner in (*TEXT, pl.Boolean)
    if not isinstance(kind, pl.List):
        return False
    return kind.inner in (*TEXT, pl.Boolean, pl.Null) or kind.inner.is_integer()


def _tags(column: pl.Series) -> pl.Series:
    kind = column.dtype
    lists = column.arr.to_list() if isinstance(kind, pl.Array) else column
    tags = lists.cast(TAGS).list.drop_nulls()
    return tags.set(tags.list.len() == 0, None)


def _vectors(column: pl.Series, called: str) -> pl.Series | None:
    """A column of vectors as arrays of float32; None for a column of something else."""
    kind = column.dtype
    if isinstance(kind, pl.Array):
        if len(kind.shape) != 1 or not kind.inner.is_numeric():
            return None
        lists = column.arr.to_list()
    elif isinstance(kind, pl.List) and (kind.inner.is_float() or kind.inner.is_decimal()):
        lists = column
    else:
        return None
    lists = lists.set(lists.list.len() == 0, None)
    lengths = lists.list.len()
    first = lengths.drop_nulls().head(1)
    if first.is_empty():
        return pl.Series(column.name, [None] * len(column), dtype=TAGS)
    if first[0] > MOST_NUMBERS:
        raise LogError(
            f"{called}: {column.name} holds vectors of {first[0]:,} numbers; "
            f"give vectors of at most {MOST_NUMBERS:,}"
        )
    other = (lengths != first[0]).fill_null(False)
    if other.any():
        expected = f"the first vector has {first[0]:,} numbers; give all vectors one length"
        refuse(column, other, called, expected)
    vectors = lists.cast(pl.List(pl.Float32))
    numbers = vectors.explode().to_numpy() if vectors.null_count() == 0 else None
    if numbers is None or not np.isfinite(numbers).all():
        sound = vectors.list.eval(pl.element().is_finite().fill_null(False).all()).list.first()
        bad = vectors.is_not_null() & ~sound.fill_null(False)
        if bad.any():
            expected = "a vector holds finite numbers alone; fill them in or leave the vector out"
            refuse(column, bad, called, expected)
    return vectors.list.to_array(first[0])
