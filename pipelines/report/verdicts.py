"""The verdicts of a validation or a proof as tables, one for each check."""

import math
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import polars as pl
from rich.console import Console

from pipelines.report.console import print_section
from pipelines.report.section import Section
from recsys.checks.verdicts import CHECKS

_LEGEND = (
    "holds    the mean is within the tolerance; if the target is > 0 or < 0, the whole interval is",
    "unclear  the interval contains 0, or there is no interval, or no figure",
)
_NO_FIGURE = "-        there is no figure; the margin of a sign needs two worlds that have a sign"


def print_verdicts(
    console: Console,
    verdicts: pl.DataFrame,
    titles: Mapping[int, str] = CHECKS,
    of: str = "served by",
    *,
    full: bool = True,
) -> None:
    """Prints each figure with its target, tolerance, 95 % interval over seeds, and verdict.

    Args:
        console: the console to print to.
        verdicts: the result of `recsys.checks.verdicts.judge`.
        titles: titles of the checks, by number.
        of: heading of the column that tells the figures of a quantity apart, such as `served by`.
        full: whether all rows of long tables are printed.
    """
    columns = ("figure", of, "target", "tolerance", "measured", "verdict")
    rows = list(verdicts.iter_rows(named=True))
    if not rows:
        print_section(console, Section("", lines=("There was nothing to measure.",)))
        return
    for number, of_check in groupby(rows, key=lambda row: row["check"]):
        lines = tuple(_line(row) for row in of_check)
        section = Section(f"{number}. {titles[number]}", columns, lines)
        print_section(console, section, 38, full=full)
    counts = Counter(row["verdict"] for row in rows)
    total = f"{counts['holds']} hold, {counts['fails']} fail, {counts['unclear']} are unclear"
    fewest, most = (end(row["n_seeds"] for row in rows) for end in (min, max))
    seeds = f"{most}" if fewest == most else f"{fewest} to {most:,}"
    counted = f"Of {len(rows)} figures, each the mean over {seeds} seeds, {total}."
    missing = [_NO_FIGURE] if any(row["mean"] is None for row in rows) else []
    print_section(console, Section("", lines=(counted, "", *_LEGEND, *missing)))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["quantity"],
        row["served_by"],
        row["target"],
        _tolerance(row["low"], row["high"]),
        _measured(row),
        row["verdict"],
    )


def _tolerance(low: float, high: float) -> str:
    if math.isinf(high):
        return f"above {low:g}"
    return f"below {high:g}" if math.isinf(low) else f"{low:g} to {high:g}"


def _measured(row: dict[str, Any]) -> str:
    if row["mean"] is None:
        return "-"
    if row["ci_low"] is None:
        return _number(row["mean"])
    return f"{_number(row['mean'])} [{_number(row['ci_low'])}, {_number(row['ci_high'])}]"


def _number(value: float) -> str:
    """A number with three digits; below 1, with three decimals."""
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"
