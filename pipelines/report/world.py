"""The summary of a study of a synthetic platform: what the influx did to its long-time users."""

from collections.abc import Iterator

from pipelines.report.appendix import appendix_sections
from pipelines.report.breadth import exposure_sections, group_sections, wins_sections
from pipelines.report.channels import channel_sections
from pipelines.report.days import daily_sections
from pipelines.report.front import front_sections
from pipelines.report.headline import DASH, Headline, Variant, interval, name_of, number
from pipelines.report.life import life_sections
from pipelines.report.net import (
    net_section,
    net_words,
    people_section,
    placebo_section,
    sources_section,
)
from pipelines.report.recovery import recovery_sections
from pipelines.report.section import Section
from recsys.config import Study
from recsys.study.tables.headline import FLOOR

_ENGLISH = "language:en"
_SORTED = "Rows are sorted by net change."


def world_sections(figures: Headline, *, whole: bool = False) -> Iterator[Section]:
    """The parts of the summary, each with the recommenders in the same order.

    Args:
        figures: figures of a study of a world.
        whole: whether all rows and the appendix are given, and not only what fits on a terminal.
    """
    order = in_order(figures)
    yield _opening(figures.result.study)
    for section in (
        net_section(figures, order),
        placebo_section(figures, order),
        people_section(figures, order),
        sources_section(figures, order),
    ):
        if section is not None:
            yield section
    if figures.has("language_format"):
        yield _mix(figures, order)
    if figures.has("utility"):
        yield _utility(figures, order)
    yield from wins_sections(figures, order)
    yield from group_sections(figures, order, whole=whole)
    yield from exposure_sections(figures, order)
    yield from front_sections(figures, order)
    yield from channel_sections(figures.result, order)
    yield from daily_sections(figures.result, order)
    yield from recovery_sections(figures.result, order)
    yield from life_sections(figures.result, order)
    yield words(figures, order)
    if whole:
        yield from appendix_sections(figures, order)


def in_order(figures: Headline) -> list[Variant]:
    """The variants, sorted by net change; those without one come last, by slots changed."""
    return sorted(figures.variants, key=lambda variant: _change(figures, variant))


def _change(figures: Headline, variant: Variant) -> tuple[bool, float]:
    row = figures.net(variant)
    net = row.get("net")
    return net is None, (row.get("changed") or 0.0) if net is None else net


def _opening(study: Study) -> Section:
    return Section(
        f"{study.name}: {people(study)}",
        lines=(measured(study), f"{luck(study)} {_SORTED}"),
    )


def people(study: Study) -> str:
    """How many newcomers join how many incumbents."""
    newcomers, incumbents = study.world.influx.newcomers, study.world.incumbents
    return f"{newcomers:,} newcomers joined {incumbents:,} long-time users"


def measured(study: Study) -> str:
    """Which feeds are measured: days, number of slots, number of users."""
    evaluation = study.evaluation
    first, last = evaluation.days[0], evaluation.days[-1]
    days = ", ".join(str(day) for day in evaluation.days)
    if len(evaluation.days) > 2 and evaluation.days == tuple(range(first, last + 1)):
        days = f"{first} to {last}"
    return (
        f"Measured on days {days} (0: first arrivals): the first {evaluation.k} slots of "
        f"{evaluation.panel:,} long-time users' feeds."
    )


def luck(study: Study) -> str:
    """Whether there are intervals, and over what."""
    if study.seeds == 1:
        return "One seed, so there are no intervals."
    return f"Brackets hold 95 % intervals over {study.seeds} seeds."


def _mix(figures: Headline, order: list[Variant]) -> Section:
    columns: tuple[str, ...] = ("mix changed", "floor", "placebo", "retrain")
    has_english = figures.has(_ENGLISH)
    rows = []
    for variant in order:
        row = figures.drift(variant, "language_format")
        floor = figures.level(variant, FLOOR, "language_format")
        cells = (number(row.get("influx")), number(floor))
        cells += tuple(number(row.get(arm)) for arm in ("placebo", "retrain"))
        points = (english(figures, variant), interval(figures.net(variant), "english"))
        rows.append((name_of(variant), *(points if has_english else ()), *cells))
    return Section(
        "Did the mix of languages and formats in their feeds change?",
        ("recommender", *(("English", "points") if has_english else ()), *columns),
        tuple(rows),
        (
            "English: % of slots without → with the influx; points: the difference. mix changed: %",
            "of slots of another language or format; chance changes it, too: read it beside floor",
        ),
    )


def english(figures: Headline, variant: Variant) -> str:
    """Share of slots in English, without and with the influx."""
    before, after = (figures.level(variant, arm, _ENGLISH) for arm in ("control", "influx"))
    return f"{number(before)} → {number(after)}"


def _utility(figures: Headline, order: list[Variant]) -> Section:
    rows = []
    for variant in order:
        before = figures.level(variant, "control", "utility")
        change = interval(figures.net(variant), "utility")
        newcomers_utility = figures.level(variant, "influx", "utility", "newcomer")
        rows.append((name_of(variant), number(before), change, number(newcomers_utility)))
    return Section(
        "How useful are the feeds?  (utility: clicks per 100 looks; change in %)",
        ("recommender", "without influx", "change", "newcomers get"),
        tuple(rows),
    )


def words(figures: Headline, order: list[Variant]) -> Section:
    """What the columns and the marks mean."""
    lines = list(net_words(figures, order))
    if any(DASH in row for row in net_section(figures, order).rows):
        lines.append(
            f"{DASH}           not measured: it needs an arm that this study does not have"
        )
    return Section("", lines=tuple(lines))
