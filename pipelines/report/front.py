"""Mitigations side by side: net change and utility, as tables and as a plot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.report.headline import DASH, Headline, Variant, name_of, number
from pipelines.report.labels import Scale, placed, width_of
from pipelines.report.plot import html_of
from pipelines.report.section import Section
from recsys.study.result import StudyResult

_STABLE = {
    "net": "net change",
    "net_of_exposed": "most exposed tenth",
    "changed": "with chance",
}
_SERVED = {
    "utility": "long-time users get",
    "utility_of_exposed": "most exposed tenth",
    "utility_change": "change",
    "newcomers_utility": "newcomers get",
    "newcomers_exposure": "their exposure",
}
_STABLE_WORDS = (
    "net change          % of slots that the influx changes beyond the floor, as above",
    "most exposed tenth  the same, of those who get most newcomers' posts without mitigation",
    "with chance         % of slots that change in all, which is what users see. Where chance",
    "                    changes less, the floor is lower and net change can be larger",
)
_SERVED_WORDS = (
    "get             utility of the feeds, in clicks per 100 looks",
    "change          how much the influx changes the utility of long-time users' feeds",
    "their exposure  % of long-time users' looks that fall on newcomers' posts",
)
_WORDS = {
    "net": "less net change",
    "net_of_exposed": "less net change for the most exposed tenth",
    "changed": "less change with chance",
    "utility_of_exposed": "more utility for the most exposed tenth",
    "utility": "more utility for long-time users",
    "newcomers_utility": "more utility for newcomers",
    "newcomers_exposure": "more exposure of newcomers' creators",
}
_ACROSS = {
    "net": "net change (% of slots)",
    "net_of_exposed": "net change, most exposed tenth (% of slots)",
}
_UP = {
    "utility_change": "change for long-time users (clicks per 100 looks)",
    "newcomers_utility": "newcomers get (clicks per 100 looks)",
    "newcomers_exposure": "exposure of newcomers' creators (% of looks)",
}
_STATES = ("kept", "dominated")
_WIDTH, _HEIGHT = 340, 240


def front_sections(figures: Headline, order: list[Variant]) -> Iterator[Section]:
    """Net change and utility under each mitigation; nothing if the study has no mitigations.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, in the order of the other sections. Here the rows of a
            recommender stand together.
    """
    result = figures.result
    if result.front.is_empty():
        return
    recommenders = list(dict.fromkeys(recommender for recommender, _ in result.front_variants))
    rows: dict[Variant, dict[str, Mapping[str, Any]]] = {}
    for row in result.front.iter_rows(named=True):
        variant = (row["recommender"], row["mitigation"])
        rows.setdefault(variant, {})[row["quantity"]] = row
    ordered = sorted(order, key=lambda variant: recommenders.index(variant[0]))
    questions = {
        "How stable are long-time users' feeds under each mitigation?": (_STABLE, _STABLE_WORDS),
        "How well are long-time users and newcomers served?  (with the influx)": (
            _SERVED,
            _SERVED_WORDS,
        ),
    }
    for title, (titles, words) in questions.items():
        lines = [
            (name_of(variant), *(_with_ends(rows[variant].get(name)) for name in titles))
            for variant in ordered
        ]
        columns = ("recommender", *titles.values())
        yield Section(title, columns, tuple(lines), words)
    yield Section("Which mitigations can be left out?", lines=tuple(_verdicts(result)))


def _verdicts(result: StudyResult) -> Iterator[str]:
    """Which mitigations are dominated, and by which."""
    if result.study.seeds == 1:
        yield "One seed cannot show which mitigation is better."
        return
    dominated = result.dominated
    for (recommender, mitigation), rows in dominated.group_by(
        "recommender", "mitigation", maintain_order=True
    ):
        name = name_of((str(recommender), str(mitigation)))
        first = rows.row(0, named=True)
        better = ", ".join(_WORDS[what] for what in first["better_in"].split(", "))
        others = ["no mitigation" if by == "none" else by for by in rows["by"][1:]]
        also = f" It is also dominated by {', '.join(others)}." if others else ""
        by = "no mitigation" if first["by"] == "none" else first["by"]
        yield f"{name} is dominated by {by}: {better}, at no clear cost.{also}"
    if dominated.is_empty():
        yield "No row is dominated: each is better in some respect, or too much like the others."
    yield "A row is dominated if another of the same recommender is clearly better in one respect"
    yield "and clearly worse in none. Clearly: by the 95 % interval of the paired difference, and"
    yield "by more than 1 % of slots, 1 % of long-time users' or 5 % of newcomers' figures; for the"
    yield "most exposed tenth, by twice as much."


def _with_ends(row: Mapping[str, Any] | None) -> str:
    if row is None or row["mean"] is None:
        return DASH
    middle = number(row["mean"])
    if row["ci_low"] is None:
        return middle
    return f"{middle} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def save_front_plot(result: StudyResult, path: Path) -> None:
    """Writes a plot of net change against utility as one HTML page that needs no network.

    Args:
        result: the result of a study with mitigations.
        path: the file to write, such as `front.html`.
    """
    import altair as alt

    dominated = set(result.dominated.select("recommender", "mitigation").iter_rows())
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for row in result.front.iter_rows(named=True):
        of_one = rows.setdefault(row["recommender"], {})
        of_one.setdefault(row["mitigation"], {})[row["quantity"]] = row
    blocks = []
    for recommender, by_mitigation in rows.items():
        for across, title in _ACROSS.items():
            panels = []
            for up, utility in _UP.items():
                points = list(_points(by_mitigation, across, up))
                for point in points:
                    is_dominated = (recommender, point["name"]) in dominated
                    point["state"] = "none" if point["name"] == "none" else _STATES[is_dominated]
                if points:
                    panels.append(_panel(alt, points, title, utility))
            if panels:
                head = alt.TitleParams(f"{recommender}: {title}", anchor="start")
                blocks.append(alt.hconcat(*panels, title=head))
    chart = alt.vconcat(*blocks).properties(
        title=alt.TitleParams(
            f"{result.study.name}: change against utility",
            subtitle=[
                "Up and left are better. Lines: 95 % intervals. Mitigations share "
                "their luck, so their differences (less_none in front.csv) are surer.",
                "Black: no mitigation. Grey: dominated by another row of the same recommender.",
            ],
            anchor="start",
        )
    )
    path.write_text(html_of(chart), encoding="utf-8")


def _points(
    by_mitigation: Mapping[str, Mapping[str, Mapping[str, Any]]], across: str, up: str
) -> Iterator[dict[str, Any]]:
    """The points of a panel, with figures in hundredths, as on the terminal."""
    for mitigation, figures in by_mitigation.items():
        point: dict[str, Any] = {"name": mitigation}
        for axis, quantity in (("x", across), ("y", up)):
            row = figures.get(quantity, {})
            for end, column in (("", "mean"), ("_low", "ci_low"), ("_high", "ci_high")):
                value = row.get(column)
                point[axis + end] = None if value is None else 100 * value
        if point["x"] is not None and point["y"] is not None:
            yield point


def _panel(alt: Any, points: list[dict[str, Any]], across: str, up: str) -> Any:
    """A panel of net change and utility, with both intervals and a name beside each point."""
    names = [point["name"] for point in points]
    ends = {axis: [p[axis + end] for p in points for end in ("", "_low", "_high")] for axis in "xy"}
    finite = {
        axis: [value for value in values if value is not None] for axis, values in ends.items()
    }
    x = Scale.around(finite["x"], _WIDTH, 12, 12 + max(map(width_of, names)))
    y = Scale.around(finite["y"], _HEIGHT, 14, 14)
    places = placed([(x.pixel(p["x"]), y.pixel(p["y"])) for p in points], names, _HEIGHT)
    for point, place in zip(points, places, strict=True):
        point["name_x"], point["name_y"] = x.value(place.x), y.value(place.y)
    base = alt.Chart(alt.Data(values=points))
    axes = {
        "x": alt.X("x:Q", title=across, scale=alt.Scale(domain=x[:2], nice=False)),
        "y": alt.Y("y:Q", title=up, scale=alt.Scale(domain=y[:2], nice=False)),
    }
    colours = alt.Scale(domain=["none", *_STATES], range=["black", "#2f6fb0", "#9a9a9a"])
    colour = alt.Color("state:N", scale=colours, legend=None)
    tooltip = ["name:N", *(alt.Tooltip(f"{f}:Q", format=".2f") for f in ("x", "y"))]
    layers = [
        base.mark_rule(opacity=0.35).encode(
            alt.X("x_low:Q"), axes["y"], colour, alt.X2("x_high:Q")
        ),
        base.mark_rule(opacity=0.35).encode(
            axes["x"], alt.Y("y_low:Q"), colour, alt.Y2("y_high:Q")
        ),
        base.mark_rule(opacity=0.4, strokeWidth=0.5).encode(
            axes["x"], axes["y"], colour, alt.X2("name_x:Q"), alt.Y2("name_y:Q")
        ),
        base.mark_point(filled=True, size=45, opacity=1).encode(
            axes["x"], axes["y"], colour, tooltip=tooltip
        ),
        base.mark_text(align="left", fontSize=10).encode(
            alt.X("name_x:Q"), alt.Y("name_y:Q"), colour, text="name:N"
        ),
    ]
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT)
