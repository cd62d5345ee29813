"""The table `mix`: what a log's feeds are made of, before and after, with and without newcomers.

For each attribute of the items there is a row on its mix as a whole, and one on the share of each
of its most common values. Each is tested against the placebo groups, and all of a study together.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from recsys.measures.rows import is_level
from recsys.study.tables.cubes import frame_of, groups_by, measure_columns
from recsys.study.tables.drift import adjusted_in_log, log_row
from recsys.study.tables.table import Column, Columns, common

_ARMS = {"before": "before", "with": "full", "without": "influx"}

COLUMNS: Columns = {
    **common("recommender", "mitigation"),
    "attribute": Column(pl.String, "attribute of the posts, such as `language`"),
    "value": Column(pl.String, "one of its values, such as `pt`; empty: the mix as a whole"),
    "before": Column(
        pl.Float64,
        "share of slots after training on the log as it was before the newcomers' first day; empty "
        "where that day is not known",
    ),
    "with": Column(pl.Float64, "share of slots after training on the whole log"),
    "without": Column(pl.Float64, "share of slots after training without the newcomers"),
    "moved": Column(
        pl.Float64, "with - without; of the mix as a whole the distance of the two (TV)"
    ),
    "placebo": Column(pl.Float64, "the same of the placebo groups, on average"),
    "band_low": Column(pl.Float64, "lower end of a band that holds 95 % of the placebo groups"),
    "band_high": Column(pl.Float64, "upper end of it"),
    "p_value": Column(pl.Float64, "p-value of `moved` among the placebo groups, not adjusted"),
    "p_adjusted": Column(pl.Float64, "the same, adjusted for the number of rows of the table"),
    **common("n_users"),
}


def mix_of(per_user: pl.DataFrame, attributes: Iterable[str], crowding: float) -> pl.DataFrame:
    """The mix of the panel's feeds in a log.

    Args:
        per_user: as in `StudyResult.per_user`.
        attributes: names under `log.attributes`.
        crowding: see `recsys.study.tables.drift.drift_of_log`.

    Returns:
        The columns of `COLUMNS`; no row without attributes.
    """
    attributes = list(attributes)
    made: list[dict[str, Any]] = []
    for keys, group in groups_by(per_user, ("recommender", "mitigation")):
        arms = {tuple(at.values()): part for at, part in groups_by(group, ("arm", "draw"))}
        for attribute in attributes:
            for measure in measure_columns(group):
                name, _, value = measure.partition(":")
                if name != attribute:
                    continue
                row = log_row(arms, measure, crowding)
                shares = _shares(arms, measure) if is_level(measure) else {}
                more = {"attribute": attribute, "value": value or None, "measure": measure}
                made.append({**keys, **row, **_moved(row, is_level(measure)), **more, **shares})
    for row, p in zip(made, adjusted_in_log(made) if made else (), strict=True):
        row["p_adjusted"] = float(p)
    return frame_of(made, COLUMNS)


def _shares(arms: dict[tuple[Any, ...], pl.DataFrame], measure: str) -> dict[str, float]:
    """The mean of a share in each arm that there is."""
    means = {name: arms[arm, 0][measure].mean() for name, arm in _ARMS.items() if (arm, 0) in arms}
    return {name: float("nan") if mean is None else float(mean) for name, mean in means.items()}  # type: ignore[arg-type]


def _moved(row: dict[str, Any], level: bool) -> dict[str, float]:
    """The change that newcomers make to a share; `log_row` has the change that removal makes."""
    sign = -1.0 if level else 1.0
    edges = [row["influx"] - row[f"composition_ci_{end}"] for end in ("high", "low")]
    low, high = sorted(sign * edge for edge in edges) if np.isfinite(edges).all() else edges
    return {
        "moved": sign * row["influx"],
        "placebo": sign * row["placebo"],
        "band_low": low,
        "band_high": high,
    }
