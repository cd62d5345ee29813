"""The morning's fits in a closed loop. The training gate acts on the fit for incumbents."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.noise import integer_seed
from recsys.logs.log import InteractionLog
from recsys.measures.items import liked_popularity, popularity_of
from recsys.world.arms import INCUMBENTS, NEWCOMERS
from recsys.world.day.values import Day, Liked
from recsys.world.frames import events_frame, items_frame, users_frame
from recsys.world.platform.policy import Policy, Ranker
from recsys.world.scene import Scene

Rankers = tuple[Ranker | None, ...]
"""The fits that serve each of `Scene.cohorts`; None, before the first fit, for the house."""


def fit(
    scene: Scene,
    policy: Policy,
    history: Sequence[Day],
    previous: Rankers,
    described: NDArray[np.int64] | None = None,
) -> tuple[tuple[Ranker, Ranker], Liked | None]:
    """This morning's fits for incumbents and for newcomers: one fit if the gates allow it.

    Args:
        scene: the people and posts, the arm, and the seed.
        policy: the recommender that serves.
        history: the days to learn from.
        previous: yesterday's fits.
        described: sorted rows of people whose likes are described; None for no `Liked`.
    """
    events, day = _events(policy, history), _day(history)
    log = _log(scene, events, NEWCOMERS, day)
    full = _fit_to(log, scene, policy, previous, NEWCOMERS)
    liked = None if described is None else _liked(log, described)
    trained_on_all = scene.arm.opens("training", INCUMBENTS)
    if trained_on_all and scene.arm.opens("adaptation", INCUMBENTS):
        return (full, full), liked
    if not trained_on_all:
        events = _of_incumbents(scene, events)
    return (_fit(scene, policy, events, previous, INCUMBENTS, day), full), liked


def fit_without_newcomers(
    scene: Scene, policy: Policy, history: Sequence[Day], previous: Rankers
) -> Ranker:
    """The fit that would serve incumbents this morning if newcomers' events were left out.

    Everything else is as in `fit`: the days, the seed, the fit to go on from. So are the arguments.
    """
    events = _of_incumbents(scene, _events(policy, history))
    return _fit(scene, policy, events, previous, INCUMBENTS, _day(history))


def fit_to(
    scene: Scene,
    policy: Policy,
    history: Sequence[Day],
    previous: Ranker | None,
    people: NDArray[np.bool_],
) -> Ranker:
    """A fit to the events of some people alone.

    Args:
        scene, policy, history: as in `fit`.
        previous: yesterday's fit to the events of these people.
        people: bool (n_people,), from whose events it learns.
    """
    events = _events(policy, history)
    events = events.filter(people[events["user"].to_numpy()])
    return _fit(scene, policy, events, (previous, previous), NEWCOMERS, _day(history))


def _fit(
    scene: Scene, policy: Policy, events: pl.DataFrame, previous: Rankers, cohort: int, day: int
) -> Ranker:
    """A fit to these events that serves one cohort, from the posts as this cohort gets them."""
    return _fit_to(_log(scene, events, cohort, day), scene, policy, previous, cohort)


def _fit_to(
    log: InteractionLog, scene: Scene, policy: Policy, previous: Rankers, cohort: int
) -> Ranker:
    seed = integer_seed(scene.seed, 1 if scene.arm.retrained else 0)
    return policy.fit(log, seed, previous[cohort])


def _liked(log: InteractionLog, users: NDArray[np.int64]) -> Liked:
    popularity = popularity_of(log)
    return Liked(popularity, liked_popularity(log, users, popularity))


def _log(scene: Scene, events: pl.DataFrame, cohort: int, day: int) -> InteractionLog:
    """A log that holds no more of people and posts than is known when the day begins."""
    users = users_frame(scene.world, scene.people, day)
    return InteractionLog(users, items_frame(scene.world, scene.posts_for[cohort], day), events)


def _day(history: Sequence[Day]) -> int:
    """The day whose morning it is: the one after the last that is over."""
    return history[-1].day + 1


def _events(policy: Policy, history: Sequence[Day]) -> pl.DataFrame:
    """The events that the policy learns from: without impressions unless it uses them."""
    return events_frame(history, positive=not policy.impressions)


def _of_incumbents(scene: Scene, events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(events["user"] < scene.world.incumbents)
