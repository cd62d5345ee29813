"""The metrics of a training run, a search, a validation or proof, and of served feeds, by name."""

from collections.abc import Mapping

import polars as pl

from pipelines.tracking.names import metric_name
from pipelines.tracking.record import Value, finite
from recsys.served.compare import FeedComparison
from recsys.study.compare import COMPARED
from recsys.training.train import TrainingResult

_SERVED = (
    "a",
    "b",
    *(
        f"{part}{edge}"
        for part in ("drift", "floor", "excess")
        for edge in ("", "_ci_low", "_ci_high")
    ),
)


def training_values(result: TrainingResult) -> tuple[Value, ...]:
    """Metrics of a training run: `test/<all, cohort or status>/<metric>_at_20`, and times."""
    k = result.training.k
    values = [
        Value(metric_name("test", row["group"], f"{row['metric']}_at_{k}"), row["value"])
        for row in result.summary.iter_rows(named=True)
    ]
    users = result.summary.group_by("group", maintain_order=True).agg(pl.col("n_users").max())
    values += [Value(metric_name("test", group, "users"), n) for group, n in users.iter_rows()]
    timings = result.timings.row(0, named=True)
    values += [Value(f"time/{name}", timings[name]) for name in ("fit_s", "serve_s", "users_per_s")]
    return finite(values)


def trial_values(figures: Mapping[str, float], k: int) -> tuple[Value, ...]:
    """Metrics of a trial of a search: `validation/all/<metric>_at_20` and `time/fit_s`."""
    values = []
    for name, value in figures.items():
        place = ("time", name) if name.endswith("_s") else ("validation", "all", f"{name}_at_{k}")
        values.append(Value(metric_name(*place), value))
    return finite(values)


def verdict_values(verdicts: pl.DataFrame) -> tuple[Value, ...]:
    """Metrics of a validation: `check_1/Gini of clicks/house` and its `_ci_low`, `_ci_high`.

    `verdicts/holds`, `verdicts/fails` and `verdicts/unclear` count the figures with each verdict.
    """
    values = [
        Value(f"verdicts/{verdict}", (verdicts["verdict"] == verdict).sum())
        for verdict in ("holds", "fails", "unclear")
    ]
    for row in verdicts.iter_rows(named=True):
        place = (f"check_{row['check']}", row["quantity"].replace(",", ""))  # a name of ours
        values += [
            Value(metric_name(*place, f"{row['served_by']}{edge}"), row[column])
            for edge, column in (("", "mean"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high"))
        ]
    return finite(values)


def served_values(result: FeedComparison) -> tuple[Value, ...]:
    """Metrics of served feeds: `headline/…`, and `drift/<cohort>/<measure>/{drift, floor, excess}`.

    A level also has `a` and `b`. The step is the number of the day among those compared, 1 for the
    first. The headline holds means over days, of the cohort `all` if there are several cohorts.
    """
    whole = result.drift.filter(pl.col("day").is_null())
    cohort = whole["cohort"][-1]
    values = [
        Value(metric_name("headline", f"{row['measure']}_{part}"), row[part])
        for row in whole.filter(cohort=cohort).iter_rows(named=True)
        for part in ("drift", "floor", "excess")
    ]
    days = result.drift["day"].drop_nulls().unique().sort().to_list()
    for row in (
        result.drift if not days else result.drift.filter(pl.col("day").is_not_null())
    ).iter_rows(named=True):
        step = days.index(row["day"]) + 1 if days else 0
        place = ("drift", row["cohort"], row["measure"])
        values += [Value(metric_name(*place, part), row[part], step) for part in _SERVED]
    return finite(values)


def compared_values(table: pl.DataFrame) -> tuple[Value, ...]:
    """Metrics of two studies compared: `difference/<recommender>/<measure>` and its ends.

    A few measures alone; the table has all.
    """
    values = []
    for row in table.filter(pl.col("measure").is_in(COMPARED)).iter_rows(named=True):
        names = (row["recommender"], *([row["mitigation"]] if row["mitigation"] != "none" else ()))
        place = ("difference", " + ".join(names))
        values += [
            Value(metric_name(*place, f"{row['measure']}{edge}"), row[column])
            for edge, column in (("", "difference"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high"))
        ]
    return finite(values)
