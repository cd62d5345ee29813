"""A part of a summary: a question, the table that answers it, and how to read the table."""

from typing import NamedTuple


class Section(NamedTuple):
    """The plain text of a part of a summary; the console and the page lay it out.

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
