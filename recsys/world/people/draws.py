"""One or two uniforms for each of many people, with the same bits as `recsys.core.noise.uniforms`.

No array is made but the result. This saves time, since everybody draws every day.
"""

from typing import Any, TypeVar

# mypy: disallow-untyped-decorators=False
import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.core.noise import Stream, philox4x32, unit

Table = TypeVar("Table", bound=tuple[Any, ...])


def stacked(first: Table, second: Table) -> Table:
    """The rows of one table, then those of another of the same type.

    Where the other has none, it is the first table itself, not a copy.

    >>> from typing import NamedTuple
    >>> class Pair(NamedTuple):
    ...     a: np.ndarray
    >>> stacked(Pair(np.array([1])), Pair(np.array([2]))).a.tolist()
    [1, 2]
    """
    if second[0].shape[0] == 0:
        return first
    columns = (np.concatenate([upper, lower]) for upper, lower in zip(first, second, strict=True))
    return type(first)(*columns)


def draw(
    seed: int, stream: Stream, address: NDArray[np.uint32], item: int, when: int
) -> NDArray[np.float64]:
    """The first of the four uniforms at each address, float64 (n,).

    >>> from recsys.core.noise import uniforms
    >>> address = np.arange(3, dtype=np.uint32)
    >>> bool((draw(7, Stream.VISIT, address, 1, 5)
    ...     == uniforms(7, Stream.VISIT, address, 1, 5)[:, 0]).all())
    True
    """
    return draw_two(seed, stream, address, item, when)[0]


def draw_two(
    seed: int, stream: Stream, address: NDArray[np.uint32], item: int, when: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first two of the four uniforms at each address, float64 (n,) each."""
    out, key = np.empty((2, address.size)), np.uint64(seed & (2**64 - 1))
    _fill(key, np.uint64(stream), np.uint64(item), np.uint64(when), address, out)
    return out[0], out[1]


@njit(nogil=True, cache=True)
def _fill(seed, stream, item, when, address, out):  # type: ignore[no-untyped-def]
    for row in range(address.size):
        words = philox4x32(stream, np.uint64(address[row]), item, when, seed)
        out[0, row], out[1, row] = unit(words[0]), unit(words[1])
