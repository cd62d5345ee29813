"""The summary of a study of a synthetic platform: what the influx did to its long-time users."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipelines.report.breadth import exposure_sections, group_sections, wins_sections
from pipelines.report.channels import channel_sections
from pipelines.report.days import daily_sections
from pipelines.report.front import front_sections
from pipelines.report.headline import DASH, Headline, Variant, interval, name_of, number
from pipelines.report.life import life_sections
from pipelines.report.recovery import power_lines, recovery_sections
from pipelines.report.section import Section
from recsys.config import Study
from recsys.study.tables.drift import SATURATED

_DROWNED, _FULL = " *", " †"
_ENGLISH = "language:en"
_SORTED = "Rows are sorted by utility lost, then by slots changed."


def world_sections(figures: Headline, *, whole: bool = False) -> Iterator[Section]:
    """The parts of the summary, each with the recommenders in the same order.

    Args:
        figures: figures of a study of a world.
        whole: whether all rows are given, and not only as many as fit on a terminal.
    """
    order = in_order(figures)
    yield _opening(figures.result.study)
    yield slots(figures, order)
    if figures.has("language_format"):
        yield _mix(figures, order)
    if figures.has("utility"):
        yield _utility(figures, order)
    yield from wins_sections(figures, order)
    yield from group_sections(figures, order, whole=whole)
    yield from exposure_sections(figures, order)
    yield from front_sections(figures.result, order)
    yield from channel_sections(figures.result, order)
    yield from daily_sections(figures.result, order)
    yield from recovery_sections(figures.result, order)
    yield from life_sections(figures.result, order)
    yield words(figures, order)
    seen = tuple(power_lines(figures.result))
    if seen:
        yield Section("", lines=seen)


def in_order(figures: Headline) -> list[Variant]:
    """The variants, sorted by the utility that incumbents lose, then by the slots that change."""
    return sorted(figures.variants, key=lambda variant: _harm(figures, variant))


def _harm(figures: Headline, variant: Variant) -> tuple[float, float]:
    """The sort key of a variant: utility lost, to a tenth of a per cent, then slots changed."""
    lost = -(relative(figures, variant).get("total") or 0.0)
    return round(lost, 3), figures.drift(variant, "slots_changed").get("influx") or 0.0


def _opening(study: Study) -> Section:
    return Section(
        f"{study.name}: {people(study)}",
        lines=(measured(study), f"{luck(study)} {_SORTED}"),
    )


def people(study: Study) -> str:
    """How many newcomers join how many incumbents."""
    newcomers, incumbents = study.world.influx.newcomers, study.world.incumbents
    return f"{newcomers:,} newcomers join {incumbents:,} long-time users"


def measured(study: Study) -> str:
    """Which feeds are measured: days, number of slots, number of users."""
    evaluation = study.evaluation
    days = ", ".join(str(day) for day in evaluation.days)
    return (
        f"Measured on days {days} (0: first arrivals): the first {evaluation.k} slots of "
        f"{evaluation.panel:,} long-time users' feeds."
    )


def luck(study: Study) -> str:
    """Whether there are intervals, and over what."""
    if study.seeds == 1:
        return "One seed, so there are no intervals."
    return f"Brackets hold 95 % intervals over {study.seeds} seeds."


def slots(figures: Headline, order: list[Variant]) -> Section:
    """Share of slots that show a different post than without the influx, and its parts."""
    rows = []
    brief = not figures.result.front.is_empty()  # long names leave no room for intervals
    for variant in order:
        row = figures.drift(variant, "slots_changed")
        newcomers = figures.level(variant, "influx", "newcomer_slots")
        sums = (number(row.get(p)) if brief else interval(row, p) for p in ("total", "volume"))
        parts = (*sums, interval(row, "composition"))
        cells = (number(row.get("influx")), number(row.get("retrain")))
        rows.append((name_of(variant) + _mark(row), *cells, *parts, number(newcomers)))
    return Section(
        "How much of long-time users' feeds did the influx change?  (% of slots)",
        ("recommender", "changed", "noise", "total", "volume", "composition", "newcomers'"),
        tuple(rows),
    )


def _mix(figures: Headline, order: list[Variant]) -> Section:
    columns: tuple[str, ...] = ("recommender", "changed", "total", "volume", "composition")
    has_english = figures.has(_ENGLISH)
    rows = []
    for variant in order:
        row = figures.drift(variant, "language_format")
        parts = (number(row.get("total")), number(row.get("volume")), interval(row, "composition"))
        cells = (name_of(variant) + _mark(row), number(row.get("influx")), *parts)
        rows.append((*cells, english(figures, variant)) if has_english else cells)
    return Section(
        "Did the mix of languages and formats in their feeds change?  (% of slots of another kind)",
        (*columns, "English: without → with influx") if has_english else columns,
        tuple(rows),
    )


def english(figures: Headline, variant: Variant) -> str:
    """Share of slots in English, without and with the influx."""
    before, after = (figures.level(variant, arm, _ENGLISH) for arm in ("control", "influx"))
    return f"{number(before)} → {number(after)}"


def _utility(figures: Headline, order: list[Variant]) -> Section:
    rows = []
    for variant in order:
        change = relative(figures, variant)
        before = figures.level(variant, "control", "utility")
        newcomers_utility = figures.level(variant, "influx", "utility", "newcomer")
        parts = (interval(change, "total"), interval(change, "composition"))
        rows.append((name_of(variant), number(before), *parts, number(newcomers_utility)))
    return Section(
        "How useful are the feeds?  "
        "(utility: clicks per 100 looks; total and composition: change in %)",
        ("recommender", "without influx", "total", "composition", "newcomers get"),
        tuple(rows),
    )


def relative(figures: Headline, variant: Variant) -> Mapping[str, Any]:
    """The change of utility as a share of the utility without the influx."""
    row = figures.drift(variant, "utility")
    before = figures.level(variant, "control", "utility")
    if not row or not before:
        return {}
    names = [
        f"{part}{edge}" for part in ("total", "composition") for edge in ("", "_ci_low", "_ci_high")
    ]
    return {name: None if row[name] is None else row[name] / before for name in names}


def words(figures: Headline, order: list[Variant]) -> Section:
    """What the columns and the marks mean."""
    lines = [
        "changed      slots that show a different post than this user would have seen that day",
        "noise        slots that change because training starts from another seed",
        "total        what the influx changes: changed - noise",
        "volume       the part of total that as many people like long-time users would cause",
        "composition  the other part, due to who the newcomers are: total - volume. Below 0, they",
        "             change less than as many people like long-time users would",
        "newcomers'   slots that hold a newcomer's post",
    ]
    rows = [
        figures.drift(variant, measure)
        for variant in order
        for measure in ("slots_changed", "language_format")
    ]
    if any(_DROWNED in _mark(row) for row in rows):
        lines.append("*            most of what changed is training noise")
    if any(_FULL in _mark(row) for row in rows):
        lines.append(
            f"†            the placebo or training noise changes {SATURATED:.0%} or more, which "
            "leaves no room for composition"
        )
    if any(DASH in row for row in slots(figures, order).rows):
        lines.append(
            f"{DASH}            not measured: it needs an arm that this study does not have"
        )
    return Section("", lines=tuple(lines))


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
