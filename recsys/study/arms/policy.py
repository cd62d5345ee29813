"""A recommender as the policy of a world: trained each morning, its gaps filled by trending."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders import Model, Recommender, Trending, with_fallback
from recsys.world.platform.policy import Ranker


@dataclass(frozen=True)
class RecommenderPolicy:
    """Serves a world by a recommender.

    Attributes:
        recommender: what is fitted.
        training_days: how many days back it learns from.
    """

    recommender: Recommender
    training_days: int = 14

    @property
    def impressions(self) -> bool:
        """Whether it learns from what was shown and not clicked."""
        return self.recommender.needs_impressions

    def fit(self, log: InteractionLog, seed: int, previous: Ranker | None) -> "_Fit":
        """A fit to the last days' events, from the last fit on where the recommender can."""
        before = previous.model if isinstance(previous, _Fit) else None
        return _Fit(self.recommender.fit(log, seed, before), Trending().fit(log))


@dataclass(frozen=True)
class _Fit:
    """One morning's model, and what fills its gaps."""

    model: Model
    fallback: Model

    def rank(
        self, users: NDArray[np.int64], k: int, candidates: NDArray[np.bool_], seen: Seen
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """See `recsys.world.platform.policy.Ranker`."""
        own = self.model.rank(users, k, candidates, seen)
        full = with_fallback(own, self.fallback, users, candidates, seen)
        return full.item_ids, full.sources
