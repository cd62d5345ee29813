"""Plots as SVG, which a page shows without scripts and without a network."""

import re
from typing import Any

from recsys.core.errors import visible


def svg_of(chart: Any) -> str:
    """An Altair chart as SVG, with coordinates rounded to a hundredth to keep the page small.

    Args:
        chart: an Altair chart of any kind.

    >>> import altair
    >>> svg_of(altair.Chart(altair.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q"))[:4]
    '<svg'
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg(shown(chart.to_dict()))
    return re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}", svg)


def shown(value: Any) -> Any:
    """What goes into a page's scripts, with control characters in its texts shown.

    Args:
        value: made of dicts, lists, texts and numbers, such as a chart's specification.

    >>> print(shown({"name": ["a\\x1bb", 1]})["name"][0])
    a\\x1bb
    """
    if isinstance(value, dict):
        return {key: shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shown(inner) for inner in value]
    return visible(value) if isinstance(value, str) else value
