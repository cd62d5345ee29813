"""Checks the tool itself: `recsys prove [CONFIG] [key=value ...] [--parts ...]`.

It runs the parts of `recsys.checks.proof`, prints each claim with its figures and verdicts, writes
them with tables and plots to data/proofs and logs them to MLflow. Finished parts are kept, so that
the same command continues from there. The exit code is 0 for all verdicts.
"""

from collections.abc import Sequence

from rich.console import Console

import recsys
from pipelines.program import Outcome, Output, carried_out, goes_on, way_in
from pipelines.report.progress import StudyProgress
from pipelines.report.terminal import print_run, print_whereabouts
from pipelines.report.verdicts import print_verdicts
from pipelines.storage.figures import PROOFS, save_proof
from pipelines.storage.shared import row_store
from pipelines.tracking.background import leave
from pipelines.tracking.describe import verdicts_record
from pipelines.tracking.tracker import keep, tracked
from pipelines.trust import read_config
from recsys.checks.proof.claims import TITLES
from recsys.checks.proof.run import FULL, SHORT, Effort, plan, prove
from recsys.config import Study

_CONFIG = "configs/prove.yaml"


main = way_in("prove")


def execute(words: Sequence[str], output: Output, *, parts: str = "", quick: bool = False) -> int:
    """Runs the parts of the proof and prints the verdicts.

    Args:
        words: a config, configs/prove.yaml if there is none, and changes to it.
        output: how much is printed.
        parts: some of `recsys.checks.proof.run.KINDS`, joined by commas, such as `offline,dose`;
            all that the config's source has if empty.
        quick: whether this is a quick test that the parts run, with figures that mean nothing.

    Returns:
        The exit code, whatever the verdicts.
    """
    progress = output.progress("parts")
    kinds = tuple(parts.split(",")) if parts else ()
    options = [*(["--parts", parts] if parts else []), *(["--quick"] if quick else [])]
    typed = ["prove", *words, *options, *output.flags]

    def work() -> Outcome:
        study = read_config(recsys.load_study, words, _CONFIG)
        return _prove(study, SHORT if quick else FULL, kinds, output, progress)

    return carried_out(work, output, lambda: goes_on(progress, f"{PROOFS}/parts", *typed))


def _prove(
    study: Study, effort: Effort, kinds: Sequence[str], output: Output, progress: StudyProgress
) -> Outcome:
    progress.total = len(plan(study, effort, kinds))
    progress.kept_in = study.engine.storage
    with tracked(study, role="proof") as tracker:
        with progress:
            proof = prove(study, effort, kinds, progress, row_store(study))
        folder = save_proof(study, proof)
        kept = keep(tracker, verdicts_record(study, "proof", proof.verdicts, folder), folder)

    def show(console: Console) -> None:
        over = "seeds" if study.log_ is None else "groups"
        print_verdicts(console, proof.verdicts, TITLES, "of", over=over, full=output.full)
        print_whereabouts(console, folder, "verdicts.csv, tables, plots, config.yaml")

    return Outcome(study.name, folder, proof.verdicts.to_dicts(), show, [kept], print_run)


if __name__ == "__main__":
    leave(main())
