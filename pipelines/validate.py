"""Checks a platform against real ones: `python -m pipelines.validate [CONFIG] [key=value ...]`.

Runs the checks of `recsys.checks.validation` on a config's world, prints each figure with its
target, tolerance and verdict, writes them to data/validations and logs them to MLflow. Parts that
are done are kept: the same command goes on from there. Exit codes: 0 done, whatever the verdicts ·
1 done, but MLflow did not take it · 2 a mistake that the user can mend · 130 interrupted.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence

import recsys
from pipelines.report.console import stdout
from pipelines.report.progress import StudyProgress
from pipelines.report.terminal import print_whereabouts
from pipelines.report.verdicts import print_verdicts
from pipelines.storage.figures import FigureStore, save_verdicts
from pipelines.tracking.tracker import TrackingError, tracked
from recsys.checks.validation.run import plan, validate
from recsys.config import Study
from recsys.core.errors import UserError

_CONFIG = "configs/validate.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    """Validates from the command line.

    Args:
        argv: arguments after the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    progress = StudyProgress()
    try:
        return _run(recsys.load_study(*_config(arguments.words)), progress)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        command = shlex.join(["python", "-m", "pipelines.validate", *arguments.words])
        print(
            f"Interrupted with {progress.done} of {progress.total} parts done, which are kept; "
            f"the same command goes on from there:\n  {command}",
            file=sys.stderr,
        )
        return 130


def _config(words: Sequence[str]) -> tuple[str, list[str]]:
    """A config may come first; what holds a = is a change to it."""
    if words and "=" not in words[0]:
        return words[0], list(words[1:])
    return _CONFIG, list(words)


def _run(study: Study, progress: StudyProgress) -> int:
    progress.total = len(plan(study))
    console, recorded, trouble = stdout(), None, None
    with tracked(study, role="validation") as tracker:
        with progress:
            verdicts, measured = validate(study, progress, FigureStore())
        folder = save_verdicts(study, verdicts, measured)
        if tracker is not None:
            try:
                recorded = tracker.record_validation(study, verdicts, folder)
            except TrackingError as error:
                trouble = error
    print_verdicts(console, verdicts)
    print_whereabouts(console, folder, recorded, "verdicts.csv, measured.csv, config.yaml")
    if trouble is not None:
        print(trouble, file=sys.stderr)
    return 0 if trouble is None else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.validate",
        description="Check a platform against what is known of real ones, and print verdicts.",
        epilog="Parts that are done stay in data/validations: what was stopped goes on from there.",
    )
    parser.add_argument(
        "words",
        metavar="[CONFIG] [key=value ...]",
        nargs="*",
        help=f"YAML file with a world ({_CONFIG}), and changes to it: world.behaviour.mood=0",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
