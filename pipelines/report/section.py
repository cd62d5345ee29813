"""A part of a summary: a question, the table that answers it, and what to make of that."""

from typing import NamedTuple


class Section(NamedTuple):
    """Plain text; whoever prints it decides what it looks like.

    Attributes:
        title: a question, with the unit of the figures; may be empty.
        columns: headings; the first is that of the rows' names.
        rows: cells as text.
        lines: sentences below the table.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()
