"""The table `life`: visits, clicks, satisfaction and more, of the people of a world by day.

`over_days` and `over_seeds` are its means. They are taken in numpy, in the order of the rows, since
group means of polars may differ in the last bits from run to run.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.study.tables.table import COMMON, Columns, Rows, columns_of
from recsys.world.life import LIFE

COLUMNS: Columns = columns_of(
    {**{name: COMMON[name].type for name in ("recommender", "mitigation", "arm", "seed")}, **LIFE},
    {
        "recommender": "recommender that served; in an open loop the house",
        "day": "day, 0 being the first of the influx; days before 0 are without newcomers",
        "active": "people who came",
        "there": "people who had arrived and had neither departed nor left before that day",
        "visits": "visits",
        "impressions": "impressions",
        "clicks": "clicks",
        "english_share": "share of impressions whose post is in English",
        "click_rate": "clicks per impression",
        "product_clicks_per_1000": "clicks on products per 1,000 impressions",
        "purchases_per_1000": "purchases per 1,000 impressions",
        "hides_per_1000": "hidden posts per 1,000 impressions",
        "comments": "comments",
        "comments_across": "comments on posts that are not in the user's first language",
        "replies_across": "those of them that the post's creator answered",
        "comments_on_newcomers": "comments on newcomers' posts",
        "clicks_on_newcomers": "clicks on newcomers' posts",
        "across_language_exchange": "of these, on posts of the topic language exchange",
        "across_homework_help": "of these, on posts of the topic homework help",
        "follows_across": "creators followed from posts not in the user's first language",
        "satisfaction": "mean satisfaction of those who are there and have visited",
        "left": "people who have left for discontent so far",
    },
)

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
    "replies_across",
    "comments_on_newcomers",
    "clicks_on_newcomers",
    "across_language_exchange",
    "across_homework_help",
    "follows_across",
)
_AVERAGED = ("active", "there", "satisfaction")


def life(rows: Rows) -> pl.DataFrame:
    """What people lived through. All recommenders of an open loop share one platform, which stands
    in the table once.

    Args:
        rows: of a study.
    """
    keys = ("recommender", "mitigation", "arm", "seed", "day", "cohort")
    return rows.life.unique(keys, keep="first", maintain_order=True)


def over_days(life: pl.DataFrame, start: int = 0) -> pl.DataFrame:
    """All days from `start` on in one row for each combination of the other keys.

    Args:
        life: columns of `recsys.world.life.LIFE`, and further keys such as recommender and arm.
        start: first day that counts; 0 is the first day of the influx.

    Returns:
        The keys without the day, and the columns of `LIFE`. Visits, impressions, clicks, comments
        and follows are sums. Rates are means weighted by impressions. `active`, `there` and
        `satisfaction` are means over days. `left` is the number of people who left in these days.
    """
    keys = [name for name in life.columns if name not in LIFE] + ["cohort"]
    groups, day = _Groups.of(life, keys), life["day"].to_numpy()
    chosen = day >= start
    impressions = np.where(chosen, life["impressions"].to_numpy(), 0)
    values = {name: groups.sum(_floats(life[name]), chosen) for name in _SUMMED}
    values |= {name: groups.mean(_floats(life[name]), impressions) for name in _PER_IMPRESSION}
    values |= {name: groups.mean(_floats(life[name]), chosen) for name in _AVERAGED}
    left = _floats(life["left"])  # counts people from the first day on
    values["left"] = groups.most(left, chosen) - np.nan_to_num(groups.most(left, ~chosen))
    return groups.frame(life, keys, values)


def over_seeds(life: pl.DataFrame) -> pl.DataFrame:
    """Means over seeds of the table `life`, or of what `over_days` makes of it; nulls are left out.

    Args:
        life: `seed`, further keys, and columns of `LIFE`.

    Returns:
        The same columns without the seed, a row for each combination of the other keys.
    """
    keys = [name for name in life.columns if name not in LIFE and name != "seed"]
    keys += [name for name in ("day", "cohort") if name in life.columns]
    groups = _Groups.of(life, keys)
    weight = np.ones(life.height, dtype=np.bool_)
    names = [name for name in LIFE if name in life.columns and name not in keys]
    values = {name: groups.mean(_floats(life[name]), weight) for name in names}
    return groups.frame(life, keys, values)


def _floats(column: pl.Series) -> NDArray[np.float64]:
    """Float64 values of a column; NaN where it is null."""
    return column.cast(pl.Float64).to_numpy()


class _Groups(NamedTuple):
    """Groups of rows with equal keys, in the order of their first rows.

    Attributes:
        first: int64 (groups,), first row of each group.
        place: int64 (rows,), group of each row.
    """

    first: NDArray[np.int64]
    place: NDArray[np.int64]

    @classmethod
    def of(cls, frame: pl.DataFrame, keys: Sequence[str]) -> Self:
        rows = frame.with_row_index("row").select(pl.col("row").min().over(keys))
        first, place = np.unique(rows.to_series().to_numpy(), return_inverse=True)
        return cls(first.astype(np.int64), place)

    def sum(self, values: NDArray[np.float64], weight: NDArray[Any]) -> NDArray[np.float64]:
        """(groups,) weighted sums of the values that are not NaN; NaN where all weights are 0."""
        total, weights = self._totals(values, weight)
        return np.where(weights > 0, total, np.nan)

    def mean(self, values: NDArray[np.float64], weight: NDArray[Any]) -> NDArray[np.float64]:
        """(groups,) weighted means of the values that are not NaN; NaN where all weights are 0."""
        total, weights = self._totals(values, weight)
        return np.where(weights > 0, total / np.where(weights > 0, weights, 1), np.nan)

    def most(self, values: NDArray[np.float64], which: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(groups,) largest of the chosen values; NaN where none is chosen."""
        largest = np.full(self.first.size, -np.inf)
        np.maximum.at(largest, self.place[which], values[which])
        return np.where(np.isneginf(largest), np.nan, largest)

    def frame(
        self, rows: pl.DataFrame, keys: Sequence[str], values: dict[str, NDArray[np.float64]]
    ) -> pl.DataFrame:
        """A row for each group: its keys and its values, null for NaN."""
        columns = [
            pl.Series(name, values[name], nan_to_null=True) for name in LIFE if name in values
        ]
        return rows.select(keys)[self.first].with_columns(columns)

    def _totals(
        self, values: NDArray[np.float64], weight: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(groups,) weighted sums of the values that are not NaN, and (groups,) their weights."""
        weight = np.where(np.isnan(values), 0.0, weight)
        total, weights = np.zeros((2, self.first.size))
        np.add.at(total, self.place, np.nan_to_num(values) * weight)
        np.add.at(weights, self.place, weight)
        return total, weights
