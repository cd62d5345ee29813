"""Mitigations side by side: net change and utility, as tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.report.headline import DASH, Headline, Variant, name_of, number
from pipelines.report.section import Section
from recsys.study.result import StudyResult

_STABLE = {
    "net": "net change",
    "net_of_exposed": "most exposed tenth",
    "changed": "with chance",
}
_SERVED = {
    "utility": "long-time users get",
    "utility_of_exposed": "most exposed tenth",
    "utility_change": "change",
    "newcomers_utility": "newcomers get",
    "newcomers_exposure": "their exposure",
}
_STABLE_WORDS = (
    "net change          % of slots that the influx changes beyond the floor, as above",
    "most exposed tenth  the same, of those who get most newcomers' posts without mitigation",
    "with chance         % of slots that change in all, which is what users see. Where chance",
    "                    changes less, the floor is lower and net change can be larger",
)
_SERVED_WORDS = (
    "get             utility of the feeds, in clicks per 100 looks",
    "change          how much the influx changes the utility of long-time users' feeds",
    "their exposure  % of long-time users' looks that fall on newcomers' posts",
)
_WORDS = {
    "net": "less net change",
    "net_of_exposed": "less net change for the most exposed tenth",
    "changed": "less change with chance",
    "utility_of_exposed": "more utility for the most exposed tenth",
    "utility": "more utility for long-time users",
    "newcomers_utility": "more utility for newcomers",
    "newcomers_exposure": "more exposure of newcomers' creators",
}


def front_sections(figures: Headline, order: list[Variant]) -> Iterator[Section]:
    """Net change and utility under each mitigation; nothing if the study has no mitigations.

    Args:
        figures: figures of a study of a world.
        order: recommenders and mitigations, in the order of the other sections. Here the rows of a
            recommender stand together.
    """
    result = figures.result
    if result.front.is_empty():
        return
    recommenders = list(dict.fromkeys(recommender for recommender, _ in result.front_variants))
    rows: dict[Variant, dict[str, Mapping[str, Any]]] = {}
    for row in result.front.iter_rows(named=True):
        variant = (row["recommender"], row["mitigation"])
        rows.setdefault(variant, {})[row["quantity"]] = row
    ordered = sorted(order, key=lambda variant: recommenders.index(variant[0]))
    questions = {
        "How stable are long-time users' feeds under each mitigation?": (_STABLE, _STABLE_WORDS),
        "How well are long-time users and newcomers served?  (with the influx)": (
            _SERVED,
            _SERVED_WORDS,
        ),
    }
    for title, (titles, words) in questions.items():
        lines = [
            (name_of(variant), *(_with_ends(rows[variant].get(name)) for name in titles))
            for variant in ordered
        ]
        columns = ("recommender", *titles.values())
        yield Section(title, columns, tuple(lines), words)
    yield Section("Which mitigations can be left out?", lines=tuple(_verdicts(result)))


def _verdicts(result: StudyResult) -> Iterator[str]:
    """Which mitigations are dominated, and by which."""
    if result.study.seeds == 1:
        yield "One seed cannot show which mitigation is better."
        return
    dominated = result.dominated
    for (recommender, mitigation), rows in dominated.group_by(
        "recommender", "mitigation", maintain_order=True
    ):
        name = name_of((str(recommender), str(mitigation)))
        first = rows.row(0, named=True)
        better = ", ".join(_WORDS[what] for what in first["better_in"].split(", "))
        others = ["no mitigation" if by == "none" else by for by in rows["by"][1:]]
        also = f" It is also dominated by {', '.join(others)}." if others else ""
        by = "no mitigation" if first["by"] == "none" else first["by"]
        yield f"{name} is dominated by {by}: {better}, at no clear cost.{also}"
    if dominated.is_empty():
        yield "No row is dominated: each is better in some respect, or too much like the others."
    yield "A row is dominated if another of the same recommender is clearly better in one respect"
    yield "and clearly worse in none. Clearly: by the 95 % interval of the paired difference, and"
    yield "by more than 1 % of slots, 1 % of long-time users' or 5 % of newcomers' figures; for the"
    yield "most exposed tenth, by twice as much."


def _with_ends(row: Mapping[str, Any] | None) -> str:
    if row is None or row["mean"] is None:
        return DASH
    middle = number(row["mean"])
    if row["ci_low"] is None:
        return middle
    return f"{middle} [{number(row['ci_low'])}, {number(row['ci_high'])}]"
