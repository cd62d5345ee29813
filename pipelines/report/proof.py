"""Plots of a proof: the drift that a log shows, against the true drift."""

from typing import Any

import polars as pl

from pipelines.report.plot import svg_of
from recsys.checks.proof.joined import WAYS
from recsys.checks.proof.run import Proof

_TITLES = {
    "language_format": "mix (TV)",
    "newcomer_share": "newcomers' share of looks",
}


def plots_of(proof: Proof) -> dict[str, str]:
    """Plots as SVG, by name; none if the proof has no offline part.

    Args:
        proof: the result of `recsys.checks.proof.run.prove`.

    Returns:
        `offline-cells`: total drift of each cell by the log and in truth. `offline-sizes`: mean
        total drift by size of the influx. `offline-composition`: mean composition by that size.
    """
    if "cells" not in proof.tables:
        return {}
    import altair as alt

    charts = {
        "offline-cells": _cells(alt, proof.tables["cells"]),
        "offline-sizes": _sizes(alt, proof.tables["offline"], "total"),
        "offline-composition": _sizes(alt, proof.tables["offline"], "composition"),
    }
    small = {"aria": False, "axis": {"grid": False, "tickCount": 5}}
    return {name: svg_of(chart.configure(**small)) for name, chart in charts.items()}


def _cells(alt: Any, cells: pl.DataFrame) -> Any:
    """Total drift by the log over true total drift, a panel for each level and way of removal.

    On the dashed line the log is right.
    """
    panels = []
    for way in WAYS:
        row = []
        for level, title in _TITLES.items():
            rows = cells.filter(way=way, level=level)
            columns = rows.select("recommender", "size", "true_total", "total")
            most = float(max(rows["true_total"].max(), rows["total"].max(), 0.01))  # type: ignore[type-var, arg-type]
            line = alt.Chart(alt.Data(values=[{"x": 0, "y": 0}, {"x": most, "y": most}]))
            points = alt.Chart(alt.Data(values=columns.to_dicts())).mark_circle(opacity=0.6)
            row.append(
                line.mark_line(color="grey", strokeDash=[4, 3]).encode(x="x:Q", y="y:Q")
                + points.encode(
                    alt.X("true_total:Q", title=f"truth: {title}"),
                    alt.Y("total:Q", title=f"log without {way}"),
                    alt.Color("recommender:N"),
                    alt.Size("size:Q", title="size", scale={"range": [10, 90]}),
                )
            )
        panels.append(alt.hconcat(*(panel.properties(width=190, height=170) for panel in row)))
    return alt.vconcat(*panels).properties(
        title="Total drift by the log, against the true total drift"
    )


def _sizes(alt: Any, offline: pl.DataFrame, figure: str) -> Any:
    """Means by size with intervals over seeds: the truth, and the log for each way of removal."""
    means = offline.filter(pl.col("level").is_in(_TITLES))
    keys = ("recommender", "level", "size")
    truth = means.filter(way=WAYS[0]).select(
        *keys,
        pl.lit("truth").alias("figure"),
        *(pl.col(f"true_{figure}{edge}").alias(f"y{edge}") for edge in ("", "_ci_low", "_ci_high")),
    )
    by_log = means.select(
        *keys,
        pl.concat_str(pl.lit("log without "), "way").alias("figure"),
        *(pl.col(f"{figure}{edge}").alias(f"y{edge}") for edge in ("", "_ci_low", "_ci_high")),
    )
    all_figures = pl.concat([truth, by_log]).fill_nan(None)  # one seed has no interval
    rows = []
    for level, title in _TITLES.items():
        panels = []
        for (recommender,), part in all_figures.filter(level=level).group_by(
            "recommender", maintain_order=True
        ):
            base = alt.Chart(alt.Data(values=part.drop("level", "recommender").to_dicts())).encode(
                alt.X(
                    "size:Q",
                    title=f"newcomers / daily actives, {recommender}",
                    scale={"type": "log"},
                ),
                color=alt.Color("figure:N", title=None),
            )
            line = base.mark_line(point=True).encode(alt.Y("y:Q", title=f"{figure}: {title}"))
            ends = base.mark_rule(opacity=0.5).encode(
                alt.Y("y_ci_low:Q", title=f"{figure}: {title}"), alt.Y2("y_ci_high:Q")
            )
            panels.append((ends + line).properties(width=190, height=140))
        rows.append(alt.hconcat(*panels))
    return alt.vconcat(*rows).properties(title=f"{figure}: the truth, and the figure by the log")
