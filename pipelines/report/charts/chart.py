"""What a chart is: panels for the eye, and the same figures as rows of a table.

A colour is the name of a variable of the page's style, so that one chart serves light, dark and
print. No chart tells anything by colour alone: series differ in shape, dash or place, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipelines.report.headline import number

Row = dict[str, Any]
"""A point of a chart: what a panel draws, and its texts `figure`, `interval` and `n`."""

BLUE, ORANGE, GREEN, GREY, INK = (
    f"var(--{name})" for name in ("blue", "orange", "green", "grey", "ink")
)
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
COLOURS = (BLUE, ORANGE, GREEN, INK, GREY, "var(--purple)")
NAME_WIDTH = 150
"""Most pixels that a name beside an axis takes; a longer one ends with an ellipsis."""


class Panel(NamedTuple):
    """One picture of a chart.

    Attributes:
        title: its name, such as the recommender's; may be empty.
        spec: its Vega-Lite specification.
        fixed: whether it has a width of its own, and not that of its place on the page.
        words: a line above the picture; may be empty.
    """

    title: str
    spec: Mapping[str, Any]
    fixed: bool = False
    words: str = ""


class Chart(NamedTuple):
    """A question, the pictures that answer it, and their figures.

    Attributes:
        name: short name, of letters and dashes.
        title: the question.
        words: how to read it, a sentence or more.
        panels: its pictures.
        columns: title of each column of the figures' table, by key of its rows.
        rows: the figures, a row each.
    """

    name: str
    title: str
    words: str
    panels: Sequence[Panel]
    columns: Mapping[str, str]
    rows: Sequence[Row]

    @property
    def wide(self) -> bool:
        """Whether its one picture takes the whole width of the page."""
        return len(self.panels) == 1 and not self.panels[0].fixed


def point(
    row: Mapping[str, Any],
    name: str = "mean",
    *,
    unit: str = "%",
    scale: float = 100,
    least: float = -100,
    most: float = 100,
) -> Row:
    """A figure of a table's row, with its interval cut to the possible range, and its texts.

    Args:
        row: a row of a table of a study.
        name: the column of the figure; its interval is in `ci_low` and `ci_high` after `mean`, and
            in columns beginning with the name otherwise.
        unit: what the figure is counted in, written behind it.
        scale: what the figure is multiplied by, 100 for shares.
        least, most: the range that the figure can have.

    >>> row = {"net": 0.25, "net_ci_low": -3.0, "net_ci_high": 0.5, "n_users": 350, "n_seeds": 3}
    >>> found = point(row, "net")
    >>> found["low"], found["cut"], found["figure"], found["interval"], found["n"]
    (-100, True, '25.0 %', '-300.0 to 50.0', '350 users, 3 seeds')
    """
    ends = ("ci_low", "ci_high") if name == "mean" else (f"{name}_ci_low", f"{name}_ci_high")
    value, low, high = (None if row.get(key) is None else scale * row[key] for key in (name, *ends))
    inside = [None if end is None else min(max(end, least), most) for end in (low, high)]
    if low is None or high is None:
        inside = [None, None]
    beyond = [0.0 if end is None else max(least - end, end - most) for end in (low, high)]
    return {
        "value": value,
        "low": inside[0],
        "high": inside[1],
        "cut": max(beyond) > 1e-9,
        "figure": f"{number(value, 1)} {unit}".strip(),
        "interval": "none" if None in inside else f"{number(low, 1)} to {number(high, 1)}",
        "n": counted(row),
    }


def counted(row: Mapping[str, Any]) -> str:
    """The users and seeds that a figure rests on.

    >>> counted({"n_users": 1200, "n_seeds": 1}), counted({"n_users": 20})
    ('1,200 users, 1 seed', '20 users')
    """
    users, seeds = row.get("n_users"), row.get("n_seeds")
    words = [f"{users:,} users"] if users is not None else []
    words += [f"{seeds} seed{'s' if seeds > 1 else ''}"] if seeds is not None else []
    return ", ".join(words)


FIGURES = {"figure": "figure", "interval": "95 % interval", "n": "from"}
"""The last columns of most tables of figures."""


def hover(alt: Any, **titles: str) -> list[Any]:
    """What is shown where the pointer rests: the fields of `titles`, then those of `FIGURES`."""
    shown = {**titles, **FIGURES}
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in shown.items()]


def cut_words(rows: Sequence[Row]) -> str:
    """A sentence on intervals that reach beyond what is possible; empty if there is none."""
    cut = sum(row.get("cut", False) for row in rows)
    if not cut:
        return ""
    return (
        f" {cut} of {len(rows)} intervals reach beyond what is possible and are cut there: they "
        "say nothing. More seeds make them shorter."
    )


def altair() -> Any:
    """The library that makes specifications; it is loaded when the first chart is made."""
    import altair

    return altair


def spec_of(chart: Any) -> dict[str, Any]:
    """The specification of an Altair chart, without what the page sets for all charts."""
    spec: dict[str, Any] = chart.to_dict(validate=False)
    spec.pop("config", None)
    spec.pop("$schema", None)
    return spec


def names_axis(alt: Any, order: Sequence[str], field: str = "name", **more: Any) -> Any:
    """A vertical axis of names, in an order."""
    axis = alt.Axis(labelLimit=NAME_WIDTH, ticks=False, domain=False, grid=False, labelPadding=8)
    return alt.Y(f"{field}:N", sort=list(order), title=None, axis=axis, **more)
