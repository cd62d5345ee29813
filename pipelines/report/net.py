"""What the influx changed net of what changes anyway: for whom, and in which slots."""

from collections.abc import Mapping
from typing import Any

from pipelines.report.headline import DASH, Headline, Variant, interval, name_of, number
from pipelines.report.section import Section
from recsys.measures.registry import SLOT_SOURCES
from recsys.study.tables.drift import SATURATED
from recsys.study.tables.headline import BILINGUAL, FLOOR, OTHERS, TOP

FULL = " †"
"""Marks a name where the floor leaves no room for a net figure."""
_NOT_ESTIMABLE = "not estimable"
_GROUPS = ("all", *TOP, BILINGUAL, OTHERS)
_MORE_NUDGES = {"nudge_3": "3 people", "nudge_10": "10 people"}


def net_section(figures: Headline, order: list[Variant]) -> Section:
    """Slots that the influx changed, with both terms of net, and plain subtraction beside it.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    rows = [figures.net(variant) for variant in order]
    nudges = [name for name in _MORE_NUDGES if any(row.get(name) is not None for row in rows)]
    measured = ("displaced", "reshuffled", "plain", "changed", "floor", *nudges, "retrain")
    titles = (_MORE_NUDGES.get(name, name) for name in measured)
    return Section(
        "How much of long-time users' feeds did the influx change?  (% of slots)",
        ("recommender", "net", *titles),
        tuple(
            (
                name_of(variant) + mark(row),
                interval(row, "net"),
                *(number(row.get(name)) for name in measured),
            )
            for variant, row in zip(order, rows, strict=True)
        ),
    )


def placebo_section(figures: Headline, order: list[Variant]) -> Section | None:
    """What as many more people like the long-time users change; None without such arms.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    rows = {variant: figures.net(variant) for variant in order}
    arms = [
        arm
        for arm in ("locals", "placebo")
        if any(row.get(arm) is not None for row in rows.values())
    ]
    if not arms:
        return None
    has_intervals = figures.result.study.seeds > 1
    lines = []
    for variant, row in rows.items():
        cells = [number(row.get("net"))]
        for arm in arms:
            ratio = interval(row, f"over_{arm}", 1)
            if ratio == DASH and has_intervals and row.get(arm) is not None:
                ratio = _NOT_ESTIMABLE
            cells += [interval(row, arm), ratio]
        lines.append((name_of(variant) + mark(row), *cells))
    columns = [column for arm in arms for column in (arm, f"influx / {arm}")]
    return Section(
        "Would as many people like themselves change as much?  (net, % of slots)",
        ("recommender", "influx", *columns),
        tuple(lines),
    )


def people_section(figures: Headline, order: list[Variant]) -> Section:
    """Net, English and utility: of all, of the most affected, of bilinguals and of others.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    lines: list[tuple[str, ...]] = []
    for variant in order:
        by_group = [figures.net(variant, group) for group in _GROUPS]
        lines.append((name_of(variant), *(number(row.get("net")) for row in by_group)))
        for column, title in {"english": "  English", "utility": "  utility"}.items():
            if any(row.get(column) is not None for row in by_group):
                lines.append((title, *(number(row.get(column)) for row in by_group)))
    return Section(
        "For whom?  (net, in % of slots; change of English, in points; of utility, in %)",
        ("recommender", *_GROUPS),
        tuple(lines),
        ("top: the users who get most of newcomers' posts, in each seed, beside their own floor",),
    )


def sources_section(figures: Headline, order: list[Variant]) -> Section | None:
    """Net and displaced slots by what fills them; None where slots have no source.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    lines = []
    for variant in order:
        by_source = [figures.net(variant, f"{source} slots") for source in SLOT_SOURCES]
        if any(by_source):
            lines.append((name_of(variant), *map(_both, by_source)))
    if not lines:
        return None
    return Section(
        "In which slots?  (net, and in brackets displaced, in % of the slots of each source)",
        ("recommender", *SLOT_SOURCES),
        tuple(lines),
    )


def _both(row: Mapping[str, Any]) -> str:
    return f"{number(row['net'])} ({number(row['displaced'])})" if row else DASH


def net_words(figures: Headline, order: list[Variant]) -> tuple[str, ...]:
    """What the columns mean, and what net assumes.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    study = figures.result.study
    nudged = FLOOR in study.arms
    floor = (
        f"changed where one more person visits and never posts: mean of {study.evaluation.nudges}"
        if nudged
        else "changed by another training seed alone, as this study has no arm nudge"
    )
    lines = [
        "net         (changed - floor) / (1 - floor) = displaced + reshuffled: what the influx",
        "            changes, if chance hits all slots alike. Rows are sorted by it",
        "displaced   slots that hold a newcomer's post; exact",
        "reshuffled  other slots that changed, beyond the floor",
        "plain       changed - floor; ranks wrongly, as a list that changes anyway has less room",
        "changed     slots that show a different post than this user would have seen that day",
        f"floor       {floor}",
        "retrain     changed by another training seed alone",
    ]
    if "locals" in study.arms:
        lines.append(
            "locals      net of as many people like the long-time users, posting as they do"
        )
    if "placebo" in study.arms:
        lines.append(
            "placebo     net of as many people like them, posting as much as the newcomers"
        )
    if any(mark(figures.net(variant)) for variant in order):
        lines.append(f"†           the floor is {SATURATED:.0%} or more: there is no net")
    return tuple(lines)


def mark(row: Mapping[str, Any]) -> str:
    """A mark after a name, if the floor leaves no room.

    >>> mark({"floor": 0.9, "net": None}), mark({"floor": 0.1, "net": 0.2})
    (' †', '')
    """
    floor = row.get("floor")
    return FULL if floor is not None and row.get("net") is None else ""
