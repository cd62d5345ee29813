"""The table `groups`: drift of groups of users, to see which users a change concerns most.

Users are grouped by an attribute, such as activity or language. Each text value is a group; numbers
and dates are cut into thirds of the users.
"""

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

from recsys.core.errors import ConfigError, LogError, nearest
from recsys.logs.columns import texts
from recsys.measures.rows import is_level
from recsys.study.tables import drift
from recsys.study.tables.cubes import measure_columns
from recsys.study.tables.table import Column, Columns, common, schema_of

_KEYS = ("recommender", "mitigation", "day", "measure", "p_adjusted")
"""Columns of `drift` that have another place in this table, or are not in it."""

COLUMNS: Columns = {
    **common("recommender", "mitigation"),
    "attribute": Column(pl.String, "attribute that users are grouped by, such as `activity`"),
    "group": Column(pl.String, "name of the group, such as `low: up to 2`"),
    **common("measure"),
    "level": Column(
        pl.Float64, "mean in the arm `control` or `full`, where the measure is a level"
    ),
    **{name: column for name, column in drift.COLUMNS.items() if name not in _KEYS},
}
"""Columns of the table; p-values are not adjusted for the number of groups."""

UNKNOWN = "unknown"
"""The group of users whose value of the attribute is not known."""
_MOST_GROUPS = 50
_THIRDS = ("low", "middle", "high")


def groups_of(
    per_user: pl.DataFrame,
    users: pl.DataFrame,
    names: tuple[str, ...],
    drift_of: Callable[[pl.DataFrame], pl.DataFrame],
) -> pl.DataFrame:
    """The headline drift of each group of the measured incumbents.

    Args:
        per_user: as in `StudyResult.per_user`.
        users: user_id and attributes, from `users_of_world` or `users_of_log`.
        names: attributes to group by, such as ("activity",). Thirds are those of the users that
            were measured.
        drift_of: makes the table `drift` from per-user rows.

    Returns:
        The columns of `COLUMNS`; no row without attributes to group by.
    """
    headline = per_user.filter(pl.col("day").is_null(), pl.col("cohort") == "incumbent")
    panel = users.join(headline.select("user_id").unique(), on="user_id", how="semi")
    cut = groups_of_users(panel, names, "evaluation.groups")
    frames = [pl.DataFrame(schema=schema_of(COLUMNS))]
    for attribute in names:
        for group in in_order(cut[attribute]):
            ids = cut.filter(pl.col(attribute) == group).select("user_id")
            rows = headline.join(ids, on="user_id", how="semi", maintain_order="left")
            drift_of_group = drift_of(rows).with_columns(
                pl.lit(attribute).alias("attribute"), pl.lit(group).alias("group")
            )
            levels = _levels(rows)
            joined = drift_of_group.join(
                levels,
                on=["recommender", "mitigation", "measure"],
                how="left",
                maintain_order="left",
            )
            frames.append(joined.select(frames[0].columns))
    return pl.concat(frames)


def _levels(rows: pl.DataFrame) -> pl.DataFrame:
    """Mean of each level in the reference arm, by recommender and mitigation."""
    measures = [name for name in measure_columns(rows) if is_level(name)]
    reference = rows.filter(pl.col("arm").is_in(["control", "full"]))
    return (
        reference.group_by("recommender", "mitigation", maintain_order=True)
        .agg(pl.col(measures).mean())
        .unpivot(
            measures,
            index=["recommender", "mitigation"],
            variable_name="measure",
            value_name="level",
        )
    )


def groups_of_users(users: pl.DataFrame, attributes: Iterable[str], where: str) -> pl.DataFrame:
    """The group of each user by each attribute.

    Args:
        users: a row for each user: user_id, and a column for each attribute.
        attributes: names of columns of `users`, such as ("activity",).
        where: where the attributes were named, for messages: a key of a config, such as
            "evaluation.groups", or an argument.

    Returns:
        user_id, and a text column for each attribute with the name of the user's group.

    Raises:
        ConfigError: users do not have an attribute, or it has more than fifty text values.

    >>> users = pl.DataFrame({"user_id": [1, 2], "visits": [3, 7], "city": ["x", None]})
    >>> groups_of_users(users, ["visits", "city"], "groups").rows()
    [(1, '3', 'x'), (2, '7', 'unknown')]
    """
    columns = {}
    for name in attributes:
        if name not in users.columns or name == "user_id":
            offered = [column for column in users.columns if column not in ("user_id", "key")]
            raise ConfigError(f"{where}: users have no {name!r}; {nearest(name, offered)}")
        try:
            columns[name] = cut(users[name])
        except (ValueError, LogError) as error:
            raise ConfigError(f"{where}: {name}: {error}") from error
    return users.select("user_id", **columns)


def cut(values: pl.Series) -> pl.Series:
    """The name of the group of each value.

    Numbers, dates and times with more than three different values are cut into thirds of the users;
    users with equal values are in the same group. Any other value is a group by itself.

    Args:
        values: a value for each user; null or NaN where it is not known.

    Returns:
        Text for each user, without null.

    Raises:
        ValueError: there are more than fifty different texts, as of an id.
        LogError: the values are lists.

    >>> cut(pl.Series([1, 2, 3, 4, 5, 6, None])).to_list()[::2]
    ['low: up to 2', 'middle: above 2 to 4', 'high: above 4', 'unknown']
    >>> cut(pl.Series([True, False])).to_list()
    ['true', 'false']
    """
    kind = values.dtype
    if kind.is_float():
        values = values.fill_nan(None)
    is_ordered = kind.is_numeric() or kind.is_temporal()
    names = values if is_ordered else texts(values, "users", "a group")
    n_values = names.drop_nulls().n_unique()
    if is_ordered and n_values > len(_THIRDS):
        return _thirds(values)
    if n_values > _MOST_GROUPS:
        raise ValueError(
            f"{n_values:,} different values; at most {_MOST_GROUPS} make groups, "
            "so put them together under fewer names"
        )
    return texts(names, "users", "a group").fill_null(UNKNOWN)


def in_order(names: Iterable[str]) -> list[str]:
    """Names of groups, each once: low, middle, high, then others by the alphabet, then unknown.

    Args:
        names: names of groups in any order.

    >>> in_order(["unknown", "high: above 4", "zh", "low: up to 2", "zh"])
    ['low: up to 2', 'high: above 4', 'zh', 'unknown']
    """
    thirds = {f"{name}:": place for place, name in enumerate(_THIRDS)}

    def place(name: str) -> tuple[bool, int, str]:
        return name == UNKNOWN, thirds.get(name.split(" ")[0], len(thirds)), name

    return sorted(set(names), key=place)


def _thirds(values: pl.Series) -> pl.Series:
    """Low, middle or high for each value; the names say the edges, which are values that occur."""
    ordered = values.drop_nulls().sort()
    edges = [ordered[int(np.ceil(len(ordered) * part / 3)) - 1] for part in (1, 2)]
    texts = [f"{edge:.4g}" if isinstance(edge, float) else str(edge) for edge in edges]
    low, middle, high = (
        f"{_THIRDS[0]}: up to {texts[0]}",
        f"{_THIRDS[1]}: above {texts[0]} to {texts[1]}",
        f"{_THIRDS[2]}: above {texts[1]}",
    )
    value = pl.col("value")
    group = (
        pl.when(value.is_null())
        .then(pl.lit(UNKNOWN))
        .when(value <= edges[0])
        .then(pl.lit(low))
        .when(value <= edges[1])
        .then(pl.lit(middle))
        .otherwise(pl.lit(high))
    )
    return pl.DataFrame({"value": values}).select(group.alias(values.name)).to_series()
