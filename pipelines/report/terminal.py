"""What a program prints at the end of a run: the summary, and where files and MLflow run are.

One study gets a summary, several variants get a comparison.
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
    """Prints the summary of a study.

    Args:
        console: the console to print to.
        result: the result of a study of a world or of a log.
        full: whether all rows of long tables are printed.
    """
    sections = world_sections if isinstance(result.study.source, World) else log_sections
    for section in sections(Headline(result)):
        print_section(console, section, full=full)
    _print_notes(console, result.notes)


def print_comparison(
    console: Console, results: Sequence[StudyResult], *, full: bool = True
) -> None:
    """Prints the variants of a study side by side.

    Args:
        console: the console to print to.
        results: the results of all variants, in the order of the config.
        full: whether all rows of long tables are printed.
    """
    for section in comparison_sections({str(r.study.variant): Headline(r) for r in results}):
        print_section(console, section, full=full)
    _print_notes(console, tuple(_shared_notes(results)))


def _shared_notes(results: Sequence[StudyResult]) -> Iterator[str]:
    """Each note once; the variants that it is about stand before it, unless these are all."""
    for note in dict.fromkeys(note for result in results for note in result.notes):
        variants = [str(result.study.variant) for result in results if note in result.notes]
        yield note if len(variants) == len(results) else f"{', '.join(variants)}: {note}"


def print_whereabouts(
    console: Console,
    folder: Path,
    recorded: Recorded | None,
    files: str = "report.html, drift.csv, config.yaml …",
) -> None:
    """Prints where the files are, and how to open the MLflow run.

    Args:
        console: the console to print to.
        folder: the folder of the files.
        recorded: the MLflow run; None if there is none.
        files: names of some files, such as `drift.csv, config.yaml …`.
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
        console: the console to print to.
        folder: the folder of the comparison.
        folders: the folders of the variants.
        results: the results of the variants.
        recorded: the MLflow run of each variant; None for a variant without one.
    """
    console.print(f"Files   {folder}/  (comparison.csv)", soft_wrap=True)
    many = len(folders) > _MOST_FOLDERS
    if many:
        console.print(f"        {folders[0].parent}/{results[0].study.group}-…/  ({len(folders)})")
    for variant in () if many else folders:
        console.print(f"        {variant}/  (drift.csv, config.yaml …)", soft_wrap=True)
    first = next(filter(None, recorded), None)
    if first is not None:
        place = _page(first, f"#/experiments/{first.experiment_id}") or first.uri
        query = f"tags.group = '{results[0].study.group}'"
        console.print(f"MLflow  {place}, runs with {query}", soft_wrap=True)


def _page(recorded: Recorded, page: str) -> str | None:
    """How to open a page of the MLflow store; None if the store has no pages."""
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
