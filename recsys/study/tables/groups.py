"""Users cut into named groups, to see whom a change strikes: by what they are or what they did.

Words are groups as they stand; numbers and dates are cut into thirds of the users.
"""

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

from recsys.core.errors import ConfigError, nearest
from recsys.measures.rows import KEYS, is_level
from recsys.study.tables import drift
from recsys.study.tables.table import Column, Columns, common, schema_of

_KEYS = ("recommender", "mitigation", "day", "measure", "p_adjusted")
"""Columns of `drift` that stand elsewhere here, or not at all."""


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
"""The headline drift of a group; its p-values are not adjusted for the number of groups."""


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
        names: attributes to group by; cut among the users that were measured.
        drift_of: from per-user rows to the table `drift`.

    Returns:
        The columns of `COLUMNS`; no row without names.
    """
    headline = per_user.filter(pl.col("day").is_null(), pl.col("cohort") == "incumbent")
    panel = users.join(headline.select("user_id").unique(), on="user_id", how="semi")
    cut = groups_of_users(panel, names, "evaluation.groups")
    frames = [pl.DataFrame(schema=schema_of(COLUMNS))]
    for attribute in names:
        for group in in_order(cut[attribute]):
            ids = cut.filter(pl.col(attribute) == group).select("user_id")
            rows = headline.join(ids, on="user_id", how="semi", maintain_order="left")
            keyed = drift_of(rows).with_columns(
                pl.lit(attribute).alias("attribute"), pl.lit(group).alias("group")
            )
            levels = _levels(rows)
            joined = keyed.join(
                levels,
                on=["recommender", "mitigation", "measure"],
                how="left",
                maintain_order="left",
            )
            frames.append(joined.select(frames[0].columns))
    return pl.concat(frames)


def _levels(rows: pl.DataFrame) -> pl.DataFrame:
    """Mean of each level in the reference arm, by recommender."""
    measures = [name for name in rows.columns if name not in KEYS and is_level(name)]
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


UNKNOWN = "unknown"
"""The group of users of whom the attribute is not known."""


_MOST_GROUPS = 50


_NAMES = ("low", "middle", "high")


def groups_of_users(users: pl.DataFrame, attributes: Iterable[str], where: str) -> pl.DataFrame:
    """The group of each user by each attribute.

    Args:
        users: user_id and a column for each attribute, a row each.
        attributes: columns of `users`.
        where: what named them, for messages: a key of a config or an argument.

    Returns:
        user_id and, under each attribute's name, its group as text.

    Raises:
        ConfigError: an attribute that users lack, or one that is different for nearly everybody.

    >>> users = pl.DataFrame({"user_id": [1, 2], "visits": [3, 7], "city": ["x", None]})
    >>> groups_of_users(users, ["visits", "city"], "groups").rows()
    [(1, '3', 'x'), (2, '7', 'unknown')]
    """
    columns = {}
    for name in attributes:
        if name not in users.columns or name == "user_id":
            known = [column for column in users.columns if column not in ("user_id", "key")]
            raise ConfigError(f"{where}: users have no {name!r}; {nearest(name, known)}")
        try:
            columns[name] = cut(users[name])
        except ValueError as error:
            raise ConfigError(f"{where}: {name}: {error}") from error
    return users.select("user_id", **columns)


def cut(values: pl.Series) -> pl.Series:
    """The group of each value, as text.

    Numbers, dates and times with more than three values are cut where a third and two thirds of the
    users lie, so that equal values share a group; all else is a group by its own name.

    Args:
        values: one a user; null or NaN where not known.

    Returns:
        Text, without null.

    Raises:
        ValueError: more than fifty different words: that is an id, not a group.

    >>> cut(pl.Series([1, 2, 3, 4, 5, 6, None])).to_list()[::2]
    ['low: up to 2', 'middle: above 2 to 4', 'high: above 4', 'unknown']
    >>> cut(pl.Series([True, False])).to_list()
    ['true', 'false']
    """
    kind = values.dtype
    if kind.is_float():
        values = values.fill_nan(None)
    known = values.drop_nulls()
    if (kind.is_numeric() or kind.is_temporal()) and known.n_unique() > len(_NAMES):
        return _thirds(values, known)
    if known.n_unique() > _MOST_GROUPS:
        raise ValueError(
            f"{known.n_unique():,} different values; at most {_MOST_GROUPS} make groups, "
            "so put them together under fewer names"
        )
    return values.cast(pl.String).fill_null(UNKNOWN)


def in_order(names: Iterable[str]) -> list[str]:
    """Names of groups, each once: low, middle, high, then by the alphabet, then who is not known.

    >>> in_order(["unknown", "high: above 4", "zh", "low: up to 2", "zh"])
    ['low: up to 2', 'high: above 4', 'zh', 'unknown']
    """
    thirds = {f"{name}:": place for place, name in enumerate(_NAMES)}

    def place(name: str) -> tuple[bool, int, str]:
        return name == UNKNOWN, thirds.get(name.split(" ")[0], len(thirds)), name

    return sorted(set(names), key=place)


def _thirds(values: pl.Series, known: pl.Series) -> pl.Series:
    """Low, middle and high, named by their edges, which are values that occur."""
    ordered = known.sort()
    edges = [ordered[int(np.ceil(len(ordered) * part / 3)) - 1] for part in (1, 2)]
    texts = [f"{edge:.4g}" if isinstance(edge, float) else str(edge) for edge in edges]
    low, middle, high = (
        f"{_NAMES[0]}: up to {texts[0]}",
        f"{_NAMES[1]}: above {texts[0]} to {texts[1]}",
        f"{_NAMES[2]}: above {texts[1]}",
    )
    place = pl.col("value")
    named = (
        pl.when(place.is_null())
        .then(pl.lit(UNKNOWN))
        .when(place <= edges[0])
        .then(pl.lit(low))
        .when(place <= edges[1])
        .then(pl.lit(middle))
        .otherwise(pl.lit(high))
    )
    return pl.DataFrame({"value": values}).select(named.alias(values.name)).to_series()
