"""The candidates of looks, as a platform's own log may keep them, and what was known of them.

The candidates of a look are the first ranks of its feed, deeper than is shown. A slot is filled
from its source, so each source's slots of a look have a candidate set of their own. That a set has
an order, and what comes next in it, is not told to an estimator.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.checks.shown import CLICKS, SHORT_VIDEO, newcomers_language
from recsys.estimates import Sets, Told, refilled
from recsys.logs.schema import KIND_CODES, SOURCES
from recsys.statistics.arrays import Floats
from recsys.world.arms import INCUMBENTS
from recsys.world.people.behaviour import examination
from recsys.world.simulate import Simulation

KEPT = 3
"""How many times as deep as it is shown a feed is kept."""


class Candidates(NamedTuple):
    """Candidate sets of some users' looks, a value for each candidate."""

    sets: Sets
    """The sets; `user` holds rows of people."""
    of: dict[str, Floats]
    """What is averaged, by name: displaced, english, short video, and clicks per look, of which it
    holds clicks. A click is NaN where nothing was shown."""
    look: Floats
    """Probability that the user looks at a slot that was shown, NaN for others."""


def told_by_choices(
    simulation: Simulation, days: Sequence[int], users: NDArray[np.int64], k: int
) -> dict[str, Told]:
    """What a choice model tells from the candidates of some mornings, by the names of `Candidates`.

    Args:
        simulation, days, users, k: see `candidates_of`.
    """
    sets, of, look = candidates_of(simulation, days, users, k)
    told = {}
    for name, found in zip(of, refilled(sets, list(of.values())), strict=True):
        one = found.told
        if name == CLICKS and found.slots:
            per = float(look[found.counted].mean())
            one = one._replace(value=one.value / per, se=one.se / per)
        told[name] = one
    return told


def candidates_of(
    simulation: Simulation, days: Sequence[int], users: NDArray[np.int64], k: int
) -> Candidates:
    """The candidates of some users' feeds of some mornings.

    Args:
        simulation: a world that has kept their feeds of these mornings, deeper than k.
        days: the days, such as (7,).
        users: int (n,), sorted rows of incumbents.
        k: number of slots that were shown, such as 20.
    """
    mornings = [_of_morning(simulation, day, users, k) for day in days]
    sets = Sets(*map(np.concatenate, zip(*(one.sets for one in mornings), strict=True)))
    sets = sets._replace(number=np.unique(sets.number, return_inverse=True)[1])
    of = {name: np.concatenate([one.of[name] for one in mornings]) for name in mornings[0].of}
    return Candidates(sets, of, np.concatenate([one.look for one in mornings]))


def _of_morning(simulation: Simulation, day: int, users: NDArray[np.int64], k: int) -> Candidates:
    """The candidates of one morning; a set's number is not that of any other morning's set."""
    served = simulation.morning(day).served
    rows = np.searchsorted(served.users, users)
    posts, sources = served.feeds[rows], served.sources[rows]
    row, place = np.nonzero(posts >= 0)
    post, user, rank = posts[row, place], users[row], np.where(place < k, place + 1, 0)
    table = simulation.posts_for[INCUMBENTS]
    english = table.language[post] == newcomers_language(simulation)
    short = table.format[post] == SHORT_VIDEO
    number = (day * simulation.people.n + user) * len(SOURCES.categories) + sources[row, place]
    features = np.column_stack([_features(simulation, day, user, post), english, short])
    sets = Sets(user, number, rank, simulation.from_newcomers[post], features)
    clicks = np.where(rank > 0, _clicks(simulation, day, user, post), np.nan)
    named = {"displaced": sets.by_newcomers, "english": english, "short video": short}
    of = {name: values.astype(np.float64) for name, values in named.items()}
    look = np.where(rank > 0, examination(simulation.world.platform, k)[rank - 1], np.nan)
    return Candidates(sets, {**of, CLICKS: clicks}, look)


def _features(
    simulation: Simulation, day: int, user: NDArray[np.int64], post: NDArray[np.int32]
) -> Floats:
    """What the platform knew that morning of users and posts, float64 (n, 5)."""
    morning = simulation.morning(day)
    shelves, liked = morning.shelves[INCUMBENTS], morning.affinities[INCUMBENTS]
    table = simulation.posts_for[INCUMBENTS]
    before = [past for past in simulation.days if past.day < day]
    clicks, looks = (
        np.bincount(
            np.concatenate([past.item[past.kind == KIND_CODES[kind]] for past in before]),
            minlength=table.n,
        )
        for kind in ("click", "impression")
    )
    affinity = np.log(np.maximum(liked[user, shelves.buckets[post]], 1e-6))
    followed = (morning.follows[user] == table.creator[post][:, None]).any(axis=1)
    return np.column_stack(
        [affinity, shelves.freshness[post], np.log1p(clicks[post]), np.log1p(looks[post]), followed]
    )


def _clicks(
    simulation: Simulation, day: int, user: NDArray[np.int64], post: NDArray[np.int32]
) -> Floats:
    """Float64 (n,): whether each was clicked on that day; NaN where it was not shown."""
    (today,) = (past for past in simulation.days if past.day == day)
    pair = user * simulation.posts.n + post
    shown, clicked = (
        np.isin(pair, today.user[of].astype(np.int64) * simulation.posts.n + today.item[of])
        for of in (today.kind == KIND_CODES["impression"], today.is_click)
    )
    return np.where(shown | clicked, clicked, np.nan).astype(np.float64)
