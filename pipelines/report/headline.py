"""The headline figures of a study by name, and figures as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from recsys.core.lazy import lazy
from recsys.study.result import StudyResult

DASH = "–"

Variant = tuple[str, str]
"""Recommender and mitigation."""


@dataclass(frozen=True)
class Headline:
    """Means over the evaluation days of a finished study."""

    result: StudyResult

    @lazy
    def variants(self) -> list[Variant]:
        """Recommenders and mitigations, in the order of the config."""
        rows = self.result.drift.select("recommender", "mitigation").unique(maintain_order=True)
        return list(rows.iter_rows())

    def drift(self, variant: Variant, measure: str) -> Mapping[str, Any]:
        """The row of `drift` over all days; empty if the variant was not measured by `measure`."""
        return self._drift.get((*variant, measure), {})

    def net(self, variant: Variant, group: str = "all") -> Mapping[str, Any]:
        """The row of the table `headline` over all days; empty if there is none."""
        return self._net.get((*variant, group), {})

    def level(self, variant: Variant, arm: str, measure: str, cohort: str = "incumbent") -> Any:
        """The mean of a measure in an arm; None if it was not measured."""
        return self._levels.get((*variant, arm, cohort, measure))

    def has(self, measure: str) -> bool:
        """Whether any variant was measured by `measure`."""
        return any(self.drift(variant, measure) for variant in self.variants)

    @lazy
    def _drift(self) -> dict[tuple[str, ...], dict[str, Any]]:
        rows = self.result.drift.filter(pl.col("day").is_null()).iter_rows(named=True)
        return {(row["recommender"], row["mitigation"], row["measure"]): row for row in rows}

    @lazy
    def _net(self) -> dict[tuple[str, ...], dict[str, Any]]:
        rows = self.result.headline.filter(pl.col("day").is_null()).iter_rows(named=True)
        return {(row["recommender"], row["mitigation"], row["group"]): row for row in rows}

    @lazy
    def _levels(self) -> dict[tuple[str, ...], float]:
        keys = ("recommender", "mitigation", "arm", "cohort", "measure")
        whole = self.result.summary.filter(pl.col("day").is_null())
        return {row[:-1]: row[-1] for row in whole.select(*keys, "mean").iter_rows()}


def name_of(variant: Variant) -> str:
    """The name of a row.

    >>> name_of(("als", "none")), name_of(("als", "cap"))
    ('als', 'als + cap')
    """
    recommender, mitigation = variant
    return recommender if mitigation == "none" else f"{recommender} + {mitigation}"


def number(value: float | None, scale: float = 100, digits: int = 1) -> str:
    """A figure as text, times `scale`: in hundredths by default.

    >>> number(0.1234), number(1234, 1, 0), number(None)
    ('12.3', '1,234', '–')
    """
    if value is None:
        return DASH
    text = f"{value * scale:,.{digits}f}"
    return text if text.strip("-0.") else text.removeprefix("-")


def interval(row: Mapping[str, Any], part: str, scale: float = 100) -> str:
    """A part of drift with its 95 % interval, if it has one.

    >>> row = {"composition": 0.1, "composition_ci_low": 0.05, "composition_ci_high": 0.15}
    >>> interval(row, "composition")
    '10.0 [5.0, 15.0]'
    """
    middle = number(row.get(part), scale)
    low, high = row.get(f"{part}_ci_low"), row.get(f"{part}_ci_high")
    if low is None or high is None:
        return middle
    return f"{middle} [{number(low, scale)}, {number(high, scale)}]"
