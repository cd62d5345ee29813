"""The tiny study that tests of the programs run, and its result on other days."""

import dataclasses
import io

import polars as pl
from rich.console import Console

from pipelines.report.terminal import print_summary
from recsys.study.result import StudyResult

WORLD = """
name: tiny
world:
  incumbents: 150
  influx: {kind: rednote_2025, newcomers: 40}
  days_before: 3
  days_after: 3
recommenders:
  - trending
  - {kind: als, factors: 4}
evaluation: {days: [1, 2], k: 5, panel: 40}
seeds: 2
"""


def with_days(result: StudyResult, days: tuple[int, ...]) -> StudyResult:
    """A result with day 1 repeated."""
    evaluation = result.study.evaluation.model_copy(update={"days": days})

    def repeated(frame: pl.DataFrame) -> pl.DataFrame:
        first = frame.filter(pl.col("day") == 1)
        dated = [first.with_columns(day=pl.lit(day, pl.Int32)) for day in days]
        return pl.concat([frame.filter(pl.col("day").is_null()), *dated])

    return dataclasses.replace(
        result,
        study=result.study.model_copy(update={"evaluation": evaluation}),
        drift=repeated(result.drift),
        quantiles=repeated(result.quantiles),
    )


def printed(result: StudyResult) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False, emoji=False, markup=False)
    print_summary(console, result)
    return console.file.getvalue()  # type: ignore[attr-defined]


def with_drift(
    result: StudyResult,
    recommender: str,
    measure: str = "slots_changed",
    **values: float | bool | None,
) -> StudyResult:
    """The result with some columns of one recommender's measure replaced."""
    chosen = (pl.col("recommender") == recommender) & (pl.col("measure") == measure)
    columns = [
        pl.when(chosen).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    ]
    return dataclasses.replace(result, drift=result.drift.with_columns(columns))
