"""What the newcomers of a platform's own log did to the incumbents' feeds."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.report.headline import DASH, Headline, Variant, name_of, number
from pipelines.report.section import Section
from recsys.config import Study

__all__ = ["log_sections", "removal"]

_EVIDENCE = 0.05
_QUALITY = {"ndcg": "NDCG", "recall": "recall"}


def log_sections(figures: Headline) -> Iterator[Section]:
    """The summary, part by part.

    Args:
        figures: of a study of a log.
    """
    study = figures.result.study
    yield _opening(study)
    yield removal(figures)
    yield Section("So:", lines=tuple(_verdict(figures, v, study) for v in figures.variants))
    if any(figures.has(measure) for measure in _QUALITY):
        yield _quality(figures)


def _opening(study: Study) -> Section:
    assert study.log is not None
    return Section(
        f"{study.name}: would the incumbents' feeds be others without the newcomers?",
        lines=(
            f"Measured on {study.evaluation.panel:,} incumbents: the first {study.evaluation.k} "
            "slots of their feeds when the recommender is trained",
            "without the newcomers, and without as many other incumbents who did as much (a "
            f"placebo, {study.log.placebo_draws:,} times).",
            "p: share of placebos, the newcomers counted among them, that move feeds as far (of "
            "quality: as far either way).",
        ),
    )


def removal(figures: Headline) -> Section:
    """Slots that change without the newcomers, and without as many others."""
    rows = []
    for variant in figures.variants:
        row = figures.drift(variant, "slots_changed")
        cells = (number(row.get("influx")), number(row.get("placebo")), _band(row))
        again = number(row.get("retrain"))
        rows.append((name_of(variant), *cells, again, number(row.get("p_value"), 1, 3)))
    return Section(
        "How much of the incumbents' feeds changes without …  (% of slots)",
        ("recommender", "newcomers", "placebos", "95 % of these", "another seed", "p"),
        tuple(rows),
    )


def _band(row: Mapping[str, Any]) -> str:
    """Where 95 % of the placebos lie; `who` is the distance to them."""
    influx, low, high = (row.get(name) for name in ("influx", "who_ci_low", "who_ci_high"))
    if influx is None or low is None or high is None:
        return DASH
    return f"[{number(influx - high)}, {number(influx - low)}]"


def _verdict(figures: Headline, variant: Variant, study: Study) -> str:
    """One sentence: whether the newcomers' part is more than their number."""
    assert study.log is not None
    row = figures.drift(variant, "slots_changed")
    p, who, again = row.get("p_value"), row.get("who"), row.get("retrain")
    name = name_of(variant)
    if p is None or who is None:
        return f"{name}: cannot be told."
    if p > _EVIDENCE:
        noise = " So does another training seed." if again and again >= row["influx"] else ""
        less = row["who_ci_high"] is not None and row["who_ci_high"] < 0
        if less:
            return f"{name}: removing the newcomers moves feeds less than removing as many others."
        return (
            f"{name}: no evidence that newcomers did it; removing as many others moves feeds as "
            f"much.{noise}"
        )
    beyond = "all" if p * (study.log.placebo_draws + 1) < 1.5 else "most"
    return (
        f"{name}: the newcomers' part is beyond {beyond} placebos, {number(who)} points of slots "
        "above their mean."
    )


def _quality(figures: Headline) -> Section:
    """Quality on the held-out clicks, trained with and without the newcomers."""
    measures = [measure for measure in _QUALITY if figures.has(measure)]
    rows = []
    for variant in figures.variants:
        cells: list[str] = [name_of(variant)]
        for measure in measures:
            levels = (figures.level(variant, arm, measure) for arm in ("full", "influx"))
            p = figures.drift(variant, measure).get("p_value")
            cells += [*(number(level, 1, 4) for level in levels), number(p, 1, 3)]
        rows.append(tuple(cells))
    titles = [
        title for measure in measures for title in (f"{_QUALITY[measure]} with", "without", "p")
    ]
    return Section(
        "Do the newcomers make the feeds better?  (on the panel's held-out clicks, 0 to 1)",
        ("recommender", *titles),
        tuple(rows),
    )
