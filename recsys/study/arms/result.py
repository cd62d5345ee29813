"""The result of a cell: frames of measured values, seconds, people's life and feeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from recsys.logs.schema import COHORTS, SOURCES
from recsys.recommenders import Ranking
from recsys.study.arms.snapshots import POSTS
from recsys.world.life import LIFE

REMOVALS = {
    "recommender": pl.String,
    "seed": pl.Int64,
    "users": pl.Int64,
    "items": pl.Int64,
    "largest_difference": pl.Float64,
    "slots": pl.Int64,
    "slots_that_differ": pl.Int64,
    "draws_by_removal": pl.Boolean,
}
"""Columns of `CellResult.removals`; `recsys.study.tables.gathered` says what they mean."""

_LIFE = {
    "recommender": pl.String,
    "mitigation": pl.String,
    "arm": pl.String,
    "seed": pl.Int64,
    **LIFE,
}
_NAMES = ("recommender", "mitigation", "arm")
_FEEDS: dict[str, Any] = {
    **dict.fromkeys(_NAMES, pl.Enum([])),
    "seed": pl.Int64,
    "day": pl.Int32,
    "cohort": COHORTS,
    "user_id": pl.Int64,
    "rank": pl.UInt16,
    "item_id": pl.Int64,
    "source": SOURCES,
}


@dataclass(frozen=True)
class CellResult:
    """The result of a cell.

    Attributes:
        per_user: a row for each user, arm and day, with a column for each measure.
        timings: seconds that fits and serving took.
        life: visits, clicks and satisfaction of a world's people; no row for a log.
        feeds: measured feeds, as `recsys.study.arms.snapshots.Snapshots` chooses them.
        exposure: how attention is spread over posts and creators, in the columns of
            `recsys.measures.attention_rows.EXPOSURE`.
        games: values of each user with some gates open; no column unless the cell has gates.
        removals: a model from which newcomers are removed exactly, beside a new fit; no row for a
            world, or where the recommender cannot remove users.
        posts: what is known of the posts in `feeds`, in the columns of `POSTS`.
    """

    per_user: pl.DataFrame
    timings: pl.DataFrame
    life: pl.DataFrame
    feeds: pl.DataFrame
    exposure: pl.DataFrame
    removals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REMOVALS))
    games: pl.DataFrame = field(default_factory=pl.DataFrame)
    posts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=POSTS))

    @classmethod
    def of_games(cls, games: pl.DataFrame) -> "CellResult":
        """The result of a cell with gates, which has nothing but games.

        Args:
            games: from `recsys.study.arms.gated.values_of`.
        """
        nothing = pl.DataFrame()
        return cls(nothing, nothing, nothing, nothing, nothing, games=games)


def life_of(lives: Mapping[str, pl.DataFrame], server: tuple[str, str], seed: int) -> pl.DataFrame:
    """The lives of several arms in one frame.

    Args:
        lives: frames with the columns of `recsys.world.life.LIFE`, by arm.
        server: recommender and mitigation that served, such as ("als", "none").
        seed: world seed, such as 0.
    """
    keyed = [
        life.with_columns(
            pl.lit(server[0]).alias("recommender"),
            pl.lit(server[1]).alias("mitigation"),
            pl.lit(arm).alias("arm"),
            pl.lit(seed, pl.Int64).alias("seed"),
        ).select(*_LIFE)
        for arm, life in lives.items()
    ]
    return pl.concat([pl.DataFrame(schema=_LIFE), *keyed])


def feeds_of(
    keys: Mapping[str, Any], user_ids: pl.Series, item_ids: pl.Series, feeds: Ranking
) -> pl.DataFrame:
    """Feeds as a frame: a row for each slot that is filled.

    Args:
        keys: values of recommender, mitigation, arm, seed, day and cohort, the same in all rows.
        user_ids: (n,) the ids that the log or world gives these users.
        item_ids: (n_items,) the ids that the log or world gives its items.
        feeds: the users' feeds (n, k).
    """
    user, slot = np.nonzero(feeds.item_ids >= 0)
    slots = {
        "user_id": user_ids.gather(user),
        "rank": pl.Series(slot + 1, dtype=pl.UInt16),
        "item_id": item_ids.gather(feeds.item_ids[user, slot]),
        "source": pl.Series(feeds.sources[user, slot]).cat.to(SOURCES),
    }
    types = {**_FEEDS, **{name: pl.Enum([keys[name]]) for name in _NAMES}}
    keyed = [pl.lit(keys[name]).cast(types[name]).alias(name) for name in _FEEDS if name in keys]
    return pl.DataFrame(slots).select(*keyed, *slots)


def feeds_in_one(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Joins frames of feeds, one below the other.

    Recommender, mitigation and arm are Enums, which polars stores as numbers: millions of rows stay
    small.

    Args:
        frames: from `feeds_of`.
    """
    filled = [frame for frame in frames if frame.height]
    if not filled:
        return pl.DataFrame(schema=_FEEDS)
    types = {name: _union([frame.schema[name] for frame in filled]) for name in _NAMES}
    return pl.concat(
        [
            frame.with_columns(pl.col(name).cast(dtype) for name, dtype in types.items())
            for frame in filled
        ]
    )


def _union(types: Sequence[pl.DataType]) -> pl.Enum:
    """All names of several Enums, in the order in which they first appear."""
    names = [name for dtype in types if isinstance(dtype, pl.Enum) for name in dtype.categories]
    return pl.Enum(list(dict.fromkeys(names)))
