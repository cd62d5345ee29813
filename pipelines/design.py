"""Tests trials that a platform could run when newcomers come: `recsys design [CONFIG]`.

It runs the designs of `recsys.checks.designs` in a config's world, prints for each what it
estimates, how far interference takes it from the truth, and how many people it takes, and writes
the same to data/designs. Finished parts are kept, so that the same command continues from there.
"""

from collections.abc import Sequence

from rich.console import Console

import recsys
from pipelines.program import Outcome, Output, carried_out, goes_on, way_in
from pipelines.report.designs import print_designs
from pipelines.report.progress import StudyProgress
from pipelines.report.terminal import print_whereabouts
from pipelines.storage.figures import DESIGNS, save_designs
from pipelines.storage.shared import row_store
from pipelines.tracking.background import leave
from pipelines.trust import read_config
from recsys.checks.designs import plan, run_designs
from recsys.config import Study

_CONFIG = "configs/design.yaml"


main = way_in("design")


def execute(words: Sequence[str], output: Output, *, effect: float = 0.01) -> int:
    """Tests the designs and prints what they are worth.

    Args:
        words: a config, configs/design.yaml if there is none, and changes to it.
        output: how much is printed.
        effect: the effect to see, as a change of a share, such as 0.01.

    Returns:
        The exit code.
    """
    progress = output.progress("parts")
    typed = ["design", *words, "--effect", f"{effect:g}", *output.flags]

    def work() -> Outcome:
        study = read_config(recsys.load_study, words, _CONFIG)
        return _design(study, effect, output, progress)

    return carried_out(work, output, lambda: goes_on(progress, f"{DESIGNS}/parts", *typed))


def _design(study: Study, effect: float, output: Output, progress: StudyProgress) -> Outcome:
    progress.total = len(plan(study))
    progress.kept_in = study.engine.storage
    with progress:
        table, rows = run_designs(study, effect, progress, row_store(study, DESIGNS))
    folder = save_designs(study, table, rows)

    def show(console: Console) -> None:
        print_designs(console, table, effect, full=output.full)
        print_whereabouts(console, folder, "designs.csv, estimates.csv, config.yaml")

    return Outcome(study.name, folder, table.to_dicts(), show, more={"effect": effect})


if __name__ == "__main__":
    leave(main())
