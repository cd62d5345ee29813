"""Per-user rows as arrays: days, users, seeds."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.rows import KEYS
from recsys.study.tables.table import Columns, schema_of

_HEADLINE = -1
"""Stands for the null day of headlines where days are sorted: they come first."""


class Cube(NamedTuple):
    """One recommender's values of one measure in one arm: float64 (days, users, seeds)."""

    days: list[int | None]
    values: NDArray[np.float64]


def _frame(rows: list[dict[str, Any]], columns: Columns) -> pl.DataFrame:
    plain = [{name: _plain(row.get(name)) for name in columns} for row in rows]
    return pl.DataFrame(plain, schema=schema_of(columns))


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's; not-a-number as null."""
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return None if isinstance(value, float) and np.isnan(value) else value


def _measures_in(frame: pl.DataFrame) -> list[str]:
    return [name for name in frame.columns if name not in KEYS]


def _incumbents(per_user: pl.DataFrame) -> pl.DataFrame:
    return per_user.filter(pl.col("cohort") == "incumbent")


def _groups(
    frame: pl.DataFrame, by: tuple[str, ...]
) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Groups in the order in which they first appear."""
    for keys, group in frame.group_by(*by, maintain_order=True):
        yield dict(zip(by, keys, strict=True)), group


def cubes_of(group: pl.DataFrame) -> dict[str, Cube]:
    """Values of each measure that has any, by day, user and seed; NaN where a user has none.

    Placebo groups of a log share day, user and seed: their mean is taken, in the order of rows.
    """
    columns = (group["day"].fill_null(_HEADLINE), group["user_id"], group["seed"])
    axes = [np.unique(column.to_numpy(), return_inverse=True) for column in columns]
    shape = tuple(known.size for known, _ in axes)
    where = np.ravel_multi_index(tuple(index for _, index in axes), shape)
    days = [None if day == _HEADLINE else int(day) for day in axes[0][0]]
    cubes = {}
    for measure in _measures_in(group):
        values = group[measure].to_numpy()
        known = ~np.isnan(values)
        if not known.any():
            continue
        total = np.bincount(where[known], values[known], minlength=int(np.prod(shape)))
        count = np.bincount(where[known], minlength=total.size)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        cubes[measure] = Cube(days, mean.reshape(shape))
    return cubes


def _days_of(
    by_arm: Mapping[str, Cube],
) -> Iterator[tuple[int | None, dict[str, NDArray[np.float64]]]]:
    """Float64 (users, seeds) of each arm, day by day, the headline first."""
    if "influx" not in by_arm:
        return
    for place, day in enumerate(by_arm["influx"].days):
        yield day, {arm: cube.values[place] for arm, cube in by_arm.items()}


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
