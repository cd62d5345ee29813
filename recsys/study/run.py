"""Runs the cells of a study and combines what they found."""

from collections.abc import MutableMapping
from dataclasses import replace

from recsys.config import OwnLog, Study
from recsys.core.jobs import Progress, run_all
from recsys.core.threads import single_threaded_blas
from recsys.study.arms.gated import values_of
from recsys.study.arms.measuring import measure
from recsys.study.arms.result import CellResult
from recsys.study.cell import Cell
from recsys.study.plan import plan
from recsys.study.result import StudyResult, combine
from recsys.study.sources import Sources


def run_cell(cell: Cell, sources: Sources | None = None) -> CellResult:
    """Runs one cell.

    Args:
        cell: from `plan`.
        sources: what it shares with the study's other cells; None if it runs alone.
    """
    own = Sources(cell.study) if sources is None else sources
    with single_threaded_blas():
        if cell.coalitions:
            return CellResult.of_games(values_of(own.gated_loop(cell)))
        if isinstance(cell.study.source, OwnLog):
            feeds = own.log_feeds(cell)
            found = measure(feeds)
            return replace(found, removals=feeds.exact_removals()) if feeds.with_influx else found
        return measure(
            own.closed_loop(cell) if cell.study.loop == "closed" else own.open_loop(cell)
        )


def run(
    study: Study,
    progress: Progress | None = None,
    store: MutableMapping[str, CellResult] | None = None,
) -> StudyResult:
    """Runs a whole study in `study.workers` threads.

    Args:
        study: from `load_study`.
        progress: called with cells done, cells in all, and the name of the cell just done.
        store: results by `Cell.identity`; what it holds already is not run again.

    Raises:
        ConfigError, LogError: before any cell runs, where possible.
    """
    sources = Sources(study)

    def work(cell: Cell) -> CellResult:
        return run_cell(cell, sources)

    finished = run_all(plan(study, sources), work, study.workers, progress, store)
    return combine(study, finished, sources)
