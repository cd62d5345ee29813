"""Prints sections as plain text, on a terminal, in a pipe or into a file."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.report.section import Section
from recsys.core.errors import visible

_MOST_ROWS = 50
_GAP = 2
"""Spaces between two columns."""


def stdout() -> Console:
    """The console that programs print to; in a pipe or a file, lines have 100 columns."""
    width = None if sys.stdout.isatty() else 100
    return _Plain(width=width, highlight=False, emoji=False, markup=False)


class _Plain(Console):
    """A console on which control characters in texts are shown, not passed on."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints as rich does; a line break in a text stays."""
        shown = (visible(each, keep="\n") if isinstance(each, str) else each for each in objects)
        super().print(*shown, **options)


def print_section(
    console: Console, section: Section, name_width: int = 28, *, full: bool = True
) -> None:
    """Prints a title, a table and sentences.

    Args:
        console: the console to print to.
        section: the section to print.
        name_width: greatest width of the first column, such as 28; longer names are folded.
        full: whether all rows of a long table are printed, and not only the first 50.
    """
    if section.title:
        console.print(visible(section.title), style="bold")
    rows = section.rows if full else section.rows[:_MOST_ROWS]
    if rows:
        shown = _visible(section.columns), [_visible(row) for row in rows]
        for columns, cells in _fitting(*shown, name_width, console.width):
            console.print(_table(columns, cells, name_width))
    if len(rows) < len(section.rows):
        more = len(section.rows) - len(rows)
        console.print(f"({more:,} more rows are not printed; --full prints them)")
    for line in section.lines:
        console.print(visible(line))
    console.print()


def fits(section: Section, name_width: int, width: int) -> bool:
    """Whether a table stands in one piece, and not in several that repeat its first column.

    Args:
        section: the section that holds the table, of at least one row.
        name_width: as `print_section` takes it.
        width: characters in a line.

    >>> table = Section("", ("who", "how much"), (("als", "1.5"), ("ease", "2.5")))
    >>> fits(table, 28, 80), fits(table, 28, 12)
    (True, False)
    """
    shown = _visible(section.columns), [_visible(row) for row in section.rows]
    return len(list(_fitting(*shown, name_width, width))) == 1


def _fitting(
    columns: Sequence[str], rows: Sequence[Sequence[str]], name_width: int, width: int
) -> Iterator[tuple[list[str], list[list[str]]]]:
    """A table as one or more that fit, so that no figure is folded; each has the rows' names."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    room = width - max(min(widths[0], name_width), 8)
    parts: list[list[int]] = [[]]
    for place in range(1, len(columns)):
        if parts[-1] and sum(widths[p] + _GAP for p in (*parts[-1], place)) > room:
            parts.append([])
        parts[-1].append(place)
    for part in parts:
        kept = [0, *part]
        yield [columns[p] for p in kept], [[row[p] for p in kept] for row in rows]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], name_width: int) -> Table:
    """A table of names and figures, in which a cell that is too wide is folded, never cut."""
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    longest = max(len(row[0]) for row in rows)
    table.add_column(
        columns[0], overflow="fold", min_width=min(longest, 8), max_width=max(name_width, 8)
    )
    for title in columns[1:]:
        table.add_column(title, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _visible(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(visible(cell) for cell in cells)
