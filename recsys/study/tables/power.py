"""What a study could have seen: detectable effects, and the seeds a claim takes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from recsys.measures.rows import is_level
from recsys.statistics import (
    MIN_SEEDS_FOR_CLAIMS,
    minimum_detectable_effect,
    planning_interval,
    seeds_needed,
)
from recsys.study.tables.cubes import _frame, _incumbents
from recsys.study.tables.drift import PRIMARY, drifts_by_arm
from recsys.study.tables.table import Column, Columns, common

_MARGIN = 0.01

COLUMNS: Columns = {
    **common("recommender", "mitigation", "measure"),
    "composition": Column(pl.Float64, "estimate of composition, as in `drift`"),
    "detectable": Column(
        pl.Float64,
        "smallest true composition that 4 in 5 such studies would tell from 0, rather too large",
    ),
    "margin": Column(
        pl.Float64, "a change that matters: .01 of drift, 1 % of the utility without the influx"
    ),
    "seeds_needed": Column(
        pl.Float64,
        "seeds to tell a composition of the margin's size from 0 in 4 of 5 studies; null above 200 "
        "and below 8 seeds, which are too few to plan with",
    ),
    **common("n_users", "n_seeds"),
}


def power_of_world(per_user: pl.DataFrame, arms: tuple[str, ...]) -> pl.DataFrame:
    """How small a *composition* a study of this size could have seen, for primary measures.

    Args:
        per_user, arms: as for `drift_of_world`.

    Returns:
        The columns of `COLUMNS`. `detectable` and `seeds_needed` are estimates with the seeds' luck
        of `planning_interval`. No row without a placebo or with one seed.
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
    return _frame(rows, COLUMNS)


def _level(per_user: pl.DataFrame, keys: Mapping[str, str], measure: str) -> float:
    """Mean of a level over incumbents without the influx, summed in the order of rows."""
    rows = _incumbents(per_user).filter(pl.col("day").is_null(), **keys, arm="control")
    return float(np.nanmean(rows[measure].to_numpy()))
