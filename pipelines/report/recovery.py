"""When the feeds came back after the reversal, and the smallest effect a study can detect."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.report.headline import Variant, name_of, number
from pipelines.report.section import Section
from recsys.statistics import MIN_SEEDS_FOR_CLAIMS
from recsys.study.result import StudyResult

_ENOUGH = 3
_TITLES = {"language_format": "mix", "topic": "topics", "posts": "posts"}
_WORDS = (
    "half    days from the reversal until total drift is half of its peak or less",
    "inside  days until total drift is about the placebo's or less",
    "        (both: on two measured days in a row)",
)


def recovery_sections(result: StudyResult, order: list[Variant]) -> Iterator[Section]:
    """A table of days until recovery, if at least three days were measured after the reversal.

    Args:
        result: the result of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    recovery, reversal = result.recovery, result.study.world.influx.reversal_day
    if recovery.is_empty() or reversal is None:
        return
    if sum(day >= reversal for day in result.study.evaluation.days) < _ENOUGH:
        return
    rows = {
        (row["recommender"], row["mitigation"], row["measure"], row["event"]): row
        for row in recovery.iter_rows(named=True)
    }
    lines = []
    for variant in order:
        for measure, title in _TITLES.items():
            half, inside = (rows.get((*variant, measure, event)) for event in ("half", "inside"))
            if half is not None and inside is not None:
                name = f"{name_of(variant)}: {title}{' †' if half['saturated'] else ''}"
                peak = f"{number(half['peak'])} on day {half['peak_day']}"
                back = _days(inside) if inside["outside"] else "not shown to be above it"
                lines.append((name, peak, _days(half), back))
    yield Section(
        f"Do the feeds come back?  (days from the reversal, day {reversal})",
        ("recommender", "peak of total drift", "half", "inside"),
        tuple(lines),
        _WORDS,
    )


def _days(row: Mapping[str, Any]) -> str:
    """Days with an interval, `4 [2, 9]`; `≥ 19` if it did not happen by the last day, 19."""
    beyond = f"≥ {row['last_day']}"
    middle = beyond if row["days"] is None else number(row["days"], 1, 0)
    if row["reached"] is None:
        return middle
    low, high = (
        beyond if row[end] is None else number(row[end], 1, 0) for end in ("ci_low", "ci_high")
    )
    return f"{middle} [{low}, {high}]"


def power_lines(result: StudyResult) -> Iterator[str]:
    """The smallest composition that the study can tell from 0, over all its recommenders."""
    for measure, title in {"posts": "posts", "language_format": "mix"}.items():
        rows = result.power.filter(measure=measure) if result.power.width else result.power
        if rows.is_empty():
            continue
        points = ["more than 100" if x >= 1 else number(x) for x in rows["detectable"].sort()]
        seeds = rows["n_seeds"].min()
        line = (
            f"Smallest composition that {seeds} seeds detect in 4 of 5 studies, as estimated: "
            f"{_range(points)} points of {title}."
        )
        if seeds >= MIN_SEEDS_FOR_CLAIMS:
            needed = [_seeds(x) for x in rows["seeds_needed"].sort(nulls_last=True)]
            yield f"{line} To detect 1 point takes {_range(needed)} seeds."
        else:
            yield f"{line} Use seeds={MIN_SEEDS_FOR_CLAIMS} or more for smaller ones."


def _range(texts: list[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def _seeds(needed: float | None) -> str:
    return "more than 200" if needed is None else number(needed, 1, 0)
