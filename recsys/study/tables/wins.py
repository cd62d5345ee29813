"""Shares of incumbents whose feeds are better, worse and as good with the newcomers."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.rows import KEYS
from recsys.statistics import two_way_interval
from recsys.study.tables.cubes import cubes_of
from recsys.study.tables.table import Column, Columns, common, schema_of

WORTH = ("utility", "ndcg", "recall")
"""Measures of which more is better for the user."""


_SAME = 1e-6
"""Utility that differs by less is a tie: float32 adds noise in the last places."""


COLUMNS: Columns = {
    **common("recommender", "mitigation", "day"),
    "measure": Column(pl.String, "what feeds are compared by: `utility`, `ndcg` or `recall`"),
    "against": Column(
        pl.String,
        "arm that `influx` is compared with; in a log, what `full` is compared with, such as "
        "`without newcomers`",
    ),
    "wins": Column(pl.Float64, "share of incumbents whose feeds are better with the newcomers"),
    "losses": Column(pl.Float64, "share whose feeds are worse"),
    "ties": Column(pl.Float64, "share whose feeds are as good, within 10⁻⁶"),
    "balance": Column(pl.Float64, "wins - losses"),
    "balance_ci_low": Column(
        pl.Float64, "lower end of its 95 % interval; empty with one seed, or where signs are equal"
    ),
    "balance_ci_high": Column(pl.Float64, "upper end of it"),
    **common("n_users", "n_seeds"),
}


def wins_of(per_user: pl.DataFrame) -> pl.DataFrame:
    """Shares of incumbents who gain utility with the newcomers, lose it, or neither.

    A mean loss of 1 % may be everybody's small loss or a tenth's large one.

    Args:
        per_user: as in `StudyResult.per_user`.

    Returns:
        The columns of `COLUMNS`. Each user counts once a seed. In a log a win is
        one of the feeds *with* the newcomers; each placebo group is compared by itself and shares
        are means over groups, since the mean utility of many feeds is hardly ever 0, or one feed's.
        The balance has an interval only with two seeds and where signs differ.
    """
    rows = []
    chosen = [name for name in per_user.columns if name in KEYS or name in WORTH]
    incumbents = per_user.filter(pl.col("cohort") == "incumbent").select(chosen)
    for (recommender, mitigation), group in incumbents.group_by(
        "recommender", "mitigation", maintain_order=True
    ):
        parts = {str(arm): part for (arm,), part in group.group_by("arm")}
        is_log = "full" in parts
        if is_log and "placebo" in parts:  # each group in the place of a seed; a log has one seed
            parts["placebo"] = parts["placebo"].with_columns(seed=pl.col("draw"))
        arms = {arm: cubes_of(part) for arm, part in parts.items()}
        ours = arms["full" if is_log else "influx"]
        for against in ("influx", "placebo") if is_log else ("control", "placebo", "retrain"):
            for measure, cube in ours.items():
                if measure not in arms.get(against, {}):
                    continue
                others = arms[against][measure]
                for place, day in enumerate(cube.days):
                    difference = cube.values[place] - others.values[place]
                    keys = {"recommender": recommender, "mitigation": mitigation, "day": day}
                    named = {
                        "measure": measure,
                        "against": _without(against) if is_log else against,
                    }
                    rows.append({**keys, **named, **_tally(difference, one_history=is_log)})
    return pl.DataFrame(rows, schema=schema_of(COLUMNS)).with_columns(
        pl.col("balance_ci_low", "balance_ci_high").fill_nan(None)
    )


def _without(arm: str) -> str:
    """What the arms of a log leave out."""
    return {"influx": "without newcomers", "placebo": "without placebos"}[arm]


def _tally(difference: NDArray[np.float64], *, one_history: bool = False) -> dict[str, Any]:
    """Shares from differences (users, seeds, or placebo groups); users count who have all of them.

    An interval of no width is none: where all signs are equal nothing is known of how they vary.
    """
    known = difference[~np.isnan(difference).any(axis=1)]
    signs = np.where(np.abs(known) <= _SAME, 0.0, np.sign(known))
    balance = two_way_interval(signs.mean(axis=1, keepdims=True) if one_history else signs)
    varies = balance.low < balance.high
    shares = {"wins": signs > 0, "losses": signs < 0, "ties": signs == 0}
    return {
        **{name: float(of.mean()) if of.size else None for name, of in shares.items()},
        "balance": float(balance.mean) if signs.size else None,
        "balance_ci_low": max(float(balance.low), -1.0) if varies else None,
        "balance_ci_high": min(float(balance.high), 1.0) if varies else None,
        "n_users": known.shape[0],
        "n_seeds": 1 if one_history else known.shape[1],
    }
