"""Work over rows in blocks of one size, which threads may share without changing a bit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_SMALLEST = 4096
_COLUMNS_PER_ROW = 128


def block_size(columns: int) -> int:
    """Rows of a block whose work makes arrays of so many entries for itself: worth making them."""
    return max(_SMALLEST, columns // _COLUMNS_PER_ROW)


def over_blocks(work: Callable[[slice], None], rows: int, threads: int, size: int) -> None:
    """Runs work on all rows, block by block; each block writes to rows of its own.

    Args:
        work: what is done to a slice of rows.
        rows: how many there are.
        threads: how many blocks are worked on at once.
        size: rows of a block.

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
