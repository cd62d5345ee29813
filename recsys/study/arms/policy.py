"""A recommender as the policy that serves a world, trained each morning.

Where the recommender fills fewer slots than asked for, the trending list fills the rest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders import ALS, Model, Recommender, Trending, with_fallback
from recsys.recommenders import Ranker as TwoStages
from recsys.world.platform.policy import Ranker


@dataclass(frozen=True)
class RecommenderPolicy:
    """Serves a world by a recommender.

    Attributes:
        recommender: the recommender that is fitted, such as `ALS()`.
        training_days: number of days before that it learns from, such as 14.
    """

    recommender: Recommender
    training_days: int = 14

    @property
    def impressions(self) -> bool:
        """Whether the recommender learns from what was shown and not clicked."""
        return self.recommender.needs_impressions

    @property
    def by_need(self) -> bool:
        """Whether rankings are only as long as visits need them: where depth costs work.

        That is where posts are found by pruning, and where each post of a list is described.
        """
        if type(self.recommender) is ALS:
            return self.recommender.retrieval == "pruned"
        return type(self.recommender) is TwoStages

    def fit(self, log: InteractionLog, seed: int, previous: Ranker | None) -> "_Fit":
        """Fits the recommender; one that can go on from an earlier model does so.

        Args:
            log: events of the last `training_days` days.
            seed: training seed, such as 0.
            previous: what this method gave on the day before, or None.
        """
        before = previous.model if isinstance(previous, _Fit) else None
        model, trending = self.recommender.fit(log, seed, before), Trending().fit(log)
        few = log.without_events()
        return _Fit(model.without_events(few), trending.without_events(few))


@dataclass(frozen=True)
class _Fit:
    """The model of one morning, and the trending list that fills its gaps."""

    model: Model
    fallback: Model

    def rank(
        self, users: NDArray[np.int64], k: int, candidates: NDArray[np.bool_], seen: Seen
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """See `recsys.world.platform.policy.Ranker`."""
        own = self.model.rank(users, k, candidates, seen)
        full = with_fallback(own, self.fallback, users, candidates, seen)
        return full.item_ids, full.sources
