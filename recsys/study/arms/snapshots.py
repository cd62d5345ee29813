"""Which feeds of a study are kept as they were shown, and what is known of the posts in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.attention_rows import Pool

INCUMBENT, NEWCOMER = "incumbent", "newcomer"
SHOWN_ARMS = ("control", "full", "influx", "retrain")
"""The arms whose feeds are shown side by side."""
DESCRIBED = ("topic", "language", "format", "product_tag")
"""Attributes of a post that have a column of their own."""
OPTIONAL = ("title", "picture")
"""Columns that a log's items may have, and that are shown where they are there."""

POSTS: dict[str, Any] = {
    "recommender": pl.String,
    "mitigation": pl.String,
    "arm": pl.String,
    "seed": pl.Int64,
    "item_id": pl.Int64,
    "creator": pl.String,
    **dict.fromkeys((*DESCRIBED, "more", *OPTIONAL), pl.String),
}
"""Columns of the posts of kept feeds, and their types."""


@dataclass(frozen=True)
class Snapshots:
    """Which feeds of a cell are kept.

    Attributes:
        everything: whether the feeds of all users in all arms are kept, but for those of nudges
            and of a log's placebo groups. If not, the panel's feeds in `SHOWN_ARMS` are kept.
    """

    everything: bool = False

    def cohorts_of(self, keys: Mapping[str, Any]) -> tuple[str, ...]:
        """The cohorts of an arm whose feeds are kept.

        Args:
            keys: the arm's values of the key columns, such as `{"arm": "influx", "draw": 0}`.

        >>> Snapshots().cohorts_of({"arm": "influx", "draw": 0})
        ('incumbent',)
        >>> Snapshots().cohorts_of({"arm": "locals", "draw": 0})
        ()
        """
        if keys["draw"] or str(keys["arm"]).startswith("nudge"):
            return ()
        if self.everything:
            return (INCUMBENT, NEWCOMER)
        return (INCUMBENT,) if keys["arm"] in SHOWN_ARMS else ()


def posts_of(
    keys: Mapping[str, Any],
    ids: NDArray[np.int64],
    items: pl.DataFrame,
    attributes: Mapping[str, str],
    from_newcomers: NDArray[np.bool_] | None,
    pool: Pool | None,
) -> pl.DataFrame:
    """What is known of posts, a row each.

    A creator is small who has fewer followers than half of the creators that could be served; in a
    log, positive events stand for followers.

    Args:
        keys: values of recommender, mitigation, arm and seed, the same in all rows.
        ids: (m,), dense ids of the posts.
        items: the log's or world's items (n_items,).
        attributes: by attribute, the column of `items` that holds it.
        from_newcomers: bool (n_items,), which items newcomers made; None if it is not known.
        pool: what could be served; None if it is not known.

    Returns:
        The columns of `POSTS`, all attributes as text.
    """
    rows = items[ids]
    columns = {name: rows[column] for name, column in attributes.items()}
    columns |= {name: rows[name] for name in OPTIONAL if name in items.columns}
    known = {name: pl.Series(name, _text(column)) for name, column in columns.items()}
    others = [name for name in attributes if name not in DESCRIBED]
    more = [
        " · ".join(f"{name} {value}" for name, value in row.items() if value is not None) or None
        for row in pl.DataFrame({name: known[name] for name in others}).iter_rows(named=True)
    ]
    made_by = {"creator": _creators(ids, from_newcomers, pool)}
    values = {**keys, "item_id": rows["item_id"], **known, **made_by}
    values["more"] = more if others else None
    types = {**POSTS, "item_id": items["item_id"].dtype}
    return rows.select(
        pl.Series(name, values[name], kind)
        if isinstance(values.get(name), pl.Series | list)
        else pl.lit(values.get(name), kind).alias(name)
        for name, kind in types.items()
    )


def _text(column: pl.Series) -> pl.Series:
    return column.cast(pl.String) if not column.dtype.is_nested() else column.list.join(", ")


def _creators(
    ids: NDArray[np.int64], from_newcomers: NDArray[np.bool_] | None, pool: Pool | None
) -> list[str | None]:
    """`newcomer`, `small`, `large`, or None where it is not known."""
    made: list[str | None] = [None] * ids.size
    if pool is not None and pool.creators is not None and pool.sizes is not None:
        servable = pool.sizes[np.unique(pool.creators[pool.candidates])]
        if not np.isnan(servable).all():
            sizes, half = pool.sizes[pool.creators[ids]], np.nanmedian(servable)
            names = zip(sizes < half, np.isnan(sizes), strict=True)
            made = [
                None if unknown else "small" if is_small else "large" for is_small, unknown in names
            ]
    if from_newcomers is not None:
        both = zip(made, from_newcomers[ids], strict=True)
        made = ["newcomer" if is_new else name for name, is_new in both]
    return made
