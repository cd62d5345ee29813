"""Through which channels newcomers changed incumbents' feeds, in words and in a plot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.report.headline import DASH, Variant, name_of, number
from pipelines.report.section import Section
from recsys.study.result import StudyResult
from recsys.world.arms import GATES

_TITLES = {
    "language_format": "mix of languages and formats (points of TV)",
    "newcomer_share": "attention to newcomers' posts (points of share)",
    "one_step": "posts, one step (points of 1 - FRBO)",
}
_SEEN = 0.0005
"""Less is printed as 0."""
_PARTS = ("shapley", "first_in", "last_in")
_WORDS = (
    "part      Shapley value: the mean of what a channel adds, over all orders of opening them;",
    "          parts sum to composition, influx - placebo",
    "first in  what it does with all the others closed",
    "last in   what closing it alone would take away",
    *(f"{gate:<11}{what}" for gate, what in GATES.items()),
)


def channel_sections(result: StudyResult, order: list[Variant]) -> Iterator[Section]:
    """The channels' parts of a study that splits them; nothing of another.

    Args:
        result: of a study of a world.
        order: recommenders and mitigations, as in the other sections.
    """
    if result.channels.is_empty():
        return
    rows = _headline(result)
    for measure, title in _TITLES.items():
        lines = [line for variant in order for line in _lines(rows, variant, measure)]
        if lines:
            yield Section(
                f"Through which channels?  ({title})",
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
    """The pairs that do most together, or most in each other's stead, and are told from 0."""
    lines = []
    for variant in order:
        known = [
            row
            for (of, what, part, _), row in rows.items()
            if (of, what, part) == (variant, measure, "interaction")
            and row["p_holm"] is not None
            and row["p_holm"] <= 0.05
            and abs(row["mean"]) >= _SEEN
        ]
        known.sort(key=lambda row: -abs(row["mean"]))
        told = ", ".join(f"{row['channel']} {row['mean'] * 100:+.1f}" for row in known[:3])
        lines.append(f"{name_of(variant)}: interactions beyond chance: {told or 'none'}")
    return tuple(lines)


def _with_ends(row: Mapping[str, Any]) -> str:
    if row["mean"] is None:
        return DASH
    if row["ci_low"] is None:
        return number(row["mean"])
    return f"{number(row['mean'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def save_channels_plot(result: StudyResult, path: Path) -> None:
    """Writes the channels' parts as one HTML page that needs no network.

    Args:
        result: of a study that splits them.
        path: of the page.
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
    told = ["channel:N", "part:N", "mean:Q", "ci_low:Q", "ci_high:Q", "p_holm:Q"]
    ends = base.mark_rule().encode(alt.X("ci_low:Q"), alt.X2("ci_high:Q"), up, shift, colour)
    points = base.mark_point(filled=True, size=50).encode(across, up, shift, colour, tooltip=told)
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
                f"{result.study.name}: through which channels?",
                subtitle=["Parts (Shapley values) sum to composition. Lines: 95 % intervals."],
            )
        )
    )
    path.write_text(chart.to_html(inline=True), encoding="utf-8")
