"""The summary of a study as one HTML page that needs no network and runs no script.

The page holds all rows of the tables on the terminal, and a plot of drift by day if at least five
days were measured.
"""

import html
from collections.abc import Iterator
from pathlib import Path

from pipelines.report.appendix import APPENDIX
from pipelines.report.days import daily_plot
from pipelines.report.headline import Headline
from pipelines.report.log import log_sections
from pipelines.report.section import Section
from pipelines.report.world import in_order, world_sections
from recsys.config import World
from recsys.core.errors import visible
from recsys.study.result import StudyResult

_STYLE = """
body {font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff}
h1 {font-size: 1.5rem} h2 {font-size: 1.08rem; margin: 2rem 0 .5rem}
table {border-collapse: collapse; font-variant-numeric: tabular-nums; display: block;
  overflow-x: auto}
th, td {padding: .15rem .7rem; text-align: right; white-space: nowrap}
th {font-weight: normal; color: #666; border-bottom: 1px solid #ccc}
th:first-child, td:first-child {text-align: left; padding-left: 0; white-space: pre}
pre {font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; margin: .6rem 0}
.note {background: #fff6dd; padding: .4rem .7rem} svg {max-width: 100%; height: auto}
"""
_PLOT = (
    "The grey line is total drift. The blue line is composition, with its 95 % interval on each "
    "day. The shaded area is the band of composition: in 95 % of studies, the band holds the true "
    "composition of all days at once. So a day whose band leaves out 0 counts, even if you picked "
    "the day because it stands out."
)
_DASHED = " The dashed line is the day on which newcomers begin to leave."


def save_page(result: StudyResult, path: Path) -> None:
    """Writes the page.

    Args:
        result: the result of a study of a world or of a log.
        path: the file to write, such as `report.html`.
    """
    path.write_text("\n".join(_page(result)), encoding="utf-8")


def _page(result: StudyResult) -> Iterator[str]:
    title, figures = escape(result.study.name), Headline(result)
    yield "<!doctype html>"
    yield f'<html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    is_world = isinstance(result.study.source, World)
    sections = (world_sections if is_world else log_sections)(figures, whole=True)
    svg = daily_plot(result, in_order(figures)) if is_world else ""
    for place, section in enumerate(sections):
        if svg and section.title.startswith(APPENDIX):
            heading = f"{APPENDIX}: drift over the days"
            yield f"<h2>{heading}</h2><p>{_PLOT}{_dashed(result)}</p>{svg}"
            svg = ""
        yield from _section(section, "h2" if place else "h1")
    for note in result.notes:
        yield f'<p class="note">{escape(note)}</p>'
    plots = {"front": result.front, "channels": result.channels}
    for name in (name for name, rows in plots.items() if not rows.is_empty()):
        yield f'<p>More plots are in <a href="{name}.html">{name}.html</a>, beside this page.</p>'
    yield (
        "<p>The .csv files beside this page hold every figure with its arms, days, users and "
        "seeds. measures.csv holds the formulas, config.yaml the config of this run.</p></html>"
    )


def escape(text: str) -> str:
    """A text for a page: its markup is shown, and so are control characters but line breaks."""
    return html.escape(visible(text, keep="\n"))


def _dashed(result: StudyResult) -> str:
    """The explanation of the dashed line, if the plot can have one."""
    source = result.study.source
    turns_back = isinstance(source, World) and source.influx.reversal_day is not None
    return _DASHED if turns_back else ""


def _section(section: Section, heading: str) -> Iterator[str]:
    if section.title:
        yield f"<{heading}>{escape(section.title)}</{heading}>"
    if section.rows:
        head = "".join(f"<th>{escape(title)}</th>" for title in section.columns)
        rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in section.rows)
        body = "".join(f"<tr>{cells}</tr>" for cells in rows)
        yield f"<table><tr>{head}</tr>{body}</table>"
    if section.lines:
        yield f"<pre>{escape(chr(10).join(section.lines))}</pre>"
