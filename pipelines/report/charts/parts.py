"""Charts of parts: the ladder of resolutions, the channels, and the front of mitigations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from pipelines.report.charts.change import both_axes, scatter
from pipelines.report.charts.chart import (
    BLUE,
    FIGURES,
    GREY,
    INK,
    ORANGE,
    Chart,
    Row,
    cut_words,
    point,
)
from pipelines.report.charts.users import dots
from pipelines.report.headline import Variant, name_of
from recsys.study.result import StudyResult
from recsys.world.arms import GATES

_RUNGS = {
    "posts": "posts",
    "creators": "creators",
    "topic": "topics",
    "language_format": "languages and formats",
    "embedding": "what feeds are about",
}
_ARMS = {
    "influx": ("with the newcomers", BLUE),
    "placebo": ("an equally busy crowd", ORANGE),
    "retrain": ("training again alone", GREY),
}
_LOG_ARMS = {
    "influx": ("without the newcomers", BLUE),
    "placebo": ("without a placebo group", ORANGE),
    "retrain": ("training again alone", GREY),
}
_CHANNELS = {
    "language_format": "the mix of languages and formats",
    "newcomer_share": "attention to newcomers' posts",
    "one_step": "posts, in one step",
}
_PARTS = {
    "shapley": ("its part", BLUE),
    "first_in": ("alone", ORANGE),
    "last_in": ("closing it alone", GREY),
}
_ACROSS = {
    "net": "net change (% of slots)",
    "net_of_exposed": "net change, most exposed tenth",
}
_UP = {
    "utility_change": "change for long-time users",
    "newcomers_utility": "newcomers get",
    "newcomers_exposure": "newcomers' exposure (% of looks)",
}


def ladder_charts(result: StudyResult, order: Sequence[Variant], *, log: bool) -> Iterator[Chart]:
    """Drift from the finest measure to the coarsest, beside what changes without newcomers.

    Args:
        result: the result of a study.
        order: recommenders and mitigations, in the order of the page.
        log: whether it is a study of a log.
    """
    whole = result.drift.filter(pl.col("day").is_null())
    arms = _LOG_ARMS if log else _ARMS
    rows: list[Row] = []
    for variant in order:
        mine = whole.filter(recommender=variant[0], mitigation=variant[1])
        found = {row["measure"]: row for row in mine.iter_rows(named=True)}
        for measure, what in _RUNGS.items():
            for arm, (series, _) in arms.items() if measure in found else ():
                named = {"name": name_of(variant), "what": what, "series": series}
                figures = point(found[measure], arm, unit="", most=200)
                if figures["value"] is not None:
                    rows.append({**named, **figures})
    if rows:
        yield Chart(
            "ladder",
            "How far do feeds drift, from single posts to what they are about?",
            "Drift from 0 (the same) to 100 (nothing in common). Posts are new every day, so the "
            "upper rows are large whatever happens: compare the marks of a row.",
            dots(rows, "drift, 0 to 100", dict(arms.values())),
            {
                "name": "recommender",
                "what": "by",
                "series": "what",
                "figure": "figure",
                "n": "from",
            },
            rows,
        )


def channel_charts(result: StudyResult, order: Sequence[Variant]) -> Iterator[Chart]:
    """The parts that channels have in the effect; nothing if the study does not split it.

    Args:
        result: the result of a study of a world.
        order: recommenders and mitigations, in the order of the page.
    """
    if result.channels.is_empty():
        return
    whole = result.channels.filter(pl.col("day").is_null(), pl.col("part").is_in(list(_PARTS)))
    for measure, title in _CHANNELS.items():
        rows: list[Row] = []
        for variant in order:
            mine = whole.filter(recommender=variant[0], mitigation=variant[1], measure=measure)
            found = {(row["channel"], row["part"]): row for row in mine.iter_rows(named=True)}
            for gate in GATES:
                for part, (series, _) in _PARTS.items():
                    if (gate, part) in found:
                        named = {"name": name_of(variant), "what": gate, "series": series}
                        rows.append({**named, **point(found[gate, part], unit="")})
        if rows:
            yield Chart(
                f"channels-{measure.replace('_', '-')}",
                f"Through which channels do newcomers change {title}?",
                "In points of influx less placebo. The parts of all channels add up to the whole."
                + cut_words(rows),
                dots(rows, "points", dict(_PARTS.values())),
                {"name": "recommender", "what": "channel", "series": "part", **FIGURES},
                rows,
            )


def front_charts(result: StudyResult) -> Iterator[Chart]:
    """Net change against utility under each mitigation; nothing without mitigations.

    Args:
        result: the result of a study.
    """
    if result.front.is_empty():
        return
    dominated = set(result.dominated.select("recommender", "mitigation").iter_rows())
    found: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for row in result.front.iter_rows(named=True):
        of_one = found.setdefault(row["recommender"], {})
        of_one.setdefault(row["mitigation"], {})[row["quantity"]] = row
    for place, (recommender, by_mitigation) in enumerate(found.items()):
        for across, title in _ACROSS.items():
            panels, rows = [], []
            for up, utility in _UP.items():
                points = list(_points(by_mitigation, across, up))
                for row in points:
                    is_dominated = (recommender, row["name"]) in dominated
                    row["state"] = "none" if row["name"] == "none" else str(is_dominated)
                if points:
                    panels.append(_coloured(points, title, utility))
                    rows += [{**row, "up": utility} for row in points]
            if panels:
                yield Chart(
                    f"front-{place}-{across}".replace("_", "-"),
                    f"{recommender}: which mitigation keeps feeds stable, at what cost?  ({title})",
                    "Up and left are better; lines are 95 % intervals. Round: no mitigation. "
                    "Square: a mitigation that no other one beats. Triangle, grey: another one is "
                    "better. Mitigations share their luck, so their differences (less_none in "
                    "front.csv) are surer than their intervals say.",
                    panels,
                    {
                        "name": "mitigation",
                        "figure": "net change",
                        "interval": "95 % interval",
                        "up": "and",
                        "figure_y": "figure",
                        "interval_y": "95 % interval",
                        "n": "from",
                    },
                    rows,
                )


def _points(
    by_mitigation: Mapping[str, Mapping[str, Mapping[str, Any]]], across: str, up: str
) -> Iterator[Row]:
    for mitigation, figures in by_mitigation.items():
        x, y = (
            point(figures[name], unit="", most=1e9) if name in figures else None
            for name in (across, up)
        )
        if x and y and x["value"] is not None and y["value"] is not None:
            yield both_axes(mitigation, x, y)


def _coloured(points: Sequence[Row], across: str, up: str) -> Any:
    """A scatter in which the state has its fixed colour and shape."""
    fixed = {"none": (INK, "circle"), "False": (BLUE, "square"), "True": (GREY, "triangle-up")}
    return scatter(points, across, up, series=fixed)
