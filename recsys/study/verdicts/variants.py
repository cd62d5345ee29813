"""The recommenders of a study of a world, each with its answer and its rows of `headline`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from recsys.study.result import StudyResult
from recsys.study.verdicts.value import Finding

YES, A_LITTLE, NONE, NOT_KNOWN, NOT_MEASURABLE = ANSWERS = (
    "yes",
    "a little",
    "no detectable change",
    "not known",
    "not measurable",
)
"""The answers, the strongest first."""
LITTLE = 0.05
"""Net change below which a change is a little one."""

Row = Mapping[str, Any]


class Variant(NamedTuple):
    """One recommender under one mitigation: its answer, and its rows over all days by group."""

    finding: Finding
    groups: Mapping[str, Row]

    @property
    def name(self) -> str:
        return self.finding.name

    @property
    def row(self) -> Row:
        return self.groups["all"]

    @property
    def key(self) -> tuple[str, str]:
        return self.finding.recommender, self.finding.mitigation


def answer_of(row: Row) -> str:
    """The answer that a row of the table `headline` gives.

    Args:
        row: the row of all users over all days.

    >>> answer_of({"net": 0.12, "net_ci_low": 0.05}), answer_of({"net": 0.02, "net_ci_low": 0.01})
    ('yes', 'a little')
    """
    if row["net"] is None:
        return NOT_MEASURABLE
    if row["net_ci_low"] is None:
        return NOT_KNOWN
    if row["net_ci_low"] <= 0:
        return NONE
    return YES if row["net"] >= LITTLE else A_LITTLE


def in_order(result: StudyResult) -> list[Variant]:
    """Recommenders by net change; those without one come last, by slots changed.

    Args:
        result: the result of a study of a world.
    """
    groups: dict[tuple[str, str], dict[str, Row]] = {}
    for row in result.headline.filter(pl.col("day").is_null()).iter_rows(named=True):
        groups.setdefault((row["recommender"], row["mitigation"]), {})[row["group"]] = row
    found = [
        Variant(Finding(*key, answer_of(g["all"])), g) for key, g in groups.items() if "all" in g
    ]

    def change(variant: Variant) -> tuple[bool, float]:
        net = variant.row["net"]
        return net is None, variant.row["changed"] if net is None else net

    return sorted(found, key=change)
