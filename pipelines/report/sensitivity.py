"""Which conclusions keep their sign when what is assumed is changed."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.report.headline import Headline, name_of, number
from pipelines.report.section import Section
from recsys.study.sensitivity import CONCLUSIONS, sensitivity


def sensitivity_sections(variants: Mapping[str, Headline], reference: str) -> Iterator[Section]:
    """A table of conclusions, and below it the assumptions that some of them hang on.

    Args:
        variants: figures of each, by what it is called.
        reference: the one whose conclusions are checked.
    """
    found = sensitivity({name: figures.result for name, figures in variants.items()}, reference)
    others = len(variants) - 1
    rows: list[tuple[str, ...]] = []
    turned: list[tuple[str, ...]] = []
    keys = ("recommender", "mitigation", "conclusion")
    before = ""
    for (recommender, mitigation, conclusion), part in found.group_by(*keys, maintain_order=True):
        known = part.filter(verdict="reference").row(0, named=True)
        name = name_of((str(recommender), str(mitigation)))
        title = CONCLUSIONS[str(conclusion)].title
        rows += [(name, *[""] * 5)] if name != before else []
        rows.append((f"  {title}", _figure(known), *_told(known["sign"], part, others)))
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
            "figure   points of slots, of the mix; utility in clicks per 100 looks, newcomers'",
            "         less incumbents'; [95 % interval]",
            "unclear  the interval holds 0 there; turns: it lies on the other side",
            "?        it holds 0 here: how many worlds say +, how many -",
        ),
    )
    if turned:
        yield Section(
            "What turns, and where", ("conclusion", "assumption", "figure"), tuple(turned)
        )
    else:
        yield Section("", lines=("No conclusion turns in any of them.",))


def _told(sign: int, part: pl.DataFrame, others: int) -> tuple[str, str, str, str]:
    """Whether a conclusion holds, and in how many worlds it keeps, loses or turns its sign."""
    if sign == 0:
        new = part.filter(verdict="new")["sign"]
        return "?", f"+ {(new > 0).sum()}, - {(new < 0).sum()}", "", ""
    keeps, unclear, turns = (part.filter(verdict=v).height for v in ("keeps", "unclear", "turns"))
    return "+" if sign > 0 else "-", f"{keeps} of {others}", str(unclear), str(turns)


def _figure(row: Mapping[str, Any]) -> str:
    if row["ci_low"] is None:
        return number(row["mean"])
    return f"{number(row['mean'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]"
