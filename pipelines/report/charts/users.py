"""Charts of users: how change is spread over them, and which groups change."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
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
    names_axis,
    point,
    spec_of,
)
from pipelines.report.headline import Headline, Variant, name_of, number
from recsys.study.result import StudyResult
from recsys.study.tables.headline import BILINGUAL, OTHERS, TOP

_SPREAD = {
    "slots_changed": (
        "changed",
        "How is the change spread over users?",
        BLUE,
        "posts that changed, chance included",
        0.05,
    ),
    "newcomer_slots": (
        "newcomers",
        "Who gets newcomers' posts?",
        ORANGE,
        "posts that newcomers made",
        0.01,
    ),
}
_TAIL = {"p50": "half of the users", "p90": "one in ten", "p99": "one in a hundred"}
_GROUPS = {
    "all": "all long-time users",
    "top 10 %": "most exposed tenth",
    "top 1 %": "most exposed 1 %",
    BILINGUAL: "read both languages",
    OTHERS: "read one language",
}
assert set(TOP) < set(_GROUPS)


def spread_charts(result: StudyResult, order: Sequence[Variant]) -> Iterator[Chart]:
    """Histograms of what changed in each user's feeds, and of newcomers' posts in them.

    Args:
        result: the result of a study of a world.
        order: recommenders and mitigations, best first.
    """
    whole = result.per_user.filter(
        pl.col("day").is_null(), pl.col("cohort") == "incumbent", arm="influx"
    )
    for measure, (name, title, colour, what, width) in _SPREAD.items():
        if measure not in whole.columns or not whole[measure].count():
            continue
        rows: list[Row] = []
        panels = []
        for variant in order:
            bins = list(_bins(whole, variant, measure, width))
            tail = list(_tail(result, variant, measure))
            if bins:
                rows += [*bins, *tail]
                spec = _histogram(bins, tail, colour, what)
                panels.append(Panel(name_of(variant), spec, words=_named(tail)))
        yield Chart(
            f"spread-{name}",
            title,
            f"How many users (of all seeds) have how many of 100 {what}, over all days. Each line "
            "up is ten times as many users, so that the few who are hit most can be seen. Dashed: "
            "half of the users, one in ten and one in a hundred have more than this.",
            panels,
            {"name": "recommender", "what": "what", "figure": "figure", "n": "from"},
            rows,
        )


def _bins(whole: pl.DataFrame, variant: Variant, measure: str, width: float) -> Iterator[Row]:
    """The number of users in each bin that has any."""
    chosen = whole.filter(recommender=variant[0], mitigation=variant[1])[measure].drop_nulls()
    if chosen.is_empty():
        return
    place = np.minimum((chosen.to_numpy() + 1e-9) // width, 1 / width - 1).astype(int)
    counts = np.bincount(place)
    for number_of_bin, count in enumerate(counts.tolist()):
        if count:
            low, high = 100 * width * number_of_bin, 100 * width * (number_of_bin + 1)
            yield {
                "name": name_of(variant),
                "from": low,
                "to": high,
                "users": count,
                "least": 0.7,
                "what": f"{low:.0f} to {high:.0f} of 100",
                "figure": f"{count:,} user{'s' * (count != 1)}",
                "n": f"{chosen.len():,} users of all seeds",
            }


def _named(tail: Sequence[Row]) -> str:
    """The tail in words."""
    return "; ".join(row["text"] for row in tail).capitalize()


def _tail(result: StudyResult, variant: Variant, measure: str) -> Iterator[Row]:
    shown = result.quantiles.filter(
        pl.col("day").is_null(),
        recommender=variant[0],
        mitigation=variant[1],
        arm="influx",
        cohort="incumbent",
        measure=measure,
    )
    for row in shown.iter_rows(named=True):
        for name, words in _TAIL.items():
            figures = point(row, name)
            text = f"{words}: {number(row[name])} or more"
            yield {"name": name_of(variant), "what": words, "text": text, **figures}


def _histogram(bins: Sequence[Row], tail: Sequence[Row], colour: str, what: str) -> dict[str, Any]:
    alt = altair()
    most = max(row["users"] for row in bins)
    scale = alt.Scale(type="log", domain=[0.7, 2 * most], nice=False)
    ticks = [10**n for n in range(6) if 10**n <= 2 * most]
    up = alt.Y("users:Q", title="users", scale=scale, axis=alt.Axis(values=ticks, format=",d"))
    bars = alt.Chart(alt.Data(values=list(bins)))
    lines = alt.Chart(alt.Data(values=[row for row in tail if row["value"] is not None]))
    tooltip = [
        alt.Tooltip("what:N", title=what),
        alt.Tooltip("figure:N", title="users"),
        alt.Tooltip("n:N", title="from"),
    ]
    right = max([row["to"] for row in bins] + [5])
    across = alt.X("from:Q", title=f"of 100 {what}", scale=alt.Scale(domain=[0, right], nice=False))
    layers = [
        bars.mark_bar(color=colour, stroke="var(--page)").encode(
            across, up, alt.X2("to:Q"), alt.Y2("least:Q"), tooltip=tooltip
        ),
        lines.mark_rule(color=INK, strokeDash=[4, 3], strokeWidth=1.4).encode(
            x="value:Q", tooltip=[alt.Tooltip("text:N", title=what)]
        ),
    ]
    return spec_of(alt.layer(*layers).properties(width="container", height=140))


def group_charts(figures: Headline, order: Sequence[Variant]) -> Iterator[Chart]:
    """Net change of groups of users, and total drift of the groups that the study names.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, best first.
    """
    rows = []
    for variant in order:
        for group, words in _GROUPS.items():
            row = figures.net(variant, group)
            if row:
                named = {"name": name_of(variant), "what": words}
                rows.append({**named, **point(row, "net")})
    if any(row["value"] is not None for row in rows):
        yield Chart(
            "groups",
            "Whose feeds changed?",
            "Net change in posts of 100, with 95 % intervals. The most exposed are those whose "
            "feeds hold most newcomers' posts." + cut_words(rows),
            dots(rows, "posts of 100"),
            {"name": "recommender", "what": "users", **FIGURES},
            rows,
        )


def named_group_charts(figures: Headline, order: Sequence[Variant]) -> Iterator[Chart]:
    """Drift of posts in each group of `evaluation.groups`; nothing if the study names none.

    Args:
        figures: figures of a study of a world or of a log.
        order: recommenders and mitigations, in the order of the page.
    """
    shown = figures.result.groups.filter(pl.col("measure") == "posts")
    rows = []
    for variant in order:
        chosen = shown.filter(recommender=variant[0], mitigation=variant[1])
        for row in chosen.iter_rows(named=True):
            what = f"{row['attribute']}: {row['group']}"
            rows.append({"name": name_of(variant), "what": what, **point(row, "total", unit="")})
    if rows:
        yield Chart(
            "named-groups",
            "Which groups' feeds changed?",
            "Drift of posts beyond training noise, 0 to 100." + cut_words(rows),
            dots(rows, "drift, 0 to 100"),
            {"name": "recommender", "what": "group", **FIGURES},
            rows,
        )


def dots(rows: Sequence[Row], unit: str, colours: Mapping[str, str] | None = None) -> list[Panel]:
    """A picture for each `name`: a dot with its interval beside each `what`.

    Args:
        rows: with name, what, and the keys of `chart.point`; `series`, if there, is a second dot.
        unit: title of the horizontal axis.
        colours: colour of each series.
    """
    alt = altair()
    panels = []
    shapes = ["circle", "diamond", "square"]
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        base = alt.Chart(alt.Data(values=mine))
        order = list(dict.fromkeys(row["what"] for row in mine))
        up = names_axis(alt, order, "what")
        more: list[Any] = []
        tooltip = hover(alt, what="what")
        if colours:
            series = list(colours)
            legend = alt.Legend(orient="bottom", direction="vertical", labelLimit=165)
            more = [
                alt.Color(
                    "series:N",
                    title=None,
                    sort=series,
                    scale=alt.Scale(domain=series, range=list(colours.values())),
                    legend=legend,
                ),
                alt.Shape(
                    "series:N",
                    title=None,
                    sort=series,
                    scale=alt.Scale(domain=series, range=shapes[: len(series)]),
                ),
                alt.YOffset("series:N", sort=series),
            ]
            tooltip = hover(alt, what="what", series="series")
        plain = {} if colours else {"color": BLUE}
        layers = [
            base.mark_rule(color=GREY, strokeDash=[2, 3]).encode(x=alt.datum(0)),
            base.mark_rule(strokeWidth=1.6, **plain).encode(
                alt.X("low:Q", title=unit), up, alt.X2("high:Q"), *more[:1], *more[2:]
            ),
            base.mark_point(filled=True, size=60, opacity=1, **plain).encode(
                alt.X("value:Q", title=unit), up, *more, tooltip=tooltip
            ),
        ]
        step = 22 if not colours else 14 * len(colours) + 8
        panel = alt.layer(*layers).properties(width="container", height=step * len(order) + 10)
        panels.append(Panel(name, spec_of(panel)))
    return panels
