"""What a training run found: metrics for everybody, by cohort, and by what was known of a user."""

import polars as pl
from rich.console import Console

from pipelines.report.console import print_section
from pipelines.report.headline import DASH
from pipelines.report.section import Section
from recsys.measures.metrics.registry import METRICS
from recsys.training.train import TrainingResult

_ROWS = (
    ("all", "all", "everybody"),
    ("cohort", "incumbent", "incumbents"),
    ("cohort", "newcomer", "newcomers"),
    ("status", "hot", "hot"),
    ("status", "warm", "warm"),
    ("status", "cold", "cold"),
)


_SHORT = {"precision": "prec.", "hit_rate": "hits", "popularity_lift": "lift", "coverage": "cover"}
"""Headings that would not fit otherwise."""


def print_training(console: Console, result: TrainingResult, *, full: bool = True) -> None:
    """Prints the metrics of a training run.

    Args:
        console: where to.
        result: what `recsys.train` gave.
        full: whether all rows of long tables are printed.
    """
    for section in training_sections(result):
        print_section(console, section, 32, full=full)


def training_sections(result: TrainingResult) -> tuple[Section, ...]:
    """The summary: what was tested, the table, seconds."""
    training, timings = result.training, result.timings.row(0, named=True)
    names = training.metrics or tuple(METRICS)
    rows = []
    for by, group, title in _ROWS:
        theirs = result.summary.filter(pl.col("by") == by, pl.col("group") == group)
        if theirs.height:
            values = dict(theirs.select("metric", "value").iter_rows())
            users = f"{theirs['n_users'].max():,}"
            rows.append((title, users, *(_number(values[name]) for name in names)))
    spec = training.recommender
    options = ", ".join(f"{name} {value}" for name, value in spec.options.items())
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
            ("", "hot: liked something before; warm: attributes are known; cold: nothing is"),
        ),
    )


def _number(value: float | None) -> str:
    """Three figures."""
    if value is None:
        return DASH
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
