"""Charts of a comparison of served feeds: drift beside its floor, over all days and by day."""

from collections.abc import Iterator

import polars as pl

from pipelines.report.charts.chart import (
    BLUE,
    FIGURES,
    GREY,
    ORANGE,
    Chart,
    Panel,
    cut_words,
    point,
)
from pipelines.report.charts.days import course
from pipelines.report.charts.users import dots
from recsys.measures.registry import MEASURES
from recsys.served.compare import FeedComparison

_SHOWN = ("slots_changed", "posts", "creators", "language_format", "topic", "embedding")
"""Measures of the library that are shown; mixes of attributes of one's own are, too."""
_PARTS = {"drift": ("B from A", BLUE), "floor": ("what changes anyway", GREY)}


def served_charts(result: FeedComparison) -> Iterator[Chart]:
    """Drift and floor of each measure, and by day where there are several.

    Args:
        result: the result of `recsys.compare_feeds`.
    """
    named = {row["measure"]: row for row in result.measures.iter_rows(named=True)}
    everybody = result.drift["cohort"].unique(maintain_order=True).to_list()[-1:]
    drifts = [
        name
        for name, row in named.items()
        if row["kind"] == "drift" and (name in _SHOWN or name not in MEASURES)
    ]
    mine = result.drift.filter(pl.col("cohort").is_in(everybody), pl.col("measure").is_in(drifts))
    rows = []
    for row in mine.filter(pl.col("day").is_null()).iter_rows(named=True):
        what = named[row["measure"]]["title"].removeprefix("drift of ")
        for part, (series, _) in _PARTS.items():
            figures = point(row, part, unit="", most=200)
            if figures["value"] is not None:
                rows.append({"name": "", "what": what, "series": series, **figures})
    if rows:
        yield Chart(
            "drift",
            "How far are B's feeds from A's?",
            "Drift from 0 (the same) to 100 (nothing in common), with 95 % intervals over users. "
            "Only what lies beyond what changes anyway is B's doing." + cut_words(rows),
            dots(rows, "drift, 0 to 100", dict(_PARTS.values())),
            {"what": "by", "series": "what", **FIGURES},
            rows,
        )
    days = mine.filter(pl.col("day").is_not_null(), measure="slots_changed")
    if days["day"].n_unique() < 3:
        return
    lines = [
        {"day": row["day"], "what": series, **point(row, part)}
        for row in days.iter_rows(named=True)
        for part, (series, _) in _PARTS.items()
        if row[part] is not None
    ]
    panel = Panel("", course(lines, "% of slots", (BLUE, ORANGE), {}))
    yield Chart(
        "days",
        "On which days do feeds differ?",
        "Slots of B's feeds with another post than A's, in their 95 % intervals."
        + cut_words(lines),
        [panel],
        {"day": "day", "what": "what", **FIGURES},
        lines,
    )
