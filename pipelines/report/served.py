"""What two frames of served feeds differ by, and how much of that is no more than usual."""

from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.console import Console

from pipelines.report.console import print_section
from pipelines.report.headline import DASH, interval, number
from pipelines.report.section import Section
from recsys.served.compare import FeedComparison

_HEADLINES = ("slots_changed", "notes", "creators", "language_format", "topic", "embedding")
_MOST_DAYS = 14
_FLOORS = {
    "reference": "the reference's drift from A",
    "turnover": "A's own, from day to day",
    None: "not known",
}


def print_served(console: Console, name: str, result: FeedComparison, *, full: bool = True) -> None:
    """Prints what a comparison found.

    Args:
        console: where to.
        name: what it is called.
        result: what `recsys.compare_feeds` gave.
        full: whether all rows of long tables are printed.
    """
    for section in served_sections(name, result):
        print_section(console, section, 36, full=full)
    for note in result.notes:
        console.print(f"Note: {note}", style="yellow")
    console.print()


def served_sections(name: str, result: FeedComparison) -> Iterator[Section]:
    """The summary, part by part.

    Args:
        name: what the comparison is called.
        result: what `recsys.compare_feeds` gave.
    """
    whole = result.drift.filter(pl.col("day").is_null())
    cohorts = whole["cohort"].unique(maintain_order=True).to_list()
    people = whole.group_by("cohort", maintain_order=True).agg(pl.col("n_users").max())
    users = ", ".join(f"{n:,} {_everybody(cohort)}" for cohort, n in people.iter_rows())
    yield Section(
        f"{name}: how far are B's feeds from A's?",
        lines=(
            f"The first {result.k} slots of {users}. [95 % intervals] over users.",
            f"Floor: {_FLOORS[result.floor]}.",
        ),
    )
    everybody = whole.filter(cohort=cohorts[-1])
    yield _drift(result, everybody)
    levels = _levels(result, everybody)
    if levels.rows:
        yield levels
    days = result.drift.filter(pl.col("day").is_not_null(), cohort=cohorts[-1])
    if 1 < days["day"].n_unique() <= _MOST_DAYS:
        yield _by_day(days)
    if result.groups.height or len(cohorts) > 1:
        yield _groups(whole.filter(pl.col("cohort") != cohorts[-1]), result.groups)
    yield _words(result)


def _everybody(cohort: str) -> str:
    return "users in all" if cohort == "all" else f"{cohort} users"


def _drift(result: FeedComparison, rows: pl.DataFrame) -> Section:
    kinds = dict(result.measures.select("measure", "kind").iter_rows())
    chosen = [row for row in rows.iter_rows(named=True) if kinds[row["measure"]] == "drift"]
    return Section(
        "How far?  (drift in hundredths)",
        ("measure", "drift", "floor", "excess"),
        tuple(_parts(_title(result, row), row) for row in chosen),
    )


def _parts(title: str, row: dict[str, Any]) -> tuple[str, ...]:
    mark = " †" if row["saturated"] else ""
    return (title + mark, *(interval(row, part) for part in ("drift", "floor", "excess")))


def _levels(result: FeedComparison, rows: pl.DataFrame) -> Section:
    lines = []
    for row in rows.iter_rows(named=True):
        if row["a"] is not None:
            known = (interval(row, "drift"), number(row["floor"]), interval(row, "excess"))
            lines.append((_title(result, row), number(row["a"]), number(row["b"]), *known))
    return Section(
        "What is in them?  (levels in hundredths)",
        ("measure", "A", "B", "B - A", "floor", "excess"),
        tuple(lines),
    )


def _by_day(rows: pl.DataFrame) -> Section:
    known = [name for name in _HEADLINES if name in rows["measure"].to_list()]
    lines = []
    for day in rows["day"].unique().sort():
        of_day = {row["measure"]: row for row in rows.filter(day=day).iter_rows(named=True)}
        users = f"{max(row['n_users'] for row in of_day.values()):,}"
        cells = [number(of_day[name]["drift"]) if name in of_day else DASH for name in known]
        lines.append((str(day), users, *cells))
    return Section("Day by day: drift  (hundredths)", ("day", "users", *known), tuple(lines))


def _groups(cohorts: pl.DataFrame, groups: pl.DataFrame) -> Section:
    named = cohorts.with_columns(attribute=pl.lit("cohort"), group="cohort")
    chosen = pl.concat([named.select(groups.columns), groups]).filter(measure="slots_changed")
    lines = [
        (
            f"{row['attribute']} {row['group']}",
            f"{row['n_users']:,}",
            *(interval(row, part) for part in ("drift", "floor", "excess")),
        )
        for row in chosen.iter_rows(named=True)
    ]
    columns = ("group", "users", "drift", "floor", "excess")
    return Section("Whom does it strike?  (% of slots changed)", columns, tuple(lines))


def _title(result: FeedComparison, row: dict[str, Any]) -> str:
    return str(result.measures.filter(measure=row["measure"])["title"][0])


def _words(result: FeedComparison) -> Section:
    lines = ["excess  drift - floor, user by user: what B changes beyond what moves anyway"]
    if result.drift["saturated"].any():
        lines.append("†       the floor is 80 or more: no room is left to see B's part")
    return Section("", lines=tuple(lines))
