"""The table `power`: how small an effect a study can detect, and how many seeds it should have."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from recsys.measures.rows import KEYS, is_level
from recsys.statistics import (
    MIN_SEEDS_FOR_CLAIMS,
    minimum_detectable_effect,
    planning_interval,
    seeds_needed,
)
from recsys.study.tables.cubes import frame_of, incumbents_in
from recsys.study.tables.drift import PRIMARY, drifts_by_arm
from recsys.study.tables.table import Column, Columns, common

_MARGIN = 0.01
"""Size of a change that matters. For drift it is the change itself; for a level it is the change as
a share of the level's mean without the influx."""

COLUMNS: Columns = {
    **common("recommender", "mitigation", "measure"),
    "composition": Column(pl.Float64, "estimate of composition, as in `drift`"),
    "detectable": Column(
        pl.Float64,
        "smallest composition that 4 of 5 such studies would detect, rather too large",
    ),
    "margin": Column(
        pl.Float64, "size of a change that matters: .01 of drift, 1 % of utility without the influx"
    ),
    "seeds_needed": Column(
        pl.Float64,
        "seeds with which 4 of 5 studies would detect a composition as large as `margin`; empty "
        "above 200, and in a study of fewer than 8 seeds, which are too few to plan with",
    ),
    **common("n_users", "n_seeds"),
}


def power_of_world(per_user: pl.DataFrame, arms: tuple[str, ...]) -> pl.DataFrame:
    """How small a *composition* a study of this size can detect, for each primary measure.

    Args:
        per_user, arms: see `drift_of_world`.

    Returns:
        The columns of `COLUMNS`. `detectable` and `seeds_needed` are estimates that rest on
        `planning_interval`. No row without the arm placebo, or with one seed.
    """
    rows: list[dict[str, Any]] = []
    for keys, measure, by_arm in drifts_by_arm(per_user, arms):
        if measure not in PRIMARY or not {"influx", "placebo"} <= by_arm.keys():
            continue
        y = by_arm["influx"].values[0] - by_arm["placebo"].values[0]
        y = y[~np.isnan(y).any(axis=1)]
        if min(y.shape) < 2:
            continue
        margin = _MARGIN if not is_level(measure) else _MARGIN * _level(per_user, keys, measure)
        interval = planning_interval(y)
        needed = float(seeds_needed(y, margin)) if y.shape[1] >= MIN_SEEDS_FOR_CLAIMS else np.inf
        rows.append(
            {
                **keys,
                "measure": measure,
                "composition": interval.mean,
                "detectable": minimum_detectable_effect(interval),
                "margin": margin,
                "seeds_needed": needed if np.isfinite(needed) else None,
                "n_users": y.shape[0],
                "n_seeds": y.shape[1],
            }
        )
    return frame_of(rows, COLUMNS)


def _level(per_user: pl.DataFrame, keys: Mapping[str, str], measure: str) -> float:
    """Mean of a level over incumbents in the control arm, summed in the order of the rows."""
    of_incumbents = incumbents_in(per_user.select(*KEYS, measure))
    rows = of_incumbents.filter(pl.col("day").is_null(), **keys, arm="control")
    return float(np.nanmean(rows[measure].to_numpy()))
