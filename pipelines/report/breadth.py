"""Beyond means: how many users gain or lose, who they are, and how attention is spread."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.report.headline import DASH, Headline, Variant, interval, name_of, number
from pipelines.report.section import Section
from recsys.config import OwnLog, World
from recsys.statistics import band_level
from recsys.study.result import StudyResult

_MOST_ROWS, _MOST_GROUPS = 24, 8
"""Rows of groups in a terminal, and groups of an attribute; a page and groups.csv have all."""
_CLICKS = "ndcg"
_WITHOUT = "without newcomers"
_UNTESTED = "Not tested: p above says whether leaving out as many others matters as much."
_PLACEBOS = (
    "composition: less the placebos' mean; in brackets, less the ends of {:.0f} % of the placebos."
)
_FALL = {"gini_posts": "Gini", "coverage": "posts shown"}
_FALL_WORDS = (
    "Gini: how unevenly posts are looked at, 0 all alike, 100 one has all. posts shown: those that",
    "are in any feed, of those that can be served.",
)
_THEIRS = " newcomers': looks that fall on their posts."


def wins_sections(figures: Headline, order: list[Variant]) -> Iterator[Section]:
    """A line for each of what is compared: how many gain and lose, and the balance.

    In a world, against the retrain arm where there is one: both are trained with the same seed.

    Args:
        figures: of a study.
        order: as in the other sections.
    """
    rows = _wins(figures.result)
    words: tuple[str, ...]
    if isinstance(figures.result.study.source, World):
        measure, twin, words = "utility", ("retrain", "control"), ()
        title = "How many users gain, how many lose?  (% of incumbents)"
    else:
        measure, twin, words = _CLICKS, (_WITHOUT,), (_UNTESTED,)
        title = "How many are served better with the newcomers?  (% of the panel, by NDCG)"
    lines = []
    for variant in order:
        row = next((rows[k] for a in twin if (k := (variant, measure, a)) in rows), None)
        if row is not None:
            shares = (number(row[name]) for name in ("wins", "losses", "ties"))
            lines.append((name_of(variant), *shares, interval(row, "balance")))
    if lines:
        columns = ("recommender", "more", "less", "as much", "more - less")
        yield Section(title, columns, tuple(lines), words)


def _wins(result: StudyResult) -> dict[tuple[Variant, str, str], Mapping[str, Any]]:
    return {
        ((row["recommender"], row["mitigation"]), row["measure"], row["against"]): row
        for row in result.wins.filter(pl.col("day").is_null()).iter_rows(named=True)
    }


def group_sections(
    figures: Headline, order: list[Variant], *, whole: bool = False
) -> Iterator[Section]:
    """The primaries of each group that `evaluation.groups` asks for, below each recommender.

    Args:
        figures: of a study.
        order: as in the other sections.
        whole: all rows, not only as many as a terminal holds.
    """
    groups, source = figures.result.groups, figures.result.study.source
    if groups.is_empty():
        return
    mixes = ("language_format",) if isinstance(source, World) else tuple(source.attributes)
    primaries = {"posts": "posts"} | {mix: "mix" for mix in mixes[:1] if figures.has(mix)}
    lines: list[tuple[str, ...]] = []
    cut = False
    for variant in order:
        every = _of_variant(groups, variant, tuple(primaries))
        its = every if whole else _largest(every)
        if lines and not whole and len(lines) + len(its) >= _MOST_ROWS:
            cut = True
            break
        cut |= len(its) < len(every)
        lines.append((name_of(variant), *[""] * (2 * len(primaries) + 1)))
        lines += (row for _, _, row in its)
    columns = [part for title in primaries.values() for part in (title, "composition")]
    what = "total drift of posts and mix" if len(primaries) > 1 else "total drift of posts"
    yield Section(
        f"Whom does it strike?  ({what}, and composition of it, in points)",
        ("recommender", "people", *columns),
        tuple(lines),
        (
            *((_PLACEBOS.format(100 * band_level(source.placebo_draws)),) if source else ()),
            *(("The rest is in report.html and groups.csv.",) if cut else ()),
        ),
    )


_Group = tuple[str, int, tuple[str, ...]]
"""Attribute, people and cells of a group."""


def _largest(groups: list[_Group]) -> list[_Group]:
    """The groups with the most people of each attribute, in their order."""
    sizes: dict[str, list[int]] = {}
    for attribute, people, _ in groups:
        sizes.setdefault(attribute, []).append(people)
    least = {name: sorted(of)[-_MOST_GROUPS:][0] for name, of in sizes.items()}
    return [group for group in groups if group[1] >= least[group[0]]]


def _of_variant(groups: pl.DataFrame, variant: Variant, measures: tuple[str, ...]) -> list[_Group]:
    recommender, mitigation = variant
    chosen = groups.filter(recommender=recommender, mitigation=mitigation)
    lines = []
    for (attribute, group), rows in chosen.group_by("attribute", "group", maintain_order=True):
        found = {row["measure"]: row for row in rows.iter_rows(named=True)}
        people = max((found[name]["n_users"] for name in measures if name in found), default=0)
        cells = [number(people, 1, 0)]
        for name in measures:
            row = found.get(name, {})
            mark = " †" if row.get("saturated") else ""
            cells += [number(row.get("total")), interval(row, "composition") + mark]
        lines.append((str(attribute), people, (f"  {attribute} {_short(str(group))}", *cells)))
    return lines


def _short(group: str) -> str:
    """Without what its edges say.

    >>> _short("low: up to 2"), _short("middle: above 2 to 4"), _short("high: above 4")
    ('up to 2', '2 to 4', 'above 4')
    """
    name, _, edges = group.partition(": ")
    if name == "middle":
        return edges.removeprefix("above ")
    return edges if name in ("low", "high") else group


def exposure_sections(figures: Headline, order: list[Variant]) -> Iterator[Section]:
    """How incumbents' attention falls on posts, without and with the influx.

    Args:
        figures: of a study.
        order: as in the other sections.
    """
    is_log = isinstance(figures.result.study.source, OwnLog)
    arms = ("influx", "full") if is_log else ("control", "influx")
    whole = figures.result.exposure.filter(pl.col("day").is_null(), cohort="incumbent")
    keys = ("recommender", "mitigation", "arm", "measure")
    found = {row[:-1]: row[-1] for row in whole.select(*keys, "mean").iter_rows()}
    known = [name for name in _FALL if any(key[-1] == name for key in found)]
    lines = []
    for variant in order:
        cells = [
            " → ".join(number(found.get((*variant, arm, name))) for arm in arms) for name in known
        ]
        theirs = figures.level(variant, "influx", "newcomer_share")
        lines.append((name_of(variant), *cells, *([] if is_log else [number(theirs)])))
    if not known or all(set(line[1:]) <= {DASH, f"{DASH} → {DASH}"} for line in lines):
        return
    composition = "newcomers" if is_log else "influx"
    first, last = _FALL_WORDS
    yield Section(
        f"How does incumbents' attention fall?  (in %; without → with the {composition})",
        ("recommender", *(_FALL[name] for name in known), *([] if is_log else ["newcomers'"])),
        tuple(lines),
        (first, last if is_log else last + _THEIRS),
    )
