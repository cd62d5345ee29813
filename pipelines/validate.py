"""Checks a platform against real ones: `recsys validate [CONFIG] [key=value ...]`.

It runs the checks of `recsys.checks.validation` on a config's world, prints each figure with its
target, tolerance and verdict, writes them to data/validations and logs them to MLflow. Finished
parts are kept, so that the same command continues from there. The exit code is 0 for all verdicts.
"""

from collections.abc import Sequence

from rich.console import Console

import recsys
from pipelines.program import Outcome, Output, carried_out, goes_on, way_in
from pipelines.report.progress import StudyProgress
from pipelines.report.terminal import print_run, print_whereabouts
from pipelines.report.verdicts import print_verdicts
from pipelines.storage.figures import VALIDATIONS, save_verdicts
from pipelines.storage.shared import figure_store
from pipelines.tracking.background import leave
from pipelines.tracking.describe import verdicts_record
from pipelines.tracking.tracker import keep, tracked
from pipelines.trust import read_config
from recsys.checks.validation.run import plan, validate
from recsys.config import Study

_CONFIG = "configs/validate.yaml"


main = way_in("validate")


def execute(words: Sequence[str], output: Output) -> int:
    """Runs the checks and prints their verdicts.

    Args:
        words: a config, configs/validate.yaml if there is none, and changes to it.
        output: how much is printed.

    Returns:
        The exit code, whatever the verdicts.
    """
    progress = output.progress("parts")
    return carried_out(
        lambda: _validate(read_config(recsys.load_study, words, _CONFIG), output, progress),
        output,
        lambda: goes_on(progress, f"{VALIDATIONS}/parts", "validate", *words, *output.flags),
    )


def _validate(study: Study, output: Output, progress: StudyProgress) -> Outcome:
    progress.total = len(plan(study))
    progress.kept_in = study.engine.storage
    with tracked(study, role="validation") as tracker:
        with progress:
            verdicts, measured = validate(study, progress, figure_store(study))
        folder = save_verdicts(study, verdicts, measured)
        kept = keep(tracker, verdicts_record(study, "validation", verdicts, folder), folder)

    def show(console: Console) -> None:
        print_verdicts(console, verdicts, full=output.full)
        print_whereabouts(console, folder, "verdicts.csv, measured.csv, config.yaml")

    return Outcome(study.name, folder, verdicts.to_dicts(), show, [kept], print_run)


if __name__ == "__main__":
    leave(main())
