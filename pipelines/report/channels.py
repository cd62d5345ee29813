"""The channels by which newcomers changed incumbents' feeds, as tables and as a plot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.report.headline import DASH, Variant, name_of, number
from pipelines.report.plot import html_of
from pipelines.report.section import Section
from recsys.study.result import StudyResult
from recsys.world.arms import GATES

_TITLES = {
    "language_format": "mix of languages and formats (points of TV)",
    "newcomer_share": "attention to newcomers' posts (points of share)",
    "one_step": "posts, one step (points of 1 - FRBO)",
}
_SEEN = 0.0005
"""Smaller interactions would be printed as 0, so they are left out."""
_PARTS = ("shapley", "first_in", "last_in")
_WORDS = (
    "part       Shapley value: what a channel adds on average, over all orders of opening the",
    "           channels. The parts sum to composition, which is influx - placebo",
    "first in   what the channel does while all the others are closed",
    "last in    what closing this channel alone would take away",
    *(f"{gate:<11}{what}" for gate, what in GATES.items()),
)


def channel_sections(result: StudyResult, order: list[Variant]) -> Iterator[Section]:
    """The parts of the channels, if the study splits the effect by channel.

    Args:
        result: the result of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    if result.channels.is_empty():
        return
    rows = _headline(result)
    for measure, title in _TITLES.items():
        lines = [line for variant in order for line in _lines(rows, variant, measure)]
        if lines:
            yield Section(
                f"Through which channels do newcomers act?  ({title})",
                ("channel", "part", "first in", "last in"),
                tuple(lines),
                _strongest(rows, order, measure),
            )
    yield Section("", lines=_WORDS)


def _headline(result: StudyResult) -> dict[tuple[Variant, str, str, str], Mapping[str, Any]]:
    """Estimates over all days by variant, measure, part and channel."""
    rows = result.channels.filter(pl.col("day").is_null())
    return {
        ((r["recommender"], r["mitigation"]), r["measure"], r["part"], r["channel"]): r
        for r in rows.iter_rows(named=True)
    }


def _lines(rows: Mapping[Any, Mapping[str, Any]], variant: Variant, measure: str) -> Iterator[Any]:
    total = rows.get((variant, measure, "total", "all"))
    if total is None:
        return
    yield (f"{name_of(variant)}: composition", _with_ends(total), "", "")
    for gate in GATES:
        yield (f"  {gate}", *(_with_ends(rows[variant, measure, part, gate]) for part in _PARTS))


def _strongest(
    rows: Mapping[Any, Mapping[str, Any]], order: list[Variant], measure: str
) -> tuple[str, ...]:
    """The three strongest interactions of two channels whose adjusted p-value is at most .05."""
    lines = []
    for variant in order:
        pairs = [
            row
            for (*key, _), row in rows.items()
            if key == [variant, measure, "interaction"]
            and row["p_holm"] is not None
            and row["p_holm"] <= 0.05
            and abs(row["mean"]) >= _SEEN
        ]
        pairs.sort(key=lambda row: -abs(row["mean"]))
        listed = ", ".join(f"{row['channel']} {row['mean'] * 100:+.1f}" for row in pairs[:3])
        lines.append(f"{name_of(variant)}: interactions beyond chance: {listed or 'none'}")
    return tuple(lines)


def _with_ends(row: Mapping[str, Any]) -> str:
    if row["mean"] is None:
        return DASH
    if row["ci_low"] is None:
        return number(row["mean"])
    return f"{number(row['mean'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def save_channels_plot(result: StudyResult, path: Path) -> None:
    """Writes a plot of the channels' parts as one HTML page that needs no network.

    Args:
        result: the result of a study that splits the effect by channel.
        path: the file to write, such as `channels.html`.
    """
    import altair as alt

    figures = pl.col("mean", "ci_low", "ci_high") * 100
    shown = result.channels.filter(pl.col("day").is_null(), pl.col("part").is_in(_PARTS))
    rows = shown.with_columns(figures, pl.col("measure").replace(_TITLES)).to_dicts()
    for row in rows:
        row["served by"] = name_of((row["recommender"], row["mitigation"]))
        row["part"] = row["part"].replace("shapley", "part").replace("_", " ")
    base = alt.Chart(alt.Data(values=rows))
    across = alt.X("mean:Q", title="100 × (influx − placebo)")
    up = alt.Y("channel:N", sort=list(GATES), title=None)
    shift = alt.YOffset("part:N", sort=["part", "first in", "last in"])
    colour = alt.Color("part:N", sort=["part", "first in", "last in"], title=None)
    tooltip = ["channel:N", "part:N", "mean:Q", "ci_low:Q", "ci_high:Q", "p_holm:Q"]
    ends = base.mark_rule().encode(alt.X("ci_low:Q"), alt.X2("ci_high:Q"), up, shift, colour)
    points = base.mark_point(filled=True, size=50).encode(
        across, up, shift, colour, tooltip=tooltip
    )
    zero = base.mark_rule(color="#999", strokeDash=[3, 3]).encode(x=alt.datum(0))
    chart = (
        alt.layer(zero, ends, points)
        .properties(width=300, height=220)
        .facet(
            row=alt.Row("served by:N", title=None),
            column=alt.Column("measure:N", title=None, sort=list(_TITLES.values())),
        )
        .resolve_scale(x="independent")
        .properties(
            title=alt.TitleParams(
                f"{result.study.name}: through which channels do newcomers act?",
                subtitle=["The parts (Shapley values) sum to composition. Lines: 95 % intervals."],
            )
        )
    )
    path.write_text(html_of(chart), encoding="utf-8")
