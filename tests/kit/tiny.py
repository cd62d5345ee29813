"""The tiny study that tests of the programs run, and its result on other days."""

import dataclasses

import polars as pl

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
  - {kind: als, factors: 4, candidate_days: null}
evaluation: {days: [1, 2], k: 5, panel: 40, nudges: 2}
seeds: 2
"""


def with_days(result: StudyResult, days: tuple[int, ...]) -> StudyResult:
    """A result with day 1 repeated."""
    evaluation = result.study.evaluation.model_copy(update={"days": days})

    def repeated(frame: pl.DataFrame) -> pl.DataFrame:
        first = frame.filter(pl.col("day") == 1)
        dated = [first.with_columns(day=pl.lit(day, pl.Int32)) for day in days]
        return pl.concat([frame.filter(pl.col("day").is_null()), *dated])

    study = result.study.model_copy(update={"evaluation": evaluation})
    return dataclasses.replace(result, study=study).with_tables(
        headline=repeated(result.headline),
        drift=repeated(result.drift),
        quantiles=repeated(result.quantiles),
    )
