"""Runs the cells of a study, and combines their results."""

from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from functools import partial

from recsys.config import OwnLog, Study
from recsys.core.jobs import Progress, run_all
from recsys.core.threads import single_threaded_blas
from recsys.engines import engine_of
from recsys.logs.files import content_digest, steady
from recsys.study.arms.gated import values_of
from recsys.study.arms.measuring import measure
from recsys.study.arms.result import CellResult
from recsys.study.arms.snapshots import Snapshots
from recsys.study.cell import Cell
from recsys.study.plan import plan
from recsys.study.result import StudyResult, combine
from recsys.study.sources import Sources, together


def run_cell(cell: Cell, sources: Sources | None = None) -> CellResult:
    """Runs one cell.

    Args:
        cell: from `plan`.
        sources: what the cell shares with the study's other cells; None if it runs alone.
    """
    sources = Sources(cell.study) if sources is None else sources
    snapshots = _snapshots_of(cell)
    with single_threaded_blas():
        if cell.coalitions:
            return CellResult.of_games(values_of(sources.gated_loop(cell)))
        if isinstance(cell.study.source, OwnLog):
            feeds = sources.log_feeds(cell)
            result = measure(feeds, snapshots)
            return replace(result, removals=feeds.exact_removals()) if feeds.with_influx else result
        if cell.study.loop == "closed":
            return measure(sources.closed_loop(cell), snapshots)
        return measure(sources.open_loop(cell), snapshots)


def _snapshots_of(cell: Cell) -> Snapshots | None:
    """Which feeds a cell keeps; None if the study shows feeds of another seed."""
    everything = cell.study.evaluation.snapshots
    is_shown = cell.seed == cell.study.first_seed
    return Snapshots(everything) if everything or is_shown else None


def run(
    study: Study,
    progress: Progress | None = None,
    store: MutableMapping[str, CellResult] | None = None,
) -> StudyResult:
    """Runs a whole study, on its engine: by default in as many threads as `workers` says.

    Args:
        study: from `load_study`.
        progress: function that is called after each cell with the number of finished cells, the
            number of all cells and the name of the cell.
        store: results of cells, by `Cell.identity`. A cell whose result is in the store is not run
            again. A cluster's processes write to it if its attribute `shared` is true: then,
            pickled and opened on another machine, it must be the same store.

    Raises:
        ConfigError: the study cannot run; raised before any cell runs, if possible.
        EngineError: its cluster cannot be used.
        LogError: its log cannot be used; raised before any cell runs, if possible. Or a file of the
            log changes while the study runs: then nothing more is stored or reused.
    """
    sources = Sources(study)

    with steady():
        kept = None if store is None else _Steady(store, study)
        work = partial(run_cell, sources=sources)
        finished = run_all(plan(study, sources), work, engine_of(study), progress, kept, together)
        check_unchanged(study)
        return combine(study, finished, sources)


def check_unchanged(study: Study) -> None:
    """Raises LogError if a file of the study's log has changed since `steady` began."""
    if isinstance(study.source, OwnLog):
        for name in ("events", "users", "items"):
            if (path := getattr(study.source, name)) is not None:
                content_digest(path, f"log.{name}")


class _Steady(MutableMapping[str, CellResult]):
    """A store that takes and gives nothing once a file of the study's log has changed."""

    def __init__(self, store: MutableMapping[str, CellResult], study: Study) -> None:
        self._store, self._study = store, study
        self.shared = getattr(store, "shared", False)

    def __getitem__(self, identity: str) -> CellResult:
        check_unchanged(self._study)
        return self._store[identity]

    def __setitem__(self, identity: str, result: CellResult) -> None:
        check_unchanged(self._study)
        self._store[identity] = result

    def __delitem__(self, identity: str) -> None:
        del self._store[identity]

    def __iter__(self) -> Iterator[str]:
        return iter(self._store)

    def __len__(self) -> int:
        return len(self._store)
