"""The result of a study: its tables and notes, made from the results of its cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import polars as pl

from recsys.config import Study, World
from recsys.core.errors import nearest
from recsys.core.steps import MAKING_TABLES, step
from recsys.logs.newcomers import ARRIVALS
from recsys.statistics.arrivals import Wave
from recsys.study.arms.by_exposure import EXPOSED
from recsys.study.arms.measured_log import MeasuredLog
from recsys.study.arms.result import CellResult, feeds_in_one
from recsys.study.notes import (
    notes_on_floor,
    notes_on_log,
    notes_on_removals,
    notes_on_seeds,
)
from recsys.study.sources import Sources
from recsys.study.tables.counted import COLUMNS as COUNTED
from recsys.study.tables.counted import counted_table
from recsys.study.tables.drift import drift_of_log, drift_of_world, primaries_of_log
from recsys.study.tables.matching import COLUMNS as MATCHING
from recsys.study.tables.matching import matching_table
from recsys.study.tables.registry import TABLES
from recsys.study.tables.table import Rows, schema_of


@dataclass(frozen=True)
class StudyResult:
    """The result of a study.

    Each table is an attribute, too: `result.drift` is `result.tables["drift"]`.

    Attributes:
        study: the study that was run.
        tables: a frame for each entry of `recsys.study.tables.registry.TABLES`, which also says
            what its columns mean. If a study of this kind does not have a table, its frame has no
            rows.
        notes: sentences that say how far the figures can be trusted.
        arrived: first day on which newcomers came; None for a world, or if it is not known.
        wave: the wave that was found among the arrivals, with `log.newcomers: auto`; else None.
    """

    study: Study
    tables: Mapping[str, pl.DataFrame]
    notes: tuple[str, ...] = ()
    arrived: date | None = None
    wave: Wave | None = None

    def __getattr__(self, name: str) -> pl.DataFrame:
        tables: Mapping[str, pl.DataFrame] = self.__dict__.get("tables", {})
        if name in tables:
            return tables[name]
        raise AttributeError(f"a study's result has no {name!r}; {nearest(name, tables)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.tables]

    def with_tables(self, **tables: pl.DataFrame) -> "StudyResult":
        """A copy of the result with other frames for some tables.

        Args:
            tables: frames by name of the table, such as `drift=result.drift.head(3)`.
        """
        return replace(self, tables={**self.tables, **tables})

    @property
    def front_variants(self) -> list[tuple[str, str]]:
        """Recommender and mitigation of each variant, in the order of the table `front`.

        Empty for a study without mitigations.
        """
        rows = self.front.select("recommender", "mitigation").unique(maintain_order=True)
        return [(str(recommender), str(mitigation)) for recommender, mitigation in rows.iter_rows()]


def combine(
    study: Study, results: Sequence[CellResult], sources: Sources | None = None
) -> StudyResult:
    """Makes the result of a study from the results of its cells.

    Args:
        study: from `load_study`.
        results: the results of all cells, in the order of `plan`.
        sources: what the cells have shared, such as the log; None reads the log again.
    """
    sources = Sources(study) if sources is None else sources
    if isinstance(study.source, World):
        rows = _rows_of_world(study, results, sources.users)
        notes = (*notes_on_seeds(study), *notes_on_floor(study))
        return StudyResult(study, _tables(rows), notes)
    log = sources.log
    rows = _rows_of_log(study, results, log, sources.users)
    return StudyResult(
        study,
        _tables(rows),
        notes=(*notes_on_log(log), *notes_on_removals(study, rows.removals)),
        arrived=log.own.arrived,
        wave=log.own.wave,
    )


def _tables(rows: Rows) -> dict[str, pl.DataFrame]:
    tables = {}
    for name, table in TABLES.items():
        step(MAKING_TABLES, name)
        tables[name] = table.made_from(rows)
    return tables


def _rows_of_world(study: Study, results: Sequence[CellResult], users: pl.DataFrame) -> Rows:
    return Rows(
        study,
        **_gathered(results),
        drift_of=partial(drift_of_world, arms=study.arms),
        users=users,
        attributes={},
        arrivals=pl.DataFrame(schema=ARRIVALS),
        exposed=pl.DataFrame(schema=EXPOSED),
        matching=pl.DataFrame(schema=schema_of(MATCHING)),
        counted=pl.DataFrame(schema=schema_of(COUNTED)),
    )


def _rows_of_log(
    study: Study, results: Sequence[CellResult], log: MeasuredLog, users: pl.DataFrame
) -> Rows:
    attributes = log.source.attributes
    return Rows(
        study,
        **_gathered(results),
        drift_of=partial(
            drift_of_log,
            crowding=log.matching.crowding,
            primary=primaries_of_log(attributes),
            same_seed=True,
        ),
        users=users,
        attributes=attributes,
        arrivals=log.own.arrivals,
        exposed=log.exposed.table,
        matching=matching_table(log.placebos),
        counted=counted_table(
            log.own.complete,
            log.incumbents,
            log.own.arrived,
            log.source.timezone,
            users,
            study.evaluation.groups,
        ),
    )


def _gathered(results: Sequence[CellResult]) -> dict[str, pl.DataFrame]:
    """The frames of all cells, one below the other.

    A cell with gates has only the frame `games`. Any other cell has all frames except `games`.
    """
    games = [result.games for result in results if result.games.width]
    results = [result for result in results if not result.games.width]
    return {
        "per_user": pl.concat([result.per_user for result in results]),
        "exposure": pl.concat([result.exposure for result in results]),
        "life": pl.concat([result.life for result in results]),
        "feeds": feeds_in_one([result.feeds for result in results]),
        "posts": pl.concat([result.posts for result in results], how="vertical_relaxed"),
        "timings": pl.concat([result.timings for result in results]),
        "games": pl.concat(games) if games else pl.DataFrame(),
        "removals": pl.concat([result.removals for result in results]),
    }
