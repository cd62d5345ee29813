"""Roll-forward leave-out: each morning's fit since the arrival, as if no newcomer had come.

Left out are the newcomers' events and all events on their posts. Where a recommender goes on from
yesterday's model, the fits go on from one another, so that nothing newcomers taught it is left.
What incumbents did because of what they were shown, other than on newcomers' posts, stays.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from recsys.logs.log import InteractionLog
from recsys.recommenders import Model, Recommender


def without_trace(
    log: InteractionLog, newcomers: NDArray[np.bool_], their_posts: NDArray[np.bool_]
) -> InteractionLog:
    """The log without the newcomers' events and without all events on their posts.

    Args:
        log: the log; its users and items stay, so that dense ids do.
        newcomers: bool (n_users,), who is left out.
        their_posts: bool (n_items,), which items are by them.

    >>> log = InteractionLog.from_frames({"user_id": ["a", "a", "new"], "item_id": [1, 2, 1]})
    >>> without_trace(log, np.array([False, True]), np.array([False, True])).events["item_id"][0]
    1
    """
    user, item = (log.dense[name].to_numpy() for name in ("user", "item"))
    kept = ~newcomers[user] & ~their_posts[item]
    return InteractionLog(log.users, log.items, log.dense.filter(kept), log.cleaning)


def roll_forward(
    recommender: Recommender,
    mornings: Iterable[InteractionLog],
    newcomers: NDArray[np.bool_],
    their_posts: NDArray[np.bool_],
    seed: int = 0,
    before: Model | None = None,
) -> Model:
    """The last morning's model if no newcomer had come.

    Args:
        recommender: what is fitted each morning.
        mornings: the log of each morning since the arrival, in order, with the same users and
            items.
        newcomers, their_posts: as in `without_trace`.
        seed: training seed of the platform, such as 0.
        before: the model of the morning before the arrival, from which the first fit goes on.

    Raises:
        ValueError: there is no morning.
        LogError: a log holds nothing to learn from once newcomers are left out.
    """
    logs = list(mornings)
    if not logs:
        raise ValueError("there is no morning to fit")
    if not recommender.warm_starts:
        logs = logs[-1:]
    model = before
    for log in logs:
        model = recommender.fit(without_trace(log, newcomers, their_posts), seed, model)
    assert model is not None
    return model
