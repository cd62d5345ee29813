"""The table `quantiles`: how a measure is spread over users."""

from typing import Any, NamedTuple

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
        cells = _Cells.of(np.ravel_multi_index(tuple(place for _, place in axes), shape), shape)
        named = dict(zip(keys, values, strict=True))
        for measure in measure_columns(group):
            of_cells = cells.statistics(group[measure].to_numpy())
            for number, means in zip(axes[0][0], _means(*of_cells, shape), strict=True):
                if means["n_users"]:
                    rows.append({**named, "day": day_of(number), "measure": measure, **means})
    return pl.DataFrame(rows, schema=schema_of(COLUMNS))


class _Cells(NamedTuple):
    """Where the rows of each day, seed and draw stand in a table with a row for each such cell.

    Attributes:
        place: int64 (rows,), position of each row's value in the flattened table.
        shape: number of cells, and the most rows of one.
    """

    place: NDArray[np.int64]
    shape: tuple[int, int]

    @classmethod
    def of(cls, cell: NDArray[np.int64], shape: tuple[int, ...]) -> "_Cells":
        """The cells of rows.

        Args:
            cell: int64 (rows,), the day, seed and draw of each row as one number.
            shape: number of days, seeds and draws.
        """
        rows = np.bincount(cell, minlength=int(np.prod(shape)))
        order = np.argsort(cell, kind="stable")
        nth = np.empty_like(order)
        nth[order] = np.arange(cell.size) - np.repeat(np.cumsum(rows) - rows, rows)
        most = int(rows.max(initial=0))
        return cls(cell * most + nth, (rows.size, most))

    def statistics(
        self, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Statistics of the users of each cell, and how many users it has.

        Args:
            values: float64 (rows,), a user's value; NaN rows are left out.

        Returns:
            float64 (n, statistics), NaN for a cell without users; and int64 (n,). Quantiles are
            interpolated between two users, as numpy does it.
        """
        table = np.full(self.shape, np.nan)
        table.reshape(-1)[self.place] = values
        table.sort(axis=1)  # NaN comes last
        users = (~np.isnan(table)).sum(axis=1)
        filled = np.flatnonzero(users)
        table, n = table[filled], users[filled]
        statistics = np.full((users.size, len(_STATISTICS)), np.nan)
        within = np.arange(self.shape[1]) < n[:, None]
        statistics[filled, 0] = _sums(table, within) / n
        for column, share in enumerate(QUANTILES.values(), start=1):
            place = share * (n - 1)
            below = np.floor(place).astype(np.int64)
            above = np.minimum(below + 1, n - 1)
            low, high = (table[np.arange(n.size), which] for which in (below, above))
            statistics[filled, column] = low + (place - below) * (high - low)
        tenth = -(-n // 10)  # rounded up
        top = within & (np.arange(self.shape[1]) >= (n - tenth)[:, None])
        statistics[filled, -1] = _sums(table, top) / tenth
        return statistics, users


def _sums(table: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The sum of the chosen values of each row, added one after the other."""
    return np.where(chosen, table, 0.0).cumsum(axis=1)[:, -1]


def _means(
    statistics: NDArray[np.float64], users: NDArray[np.int64], shape: tuple[int, ...]
) -> list[dict[str, Any]]:
    """A dict for each day: each statistic's mean over seeds and draws, `n_users` and `n_seeds`.

    Args:
        statistics, users: from `_Cells.statistics`.
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
