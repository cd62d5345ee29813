"""Which conclusions depend on what is assumed: their signs in every variant of a study.

A conclusion of the reference variant is a figure whose 95 % interval leaves out 0. In another
variant it keeps its sign, becomes unclear (the interval holds 0), or turns (the interval lies on
the other side). A conclusion that turns is one about the assumption.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from recsys.core.errors import ConfigError, nearest
from recsys.study.result import StudyResult


@dataclass(frozen=True)
class Conclusion:
    """A figure whose sign is read as a finding.

    Attributes:
        title: for people.
        measure: what it is about.
        part: of drift, in the headline; or newcomers' level less the incumbents', with the influx.
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
    """The sign of each conclusion in each variant, against the reference's.

    Args:
        results: finished studies of worlds by variant; recommenders have the same names in all.
        reference: one of the variants.

    Returns:
        recommender · mitigation · conclusion (of `CONCLUSIONS`) · variant · mean · ci_low · ci_high
        · sign (0: the interval holds 0, or there is none) · verdict: `reference`, `keeps`,
        `unclear`, `turns`; `new` where the reference draws no conclusion and the variant does, or
        `none` where neither does.

    Raises:
        ConfigError: there is no such variant.
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
            named = dict(zip(("recommender", "mitigation", "conclusion"), key, strict=True))
            rows.append({**named, "variant": variant, **row, "verdict": verdict})
    return pl.DataFrame(rows, schema=_COLUMNS)


def _verdict(before: int, now: int) -> str:
    if before == 0:
        return "new" if now else "none"
    return {before: "keeps", 0: "unclear"}.get(now, "turns")


def _figures(result: StudyResult) -> Iterator[tuple[tuple[str, str, str], dict[str, Any]]]:
    """Each conclusion's figure under each recommender and mitigation."""
    drift = result.drift.filter(pl.col("day").is_null())
    rows = {
        (r["recommender"], r["mitigation"], r["measure"]): r for r in drift.iter_rows(named=True)
    }
    levels = result.summary.filter(pl.col("day").is_null(), pl.col("arm") == "influx")
    of = {
        (r["recommender"], r["mitigation"], r["measure"], r["cohort"]): r
        for r in levels.iter_rows(named=True)
    }
    for variant in dict.fromkeys((key[0], key[1]) for key in rows):
        for name, conclusion in CONCLUSIONS.items():
            if conclusion.part == "newcomers":
                ours, theirs = (
                    of.get((*variant, conclusion.measure, cohort))
                    for cohort in ("incumbent", "newcomer")
                )
                figure = _difference(theirs, ours)
            else:
                row, part = rows.get((*variant, conclusion.measure), {}), conclusion.part
                figure = _figure(
                    *(row.get(f"{part}{edge}") for edge in ("", "_ci_low", "_ci_high"))
                )
            yield (*variant, name), figure


def _difference(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of two means of other people; the interval joins both intervals' ends, so is too wide."""
    if one is None or other is None:
        return _figure(None, None, None)
    if one["ci_low"] is None or other["ci_low"] is None:
        return _figure(one["mean"] - other["mean"], None, None)
    low, high = one["ci_low"] - other["ci_high"], one["ci_high"] - other["ci_low"]
    return _figure(one["mean"] - other["mean"], low, high)


def _figure(mean: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    sign = 0 if low is None or high is None else int(low > 0) - int(high < 0)
    return {"mean": mean, "ci_low": low, "ci_high": high, "sign": sign}
