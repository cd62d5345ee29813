"""The morning's fits in a closed loop. The training gate acts on the fit for incumbents."""

from collections.abc import Iterable

import polars as pl

from recsys.core.noise import integer_seed
from recsys.logs.log import InteractionLog
from recsys.world.arms import INCUMBENTS, NEWCOMERS
from recsys.world.day.values import Day
from recsys.world.frames import events_frame, items_frame, users_frame
from recsys.world.platform.policy import Policy, Ranker
from recsys.world.scene import Scene

Rankers = tuple[Ranker | None, Ranker | None]
"""The fits that serve incumbents and newcomers; None, before the first fit, for the house."""


def fit(
    scene: Scene, policy: Policy, history: Iterable[Day], previous: Rankers
) -> tuple[Ranker, Ranker]:
    """This morning's fits for incumbents and for newcomers: one fit if the gates allow it.

    Args:
        scene: the people and posts, the arm, and the seed.
        policy: the recommender that serves.
        history: the days to learn from.
        previous: yesterday's fits.
    """
    events = _events(policy, history)
    full = _fit(scene, policy, events, previous, NEWCOMERS)
    trained_on_all = scene.arm.opens("training", INCUMBENTS)
    if trained_on_all and scene.arm.opens("adaptation", INCUMBENTS):
        return full, full
    if not trained_on_all:
        events = _of_incumbents(scene, events)
    return _fit(scene, policy, events, previous, INCUMBENTS), full


def fit_without_newcomers(
    scene: Scene, policy: Policy, history: Iterable[Day], previous: Rankers
) -> Ranker:
    """The fit that would serve incumbents this morning if newcomers' events were left out.

    Everything else is as in `fit`: the days, the seed, the fit to go on from. So are the arguments.
    """
    events = _of_incumbents(scene, _events(policy, history))
    return _fit(scene, policy, events, previous, INCUMBENTS)


def _fit(
    scene: Scene, policy: Policy, events: pl.DataFrame, previous: Rankers, cohort: int
) -> Ranker:
    """A fit to these events that serves one cohort, from the posts as this cohort gets them."""
    users, items = users_frame(scene.world, scene.people), scene.posts_for[cohort]
    log = InteractionLog(users, items_frame(scene.world, items), events)
    seed = integer_seed(scene.seed, 1 if scene.arm.retrained else 0)
    return policy.fit(log, seed, previous[cohort])


def _events(policy: Policy, history: Iterable[Day]) -> pl.DataFrame:
    """The events that the policy learns from: without impressions unless it uses them."""
    return events_frame(history, positive=not policy.impressions)


def _of_incumbents(scene: Scene, events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(events["user"] < scene.world.incumbents)
