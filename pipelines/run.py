"""Runs a study, or each variant of one: `recsys run CONFIG [key=value ...]`.

It reads the config, runs the cells that are not on disk yet, writes the results, records them in
MLflow, and prints a summary. Several variants get a comparison instead. A study whose files are
all there is read from them.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from rich.console import Console

import recsys
from pipelines.program import Outcome, Output, carried_out, goes_on, way_in
from pipelines.report.page import save_page
from pipelines.report.progress import PAGE, WRITING, StudyProgress
from pipelines.report.remaining import Remaining
from pipelines.report.terminal import (
    print_comparison,
    print_group_runs,
    print_group_whereabouts,
    print_run,
    print_summary,
    print_whereabouts,
)
from pipelines.storage.cells import CELLS
from pipelines.storage.files import whole, written_in
from pipelines.storage.finished import load_finished, mark_finished
from pipelines.storage.results import save_comparison, save_result, study_folder
from pipelines.storage.shared import cell_store
from pipelines.tracking import records
from pipelines.tracking.background import leave
from pipelines.tracking.describe import begun, study_record
from pipelines.tracking.record import read_record
from pipelines.tracking.tracker import Kept, Tracker, keep, opened
from pipelines.trust import read_config
from recsys.config import Study, World
from recsys.core.errors import UserError
from recsys.core.jobs import groups_at_once
from recsys.core.steps import MEASURING
from recsys.study.cell import Cell
from recsys.study.plan import plan, steps_of
from recsys.study.result import StudyResult
from recsys.study.verdicts.value import Verdict

_SECONDS_A_STUDY = 5.0
_SECONDS_A_ROW = 25e-6
"""Seconds that tables, files, the page and MLflow take: for each study, and for each measured user,
arm and day. Measured with the demo, whose 530,000 rows take 13 s of CPU."""


class _Finished(NamedTuple):
    """A finished study: its result, files and verdict, and the record that MLflow gets."""

    result: StudyResult
    folder: Path
    headline: list[dict[str, Any]]
    verdict: Verdict
    kept: Kept


main = way_in("run")


def execute(words: Sequence[str], output: Output, *, each: bool = False) -> int:
    """Runs a study, or all its variants, and prints the summary.

    Args:
        words: a config and changes to it, such as `["configs/demo.yaml", "seeds=8"]`.
        output: how much is printed.
        each: whether the whole summary of each variant is printed too.

    Returns:
        The exit code.
    """
    progress = output.progress()
    typed = ["run", *words, *(["--each"] if each else []), *output.flags]
    return carried_out(
        lambda: _run(words, output, progress, each=each),
        output,
        lambda: goes_on(progress, str(CELLS), *typed),
    )


def _run(words: Sequence[str], output: Output, progress: StudyProgress, *, each: bool) -> Outcome:
    studies = read_config(recsys.load_studies, words)
    cells = [_cells(study) for study in studies]
    progress.total = sum(map(len, cells))
    progress.kept_in = studies[0].engine.storage
    if all(study.engine.kind == "local" for study in studies):
        progress.remaining = _expected(studies, cells)
    names = {study.tracking.experiment for study in studies if study.tracking.enabled}
    trackers = {name: opened(name) for name in sorted(names)}
    with progress:
        if len(studies) == 1:
            finished = [_finish(studies[0], trackers, progress, progress)]
        else:
            finished = [
                _light(_finish(study, trackers, progress, progress.part(f"{study.variant}: ")))
                for study in studies
            ]
    return _alone(finished[0], output) if len(finished) == 1 else _compared(finished, output, each)


def _alone(finished: _Finished, output: Output) -> Outcome:
    result, folder, headline, verdict, kept = finished

    def show(console: Console) -> None:
        print_summary(console, result, verdict, full=output.full)
        print_whereabouts(console, folder)

    more = {"verdict": in_json(verdict)}
    return Outcome(result.study.name, folder, headline, show, [kept], print_run, more=more)


def _compared(finished: Sequence[_Finished], output: Output, each: bool) -> Outcome:
    """Writes the comparison of variants; if `each`, the summary of each is printed too."""
    results = [study.result for study in finished]
    folder, group = save_comparison(results), str(results[0].study.group)

    def show(console: Console) -> None:
        if each:
            for study in finished:
                print_summary(console, study.result, study.verdict, full=output.full)
        print_comparison(console, results, [s.verdict for s in finished], full=output.full)
        print_group_whereabouts(console, folder, [study.folder for study in finished], group)

    variants = [
        {
            "variant": study.result.study.variant,
            "name": study.result.study.name,
            "verdict": in_json(study.verdict),
            "folder": study.folder,
        }
        for study in finished
    ]
    return Outcome(
        group,
        folder,
        [{"variant": s.result.study.variant, **row} for s in finished for row in s.headline],
        show,
        [study.kept for study in finished],
        lambda console, runs: print_group_runs(console, runs, group),
        variants,
    )


def _cells(study: Study) -> list[Cell]:
    """The cells of a study, after a check that they can run."""
    try:
        return plan(study)
    except UserError as error:
        if study.group is None:
            raise
        raise type(error)(f"{study.name}: {error}") from error


def _expected(studies: Sequence[Study], cells: Sequence[Sequence[Cell]]) -> Remaining:
    """Estimates the time that all cells of all studies take."""
    first = studies[0]
    worlds = None
    if isinstance(first.source, World) and first.loop == "open":
        worlds = min(groups_at_once(first.threads, len(cells[0]) / first.seeds), first.seeds)
    steps = [[steps_of(cell) for cell in of_study] for of_study in cells]
    rows = sum(
        study.evaluation.panel * cell[MEASURING]
        for study, of_study in zip(studies, steps, strict=True)
        for cell in of_study
    )
    afterwards = _SECONDS_A_STUDY * len(studies) + _SECONDS_A_ROW * rows
    remaining = Remaining(first.threads, simulating=worlds, afterwards=afterwards)
    for study, of_study in zip(studies, cells, strict=True):
        prefix = f"{study.variant}: " if len(studies) > 1 else ""
        for cell in of_study:
            kind = " + ".join(name for name in cell.variant if name != "none")
            remaining.expect(f"{prefix}{cell.name}", kind, steps_of(cell))
    return remaining


def _finish(
    study: Study,
    trackers: Mapping[str, Tracker],
    progress: StudyProgress,
    report: Callable[[int, int, str], None],
) -> _Finished:
    """Runs a study, and writes its files and its record."""
    tracker = trackers[study.tracking.experiment] if study.tracking.enabled else None
    if (done := load_finished(study)) is not None:
        folder = study_folder(study)
        kept = Kept(tracker, read_record(folder), folder)
        return _Finished(done, folder, _headline(done), recsys.verdict(done), kept)
    told = nullcontext() if tracker is None else tracker.told(lambda: begun(study, "study"))
    with told:
        with _announced_interrupt():
            result = recsys.run(study, report, cell_store(study))
        progress.phase(WRITING)
        folder = save_result(result)
        progress.phase(PAGE)
        with written_in(folder), whole(folder / "report.html") as part:
            save_page(result, part)
        kept = keep(tracker, study_record(result, folder), folder)
        mark_finished(result, folder)
        return _Finished(result, folder, _headline(result), recsys.verdict(result), kept)


def in_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as `--json` prints it.

    >>> in_json(Verdict("yes", ("Yes.",), (), ("als", "none")))["recommended"]
    {'recommender': 'als', 'mitigation': 'none'}
    """
    names = ("recommender", "mitigation")
    taken = verdict.recommended
    return {
        "answer": verdict.answer,
        "sentences": verdict.sentences,
        "recommended": None if taken is None else dict(zip(names, taken, strict=True)),
        "findings": [finding._asdict() for finding in verdict.findings],
    }


def _headline(result: StudyResult) -> list[dict[str, Any]]:
    """The metrics that MLflow shows as `headline/…`, for each recommender and mitigation."""
    start = "headline/"
    rows: list[dict[str, Any]] = []
    for recommender, mitigation in records.variants(result):
        values = records.headline_values(result, recommender, mitigation)
        figures = {value.name.removeprefix(start): value.value for value in values}
        rows.append({"recommender": recommender, "mitigation": mitigation, **figures})
    return rows


def _light(finished: _Finished) -> _Finished:
    """The study without its rows for each user, so that many variants fit into memory."""
    result = finished.result
    light = result.with_tables(per_user=result.per_user.clear(), feeds=result.feeds.clear())
    return finished._replace(result=light)


@contextmanager
def _announced_interrupt() -> Iterator[None]:
    """Confirms Ctrl-C at once, since cells that have begun are finished first."""

    def announce(number: int, frame: FrameType | None) -> None:
        print("Stopping as soon as the cells that have begun are finished.", file=sys.stderr)
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, announce)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    leave(main())
