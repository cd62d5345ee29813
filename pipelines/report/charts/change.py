"""Charts of what the influx changed: net change, and net change against utility."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

from pipelines.report.charts.chart import (
    BLUE,
    COLOURS,
    FIGURES,
    GREY,
    INK,
    ORANGE,
    SHAPES,
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
from pipelines.report.headline import Headline, Variant, name_of
from pipelines.report.labels import Scale, placed, width_of

_PARTS = {
    "displaced": "a newcomer's post",
    "reshuffled": "another post",
    "floor": "changes by chance",
}
_CROWDS = {
    "locals": ("as many people like themselves", "diamond"),
    "placebo": ("as many who post as much as the newcomers", "square"),
}
"""Words and shape of what a crowd of people like the long-time users changes."""
_FILLS = {"displaced": ORANGE, "reshuffled": BLUE, "floor": GREY}
_ROW = 50
_WIDTH, _HEIGHT = 250, 220


def change_charts(figures: Headline, order: Sequence[Variant]) -> Iterator[Chart]:
    """Bars of displaced and reshuffled slots, and change against utility.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, best first.
    """
    rows = [row for variant in order for row in _bars(figures, variant)]
    if any(row["value"] is not None for row in rows):
        yield Chart(
            "change",
            "How many of 100 posts are other posts because the newcomers came?",
            "A bar is about the posts that chance leaves in place: how many of 100 hold a "
            "newcomer’s post, or another post than they would. Its line is the 95 % interval. "
            "Posts that change less than usual count below zero. The thin grey bar is about all "
            "posts: how many of 100 change by chance, as when one more person visits and never "
            "posts. The diamond is what as many people like the long-time users would have "
            "changed who post as long-time users do, the square if they posted as much as the "
            "newcomers." + cut_words(rows),
            [Panel("", _change(rows, [name_of(variant) for variant in order]))],
            {"name": "recommender", "what": "what", **FIGURES},
            rows,
        )
    both = [_pair(figures, variant) for variant in order]
    points = [row for row in both if row["x"] is not None and row["y"] is not None]
    if points:
        yield Chart(
            "utility",
            "What does the change cost?",
            "Left: fewer posts changed. Up: the feeds give long-time users more clicks than "
            "without the newcomers, in % of what they gave. Lines are 95 % intervals.",
            [scatter(points, "net change (% of slots)", "change of utility (%)")],
            {
                "name": "recommender",
                "figure": "net change",
                "interval": "95 % interval",
                "figure_y": "utility",
                "interval_y": "95 % interval",
                "n": "from",
            },
            points,
        )


def _bars(figures: Headline, variant: Variant) -> Iterator[Row]:
    row, name = figures.net(variant), name_of(variant)
    for part, what in _PARTS.items():
        yield {"name": name, "part": part, "what": what, **point(row, part)}
    yield {"name": name, "part": "net", "what": "both: net change", **point(row, "net")}
    for arm, (what, _) in _CROWDS.items():
        if row.get(arm) is not None:
            yield {"name": name, "part": arm, "what": what, **point(row, arm)}


def _change(rows: Sequence[Row], order: Sequence[str]) -> dict[str, Any]:
    alt = altair()
    base = alt.Chart(alt.Data(values=list(rows)))
    up = names_axis(alt, order, scale=alt.Scale(paddingInner=0.15, paddingOuter=0.1))
    across = alt.X("value:Q", title="posts of 100", axis=alt.Axis(tickMinStep=1))
    tooltip = hover(alt, name="recommender", what="what")
    shown = [part for part in _PARTS if any(row["part"] == part for row in rows)]
    colour = alt.Color(
        "what:N",
        title=None,
        sort=list(_PARTS.values()),
        scale=alt.Scale(
            domain=[_PARTS[part] for part in shown], range=[_FILLS[part] for part in shown]
        ),
        legend=alt.Legend(orient="top", direction="vertical", labelLimit=320),
    )

    def of(*parts: str) -> Any:
        return base.transform_filter(alt.FieldOneOfPredicate(field="part", oneOf=list(parts)))

    order_of = alt.Order("part:N")
    bars = of("displaced", "reshuffled").mark_bar(size=16, yOffset=-10, stroke="var(--page)")
    floor = of("floor").mark_bar(size=6, yOffset=15)
    ends = of("net").mark_rule(color=INK, strokeWidth=1.5, yOffset=-10)
    crowds = [
        of(arm).mark_point(
            shape=shape, size=70, color=INK, fill="var(--page)", strokeWidth=1.8, yOffset=5
        )
        for arm, (_, shape) in _CROWDS.items()
    ]
    layers = [
        bars.encode(across, up, colour, order_of, tooltip=tooltip),
        floor.encode(across, up, colour, tooltip=tooltip),
        base.mark_rule(color=INK, strokeWidth=1).encode(x=alt.datum(0)),
        ends.encode(alt.X("low:Q"), up, alt.X2("high:Q"), tooltip=tooltip),
        *(crowd.encode(across, up, tooltip=tooltip) for crowd in crowds),
    ]
    return spec_of(alt.layer(*layers).properties(width="container", height=_ROW * len(order)))


def _pair(figures: Headline, variant: Variant) -> Row:
    row = figures.net(variant)
    return both_axes(name_of(variant), point(row, "net"), point(row, "utility"))


def both_axes(name: str, x: Mapping[str, Any], y: Mapping[str, Any]) -> Row:
    """A point of two figures.

    Args:
        name: what is written beside it.
        x, y: figures from `chart.point`.
    """
    ends = {"": "value", "_low": "low", "_high": "high"}
    place = {
        axis + end: side[key] for axis, side in (("x", x), ("y", y)) for end, key in ends.items()
    }
    texts = {key: x[key] for key in ("figure", "interval", "n")}
    return {"name": name, **place, **texts, **{f"{k}_y": y[k] for k in ("figure", "interval")}}


def scatter(
    points: Sequence[Row],
    across: str,
    up: str,
    series: Mapping[str, tuple[str, str]] | None = None,
) -> Panel:
    """Two figures of each variant with both intervals, and a name that covers no other.

    Args:
        points: from `both_axes`, each with a value on both axes, and with `state` if `series` is
            given.
        across, up: titles of the axes.
        series: colour and shape by state; by default each name has its own.
    """
    alt = altair()
    rows = [dict(row) for row in points]
    names = [row["name"] for row in rows]
    finite = {
        axis: [
            row[axis + e]
            for row in rows
            for e in ("", "_low", "_high")
            if row[axis + e] is not None
        ]
        for axis in "xy"
    }
    x = Scale.around(finite["x"], _WIDTH, 12, 12 + min(max(map(width_of, names)), _WIDTH - 60))
    y = Scale.around(finite["y"], _HEIGHT, 14, 14)
    places = placed([(x.pixel(r["x"]), y.pixel(r["y"])) for r in rows], names, _HEIGHT)
    for row, place in zip(rows, places, strict=True):
        row["name_x"], row["name_y"] = x.value(place.x), y.value(place.y)
    base = alt.Chart(alt.Data(values=rows))
    axes = {
        "x": alt.X("x:Q", title=across, scale=alt.Scale(domain=x[:2], nice=False)),
        "y": alt.Y("y:Q", title=up, scale=alt.Scale(domain=y[:2], nice=False)),
    }
    if series is None:
        looks = zip(cycle(COLOURS), cycle(SHAPES), strict=False)
        series = dict(zip(names, looks, strict=False))
        rows = [{**row, "state": row["name"]} for row in rows]
        base = alt.Chart(alt.Data(values=rows))
    states, colours, shapes = list(series), *zip(*series.values(), strict=True)
    colour = alt.Color("state:N", scale=alt.Scale(domain=states, range=list(colours)), legend=None)
    shape = alt.Shape("state:N", scale=alt.Scale(domain=states, range=list(shapes)), legend=None)
    tooltip = [
        alt.Tooltip("name:N", title="recommender"),
        alt.Tooltip("figure:N", title=across),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("figure_y:N", title=up),
        alt.Tooltip("interval_y:N", title="95 % interval"),
        alt.Tooltip("n:N", title="from"),
    ]

    def texts(**ink: Any) -> Any:
        text = base.mark_text(align="left", fontSize=12, limit=_WIDTH - 60, **ink)
        return text.encode(alt.X("name_x:Q"), alt.Y("name_y:Q"), text="name:N")

    rule = base.mark_rule(opacity=0.45)
    layers = [
        rule.encode(alt.X("x_low:Q"), axes["y"], colour, alt.X2("x_high:Q")),
        rule.encode(axes["x"], alt.Y("y_low:Q"), colour, alt.Y2("y_high:Q")),
        base.mark_rule(opacity=0.4, strokeWidth=0.5).encode(
            axes["x"], axes["y"], colour, alt.X2("name_x:Q"), alt.Y2("name_y:Q")
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            axes["x"], axes["y"], colour, shape, tooltip=tooltip
        ),
        texts(stroke="var(--page)", strokeWidth=3, strokeOpacity=0.7, strokeJoin="round"),
        texts().encode(colour),
    ]
    return Panel("", spec_of(alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT)), True)
