"""What trials are worth, on the terminal: a table for each outcome, and what each design is."""

import math
from typing import Any

import polars as pl
from rich.console import Console

from pipelines.report.console import print_section
from pipelines.report.section import Section
from recsys.checks.designs import DESIGNS, OUTCOMES

_TITLES = {
    "displaced": "Newcomers' share of what incumbents are shown",
    "english": "Change of the share in the newcomers' language",
    "short video": "Change of the share of short videos",
    "clicks per look": "Change of clicks per look",
}
_COLUMNS = ("design", "truth", "told", "bias", "covered", "seen", "se", "luck", "needed")
_LEGEND = (
    "truth    the same days with newcomers, less without them, averaged as the trial averages:",
    "         over people, or (switchback) over periods; told: by the trial. Both are seeds' means",
    "bias     told less truth, with its 95 % interval over seeds: what interference does",
    "covered  share of seeds whose 95 % interval holds the truth; seen: whose interval excludes 0",
    "se       mean standard error; luck: deviation of told less truth over seeds. Where luck is",
    "         far above se, all people share it, and more people do not help",
)
_TOO_FEW = (
    "-        there is no estimate: fewer than two people in a group, or a part of the day with",
    "         fewer than two days on or off (evaluation.days says which days count); for the",
    "         choice model fewer than five of the panel with a slot that others' posts could fill",
)


def print_designs(
    console: Console, table: pl.DataFrame, effect: float, *, full: bool = True
) -> None:
    """Prints what each design estimates, its bias, and how many people or periods it takes.

    Args:
        console: the console to print to.
        table: from `recsys.checks.designs.tested`.
        effect: the effect that `needed` is for, such as 0.01.
        full: whether all rows of long tables are printed.
    """
    lines = tuple(f"{name}: {design.estimator}." for name, design in DESIGNS.items())
    print_section(console, Section("Designs", lines=lines))
    for (recommender,), of_recommender in table.group_by("recommender", maintain_order=True):
        for outcome in OUTCOMES:
            rows = tuple(
                _line(row) for row in of_recommender.filter(outcome=outcome).iter_rows(named=True)
            )
            title = f"{_TITLES[outcome]}, served by {recommender}"
            print_section(console, Section(title, _COLUMNS, rows), full=full)
    counted = (
        f"needed   people in each group, or periods of each kind, to see a change of {effect:g}",
        "         with 80 % power at the 5 % level, if nothing but people or periods differed",
        f"Figures are over {max(table['seeds'].to_list())} seeds.",
    )
    missing = _TOO_FEW if not all(table["seeds"].to_list()) else ()
    print_section(console, Section("", lines=(*_LEGEND, *counted, *missing)))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    if not row["seeds"]:
        return (row["design"], *["-"] * (len(_COLUMNS) - 1))
    bias = f"{row['bias']:+.4f}"
    if not math.isnan(row["bias_ci_low"]):
        bias += f" [{row['bias_ci_low']:+.4f}, {row['bias_ci_high']:+.4f}]"
    unit = " periods" if row["unit"].startswith("periods") else ""
    return (
        row["design"],
        f"{row['truth']:+.4f}",
        f"{row['told']:+.4f}",
        bias,
        f"{row['covered']:.2f}",
        f"{row['seen']:.2f}",
        f"{row['se']:.4f}",
        "-" if math.isnan(row["luck"]) else f"{row['luck']:.4f}",
        "-" if math.isnan(row["needed"]) else f"{row['needed']:,.0f}{unit}",
    )
