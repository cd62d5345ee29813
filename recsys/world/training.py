"""Closed loop: the morning's fits. What is fitted to serve incumbents passes the training gate."""

from collections.abc import Iterable

from recsys.log import InteractionLog
from recsys.noise import integer_seed
from recsys.world.arms import INCUMBENTS, NEWCOMERS
from recsys.world.frames import Day, events_frame, items_frame, users_frame
from recsys.world.policy import Policy, Ranker
from recsys.world.scene import Scene

__all__ = ["Rankers", "fit"]

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
    seed = integer_seed(scene.seed, 1 if scene.arm.retrained else 0)
    users, events = (
        users_frame(scene.world, scene.people),
        events_frame(history, positive=not policy.impressions),
    )
    log = InteractionLog(users, items_frame(scene.world, scene.notes), events)
    full = policy.fit(log, seed, previous[NEWCOMERS])
    trained_on_all = scene.arm.opens("training", INCUMBENTS)
    if trained_on_all and scene.arm.opens("adaptation", INCUMBENTS):
        return full, full
    if not trained_on_all:
        events = events.filter(events["user"] < scene.world.incumbents)
    own = InteractionLog(users, items_frame(scene.world, scene.notes_of(INCUMBENTS)), events)
    return policy.fit(own, seed, previous[INCUMBENTS]), full
