"""Trains a recommender and tests it: `python -m pipelines.train CONFIG [key=value ...]`.

Reads the config, trains, prints the metrics, writes the files and the model to data/training and
logs both to MLflow. Exit codes: 0 done · 1 done, but MLflow did not take it · 2 a mistake that the
user can mend · 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import recsys
from pipelines.report.console import stdout
from pipelines.report.terminal import print_whereabouts
from pipelines.report.training import print_training
from pipelines.storage.models import MODEL
from pipelines.storage.results import save_training
from pipelines.tracking.tracker import Recorded, TrackingError, tracked
from recsys.core.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Trains from the command line.

    Args:
        argv: arguments after the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_intermixed_args(argv)
    try:
        return _run(recsys.load_training(arguments.config, arguments.overrides))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        return 130


def _run(training: recsys.Training) -> int:
    console, recorded, trouble = stdout(), None, None
    with tracked(training, role="training") as tracker:
        result = recsys.train(training)
        folder = save_training(result)
        if tracker is not None:
            try:
                recorded = tracker.record_training(result, folder)
            except TrackingError as error:
                trouble = error
    print_training(console, result)
    print_whereabouts(console, folder, recorded, "summary.csv, per_user.parquet, model/ …")
    _print_use(console, folder, recorded, str(result.per_user["user_id"][0]))
    if trouble is not None:
        print(trouble, file=sys.stderr)
    return 0 if trouble is None else 1


def _print_use(console: Console, folder: Path, recorded: Recorded | None, user: str) -> None:
    """How to go on from here."""
    if not (folder / MODEL).is_dir():
        console.print("The model is not stored: only those of recsys.RECOMMENDERS are.")
        return
    name = folder if recorded is None else recorded.run_id
    console.print(f"Feed    python -m pipelines.feed {name} {user}", soft_wrap=True)
    if recorded is not None and recorded.model_id is not None:
        where = "" if not recorded.is_local else f"MLFLOW_TRACKING_URI={recorded.uri} "
        command = f"mlflow models serve -m models:/{recorded.model_id} --env-manager local"
        command += " --port 5001"
        console.print(f"Serve   {where}{command}", soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.train",
        description="Train one recommender on a log and test it on what people liked later.",
    )
    parser.add_argument(
        "config", metavar="CONFIG", help="YAML file, such as configs/train/als.yaml"
    )
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        help="changes to it, dots for nested keys: recommender.factors=64 k=10 test_days=3",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
