"""What is known of the items that were served: attributes, creators, popularity, embeddings."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import ConfigError, LogError, nearest
from recsys.measures.items import creators_of, vectors_of
from recsys.measures.rows import Attributes, attributes_of
from recsys.served.read import Numbers, plain_ids, rows_of_ids
from recsys.served.values import Items

_USUAL_ATTRIBUTES = ("language", "format", "topic", "product_tag")
_NEWCOMER = "newcomer"


def known_items(
    numbers: Numbers,
    items: pl.DataFrame | None,
    users: pl.DataFrame | None,
    cohort: str,
    attributes: Sequence[str] | Mapping[str, str] | None,
) -> tuple[Items, Attributes, int]:
    """What measures want to know of the items.

    Args:
        numbers: the items of the feeds.
        items: item_id and what is known, for people.
        users: user_id and cohorts; creators are looked up there.
        cohort: its column of cohorts.
        attributes: columns of `items`, or {name: column}; None for the usual ones.

    Returns:
        Arrays, the meaning of attributes' codes, and how many items have no row.

    Raises:
        ConfigError: an attribute that is no column.
        LogError: columns that hold something else than they should.
    """
    ids = numbers.items.alias("item_id")
    if items is None:
        items = ids.clear().to_frame()
    table = rows_of_ids(ids, items.with_columns(_is_there=pl.lit(True)), "items")
    chosen = _chosen(table.drop("_is_there"), attributes)
    labels = attributes_of(table, chosen)
    known = Items(
        attributes={name: codes for name, (codes, _) in labels.items()},
        from_newcomers=_from_newcomers(table, users, cohort),
        creators=creators_of(table),
        popularity=_popularity(table),
        vectors=vectors_of(table),
    )
    missing = table["_is_there"].null_count() if items.width > 1 else 0
    return known, labels, missing


def _chosen(
    table: pl.DataFrame, attributes: Sequence[str] | Mapping[str, str] | None
) -> dict[str, str]:
    """Column by name of the attribute."""
    if attributes is None:
        return {name: name for name in _USUAL_ATTRIBUTES if name in table.columns}
    chosen = (
        dict(attributes) if isinstance(attributes, Mapping) else {name: name for name in attributes}
    )
    for column in chosen.values():
        if column not in table.columns or column == "item_id":
            have = [name for name in table.columns if name != "item_id"]
            raise ConfigError(f"attributes: items have no {column!r}; {nearest(column, have)}")
    return chosen


def _from_newcomers(
    table: pl.DataFrame, users: pl.DataFrame | None, cohort: str
) -> NDArray[np.bool_] | None:
    """Items by newcomers; None where that is not known."""
    if "creator_cohort" in table.columns:
        return _are_newcomers(table["creator_cohort"])
    if users is None or cohort not in users.columns or "creator_id" not in table.columns:
        return None
    own = pl.DataFrame({"user_id": plain_ids(users["user_id"], "users"), "cohort": users[cohort]})
    creators = plain_ids(table["creator_id"], "items").alias("user_id")
    if creators.dtype != own["user_id"].dtype:
        raise LogError(
            f"items: creator_id is {table['creator_id'].dtype} and users' user_id "
            f"{users['user_id'].dtype}; give both the same type, or items a column creator_cohort"
        )
    if not (own["cohort"].cast(pl.String) == _NEWCOMER).any():
        return None
    joined = creators.to_frame().join(own, on="user_id", how="left", maintain_order="left")
    return _are_newcomers(joined["cohort"])


def _are_newcomers(cohorts: pl.Series) -> NDArray[np.bool_]:
    return (cohorts.cast(pl.String) == _NEWCOMER).fill_null(False).to_numpy()


def _popularity(table: pl.DataFrame) -> NDArray[np.float64] | None:
    if "popularity" not in table.columns:
        return None
    column = table["popularity"]
    values = column.cast(pl.Float64).fill_null(0.0) if column.dtype.is_numeric() else None
    if values is None or not values.is_finite().all() or bool((values < 0).any()):
        raise LogError(
            f"items: popularity is {column.dtype}; give numbers from 0 up, "
            "such as the share of readers who liked the item"
        )
    return values.to_numpy()
