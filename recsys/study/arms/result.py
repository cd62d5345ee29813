"""What a cell gives: values a user, seconds, the platform's life, and the feeds if asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from recsys.logs.schema import COHORTS, SOURCES
from recsys.recommenders import Ranking
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
"""Columns: users removed from a model of so many items; how far its weights, and how many slots of
the panel's feeds, are from those of a new fit; which of the two the placebo groups use."""

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
    """What a cell gives, in the columns of the frames of `StudyResult`.

    Attributes:
        per_user: values a user.
        timings: seconds a step.
        life: what people lived through; no row for a log.
        feeds: the feeds that were measured; no row unless `evaluation.snapshots` asks for them.
        exposure: how attention falls on posts and creators, columns as in `EXPOSURE`.
        games: values a user with some gates open; no row unless `channels` asks for them.
        removals: `REMOVALS`, exact removal of a log's newcomers beside a new fit; no row where the
            recommender has none, or of a world.
    """

    per_user: pl.DataFrame
    timings: pl.DataFrame
    life: pl.DataFrame
    feeds: pl.DataFrame
    exposure: pl.DataFrame
    removals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REMOVALS))
    games: pl.DataFrame = field(default_factory=pl.DataFrame)

    @classmethod
    def of_games(cls, games: pl.DataFrame) -> "CellResult":
        """A cell that has run channels alone."""
        nothing = pl.DataFrame()
        return cls(nothing, nothing, nothing, nothing, nothing, games=games)


def life_of(lives: Mapping[str, pl.DataFrame], server: tuple[str, str], seed: int) -> pl.DataFrame:
    """The lives of several arms in one frame.

    Args:
        lives: frames with the columns of `recsys.world.life.LIFE`, by arm.
        server: recommender and mitigation that served.
        seed: whose luck it was.
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
    """Some users' feeds, a row for each slot that is filled.

    Args:
        keys: recommender, mitigation, arm, seed, day and cohort of all rows.
        user_ids: (n,) the users' own ids.
        item_ids: (n_items,) the items' own ids.
        feeds: (n, k) each.
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
    """Feeds one below the other; names are numbers inside, so that millions of rows are small."""
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
