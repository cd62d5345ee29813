"""The table `exposure`: how attention is spread over posts and creators, by arm and day."""

import numpy as np
import polars as pl

from recsys.statistics import users_interval
from recsys.study.tables.table import Column, Columns, common, schema_of

COLUMNS: Columns = {
    **common("recommender", "mitigation", "arm", "day", "cohort"),
    "measure": Column(pl.String, "what of the attention is measured, such as `gini_posts`"),
    **common("mean", "ci_low", "ci_high"),
    "n_users": Column(pl.Int64, "number of measured feeds, in the seed with the fewest"),
    **common("n_seeds"),
}


def exposure_summary(exposure: pl.DataFrame) -> pl.DataFrame:
    """Means over seeds of how attention is spread, with an interval over seeds.

    Args:
        exposure: rows from `recsys.measures.attention_rows`. The placebo groups of a log are
            averaged first.

    Returns:
        The columns of `COLUMNS`.
    """
    keys = ["recommender", "mitigation", "arm", "day", "cohort", "measure"]
    by_seed = exposure.group_by([*keys, "seed"], maintain_order=True).agg(
        pl.col("value").mean(), pl.col("n_users").min()
    )
    over_days = (
        by_seed.filter(pl.col("day").is_not_null())
        .group_by([key for key in [*keys, "seed"] if key != "day"], maintain_order=True)
        .agg(pl.col("value").mean(), pl.col("n_users").min())
        .with_columns(pl.lit(None, pl.Int32).alias("day"))
        .select(by_seed.columns)
    )
    groups = (
        pl.concat([over_days, by_seed])
        .group_by(keys, maintain_order=True)
        .agg(pl.col("value").drop_nulls(), pl.col("n_users").min())
        .with_columns(n_seeds=pl.col("value").list.len().cast(pl.Int64))
        .filter(pl.col("n_seeds") > 0)
    )
    most = int(groups["n_seeds"].to_numpy().max(initial=1))
    of_seeds = np.full((groups.height, most), np.nan)
    for row, values in enumerate(groups["value"]):
        of_seeds[row, : len(values)] = values.to_numpy()
    interval = users_interval(of_seeds)  # it serves for seeds as for users
    estimates = {"mean": interval.mean, "ci_low": interval.low, "ci_high": interval.high}
    frame = groups.with_columns(pl.Series(name, ends) for name, ends in estimates.items())
    typed = frame.select(pl.col(name).cast(kind) for name, kind in schema_of(COLUMNS).items())
    return typed.with_columns(pl.col("ci_low", "ci_high").fill_nan(None))
