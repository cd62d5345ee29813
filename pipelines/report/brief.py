"""The short summary of a study in the terminal: 24 lines of 80 columns after the verdict, at most.

A row for each recommender, best first. `--full` prints every table instead.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from pipelines.report.headline import DASH, Headline, interval, name_of, number
from pipelines.report.log import mix_sections, removal
from pipelines.report.section import Section
from pipelines.report.world import in_order, people
from recsys.config import World
from recsys.study.result import StudyResult
from recsys.study.verdicts.value import Verdict

WIDTH = 80
"""Columns of the narrowest terminal that everything fits."""
MOST_ROWS = 10
"""Lines of the rows of a table in a short summary; `--full` prints all."""
MOST_MIXES = 5
"""The same of the mix of a log's feeds, whose rows that move furthest come first."""
_QUANTITIES = {
    "net": "net        changed because they came, of 100 that chance leaves in place",
    "displaced": "displaced  now hold a newcomer's post; a part of net",
    "locals": "locals     net of as many people like the long-time users",
    "floor": "floor      changed where one more person joins: chance",
    "utility": "utility    change of clicks per look, in %",
}
"""What each column means; a column that nothing was measured for is left out."""
_WITH_ENDS = ("net", "utility")
"""Columns with an interval."""


def print_verdict(console: Console, sentences: Sequence[str]) -> None:
    """Prints the sentences of a verdict, each on lines of its own.

    Args:
        console: the console to print to.
        sentences: of `recsys.verdict`; of a log, those of `pipelines.report.log.led`.
    """
    width = min(console.width, WIDTH)
    for place, sentence in enumerate(sentences):
        text = textwrap.fill(sentence, width, break_on_hyphens=False)
        console.print(text, style="bold" if place == 0 else None, soft_wrap=True)
    console.print()


def opening_line(result: StudyResult) -> str:
    """The first line of a summary: the study, and how many come to whom.

    Args:
        result: the result of a study.
    """
    study = result.study
    if isinstance(study.source, World):
        return f"{study.name}: {people(study)}"
    return f"{study.name}: would long-time users see different feeds without the newcomers?"


def brief_sections(figures: Headline) -> Iterator[Section]:
    """The tables of the short summary.

    Args:
        figures: figures of a study.
    """
    if isinstance(figures.result.study.source, World):
        yield shortened(_of_world(figures))
        return
    yield shortened(removal(figures))
    for section in mix_sections(figures):
        yield shortened(section, MOST_MIXES)


def name_width(section: Section, width: int = WIDTH) -> int:
    """How wide the names of a table's rows may be, so that its figures fit beside them.

    Args:
        section: any section with a table.
        width: columns of the terminal.

    >>> name_width(Section("", ("name", "net"), (("als", "12.9 [5.1, 20.7]"),)), 40)
    22
    """
    cells = zip(*(row[1:] for row in (section.columns, *section.rows)), strict=True)
    figures = sum(max(map(len, column)) + 2 for column in cells)
    return max(width - figures, 8)


def shortened(section: Section, most: int = MOST_ROWS) -> Section:
    """The section with its first rows alone, and a line on how many are left out.

    Args:
        section: any section with a table.
        most: how many lines the rows may take; a name that is too wide takes several.
    """
    wide, kept, lines = name_width(section), 0, 0
    for row in section.rows:
        lines += max(-(-len(row[0]) // wide), 1)
        kept += lines <= most
    if kept == len(section.rows):
        return section
    told = (f"({len(section.rows) - kept:,} more rows: --full)", *section.lines)
    return section._replace(rows=section.rows[:kept], lines=told)


def variants_section(results: Sequence[StudyResult], verdicts: Sequence[Verdict]) -> Section:
    """The answers of several studies side by side, a row each.

    Args:
        results: the results of all variants, in the order of the config.
        verdicts: the verdict on each.
    """
    rows = []
    for result, verdict in zip(results, verdicts, strict=True):
        best = verdict.findings[0]
        figures = Headline(result)
        cell = interval(figures.net((best.recommender, best.mitigation)), "net")
        rows.append((str(result.study.variant), verdict.answer, best.name, cell))
    return Section(
        "Did long-time users' feeds change because of the newcomers?",
        ("variant", "answer", "changed least by", "net, % of slots"),
        tuple(rows),
    )


def _of_world(figures: Headline) -> Section:
    """What the influx changed, how much of it would have changed anyway, and what it cost."""
    order = in_order(figures)
    rows = [figures.net(variant) for variant in order]
    columns = [
        name
        for name in _QUANTITIES
        if name == "net" or any(row.get(name) is not None for row in rows)
    ]
    table = tuple(
        (name_of(variant), *(_cell(row, name) for name in columns))
        for variant, row in zip(order, rows, strict=True)
    )
    lines = [_QUANTITIES[name] for name in columns]
    if any(DASH in row for row in table):
        lines.append(f"{DASH}          cannot be told: chance leaves no room, or was not simulated")
    return Section(
        "Of 100 posts shown to long-time users  (in brackets 95 % intervals)",
        ("recommender", *columns),
        table,
        tuple(lines),
    )


def _cell(row: Mapping[str, Any], name: str) -> str:
    return interval(row, name) if name in _WITH_ENDS else number(row.get(name))
