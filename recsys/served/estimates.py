"""Tables of a comparison from per-user values: means with intervals, drift, floor and excess."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.pair import Measure
from recsys.served.read import Numbers
from recsys.served.values import EXCESS, FEEDS, Rows, Values
from recsys.statistics import users_interval
from recsys.study.tables.drift import SATURATED
from recsys.study.tables.quantiles import quantiles

EVERYBODY = "all"
_EDGES = ("", "_ci_low", "_ci_high")
_ESTIMATES = ("drift", "floor", "excess")
Masks = Mapping[str, NDArray[np.bool_]]
"""Members of each cohort or group: bool (n_users,) by name."""


def per_user_of(
    values: Values, numbers: Numbers, cohorts: pl.Series, measures: Mapping[str, Measure]
) -> pl.DataFrame:
    """The table `FeedComparison.per_user`.

    Args:
        values: per-user values from `measured`.
        numbers: ids of users and days.
        cohorts: (n_users,), cohort of each user as text.
        measures: the measures, which become columns.
    """
    frames = []
    for name in FEEDS:
        for day in _days_of(values, name):
            rows = values[name, day]
            frames.append(
                pl.DataFrame({"user_id": numbers.users.gather(rows.users)}).select(
                    pl.lit(name).alias("feeds"),
                    pl.lit(_label(numbers, day), numbers.days.dtype).alias("day"),
                    cohorts.gather(rows.users).alias("cohort"),
                    "user_id",
                    *(_column(rows, measure) for measure in measures),
                )
            )
    return pl.concat(frames)


def summary_of(values: Values, numbers: Numbers, cohorts: Masks) -> pl.DataFrame:
    """The table `FeedComparison.summary`.

    Args:
        values: per-user values from `measured`.
        numbers: the days.
        cohorts: members of the cohorts over which means are taken.
    """
    rows = []
    for name in FEEDS:
        for day in _days_of(values, name):
            per_user = values[name, day]
            for cohort, member in cohorts.items():
                in_cohort = member[per_user.users]
                for measure, of_users in per_user.values.items():
                    interval = users_interval(of_users[in_cohort])
                    if interval.n_users:
                        at = {"feeds": name, "day": _label(numbers, day), "cohort": cohort}
                        rows.append({**at, "measure": measure, **_mean(interval)})
    return _frame(
        rows, numbers, ("feeds", "day", "cohort", "measure"), ("mean", "ci_low", "ci_high")
    )


def drift_of(
    values: Values, numbers: Numbers, cohorts: Masks, measures: Mapping[str, Measure]
) -> pl.DataFrame:
    """The table `FeedComparison.drift`.

    Args:
        values: per-user values from `measured`.
        numbers: the days.
        cohorts: members of the cohorts over which means are taken.
        measures: the measures.
    """
    rows = []
    for day in _days_of(values, "b"):
        for cohort, member in cohorts.items():
            for measure in measures.values():
                row = _drift_row(values, day, member, measure)
                if row["n_users"]:
                    rows.append({"day": _label(numbers, day), "cohort": cohort, **row})
    return _frame(rows, numbers, ("day", "cohort", "measure"), _figures(), saturated=True)


def groups_of(
    values: Values,
    numbers: Numbers,
    groups: Mapping[str, Masks],
    measures: Mapping[str, Measure],
) -> pl.DataFrame:
    """The table `FeedComparison.groups`.

    Args:
        values: per-user values from `measured`.
        numbers: the days.
        groups: members of the groups, by attribute and name of the group.
        measures: the measures.
    """
    rows = []
    for attribute, masks in groups.items():
        for group, member in masks.items():
            for measure in measures.values():
                row = _drift_row(values, None, member, measure)
                if row["n_users"]:
                    rows.append({"attribute": attribute, "group": group, **row})
    return _frame(rows, numbers, ("attribute", "group", "measure"), _figures(), saturated=True)


def quantiles_of(per_user: pl.DataFrame, several: bool) -> pl.DataFrame:
    """The table `FeedComparison.quantiles`.

    Args:
        per_user: the table from `per_user_of`.
        several: whether there are several cohorts, so that all users together get rows too.
    """
    days = per_user["day"].unique().drop_nulls().sort()
    place = pl.col("day").replace_strict(days, range(len(days)), return_dtype=pl.Int32)
    keyed = per_user.rename({"feeds": "arm"}).with_columns(
        place,
        recommender=pl.lit(""),
        mitigation=pl.lit(""),
        seed=pl.lit(0, pl.Int64),
        draw=pl.lit(0, pl.Int32),
    )
    frames = [quantiles(keyed)]
    if several:
        frames.append(quantiles(keyed.with_columns(cohort=pl.lit(EVERYBODY))))
    back = pl.col("day").replace_strict(range(len(days)), days, return_dtype=days.dtype)
    table = pl.concat(frames).rename({"arm": "feeds"}).with_columns(back)
    return table.drop("recommender", "mitigation", "n_seeds")


def _days_of(values: Values, name: str) -> Iterator[int | None]:
    """The days with values of some feeds: None, for all days, first, then the days in order."""
    days = [day for feeds, day in values if feeds == name]
    yield from sorted(days, key=lambda day: -1 if day is None else day)


def _label(numbers: Numbers, day: int | None) -> Any:
    return None if day is None else numbers.days[day]


def _column(rows: Rows, measure: str) -> pl.Series | pl.Expr:
    if measure in rows.values:
        return pl.Series(measure, rows.values[measure], nan_to_null=True)
    return pl.lit(None, pl.Float64).alias(measure)


def _drift_row(
    values: Values, day: int | None, member: NDArray[np.bool_], measure: Measure
) -> dict[str, Any]:
    """Estimates of a measure over the members with a drift and, if there is a floor, an excess."""
    drift, floor = (
        _of_all_users(values.get((name, day)), measure.name, member.size) for name in ("b", "floor")
    )
    level = np.full(member.size, np.nan)
    after = drift
    if measure.kind == "level":
        level = _of_all_users(values["a", day], measure.name, member.size)
        drift = after - level
    has_floor = bool((~np.isnan(floor) & member).any())
    excess = drift - floor
    if (EXCESS, day) in values:  # over the days with a floor, while drift is over all days
        excess = _of_all_users(values[EXCESS, day], measure.name, member.size)
    counted = member & ~np.isnan(drift) & (~np.isnan(excess) if has_floor else True)
    row: dict[str, Any] = {"measure": measure.name, "a": None, "b": None}
    if measure.kind == "level" and counted.any():
        row |= {"a": float(level[counted].mean()), "b": float(after[counted].mean())}
    for name, of_users in zip(_ESTIMATES, (drift, floor, excess), strict=True):
        interval = users_interval(of_users[counted])
        ends = (interval.mean, interval.low, interval.high)
        row |= {f"{name}{edge}": float(end) for edge, end in zip(_EDGES, ends, strict=True)}
    saturated = measure.kind == "drift" and has_floor and row["floor"] >= SATURATED
    return {**row, "saturated": bool(saturated), "n_users": int(counted.sum())}


def _of_all_users(rows: Rows | None, measure: str, n_users: int) -> NDArray[np.float64]:
    """Float64 (n_users,): a value per user, NaN for users without one."""
    of_users = np.full(n_users, np.nan)
    if rows is not None:
        of_users[rows.users] = rows.values[measure]
    return of_users


def _mean(interval: Any) -> dict[str, Any]:
    ends = {"mean": interval.mean, "ci_low": interval.low, "ci_high": interval.high}
    figures = {name: float(end) for name, end in ends.items()}
    return {**figures, "n_users": int(interval.n_users)}


def _figures() -> tuple[str, ...]:
    return ("a", "b", *(f"{name}{edge}" for name in _ESTIMATES for edge in _EDGES))


def _frame(
    rows: list[dict[str, Any]],
    numbers: Numbers,
    keys: tuple[str, ...],
    figures: tuple[str, ...],
    *,
    saturated: bool = False,
) -> pl.DataFrame:
    schema: dict[str, Any] = dict.fromkeys(keys, pl.String)
    if "day" in schema:
        schema["day"] = numbers.days.dtype
    schema |= dict.fromkeys(figures, pl.Float64)
    schema |= {"saturated": pl.Boolean} if saturated else {}
    schema["n_users"] = pl.Int64
    return pl.DataFrame(rows, schema=schema).with_columns(pl.col(*figures).fill_nan(None))
