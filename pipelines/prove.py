"""Checks the tool itself: `python -m pipelines.prove [CONFIG] [key=value ...] [--parts ...]`.

Runs the parts of `recsys.checks.proof`, prints each claim with its figures and verdicts, writes
them with tables and plots to data/proofs and logs them to MLflow. Parts that are done are kept: the
same command goes on from there. Exit codes: 0 done, whatever the verdicts · 1 done, but MLflow did
not take it · 2 a mistake that the user can mend · 130 interrupted.
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
from pipelines.storage.figures import RowStore, save_proof
from pipelines.tracking.tracker import TrackingError, tracked
from recsys.checks.proof.claims import TITLES
from recsys.checks.proof.run import FULL, KINDS, SHORT, Effort, plan, prove
from recsys.config import Study
from recsys.core.errors import UserError

_CONFIG = "configs/prove.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    """Proves from the command line.

    Args:
        argv: arguments after the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_intermixed_args(words)  # changes may follow options
    progress = StudyProgress("parts")
    try:
        study = recsys.load_study(*_config(arguments.words))
        kinds = tuple(arguments.parts.split(",")) if arguments.parts else KINDS
        return _run(study, SHORT if arguments.quick else FULL, kinds, progress)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        command = shlex.join(["python", "-m", "pipelines.prove", *words])
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


def _run(study: Study, effort: Effort, kinds: Sequence[str], progress: StudyProgress) -> int:
    progress.total = len(plan(study, effort, kinds))
    console, recorded, trouble = stdout(), None, None
    with tracked(study, role="proof") as tracker:
        with progress:
            proof = prove(study, effort, kinds, progress, RowStore())
        folder = save_proof(study, proof)
        if tracker is not None:
            try:
                recorded = tracker.record_validation(study, proof.verdicts, folder)
            except TrackingError as error:
                trouble = error
    print_verdicts(console, proof.verdicts, TITLES, "of")
    print_whereabouts(console, folder, recorded, "verdicts.csv, tables, plots, config.yaml")
    if trouble is not None:
        print(trouble, file=sys.stderr)
    return 0 if trouble is None else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.prove",
        description="Check the tool's own figures, and what a log tells against the truth.",
        epilog="Parts that are done stay in data/proofs: what was stopped goes on from there.",
    )
    parser.add_argument(
        "words",
        metavar="[CONFIG] [key=value ...]",
        nargs="*",
        help=f"YAML file with a world ({_CONFIG}), and changes to it: world.behaviour.mood=0",
    )
    parser.add_argument("--parts", help=f"some of {','.join(KINDS)}")
    parser.add_argument("--quick", action="store_true", help="whether it runs, not what it finds")
    return parser


if __name__ == "__main__":
    sys.exit(main())
