"""Per-user rows as arrays: days, users, seeds. All tables of estimates start from these."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.rows import KEYS
from recsys.study.tables.table import Columns, schema_of

HEADLINE = -(2**31)
"""Stands for the null day of headlines where days are sorted, so that these come first."""


class Cube(NamedTuple):
    """One recommender's values of one measure in one arm.

    Attributes:
        days: the days in their order; None, for the headline, comes first.
        values: float64 (days, users, seeds), NaN where a user has no value.
    """

    days: list[int | None]
    values: NDArray[np.float64]


def cubes_of(group: pl.DataFrame) -> dict[str, Cube]:
    """The values of each measure of which somebody has a value.

    Placebo groups of a log share day, user and seed. Their mean is taken, in the order of the rows.

    Args:
        group: per-user rows of one recommender, mitigation, arm and cohort.
    """
    columns = (days_as_numbers(group), group["user_id"], group["seed"])
    axes = [np.unique(column.to_numpy(), return_inverse=True) for column in columns]
    shape = tuple(labels.size for labels, _ in axes)
    cell = np.ravel_multi_index(tuple(place for _, place in axes), shape)
    days = [day_of(number) for number in axes[0][0]]
    cubes, n_cells = {}, int(np.prod(shape))
    mean_of = _mean_of_cells if np.bincount(cell).max(initial=0) > 1 else _in_cells
    for measure in measure_columns(group):
        values = group[measure].to_numpy()
        if not np.isnan(values).all():
            cubes[measure] = Cube(days, mean_of(values, cell, n_cells).reshape(shape))
    return cubes


def _in_cells(
    values: NDArray[np.float64], cell: NDArray[np.int64], n_cells: int
) -> NDArray[np.float64]:
    """Float64 (n_cells,): the value of each cell, none of which has two; NaN without one."""
    found = np.full(n_cells, np.nan)
    found[cell] = values
    return found


def _mean_of_cells(
    values: NDArray[np.float64], cell: NDArray[np.int64], n_cells: int
) -> NDArray[np.float64]:
    """Float64 (n_cells,): the mean of the values of each cell but NaN; NaN without any."""
    known = ~np.isnan(values)
    total = np.bincount(cell[known], values[known], minlength=n_cells)
    count = np.bincount(cell[known], minlength=n_cells)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def by_day(
    by_arm: Mapping[str, Cube],
) -> Iterator[tuple[int | None, dict[str, NDArray[np.float64]]]]:
    """Each day and the values of each arm, float64 (users, seeds); the headline comes first.

    Args:
        by_arm: the cubes of one measure; nothing is given without the arm influx.
    """
    if "influx" not in by_arm:
        return
    for place, day in enumerate(by_arm["influx"].days):
        yield day, {arm: cube.values[place] for arm, cube in by_arm.items()}


def days_as_numbers(rows: pl.DataFrame) -> pl.Series:
    """The column `day` with `HEADLINE` for null; see `day_of`."""
    return rows["day"].fill_null(HEADLINE)


def day_of(number: int) -> int | None:
    """The day that a number of `days_as_numbers` stands for; None is the headline.

    >>> day_of(3), day_of(HEADLINE)
    (3, None)
    """
    return None if number == HEADLINE else int(number)


def measure_columns(per_user: pl.DataFrame) -> list[str]:
    """Names of the measures that per-user rows hold."""
    return [name for name in per_user.columns if name not in KEYS]


def incumbents_in(per_user: pl.DataFrame) -> pl.DataFrame:
    """The rows of incumbents."""
    return per_user.filter(pl.col("cohort") == "incumbent")


def groups_by(
    frame: pl.DataFrame, keys: tuple[str, ...]
) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Groups of rows with equal keys, and these keys by name, in the order of their first rows.

    Args:
        frame: rows of any kind.
        keys: columns, such as ("recommender", "mitigation").
    """
    for values, group in frame.group_by(*keys, maintain_order=True):
        yield dict(zip(keys, values, strict=True)), group


def frame_of(rows: list[dict[str, Any]], columns: Columns) -> pl.DataFrame:
    """A frame with these columns; values that a row lacks, and NaN, are null.

    Args:
        rows: values by column; numpy's scalars are welcome, other keys are ignored.
        columns: the columns of a table.
    """
    plain = {name: [_plain(row.get(name)) for row in rows] for name in columns}
    return pl.DataFrame(plain, schema=schema_of(columns))


def _plain(value: Any) -> Any:
    """A numpy scalar as a Python value; NaN as None."""
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return None if isinstance(value, float) and np.isnan(value) else value
