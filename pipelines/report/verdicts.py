"""The verdicts of a validation or a proof as tables, one for each check."""

import math
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import polars as pl
from rich.console import Console

from pipelines.report.console import fits, print_section
from pipelines.report.section import Section
from recsys.checks.verdicts import CHECKS

_LEGEND = (
    "holds    the mean is within the tolerance; if the target is > 0 or < 0, the whole interval is",
    "unclear  the interval contains 0, or there is no interval, or no figure",
)
_NAME = 38
"""Greatest width of the first column."""
_NO_FIGURE = "-        there is no figure; the margin of a sign needs two worlds that have a sign"


def print_verdicts(
    console: Console,
    verdicts: pl.DataFrame,
    titles: Mapping[int, str] = CHECKS,
    of: str = "served by",
    *,
    over: str = "seeds",
    full: bool = True,
) -> None:
    """Prints each figure with its target, tolerance, 95 % interval, and verdict.

    Where a table is too wide for the console, each quantity of several figures has its own.

    Args:
        console: the console to print to.
        verdicts: the result of `recsys.checks.verdicts.judge`.
        titles: titles of the checks, by number.
        of: heading of the column that tells the figures of a quantity apart, such as `served by`.
        over: what the means are over, such as "groups".
        full: whether all rows of long tables are printed.
    """
    columns = ("figure", of, "target", "tolerance", "measured", "verdict")
    rows = list(verdicts.iter_rows(named=True))
    if not rows:
        print_section(console, Section("", lines=("There was nothing to measure.",)))
        return
    for number, of_check in groupby(rows, key=lambda row: row["check"]):
        lines = tuple(_line(row) for row in of_check)
        whole = Section(f"{number}. {titles[number]}", columns, lines)
        if len({line[0] for line in lines}) == len(lines) or fits(whole, _NAME, console.width):
            print_section(console, whole, _NAME, full=full)
            continue
        print_section(console, Section(whole.title))
        for (quantity, target, tolerance), same in groupby(lines, key=itemgetter(0, 2, 3)):
            title = f"{quantity}  (target {target}, tolerance {tolerance})"
            rows_of = tuple((line[1], *line[4:]) for line in same)
            print_section(console, Section(title, (of, *columns[4:]), rows_of), _NAME, full=full)
    counts = Counter(row["verdict"] for row in rows)
    total = f"{counts['holds']} hold, {counts['fails']} fail, {counts['unclear']} are unclear"
    fewest, most = (end(row["n_seeds"] for row in rows) for end in (min, max))
    seeds = f"{most}" if fewest == most else f"{fewest} to {most:,}"
    counted = f"Of {len(rows)} figures, each the mean over {seeds} {over}, {total}."
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
