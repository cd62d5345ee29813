"""Sizes of the blocks of rows that are worked on together; they change no bit."""

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
