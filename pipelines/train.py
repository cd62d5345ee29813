"""Trains a recommender and tests it: `recsys train CONFIG [key=value ...]`.

It reads the config, trains, prints the metrics, writes the files and the model to data/training
and logs both to MLflow.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import recsys
from pipelines.program import Outcome, Output, carried_out, command, way_in
from pipelines.report.terminal import print_run, print_whereabouts
from pipelines.report.training import print_training
from pipelines.storage.models import MODEL
from pipelines.storage.results import save_training
from pipelines.tracking.background import leave
from pipelines.tracking.describe import training_record
from pipelines.tracking.tracker import Recorded, keep, tracked
from pipelines.trust import read_config

_PATH = 'PATH="$PWD/.venv/bin:$PATH"'
"""MLflow starts other programs of the environment by name, so they must be on the path."""


main = way_in("train")


def execute(words: Sequence[str], output: Output) -> int:
    """Trains a recommender, tests it and prints the metrics.

    Args:
        words: a config and changes to it, such as `["configs/train/als.yaml", "k=10"]`.
        output: how much is printed.

    Returns:
        The exit code.
    """
    return carried_out(lambda: _train(words, output), output)


def _train(words: Sequence[str], output: Output) -> Outcome:
    training = read_config(recsys.load_training, words)
    with tracked(training, role="training") as tracker:
        result = recsys.train(training)
        folder = save_training(result)
        kept = keep(tracker, training_record(result, folder), folder)

    def show(console: Console) -> None:
        print_training(console, result, full=output.full)
        print_whereabouts(console, folder, "summary.csv, per_user.parquet, model/ …")

    def show_runs(console: Console, runs: Sequence[Recorded | None]) -> None:
        print_run(console, runs)
        _print_use(console, folder, runs[0], str(result.per_user["user_id"][0]))

    return Outcome(training.name, folder, result.summary.to_dicts(), show, [kept], show_runs)


def _print_use(console: Console, folder: Path, recorded: Recorded | None, user: str) -> None:
    """Prints the commands that use the model."""
    if not (folder / MODEL).is_dir():
        console.print("The model is not stored: only models of recsys.RECOMMENDERS can be.")
        return
    name = str(folder) if recorded is None else recorded.run_id
    console.print(f"Feed    {command('feed', name, user)}", soft_wrap=True)
    if recorded is not None and recorded.model_id is not None:
        store = f"MLFLOW_TRACKING_URI={shlex.quote(recorded.uri)} " if recorded.is_local else ""
        serve = f"mlflow models serve -m models:/{recorded.model_id} --env-manager local"
        console.print(f"Serve   {_PATH} {store}{serve} --port 5001", soft_wrap=True)


if __name__ == "__main__":
    leave(main())
