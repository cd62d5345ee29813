"""Which conclusions depend on an assumption: their signs in each variant of a study.

The reference variant draws a conclusion where the 95 % interval of a figure does not hold 0. In
another variant the figure keeps its sign, becomes unclear (the interval holds 0), or turns (the
interval lies on the other side of 0). A conclusion that turns depends on the assumption.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from recsys.core.errors import ConfigError, nearest
from recsys.study.result import StudyResult


@dataclass(frozen=True)
class Conclusion:
    """A figure whose sign is a conclusion; it has one of three sources.

    Attributes:
        title: title for people, such as "mix: composition".
        headline: group and column of the table `headline`, such as ("all", "net").
        drift: measure and part of the table `drift`, such as ("language_format", "composition").
        cohorts: a measure whose level for newcomers, less that for incumbents, is the figure.
        less: value at which the conclusion turns, such as 1 for a ratio.
    """

    title: str
    headline: tuple[str, str] | None = None
    drift: tuple[str, str] | None = None
    cohorts: str | None = None
    less: float = 0.0


CONCLUSIONS: dict[str, Conclusion] = {
    "net": Conclusion("net change", headline=("all", "net")),
    "over_locals": Conclusion("times locals - 1", headline=("all", "over_locals"), less=1.0),
    "english": Conclusion("English", headline=("all", "english")),
    "english_top": Conclusion("English, top 1 %", headline=("top 1 %", "english")),
    "utility": Conclusion("utility", headline=("all", "utility")),
    "utility_others": Conclusion("utility, not bilingual", headline=("others", "utility")),
    "mix_composition": Conclusion("mix: composition", drift=("language_format", "composition")),
    "newcomers_utility": Conclusion("newcomers' utility", cohorts="utility"),
}
"""The conclusions by name: those of the table `headline`, in its units, and two beside them."""

_COLUMNS: dict[str, Any] = {
    "recommender": pl.String,
    "mitigation": pl.String,
    "conclusion": pl.String,
    "variant": pl.String,
    "mean": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "sign": pl.Int8,
    "verdict": pl.String,
}


def sensitivity(results: Mapping[str, StudyResult], reference: str) -> pl.DataFrame:
    """The sign of each conclusion in each variant, compared with the reference.

    Args:
        results: results of studies of worlds, by variant. Recommenders have the same names in all.
        reference: name of the variant with which the others are compared, such as "default".

    Returns:
        recommender · mitigation · conclusion (a key of `CONCLUSIONS`) · variant · mean · ci_low ·
        ci_high · sign (0 if the interval holds 0, or if there is none) · verdict. The verdict is
        `reference`, `keeps`, `unclear` or `turns`; it is `new` where the variant draws a conclusion
        and the reference does not, and `none` where neither does.

    Raises:
        ConfigError: `reference` is not among the variants.
    """
    if reference not in results:
        raise ConfigError(f"reference: no variant {reference!r}; {nearest(reference, results)}")
    signs = {key: row["sign"] for key, row in _figures(results[reference])}
    rows = []
    for variant, result in results.items():
        for key, row in _figures(result):
            verdict = (
                "reference" if variant == reference else _verdict(signs.get(key, 0), row["sign"])
            )
            keys = dict(zip(("recommender", "mitigation", "conclusion"), key, strict=True))
            rows.append({**keys, "variant": variant, **row, "verdict": verdict})
    return pl.DataFrame(rows, schema=_COLUMNS)


def _verdict(before: int, now: int) -> str:
    if before == 0:
        return "new" if now else "none"
    return {before: "keeps", 0: "unclear"}.get(now, "turns")


def _figures(result: StudyResult) -> Iterator[tuple[tuple[str, str, str], dict[str, Any]]]:
    """The figure of each conclusion for each recommender and mitigation."""
    headline = _rows(result.headline, "group")
    drift = _rows(result.drift, "measure")
    levels = _rows(result.summary.filter(pl.col("arm") == "influx"), "measure", "cohort")
    for variant in dict.fromkeys((key[0], key[1]) for key in drift):
        for name, conclusion in CONCLUSIONS.items():
            if conclusion.cohorts is not None:
                newcomers, incumbents = (
                    levels.get((*variant, conclusion.cohorts, cohort))
                    for cohort in ("newcomer", "incumbent")
                )
                figure = _difference(newcomers, incumbents)
            else:
                table, wanted = (
                    (headline, conclusion.headline)
                    if conclusion.headline is not None
                    else (drift, conclusion.drift)
                )
                assert wanted is not None
                row, column = table.get((*variant, wanted[0]), {}), wanted[1]
                ends = (row.get(f"{column}{end}") for end in ("", "_ci_low", "_ci_high"))
                figure = _figure(*(None if y is None else y - conclusion.less for y in ends))
            yield (*variant, name), figure


def _rows(table: pl.DataFrame, *keys: str) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """The rows of all days together, by recommender, mitigation and other keys."""
    whole = table.filter(pl.col("day").is_null())
    columns = ("recommender", "mitigation", *keys)
    return {tuple(row[key] for key in columns): row for row in whole.iter_rows(named=True)}


def _difference(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any]:
    """Difference of the means of two groups of people.

    Its interval runs from the lowest to the highest difference of the two intervals, so it is wider
    than a 95 % interval need be.
    """
    if one is None or other is None:
        return _figure(None, None, None)
    if one["ci_low"] is None or other["ci_low"] is None:
        return _figure(one["mean"] - other["mean"], None, None)
    low, high = one["ci_low"] - other["ci_high"], one["ci_high"] - other["ci_low"]
    return _figure(one["mean"] - other["mean"], low, high)


def _figure(mean: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    sign = 0 if low is None or high is None else int(low > 0) - int(high < 0)
    return {"mean": mean, "ci_low": low, "ci_high": high, "sign": sign}
