"""Two studies compared: the paired differences as sections, and in sentences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from pipelines.report.headline import name_of, number
from pipelines.report.section import Section
from recsys.study.compare import COMPARED
from recsys.study.verdicts.phrases import of_100, sentence

_DECIDES = ("net", "slots_changed")
"""The measures that the sentences are about: the first that both studies have."""


def sentences_of(table: pl.DataFrame) -> list[str]:
    """A sentence for each recommender: under which study feeds change less.

    Args:
        table: the result of `recsys.study.compare.compare_studies`.
    """
    said = []
    for _, rows in table.group_by("recommender", "mitigation", maintain_order=True):
        by_measure = {row["measure"]: row for row in rows.iter_rows(named=True)}
        row = next((by_measure[name] for name in _DECIDES if name in by_measure), None)
        if row is not None:
            said.append(sentence(_said(row)))
    return said


def _said(row: Mapping[str, Any]) -> str:
    name = f"with {name_of((row['recommender'], row['mitigation'])).replace(' + ', ' and ')}"
    size, low, high = of_100(abs(row["difference"])), row["ci_low"], row["ci_high"]
    if low is None:
        more = "more" if row["difference"] > 0 else "fewer"
        return (
            f"{name} the second study changes {size} of 100 posts {more} than the first, which one "
            "seed cannot tell from luck"
        )
    if low == high == 0:
        return f"{name} both studies change the same posts"
    if low <= 0 <= high:
        return f"{name} no difference can be told: it is between {_signed(low)} and {_signed(high)}"
    more = "more" if low > 0 else "fewer"
    ends = sorted(abs(end) for end in (low, high))
    return (
        f"{name} the second study changes {size} of 100 posts {more} than the first (between "
        f"{of_100(ends[0])} and {of_100(ends[1])})"
    )


def _signed(share: float) -> str:
    """A number of posts with its direction in words.

    >>> _signed(-0.03), _signed(0.12)
    ('3 of 100 posts fewer', '12 of 100 posts more')
    """
    return f"{of_100(abs(share))} of 100 posts {'more' if share > 0 else 'fewer'}"


def compared_sections(first: str, second: str, table: pl.DataFrame) -> Iterator[Section]:
    """The parts of a comparison; the last has every measure.

    Args:
        first, second: names of the studies.
        table: the result of `recsys.study.compare.compare_studies`.
    """
    yield Section(
        f"{second} against {first}",
        lines=tuple(sentences_of(table)),
    )
    short = table.filter(pl.col("measure").is_in(COMPARED))
    yield _table("What differs?  (in hundredths; second - first, paired)", short)
    yield _table("Every measure  (in hundredths)", table)


def _table(title: str, table: pl.DataFrame) -> Section:
    rows: list[Sequence[str]] = []
    for keys, part in table.group_by("recommender", "mitigation", maintain_order=True):
        recommender, mitigation = map(str, keys)
        rows.append((name_of((recommender, mitigation)), "", "", ""))
        rows += [
            (f"  {row['measure']}", number(row["first"]), number(row["second"]), _with_ends(row))
            for row in part.iter_rows(named=True)
        ]
    counts = sorted(set(table.select("n_users", "n_seeds").iter_rows()))
    people = " or ".join(
        f"{users:,} users and {seeds} seed{'s' * (seeds > 1)}" for users, seeds in counts
    )
    return Section(
        title,
        ("recommender", "first", "second", "difference"),
        tuple(map(tuple, rows)),
        (f"Brackets hold 95 % intervals, over {people} that both studies have.",),
    )


def _with_ends(row: Mapping[str, Any]) -> str:
    if row["ci_low"] is None:
        return number(row["difference"])
    return f"{number(row['difference'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]"
