"""Runs a study, or each variant of one: `python -m pipelines.run CONFIG [key=value ...]`.

Reads the config, runs the cells that are not on disk yet, writes the results, records them in
MLflow and prints a summary, of variants a comparison. Exit codes: 0 done · 1 done, but MLflow did
not take it · 2 a mistake that the user can mend · 130 interrupted; the same command goes on from
there.
"""

import argparse
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from rich.console import Console

import recsys
from pipelines.report.channels import save_channels_plot
from pipelines.report.console import stdout
from pipelines.report.front import save_front_plot
from pipelines.report.page import save_page
from pipelines.report.progress import StudyProgress
from pipelines.report.terminal import (
    print_comparison,
    print_group_whereabouts,
    print_summary,
    print_whereabouts,
)
from pipelines.storage.cells import CELLS, CellStore
from pipelines.storage.files import whole
from pipelines.storage.results import save_comparison, save_result
from pipelines.tracking.tracker import Recorded, Tracker, TrackingError, tracked
from recsys.config import Study
from recsys.core.errors import UserError
from recsys.study.plan import plan
from recsys.study.result import StudyResult


class _Finished(NamedTuple):
    """A study that was run: what was found, its files, its MLflow run or why there is none."""

    result: StudyResult
    folder: Path
    recorded: Recorded | None
    trouble: str | None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a study, or all variants of one, from the command line.

    Args:
        argv: arguments after the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_intermixed_args(argv)
    progress = StudyProgress()
    try:
        return _run(arguments, progress)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(_resume_hint(progress, arguments), file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace, progress: StudyProgress) -> int:
    studies = recsys.load_studies(arguments.config, arguments.overrides)
    progress.total = sum(_cells(study) for study in studies)
    with progress:
        if len(studies) == 1:
            finished = [_finish(studies[0], progress)]
        else:
            finished = [_light(_finish(s, progress.part(f"{s.variant}: "))) for s in studies]
    console = stdout()
    if len(finished) == 1:
        print_summary(console, finished[0].result)
        print_whereabouts(console, finished[0].folder, finished[0].recorded)
    else:
        _compare(console, finished, each=arguments.each)
    troubles = list(filter(None, (study.trouble for study in finished)))
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    return 1 if troubles else 0


def _cells(study: Study) -> int:
    """How many there are, once it is checked that they can run."""
    try:
        return len(plan(study))
    except UserError as error:
        if study.group is None:
            raise
        raise type(error)(f"{study.name}: {error}") from error


def _finish(study: Study, report: Callable[[int, int, str], None]) -> _Finished:
    """Runs a study, writes its files and records it."""
    with tracked(study) as tracker:
        with _announced_interrupt():
            result = recsys.run(study, report, CellStore(study))
        folder = save_result(result)
        with whole(folder / "report.html") as part:
            save_page(result, part)
        if not result.front.is_empty():
            with whole(folder / "front.html") as part:
                save_front_plot(result, part)
        if not result.channels.is_empty():
            with whole(folder / "channels.html") as part:
                save_channels_plot(result, part)
        return _Finished(result, folder, *_record(tracker, result, folder))


def _light(finished: _Finished) -> _Finished:
    """Without the rows a user, which are on disk: many variants' need not fit into memory."""
    result = finished.result
    light = result.with_tables(per_user=result.per_user.clear(), feeds=result.feeds.clear())
    return finished._replace(result=light)


def _compare(console: Console, finished: Sequence[_Finished], *, each: bool) -> None:
    """Writes and prints the variants beside one another, and their summaries if asked."""
    results = [study.result for study in finished]
    folder = save_comparison(results)
    if each:
        for result in results:
            print_summary(console, result)
    print_comparison(console, results)
    folders = [study.folder for study in finished]
    print_group_whereabouts(console, folder, folders, results, [s.recorded for s in finished])


def _record(
    tracker: Tracker | None, result: StudyResult, folder: Path
) -> tuple[Recorded | None, str | None]:
    """Where MLflow has it, or why not: a finished study is shown either way."""
    if tracker is None:
        return None, None
    try:
        return tracker.record(result, folder), None
    except TrackingError as error:
        return (
            None,
            f"{error}\nThe files in {folder} are complete; tracking.enabled=false skips it.",
        )


@contextmanager
def _announced_interrupt() -> Iterator[None]:
    """Says at once that Ctrl-C was heard: cells that have begun are finished first."""

    def announce(number: int, frame: FrameType | None) -> None:
        print("Stopping: the cells that have begun are finished first.", file=sys.stderr)
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


def _resume_hint(progress: StudyProgress, arguments: argparse.Namespace) -> str:
    words = [arguments.config, *arguments.overrides, *(["--each"] if arguments.each else [])]
    command = shlex.join(["python", "-m", "pipelines.run", *words])
    return (
        f"Interrupted with {progress.done} of {progress.total} cells done. They are kept in "
        f"{CELLS}; the same command goes on from there:\n  {command}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.run",
        description="Run a study: how far newcomers move the feeds of those already there. "
        "A config with variants is run once for each, and they are compared.",
        epilog="Finished cells stay in data/cells: a study that was stopped goes on from there.",
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file, such as configs/demo.yaml")
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        help="changes to it, dots for nested keys: seeds=8 evaluation.k=10 tracking.enabled=false; "
        "variants=[NAME,NAME] chooses some variants, variants.NAME.seeds=2 changes one",
    )
    parser.add_argument(
        "--each", action="store_true", help="print the whole summary of each variant too"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
