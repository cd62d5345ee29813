"""The channels by which newcomers changed incumbents' feeds, as tables."""

from collections.abc import Iterator, Mapping
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
