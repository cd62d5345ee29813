"""The table `exposure`: how attention is spread over posts and creators, by arm and day."""

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
    rows = []
    for values, group in pl.concat([over_days, by_seed]).group_by(keys, maintain_order=True):
        of_seeds = group["value"].drop_nulls().to_numpy()
        if of_seeds.size:
            interval = users_interval(of_seeds)  # it serves for seeds as for users
            figures = {
                "mean": float(interval.mean),
                "ci_low": float(interval.low),
                "ci_high": float(interval.high),
            }
            counts = {"n_users": group["n_users"].min(), "n_seeds": of_seeds.size}
            rows.append({**dict(zip(keys, values, strict=True)), **figures, **counts})
    frame = pl.DataFrame(rows, schema=schema_of(COLUMNS), infer_schema_length=None)
    return frame.with_columns(pl.col("ci_low", "ci_high").fill_nan(None))
