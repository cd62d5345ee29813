"""The tables `shown_users`, `feeds` and `shown_posts`: the feeds of a dozen users, to be looked at.

The users are chosen by a rule, not by hand: in the first seed and without mitigation, the panel is
sorted by how many slots of each user's feeds the influx changed, and users are taken at fixed
quantiles. One more is the middle one of those who read both languages.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from recsys.config import World
from recsys.study.arms.snapshots import POSTS, SHOWN_ARMS
from recsys.study.tables.cubes import groups_by, incumbents_in
from recsys.study.tables.table import Column, Columns, Rows, columns_of, common, schema_of

QUANTILES = (0.5, 1.0, 0.0, 0.99, 0.95, 0.9, 0.75, 0.6, 0.4, 0.25, 0.1)
"""Quantiles of change at which users are taken; with few users, the first that names one counts."""
BILINGUAL = "bilingual"

COLUMNS: Columns = {
    **common("recommender", "user_id"),
    "chosen": Column(
        pl.String,
        "why this user: `typical` (the median), `most hit`, `least hit`, `bilingual` (the median "
        "of those), or the share of the panel that changed less",
    ),
    "quantile": Column(
        pl.Float64, "share of the panel whose feeds changed less, or as much and come first"
    ),
    "changed": Column(pl.Float64, "share of the user's slots that changed, over all days"),
    "displaced": Column(
        pl.Float64, "share that newcomers' posts took; empty where it is not known"
    ),
    "bilingual": Column(pl.Boolean, "whether the user reads both languages; empty for a log"),
    "panel": Column(pl.Int64, "number of users that were sorted"),
}
"""Columns of the table."""

SHOWN_POSTS: Columns = columns_of(
    POSTS,
    {
        "item_id": "the log's own id of the post",
        "creator": "`newcomer`; `small` or `large`, a long-time creator with fewer followers than "
        "half of them or not; empty where it is not known",
        "topic": "its topic; empty where it is not known",
        "language": "its language",
        "format": "its format",
        "product_tag": "whether a product is linked in it",
        "more": "other attributes of a log's items",
        "title": "its title, if the log's items have a column of that name",
        "picture": "address of a picture of it, if there is such a column; never fetched",
    },
) | {"item_id": Column(None, "the log's own id of the post")}
"""Columns of the table `shown_posts`."""

_NAMED = {0.5: "typical", 1.0: "most hit", 0.0: "least hit"}


def shown_users(rows: Rows) -> pl.DataFrame:
    """The users whose feeds are shown, for each recommender.

    Args:
        rows: of a study.

    Returns:
        The columns of `COLUMNS`; the typical user first.
    """
    study = rows.study
    whole = incumbents_in(
        rows.per_user.filter(pl.col("day").is_null(), arm="influx", seed=study.first_seed)
    )
    if "slots_changed" not in whole.columns:
        return pl.DataFrame(schema=schema_of(COLUMNS))
    whole = whole.filter(pl.col("slots_changed").is_not_null())
    reads_both: Sequence[Any] = ()
    if isinstance(study.source, World):
        least = study.world.population.incumbents.skill_bilingual
        reads_both = rows.users.filter(pl.col("skill") >= least)["user_id"].to_list()
    found: list[dict[str, Any]] = []
    for keys, group in groups_by(whole, ("recommender",)):
        first = group.filter(mitigation=group["mitigation"][0])
        found += ({**keys, **row} for row in chosen_users(first, reads_both))
    types = {**schema_of(COLUMNS), "user_id": whole["user_id"].dtype}
    return pl.DataFrame(found, schema=types)


def chosen_users(users: pl.DataFrame, reads_both: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Users at fixed quantiles of change, the middle one first.

    Args:
        users: user_id, slots_changed and, optionally, displaced; a row for each user.
        reads_both: ids of the users who read both languages; of these the middle one is added.

    Returns:
        The columns of `COLUMNS` but `recommender`, for each chosen user.

    >>> users = pl.DataFrame({"user_id": range(5), "slots_changed": [0.1, 0.5, 0.2, 0.9, 0.0]})
    >>> [(user["user_id"], user["chosen"]) for user in chosen_users(users)][:3]
    [(2, 'typical'), (3, 'most hit'), (4, 'least hit')]
    """
    if "displaced" not in users.columns:
        users = users.with_columns(displaced=pl.lit(None, pl.Float64))
    ordered = users.sort("slots_changed", "user_id").to_dicts()
    last = len(ordered) - 1
    both = set(reads_both)
    places = {round(quantile * last): _name(quantile) for quantile in reversed(QUANTILES)}
    found = dict(reversed(places.items())) if ordered else {}
    readers = [place for place, user in enumerate(ordered) if user["user_id"] in both]
    free = [place for place in readers if place not in found]
    if free:
        found[free[len(free) // 2]] = BILINGUAL
    names = (*_NAMED.values(), BILINGUAL)
    first = sorted(found, key=lambda place: (*names, found[place]).index(found[place]))
    return [
        {
            "user_id": ordered[place]["user_id"],
            "chosen": found[place],
            "quantile": place / max(last, 1),
            "changed": ordered[place]["slots_changed"],
            "displaced": ordered[place]["displaced"],
            "bilingual": ordered[place]["user_id"] in both if both else None,
            "panel": len(ordered),
        }
        for place in first
    ]


def _name(quantile: float) -> str:
    return _NAMED.get(quantile, f"above {100 * quantile:.0f} %")


def feeds(rows: Rows) -> pl.DataFrame:
    """The kept feeds: of the users that are shown, or all with `evaluation.snapshots`.

    Args:
        rows: of a study.
    """
    if rows.study.evaluation.snapshots or rows.feeds.is_empty():
        return rows.feeds
    shown = shown_users(rows).select("recommender", "user_id")
    known = rows.feeds["recommender"].dtype  # the recommenders that served any feed
    named = shown.with_columns(pl.col("recommender").cast(known, strict=False))
    return rows.feeds.join(named, on=["recommender", "user_id"], how="semi", maintain_order="left")


def shown_posts(rows: Rows) -> pl.DataFrame:
    """The posts of the shown users' feeds, in the arms that are shown.

    Args:
        rows: of a study.
    """
    keys = ["recommender", "mitigation", "arm", "seed", "item_id"]
    shown = shown_users(rows)["user_id"].unique()
    slots = feeds(rows).filter(
        pl.col("arm").cast(pl.String).is_in(SHOWN_ARMS),
        pl.col("user_id").is_in(shown.implode()),
        seed=rows.study.first_seed,
    )
    named = slots.select(keys).unique().with_columns(pl.col(keys[:3]).cast(pl.String))
    return rows.posts.join(named, on=keys, how="semi", maintain_order="left")
