"""What a platform's people live through, day by day and cohort by cohort."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.logs.schema import COHORTS, KINDS
from recsys.world.arms import INCUMBENTS
from recsys.world.frames import Day
from recsys.world.people.notes import NoteTable
from recsys.world.people.population import LANGUAGES, People

_TOPICS = {
    "across_language_exchange": "language exchange",
    "across_homework_help": "homework help",
}
_KINDS = list(KINDS.categories)

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
    **dict.fromkeys(_TOPICS, pl.Int64),
    "follows_across": pl.Int64,
    "satisfaction": pl.Float64,
    "left": pl.Int64,
}
"""Columns of a life and their types:

active: people who came · there: who had arrived, not departed and not left for discontent ·
visits, impressions, clicks · english_share: of impressions · click_rate: clicks per impression ·
product_clicks, purchases, hides: per 1,000 impressions · comments · comments_across: those on a
note that is not in the reader's first language, and of these the ones on a topic, null where the
config does not name it · follows_across: creators followed from such a note · satisfaction: mean
over those there who have visited · left: who has left for discontent so far.
"""


class Acts(NamedTuple):
    """What was done on a day, by cohort of the reader on the first axis.

    Where the gate of behaviour is closed, the incumbents' acts are their twins'; their visits and
    impressions, which did not happen, are 0.
    """

    kinds: NDArray[np.int64]
    """(2, kinds) events."""
    comments: NDArray[np.int64]
    """(2, languages of readers, languages of notes, topics)."""
    follows: NDArray[np.int64]
    """As comments: creators followed from a note."""

    @classmethod
    def of(cls, world: World, day: Day, people: People, given: tuple[NoteTable, NoteTable]) -> Self:
        """Counts a day's events.

        Args:
            world: the config.
            day: the day.
            people: those of its run; more of them behind do not matter.
            given: its notes as incumbents and as newcomers are given them, or more.
        """
        cohort = (day.user >= world.incumbents).astype(np.int64)
        kinds = np.bincount(cohort * len(_KINDS) + day.kind, minlength=2 * len(_KINDS))
        n_topics = len(world.population.incumbents.topics)

        def met(kind: str) -> NDArray[np.int64]:
            which = day.kind == _KINDS.index(kind)
            reader, note = day.user[which], day.item[which]
            shape = (2, len(LANGUAGES), len(LANGUAGES), n_topics)
            mine, theirs = (notes.language[note] for notes in given)
            language = np.where(cohort[which] == INCUMBENTS, mine, theirs)
            place = np.ravel_multi_index(
                (cohort[which], people.app_language[reader], language, given[0].topic[note]), shape
            )
            return np.bincount(place, minlength=int(np.prod(shape))).reshape(shape)

        return cls(kinds.reshape(2, len(_KINDS)), met("comment"), met("follow"))


def life_rows(world: World, day: Day, acts: Acts) -> list[dict[str, Any]]:
    """A day's two rows, incumbents and newcomers; None where a rate has nothing to be a rate of.

    Args:
        world: the config.
        day: the day.
        acts: what was done on it.
    """
    return [_row(world, day, acts, cohort) for cohort in range(2)]


def life_frame(
    world: World, days: Iterable[Day], people: People, given: tuple[NoteTable, NoteTable]
) -> pl.DataFrame:
    """The life of several days of one run: a row a day and cohort, columns as in `LIFE`.

    Args:
        world: the config.
        days: the days.
        people: everybody in the run.
        given: everything, as incumbents and as newcomers are given it.
    """
    rows = [
        row for day in days for row in life_rows(world, day, Acts.of(world, day, people, given))
    ]
    return pl.DataFrame(rows, schema=LIFE)


def _row(world: World, day: Day, acts: Acts, cohort: int) -> dict[str, Any]:
    traffic, state, kinds = day.traffic, day.state, acts.kinds[cohort]
    by_clicks, shown = traffic.visits_by_clicks[cohort], int(traffic.impressions[cohort].sum())
    topics = list(world.population.incumbents.topics)
    across = _across(acts.comments[cohort])

    def per_1000(kind: str) -> float | None:
        return _ratio(1000 * kinds[_KINDS.index(kind)], shown)

    return {
        "day": day.day,
        "cohort": COHORTS.categories[cohort],
        "active": int(traffic.people[cohort]),
        "there": int(state.there[cohort]),
        "visits": int(by_clicks.sum()),
        "impressions": shown,
        "clicks": int(kinds[_KINDS.index("click")]),
        "english_share": _ratio(traffic.impressions[cohort][LANGUAGES.index("en")], shown),
        "click_rate": _ratio(kinds[_KINDS.index("click")], shown),
        "product_clicks_per_1000": per_1000("product_click"),
        "purchases_per_1000": per_1000("purchase"),
        "hides_per_1000": per_1000("hide"),
        "comments": int(acts.comments[cohort].sum()),
        "comments_across": int(across.sum()),
        **{
            column: int(across[topics.index(topic)]) if topic in topics else None
            for column, topic in _TOPICS.items()
        },
        "follows_across": int(_across(acts.follows[cohort]).sum()),
        "satisfaction": _known(state.satisfaction[cohort]),
        "left": int(state.left[cohort]),
    }


def _across(met: NDArray[np.int64]) -> NDArray[np.int64]:
    """(topics,) of (languages of readers, languages of notes, topics): where the two differ."""
    other = ~np.eye(len(LANGUAGES), dtype=np.bool_)
    return np.asarray(met[other].sum(axis=0))


def _ratio(part: Any, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
