"""Charts show figures of the tables, each once more as text, and cut what is impossible."""

import math
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from pipelines.report.charts.chart import Chart, cut_words, point
from pipelines.report.charts.days import course
from pipelines.report.headline import Headline
from pipelines.report.page import cells, study_charts
from recsys.study.result import StudyResult

_MADE_FROM = (
    "headline", "summary", "drift", "quantiles", "groups", "front", "channels", "arrivals",
)  # fmt: skip


def _figures(result: StudyResult) -> set[float]:
    """All numbers of the tables, and the means of each arm and draw of `per_user`."""
    found: set[float] = set()
    for name in _MADE_FROM:
        numbers = result.tables[name].select(pl.selectors.numeric())
        for column in numbers.iter_columns():
            found |= {float(value) for value in column.drop_nulls()}
    whole = result.per_user.filter(pl.col("day").is_null())
    keys = ["recommender", "mitigation", "arm", "draw"]
    means = whole.group_by(keys).agg(pl.col("posts", "slots_changed").mean())
    for name in ("posts", "slots_changed"):
        found |= set(means[name].drop_nulls())
    return found


def _drawn(charts: list[Chart]) -> Iterator[tuple[str, float]]:
    for chart in charts:
        for row in chart.rows:
            for key in ("value", "low", "high", "x", "y", "x_low", "y_high"):
                if row.get(key) is not None and not row.get("cut"):
                    yield chart.name, row[key]


@pytest.mark.parametrize("kind", ["course_result", "log_result"])
def test_no_figure_is_in_no_table(kind: str, request: pytest.FixtureRequest) -> None:
    result: StudyResult = request.getfixturevalue(kind)
    charts = list(study_charts(Headline(result)))
    known = sorted(_figures(result))
    scaled = [100 * value for value in known] + known
    found = 0
    for name, value in _drawn(charts):
        near = any(math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-9) for other in scaled)
        assert near, f"{name}: {value}"
        found += 1
    assert found > 50


@pytest.mark.parametrize("kind", ["course_result", "log_result"])
def test_each_chart_has_its_figures_as_text(kind: str, request: pytest.FixtureRequest) -> None:
    charts = list(study_charts(Headline(request.getfixturevalue(kind))))
    assert len({chart.name for chart in charts}) == len(charts)
    for chart in charts:
        assert chart.panels, chart.name
        assert chart.title.endswith(("?", ")"))
        assert len(cells(chart)) == len(chart.rows) > 0
        assert all(len(row) == len(chart.columns) for row in cells(chart))
        drawn = {text for panel in chart.panels for text in _texts(panel.spec)}
        shown = {row["figure"] for row in chart.rows if row.get("figure") and row.get("value")}
        assert shown <= drawn, chart.name  # what hovering shows is in the table


def _texts(thing: Any) -> Iterator[str]:
    if isinstance(thing, dict):
        for value in thing.values():
            yield from _texts(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from _texts(value)
    elif isinstance(thing, str):
        yield thing


def test_histograms_count_every_user(course_result: StudyResult) -> None:
    charts = {chart.name: chart for chart in study_charts(Headline(course_result))}
    rows = charts["spread-changed"].rows
    whole = course_result.per_user.filter(
        pl.col("day").is_null(), pl.col("cohort") == "incumbent", arm="influx"
    )
    for (name,), group in whole.group_by("recommender"):
        mine = [row for row in rows if row["name"] == name and "users" in row]
        assert sum(row["users"] for row in mine) == group["slots_changed"].count()
        for row in mine:
            inside = (group["slots_changed"] * 100).is_between(
                row["from"] - 1e-6, row["to"] - 1e-6 if row["to"] < 100 else 101
            )
            assert inside.sum() == row["users"]


def test_impossible_ends_are_cut_and_said() -> None:
    row = {"mean": 0.1, "ci_low": -0.3, "ci_high": 1.4}
    found = point(row, least=0)
    assert (found["low"], found["high"], found["cut"]) == (0, 100, True)
    assert found["interval"] == "-30.0 to 140.0"  # the table keeps it
    assert "1 of 1 intervals reach beyond" in cut_words([found])
    fine = point({"mean": 0.1, "ci_low": 0.0, "ci_high": 1.0}, least=0)
    assert not fine["cut"]
    assert cut_words([fine]) == ""
    assert point({"mean": None})["interval"] == "none"


def test_a_course_marks_what_happened() -> None:
    rows = [{"day": day, "what": "net", **point({"mean": day / 10})} for day in range(4)]
    spec = course(rows, "posts", ("var(--blue)",), {0: "they arrive", 2: "they leave"})
    assert {"they arrive", "they leave"} <= set(_texts(spec))
    assert spec["width"] == "container"
