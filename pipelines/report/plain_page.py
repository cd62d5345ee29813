"""A small page of sections, which needs no network and runs no script."""

from collections.abc import Sequence
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from pipelines.report.section import Section

BARS = "When are users first seen?"
"""The beginning of the title of the section that a page shows as bars."""


class Bar(NamedTuple):
    """A bar of a chart."""

    name: str
    value: int
    marked: bool = False
    """Whether it has another colour, and a word that says so."""


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ name }}</title>
<style>
:root {color-scheme: light dark}
body {font: 15px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem}
table {border-collapse: collapse; font-variant-numeric: tabular-nums; display: block;
  overflow-x: auto}
th, td {padding: .15rem .8rem .15rem 0; text-align: right; white-space: nowrap}
th:first-child, td:first-child {text-align: left; white-space: pre}
th {font-weight: normal; opacity: .7}
.bar {background: #2a78d6; height: .8em; border-radius: 2px; min-width: 1px}
.marked .bar {background: #c2570c} td.chart {width: 24rem; min-width: 8rem}
p {margin: .3rem 0}
pre {background: #8882; padding: .8rem; overflow-x: auto; border-radius: 6px}
h1 {font-size: 1.3rem} h2 {font-size: 1.05rem; margin-top: 2rem}
</style>
{% for section in sections %}
{% if section.title %}<h{{ 1 if loop.first else 2 }}>{{ section.title }}\
</h{{ 1 if loop.first else 2 }}>{% endif %}
{% if bars and section.title.startswith(bars_title) %}
<table><tr><th>from</th><th>users</th><th></th><th></th></tr>
{% for bar in bars %}<tr{% if bar.marked %} class="marked"{% endif %}><td>{{ bar.name }}</td>
<td>{{ "{:,}".format(bar.value) }}</td>
<td class="chart"><div class="bar" style="width: {{ (100 * bar.value / most) | round(1) }}%"></div>
</td><td>{{ "wave" if bar.marked }}</td></tr>
{% endfor %}</table>
{% else %}
{% if section.rows %}<table><tr>{% for title in section.columns %}<th>{{ title }}</th>
{% endfor %}</tr>
{% for row in section.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>{% endif %}
{% for line in section.lines %}<p>{{ line }}</p>
{% endfor %}{% endif %}{% endfor %}
{% if code %}<h2>To start from</h2>
<pre>{{ code }}</pre>{% endif %}
</html>
"""


def plain_page(
    name: str, sections: Sequence[Section], *, bars: Sequence[Bar] = (), code: str = ""
) -> str:
    """A page as HTML; whatever the data hold stays text.

    Args:
        name: title of the page.
        sections: its sections.
        bars: a chart in place of the lines of the section whose title begins with `BARS`.
        code: text at the end, to be copied.

    >>> "&lt;b&gt;" in plain_page("x", [Section("<b>")])
    True
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    most = max((bar.value for bar in bars), default=0) or 1
    page = environment.from_string(_PAGE)
    return page.render(
        name=name, sections=sections, bars=bars, most=most, code=code, bars_title=BARS
    )
