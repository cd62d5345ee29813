"""Figures that a synthetic platform must reproduce: targets with tolerances, and verdicts."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from recsys.statistics import Interval, nested_interval

Verdict = Literal["holds", "fails", "unclear"]
_INF = float("inf")


class Quantity(NamedTuple):
    """A figure to reproduce.

    Attributes:
        check: number of its check, a key of `CHECKS`.
        name: what is measured.
        target: the target as text, such as "> 0.5".
        low: least value at which the figure holds.
        high: largest value at which the figure holds.
        source: source of the target.
        direction: whether the source gives a direction alone. Then one bound is infinite, and the
            figure holds if its whole interval is beyond the other bound.
    """

    check: int
    name: str
    target: str
    low: float
    high: float
    source: str
    direction: bool = False


_QILIN, _LIN = "Qilin 2025", "Lin et al. 2017"
_CHANEY, _MANSOURY, _LESOTA = "Chaney et al. 2018", "Mansoury et al. 2020", "Lesota et al. 2024"

CHECKS = {
    1: "Popularity: few posts get most of the clicks, small creators most of the impressions",
    2: "Clicks per visit, over visits with a click",
    3: "Newcomers active per day after the reversal, against the day before it",
    4: "A small influx (.03 of the users active per day): it fills the feeds of few incumbents",
    5: "Feedback: learning from own feeds, against learning from random feeds",
    6: "A large influx (.25): attention concentrates, against the same days without the influx",
    7: "Training seeds: they change lists, but hardly utility",
}
"""Title of each check, by number."""

QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity(1, "Zipf slope of clicks, top 1,000", "-0.68", -1.1, -0.6, "KuaiRand-Pure"),
        Quantity(1, "Gini of clicks over clicked posts", "0.72", 0.6, 0.85, "KuaiRand-Pure"),
        Quantity(1, "impressions to small creators", "> 0.5", 0.5, 1.0, "platform talks"),
        Quantity(2, "clicks per visit with a click: median", "2", 1, 3, _QILIN),
        Quantity(2, "clicks per visit with a click: mean", "4.0", 3, 5, _QILIN),
        Quantity(2, "clicks per visit with a click: p90", "9", 7, 12, _QILIN),
        Quantity(3, "newcomers active, reversal day", "-0.54", -0.59, -0.49, "Similarweb"),
        Quantity(3, "newcomers active, a week later", "-0.70", -0.78, -0.62, "Similarweb"),
        Quantity(4, "feeds: newcomers' share", ".001-.13", 0.001, 0.13, "tag views, press"),
        Quantity(4, "feeds: most exposed 1 %, times the mean", ">= 10", 10, _INF, "WIRED"),
        Quantity(4, "feeds: most exposed 1 %, times chance", ">= 2", 2, _INF, "WIRED"),
        Quantity(4, "feeds: bilinguals, times others", ">= 3", 3, _INF, "WIRED"),
        Quantity(4, "most exposed 1 %: share of bilinguals", ">= 0.6", 0.6, 1.0, "WIRED"),
        Quantity(4, "most exposed 1 %: looks, times the mean", "<= 2", 0.0, 2.0, "WIRED"),
        Quantity(4, "newcomers' posts in the most exposed feed", ">= 0.2", 0.2, 1.0, "WIRED"),
        Quantity(
            4, "incumbents' posts in newcomers' language", "0.05", 0.02, 0.10, "assumed: no rate"
        ),
        Quantity(
            4,
            "comments per opened post of newcomers",
            "0.022-0.028",
            0.015,
            0.04,
            "tag views, press",
        ),
        Quantity(5, "homogeneity of what people are shown", "> 0", 0, _INF, _CHANEY, True),
        Quantity(5, "homogeneity gained beyond utility", "> 0", 0, _INF, _CHANEY, True),
        Quantity(5, "popularity of what is recommended", "> 0", 0, _INF, _MANSOURY, True),
        Quantity(5, "distinct posts recommended", "< 0", -_INF, 0, _MANSOURY, True),
        Quantity(5, "newcomers' utility, less incumbents'", "< 0", -_INF, 0, _MANSOURY, True),
        Quantity(5, "newcomers' posts in own language", "< 0", -_INF, 0, _LESOTA, True),
        Quantity(6, "Gini of exposure of fresh posts", "> 0", 0, _INF, _LIN, True),
        Quantity(7, "lists of two training seeds, 1 - FRBO", ">= 0.1", 0.1, 1.0, "Betello 2024"),
        Quantity(7, "utility of two training seeds", "<= 0.02", 0.0, 0.05, "Betello 2024"),
    )
}
"""The figures by name. Those of check 5 are log ratios, that of the language a difference."""


class Measured(NamedTuple):
    """A figure from one seed."""

    quantity: str
    served_by: str
    seed: int
    value: float


def judge(measured: Sequence[Measured]) -> pl.DataFrame:
    """Gives a verdict on each figure, from its mean over seeds.

    Args:
        measured: figures of single seeds.

    Returns:
        A table with the columns of `VERDICTS`, in the order of `QUANTITIES`. A figure `holds` if
        its mean is within the tolerance or, where the source gives a direction alone, if its
        interval is beyond the bound. A direction is `unclear` if the interval contains the bound,
        or if there is none. Otherwise the figure `fails`.

    >>> zipf = "Zipf slope of clicks, top 1,000"
    >>> judge([Measured(zipf, "house", seed, -0.9) for seed in (0, 1)])["verdict"].to_list()
    ['holds']
    """
    values: dict[tuple[str, str], list[float]] = {}
    for figure in measured:
        values.setdefault((figure.quantity, figure.served_by), []).append(figure.value)
    order = {name: place for place, name in enumerate(QUANTITIES)}
    rows = [
        _row(QUANTITIES[name], served_by, values[name, served_by])
        for name, served_by in sorted(values, key=lambda key: order[key[0]])
    ]
    return pl.DataFrame(rows, schema=VERDICTS)


VERDICTS = {
    "check": pl.Int64,
    "quantity": pl.String,
    "served_by": pl.String,
    "target": pl.String,
    "low": pl.Float64,
    "high": pl.Float64,
    "mean": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n_seeds": pl.Int64,
    "verdict": pl.String,
    "source": pl.String,
}
"""Columns of a table of verdicts."""


def _row(quantity: Quantity, served_by: str, values: list[float]) -> dict[str, object]:
    interval = nested_interval(np.array([values]))
    return row_of(quantity, served_by, mean_and_ends(interval), len(values))


def mean_and_ends(interval: Interval) -> tuple[float, float, float]:
    """Mean, lower and upper end of an interval of one mean; the ends are NaN if there are none.

    Args:
        interval: of shape (), such as `nested_interval` gives of a single mean.

    >>> mean_and_ends(nested_interval(np.array([[0.5, 0.5]])))
    (0.5, 0.5, 0.5)
    """
    return float(interval.mean), float(interval.low), float(interval.high)


def row_of(
    quantity: Quantity, served_by: str, interval: tuple[float, float, float], n_seeds: int
) -> dict[str, object]:
    """A row of a table of verdicts.

    Args:
        quantity: the quantity.
        served_by: what served the feeds, such as "als", or whatever else distinguishes figures of
            the same quantity.
        interval: mean, lower and upper end of its 95 % interval; the ends are NaN if there is none.
            The mean is NaN if there is no figure; then the row's is null and its verdict `unclear`.
        n_seeds: number of seeds in the mean, such as 8.

    >>> row_of(QUANTITIES["utility of two training seeds"], "als", (0.01, 0.0, 0.02), 8)["verdict"]
    'holds'
    """
    mean, low, high = interval
    return {
        "check": quantity.check,
        "quantity": quantity.name,
        "served_by": served_by,
        "target": quantity.target,
        "low": quantity.low,
        "high": quantity.high,
        "mean": None if np.isnan(mean) else mean,
        "ci_low": None if np.isnan(low) else low,
        "ci_high": None if np.isnan(high) else high,
        "n_seeds": n_seeds,
        "verdict": _verdict(quantity, mean, low, high),
        "source": quantity.source,
    }


def _verdict(quantity: Quantity, mean: float, low: float, high: float) -> Verdict:
    if np.isnan(mean):
        return "unclear"
    if not quantity.direction:
        return "holds" if quantity.low <= mean <= quantity.high else "fails"
    if low > quantity.low and high < quantity.high:
        return "holds"
    return "fails" if low > quantity.high or high < quantity.low else "unclear"
