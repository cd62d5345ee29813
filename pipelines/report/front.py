"""Mitigations beside one another: drift against what feeds are worth, in words and in a plot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.report.headline import DASH, Variant, name_of, number
from pipelines.report.section import Section
from recsys.study import StudyResult

__all__ = ["front_sections", "save_front_plot"]

_STABLE = {
    "drift_total": "total drift",
    "drift_who": "who",
    "utility_change": "change of worth",
}
_SERVED = {
    "utility": "incumbents get",
    "newcomers_utility": "newcomers get",
    "newcomers_exposure": "their exposure",
}
_STABLE_WORDS = (
    "drift            of notes, 0 to 100 (1 - FRBO)",
    "change of worth  of incumbents' feeds, clicks per 100 looks, by the influx",
)
_SERVED_WORDS = (
    "get              what feeds are worth, clicks per 100 looks",
    "their exposure   % of incumbents' looks that fall on newcomers' notes",
)
_WORDS = {
    "drift_total": "less drift",
    "utility": "feeds worth more to incumbents",
    "newcomers_utility": "feeds worth more to newcomers",
    "newcomers_exposure": "more exposure of newcomers' creators",
}
_AXES = {
    "utility_change": "Change of incumbents' worth (clicks per 100 looks)",
    "newcomers_utility": "What newcomers get (clicks per 100 looks)",
    "newcomers_exposure": "Exposure of newcomers' creators (% of looks)",
}


def front_sections(result: StudyResult, order: list[Variant]) -> Iterator[Section]:
    """The front of a study with mitigations; nothing without any.

    Args:
        result: of a study of a world.
        order: as in the other sections; each recommender is kept together.
    """
    if result.front.is_empty():
        return
    recommenders = list(dict.fromkeys(recommender for recommender, _ in result.front_variants))
    rows: dict[Variant, dict[str, Mapping[str, Any]]] = {}
    for row in result.front.iter_rows(named=True):
        variant = (row["recommender"], row["mitigation"])
        rows.setdefault(variant, {})[row["quantity"]] = row
    ordered = sorted(order, key=lambda variant: recommenders.index(variant[0]))
    questions = {
        "How stable are the incumbents' feeds under each mitigation?": (_STABLE, _STABLE_WORDS),
        "Who is served how well?  (with the influx)": (_SERVED, _SERVED_WORDS),
    }
    for title, (titles, words) in questions.items():
        lines = [
            (name_of(variant), *(_with_ends(rows[variant].get(name)) for name in titles))
            for variant in ordered
        ]
        yield Section(title, ("recommender", *titles.values()), tuple(lines), words)
    yield Section("Which can be left out?", lines=tuple(_verdicts(result)))


def _verdicts(result: StudyResult) -> Iterator[str]:
    """Who is dominated, in plain words."""
    if result.study.seeds == 1:
        yield "One seed: nothing can be said about which is better."
        return
    found = result.dominated
    for (recommender, mitigation), rows in found.group_by(
        "recommender", "mitigation", maintain_order=True
    ):
        name = name_of((str(recommender), str(mitigation)))
        first = rows.row(0, named=True)
        better = " and ".join(_WORDS[what] for what in first["better_in"].split(", "))
        others = ["no mitigation" if by == "none" else by for by in rows["by"][1:]]
        too = f" Also by {', '.join(others)}." if others else ""
        by = "no mitigation" if first["by"] == "none" else first["by"]
        yield f"{name} is dominated by {by}: {better}, at no clear cost.{too}"
    every = set(result.front_variants)
    left = every - set(found.select("recommender", "mitigation").iter_rows())
    if len(left) == len(every):
        yield "None is clearly dominated: each is better in something, or too like the others."
    yield "Dominated: another of the same recommender is better in one respect and worse in none,"
    yield "by more than 1 point of drift, 1 % of incumbents' or 5 % of newcomers' figures, as far"
    yield "as the 95 % intervals of paired differences say."


def _with_ends(row: Mapping[str, Any] | None) -> str:
    if row is None or row["mean"] is None:
        return DASH
    middle = number(row["mean"])
    if row["ci_low"] is None:
        return middle
    return f"{middle} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def save_front_plot(result: StudyResult, path: Path) -> None:
    """Writes the front as one HTML page that needs no network.

    Args:
        result: of a study with mitigations.
        path: of the page.
    """
    import altair as alt

    frame = _wide(result)
    panels = [_panel(alt, frame, name, title) for name, title in _AXES.items()]
    dominated = ", ".join(
        name_of((str(r), str(m)))
        for r, m in result.dominated.select("recommender", "mitigation").unique().sort("*").rows()
    )
    chart = alt.hconcat(*panels).properties(
        title=alt.TitleParams(
            f"{result.study.name}: drift against worth",
            subtitle=[
                "Left is stable, up is better. Lines: 95 % intervals.",
                f"Dominated: {dominated or 'none clearly'}.",
            ],
        )
    )
    path.write_text(chart.to_html(inline=True), encoding="utf-8")


def _wide(result: StudyResult) -> pl.DataFrame:
    """A row a variant; 100 × the figures, so that they read as in the terminal."""
    columns = ("mean", "ci_low", "ci_high")
    wide = result.front.pivot(
        "quantity", index=["recommender", "mitigation"], values=columns, maintain_order=True
    )
    figures = [name for name in wide.columns if name not in ("recommender", "mitigation")]
    return wide.with_columns(pl.col(figures) * 100)


def _panel(alt: Any, frame: pl.DataFrame, name: str, title: str) -> Any:
    """Total drift against one quantity, with both intervals."""
    x, y = "drift_total", name
    if f"mean_{y}" not in frame.columns or f"mean_{x}" not in frame.columns:
        return alt.Chart(alt.Data(values=[])).mark_point()
    base = alt.Chart(alt.Data(values=frame.to_dicts()))
    across = alt.X(f"mean_{x}:Q", title="Total drift of notes (0 to 100)", scale={"zero": False})
    up = alt.Y(f"mean_{y}:Q", title=title, scale={"zero": False})
    colour = alt.Color("recommender:N")
    told = ["recommender:N", "mitigation:N", *(f"mean_{q}:Q" for q in (x, "drift_who", *_AXES))]
    points = base.mark_point(filled=True, size=60).encode(across, up, colour, tooltip=told)
    names = base.mark_text(align="left", dx=6, dy=-6, fontSize=10).encode(
        across, up, colour, text="mitigation:N"
    )
    ends = [
        base.mark_rule(opacity=0.5).encode(
            alt.X(f"ci_low_{x}:Q"), alt.X2(f"ci_high_{x}:Q"), up, colour
        ),
        base.mark_rule(opacity=0.5).encode(
            across, alt.Y(f"ci_low_{y}:Q"), alt.Y2(f"ci_high_{y}:Q"), colour
        ),
    ]
    return alt.layer(*ends, points, names).properties(width=380, height=380)
