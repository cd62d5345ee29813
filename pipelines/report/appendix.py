"""The appendix of a report: total, volume and composition, with their signs in words."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipelines.report.headline import Headline, Variant, interval, name_of, number
from pipelines.report.recovery import power_lines
from pipelines.report.section import Section
from recsys.study.tables.drift import SATURATED

APPENDIX = "Appendix"
"""The beginning of the titles of these sections."""
_DROWNED, _FULL = " *", " †"
_MEASURES = {"slots_changed": "slots", "language_format": "mix of languages and formats"}


def appendix_sections(figures: Headline, order: list[Variant]) -> Iterator[Section]:
    """Total, volume and composition of slots and of the mix, what they say, and what they could.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    for measure, title in _MEASURES.items():
        if figures.has(measure):
            rows = {variant: figures.drift(variant, measure) for variant in order}
            yield Section(
                f"{APPENDIX}: total, volume and composition of the {title}  (% of slots)",
                ("recommender", "changed", "noise", "total", "volume", "composition"),
                tuple((name_of(v) + _mark(row), *_cells(row)) for v, row in rows.items()),
                tuple(sign for v, row in rows.items() for sign in _signs(name_of(v), row)),
            )
    yield Section("", lines=(*_words(figures, order), *power_lines(figures.result)))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    parts = (interval(row, part) for part in ("total", "volume", "composition"))
    return number(row.get("influx")), number(row.get("retrain")), *parts


def _signs(name: str, row: Mapping[str, Any]) -> Iterator[str]:
    """What the signs of volume and composition say, a sentence each."""
    if row.get("volume") is None or row.get("composition") is None:
        return
    yield f"{name}: as many people like the long-time users, who post as much as the newcomers,"
    yield {
        1: "  change more than training noise does;",
        0: "  do not clearly change more or less than training noise does;",
        -1: "  change less than training noise does;",
    }[_sign(row, "volume")]
    yield {
        1: "  the newcomers change more than these people would.",
        0: "  the newcomers do not clearly change more or less than these people would.",
        -1: "  the newcomers change less than these people would.",
    }[_sign(row, "composition")]


def _sign(row: Mapping[str, Any], part: str) -> int:
    """1 or -1 if the interval of a part leaves out 0, else 0; without an interval its own sign."""
    low, high = (row.get(f"{part}_ci_{edge}") for edge in ("low", "high"))
    low, high = (row[part], row[part]) if low is None or high is None else (low, high)
    return int(low > 0) - int(high < 0)


def _words(figures: Headline, order: list[Variant]) -> list[str]:
    rows = [figures.drift(variant, measure) for variant in order for measure in _MEASURES]
    lines = [
        "noise        slots that change because training starts from another seed",
        "total        changed - noise",
        "volume       what as many people like the long-time users change, who post as much as the",
        "             newcomers, less noise",
        "composition  the other part of total: total - volume",
    ]
    if any(_DROWNED in _mark(row) for row in rows):
        lines.append("*            most of what changed is training noise")
    if any(_FULL in _mark(row) for row in rows):
        lines.append(
            f"†            the placebo or training noise changes {SATURATED:.0%} or more, which "
            "leaves no room for composition"
        )
    return lines


def _mark(row: Mapping[str, Any]) -> str:
    """Marks after a name: the change is mostly training noise, or the measure is saturated."""
    signs: list[tuple[str, Callable[[Mapping[str, Any]], bool]]] = [
        (_DROWNED, _is_drowned),
        (_FULL, lambda row: bool(row.get("saturated"))),
    ]
    return "".join(sign for sign, holds in signs if holds(row))


def _is_drowned(row: Mapping[str, Any]) -> bool:
    influx, retrain = row.get("influx"), row.get("retrain")
    return influx is not None and retrain is not None and retrain > influx / 2 > 0
