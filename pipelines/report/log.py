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

_EVIDENCE = 0.05
_PRIMARY, _P = "posts", "p (posts)"
"""The measure whose p-value decides the verdict, and the title of its column."""
_QUALITY = {"ndcg": "NDCG", "recall": "recall"}
_NONE = "no evidence that newcomers did it"
_AROUND = 3
"""Number of periods that are shown before the start of a wave and after it."""


def log_sections(figures: Headline, *, whole: bool = False) -> Iterator[Section]:
    """The parts of the summary.

    Args:
        figures: figures of a study of a log.
        whole: whether all rows are given, and not only as many as fit on a terminal.
    """
    result = figures.result
    yield _opening(result.study)
    if result.wave is not None:
        yield _arrivals(result)
    yield removal(figures)
    yield Section("Did the newcomers do it?", lines=tuple(_verdicts(figures)))
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
    checks = {row["outcome"]: row for row in table.filter("check").iter_rows(named=True)}
    rows, lines = [], []
    for row in table.filter(~pl.col("check")).iter_rows(named=True):
        check = checks.get(row["outcome"], {})
        cells = (number(row["low"]), number(row["high"]), _difference(row))
        p = number(row["p_value"], 1, 3)
        rows.append((row["outcome"], *cells, p, _difference(check), _lost(row)))
        lines.append(_by_exposure(row, check))
    return Section(
        "A second view: did the long-time users most exposed to newcomers change more?  (points)",
        ("change of", "least", "most", "difference", "p", "check: before they came", "lost"),
        tuple(rows),
        (
            *lines,
            "least, most: the least and the most exposed third of the long-time users.",
            "lost: % of each third left out: they did (for a mix: liked) too little afterwards.",
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


def _by_exposure(row: Mapping[str, Any], check: Mapping[str, Any]) -> str:
    name = row["outcome"]
    if check and check["p_value"] <= _EVIDENCE:
        return f"{name}: no verdict, since the two thirds changed differently even before."
    if row["p_value"] > _EVIDENCE:
        return f"{name}: {_NONE}, by this view."
    unchecked = "" if check else " (not checked before they came)"
    way = "more" if row["difference"] > 0 else "less"
    return f"{name}: the most exposed changed {way}, as if newcomers did it{unchecked}."


def _verdicts(figures: Headline) -> Iterator[str]:
    """The verdict on each recommender, after a sentence on all if there is no evidence at all."""
    each = [_verdict(figures, variant, figures.result.study) for variant in figures.variants]
    if len(each) > 1 and all(_NONE in line for line in each):
        yield f"{_NONE.capitalize()}, whichever recommender:"
    yield from each
    if any("NOT MATCHED" in note for note in figures.result.notes) and any(
        _NONE not in line for line in each
    ):
        yield "But the placebos are NOT MATCHED (see the note), so that volume may explain it."


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
            "The verdict rests on p (posts), the p of the drift of posts (FRBO).",
        ),
    )


def removal(figures: Headline) -> Section:
    """Slots that change without the newcomers and without a placebo; p is the verdict's."""
    log = figures.result.study.log
    rows = []
    for variant in figures.variants:
        row = figures.drift(variant, "slots_changed")
        cells = (number(row.get("influx")), number(row.get("placebo")), _band(row))
        again, p = number(row.get("retrain")), figures.drift(variant, _PRIMARY).get("p_value")
        rows.append((name_of(variant), *cells, again, number(p, 1, 3)))
    return Section(
        "How much of long-time users' feeds changes without …  (% of slots)",
        ("recommender", "newcomers", "a placebo", _covered(log.placebo_draws), "another seed", _P),
        tuple(rows),
    )


def _covered(draws: int) -> str:
    """The title of the column with the placebos' band, which holds this share of them.

    >>> _covered(199), _covered(20)
    ('95 % of placebos', '90 % of placebos')
    """
    return f"{100 * band_level(draws):.0f} % of placebos"


def _band(row: Mapping[str, Any]) -> str:
    """The band that holds most placebos; composition is the distance from its ends."""
    influx, low, high = (
        row.get(name) for name in ("influx", "composition_ci_low", "composition_ci_high")
    )
    if influx is None or low is None or high is None:
        return DASH
    return f"[{number(influx - high)}, {number(influx - low)}]"


def _verdict(figures: Headline, variant: Variant, study: Study) -> str:
    """One sentence: whether removing the newcomers changes more than removing as many others."""
    row = figures.drift(variant, _PRIMARY)
    p, composition, again = row.get("p_value"), row.get("composition"), row.get("retrain")
    name = name_of(variant)
    if p is None or composition is None:
        return f"{name}: no verdict, since p is not known."
    if p > _EVIDENCE:
        noise = " So does another training seed." if again and again >= row["influx"] else ""
        less = row["composition_ci_high"] is not None and row["composition_ci_high"] < 0
        if less:
            return f"{name}: {_NONE}; removing as many others nearly always changes feeds more."
        return f"{name}: {_NONE}; removing as many others changes feeds as much.{noise}"
    placebos = "any placebo does" if p * (study.log.placebo_draws + 1) < 1.5 else "most placebos do"
    return (
        f"{name}: evidence that newcomers did it; removing them changes feeds more than "
        f"{placebos}, by {number(composition)} points of drift of posts on average."
    )


def _quality(figures: Headline) -> Section:
    """Quality on held-out clicks after training with and without the newcomers."""
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
        ("p: how often removing a placebo group changes quality at least as much, up or down.",),
    )
