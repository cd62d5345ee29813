"""Plots as SVG, which a page shows without scripts and without a network."""

import json
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

    svg = vl_convert.vegalite_to_svg(_shown(chart.to_dict()))
    return re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}", svg)


def html_of(chart: Any) -> str:
    """An Altair chart as a page that needs no network; a name in it cannot end the page's script.

    Args:
        chart: an Altair chart of any kind.

    >>> import altair
    >>> evil = altair.Chart(altair.Data(values=[{"x": "</script><b>"}])).mark_bar().encode(x="x:N")
    >>> page = html_of(evil)
    >>> page.count("</script><b>"), page.count(r"\\u003c/script\\u003e")
    (0, 1)
    """
    page: str = chart.to_html(inline=True, json_kwds={"cls": _ForScripts})
    return page


class _ForScripts(json.JSONEncoder):
    """JSON that can stand in a script of a page, where `</script>` would end the script."""

    def encode(self, o: Any) -> str:
        """As JSON, without `<`, `>` and `&`, which JSON holds in texts alone."""
        text = super().encode(_shown(o))
        for character in "<>&":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return text


def _shown(value: Any) -> Any:
    """A chart's dict, with control characters in its texts shown."""
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(inner) for inner in value]
    return visible(value) if isinstance(value, str) else value
