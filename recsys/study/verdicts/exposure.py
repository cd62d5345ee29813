"""The verdict of the view by exposure: whether the most exposed incumbents changed differently.

It is secondary (`recsys.study.arms.by_exposure`), and there is one for each outcome:

- `changed`: the p-value of the outcome, adjusted for the number of outcomes (Holm), is at most .05:
  the most exposed third changed more, or less, than the least exposed;
- `no evidence`: that p-value is larger;
- `no verdict`: the two thirds changed differently even before anybody came.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from recsys.statistics import holm
from recsys.study.verdicts.log import LEVEL, NO_EVIDENCE

CHANGED, NO_VERDICT = "changed", "no verdict"
"""Answers beside `recsys.study.verdicts.log.NO_EVIDENCE`."""


class ByExposure(NamedTuple):
    """The verdict on one outcome."""

    row: Mapping[str, Any]
    """The row of the outcome, columns as in `recsys.study.arms.by_exposure.EXPOSED`."""
    check: Mapping[str, Any]
    """The row of its check; empty if there is none."""
    p_value: float
    """Adjusted for the number of outcomes."""

    @property
    def answer(self) -> str:
        """`CHANGED`, `NO_EVIDENCE` or `NO_VERDICT`."""
        if self.check and self.check["p_value"] <= LEVEL:
            return NO_VERDICT
        return CHANGED if self.p_value <= LEVEL else NO_EVIDENCE


def verdicts_by_exposure(table: pl.DataFrame) -> list[ByExposure]:
    """The verdict on each outcome of the view.

    Args:
        table: columns of `recsys.study.arms.by_exposure.EXPOSED`.

    Example:
        >>> rows = [("topic", False, 0.01), ("topic", True, 0.5), ("format", False, 0.04)]
        >>> table = pl.DataFrame(rows, schema=["outcome", "check", "p_value"], orient="row")
        >>> [(of.row["outcome"], of.p_value, of.answer) for of in verdicts_by_exposure(table)]
        [('topic', 0.02, 'changed'), ('format', 0.04, 'changed')]
    """
    checks = {row["outcome"]: row for row in table.filter("check").iter_rows(named=True)}
    outcomes = table.filter(~pl.col("check"))
    return [
        ByExposure(row, checks.get(row["outcome"], {}), float(p))
        for row, p in zip(outcomes.iter_rows(named=True), holm(outcomes["p_value"]), strict=True)
    ]
