"""Life on the platform: a table of visits, clicks, comments and satisfaction by day and cohort."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.core.noise import Stream, moment, uniforms
from recsys.logs.schema import COHORTS, KIND_CODES
from recsys.world.arms import INCUMBENTS
from recsys.world.day.values import Day
from recsys.world.people.population import LANGUAGES, People
from recsys.world.people.posts import PostTable

_TOPICS = {
    "across_language_exchange": "language exchange",
    "across_homework_help": "homework help",
}
"""Topics whose comments across languages have a column of their own."""

LIFE: dict[str, Any] = {
    "day": pl.Int32,
    "cohort": COHORTS,
    "active": pl.Int64,
    "there": pl.Int64,
    "visits": pl.Int64,
    "impressions": pl.Int64,
    "clicks": pl.Int64,
    "english_share": pl.Float64,
    "click_rate": pl.Float64,
    "product_clicks_per_1000": pl.Float64,
    "purchases_per_1000": pl.Float64,
    "hides_per_1000": pl.Float64,
    "comments": pl.Int64,
    "comments_across": pl.Int64,
    "replies_across": pl.Int64,
    "comments_on_newcomers": pl.Int64,
    "clicks_on_newcomers": pl.Int64,
    **dict.fromkeys(_TOPICS, pl.Int64),
    "follows_across": pl.Int64,
    "satisfaction": pl.Float64,
    "left": pl.Int64,
}
"""Columns of the table and their types. They hold, for a day and a cohort:

active: people who came · there: people who had arrived, and had neither departed nor left
dissatisfied · visits, impressions, clicks: their numbers · english_share: share of impressions in
English · click_rate: clicks per impression · product_clicks_per_1000, purchases_per_1000,
hides_per_1000: per 1,000 impressions · comments: their number · comments_across: comments on a post
that is not in the user's first language · replies_across: those of them that the creator answered ·
comments_on_newcomers, clicks_on_newcomers: those on newcomers' posts · across_…: such comments on
posts of one topic, null if the config has no such topic · follows_across: creators followed from
such a post · satisfaction: mean over those there who have visited · left: people who have left
dissatisfied so far.
"""


class Acts(NamedTuple):
    """Counts of a day's events; the first axis is the cohort of the user.

    Where the gate of behaviour is closed, the incumbents' events are those of the twin. Their
    visits and impressions did not happen in this arm, so the counts of these are 0.
    """

    kinds: NDArray[np.int64]
    """(2, kinds) events by kind."""
    comments: NDArray[np.int64]
    """(2, languages of users, languages of posts, topics) comments."""
    follows: NDArray[np.int64]
    """Creators followed from a post, by the same axes as `comments`."""
    replies: NDArray[np.int64]
    """(2,) comments on a post in another language that its creator answered."""
    on_newcomers: dict[str, NDArray[np.int64]]
    """(2,) comments and clicks on newcomers' posts, by kind."""

    @classmethod
    def of(
        cls,
        world: World,
        seed: int,
        day: Day,
        people: People,
        posts_for: tuple[PostTable, PostTable],
    ) -> Self:
        """Counts a day's events.

        Args:
            world: the config.
            seed: world seed; draws who is answered.
            day: the day.
            people: the people of its run; rows behind those who act do not matter.
            posts_for: its posts as incumbents and as newcomers get them; see `Scene.posts_for`.
        """
        cohort = (day.user >= world.incumbents).astype(np.int64)
        n_kinds = len(KIND_CODES)
        kinds = np.bincount(cohort * n_kinds + day.kind, minlength=2 * n_kinds)
        n_topics = len(world.population.incumbents.topics)

        for_incumbents, for_newcomers = (posts.language[day.item] for posts in posts_for)
        languages = np.where(cohort == INCUMBENTS, for_incumbents, for_newcomers)
        by_newcomer = posts_for[0].creator[day.item] >= world.incumbents

        def by_cohort(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
            return np.bincount(cohort[mask], minlength=2)

        def by_language_and_topic(kind: str) -> NDArray[np.int64]:
            mask = day.kind == KIND_CODES[kind]
            user, post, language = day.user[mask], day.item[mask], languages[mask]
            shape = (2, len(LANGUAGES), len(LANGUAGES), n_topics)
            cell = np.ravel_multi_index(
                (cohort[mask], people.app_language[user], language, posts_for[0].topic[post]), shape
            )
            return np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)

        is_comment = day.kind == KIND_CODES["comment"]
        across = is_comment & (people.app_language[day.user] != languages)
        address, key = people.address[day.user], posts_for[0].key[day.item]
        answered = np.zeros(day.user.size, dtype=np.bool_)
        u = uniforms(seed, Stream.REPLY, address[across], key[across], moment(day.day))
        answered[across] = u[:, 0] < world.behaviour.actions.reply
        return cls(
            kinds.reshape(2, n_kinds),
            by_language_and_topic("comment"),
            by_language_and_topic("follow"),
            by_cohort(across & answered),
            {
                kind: by_cohort(by_newcomer & (day.kind == KIND_CODES[kind]))
                for kind in ("comment", "click")
            },
        )


def life_rows(world: World, day: Day, acts: Acts) -> list[dict[str, Any]]:
    """The rows of a day for incumbents and for newcomers; a rate of nothing is None.

    Args:
        world: the config.
        day: the day.
        acts: the counts of its events.
    """
    return [_row(world, day, acts, cohort) for cohort in range(2)]


def life_frame(
    world: World,
    seed: int,
    days: Iterable[Day],
    people: People,
    posts_for: tuple[PostTable, PostTable],
) -> pl.DataFrame:
    """The table for several days of one run: a row per day and cohort, columns as in `LIFE`.

    Args:
        world: the config.
        seed: world seed.
        days: the days.
        people: all people of the run.
        posts_for: all posts as incumbents and as newcomers get them; see `Scene.posts_for`.
    """
    rows = [
        row
        for day in days
        for row in life_rows(world, day, Acts.of(world, seed, day, people, posts_for))
    ]
    return pl.DataFrame(rows, schema=LIFE)


def _row(world: World, day: Day, acts: Acts, cohort: int) -> dict[str, Any]:
    traffic, state, kinds = day.traffic, day.state, acts.kinds[cohort]
    by_clicks, shown = traffic.visits_by_clicks[cohort], int(traffic.impressions[cohort].sum())
    topics = list(world.population.incumbents.topics)
    across = _across(acts.comments[cohort])

    def per_1000(kind: str) -> float | None:
        return _ratio(1000 * kinds[KIND_CODES[kind]], shown)

    return {
        "day": day.day,
        "cohort": COHORTS.categories[cohort],
        "active": int(traffic.people[cohort]),
        "there": int(state.there[cohort]),
        "visits": int(by_clicks.sum()),
        "impressions": shown,
        "clicks": int(kinds[KIND_CODES["click"]]),
        "english_share": _ratio(traffic.impressions[cohort][LANGUAGES.index("en")], shown),
        "click_rate": _ratio(kinds[KIND_CODES["click"]], shown),
        "product_clicks_per_1000": per_1000("product_click"),
        "purchases_per_1000": per_1000("purchase"),
        "hides_per_1000": per_1000("hide"),
        "comments": int(acts.comments[cohort].sum()),
        "comments_across": int(across.sum()),
        "replies_across": int(acts.replies[cohort]),
        "comments_on_newcomers": int(acts.on_newcomers["comment"][cohort]),
        "clicks_on_newcomers": int(acts.on_newcomers["click"][cohort]),
        **{
            column: int(across[topics.index(topic)]) if topic in topics else None
            for column, topic in _TOPICS.items()
        },
        "follows_across": int(_across(acts.follows[cohort]).sum()),
        "satisfaction": _none_if_nan(state.satisfaction[cohort]),
        "left": int(state.left[cohort]),
    }


def _across(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(topics,): sums where the languages differ.

    `counts` has shape (languages of users, languages of posts, topics).
    """
    languages_differ = ~np.eye(len(LANGUAGES), dtype=np.bool_)
    return np.asarray(counts[languages_differ].sum(axis=0))


def _ratio(part: Any, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _none_if_nan(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
