"""Splits work on rows into blocks of one size, so that the number of threads changes no bit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_SMALLEST = 4096
"""Fewest rows in a block, the last one aside."""

_ENTRIES_PER_ROW = 128
"""A block has at least one row per so many entries of its own array."""


def block_size(entries: int) -> int:
    """Number of rows in a block, so large that the block's own array is worth making.

    Args:
        entries: length of the array that the work on each block makes, such as the number of posts.
    """
    return max(_SMALLEST, entries // _ENTRIES_PER_ROW)


def over_blocks(work: Callable[[slice], None], rows: int, threads: int, size: int) -> None:
    """Runs work on all rows, block by block.

    Args:
        work: called with a slice of rows; it may write to these rows alone.
        rows: number of rows, such as 5000.
        threads: number of blocks that are worked on at once, such as 2.
        size: number of rows in a block; see `block_size`.

    >>> done = []
    >>> over_blocks(done.append, rows=5, threads=1, size=3)
    >>> done
    [slice(0, 3, None), slice(3, 5, None)]
    """
    blocks = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    if threads == 1 or len(blocks) == 1:
        for block in blocks:
            work(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))
