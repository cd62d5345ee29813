"""What a program prints at the end of a run: the summary, and where files and MLflow run are.

One study gets a summary, several variants get a comparison.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from pipelines.program import command
from pipelines.report.brief import (
    brief_sections,
    name_width,
    opening_line,
    print_verdict,
    shortened,
    variants_section,
)
from pipelines.report.comparison import comparison_sections
from pipelines.report.console import print_section
from pipelines.report.headline import Headline
from pipelines.report.log import led, log_sections
from pipelines.report.world import world_sections
from pipelines.tracking.addresses import masked
from pipelines.tracking.tracker import Recorded
from pipelines.tracking.views import MODE
from recsys.config import World
from recsys.study.result import StudyResult
from recsys.study.verdicts.value import Verdict

_MOST_FOLDERS = 8


def print_summary(
    console: Console, result: StudyResult, verdict: Verdict, *, full: bool = True
) -> None:
    """Prints the verdict on a study, and its figures.

    Args:
        console: the console to print to.
        result: the result of a study of a world or of a log.
        verdict: the verdict on it.
        full: whether every table is printed, with the notes, and not only a row for each
            recommender.
    """
    console.print(opening_line(result), soft_wrap=True)
    print_verdict(console, led(result, verdict))
    if not full:
        for section in brief_sections(Headline(result)):
            print_section(console, section, name_width(section, console.width))
        _print_hint(console, len(result.notes))
        return
    sections = world_sections if isinstance(result.study.source, World) else log_sections
    opening, *others = sections(Headline(result))
    for section in (opening._replace(title=""), *others):
        print_section(console, section)
    _print_notes(console, result.notes)


def print_comparison(
    console: Console,
    results: Sequence[StudyResult],
    verdicts: Sequence[Verdict],
    *,
    full: bool = True,
) -> None:
    """Prints the variants of a study side by side.

    Args:
        console: the console to print to.
        results: the results of all variants, in the order of the config.
        verdicts: the verdict on each.
        full: whether every table is printed, with the notes.
    """
    answers = variants_section(results, verdicts)
    sections = comparison_sections({str(r.study.variant): Headline(r) for r in results})
    if full:
        opening, *others = sections
        for section in (opening, answers, *others):
            print_section(console, section)
        _print_notes(console, tuple(_shared_notes(results)))
        return
    console.print(f"{results[0].study.group}: {len(results)} variants")
    reference = results[0].study.reference
    conclusions = [s for s in sections if s.rows][:1] if reference is not None else [answers]
    for section in conclusions:
        print_section(console, shortened(section), name_width(section, console.width))
    _print_hint(console, len(list(_shared_notes(results))))


def _print_hint(console: Console, notes: int) -> None:
    """Prints how to see more."""
    counted = f"; the notes ({notes}) say how to read them" if notes > 1 else ""
    console.print(f"More    --full prints every table{counted}", soft_wrap=True)


def _shared_notes(results: Sequence[StudyResult]) -> Iterator[str]:
    """Each note once; the variants that it is about stand before it, unless these are all."""
    for note in dict.fromkeys(note for result in results for note in result.notes):
        variants = [str(result.study.variant) for result in results if note in result.notes]
        yield note if len(variants) == len(results) else f"{', '.join(variants)}: {note}"


def print_whereabouts(
    console: Console, folder: Path, files: str = "report.html and tables"
) -> None:
    """Prints where the files are.

    Args:
        console: the console to print to.
        folder: the folder of the files.
        files: names of some files, such as `drift.csv, config.yaml …`.
    """
    console.print(f"Files   {folder}/  ({files})", soft_wrap=True)


def print_run(console: Console, runs: Sequence[Recorded | None]) -> None:
    """Prints how to open the MLflow run.

    Args:
        console: the console to print to.
        runs: one run; None if there is none.
    """
    (recorded,) = runs
    if recorded is None:
        return
    _print_page(console, recorded, f"run {recorded.run_id} in {masked(recorded.uri)}")


def _print_page(console: Console, recorded: Recorded, otherwise: str) -> None:
    """Prints how to open the MLflow pages of a result, with the address on a line of its own."""
    address = page_of(recorded)
    if address is None:
        console.print(f"MLflow  {otherwise}", soft_wrap=True)
        return
    how = f"{command('ui')}, then" if recorded.is_local else "the run is at"
    console.print(f"MLflow  {how}\n{address}", soft_wrap=True)


def print_group_whereabouts(
    console: Console,
    folder: Path,
    folders: Sequence[Path],
    group: str,
) -> None:
    """Prints where the files of a comparison and of its variants are.

    Args:
        console: the console to print to.
        folder: the folder of the comparison.
        folders: the folders of the variants.
        group: name of the study without that of a variant.
    """
    console.print(f"Files   {folder}/  (comparison.csv)", soft_wrap=True)
    many = len(folders) > _MOST_FOLDERS
    if many:
        console.print(f"        {folders[0].parent}/{group}-…/  ({len(folders)})")
    for variant in () if many else folders:
        console.print(f"        {variant}/  (drift.csv, config.yaml …)", soft_wrap=True)


def print_group_runs(console: Console, runs: Sequence[Recorded | None], group: str) -> None:
    """Prints how to find the MLflow runs of all variants.

    Args:
        console: the console to print to.
        runs: the run of each variant; None for a variant without one.
        group: name of the study without that of a variant.
    """
    first = next(filter(None, runs), None)
    if first is not None:
        _print_page(console, first, f"runs with tags.group = '{group}' in {masked(first.uri)}")


def page_of(recorded: Recorded, *, charts: bool = False, menu: bool = False) -> str | None:
    """The address of the table of a result's runs, or of the run if there is no such table.

    Args:
        recorded: the place of the result in MLflow.
        charts: whether the address of their charts is wanted.
        menu: whether the menu beside the page is to be that of model training; the address is
            longer then.

    Returns:
        The address; None if the store has no pages, or these runs have no charts.
    """
    query = recorded.charts if charts else recorded.view
    if query is None and charts:
        return None
    page = f"#/experiments/{recorded.experiment_id}/runs"
    page += f"/{recorded.run_id}" if query is None else f"?{query}"
    if menu:
        page += f"{'?' if query is None else '&'}{MODE}"
    if recorded.is_local:
        return f"http://127.0.0.1:5000/{page}"
    if recorded.uri.startswith("http"):
        return f"{masked(recorded.uri).rstrip('/')}/{page}"
    return None


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        console.print(f"Note: {note}", style="yellow")
    if notes:
        console.print()
