"""Compares two studies of the same world or log: `recsys compare STUDY STUDY`.

It reads the folders that `recsys run` wrote, refuses studies of different worlds or logs, and gives
the paired differences as text, as a page, and as an MLflow run.
"""

from pathlib import Path

from rich.console import Console

from pipelines.program import Outcome, Output, carried_out, way_in
from pipelines.report.compared import compared_sections, sentences_of
from pipelines.report.console import print_section
from pipelines.report.plain_page import plain_page
from pipelines.report.terminal import print_run, print_whereabouts
from pipelines.storage.results import load_saved, save_compared
from pipelines.tracking.background import leave
from pipelines.tracking.describe import begun_as, comparison_record
from pipelines.tracking.tracker import keep, tracked_as
from recsys.core.errors import ConfigError
from recsys.study.compare import compare_studies

main = way_in("compare")


def execute(
    first: str, second: str, output: Output, *, tracking: bool = True, trust: bool = False
) -> int:
    """Compares two studies.

    Args:
        first, second: folders of finished studies, such as data/studies/demo-0123456789ab.
        output: how much is printed.
        tracking: whether the comparison is recorded in MLflow.
        trust: whether classes that their configs name as module:Class may be loaded.

    Returns:
        The exit code.
    """
    folders = (Path(first), Path(second))
    return carried_out(lambda: _compare(*folders, output, tracking, trust), output)


def _compare(first: Path, second: Path, output: Output, tracking: bool, trust: bool) -> Outcome:
    study, rows, digest = load_saved(first, trust=trust)
    other, other_rows, other_digest = load_saved(second, trust=trust)
    if digest != other_digest:
        raise ConfigError(
            f"compare: {first.name} and {second.name} met different worlds or logs (world_digest "
            f"{digest[:8]} and {other_digest[:8]}), so nobody can be paired; run one of them again "
            "with the other's `world` or `log`"
        )
    table = compare_studies((study, rows), (other, other_rows))
    sentences = sentences_of(table)
    name = f"{study.name} against {other.name}"
    sections = tuple(compared_sections(first.name, second.name, table))
    folder = save_compared(table, plain_page(name, sections), first, second)
    begun = begun_as(name, "comparison", study.tracking.experiment, digest)
    with tracked_as(lambda: begun, study.tracking.experiment, tracking) as tracker:
        record = comparison_record(begun, table, sentences, (first, second), folder)
        kept = keep(tracker, record, folder, off="--no-tracking")

    def show(console: Console) -> None:
        for section in sections if output.full else sections[:-1]:
            print_section(console, section)
        if not output.full:
            console.print("More    --full prints every measure", soft_wrap=True)
        print_whereabouts(console, folder, "report.html, differences.csv")

    return Outcome(
        name,
        folder,
        table.to_dicts(),
        show,
        [kept],
        print_run,
        more={"sentences": sentences},
    )


if __name__ == "__main__":
    leave(main())
