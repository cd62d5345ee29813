"""The table `summary`: the mean of each measure in each arm, with its interval."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.statistics import nested_interval, share_interval, two_way_interval
from recsys.study.tables.cubes import cubes_of, frame_of, groups_by
from recsys.study.tables.table import Columns, common

COLUMNS: Columns = common(
    "recommender",
    "mitigation",
    "arm",
    "day",
    "cohort",
    "measure",
    "mean",
    "ci_low",
    "ci_high",
    "n_users",
    "n_seeds",
)

_SHARES = ("noticeable4", "influx_heavy")
"""Measures that are 0 or 1 for a user, so that their mean is a share of users."""
_FEW = 5
"""If fewer users than this have a 1, or a 0, the interval of a mean is too narrow for a share."""
_NO_NEWCOMERS = ("control", "retrain")
"""Arms that nobody joins. There the shares must be 0; they are not 0 by chance."""


def summarise(per_user: pl.DataFrame) -> pl.DataFrame:
    """Mean of each measure in each arm, with its interval over users and seeds.

    Incumbents are the same people in every seed. Newcomers are different people in each seed. For
    newcomers, the mean of each seed is taken first, over those who have a value. A share of users
    (`noticeable4`, `influx_heavy`) has the interval of `share_interval` if fewer than 5 users have
    a 1 or fewer than 5 have a 0, unless the share is 0 because the arm has no newcomers.

    Args:
        per_user: as in `StudyResult.per_user`.

    Returns:
        The columns of `COLUMNS`. `n_users` counts the newcomers of all seeds. `day` is null in the
        mean over days.
    """
    rows = []
    for keys, group in groups_by(per_user, ("recommender", "mitigation", "arm", "cohort")):
        estimate = nested_interval if keys["cohort"] == "newcomer" else two_way_interval
        for measure, cube in cubes_of(group).items():
            of_days = estimate(cube.values)
            for place, (day, y) in enumerate(zip(cube.days, cube.values, strict=True)):
                interval = of_days.at(place)
                if not interval.n_users:
                    continue  # nobody has a value, such as of turnover on the first day
                if measure in _SHARES and keys["arm"] not in _NO_NEWCOMERS and _few(y, keys):
                    interval = share_interval(interval)
                rows.append(
                    {
                        **keys,
                        "day": day,
                        "measure": measure,
                        "mean": interval.mean,
                        "ci_low": interval.low,
                        "ci_high": interval.high,
                        "n_users": interval.n_users,
                        "n_seeds": interval.n_seeds,
                    }
                )
    return frame_of(rows, COLUMNS)


def _few(y: NDArray[np.float64], keys: Mapping[str, str]) -> bool:
    """Whether fewer than `_FEW` users have a value above 0, or fewer a value below 1.

    Args:
        y: float64 (users, seeds). If the users are newcomers, a row holds another person in each
            seed.
        keys: values of the key columns, among them `cohort`.
    """
    people = y.reshape(-1, 1) if keys["cohort"] == "newcomer" else y
    people = people[~np.isnan(people).any(axis=1)]
    return min(int((people > 0).any(axis=1).sum()), int((people < 1).any(axis=1).sum())) < _FEW
