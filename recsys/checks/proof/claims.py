"""What is claimed of this tool: figures with targets and tolerances, and verdicts on them."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from recsys.checks.verdicts import QUANTITIES, VERDICTS, Quantity, row_of

_INF = float("inf")

TITLES = {
    1: "Coverage: intervals hold the truth, under skewed luck too; a second placebo is seldom news",
    2: "Recovery: what was planted is found, and more newcomers do more",
    3: "Offline against truth: leaving newcomers out of the log, against a world without them",
    4: "Published facts",
    5: "False alarms: random groups of a log's long-time users are seldom accused",
}
"""Title of each claim, by number."""

_PUBLISHED = (
    "homogeneity of what people are shown",
    "homogeneity gained beyond utility",
    "popularity of what is recommended",
    "distinct posts recommended",
    "newcomers' utility, less incumbents'",
    "newcomers' posts in own language",
    "lists of two training seeds, 1 - FRBO",
    "utility of two training seeds",
)
"""Quantities of a validation that are claimed here, too."""
_THEORY, _DESIGN = "theory", "as designed"
"""Sources of targets."""

CLAIMS: dict[str, Quantity] = {
    claim.name: claim
    for claim in (
        Quantity(1, "95 % intervals of composition that hold it", ">= 0.95", 0.93, 0.985, _THEORY),
        Quantity(1, "second placebo called significant", "0.05", 0.0, 0.06, _THEORY),
        Quantity(1, "95 % intervals that hold the truth, by luck", ">= 0.93", 0.93, 1.0, _DESIGN),
        Quantity(1, "intervals that miss on the worse side", "<= 0.05", 0.0, 0.05, _DESIGN),
        Quantity(1, "median width, over the t interval's", "<= 1.3", 1.0, 1.3, _DESIGN),
        Quantity(2, "planted part, less the next largest", "> 0", 0, _INF, _DESIGN, True),
        Quantity(2, "closing a planted mediator saves", "> 0", 0, _INF, _DESIGN, True),
        Quantity(2, "largest part of a mediator alone", "0", 0.0, 0.0, _DESIGN),
        Quantity(2, "largest fall between sizes, in SE", "<= 2", -_INF, 2.0, _DESIGN),
        Quantity(3, "rank correlation over cells: total", "> 0", 0, _INF, "new", True),
        Quantity(3, "rank correlation at one size: total", "> 0", 0, _INF, "new", True),
        Quantity(3, "told of the true total, share", "1", 0.8, 1.25, "new"),
        Quantity(3, "alarms where the truth is above 0", ">= 0.95", 0.95, 1.0, "new"),
        Quantity(3, "truth above 0 without an alarm", "<= 0.2", 0.0, 0.2, "new"),
        Quantity(3, "sign right, less the commonest sign's", ">= 0.2", 0.2, 1.0, "new"),
        Quantity(3, "median relative error", "<= 0.25", 0.0, 0.25, "new"),
        Quantity(3, "rank correlation at one size: estimator", "> 0", 0.0, 1.0, "new"),
        Quantity(3, "95 % intervals over users that hold it", ">= 0.9", 0.9, 1.0, "new"),
        *(QUANTITIES[name]._replace(check=4) for name in _PUBLISHED),
        Quantity(4, "English users' mix drift, less others'", "> 0", 0, _INF, "Mansoury", True),
        Quantity(4, "newcomers' posts in English users' feeds", "> 0", 0, _INF, "WIRED", True),
        Quantity(5, "random groups of long-time users accused", "0.05", 0.0, 0.09, _THEORY),
    )
}
"""The claims by name. The targets of claim 3 say what would be desirable: that a platform could
read the truth from its log. Whether it can is what the proof measures."""


class Figure(NamedTuple):
    """A figure of a claim.

    Attributes:
        claim: name of the claim, a key of `CLAIMS`.
        of: what distinguishes it from other figures of the claim, such as "als, posts".
        mean: the figure; NaN if nothing could be measured.
        low, high: ends of its 95 % interval; NaN if there is none.
        n_seeds: number of seeds that it rests on.
    """

    claim: str
    of: str
    mean: float
    low: float
    high: float
    n_seeds: int


def judge(figures: Sequence[Figure]) -> pl.DataFrame:
    """Gives a verdict on each figure; see `recsys.checks.verdicts.judge`.

    Args:
        figures: figures of claims, in any order.

    Returns:
        A table with the columns of `VERDICTS`, in the order of `CLAIMS`.

    >>> alarms = Figure("second placebo called significant", "als, posts", 0.051, 0.04, 0.06, 3000)
    >>> judge([alarms])["verdict"].to_list()
    ['holds']
    """
    order = {name: place for place, name in enumerate(CLAIMS)}
    rows = [
        row_of(
            CLAIMS[figure.claim], figure.of, (figure.mean, figure.low, figure.high), figure.n_seeds
        )
        for figure in sorted(figures, key=lambda figure: order[figure.claim])
    ]
    return pl.DataFrame(rows, schema=VERDICTS)
