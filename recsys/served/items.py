"""Data of the served items as arrays: attributes, creators, popularity, embeddings."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import ConfigError, LogError, nearest
from recsys.logs.columns import numbers, refuse, texts
from recsys.measures.items import creators_of, vectors_of
from recsys.measures.rows import Attributes, attributes_of, is_taken
from recsys.served.read import Numbers, plain_ids, rows_of_ids
from recsys.served.values import Items

_USUAL_ATTRIBUTES = ("language", "format", "topic", "product_tag")
_NEWCOMER = "newcomer"
_IS_THERE = "recsys: is there"
"""Column that marks the items with a row; a name that no file has."""


def items_of(
    numbers: Numbers,
    items: pl.DataFrame | None,
    users: pl.DataFrame | None,
    cohort: str,
    attributes: Sequence[str] | Mapping[str, str] | None,
) -> tuple[Items, Attributes, int]:
    """The data of the items of some feeds that measures need.

    Args:
        numbers: the items of the feeds.
        items: item_id and other columns of items, see `compare_feeds`; None if there are none.
        users: user_id and cohorts, in which creators are looked up; None if there are none.
        cohort: column of cohorts in `users`, such as "cohort".
        attributes: columns of `items`, or {name: column}; None for the usual ones.

    Returns:
        The data, the labels of the codes of attributes, and the number of items without a row.

    Raises:
        ConfigError: an attribute is not a column of `items`.
        LogError: a column does not hold what it should.
    """
    ids = numbers.items.alias("item_id")
    if items is None:
        items = ids.clear().to_frame()
    table = rows_of_ids(ids, items.with_columns(pl.lit(True).alias(_IS_THERE)), "items")
    chosen = _chosen(table.drop(_IS_THERE), attributes)
    labels = attributes_of(table, chosen, "attributes")
    data = Items(
        attributes={name: codes for name, (codes, _) in labels.items()},
        from_newcomers=_from_newcomers(table, users, cohort),
        creators=creators_of(table),
        popularity=_popularity(table),
        vectors=vectors_of(table),
    )
    missing = table[_IS_THERE].null_count() if items.width > 1 else 0
    return data, labels, missing


def _chosen(
    table: pl.DataFrame, attributes: Sequence[str] | Mapping[str, str] | None
) -> dict[str, str]:
    """{name of the attribute: column}; a name that recsys uses itself is put in quotation marks."""
    if attributes is None:
        return {name: name for name in _USUAL_ATTRIBUTES if name in table.columns}
    chosen = (
        dict(attributes) if isinstance(attributes, Mapping) else {name: name for name in attributes}
    )
    for column in chosen.values():
        if column not in table.columns or column == "item_id":
            have = [name for name in table.columns if name != "item_id"]
            raise ConfigError(f"attributes: items have no {column!r}; {nearest(column, have)}")
    return {f"'{name}'" if is_taken(name.strip("'")) else name: it for name, it in chosen.items()}


def _from_newcomers(
    table: pl.DataFrame, users: pl.DataFrame | None, cohort: str
) -> NDArray[np.bool_] | None:
    """Bool (n_items,): items whose creator is a newcomer; None if this is not known."""
    if "creator_cohort" in table.columns:
        return _are_newcomers(table["creator_cohort"])
    if users is None or cohort not in users.columns or "creator_id" not in table.columns:
        return None
    user_ids = plain_ids(users["user_id"], "users")
    cohorts = pl.DataFrame({"user_id": user_ids, "cohort": users[cohort]})
    creators = plain_ids(table["creator_id"], "items", optional=True).alias("user_id")
    if creators.dtype != user_ids.dtype and creators.null_count() < len(creators):
        raise LogError(
            f"items: creator_id is {table['creator_id'].dtype} and users' user_id "
            f"{users['user_id'].dtype}; give both the same type, or items a column creator_cohort"
        )
    if not _are_newcomers(cohorts["cohort"]).any():
        return None
    joined = (
        creators.cast(user_ids.dtype)
        .to_frame()
        .join(cohorts, on="user_id", how="left", maintain_order="left")
    )
    return _are_newcomers(joined["cohort"])


def _are_newcomers(cohorts: pl.Series) -> NDArray[np.bool_]:
    return (texts(cohorts, "items", "a cohort") == _NEWCOMER).fill_null(False).to_numpy()


def _popularity(table: pl.DataFrame) -> NDArray[np.float64] | None:
    if "popularity" not in table.columns:
        return None
    column = table["popularity"]
    expected = "give numbers from 0 up, such as the share of users who liked the item"
    values = numbers(column, "items", expected).fill_null(0.0)
    bad = ~values.is_finite() | (values < 0)
    if bad.any():
        refuse(column, bad, "items", expected)
    return values.to_numpy()
