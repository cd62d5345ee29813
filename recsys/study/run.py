"""Runs the cells of a study and combines what they found."""

from collections.abc import MutableMapping

from recsys.config import OwnLog, Study
from recsys.core.jobs import Progress, run_all
from recsys.core.threads import single_threaded_blas
from recsys.mitigations.build import make_recommender
from recsys.study.arms.result import CellResult
from recsys.study.cell import Cell
from recsys.study.plan import plan
from recsys.study.result import StudyResult, combine
from recsys.study.sources import _channel_arms, _closed_arms, log_arms, world_arms


def run_cell(cell: Cell) -> CellResult:
    """Runs one cell."""
    anew = cell.study.loop == "open"
    recommender = make_recommender(cell.recommender, cell.chain, anew=anew)
    name = (cell.recommender.name, cell.chain.name)
    with single_threaded_blas():
        if isinstance(cell.study.source, OwnLog):
            first = cell.draws.start == 1
            arms = log_arms(cell.study)
            return arms.measure(name, recommender, cell.draws, with_influx=first)
        if cell.coalitions:
            games = _channel_arms(cell, recommender).values(name, cell.coalitions)
            return CellResult.of_games(games)
        if cell.study.loop == "closed":
            return _closed_arms(cell, recommender).measure(name, recommender)
        return world_arms(cell.study, cell.seed).measure(name, recommender)


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
    finished = run_all(plan(study), run_cell, study.workers, progress, store)
    return combine(study, finished)
