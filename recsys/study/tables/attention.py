"""How attention falls on posts and creators, by arm and day."""

from typing import Any

import polars as pl

from recsys.statistics import users_interval

# --- exposure -------------------------------------------------------------------------------------


def exposure_summary(exposure: pl.DataFrame) -> pl.DataFrame:
    """Means over seeds of how attention falls, with a t interval over them.

    Args:
        exposure: rows of `recsys.measures.attention_rows`; a log's placebo groups are averaged
            first.

    Returns:
        The frame described at `StudyResult.exposure`.
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
        found = group["value"].drop_nulls().to_numpy()
        if found.size:
            interval = users_interval(found)  # seeds are independent draws as users are
            ends = {"mean": interval.mean, "ci_low": interval.low, "ci_high": interval.high}
            figures = {name: float(end) for name, end in ends.items()}
            counts = {"n_users": group["n_users"].min(), "n_seeds": found.size}
            rows.append({**dict(zip(keys, values, strict=True)), **figures, **counts})
    types: dict[str, Any] = dict.fromkeys(keys, pl.String) | {"day": pl.Int32}
    types |= dict.fromkeys(("mean", "ci_low", "ci_high"), pl.Float64)
    types |= dict.fromkeys(("n_users", "n_seeds"), pl.Int64)
    frame = pl.DataFrame(rows, schema=types, infer_schema_length=None)
    return frame.with_columns(pl.col("ci_low", "ci_high").fill_nan(None))
