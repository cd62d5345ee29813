"""The summary of a comparison of served feeds: their drift, and how much of it is usual."""

from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.console import Console

from pipelines.report.console import print_section
from pipelines.report.headline import DASH, interval, number
from pipelines.report.section import Section
from recsys.served.compare import FeedComparison

_HEADLINES = ("slots_changed", "posts", "creators", "language_format", "topic", "embedding")
_MOST_DAYS = 14
_PEOPLE = {"all": "users in all", "incumbent": "long-time users", "newcomer": "newcomers"}
_FLOORS = {
    "reference": "the reference's drift from A",
    "turnover": "A's own drift from one day to the next",
    None: "not known, since there is neither a reference nor a second day",
}


def print_served(console: Console, name: str, result: FeedComparison, *, full: bool = True) -> None:
    """Prints the result of a comparison.

    Args:
        console: the console to print to.
        name: the name of the comparison, such as `feeds`.
        result: the result of `recsys.compare_feeds`.
        full: whether all rows of long tables are printed.
    """
    for section in served_sections(name, result):
        print_section(console, section, 36, full=full)
    for note in result.notes:
        console.print(f"Note: {note}", style="yellow")
    console.print()


def served_sections(name: str, result: FeedComparison) -> Iterator[Section]:
    """The parts of the summary.

    Args:
        name: the name of the comparison, such as `feeds`.
        result: the result of `recsys.compare_feeds`.
    """
    whole = result.drift.filter(pl.col("day").is_null())
    cohorts = whole["cohort"].unique(maintain_order=True).to_list()
    people = whole.group_by("cohort", maintain_order=True).agg(pl.col("n_users").max())
    users = ", ".join(f"{n:,} {_people(cohort)}" for cohort, n in people.iter_rows())
    yield Section(
        f"{name}: how far are B's feeds from A's?",
        lines=(
            f"Compared: the first {result.k} slots of {users}.",
            "Brackets hold 95 % intervals over users.",
            f"Floor (what changes anyway): {_FLOORS[result.floor]}.",
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


def _people(cohort: str) -> str:
    return _PEOPLE.get(cohort, f"{cohort} users")


def _drift(result: FeedComparison, rows: pl.DataFrame) -> Section:
    kinds = dict(result.measures.select("measure", "kind").iter_rows())
    chosen = [row for row in rows.iter_rows(named=True) if kinds[row["measure"]] == "drift"]
    return Section(
        "How far?  (drift, 0 to 100)",
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
            parts = (interval(row, "drift"), number(row["floor"]), interval(row, "excess"))
            lines.append((_title(result, row), number(row["a"]), number(row["b"]), *parts))
    return Section(
        "What is in the feeds?  (levels in hundredths)",
        ("measure", "A", "B", "B - A", "floor", "excess"),
        tuple(lines),
    )


def _by_day(rows: pl.DataFrame) -> Section:
    measured = [name for name in _HEADLINES if name in rows["measure"].to_list()]
    lines = []
    for day in rows["day"].unique().sort():
        of_day = {row["measure"]: row for row in rows.filter(day=day).iter_rows(named=True)}
        users = f"{max(row['n_users'] for row in of_day.values()):,}"
        cells = [number(of_day[name]["drift"]) if name in of_day else DASH for name in measured]
        lines.append((str(day), users, *cells))
    return Section("Day by day: drift  (0 to 100)", ("day", "users", *measured), tuple(lines))


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
    return Section("Whose feeds differ most?  (% of slots changed)", columns, tuple(lines))


def _title(result: FeedComparison, row: dict[str, Any]) -> str:
    return str(result.measures.filter(measure=row["measure"])["title"][0])


def _words(result: FeedComparison) -> Section:
    lines = ["excess  drift - floor of each user: what B changes beyond what changes anyway"]
    if result.drift["saturated"].any():
        lines.append("†       the floor is 80 or more, which leaves no room for B's part")
    return Section("", lines=tuple(lines))
