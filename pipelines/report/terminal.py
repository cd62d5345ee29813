"""The summary at the end of a run: what changed, why, and what to make of it, in one screen."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.report.headline import Headline
from pipelines.report.log import log_sections
from pipelines.report.section import Section
from pipelines.report.world import world_sections
from pipelines.tracking import Recorded
from recsys.study import StudyResult

__all__ = ["print_summary", "print_whereabouts"]


def print_summary(console: Console, result: StudyResult) -> None:
    """Prints what a study found.

    Args:
        console: where to.
        result: of a world or of a log.
    """
    sections = world_sections if result.study.log is None else log_sections
    for section in sections(Headline(result)):
        _print_section(console, section)
    for note in result.notes:
        console.print(f"Note: {note}", style="yellow")
    if result.notes:
        console.print()


def print_whereabouts(console: Console, folder: Path, recorded: Recorded | None) -> None:
    """Prints where the files are, and how to open the MLflow run."""
    console.print(f"Files   {folder}/  (drift.csv, summary.csv, config.yaml …)", soft_wrap=True)
    if recorded is None:
        return
    page = f"#/experiments/{recorded.experiment_id}/runs/{recorded.run_id}"
    if recorded.is_local:
        line = f"make ui, then http://127.0.0.1:5000/{page}"
    elif recorded.uri.startswith("http"):
        line = f"{recorded.uri.rstrip('/')}/{page}"
    else:
        line = f"run {recorded.run_id} in {recorded.uri}"
    console.print(f"MLflow  {line}", soft_wrap=True)


def _print_section(console: Console, section: Section) -> None:
    if section.title:
        console.print(section.title, style="bold")
    if section.rows:
        console.print(_table(section.columns, section.rows))
    for line in section.lines:
        console.print(line)
    console.print()


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """The first column holds names, the others figures; what is too wide is folded, never cut."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    longest = max(len(row[0]) for row in rows)
    table.add_column(columns[0], overflow="fold", min_width=min(longest, 8), max_width=24)
    for title in columns[1:]:
        table.add_column(title, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
