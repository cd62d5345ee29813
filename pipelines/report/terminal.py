"""What stands at the end of a run: what changed, why, and what to make of it, in one screen.

Of one study its summary, of several variants their comparison.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from pipelines.program import command
from pipelines.report.comparison import comparison_sections
from pipelines.report.console import print_section
from pipelines.report.headline import Headline
from pipelines.report.log import log_sections
from pipelines.report.world import world_sections
from pipelines.tracking.tracker import Recorded
from recsys.config import World
from recsys.study.result import StudyResult

_MOST_FOLDERS = 8


def print_summary(console: Console, result: StudyResult, *, full: bool = True) -> None:
    """Prints what a study found.

    Args:
        console: where to.
        result: of a world or of a log.
        full: whether all rows of long tables are printed.
    """
    sections = world_sections if isinstance(result.study.source, World) else log_sections
    for section in sections(Headline(result)):
        print_section(console, section, full=full)
    _print_notes(console, result.notes)


def print_comparison(
    console: Console, results: Sequence[StudyResult], *, full: bool = True
) -> None:
    """Prints what was found in the variants of a study, side by side.

    Args:
        console: where to.
        results: of one group, in its order.
        full: whether all rows of long tables are printed.
    """
    for section in comparison_sections({str(r.study.variant): Headline(r) for r in results}):
        print_section(console, section, full=full)
    _print_notes(console, tuple(_shared_notes(results)))


def _shared_notes(results: Sequence[StudyResult]) -> Iterator[str]:
    """Each note once, with the variants that it holds of unless it holds of all."""
    for note in dict.fromkeys(note for result in results for note in result.notes):
        its = [str(result.study.variant) for result in results if note in result.notes]
        yield note if len(its) == len(results) else f"{', '.join(its)}: {note}"


def print_whereabouts(
    console: Console,
    folder: Path,
    recorded: Recorded | None,
    files: str = "report.html, drift.csv, config.yaml …",
) -> None:
    """Prints where the files are, and how to open the MLflow run.

    Args:
        console: where to.
        folder: of the files.
        recorded: where MLflow has them, if it has.
        files: names of some.
    """
    console.print(f"Files   {folder}/  ({files})", soft_wrap=True)
    if recorded is None:
        return
    page = f"#/experiments/{recorded.experiment_id}/runs/{recorded.run_id}"
    line = _page(recorded, page) or f"run {recorded.run_id} in {recorded.uri}"
    console.print(f"MLflow  {line}", soft_wrap=True)


def print_group_whereabouts(
    console: Console,
    folder: Path,
    folders: Sequence[Path],
    results: Sequence[StudyResult],
    recorded: Sequence[Recorded | None],
) -> None:
    """Prints where the files of a comparison and of its variants are, and how to find the runs.

    Args:
        console: where to.
        folder: of the comparison.
        folders: of the variants.
        results: of the variants.
        recorded: where MLflow has them, those that it has.
    """
    console.print(f"Files   {folder}/  (comparison.csv)", soft_wrap=True)
    many = len(folders) > _MOST_FOLDERS
    if many:
        console.print(f"        {folders[0].parent}/{results[0].study.group}-…/  ({len(folders)})")
    for variant in () if many else folders:
        console.print(f"        {variant}/  (drift.csv, config.yaml …)", soft_wrap=True)
    known = next(filter(None, recorded), None)
    if known is not None:
        place = _page(known, f"#/experiments/{known.experiment_id}") or known.uri
        query = f"tags.group = '{results[0].study.group}'"
        console.print(f"MLflow  {place}, runs with {query}", soft_wrap=True)


def _page(recorded: Recorded, page: str) -> str | None:
    """How to open a page of the store; None if it has none."""
    if recorded.is_local:
        return f"{command('ui')}, then http://127.0.0.1:5000/{page}"
    if recorded.uri.startswith("http"):
        return f"{recorded.uri.rstrip('/')}/{page}"
    return None


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        console.print(f"Note: {note}", style="yellow")
    if notes:
        console.print()
