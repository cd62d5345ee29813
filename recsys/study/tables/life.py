"""Means of what platforms' people live through, over days and over seeds.

Sums are taken in numpy, in the order of rows: polars' group means are not the same twice.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.world.life import LIFE

_PER_IMPRESSION = (
    "english_share",
    "click_rate",
    "product_clicks_per_1000",
    "purchases_per_1000",
    "hides_per_1000",
)
_SUMMED = (
    "visits",
    "impressions",
    "clicks",
    "comments",
    "comments_across",
    "across_language_exchange",
    "across_homework_help",
    "follows_across",
)
_AVERAGED = ("active", "there", "satisfaction")


def over_days(life: pl.DataFrame, start: int = 0) -> pl.DataFrame:
    """The days from `start` on in one row for each combination of the other keys.

    Args:
        life: the columns of `recsys.world.life.LIFE`, and whatever else keys its rows.
        start: first day; 0 is the first day of the influx.

    Returns:
        The keys without the day, and the columns of `LIFE`: visits, impressions, clicks, comments
        and follows are sums; rates are weighted by impressions; active, there and satisfaction are
        means over days; left counts who left in these days.
    """
    keys = [name for name in life.columns if name not in LIFE] + ["cohort"]
    groups, day = _Groups.of(life, keys), life["day"].to_numpy()
    chosen = day >= start
    shown = np.where(chosen, life["impressions"].to_numpy(), 0)
    found = {name: groups.sum(_floats(life[name]), chosen) for name in _SUMMED}
    found |= {name: groups.mean(_floats(life[name]), shown) for name in _PER_IMPRESSION}
    found |= {name: groups.mean(_floats(life[name]), chosen) for name in _AVERAGED}
    left = _floats(life["left"])
    found["left"] = groups.most(left, chosen) - np.nan_to_num(groups.most(left, ~chosen))
    return groups.frame(life, keys, found)


def over_seeds(life: pl.DataFrame) -> pl.DataFrame:
    """Means over seeds of a life, or of what `over_days` makes of it; a null counts for nothing.

    Args:
        life: `seed`, other keys, and columns of `LIFE`.

    Returns:
        The same columns without the seed, a row for each combination of the keys.
    """
    keys = [name for name in life.columns if name not in LIFE and name != "seed"]
    keys += [name for name in ("day", "cohort") if name in life.columns]
    groups = _Groups.of(life, keys)
    every = np.ones(life.height, dtype=np.bool_)
    values = [name for name in LIFE if name in life.columns and name not in keys]
    found = {name: groups.mean(_floats(life[name]), every) for name in values}
    return groups.frame(life, keys, found)


def _floats(column: pl.Series) -> NDArray[np.float64]:
    """NaN where null."""
    return column.cast(pl.Float64).to_numpy()


class _Groups(NamedTuple):
    """Rows that share their keys, in the order in which these first appear."""

    first: NDArray[np.int64]
    """(groups,) its first row."""
    place: NDArray[np.int64]
    """(rows,) the group of each."""

    @classmethod
    def of(cls, frame: pl.DataFrame, keys: Sequence[str]) -> Self:
        rows = frame.with_row_index("row").select(pl.col("row").min().over(keys))
        first, place = np.unique(rows.to_series().to_numpy(), return_inverse=True)
        return cls(first.astype(np.int64), place)

    def sum(self, values: NDArray[np.float64], weight: NDArray[Any]) -> NDArray[np.float64]:
        """Weighted sums of the known values, NaN where none has a weight."""
        total, known = self._totals(values, weight)
        return np.where(known > 0, total, np.nan)

    def mean(self, values: NDArray[np.float64], weight: NDArray[Any]) -> NDArray[np.float64]:
        """Weighted means of the known values, NaN where none has a weight."""
        total, known = self._totals(values, weight)
        return np.where(known > 0, total / np.where(known > 0, known, 1), np.nan)

    def most(self, values: NDArray[np.float64], which: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The largest of some values, NaN where there is none of them."""
        largest = np.full(self.first.size, -np.inf)
        np.maximum.at(largest, self.place[which], values[which])
        return np.where(np.isneginf(largest), np.nan, largest)

    def frame(
        self, rows: pl.DataFrame, keys: Sequence[str], found: dict[str, NDArray[np.float64]]
    ) -> pl.DataFrame:
        """The keys of each group, and what was found in it; null for NaN."""
        columns = [pl.Series(name, found[name], nan_to_null=True) for name in LIFE if name in found]
        return rows.select(keys)[self.first].with_columns(columns)

    def _totals(
        self, values: NDArray[np.float64], weight: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weighted sums of the known values, and their weights."""
        known = np.where(np.isnan(values), 0.0, weight)
        total, weights = np.zeros((2, self.first.size))
        np.add.at(total, self.place, np.nan_to_num(values) * known)
        np.add.at(weights, self.place, known)
        return total, weights
