"""The frames of a world's log: its users, its items and the events of its days.

They hold what a platform knows. What only the world knows, such as tastes and reading skills, is in
no frame, so that no recommender and no mitigation can learn from it.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.logs.schema import COHORTS, KIND_CODES, KINDS, WEIGHTS
from recsys.logs.times import TIME
from recsys.world.day.events import milliseconds
from recsys.world.day.values import Day
from recsys.world.people.population import FORMATS, LANGUAGES, People
from recsys.world.people.posts import PostTable

_WEIGHT_BY_KIND = np.array([WEIGHTS[kind] for kind in KIND_CODES], dtype=np.float32)


def users_frame(world: World, people: People, day: int | None = None) -> pl.DataFrame:
    """The log's users, a row per person; `joined` is null for incumbents.

    Args:
        world: the world.
        people: its people.
        day: a day such as 6: of people who join on a later day nothing is known but their cohort.
            None for the users as they are known after the last day.
    """
    newcomer = np.arange(people.n) >= world.incumbents
    declared = pl.Series(people.declared.astype(np.int16)).cast(
        pl.UInt8, strict=False
    )  # -1 turns null
    frame = pl.DataFrame(
        {
            "user_id": np.arange(people.n, dtype=np.int64),
            "cohort": pl.Series(newcomer.astype(np.uint8)).cat.to(COHORTS),
            "joined": pl.Series(milliseconds(world, people.arrival)).cast(TIME),
            "key": people.key,
            "language": pl.Series(people.app_language).cat.to(pl.Enum(LANGUAGES)),
            "declared_language": declared.cat.to(pl.Enum(LANGUAGES)),
        }
    ).with_columns(pl.when(pl.col("cohort") == "newcomer").then("joined").alias("joined"))
    return frame if day is None else _known(frame, people.arrival <= day)


def items_frame(world: World, posts: PostTable, day: int | None = None) -> pl.DataFrame:
    """The log's items: a row for each post that may be published in the run.

    Args:
        world: the world.
        posts: its posts.
        day: a day such as 6: of posts that are not published when it begins nothing is known. None
            for the posts as they are known after the last day.
    """
    topics = list(world.population.incumbents.topics)

    def named(codes: NDArray[np.int32], names: Iterable[str]) -> pl.Series:
        return pl.Series(codes.astype(np.uint8)).cat.to(pl.Enum(list(names)))

    frame = pl.DataFrame(
        {
            "item_id": np.arange(posts.n, dtype=np.int64),
            "published": pl.Series(milliseconds(world, posts.published)).cast(TIME),
            "creator_id": posts.creator.astype(np.int64),
            "key": posts.key,
            "topic": named(posts.topic, topics),
            "language": named(posts.language, LANGUAGES),
            "format": named(posts.format, FORMATS),
            "product_tag": posts.tagged,
            "subtitled": posts.subtitled,
        }
    )
    return frame if day is None else _known(frame, posts.published < day)


def _known(frame: pl.DataFrame, known: NDArray[np.bool_]) -> pl.DataFrame:
    """A frame whose other rows are null but for the columns that every row must have."""
    if known.all():
        return frame
    kept = {"user_id", "item_id", "cohort", "key"}
    return frame.with_columns(
        pl.when(pl.Series(known)).then(name).alias(name)
        for name in frame.columns
        if name not in kept
    )


def events_frame(days: Iterable[Day], *, positive: bool = False) -> pl.DataFrame:
    """The events of several days as `InteractionLog.dense` holds them.

    Args:
        days: the days, in order.
        positive: whether to return only events of positive weight.
    """

    def kept(day: Day) -> slice | NDArray[np.bool_]:
        if not positive:
            return slice(None)
        liked = _WEIGHT_BY_KIND[day.kind] > 0
        return slice(None) if liked.all() else liked

    parts = [(day, kept(day)) for day in days]

    def column(name: str, dtype: type) -> NDArray[Any]:
        columns = [getattr(day, name)[rows] for day, rows in parts]
        empty: NDArray[Any] = np.zeros(0, dtype=dtype)
        return np.concatenate([empty, *columns], dtype=dtype, casting="unsafe")

    kind = column("kind", np.uint8)
    return pl.DataFrame(
        {
            "user": column("user", np.uint32),
            "item": column("item", np.uint32),
            "timestamp": pl.Series(column("timestamp", np.int64)).cast(TIME),
            "kind": pl.Series(kind).cat.to(KINDS),
            "rank": column("rank", np.uint16),
            "weight": _WEIGHT_BY_KIND[kind],
        }
    )
