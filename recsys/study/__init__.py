"""A study: planned into cells, each run alone, and combined."""

from recsys.study.arms.result import CellResult
from recsys.study.cell import Cell
from recsys.study.load import load_studies, load_study
from recsys.study.plan import plan
from recsys.study.result import StudyResult, combine
from recsys.study.run import run, run_cell

__all__ = [
    "Cell",
    "CellResult",
    "StudyResult",
    "combine",
    "load_studies",
    "load_study",
    "plan",
    "run",
    "run_cell",
]
