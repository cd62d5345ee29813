"""Runs one study: `python -m pipelines.run CONFIG [key=value ...]`.

Reads the config, runs the cells that are not on disk yet, writes the results, records them in
MLflow and prints a summary. Exit codes: 0 done · 1 done, but MLflow did not take it · 2 a mistake
that the user can mend · 130 interrupted; the same command goes on from there.
"""

import argparse
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

import recsys
from pipelines.progress import StudyProgress
from pipelines.report.terminal import print_summary, print_whereabouts
from pipelines.storage import CELLS, CellStore, save_result
from pipelines.tracking import Recorded, Tracker, TrackingError, tracked
from recsys.errors import UserError
from recsys.study import StudyResult, plan

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a study from the command line.

    Args:
        argv: arguments after the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    progress = StudyProgress()
    try:
        return _run(arguments.config, arguments.overrides, progress)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(_resume_hint(progress, arguments), file=sys.stderr)
        return 130


def _run(config: str, overrides: Sequence[str], progress: StudyProgress) -> int:
    study = recsys.load_study(config, overrides)
    progress.total = len(plan(study))
    with tracked(study) as tracker:
        with progress, _announced_interrupt():
            result = recsys.run(study, progress, CellStore(study))
        folder = save_result(result)
        recorded, trouble = _record(tracker, result, folder)
    console = _stdout()
    print_summary(console, result)
    print_whereabouts(console, folder, recorded)
    if trouble is not None:
        print(trouble, file=sys.stderr)
    return 0 if trouble is None else 1


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
    command = shlex.join(["python", "-m", "pipelines.run", arguments.config, *arguments.overrides])
    return (
        f"Interrupted with {progress.done} of {progress.total} cells done. They are kept in "
        f"{CELLS}; the same command goes on from there:\n  {command}"
    )


def _stdout() -> Console:
    """100 columns where nobody looks: in a pipe or a file."""
    width = None if sys.stdout.isatty() else 100
    return Console(width=width, highlight=False, emoji=False, markup=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.run",
        description="Run a study: how far newcomers move the feeds of those already there.",
        epilog="Finished cells stay in data/cells: a study that was stopped goes on from there.",
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file, such as configs/demo.yaml")
    parser.add_argument(
        "overrides", metavar="key=value", nargs="*",
        help="changes to it, dots for nested keys: seeds=8 evaluation.k=10 tracking.enabled=false",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
