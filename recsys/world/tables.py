"""Tables as named tuples of arrays, one array a column: they enter compiled kernels as they are."""

from typing import Any, TypeVar

import numpy as np

__all__ = ["stacked"]

Table = TypeVar("Table", bound=tuple[Any, ...])


def stacked(first: Table, second: Table) -> Table:
    """The rows of one table, then those of another of the same type.

    >>> from typing import NamedTuple
    >>> class Pair(NamedTuple):
    ...     a: np.ndarray
    >>> stacked(Pair(np.array([1])), Pair(np.array([2]))).a.tolist()
    [1, 2]
    """
    columns = (np.concatenate([mine, theirs]) for mine, theirs in zip(first, second, strict=True))
    return type(first)(*columns)
