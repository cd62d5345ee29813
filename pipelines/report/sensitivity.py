"""Which conclusions keep their sign under other assumptions."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.report.headline import Headline, name_of, number
from pipelines.report.section import Section
from recsys.study.sensitivity import CONCLUSIONS, sensitivity


def sensitivity_sections(variants: Mapping[str, Headline], reference: str) -> Iterator[Section]:
    """A table of conclusions, and a table of those that turn under another assumption.

    Args:
        variants: figures of each variant, by its name.
        reference: the name of the variant whose conclusions are checked.
    """
    conclusions = sensitivity(
        {name: figures.result for name, figures in variants.items()}, reference
    )
    others = len(variants) - 1
    rows: list[tuple[str, ...]] = []
    turned: list[tuple[str, ...]] = []
    keys = ("recommender", "mitigation", "conclusion")
    before = ""
    for (recommender, mitigation, conclusion), part in conclusions.group_by(
        *keys, maintain_order=True
    ):
        here = part.filter(verdict="reference").row(0, named=True)
        name = name_of((str(recommender), str(mitigation)))
        title = CONCLUSIONS[str(conclusion)].title
        rows += [(name, *[""] * 5)] if name != before else []
        rows.append((f"  {title}", _figure(here), *_counts(here["sign"], part, others)))
        before = name
        turned += [
            (f"{name}, {title}", str(row["variant"]), _figure(row))
            for row in part.filter(verdict="turns").iter_rows(named=True)
        ]
    yield Section(
        f"Which conclusions of {reference!r} keep their sign in {others} other worlds?",
        ("recommender", "figure", "sign", "keeps", "unclear", "turns"),
        tuple(rows),
        (
            "figure   with its 95 % interval: % of slots; points of the mix; utility: % of what it",
            "         is without newcomers. times locals - 1: 20 is 1.2 times what locals change.",
            "         newcomers' utility: what it exceeds long-time users' by",
            "unclear  worlds where the interval holds 0. turns: worlds with the other sign",
            "?        the interval holds 0 here; keeps: how many worlds say +, how many say -",
        ),
    )
    if turned:
        yield Section(
            "Which conclusions turn, and under which assumption?",
            ("conclusion", "assumption", "figure"),
            tuple(turned),
        )
    else:
        yield Section("", lines=("No conclusion turns in any of these worlds.",))


def _counts(sign: int, part: pl.DataFrame, others: int) -> tuple[str, str, str, str]:
    """The sign of a conclusion, and in how many worlds the sign is kept, unclear or turned."""
    if sign == 0:
        new = part.filter(verdict="new")["sign"]
        return "?", f"+ {(new > 0).sum()}, - {(new < 0).sum()}", "", ""
    keeps, unclear, turns = (part.filter(verdict=v).height for v in ("keeps", "unclear", "turns"))
    return "+" if sign > 0 else "-", f"{keeps} of {others}", str(unclear), str(turns)


def _figure(row: Mapping[str, Any]) -> str:
    if row["ci_low"] is None:
        return number(row["mean"])
    return f"{number(row['mean'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]"
