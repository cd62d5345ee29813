"""All metrics of a training run, a validation or a proof: what `tracking.detail=full` records."""

import polars as pl

from pipelines.tracking.names import metric_name
from pipelines.tracking.record import Value, finite
from recsys.training.evaluate import TrainingResult


def training_values(result: TrainingResult) -> tuple[Value, ...]:
    """Metrics of a training run: `test/<all, cohort or status>/<metric>_at_20`."""
    k = result.training.k
    values = [
        Value(metric_name("test", row["group"], f"{row['metric']}_at_{k}"), row["value"])
        for row in result.summary.iter_rows(named=True)
    ]
    users = result.summary.group_by("group", maintain_order=True).agg(pl.col("n_users").max())
    values += [Value(metric_name("test", group, "users"), n) for group, n in users.iter_rows()]
    return finite(values)


def timings(result: TrainingResult) -> tuple[Value, ...]:
    """How long it took to fit and to serve: `fit_s`, `serve_s`, and `users_per_s`."""
    row = result.timings.row(0, named=True)
    return finite([Value(name, row[name]) for name in ("fit_s", "serve_s", "users_per_s")])


def verdict_values(verdicts: pl.DataFrame) -> tuple[Value, ...]:
    """Metrics of a validation: `check_1/Gini of clicks/house` and its `_ci_low`, `_ci_high`."""
    values: list[Value] = []
    for row in verdicts.iter_rows(named=True):
        place = (f"check_{row['check']}", row["quantity"].replace(",", ""))  # a name of ours
        values += [
            Value(metric_name(*place, f"{row['served_by']}{edge}"), row[column])
            for edge, column in (("", "mean"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high"))
        ]
    return finite(values)
