"""Searches for hyper-parameters: `python -m pipelines.tune CONFIG [key=value ...]`.

Each setting is trained on a part of what `pipelines.train` trains on and judged on the rest of it;
what that tests on is not looked at. Trials are kept in data/tuning: a search that was stopped goes
on from there. Exit codes: 0 done · 1 done, but MLflow did not take it · 2 a mistake that the user
can mend · 130 interrupted.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

import recsys
from pipelines.report.console import print_section, stdout
from pipelines.report.progress import StudyProgress
from pipelines.report.section import Section
from pipelines.report.terminal import print_whereabouts
from pipelines.tracking.tracker import TrackingError, tracked
from pipelines.tuning import Search
from recsys.core.errors import UserError
from recsys.measures.metrics.registry import METRICS
from recsys.recommenders import Recommender
from recsys.training.train import evaluate, source_of, split_for_tuning, truth_of

_SHOWN = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Tunes from the command line.

    Args:
        argv: arguments after the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_intermixed_args(argv)
    progress = StudyProgress("trials")
    try:
        search = Search(recsys.load_training(arguments.config, arguments.overrides))
        return _run(search, progress)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        words = ["python", "-m", "pipelines.tune", arguments.config, *arguments.overrides]
        print(
            f"Interrupted with {progress.done} of {progress.total} trials done, which are kept; "
            f"the same command goes on from there:\n  {shlex.join(words)}",
            file=sys.stderr,
        )
        return 130


def _run(search: Search, progress: StudyProgress) -> int:
    training, recorded, trouble = search.training, None, None
    metrics = tuple(dict.fromkeys((*training.metrics, search.tune.metric)))
    judged_by = training.model_copy(update={"metrics": metrics})
    progress.total, progress.done = search.tune.trials, min(search.done, search.tune.trials)
    with tracked(training, role="tuning") as tracker:
        if search.done < search.tune.trials:
            log, simulation = source_of(training)
            split = split_for_tuning(training, log)
            truth = truth_of(training, simulation, split)

            def figures(recommender: Recommender) -> dict[str, float]:
                result = evaluate(judged_by, recommender, split, truth)
                seconds = result.timings.row(0, named=True)["fit_s"]
                return {**{name: result.figure(name) for name in metrics}, "fit_s": seconds}

            with progress:
                search.run(figures, progress)
        search.save()
        if tracker is not None:
            try:
                recorded = tracker.record_tuning(training, search.trials, search.folder)
            except TrackingError as error:
                trouble = error
    console = stdout()
    _print(console, search)
    print_whereabouts(console, search.folder, recorded, "trials.csv, best.yaml")
    console.print(f"Train   python -m pipelines.train {search.folder}/best.yaml", soft_wrap=True)
    if trouble is not None:
        print(trouble, file=sys.stderr)
    return 0 if trouble is None else 1


def _print(console: Console, search: Search) -> None:
    """The best trials, best first."""
    metric, options = search.tune.metric, list(search.tune.space)
    trials = search.trials.sort(metric, descending=True, maintain_order=True)
    rows = tuple(
        (f"{row['trial']}", *(_number(row[name]) for name in (*options, metric, "fit_s")))
        for row in trials.head(_SHOWN).iter_rows(named=True)
    )
    columns = ("trial", *options, f"{METRICS[metric].title}@{search.training.k}", "fit s")
    said = f"{min(_SHOWN, trials.height)} of {trials.height} trials, on the validation part."
    title = f"{search.training.name}: which options of {search.training.recommender.name}?"
    print_section(console, Section(title, columns, rows, ("", said)))


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.tune",
        description="Search for a recommender's hyper-parameters on a validation split.",
        epilog="Trials stay in data/tuning: a search that was stopped goes on from there, and "
        "one with more trials too.",
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file, such as configs/tune/als.yaml")
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        help="changes to it, dots for nested keys: tune.trials=50 tune.metric=recall",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
