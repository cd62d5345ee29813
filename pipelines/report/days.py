"""Drift day by day, as tables, for studies that measure at least five days."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.report.headline import Variant, interval, name_of, number
from pipelines.report.net import mark
from pipelines.report.section import Section
from recsys.study.result import StudyResult

DAILY = "Day by day"
"""The beginning of the titles of these sections."""
_ENOUGH = 5
_ENGLISH = "language:en"
_SPREAD = {"mean": "English", "p50": "median", "p90": "p90", "top_tenth": "top tenth"}


def daily_sections(result: StudyResult, order: list[Variant]) -> Iterator[Section]:
    """A section for each recommender; none if fewer than five days were measured.

    Args:
        result: the result of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    if len(result.study.evaluation.days) < _ENOUGH:
        return
    slots = result.headline.filter(pl.col("day").is_not_null(), group="all")
    for variant in order:
        english = _english(result, variant)
        yield Section(
            f"{DAILY}: {name_of(variant)}  (% of long-time users' slots)",
            ("day", "net", "displaced", "changed", "floor", *_SPREAD.values()),
            tuple(
                _row(row, english.get(row["day"], {}))
                for row in slots.filter(_of(variant)).iter_rows(named=True)
            ),
            _WORDS if variant == order[-1] else (),
        )


_WORDS = (
    "English  % of slots in English with the influx: mean over long-time users, median and 90th",
    "         percentile. top tenth: mean of the tenth of users with the most English",
)


def _row(slots: Mapping[str, Any], english: Mapping[str, Any]) -> tuple[str, ...]:
    shares = (number(slots[name]) for name in ("displaced", "changed", "floor"))
    spread = (number(english.get(column)) for column in _SPREAD)
    return (f"{slots['day']}{mark(slots)}", interval(slots, "net"), *shares, *spread)


def _english(result: StudyResult, variant: Variant) -> dict[int, dict[str, Any]]:
    """Quantiles of incumbents' share of English in the influx arm, by day."""
    rows = result.quantiles.filter(
        _of(variant),
        pl.col("arm") == "influx",
        pl.col("cohort") == "incumbent",
        pl.col("measure") == _ENGLISH,
    )
    return {row["day"]: row for row in rows.iter_rows(named=True)}


def _of(variant: Variant) -> pl.Expr:
    recommender, mitigation = variant
    return (pl.col("recommender") == recommender) & (pl.col("mitigation") == mitigation)
