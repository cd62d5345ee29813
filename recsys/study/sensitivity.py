"""Which conclusions depend on an assumption: their signs in each variant of a study.

The reference variant draws a conclusion where the 95 % interval of a figure does not hold 0. In
another variant the figure keeps its sign, becomes unclear (the interval holds 0), or turns (the
interval lies on the other side of 0). A conclusion that turns depends on the assumption.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from recsys.core.errors import ConfigError, nearest
from recsys.study.result import StudyResult


@dataclass(frozen=True)
class Conclusion:
    """A figure whose sign is a conclusion.

    Attributes:
        title: title for people, such as "mix: total".
        measure: name of the measure, such as "language_format".
        part: which figure of the measure: a part of its headline drift; or `newcomers`, the
            newcomers' level less the incumbents' in the influx arm.
    """

    title: str
    measure: str
    part: Literal["total", "volume", "composition", "newcomers"]


CONCLUSIONS: dict[str, Conclusion] = {
    "slots_total": Conclusion("slots: total", "slots_changed", "total"),
    "slots_composition": Conclusion("slots: composition", "slots_changed", "composition"),
    "mix_total": Conclusion("mix: total", "language_format", "total"),
    "mix_composition": Conclusion("mix: composition", "language_format", "composition"),
    "utility_total": Conclusion("utility: total", "utility", "total"),
    "utility_composition": Conclusion("utility: composition", "utility", "composition"),
    "newcomers_utility": Conclusion("newcomers' utility", "utility", "newcomers"),
}
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
    drift = result.drift.filter(pl.col("day").is_null())
    rows = {
        (r["recommender"], r["mitigation"], r["measure"]): r for r in drift.iter_rows(named=True)
    }
    levels = result.summary.filter(pl.col("day").is_null(), pl.col("arm") == "influx")
    level_of = {
        (r["recommender"], r["mitigation"], r["measure"], r["cohort"]): r
        for r in levels.iter_rows(named=True)
    }
    for variant in dict.fromkeys((key[0], key[1]) for key in rows):
        for name, conclusion in CONCLUSIONS.items():
            if conclusion.part == "newcomers":
                incumbents, newcomers = (
                    level_of.get((*variant, conclusion.measure, cohort))
                    for cohort in ("incumbent", "newcomer")
                )
                figure = _difference(newcomers, incumbents)
            else:
                row, part = rows.get((*variant, conclusion.measure), {}), conclusion.part
                figure = _figure(
                    *(row.get(f"{part}{edge}") for edge in ("", "_ci_low", "_ci_high"))
                )
            yield (*variant, name), figure


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
