"""Plots as SVG, which a page holds without scripts or a network."""

import re
from typing import Any


def svg_of(chart: Any) -> str:
    """An Altair chart as SVG, with coordinates to a hundredth, so that a page can hold it.

    Args:
        chart: of any kind.

    >>> import altair
    >>> svg_of(altair.Chart(altair.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q"))[:4]
    '<svg'
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg(chart.to_json())
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", svg)
