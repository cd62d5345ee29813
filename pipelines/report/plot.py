"""Plots as SVG, which a page shows without scripts and without a network."""

import re
from typing import Any


def svg_of(chart: Any) -> str:
    """An Altair chart as SVG, with coordinates rounded to a hundredth to keep the page small.

    Args:
        chart: an Altair chart of any kind.

    >>> import altair
    >>> svg_of(altair.Chart(altair.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q"))[:4]
    '<svg'
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg(chart.to_json())
    return re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}", svg)
