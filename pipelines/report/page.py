"""A study as one HTML page: the verdict, a user's feeds side by side, pictures, and all tables.

The page needs no network: style, script and the library that draws the charts are inside it. The
template escapes whatever comes from data.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import recsys
from pipelines.imports import alone
from pipelines.report.charts.change import change_charts
from pipelines.report.charts.chart import Chart, Row
from pipelines.report.charts.days import appendix_charts, day_charts
from pipelines.report.charts.log import arrival_charts, mix_charts, placebo_charts
from pipelines.report.charts.parts import channel_charts, front_charts, ladder_charts
from pipelines.report.charts.served import served_charts
from pipelines.report.charts.users import group_charts, named_group_charts, spread_charts
from pipelines.report.headline import DASH, Headline
from pipelines.report.log import led, log_sections
from pipelines.report.phones import Json, phones_of
from pipelines.report.plot import shown
from pipelines.report.served import served_sections
from pipelines.report.world import in_order, people, world_sections
from recsys.config import World
from recsys.core.errors import visible
from recsys.served.compare import FeedComparison
from recsys.study.result import StudyResult

_FILES = (
    "The .csv files beside this page hold every figure with its arms, days, users and seeds. "
    "measures.csv holds the formulas, config.yaml the config of this run."
)


@alone()
def save_page(result: StudyResult, path: Path) -> None:
    """Writes the page of a study.

    Args:
        result: the result of a study of a world or of a log.
        path: the file to write, such as `report.html`.
    """
    figures = Headline(result)
    is_world = isinstance(result.study.source, World)
    order = in_order(figures) if is_world else figures.variants
    verdict = recsys.verdict(result)
    taken = verdict.recommended[:1] if verdict.recommended else None
    sections = (world_sections if is_world else log_sections)(figures, whole=True)
    question = (
        f"Did feeds change because {people(result.study)}?"
        if is_world
        else "Did long-time users’ feeds change because of the newcomers?"
    )
    _write(
        path,
        title=result.study.name,
        over=f"recsys · {result.study.name}",
        question=question,
        verdict=led(result, verdict),
        notes=result.notes,
        phones=phones_of(result, sorted(order, key=lambda variant: variant[:1] != taken)),
        charts=list(study_charts(figures)),
        sections=list(sections),
        files=_FILES,
    )


@alone()
def save_served_page(name: str, result: FeedComparison, phones: Json | None, path: Path) -> None:
    """Writes the page of a comparison of served feeds.

    Args:
        name: the name of the comparison, such as `feeds`.
        result: the result of `recsys.compare_feeds`.
        phones: from `pipelines.report.phones.served_phones`.
        path: the file to write, such as `report.html`.
    """
    sections = list(served_sections(name, result))
    _write(
        path,
        title=name,
        over=f"recsys evaluate · {name}",
        question=sections[0].title,
        verdict=sections[0].lines,
        notes=result.notes,
        phones=phones,
        charts=list(served_charts(result)),
        sections=sections[1:],
        files=_FILES.replace("arms, days, users and seeds", "days, cohorts and users"),
    )


def study_charts(figures: Headline) -> Iterator[Chart]:
    """All charts of a study, in the order of the page.

    Args:
        figures: figures of the study.
    """
    result = figures.result
    if not isinstance(result.study.source, World):
        yield from placebo_charts(figures)
        yield from arrival_charts(result)
        yield from mix_charts(result, figures.variants)
        yield from ladder_charts(result, figures.variants, log=True)
        yield from named_group_charts(figures, figures.variants)
        return
    order = in_order(figures)
    yield from change_charts(figures, order)
    yield from day_charts(result, order)
    yield from group_charts(figures, order)
    yield from spread_charts(result, order)
    yield from front_charts(result)
    yield from channel_charts(result, order)
    yield from ladder_charts(result, order, log=False)
    yield from named_group_charts(figures, order)
    yield from appendix_charts(result, order)


def _write(path: Path, *, charts: Sequence[Chart], phones: Json | None, **more: Any) -> None:
    """Fills the template."""
    numbers = count()
    page = _template().render(
        charts=[{**chart._asdict(), "wide": chart.wide, "cells": cells(chart)} for chart in charts],
        numbers=[[next(numbers) for _ in chart.panels] for chart in charts],
        plots=shown([panel.spec for chart in charts for panel in chart.panels]),
        phones=shown(phones),
        vega=_vega() if charts else "",
        **more,
    )
    path.write_text(page, encoding="utf-8")


def cells(chart: Chart) -> list[list[str]]:
    """The table of a chart's figures, as text.

    Args:
        chart: a chart of a page.
    """

    def text(row: Row, key: str) -> str:
        return DASH if row.get(key) is None else str(row[key])

    return [[text(row, key) for key in chart.columns] for row in chart.rows]


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipelines.report"),
        autoescape=True,
        finalize=_seen,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment.get_template("page.html")


def _seen(value: Any) -> Any:
    """What stands in the page: plain text with its control characters shown."""
    return visible(value, keep="\n") if type(value) is str else value


@cache
def _vega() -> Any:
    """The library that draws the charts, which is code of the page, not text to escape."""
    import vl_convert
    from markupsafe import Markup

    bundle: Any = vl_convert.javascript_bundle  # its stub asks for a snippet that it does not need
    return Markup(bundle().replace("</script", "<\\/script"))
