"""What an influx did to the incumbents of a synthetic platform."""

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


def world_sections(figures: Headline, *, whole: bool = False) -> Iterator[Section]:
    """The summary, part by part; recommenders stand in the same order in each.

    Args:
        figures: of a study of a world.
        whole: every row, not only as many as a terminal holds.
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
    """Who costs incumbents least comes first, then whose slots change least."""
    return sorted(figures.variants, key=lambda variant: _harm(figures, variant))


def _harm(figures: Headline, variant: Variant) -> tuple[float, float]:
    """What a row is sorted by: utility lost, to a tenth of a per cent, then slots changed."""
    lost = -(relative(figures, variant).get("total") or 0.0)
    return round(lost, 3), figures.drift(variant, "slots_changed").get("influx") or 0.0


def _opening(study: Study) -> Section:
    return Section(
        f"{study.name}: {people(study)}",
        lines=(measured(study), f"{luck(study)} Sorted by utility lost, then slots changed."),
    )


def people(study: Study) -> str:
    """How many come and how many are there."""
    newcomers, incumbents = study.world.influx.newcomers, study.world.incumbents
    return f"{newcomers:,} newcomers join {incumbents:,} incumbents"


def measured(study: Study) -> str:
    """Whose feeds are measured, when and how deep."""
    evaluation = study.evaluation
    days = ", ".join(str(day) for day in evaluation.days)
    return (
        f"Measured: the first {evaluation.k} slots of {evaluation.panel:,} incumbents' feeds, "
        f"days {days} (0: the first arrivals)."
    )


def luck(study: Study) -> str:
    """What intervals cover."""
    if study.seeds == 1:
        return "One seed, so there are no intervals."
    return f"[95 % intervals] over {study.seeds} seeds."


def slots(figures: Headline, order: list[Variant]) -> Section:
    """Slots that hold another post, in parts."""
    rows = []
    brief = not figures.result.front.is_empty()  # names are long, and the front has intervals
    for variant in order:
        row = figures.drift(variant, "slots_changed")
        newcomers = figures.level(variant, "influx", "newcomer_slots")
        of_sums = (number(row.get(p)) if brief else interval(row, p) for p in ("total", "volume"))
        parts = (*of_sums, interval(row, "composition"))
        cells = (number(row.get("influx")), number(row.get("retrain")))
        rows.append((name_of(variant) + _mark(row), *cells, *parts, number(newcomers)))
    return Section(
        "How much of the incumbents' feeds did the influx change?  (% of slots)",
        ("recommender", "changed", "noise", "total", "volume", "composition", "newcomers'"),
        tuple(rows),
    )


def _mix(figures: Headline, order: list[Variant]) -> Section:
    columns: tuple[str, ...] = ("recommender", "moved", "total", "volume", "composition")
    has_english = figures.has(_ENGLISH)
    rows = []
    for variant in order:
        row = figures.drift(variant, "language_format")
        parts = (number(row.get("total")), number(row.get("volume")), interval(row, "composition"))
        cells = (name_of(variant) + _mark(row), number(row.get("influx")), *parts)
        rows.append((*cells, english(figures, variant)) if has_english else cells)
    return Section(
        "Did their mix of languages and formats move?  (% of slots of another kind)",
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
        theirs = figures.level(variant, "influx", "utility", "newcomer")
        parts = (interval(change, "total"), interval(change, "composition"))
        rows.append((name_of(variant), number(before), *parts, number(theirs)))
    return Section(
        "What is the utility of the feeds?  (clicks per 100 looks; changes in % of that)",
        ("recommender", "without influx", "total", "composition", "newcomers get"),
        tuple(rows),
    )


def relative(figures: Headline, variant: Variant) -> Mapping[str, Any]:
    """The change of utility as a share of its level without the influx."""
    row = figures.drift(variant, "utility")
    before = figures.level(variant, "control", "utility")
    if not row or not before:
        return {}
    names = [
        f"{part}{edge}" for part in ("total", "composition") for edge in ("", "_ci_low", "_ci_high")
    ]
    return {name: None if row[name] is None else row[name] / before for name in names}


def words(figures: Headline, order: list[Variant]) -> Section:
    """total, volume and composition in a sentence each, and what the marks mean."""
    lines = [
        "noise   what training again with another seed changes; changed - noise = total",
        "total   what the influx changed beyond that",
        "volume  the part that as many newcomers like the incumbents would have changed too",
        "who     the part due to who came: their languages, tastes, formats; below 0 they changed "
        "less",
        "        than as many like the incumbents would have. volume + composition = total",
    ]
    rows = [
        figures.drift(variant, measure)
        for variant in order
        for measure in ("slots_changed", "language_format")
    ]
    if any(_DROWNED in _mark(row) for row in rows):
        lines.append("*       most of what changed is the noise of training")
    if any(_FULL in _mark(row) for row in rows):
        lines.append(
            f"†       placebo or training noise is {SATURATED:.0%} or more: composition has no room"
        )
    if any(DASH in row for row in slots(figures, order).rows):
        lines.append(f"{DASH}       not known: the study leaves out the arm that it takes")
    return Section("", lines=tuple(lines))


def _mark(row: Mapping[str, Any]) -> str:
    """Signs after a name: mostly training noise, or nothing is left to see."""
    signs: list[tuple[str, Callable[[Mapping[str, Any]], bool]]] = [
        (_DROWNED, _is_drowned),
        (_FULL, lambda found: bool(found.get("saturated"))),
    ]
    return "".join(sign for sign, holds in signs if holds(row))


def _is_drowned(row: Mapping[str, Any]) -> bool:
    influx, retrain = row.get("influx"), row.get("retrain")
    return influx is not None and retrain is not None and retrain > influx / 2 > 0
