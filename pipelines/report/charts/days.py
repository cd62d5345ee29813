"""Charts of the days: net change, and the share of the newcomers' language, with what happened."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from pipelines.report.charts.chart import (
    BLUE,
    FIGURES,
    GREY,
    INK,
    ORANGE,
    Chart,
    Panel,
    Row,
    altair,
    cut_words,
    hover,
    point,
    spec_of,
)
from pipelines.report.headline import Variant, name_of
from recsys.study.result import StudyResult

_ENOUGH = 3
"""Fewest measured days that make a course."""
_HEIGHT = 150
_DASHES = ([1, 0], [5, 3], [2, 2])


def day_charts(result: StudyResult, order: Sequence[Variant]) -> Iterator[Chart]:
    """A picture for each recommender, of each of two courses; none with fewer than three days.

    Args:
        result: the result of a study of a world.
        order: recommenders and mitigations, best first.
    """
    if len(result.study.evaluation.days) < _ENOUGH:
        return
    rows = [row for variant in order for row in _net(result, variant)]
    if any(row["value"] is not None for row in rows):
        yield Chart(
            "days",
            "On which days did feeds change?",
            "The line with dots is the net change of the day, in posts of 100, in its 95 % "
            "interval. The dashed line is what newcomers' posts took." + cut_words(rows),
            _panels(result, order, rows, "posts of 100", (BLUE, ORANGE), []),
            {"name": "recommender", "day": "day", "what": "what", **FIGURES},
            rows,
        )
    language = result.study.world.population.newcomers.language
    rows = [row for variant in order for row in _language(result, variant, f"language:{language}")]
    if rows:
        yield Chart(
            "language",
            "How much of the feeds is in the newcomers' language?",
            f"Posts of 100 in the newcomers' language ({language}), with the newcomers and "
            "without; shaded: 95 % intervals. The dotted line is the user who sees more of it "
            "than nine in ten. Long-time creators write in that language too, more of them once "
            "newcomers read them, and where posts are translated more users like them: so it can "
            "stay when the newcomers and their posts have gone." + cut_words(rows),
            _panels(result, order, rows, "posts of 100", (BLUE, GREY, ORANGE), [0]),
            {"name": "recommender", "day": "day", "what": "what", **FIGURES},
            rows,
        )


def appendix_charts(result: StudyResult, order: Sequence[Variant]) -> Iterator[Chart]:
    """Total and composition of slots by day, with the band of composition over all days.

    Args:
        result: the result of a study of a world.
        order: recommenders and mitigations, best first.
    """
    if len(result.study.evaluation.days) < _ENOUGH:
        return
    rows = [row for variant in order for row in _composition(result, variant)]
    if any(row["value"] is not None for row in rows):
        yield Chart(
            "composition",
            "Appendix: total drift of slots and its composition, on which days?",
            "Shaded: the band of composition. In 95 % of studies the band holds the true "
            "composition of all days at once. So a day whose band leaves out 0 counts, even if "
            "you picked the day because it stands out." + cut_words(rows),
            _panels(result, order, rows, "points of drift", (GREY, BLUE), []),
            {"name": "recommender", "day": "day", "what": "what", **FIGURES},
            rows,
        )


def _composition(result: StudyResult, variant: Variant) -> Iterator[Row]:
    mine = result.drift.filter(pl.col("day").is_not_null(), measure="slots_changed", **_of(variant))
    for row in mine.iter_rows(named=True):
        keys = {"name": name_of(variant), "day": row["day"]}
        ends = {f"composition_ci_{end}": row[f"composition_band_{end}"] for end in ("low", "high")}
        total = {**row, "total_ci_low": None, "total_ci_high": None}
        yield {**keys, "what": "total", **point(total, "total", unit="")}
        yield {**keys, "what": "composition", **point({**row, **ends}, "composition", unit="")}


def _of(variant: Variant) -> dict[str, str]:
    return {"recommender": variant[0], "mitigation": variant[1]}


def _net(result: StudyResult, variant: Variant) -> Iterator[Row]:
    shown = result.headline.filter(pl.col("day").is_not_null(), group="all", **_of(variant))
    for row in shown.iter_rows(named=True):
        keys = {"name": name_of(variant), "day": row["day"]}
        yield {**keys, "what": "net change", **point(row, "net")}
        yield {**keys, "what": "newcomers' posts", **point(row, "displaced")}


def _language(result: StudyResult, variant: Variant, measure: str) -> Iterator[Row]:
    keys = {**_of(variant), "cohort": "incumbent", "measure": measure}
    arms = {"influx": "with the newcomers", "control": "without"}
    shown = result.summary.filter(pl.col("day").is_not_null(), **keys)
    for arm, what in arms.items():
        for row in shown.filter(arm=arm).iter_rows(named=True):
            named = {"name": name_of(variant), "day": row["day"], "what": what}
            yield {**named, **point(row, least=0)}
    tail = result.quantiles.filter(pl.col("day").is_not_null(), arm="influx", **keys)
    for row in tail.iter_rows(named=True):
        named = {"name": name_of(variant), "day": row["day"], "what": "one user in ten sees more"}
        yield {**named, **point(row, "p90", least=0)}


def _panels(
    result: StudyResult,
    order: Sequence[Variant],
    rows: Sequence[Row],
    unit: str,
    colours: Sequence[str],
    domain: Sequence[float],
) -> list[Panel]:
    events = {0: "they arrive"}
    reversal = result.study.world.influx.reversal_day
    days = result.study.evaluation.days
    if reversal is not None and days[0] <= reversal <= days[-1]:
        events[reversal] = "they begin to leave"
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row["name"], []).append(row)
    names = [name_of(variant) for variant in order if name_of(variant) in named]
    return [Panel(name, course(named[name], unit, colours, events, domain)) for name in names]


def course(
    rows: Sequence[Row],
    unit: str,
    colours: Sequence[str],
    events: Mapping[int, str],
    domain: Sequence[float] = (),
) -> dict[str, Any]:
    """Figures by day, a line for each `what`, with a band where there are intervals.

    Args:
        rows: with day, what, and the keys of `chart.point`.
        unit: title of the vertical axis.
        colours: of the lines, in their order; later lines are dashed and dotted.
        events: what happened, by day.
        domain: values that the vertical axis must reach.
    """
    alt = altair()
    series = list(dict.fromkeys(row["what"] for row in rows))
    base = alt.Chart(alt.Data(values=list(rows)))
    days = [row["day"] for row in rows]
    scale = alt.Scale(domain=[min(*days, *events), max(days)], nice=False)
    across = alt.X("day:Q", title="day", scale=scale, axis=alt.Axis(tickMinStep=1, grid=False))
    up = alt.Y("value:Q", title=unit)
    colour = alt.Color(
        "what:N",
        sort=series,
        title=None,
        scale=alt.Scale(domain=series, range=list(colours[: len(series)])),
        legend=alt.Legend(
            orient="bottom",
            direction="vertical",
            labelLimit=240,
            symbolType="stroke",
            symbolOpacity=1,
            symbolStrokeWidth=2.5,
        ),
    )
    dash = alt.StrokeDash(
        "what:N",
        scale=alt.Scale(domain=series, range=list(_DASHES[: len(series)])),
        sort=series,
        title=None,
    )
    middle = (min(*days, *events) + max(days)) / 2
    marks = alt.Chart(
        alt.Data(
            values=[
                {"day": day, "event": words, "lane": lane}
                for lane, (day, words) in enumerate(events.items())
            ]
        )
    )
    beside = [
        (lane, {"align": "right" if day > middle else "left", "dx": -3 if day > middle else 3})
        for lane, day in enumerate(events)
    ]
    high = max((r["high"] if r["high"] is not None else r["value"] or 0) for r in rows)
    top = max(high, *domain, 0.1) if domain else max(high, 0.1)
    layers = [
        base.mark_area(opacity=0.16, line=False).encode(
            across, alt.Y("low:Q", title=unit), colour, alt.Y2("high:Q")
        ),
        marks.mark_rule(color=INK, strokeDash=[2, 3], opacity=0.6).encode(x="day:Q"),
        *(
            marks.transform_filter(alt.FieldEqualPredicate(field="lane", equal=lane))
            .mark_text(baseline="bottom", dy=-3 - 13 * lane, color=INK, fontSize=11, **look)
            .encode(x="day:Q", y=alt.datum(1.12 * top), text="event:N")
            for lane, look in beside
        ),
        base.mark_rule(color=GREY).encode(y=alt.datum(0)),
        base.mark_line(strokeWidth=2).encode(across, up, colour, dash),
        base.mark_point(filled=True, size=34, opacity=1).encode(
            across, up, colour, tooltip=hover(alt, day="day", what="what")
        ),
    ]
    return spec_of(alt.layer(*layers).properties(width="container", height=_HEIGHT))
