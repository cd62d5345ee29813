"""Trending: the items with the most recent clicks, the same for every user."""

from typing import ClassVar

from pydantic import Field

from recsys.logs.log import InteractionLog
from recsys.recommenders.base import (
    HALF_LIFE_DAYS,
    Model,
    PopularityModel,
    Recommender,
    decayed_weights,
)


class Trending(Recommender):
    """Ranks items by the sum of their event weights, where an event's weight decays with its age.

    score_i = Σ w 2^(-age / half_life_days), exponential forgetting as in Koren 2009, "Collaborative
    filtering with temporal dynamics". Use it as the fallback for users without history, and as the
    reference without personalisation. In a log without times no event decays.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 7, 8]})
    >>> Trending().fit(log).recommend([4], k=2)["item_id"].to_list()
    [7, 8]
    """

    deterministic: ClassVar[bool] = True
    uses_weights: ClassVar[bool] = True

    half_life_days: float = Field(default=HALF_LIFE_DAYS, gt=0)
    """Days in which an event loses half of its weight."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "TrendingModel":
        """Sums the decayed weights; see `Recommender.fit`. The seed has no effect."""
        return TrendingModel(log, decayed_weights(log, self.half_life_days))


class TrendingModel(PopularityModel):
    """The model that trending learns."""
