"""The summary of a study of your own log: what its newcomers did to incumbents' feeds."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.report.breadth import exposure_sections, group_sections, wins_sections
from pipelines.report.headline import DASH, Headline, Variant, name_of, number
from pipelines.report.section import Section
from recsys.config import Study
from recsys.statistics import band_level
from recsys.study.result import StudyResult
from recsys.study.verdicts.exposure import NO_VERDICT, ByExposure, verdicts_by_exposure
from recsys.study.verdicts.log import NO_EVIDENCE, NOT_TESTABLE, TESTED, p_of, verdict_of_log
from recsys.study.verdicts.value import Verdict

_QUALITY = {"ndcg": "NDCG", "recall": "recall"}
_NONE = "no evidence that newcomers did it"
_AROUND = 3
"""Number of periods that are shown before the start of a wave and after it."""
_DAYS, _MOST_MIXES = 7, 8
"""Most days of the count, and most rows of the mix of a recommender, on a terminal."""


def log_sections(figures: Headline, *, whole: bool = False) -> Iterator[Section]:
    """The parts of the summary.

    Args:
        figures: figures of a study of a log.
        whole: whether all rows are given, and not only as many as fit on a terminal.
    """
    result = figures.result
    yield _opening(result.study)
    yield from count_sections(result, whole=whole)
    if result.wave is not None:
        yield _arrivals(result)
    yield removal(figures)
    yield Section("Did the newcomers do it?", lines=tuple(_verdicts(figures)))
    yield from mix_sections(figures, whole=whole)
    if any(figures.has(measure) for measure in _QUALITY):
        yield _quality(figures)
    yield from wins_sections(figures, figures.variants)
    yield from group_sections(figures, figures.variants, whole=whole)
    yield from exposure_sections(figures, figures.variants)
    if not result.exposed.is_empty():
        yield _exposed(result.exposed)


def _arrivals(result: StudyResult) -> Section:
    """The periods around the start of the wave."""
    wave, used = result.wave, result.arrivals.filter("used")
    assert wave is not None
    assert wave.start is not None
    unit = "day" if used["days"][0] == 1 else "week"
    shown = used[max(wave.start - _AROUND, 0) : wave.start + _AROUND + 1]
    rows = tuple(
        (str(row["from"]), number(row["first_seen"], 1, 0), "yes" if row["wave"] else "")
        for row in shown.iter_rows(named=True)
    )
    return Section(
        f"When did newcomers arrive?  (found in the log: from {result.arrived} on)",
        (unit, "new users", "wave"),
        rows,
        (
            f"New users a {unit}: {number(wave.before, 1)} usually, "
            f"{number(wave.during, 1)} in it, {number(wave.size, 1, 0)} more than usual in all; "
            f"p = {wave.p_value:.3g}.",
        ),
    )


def _exposed(table: pl.DataFrame) -> Section:
    """The most exposed incumbents less the least exposed, after and before the arrival."""
    rows, lines = [], []
    for verdict in verdicts_by_exposure(table):
        row, p = verdict.row, number(verdict.p_value, 1, 3)
        cells = (number(row["low"]), number(row["high"]), _difference(row))
        rows.append((row["outcome"], *cells, p, _difference(verdict.check), _lost(row)))
        lines.append(_by_exposure(verdict))
    return Section(
        "A second view: did the long-time users most exposed to newcomers change more?  (points)",
        ("change of", "least", "most", "difference", "p", "check: before they came", "lost"),
        tuple(rows),
        (
            *lines,
            "least, most: the least and the most exposed third of the long-time users.",
            "lost: % of each third left out: they did (for a mix: liked) too little afterwards.",
            "p: adjusted for the number of outcomes (Holm).",
            "Assumption (parallel trends): both thirds would have changed alike without newcomers.",
        ),
    )


def _difference(row: Mapping[str, Any]) -> str:
    if not row:
        return DASH
    edges = (number(row[edge]) for edge in ("ci_low", "ci_high"))
    return f"{number(row['difference'])} [{', '.join(edges)}]"


def _lost(row: Mapping[str, Any]) -> str:
    sides = ((row[f"lost_{side}"], row[f"n_{side}"]) for side in ("low", "high"))
    return ", ".join(number(lost / (lost + kept), digits=0) for lost, kept in sides)


def _by_exposure(verdict: ByExposure) -> str:
    name = verdict.row["outcome"]
    if verdict.answer == NO_VERDICT:
        return f"{name}: no verdict, since the two thirds changed differently even before."
    if verdict.answer == NO_EVIDENCE:
        return f"{name}: {_NONE}, by this view."
    unchecked = "" if verdict.check else " (not checked before they came)"
    way = "more" if verdict.row["difference"] > 0 else "less"
    return f"{name}: the most exposed changed {way}, as if newcomers did it{unchecked}."


def _verdicts(figures: Headline) -> Iterator[str]:
    """The answer of each recommender, in the order of the config."""
    answers = {f[:2]: f.answer for f in verdict_of_log(figures.result).findings}
    if len(answers) > 1 and set(answers.values()) == {NO_EVIDENCE}:
        yield f"{_NONE.capitalize()}, whichever recommender:"
    for variant in figures.variants:
        yield _verdict(figures, variant, answers[variant])


def count_sections(result: StudyResult, *, whole: bool = False) -> Iterator[Section]:
    """How much of what long-time users were shown newcomers had made, where it can be counted.

    Args:
        result: of a study of a log.
        whole: whether all rows are given, and not only those on all users.
    """
    counted = result.counted
    if counted.is_empty():
        return
    days, cut = counted.filter(by="day"), tuple[str, ...]()
    if not whole and days.height > _DAYS:
        counted = pl.concat([counted.filter(pl.col("by") != "day"), days[:_DAYS]])
        cut = (f"The first {_DAYS} of {days.height} days; the others are in counted.csv.",)
    rows = tuple(
        (
            row["value"] if row["by"] in ("all", "day", "users") else f"{row['by']} {row['value']}",
            *(
                (number(row[name], 1, 0) for name in ("shown", "newcomers"))
                if row["by"] != "users"
                else (DASH, DASH)
            ),
            f"{'up to ' if row['by'] == 'users' else ''}{number(row['share'])}",
        )
        for row in counted.iter_rows(named=True)
    )
    yield Section(
        "How much of what long-time users were shown was the newcomers'?  (counted)",
        ("", "posts shown", "newcomers' posts", "%"),
        rows,
        (*cut, "Counted, not estimated: what was shown, not what would have been shown instead."),
    )


def count_line(result: StudyResult) -> str:
    """The count in a sentence; empty where nothing can be counted.

    Args:
        result: of a study of a log.
    """
    rows = list(result.counted.filter(by="all").iter_rows(named=True))
    if not rows:
        return ""
    *before, after = rows
    was = f", {number(before[0]['share'])} % before" if before else ""
    when = after["value"] if after["value"] == "the whole log" else "since their first day"
    return (
        f"Counted: {number(after['share'])} % of the posts that long-time users were shown were "
        f"newcomers' ({when}{was})."
    )


def led(result: StudyResult, verdict: Verdict) -> tuple[str, ...]:
    """The sentences of a verdict, led by what was counted, where that can be counted.

    That nothing can be tested is said before it.

    Args:
        result: of any study.
        verdict: on it.
    """
    count, first = count_line(result), int(verdict.answer == NOT_TESTABLE)
    counted = (count,) if count else ()
    return (*verdict.sentences[:first], *counted, *verdict.sentences[first:])


def mix_sections(figures: Headline, *, whole: bool = False) -> Iterator[Section]:
    """The mix of feeds before and after, with and without the newcomers.

    Args:
        figures: figures of a study of a log.
        whole: whether all rows are given, and not only those that move furthest.
    """
    mix, lines, left_out = figures.result.mix, [], 0
    if mix.is_empty():
        return
    has_before = mix["before"].null_count() < mix.height
    for recommender, mitigation in figures.variants:
        mine = mix.filter(recommender=recommender, mitigation=mitigation)
        if not whole:
            order = (pl.col("moved") - pl.col("placebo")).abs().fill_null(0.0)
            left_out += max(mine.height - _MOST_MIXES, 0)
            mine = mine.sort(pl.col("value").is_null(), order, descending=True)[:_MOST_MIXES]
        for row in mine.iter_rows(named=True):
            value = "(TV)" if row["value"] is None else row["value"]
            name = name_of((recommender, mitigation))
            shares = [number(row[arm]) for arm in ("before", "with", "without")[not has_before :]]
            band = f"[{number(row['band_low'])}, {number(row['band_high'])}]"
            p = number(row["p_adjusted"], 1, 3)
            lines.append(
                (
                    f"{name}: {row['attribute']} {value}",
                    *shares,
                    number(row["moved"]),
                    band,
                    p,
                )
            )
    columns = (
        "",
        *(["before"] if has_before else []),
        "with",
        "without",
        "moved",
        "placebos",
        "p",
    )
    before = (
        ("before: after training on the log as it was before the newcomers' first day.",)
        if has_before
        else ()
    )
    covered = _covered(figures.result.study.log.placebo_draws)
    yield Section(
        "Do the newcomers change what feeds are made of?  (% of slots)",
        columns,
        tuple(lines),
        (
            *before,
            "moved: with less without; (TV): of the whole, half of all such changes added up.",
            f"placebos: how far {covered} move it.",
            f"p: adjusted for all {mix.height} rows."
            + (f" The other {left_out} are in mix.csv." if left_out else ""),
        ),
    )


def _opening(study: Study) -> Section:
    evaluation = study.evaluation
    return Section(
        f"{study.name}: would long-time users see different feeds without the newcomers?",
        lines=(
            f"The first {evaluation.k} slots of {evaluation.panel:,} long-time users' feeds after "
            "training with and without the newcomers.",
            "Yardstick: training without an equally active group of other long-time users (a "
            f"placebo), {study.log.placebo_draws:,} times.",
            "p: how often removing such a group changes feeds at least as much; the newcomers are "
            "one such group.",
            "The verdict rests on how far whole feeds move (1 - FRBO), the first column.",
        ),
    )


def removal(figures: Headline) -> Section:
    """How far feeds move without the newcomers and without a placebo, by the tested measure first;
    beside it the share of slots that change."""
    log, several = figures.result.study.log, len(figures.variants) > 1
    rows = []
    for variant in figures.variants:
        tested, slots = figures.drift(variant, TESTED), figures.drift(variant, "slots_changed")
        cells = (number(tested.get("influx")), number(tested.get("placebo")), _band(tested))
        beside = (number(slots.get("influx")), number(slots.get("placebo")))
        p = number(p_of(tested), 1, 3)
        rows.append((name_of(variant), *cells, number(tested.get("retrain")), p, *beside))
    adjusted = f", adjusted for {len(rows)} recommenders" if several else ""
    return Section(
        "How far do long-time users' feeds move without …  (0 to 100; beside it % of slots)",
        (
            "recommender",
            "newcomers",
            "placebo",
            _covered(log.placebo_draws),
            "seed",
            "p",
            "slots",
            "placebo",
        ),
        tuple(rows),
        (
            "newcomers, placebo: without them, without as many equally active long-time users.",
            f"p: share of such groups that move feeds as far{adjusted}. seed: training again.",
        ),
    )


def _covered(draws: int) -> str:
    """The title of the column with the placebos' band, which holds this share of them.

    >>> _covered(199), _covered(20)
    ('95 % of them', '90 % of them')
    """
    return f"{100 * band_level(draws):.0f} % of them"


def _band(row: Mapping[str, Any]) -> str:
    """The band that holds most placebos; composition is the distance from its ends."""
    influx, low, high = (
        row.get(name) for name in ("influx", "composition_ci_low", "composition_ci_high")
    )
    if influx is None or low is None or high is None:
        return DASH
    return f"[{number(influx - high)}, {number(influx - low)}]"


def _verdict(figures: Headline, variant: Variant, answer: str) -> str:
    """One sentence: whether removing the newcomers moves feeds further than removing as many
    others."""
    row, name = figures.drift(variant, TESTED), name_of(variant)
    if answer == NOT_TESTABLE:
        return f"{name}: not testable; the first sentence above says why, and what to do."
    p, again = p_of(row) or 0.0, row.get("retrain")
    if answer == NO_EVIDENCE:
        noise = " So does another training seed." if again and again >= row["influx"] else ""
        less = row["composition_ci_high"] is not None and row["composition_ci_high"] < 0
        if less:
            return f"{name}: {_NONE}; removing as many others nearly always moves feeds further."
        return f"{name}: {_NONE}; removing as many others moves feeds as far.{noise}"
    draws = figures.result.study.log.placebo_draws
    placebos = "any placebo does" if p * (draws + 1) < 1.5 else "most placebos do"
    return (
        f"{name}: evidence that newcomers did it; removing them moves feeds further than "
        f"{placebos}, by {number(row['composition'])} points on average."
    )


def _quality(figures: Headline) -> Section:
    """Quality on held-out clicks after training with and without the newcomers."""
    measures = [measure for measure in _QUALITY if figures.has(measure)]
    rows = []
    for variant in figures.variants:
        cells: list[str] = [name_of(variant)]
        for measure in measures:
            levels = (figures.level(variant, arm, measure) for arm in ("full", "influx"))
            p = p_of(figures.drift(variant, measure))
            cells += [*(number(level, 1, 4) for level in levels), number(p, 1, 3)]
        rows.append(tuple(cells))
    titles = [
        title for measure in measures for title in (f"{_QUALITY[measure]} with", "without", "p")
    ]
    return Section(
        "Do the newcomers make the feeds better?  (on the panel's held-out clicks, 0 to 1)",
        ("recommender", *titles),
        tuple(rows),
        (
            "p: how often removing a placebo group changes quality at least as much, up or down; "
            "adjusted.",
        ),
    )
