"""Recency: scores times popularity of late, an option of recommenders that learn from likes."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.config.base import Part
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import decayed_weights

_PRIOR = 0.5
"""Likes that are added to those of each item, so that an item without any is not ruled out."""


class Recency(Part):
    """How strongly items are preferred that are liked of late.

    >>> Recency(power=0.5).half_life_days
    2.0
    """

    half_life_days: float = Field(default=2.0, gt=0)
    """Days in which a like loses half of its weight in the popularity."""
    power: float = Field(default=1.0, gt=0)
    """Power to which the popularity is raised."""


def log_recency(log: InteractionLog, recency: Recency | None) -> NDArray[np.float64] | None:
    """Log of (popularity of late)^power, 0 for the most popular item; None without the option.

    The popularity of an item is its `decayed_weights` plus half a like.

    Args:
        log: the training log.
        recency: the option; None if it is off.

    Returns:
        Float64 (n_items,), at most 0.

    Raises:
        LogError: the log holds no positive event.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3, 1], "item_id": [7, 7, 7, 8]})
    >>> np.exp(log_recency(log, Recency(power=1.0))).round(3).tolist()
    [1.0, 0.429]
    """
    if recency is None:
        return None
    heat = decayed_weights(log, recency.half_life_days) + _PRIOR
    return np.asarray(recency.power * np.log(heat / heat.max()))


def multiply(scores: NDArray[np.float64], by: NDArray[np.float64]) -> None:
    """Multiplies positive scores by exp of a `log_recency`, in place; others stay.

    Args:
        scores: float64 (n_users, n_items), changed.
        by: float64 (n_items,), at most 0.

    >>> scores = np.array([[2.0, 2.0, -1.0]])
    >>> multiply(scores, np.log([1.0, 0.5, 0.5]))
    >>> scores.tolist()
    [[2.0, 1.0, -1.0]]
    """
    np.multiply(scores, np.exp(by), out=scores, where=scores > 0)
