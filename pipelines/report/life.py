"""What people did on the platform and how content they were, without and with the influx."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pipelines.report.headline import Variant, name_of, number
from pipelines.report.section import Section
from recsys.study.result import StudyResult
from recsys.study.tables.life import over_days, over_seeds

Row = Mapping[str, Any]


class _Line(NamedTuple):
    """A line of the table."""

    name: str
    column: str
    scale: float = 1
    digits: int = 0


_LINES = (
    _Line("clicks per 100 shown", "click_rate", 100, 1),
    _Line("product clicks per 1,000", "product_clicks_per_1000", 1, 2),
    _Line("purchases per 1,000", "purchases_per_1000", 1, 2),
    _Line("cross-language comments", "comments_across"),
    _Line("  on language exchange", "across_language_exchange"),
    _Line("  on homework help", "across_homework_help"),
    _Line("  answered by the creator", "replies_across"),
    _Line("comments on newcomers' posts", "comments_on_newcomers"),
    _Line("follows across languages", "follows_across"),
    _Line("satisfaction", "satisfaction", 1, 2),
    _Line("left dissatisfied", "left"),
)
_COLUMNS = {
    "long-time users without influx": ("control", "incumbent"),
    "with influx": ("influx", "incumbent"),
    "newcomers": ("influx", "newcomer"),
}


def life_sections(result: StudyResult, order: list[Variant]) -> Iterator[Section]:
    """A section for each that serves the platform: the house policy, or each recommender.

    Recommenders serve the platform in a closed loop, the house policy serves it in an open loop.

    Args:
        result: the result of a study of a world.
        order: recommenders and mitigations, in the order of the other sections.
    """
    whole = over_seeds(over_days(result.life))
    by_arm = {
        (row["recommender"], row["mitigation"], row["arm"], row["cohort"]): row
        for row in whole.iter_rows(named=True)
    }
    servers = list(dict.fromkeys(whole.select("recommender", "mitigation").iter_rows()))
    place = {variant: number for number, variant in enumerate(order)}
    world, seeds = result.study.world, result.study.seeds
    averaged = f"  (mean of {seeds} seeds)" if seeds > 1 else ""
    for server in sorted(servers, key=lambda name: place.get(name, 0)):
        rows = [by_arm.get((*server, *at), {}) for at in _COLUMNS.values()]
        yield Section(
            f"Life on the platform, days 0 to {world.days_after - 1}, served by "
            f"{'the house policy' if result.study.loop == 'open' else name_of(server)}{averaged}",
            ("", *_COLUMNS),
            tuple(_cells(line, rows) for line in _LINES if _is_measured(line, rows)),
        )


def _cells(line: _Line, rows: list[Row]) -> tuple[str, ...]:
    figures = (number(row.get(line.column), line.scale, line.digits) for row in rows)
    return (line.name, *figures)


def _is_measured(line: _Line, rows: list[Row]) -> bool:
    """Whether any row has a value: a world may lack a topic, or have no visits."""
    return any(row.get(line.column) is not None for row in rows)
