"""How a measure is spread over users: its quantiles, and the tenth of them whom it strikes most."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.rows import KEYS
from recsys.study.tables.table import Column, Columns, common, schema_of

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99}
"""Column: share of the users whose values are not above it."""
_STATISTICS = ("mean", *QUANTILES, "top_tenth")
_HEADLINE = -(2**31)
"""Stands for the null day of headlines where days are sorted: they come first."""
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

    A mean hides whom it strikes: newcomers' posts may be a hundredth of all that is shown, and a
    quarter of what one bilingual user gets.

    Args:
        per_user: as in `StudyResult.per_user`. A log's placebo groups count as seeds do: quantiles
            are taken within each.

    Returns:
        The columns of `COLUMNS`; no row where nobody has a value.
    """
    keys, rows = ("recommender", "mitigation", "arm", "cohort"), []
    for values, group in per_user.group_by(*keys, maintain_order=True):
        axes = [
            np.unique(column.to_numpy(), return_inverse=True)
            for column in (group["day"].fill_null(_HEADLINE), group["seed"], group["draw"])
        ]
        shape = tuple(known.size for known, _ in axes)
        cell = np.ravel_multi_index(tuple(place for _, place in axes), shape)
        for measure in (name for name in group.columns if name not in KEYS):
            of_cells = _of_cells(group[measure].to_numpy(), cell, int(np.prod(shape)))
            for day, found in zip(axes[0][0], _means(*of_cells, shape), strict=True):
                if found["n_users"]:
                    known_day = None if day == _HEADLINE else int(day)
                    named = dict(zip(keys, values, strict=True))
                    rows.append({**named, "day": known_day, "measure": measure, **found})
    return pl.DataFrame(rows, schema=schema_of(COLUMNS))


def _of_cells(
    values: NDArray[np.float64], cell: NDArray[np.int64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Statistics (n, statistics) of the users of each cell, NaN where it has none, and (n,) users.

    Quantiles lie between two users as numpy's do.
    """
    known = ~np.isnan(values)
    values, cell = values[known], cell[known]
    order = np.lexsort((values, cell))
    values, cell = values[order], cell[order]
    users = np.bincount(cell, minlength=n)
    start = np.cumsum(users) - users
    some = users > 0
    found = np.full((n, len(_STATISTICS)), np.nan)
    found[some, 0] = np.bincount(cell, values, minlength=n)[some] / users[some]
    for column, share in enumerate(QUANTILES.values(), start=1):
        place = share * (users[some] - 1)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, users[some] - 1)
        low, high = values[start[some] + below], values[start[some] + above]
        found[some, column] = low + (place - below) * (high - low)
    tenth = -(-users // 10)
    among = np.arange(values.size) >= (start + users - tenth)[cell]
    top = np.bincount(cell[among], values[among], minlength=n)
    found[some, -1] = top[some] / tenth[some]
    return found, users


def _means(
    found: NDArray[np.float64], users: NDArray[np.int64], shape: tuple[int, ...]
) -> list[dict[str, Any]]:
    """A dict a day: each statistic's mean over seeds and draws, and how many these rest on.

    Args:
        found, users: from `_of_cells`.
        shape: days, seeds and draws.
    """
    known = (users > 0).reshape(shape)
    cells = known.sum(axis=(1, 2))
    total = np.nan_to_num(found).reshape(shape[0], -1, len(_STATISTICS)).sum(axis=1)
    means = total / np.maximum(cells, 1)[:, None]
    fewest = np.where(known, users.reshape(shape), users.max(initial=0)).min(axis=(1, 2))
    n_users, n_seeds = np.where(cells > 0, fewest, 0), known.any(axis=2).sum(axis=1)
    return [
        {
            **dict(zip(_STATISTICS, means[day].tolist(), strict=True)),
            "n_users": int(n_users[day]),
            "n_seeds": int(n_seeds[day]),
        }
        for day in range(shape[0])
    ]
