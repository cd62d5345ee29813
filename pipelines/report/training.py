"""The summary of a training run: metrics of all users, by cohort, and by what is known of them."""

import polars as pl
from rich.console import Console

from pipelines.report.console import print_section
from pipelines.report.headline import DASH
from pipelines.report.section import Section
from pipelines.tracking.names import as_params
from recsys.measures.metrics.registry import METRICS
from recsys.training.evaluate import Days, TrainingResult

_ROWS = (
    ("all", "all", "everybody"),
    ("cohort", "incumbent", "long-time users"),
    ("cohort", "newcomer", "newcomers"),
    ("status", "hot", "hot"),
    ("status", "warm", "warm"),
    ("status", "cold", "cold"),
    ("posts", "known", "posts known before"),
    ("posts", "new", "posts of the day"),
)


_SHORT = {"precision": "prec.", "hit_rate": "hits", "popularity_lift": "lift", "coverage": "cover"}
"""Short headings, so that the table fits."""


def print_training(console: Console, result: TrainingResult, *, full: bool = True) -> None:
    """Prints the metrics of a training run.

    Args:
        console: the console to print to.
        result: the result of `recsys.train`.
        full: whether all rows of long tables are printed.
    """
    for section in training_sections(result):
        print_section(console, section, 32, full=full)


def training_sections(result: TrainingResult) -> tuple[Section, ...]:
    """The parts of the summary: what was tested and how long it took, and the table of metrics."""
    training, timings = result.training, result.timings.row(0, named=True)
    names = training.metrics or tuple(METRICS)
    rows = []
    for by, group, title in _ROWS:
        group_rows = result.summary.filter(pl.col("by") == by, pl.col("group") == group)
        if group_rows.height:
            values = dict(group_rows.select("metric", "value").iter_rows())
            users = f"{group_rows['n_users'].max():,}"
            rows.append((title, users, *(_number(values[name]) for name in names)))
    spec = training.recommender
    options = ", ".join(f"{name} {value}" for name, value in as_params(spec.options).items())
    seconds = (
        f"Fitted in {timings['fit_s']:.2g} s, served {timings['users']:,} users in "
        f"{timings['serve_s']:.2g} s ({timings['users_per_s']:,.0f} a second)."
    )
    return (
        Section(
            f"{training.name}: does {spec.name} find what people like next?",
            lines=(*([f"{spec.name}: {options}."] if options else []), *result.notes, seconds),
        ),
        Section(
            f"The first {training.k} slots",
            ("", "users", *(_SHORT.get(name, METRICS[name].title) for name in names)),
            tuple(rows),
            (
                "",
                "hot: has likes in the training log; warm: has attributes only; cold: neither",
            ),
        ),
        *([_days(result.days)] if result.days is not None else []),
    )


_DAILY = ("ndcg", "recall")
"""Metrics that are shown by day, if they were computed."""


def _days(days: Days) -> Section:
    """The figures of each day beside those of the trending list, and their means."""
    shown = [name for name in _DAILY if name in days.means["metric"]]
    rows = []
    for (day, begins), group in days.series.filter(posts="all").group_by(
        "day", "begins", maintain_order=True
    ):
        by_metric = {row["metric"]: row for row in group.iter_rows(named=True)}
        cells = [
            _number(by_metric[name][column]) for name in shown for column in ("value", "trending")
        ]
        users = max(row["n_users"] for row in by_metric.values())
        rows.append((f"{day}", f"{begins:%Y-%m-%d %H:%M}", f"{users:,}", *cells))
    lines = []
    for row in days.means.filter(pl.col("metric").is_in(shown)).iter_rows(named=True):
        title = METRICS[row["metric"]].title
        if row["ci_low"] is None:
            lines.append(f"{title}: {_number(row['value'])}, without an interval.")
            continue
        lines.append(
            f"{title}: {_number(row['value'])} [{_number(row['ci_low'])}, "
            f"{_number(row['ci_high'])}] over {row['n_days']} days; minus that of the trending "
            f"list {row['difference']:+.3f} [{row['difference_ci_low']:+.3f}, "
            f"{row['difference_ci_high']:+.3f}], the same users on the same days."
        )
    heads = [head for name in shown for head in (METRICS[name].title, "trending")]
    return Section("Day by day", ("day", "from", "users", *heads), tuple(rows), lines=tuple(lines))


def _number(value: float | None) -> str:
    """A figure with three decimals, or one if it is 10 or more."""
    if value is None:
        return DASH
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
