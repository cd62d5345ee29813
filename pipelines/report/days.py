"""How drift goes on from day to day, where enough days were measured to see a course."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.report.headline import Variant, interval, name_of, number
from pipelines.report.section import Section
from recsys.study import StudyResult
from recsys.summary import SATURATED

__all__ = ["daily_sections"]

_ENOUGH = 5
_ENGLISH = "language:en"
_SPREAD = {"mean": "English: mean", "p50": "median", "p90": "p90", "top_tenth": "top tenth"}


def daily_sections(result: StudyResult, order: list[Variant]) -> Iterator[Section]:
    """A section for each recommender; none where only a few days were measured.

    Args:
        result: of a study of a world.
        order: recommenders, as in the other sections.
    """
    if len(result.study.evaluation.days) < _ENOUGH:
        return
    slots = result.drift.filter(
        pl.col("measure") == "slots_changed", pl.col("day").is_not_null()
    )  # fmt: skip
    for variant in order:
        english = _english(result, variant)
        yield Section(
            f"Day by day: {name_of(variant)}  (% of incumbents' slots; English with the influx)",
            ("day", "changed", "noise", "placebo", "who", *_SPREAD.values()),
            tuple(
                _row(row, english.get(row["day"], {}))
                for row in slots.filter(_of(variant)).iter_rows(named=True)
            ),
            _words(slots) if variant == order[-1] else (),
        )


def _words(slots: pl.DataFrame) -> tuple[str, ...]:
    """What the columns mean, below the last table."""
    full = (
        f"†          a placebo or another seed changes {SATURATED:.0%} or more: no room to see who"
    )
    return (
        "placebo    what as many newcomers like the incumbents changed; changed - placebo = who",
        "top tenth  the tenth of the incumbents with the most English in their feeds",
        *([full] if slots["saturated"].any() else []),
    )


def _row(drift: Mapping[str, Any], english: Mapping[str, Any]) -> tuple[str, ...]:
    day = f"{drift['day']}{' †' if drift['saturated'] else ''}"
    changed = (number(drift[arm]) for arm in ("influx", "retrain", "placebo"))
    spread = (number(english.get(column)) for column in _SPREAD)
    return (day, *changed, interval(drift, "who"), *spread)


def _english(result: StudyResult, variant: Variant) -> dict[int, dict[str, Any]]:
    """How the share of English is spread over the incumbents, by day, with the influx."""
    rows = result.quantiles.filter(
        _of(variant), pl.col("arm") == "influx", pl.col("cohort") == "incumbent",
        pl.col("measure") == _ENGLISH,
    )  # fmt: skip
    return {row["day"]: row for row in rows.iter_rows(named=True)}


def _of(variant: Variant) -> pl.Expr:
    recommender, mitigation = variant
    return (pl.col("recommender") == recommender) & (pl.col("mitigation") == mitigation)
