"""Each user's values in each seed, by quantity: what differences between two recommenders, or two
studies, are paired over.

The same users with the same luck are measured under every recommender, so a difference of two
recommenders is far more certain than either figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Study
from recsys.measures.rows import KEYS
from recsys.statistics import Interval, net_values, two_way_interval, users_interval
from recsys.study.tables.cubes import incumbents_in
from recsys.study.tables.headline import FLOOR, Arms

NET = "net"
"""Name of the quantity that is net of the floor."""


@dataclass(frozen=True)
class UserValues:
    """The values of one recommender's users.

    Attributes:
        users: ids of the users (n,), ascending.
        seeds: numbers of the seeds (s,), ascending.
        values: float64 (n, s), NaN where a user has no value.
    """

    users: NDArray[np.int64]
    seeds: NDArray[np.int64]
    values: NDArray[np.float64]


def rows_of_variant(
    per_user: pl.DataFrame, variant: tuple[str, str], measures: Sequence[str]
) -> pl.DataFrame:
    """The incumbents' rows over all days of one recommender, with some measures.

    Args:
        per_user: the table of a study.
        variant: recommender and mitigation, such as ("als", "none").
        measures: columns to keep beside the keys; those that are not there are left out.
    """
    recommender, mitigation = variant
    kept = [name for name in per_user.columns if name in KEYS or name in measures]
    return incumbents_in(
        per_user.select(kept).filter(
            pl.col("day").is_null(), recommender=recommender, mitigation=mitigation
        )
    )


def net_by_user(
    per_user: pl.DataFrame, study: Study, variant: tuple[str, str]
) -> UserValues | None:
    """Values whose mean is the net change of a recommender, over all days.

    Args:
        per_user: the table of the study.
        study: a study of a world.
        variant: recommender and mitigation, such as ("als", "none").

    Returns:
        The values; None if the study has no floor, or there are no rows.
    """
    rows = rows_of_variant(per_user, variant, ("slots_changed",))
    if rows.is_empty() or "slots_changed" not in rows.columns:
        return None
    arms = Arms.of(rows, study)
    changed = arms.at(0, "influx", "slots_changed")
    floor = arms.at(0, FLOOR, "slots_changed")
    floor = arms.at(0, "retrain", "slots_changed") if floor is None else floor
    if changed is None or floor is None:
        return None
    seeds = np.unique(rows["seed"].to_numpy())
    return UserValues(arms.users, seeds, net_values(changed, floor))


def difference(a: UserValues, b: UserValues, *, over_seeds: bool = True) -> Interval:
    """b - a, with its interval.

    Args:
        a, b: values of one quantity, of the same users and seeds.
        over_seeds: whether the interval is over users and seeds; a log has one history, and an
            interval over users alone.

    >>> first = UserValues(np.array([1, 2]), np.array([0, 1]), np.array([[.1, .2], [.1, .3]]))
    >>> second = UserValues(first.users, first.seeds, first.values + [[.2, .2], [.2, .3]])
    >>> round(float(difference(first, second).mean), 3)
    0.225
    """
    values = b.values - a.values
    return two_way_interval(values) if over_seeds else users_interval(values[:, 0])
