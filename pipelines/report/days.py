"""Drift day by day, as tables and as a plot, for studies that measure at least five days."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.report.headline import Variant, interval, name_of, number
from pipelines.report.net import mark
from pipelines.report.plot import svg_of
from pipelines.report.section import Section
from recsys.study.result import StudyResult

DAILY = "Day by day"
"""The beginning of the titles of these sections."""
_ENOUGH = 5
_ENGLISH = "language:en"
_SPREAD = {"mean": "English", "p50": "median", "p90": "p90", "top_tenth": "top tenth"}
_PLOTTED = {"slots_changed": "% of slots", "language_format": "mix: % of slots of another kind"}


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


def daily_plot(result: StudyResult, order: list[Variant]) -> str:
    """A plot of total drift and composition by day, with the band of composition shaded.

    Args:
        result: the result of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.

    Returns:
        SVG with a row of plots for each recommender; "" if fewer than five days were measured.
    """
    world = result.study.world
    if len(result.study.evaluation.days) < _ENOUGH:
        return ""
    import altair as alt

    panels = []
    for variant in order:
        row = []
        for measure, unit in _PLOTTED.items():
            chosen = result.drift.filter(
                _of(variant), pl.col("measure") == measure, pl.col("day").is_not_null()
            )
            if not chosen.is_empty():
                row.append(_panel(alt, chosen, unit, world.influx.reversal_day))
        if row:
            panels.append(
                alt.hconcat(*row, title=alt.TitleParams(name_of(variant), anchor="start"))
            )
    return svg_of(alt.vconcat(*panels).configure(aria=False)) if panels else ""


def _panel(alt: Any, drift: pl.DataFrame, unit: str, reversal: int | None) -> Any:
    """The plot of one measure of one recommender, with both curves in points."""
    columns = (
        "total",
        "composition",
        "composition_ci_low",
        "composition_ci_high",
        "composition_band_low",
        "composition_band_high",
    )
    rows = drift.select("day", *(pl.col(name) * 100 for name in columns)).to_dicts()
    base = alt.Chart(alt.Data(values=rows)).encode(
        alt.X("day:Q", title="day", axis={"tickMinStep": 1})
    )
    shade = {"color": "#2f6fb0", "line": False}
    colour = alt.Scale(domain=["composition", "total"], range=["#2f6fb0", "#9a9a9a"])
    curves = [
        base.mark_line(point={"size": 20})
        .encode(
            alt.Y(f"{part}:Q", title=unit),
            alt.Color("part:N", scale=colour, title=None),
        )
        .transform_calculate(part=f"'{part}'")
        for part in ("total", "composition")
    ]
    layers = [
        base.mark_area(**shade, opacity=0.18).encode(
            alt.Y("composition_band_low:Q"), alt.Y2("composition_band_high:Q")
        ),
        base.mark_rule(color="#2f6fb0", opacity=0.6).encode(
            alt.Y("composition_ci_low:Q"), alt.Y2("composition_ci_high:Q")
        ),
        base.mark_rule(color="#999").encode(y=alt.datum(0)),
        *curves,
    ]
    if reversal is not None and rows[0]["day"] <= reversal <= rows[-1]["day"]:
        layers.append(base.mark_rule(color="#999", strokeDash=[3, 3]).encode(x=alt.datum(reversal)))
    return alt.layer(*layers).properties(width=330, height=170)
