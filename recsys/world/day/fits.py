"""Closed loop: the morning's fits. What is fitted to serve incumbents passes the training gate."""

from collections.abc import Iterable

import polars as pl

from recsys.core.noise import integer_seed
from recsys.logs.log import InteractionLog
from recsys.world.arms import INCUMBENTS, NEWCOMERS
from recsys.world.frames import Day, events_frame, items_frame, users_frame
from recsys.world.platform.policy import Policy, Ranker
from recsys.world.scene import Scene

Rankers = tuple[Ranker | None, Ranker | None]
"""What serves incumbents, and what serves newcomers; None before the first fit: the house."""


def fit(
    scene: Scene, policy: Policy, history: Iterable[Day], previous: Rankers
) -> tuple[Ranker, Ranker]:
    """This morning's fits for incumbents and newcomers: one, if the log that both see is.

    Args:
        scene: who and what is there, and with which seed it is trained.
        policy: the recommender that serves.
        history: the days to learn from.
        previous: the fits of the morning before.
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
    """What would serve incumbents this morning if newcomers' events were not learned from.

    Args: as for `fit`, which it equals in all else: the days, the seed, the fit to go on from.
    """
    events = _of_incumbents(scene, _events(policy, history))
    return _fit(scene, policy, events, previous, INCUMBENTS)


def _fit(
    scene: Scene, policy: Policy, events: pl.DataFrame, previous: Rankers, cohort: int
) -> Ranker:
    """A fit to these events, to serve a cohort."""
    users, items = users_frame(scene.world, scene.people), scene.given[cohort]
    log = InteractionLog(users, items_frame(scene.world, items), events)
    seed = integer_seed(scene.seed, 1 if scene.arm.retrained else 0)
    return policy.fit(log, seed, previous[cohort])


def _events(policy: Policy, history: Iterable[Day]) -> pl.DataFrame:
    return events_frame(history, positive=not policy.impressions)


def _of_incumbents(scene: Scene, events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(events["user"] < scene.world.incumbents)
