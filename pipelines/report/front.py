"""Mitigations beside one another: drift against utility, in words and in a plot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.report.headline import DASH, Variant, name_of, number
from pipelines.report.labels import Scale, placed, width_of
from pipelines.report.section import Section
from recsys.study.result import StudyResult

_STABLE = {
    "drift_total": "total drift",
    "drift_with_noise": "with noise",
    "drift_composition": "composition",
}
_SERVED = {
    "utility": "incumbents get",
    "utility_change": "change",
    "newcomers_utility": "newcomers get",
    "newcomers_exposure": "their exposure",
}
_STABLE_WORDS = (
    "total drift      of posts, 0 to 100 (1 - FRBO), beyond the noise of training",
    "with noise       what users see: a list that changes by training anyway has less room left",
    "                 to change, so that less noise can mean more total drift",
)
_SERVED_WORDS = (
    "get              utility of their feeds, clicks per 100 looks",
    "change           of that for incumbents, by the influx",
    "their exposure   % of incumbents' looks that fall on newcomers' posts",
)
_WORDS = {
    "drift_total": "less total drift",
    "drift_with_noise": "less drift with noise",
    "utility": "utility of incumbents' feeds",
    "newcomers_utility": "utility of newcomers' feeds",
    "newcomers_exposure": "more exposure of newcomers' creators",
}
_ACROSS = {
    "drift_composition": "excess drift (composition): beyond as many like the incumbents",
    "drift_total": "total drift: beyond the noise of training",
}
_UP = {
    "utility_change": "change for incumbents (clicks per 100 looks)",
    "newcomers_utility": "newcomers get (clicks per 100 looks)",
    "newcomers_exposure": "exposure of newcomers' creators (% of looks)",
}
_STATES = ("kept", "dominated")
_WIDTH, _HEIGHT = 340, 240


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
        better = ", ".join(_WORDS[what] for what in first["better_in"].split(", "))
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

    dominated = set(result.dominated.select("recommender", "mitigation").iter_rows())
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for row in result.front.iter_rows(named=True):
        of_one = rows.setdefault(row["recommender"], {})
        of_one.setdefault(row["mitigation"], {})[row["quantity"]] = row
    blocks = []
    for recommender, found in rows.items():
        for across, title in _ACROSS.items():
            panels = []
            for up, utility in _UP.items():
                points = list(_points(found, across, up))
                for point in points:
                    lost = (recommender, point["name"]) in dominated
                    point["state"] = "none" if point["name"] == "none" else _STATES[lost]
                if points:
                    panels.append(_panel(alt, points, title, utility))
            if panels:
                head = alt.TitleParams(f"{recommender}: {title}", anchor="start")
                blocks.append(alt.hconcat(*panels, title=head))
    chart = alt.vconcat(*blocks).properties(
        title=alt.TitleParams(
            f"{result.study.name}: drift against utility",
            subtitle=[
                "Up is better. Drift is 100 (1 - FRBO). Lines: 95 % intervals; luck is "
                "shared, so differences are surer than these (less_none in front.csv).",
                "Black: no mitigation. Grey: dominated by another of the same recommender.",
            ],
            anchor="start",
        )
    )
    path.write_text(chart.to_html(inline=True), encoding="utf-8")


def _points(
    found: Mapping[str, Mapping[str, Mapping[str, Any]]], across: str, up: str
) -> Iterator[dict[str, Any]]:
    """What stands in a panel; figures in hundredths, as in the terminal."""
    for mitigation, figures in found.items():
        point: dict[str, Any] = {"name": mitigation}
        for axis, quantity in (("x", across), ("y", up)):
            row = figures.get(quantity, {})
            for end, column in (("", "mean"), ("_low", "ci_low"), ("_high", "ci_high")):
                value = row.get(column)
                point[axis + end] = None if value is None else 100 * value
        if point["x"] is not None and point["y"] is not None:
            yield point


def _panel(alt: Any, points: list[dict[str, Any]], across: str, up: str) -> Any:
    """Drift against utility, with both intervals and a name beside each point."""
    names = [point["name"] for point in points]
    ends = {axis: [p[axis + end] for p in points for end in ("", "_low", "_high")] for axis in "xy"}
    known = {
        axis: [value for value in values if value is not None] for axis, values in ends.items()
    }
    x = Scale.around(known["x"], _WIDTH, 12, 12 + max(map(width_of, names)))
    y = Scale.around(known["y"], _HEIGHT, 14, 14)
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
    told = ["name:N", *(alt.Tooltip(f"{f}:Q", format=".2f") for f in ("x", "y"))]
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
            axes["x"], axes["y"], colour, tooltip=told
        ),
        base.mark_text(align="left", fontSize=10).encode(
            alt.X("name_x:Q"), alt.Y("name_y:Q"), colour, text="name:N"
        ),
    ]
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT)
