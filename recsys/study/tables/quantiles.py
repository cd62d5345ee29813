"""The table `quantiles`: how a measure is spread over users."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.study.tables.cubes import day_of, days_as_numbers, measure_columns
from recsys.study.tables.table import Column, Columns, common, schema_of

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99}
"""Columns of quantiles, and the share of users whose values are not above them."""
_STATISTICS = ("mean", *QUANTILES, "top_tenth")

COLUMNS: Columns = {
    **common("recommender", "mitigation", "arm", "day", "cohort", "measure"),
    "mean": Column(pl.Float64, "mean over the users of a seed, then over seeds"),
    **{
        name: Column(pl.Float64, f"{share:.0%} of a seed's users have no larger value")
        for name, share in QUANTILES.items()
    },
    "top_tenth": Column(pl.Float64, "mean of the tenth of the users with the largest values"),
    "n_users": Column(pl.Int64, "number of users with a value, in the seed with the fewest"),
    **common("n_seeds"),
}


def quantiles(per_user: pl.DataFrame) -> pl.DataFrame:
    """Quantiles over the users of each seed, averaged over the seeds.

    A mean hides whom a change concerns: newcomers' posts may be a hundredth of all that is shown,
    and a quarter of what one bilingual user is shown.

    Args:
        per_user: as in `StudyResult.per_user`. The placebo groups of a log are treated as seeds:
            quantiles are taken within each group and averaged over groups.

    Returns:
        The columns of `COLUMNS`; no row where nobody has a value.
    """
    keys, rows = ("recommender", "mitigation", "arm", "cohort"), []
    for values, group in per_user.group_by(*keys, maintain_order=True):
        axes = [
            np.unique(column.to_numpy(), return_inverse=True)
            for column in (days_as_numbers(group), group["seed"], group["draw"])
        ]
        shape = tuple(labels.size for labels, _ in axes)
        cell = np.ravel_multi_index(tuple(place for _, place in axes), shape)
        named = dict(zip(keys, values, strict=True))
        for measure in measure_columns(group):
            of_cells = _of_cells(group[measure].to_numpy(), cell, int(np.prod(shape)))
            for number, means in zip(axes[0][0], _means(*of_cells, shape), strict=True):
                if means["n_users"]:
                    rows.append({**named, "day": day_of(number), "measure": measure, **means})
    return pl.DataFrame(rows, schema=schema_of(COLUMNS))


def _of_cells(
    values: NDArray[np.float64], cell: NDArray[np.int64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Statistics of the users of each cell, and how many users it has.

    Args:
        values: float64 (rows,), a user's value; NaN rows are left out.
        cell: int64 (rows,), the day, seed and draw of each row as one number.
        n: number of cells.

    Returns:
        float64 (n, statistics), NaN for a cell without users; and int64 (n,). Quantiles are
        interpolated between two users, as numpy does it.
    """
    has_value = ~np.isnan(values)
    values, cell = values[has_value], cell[has_value]
    order = np.lexsort((values, cell))
    values, cell = values[order], cell[order]
    users = np.bincount(cell, minlength=n)
    start = np.cumsum(users) - users
    filled = users > 0
    statistics = np.full((n, len(_STATISTICS)), np.nan)
    statistics[filled, 0] = np.bincount(cell, values, minlength=n)[filled] / users[filled]
    for column, share in enumerate(QUANTILES.values(), start=1):
        place = share * (users[filled] - 1)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, users[filled] - 1)
        low, high = values[start[filled] + below], values[start[filled] + above]
        statistics[filled, column] = low + (place - below) * (high - low)
    tenth = -(-users // 10)  # rounded up
    among = np.arange(values.size) >= (start + users - tenth)[cell]
    top = np.bincount(cell[among], values[among], minlength=n)
    statistics[filled, -1] = top[filled] / tenth[filled]
    return statistics, users


def _means(
    statistics: NDArray[np.float64], users: NDArray[np.int64], shape: tuple[int, ...]
) -> list[dict[str, Any]]:
    """A dict for each day: each statistic's mean over seeds and draws, `n_users` and `n_seeds`.

    Args:
        statistics, users: from `_of_cells`.
        shape: number of days, seeds and draws.
    """
    filled = (users > 0).reshape(shape)
    cells = filled.sum(axis=(1, 2))
    total = np.nan_to_num(statistics).reshape(shape[0], -1, len(_STATISTICS)).sum(axis=1)
    means = total / np.maximum(cells, 1)[:, None]
    fewest = np.where(filled, users.reshape(shape), users.max(initial=0)).min(axis=(1, 2))
    n_users, n_seeds = np.where(cells > 0, fewest, 0), filled.any(axis=2).sum(axis=1)
    return [
        {
            **dict(zip(_STATISTICS, means[day].tolist(), strict=True)),
            "n_users": int(n_users[day]),
            "n_seeds": int(n_seeds[day]),
        }
        for day in range(shape[0])
    ]
