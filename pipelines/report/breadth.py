"""More than means: how many users gain or lose, which groups change, where attention goes."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.report.headline import DASH, Headline, Variant, interval, name_of, number
from pipelines.report.section import Section
from recsys.config import OwnLog, World
from recsys.statistics import band_level
from recsys.study.result import StudyResult

_MOST_ROWS, _MOST_GROUPS = 24, 8
"""Most rows of groups, and most groups of an attribute, on a terminal. The page has all."""
_CLICKS = "ndcg"
_WITHOUT = "without newcomers"
_UNTESTED = (
    "These shares are not tested. The p above compares the newcomers with equally active groups."
)
_PLACEBOS = (
    "composition: total less the placebos' mean; brackets: total less the ends of {:.0f} % of them."
)
_ATTENTION = {"gini_posts": "Gini", "coverage": "posts shown"}
_GINI = "Gini: 0 if all posts get equally many looks, 100 if one post gets all looks."
_POSTS_SHOWN = "posts shown: share of servable posts that are in at least one feed."
_NEWCOMERS_POSTS = "newcomers' posts: share of looks that fall on them."


def wins_sections(figures: Headline, order: list[Variant]) -> Iterator[Section]:
    """How many users gain and how many lose under each recommender, and the balance of both.

    In a world the influx arm is compared with the retrain arm, if there is one, since both are
    trained with the same seed.

    Args:
        figures: figures of a study.
        order: recommenders and mitigations, in the order of the other sections.
    """
    rows = _wins(figures.result)
    words: tuple[str, ...]
    if isinstance(figures.result.study.source, World):
        measure, twin, words = "utility", ("retrain", "control"), ()
        title = "How many users gain, how many lose?  (% of long-time users)"
    else:
        measure, twin, words = _CLICKS, (_WITHOUT,), (_UNTESTED,)
        title = "How many users gain from the newcomers, how many lose?  (% of the panel, by NDCG)"
    lines = []
    for variant in order:
        row = next((rows[k] for a in twin if (k := (variant, measure, a)) in rows), None)
        if row is not None:
            shares = (number(row[name]) for name in ("wins", "losses", "ties"))
            lines.append((name_of(variant), *shares, interval(row, "balance")))
    if lines:
        columns = ("recommender", "gain", "lose", "neither", "gain - lose")
        yield Section(title, columns, tuple(lines), words)


def _wins(result: StudyResult) -> dict[tuple[Variant, str, str], Mapping[str, Any]]:
    return {
        ((row["recommender"], row["mitigation"]), row["measure"], row["against"]): row
        for row in result.wins.filter(pl.col("day").is_null()).iter_rows(named=True)
    }


def group_sections(
    figures: Headline, order: list[Variant], *, whole: bool = False
) -> Iterator[Section]:
    """The primary measures of each group of `evaluation.groups`, below each recommender.

    Args:
        figures: figures of a study.
        order: recommenders and mitigations, in the order of the other sections.
        whole: whether all rows are given, and not only as many as fit on a terminal.
    """
    groups, source = figures.result.groups, figures.result.study.source
    if groups.is_empty():
        return
    mixes = ("language_format",) if isinstance(source, World) else tuple(source.attributes)
    primaries = {"posts": "posts"} | {mix: "mix" for mix in mixes[:1] if figures.has(mix)}
    lines: list[tuple[str, ...]] = []
    cut = False
    for variant in order:
        all_groups = _of_variant(groups, variant, tuple(primaries))
        shown = all_groups if whole else _largest(all_groups)
        if lines and not whole and len(lines) + len(shown) >= _MOST_ROWS:
            cut = True
            break
        cut |= len(shown) < len(all_groups)
        lines.append((name_of(variant), *[""] * (2 * len(primaries) + 1)))
        lines += (row for _, _, row in shown)
    columns = [part for title in primaries.values() for part in (title, "composition")]
    what = " and of the mix" if len(primaries) > 1 else ""
    placebos: tuple[str, ...] = ()
    if isinstance(source, OwnLog):
        placebos = (_PLACEBOS.format(100 * band_level(source.placebo_draws)),)
    yield Section(
        f"Whose feeds change most?  (total drift of posts{what}, and its composition; in points)",
        ("recommender", "users", *columns),
        tuple(lines),
        (*placebos, *(("The rest is in report.html and groups.csv.",) if cut else ())),
    )


_Group = tuple[str, int, tuple[str, ...]]
"""Attribute, number of users, and cells of a group."""


def _largest(groups: list[_Group]) -> list[_Group]:
    """The groups of each attribute that have the most users, in their order."""
    sizes: dict[str, list[int]] = {}
    for attribute, n_users, _ in groups:
        sizes.setdefault(attribute, []).append(n_users)
    least = {name: sorted(counts)[-_MOST_GROUPS:][0] for name, counts in sizes.items()}
    return [group for group in groups if group[1] >= least[group[0]]]


def _of_variant(groups: pl.DataFrame, variant: Variant, measures: tuple[str, ...]) -> list[_Group]:
    recommender, mitigation = variant
    chosen = groups.filter(recommender=recommender, mitigation=mitigation)
    lines = []
    for (attribute, group), rows in chosen.group_by("attribute", "group", maintain_order=True):
        by_measure = {row["measure"]: row for row in rows.iter_rows(named=True)}
        measured = [by_measure[name] for name in measures if name in by_measure]
        n_users = max((row["n_users"] for row in measured), default=0)
        cells = [number(n_users, 1, 0)]
        for name in measures:
            row = by_measure.get(name, {})
            mark = " †" if row.get("saturated") else ""
            cells += [number(row.get("total")), interval(row, "composition") + mark]
        lines.append((str(attribute), n_users, (f"  {attribute} {_short(str(group))}", *cells)))
    return lines


def _short(group: str) -> str:
    """The name of a group of numbers, reduced to its edges.

    >>> _short("low: up to 2"), _short("middle: above 2 to 4"), _short("high: above 4")
    ('up to 2', '2 to 4', 'above 4')
    """
    name, _, edges = group.partition(": ")
    if name == "middle":
        return edges.removeprefix("above ")
    return edges if name in ("low", "high") else group


def exposure_sections(figures: Headline, order: list[Variant]) -> Iterator[Section]:
    """How incumbents' attention is spread over posts, without and with the influx.

    Args:
        figures: figures of a study.
        order: recommenders and mitigations, in the order of the other sections.
    """
    is_log = isinstance(figures.result.study.source, OwnLog)
    arms = ("influx", "full") if is_log else ("control", "influx")
    whole = figures.result.exposure.filter(pl.col("day").is_null(), cohort="incumbent")
    keys = ("recommender", "mitigation", "arm", "measure")
    means = {row[:-1]: row[-1] for row in whole.select(*keys, "mean").iter_rows()}
    measured = [name for name in _ATTENTION if any(key[-1] == name for key in means)]
    lines = []
    for variant in order:
        cells = [
            " → ".join(number(means.get((*variant, arm, name))) for arm in arms)
            for name in measured
        ]
        newcomers_posts = figures.level(variant, "influx", "newcomer_share")
        lines.append((name_of(variant), *cells, *([] if is_log else [number(newcomers_posts)])))
    if not measured or all(set(line[1:]) <= {DASH, f"{DASH} → {DASH}"} for line in lines):
        return
    added = "newcomers" if is_log else "influx"
    columns = ("recommender", *(_ATTENTION[name] for name in measured))
    yield Section(
        f"How is long-time users' attention spread over posts?  (in %; without → with the {added})",
        columns if is_log else (*columns, "newcomers' posts"),
        tuple(lines),
        (_GINI, _POSTS_SHOWN) if is_log else (_GINI, _POSTS_SHOWN, _NEWCOMERS_POSTS),
    )
