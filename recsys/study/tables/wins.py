"""The table `wins`: shares of incumbents whose feeds are better, or worse, with the newcomers."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.rows import KEYS
from recsys.statistics import two_way_interval
from recsys.study.tables.cubes import cubes_of, incumbents_in
from recsys.study.tables.table import Column, Columns, common, schema_of

BETTER_WITH_MORE = ("utility", "ndcg", "recall")
"""Measures of which more is better for the user."""
_SAME = 1e-6
"""Two values that differ by no more than this are a tie, since float32 rounds their last digits."""

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
        pl.Float64,
        "lower end of its 95 % interval; empty with one seed, or where all users fare alike",
    ),
    "balance_ci_high": Column(pl.Float64, "upper end of it"),
    **common("n_users", "n_seeds"),
}


def wins_of(per_user: pl.DataFrame) -> pl.DataFrame:
    """Shares of incumbents for whom feeds get better, worse, or neither, with the newcomers.

    A mean loss of 1 % may be a small loss of all users or a large loss of a tenth of them.

    Args:
        per_user: as in `StudyResult.per_user`.

    Returns:
        The columns of `COLUMNS`. Each user counts once for each seed. In a log, too, a win means
        that the feed *with* the newcomers is better. In a log, each placebo group is compared
        separately, and the shares are means over groups. If feeds were compared with the mean over
        groups instead, there would be hardly any ties. The balance has an interval only in a world
        with two seeds or more, and only if users differ in whether they gain, lose or tie.
    """
    rows = []
    chosen = [name for name in per_user.columns if name in KEYS or name in BETTER_WITH_MORE]
    incumbents = incumbents_in(per_user.select(chosen))
    for (recommender, mitigation), group in incumbents.group_by(
        "recommender", "mitigation", maintain_order=True
    ):
        parts = {str(arm): part for (arm,), part in group.group_by("arm")}
        is_log = "full" in parts
        for arm in ("placebo", "joined") if is_log else ():
            if arm in parts:  # a log has one seed: groups take the place of seeds
                parts[arm] = parts[arm].with_columns(seed=pl.col("draw"))
        arms = {arm: cubes_of(part) for arm, part in parts.items()}
        with_newcomers = arms["full" if is_log else "influx"]
        for against in ("influx", "placebo") if is_log else ("control", "placebo", "retrain"):
            of_groups = against == "placebo" and "joined" in arms
            for measure, cube in (arms["joined"] if of_groups else with_newcomers).items():
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
    """The name that the table gives to the arm with which the whole log is compared."""
    return {"influx": "without newcomers", "placebo": "without placebos"}[arm]


def _tally(difference: NDArray[np.float64], *, one_history: bool = False) -> dict[str, Any]:
    """Shares of wins, losses and ties, and their balance.

    Args:
        difference: float64 (users, seeds) or (users, placebo groups), value with the newcomers less
            value without. Only users without a NaN count.
        one_history: whether the second axis holds placebo groups of one log instead of seeds.

    If all signs are equal, nothing is known of how they vary, so there is no interval.
    """
    complete = difference[~np.isnan(difference).any(axis=1)]
    signs = np.where(np.abs(complete) <= _SAME, 0.0, np.sign(complete))
    balance = two_way_interval(signs.mean(axis=1, keepdims=True) if one_history else signs)
    varies = balance.low < balance.high
    shares = {"wins": signs > 0, "losses": signs < 0, "ties": signs == 0}
    return {
        **{name: float(which.mean()) if which.size else None for name, which in shares.items()},
        "balance": float(balance.mean) if signs.size else None,
        "balance_ci_low": max(float(balance.low), -1.0) if varies else None,
        "balance_ci_high": min(float(balance.high), 1.0) if varies else None,
        "n_users": complete.shape[0],
        "n_seeds": 1 if one_history else complete.shape[1],
    }
