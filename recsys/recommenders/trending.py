"""Trending: what everybody clicked lately."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.errors import LogError
from recsys.log import InteractionLog
from recsys.recommenders.base import COLD, HOT, WARM, Model, Recommender, Scores, Users

__all__ = ["Trending"]

_DAY = 86_400_000


class Trending(Recommender):
    """Items by their event weights, each halved with every half-life that has passed since.

    score_i = Σ w 2^(-age / half_life_days), exponential forgetting as in Koren 2009, "Collaborative
    filtering with temporal dynamics". Use it as the fallback for users without history, and as the
    reference for what no personalisation gives. In a log without times every event counts alike.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 7, 8]})
    >>> Trending().fit(log).recommend([4], k=2)["item_id"].to_list()
    [7, 8]
    """

    deterministic: ClassVar[bool] = True
    uses_weights: ClassVar[bool] = True

    half_life_days: float = Field(default=2.0, gt=0)
    """Time in which an event loses half of its weight."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "TrendingModel":
        """Sums the decayed weights; see `Recommender.fit`. The seed changes nothing."""
        liked = log.dense["weight"].to_numpy() > 0
        if not liked.any():
            raise LogError("the training log holds no positive event: nothing is trending")
        weight = log.dense["weight"].to_numpy()[liked].astype(np.float64)
        if log.has_times:
            time = log.dense["timestamp"].to_physical().to_numpy()[liked]
            weight = weight * np.exp2((time - time.max()) / (_DAY * self.half_life_days))
        item = log.dense["item"].to_numpy()[liked]
        heat = np.bincount(item, weight, minlength=log.n_items).astype(np.float64)
        return TrendingModel(log, heat)


@dataclass(frozen=True)
class TrendingModel(Model):
    """One list for everybody, less what each has seen."""

    heat: NDArray[np.float64]
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM, COLD)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return np.tile(self.heat[items], (np.size(users), 1))
