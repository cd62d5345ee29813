"""Sections as they stand on a terminal, in a pipe or in a file."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipelines.report.section import Section


def stdout() -> Console:
    """100 columns where nobody looks: in a pipe or a file."""
    width = None if sys.stdout.isatty() else 100
    return Console(width=width, highlight=False, emoji=False, markup=False)


def print_section(console: Console, section: Section, name_width: int = 28) -> None:
    """Prints a title, a table and sentences.

    Args:
        console: where to.
        section: what.
        name_width: the first column is folded beyond it.
    """
    if section.title:
        console.print(section.title, style="bold")
    if section.rows:
        console.print(_table(section.columns, section.rows, name_width))
    for line in section.lines:
        console.print(line)
    console.print()


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], name_width: int) -> Table:
    """The first column holds names, the others figures; what is too wide is folded, never cut."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    longest = max(len(row[0]) for row in rows)
    table.add_column(
        columns[0], overflow="fold", min_width=min(longest, 8), max_width=max(name_width, 8)
    )
    for title in columns[1:]:
        table.add_column(title, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
