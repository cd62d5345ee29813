"""Searches for hyper-parameters: `recsys tune CONFIG [key=value ...]`.

Each trial trains on one part of the training data of `recsys train` and is judged on the other
part. The test data of `recsys train` are not used. Trials are kept in data/tuning, so that a search
that was stopped continues from there.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl
from rich.console import Console

import recsys
from pipelines.program import (
    Outcome,
    Output,
    carried_out,
    command,
    goes_on,
    way_in,
)
from pipelines.report.console import print_section
from pipelines.report.progress import StudyProgress
from pipelines.report.section import Section
from pipelines.report.terminal import print_run, print_whereabouts
from pipelines.storage.results import TUNINGS
from pipelines.tracking.background import leave
from pipelines.tracking.describe import tuning_record
from pipelines.tracking.tracker import keep, tracked
from pipelines.trial import Bench
from pipelines.trust import read_config
from pipelines.tuning import Search, best_first
from recsys.engines import engine_of
from recsys.measures.metrics.registry import METRICS

_SHOWN = 10


main = way_in("tune")


def execute(words: Sequence[str], output: Output) -> int:
    """Searches, and prints the best trials.

    Args:
        words: a config with `tune`, and changes to it: `["configs/tune/als.yaml", "seed=1"]`.
        output: how much is printed.

    Returns:
        The exit code.
    """
    progress = output.progress("trials")
    return carried_out(
        lambda: _tune(Search(read_config(recsys.load_training, words)), output, progress),
        output,
        lambda: goes_on(progress, str(TUNINGS), "tune", *words, *output.flags),
    )


def _tune(search: Search, output: Output, progress: StudyProgress) -> Outcome:
    training = search.training
    with search.alone(), tracked(training, role="tuning") as tracker:
        progress.total, progress.done = search.tune.trials, min(search.done, search.tune.trials)
        if progress.done < progress.total:
            with progress:
                search.run(Bench(training), progress, engine_of(training))
        search.save()
        kept = keep(tracker, tuning_record(training, search.trials), search.folder)
        trials = best_first(search.trials, search.tune.metric)

    def show(console: Console) -> None:
        _print(console, search, trials, trials.height if output.full else _SHOWN)
        print_whereabouts(console, search.folder, "trials.csv, best.yaml")
        best = f"{search.folder}/best.yaml"
        console.print(f"Train   {command('train', best)}", soft_wrap=True)

    return Outcome(training.name, search.folder, trials.to_dicts(), show, [kept], print_run)


def _print(console: Console, search: Search, trials: pl.DataFrame, most: int) -> None:
    """Prints the best trials, best first."""
    metric, options = search.tune.metric, list(search.tune.space)
    rows = tuple(
        (f"{row['trial']}", *(_number(row[name]) for name in (*options, metric, "fit_s")))
        for row in trials.head(most).iter_rows(named=True)
    )
    columns = ("trial", *options, f"{METRICS[metric].title}@{search.training.k}", "fit s")
    shown = min(most, trials.height)
    line = f"The best {shown} of {trials.height} trials, judged on the validation part of the log."
    if "failed" in trials.columns:
        failed = trials["failed"].drop_nulls()
        line += f" {len(failed)} of them failed, such as: {failed[0]}"
    title = f"{search.training.name}: which options suit {search.training.recommender.name} best?"
    print_section(console, Section(title, columns, rows, ("", line)))


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    leave(main())
