"""What a table of a study is: its columns, which studies have it, and how it is made.

The tables themselves are declared in `recsys.study.tables.registry`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import polars as pl

from recsys.config import Study, World


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        type: a polars type, such as `pl.Float64`. `pl.Enum` stands for an enumeration of any
            values. None stands for the type of the ids, which differs from log to log.
        meaning: what a value means, in a few words.
    """

    type: Any
    meaning: str


Columns = Mapping[str, Column]
"""The columns of a table by name, in their order."""

COMMON: Columns = {
    "recommender": Column(pl.String, "name of the recommender, such as `als`"),
    "mitigation": Column(pl.String, "names of the mitigations around it; `none` without any"),
    "arm": Column(pl.String, "version of the world or log, such as `control` or `influx`"),
    "seed": Column(pl.Int64, "number of the seed, such as 0; a log has one"),
    "draw": Column(pl.Int32, "number of a nudge or of a log's placebo group, from 1; 0 in others"),
    "day": Column(pl.Int32, "day, 0 being the first of the influx; empty: over all days"),
    "cohort": Column(pl.String, "cohort of the users, `incumbent` or `newcomer`"),
    "user_id": Column(None, "the log's own id of the user"),
    "measure": Column(pl.String, "name of the measure, such as `posts`"),
    "mean": Column(pl.Float64, "estimate"),
    "ci_low": Column(pl.Float64, "lower end of its 95 % interval; empty where there is none"),
    "ci_high": Column(pl.Float64, "upper end of its 95 % interval; empty where there is none"),
    "p_value": Column(pl.Float64, "p-value against no effect, not adjusted"),
    "n_users": Column(pl.Int64, "number of users that the figures rest on"),
    "n_seeds": Column(pl.Int64, "number of seeds that the figures rest on"),
}
"""Columns that mean the same in every table that has them."""


def common(*names: str) -> dict[str, Column]:
    """Columns of `COMMON`.

    Args:
        names: names of the columns in the order that they have in the table.

    >>> list(common("recommender", "day"))
    ['recommender', 'day']
    """
    return {name: COMMON[name] for name in names}


def columns_of(types: Mapping[str, Any], meanings: Mapping[str, str]) -> dict[str, Column]:
    """Columns whose types are declared where their rows are made.

    Args:
        types: polars type of each column, such as `recsys.world.life.LIFE`.
        meanings: meaning of each column; those of `COMMON` may be left out.

    Raises:
        KeyError: a column has no meaning.

    >>> columns_of({"day": pl.Int32, "clicks": pl.Int64}, {"clicks": "number of clicks"})["clicks"]
    Column(type=Int64, meaning='number of clicks')
    """
    meaning_of = {name: column.meaning for name, column in COMMON.items()} | dict(meanings)
    return {name: Column(kind, meaning_of[name]) for name, kind in types.items()}


def schema_of(columns: Columns) -> dict[str, Any]:
    """The polars schema of a frame with these columns and no row.

    Args:
        columns: columns of a table, such as `drift.COLUMNS`.

    >>> schema_of(common("measure", "mean"))
    {'measure': String, 'mean': Float64}
    """
    return {name: _empty_type(column.type) for name, column in columns.items()}


def _empty_type(kind: Any) -> Any:
    if kind is None:
        return pl.Int64
    return pl.Enum([]) if kind is pl.Enum else kind


@dataclass(frozen=True)
class Rows:
    """All that the tables of a study are made from: the frames of all its cells, and the rest.

    Attributes:
        study: the study.
        per_user: a row for each user, arm, seed and day, with a column for each measure.
        exposure: how attention is spread, in the columns of
            `recsys.measures.attention_rows.EXPOSURE`.
        life: visits, clicks and satisfaction of a world's people; no row for a log.
        feeds: the feeds that the cells kept; see `recsys.study.arms.snapshots`.
        posts: what is known of the posts in them.
        timings: seconds that fits and serving took.
        games: each user's values under each set of open gates; no column without `channels`.
        removals: compares a model from which newcomers are removed exactly with a new fit; no row
            for a world.
        drift_of: function that makes the table `drift` from per-user rows. The function for a world
            differs from that for a log.
        users: user_id, and a column for each attribute by which users can be grouped.
        attributes: `log.attributes` of the config; empty for a world.
        arrivals: columns of `recsys.logs.newcomers.ARRIVALS`; no row for a world.
        exposed: columns of `recsys.study.arms.by_exposure.EXPOSED`; no row for a world.
        matching: columns of `recsys.study.tables.matching.COLUMNS`; no row for a world.
        counted: columns of `recsys.study.tables.counted.COLUMNS`; no row for a world.
    """

    study: Study
    per_user: pl.DataFrame
    exposure: pl.DataFrame
    life: pl.DataFrame
    feeds: pl.DataFrame
    posts: pl.DataFrame
    timings: pl.DataFrame
    games: pl.DataFrame
    removals: pl.DataFrame
    drift_of: Callable[[pl.DataFrame], pl.DataFrame]
    users: pl.DataFrame
    attributes: Mapping[str, str]
    arrivals: pl.DataFrame
    exposed: pl.DataFrame
    matching: pl.DataFrame
    counted: pl.DataFrame


class Condition(NamedTuple):
    """What a study must have for a table to be there.

    Attributes:
        words: the condition, put so that it can follow "in studies", such as "with mitigations".
        holds: function that says whether a study meets the condition.
    """

    words: str
    holds: Callable[[Study], bool]


@dataclass(frozen=True)
class Table:
    """A table of a study.

    Attributes:
        name: name of the table in `StudyResult.tables`, and of its files.
        row: what one row is about, such as "a primary measure".
        columns: its columns, in their order.
        make: makes the table from the rows of a study.
        of: which studies can have the table: those of a world, those of a log, or both.
        when: a further condition on the study; None if there is none. It is checked only for
            studies of the kind that `of` names.
        files: endings of its files, such as ("parquet", "csv"); `csv` for tables that people read.
        measures: whether the table has, after `columns`, a Float64 column for each measure.
        written_empty: whether files are written for a table without rows.
        uploaded: whether the files are uploaded to MLflow in a tracked run.
    """

    name: str
    row: str
    columns: Columns
    make: Callable[[Rows], pl.DataFrame]
    of: Literal["world", "log", "both"] = "both"
    when: Condition | None = None
    files: tuple[str, ...] = ("parquet", "csv")
    measures: bool = False
    written_empty: bool = True
    uploaded: bool = True

    def is_of(self, study: Study) -> bool:
        """Whether a study has this table."""
        kind = "world" if isinstance(study.source, World) else "log"
        return self.of in ("both", kind) and (self.when is None or self.when.holds(study))

    def empty(self) -> pl.DataFrame:
        """The table without rows."""
        return pl.DataFrame(schema=schema_of(self.columns))

    def made_from(self, rows: Rows) -> pl.DataFrame:
        """The table of a study; a table without rows if the study does not have it.

        Args:
            rows: the rows of the study.
        """
        return self.make(rows) if self.is_of(rows.study) else self.empty()

    def is_written(self, study: Study, frame: pl.DataFrame) -> bool:
        """Whether files are written for the table of a study.

        Args:
            study: the study.
            frame: its table.
        """
        return self.is_of(study) and (self.written_empty or frame.height > 0)

    def mistakes(self, frame: pl.DataFrame) -> list[str]:
        """Sentences that say how a frame differs from the declared columns; no sentence if equal.

        Args:
            frame: a table of this name.

        >>> columns = common("measure", "mean")
        >>> table = Table("wins", "a measure", columns, make=lambda rows: rows.per_user)
        >>> table.mistakes(pl.DataFrame({"measure": ["posts"], "mean": [1]}))
        ['wins: mean is Int64, not Float64']
        """
        declared, actual = list(self.columns), list(frame.columns)
        has_more = len(actual) > len(declared)
        if actual[: len(declared)] != declared or (has_more and not self.measures):
            return [f"{self.name}: has the columns {actual}, not {declared}"]
        wrong_types = [
            f"{self.name}: {name} is {frame[name].dtype}, not {column.type}"
            for name, column in self.columns.items()
            if column.type is not None and frame[name].dtype != column.type
        ]
        return wrong_types + [
            f"{self.name}: the measure {name} is {frame[name].dtype}, not Float64"
            for name in actual[len(declared) :]
            if frame[name].dtype != pl.Float64
        ]

    def described(self) -> str:
        """The table as Markdown: its files, the studies that have it, its columns, and the meanings
        of those that are not in `COMMON`."""
        files = ", ".join(f"`{self.name}.{ending}`" for ending in self.files)
        kind = {"world": "of a world", "log": "of a log", "both": ""}[self.of]
        words = " ".join(part for part in (kind, self.when.words if self.when else "") if part)
        names = " · ".join(f"`{name}`" for name in self.columns)
        more = " · and a column for each measure" if self.measures else ""
        own = [
            f"- `{name}`: {column.meaning}"
            for name, column in self.columns.items()
            if COMMON.get(name, ("", ""))[1] != column.meaning
        ]
        head = f"{files}, in {f'studies {words}' if words else 'every study'}. A row is {self.row}."
        return "\n".join(
            [f"### {self.name}", "", head, "", f"{names}{more}", *([""] if own else []), *own]
        )
