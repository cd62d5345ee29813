"""Most popular: the items with the most clicks of all time, the same for every user."""

from typing import ClassVar

import numpy as np

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Model, PopularityModel, Recommender


class MostPopular(Recommender):
    """Ranks items by the sum of their event weights in the training log, Σ_u w_ui, without decay.

    The usual baseline since Cremonesi, Koren & Turrin 2010, "Performance of recommender algorithms
    on top-N recommendation tasks". Use it beside `trending`, which differs by its decay alone, to
    see what decay does.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 7, 8],
    ...     "timestamp": ["2025-01-01", "2025-01-01", "2025-01-31"]})
    >>> MostPopular().fit(log).recommend([4], k=2)["item_id"].to_list()
    [7, 8]
    """

    deterministic: ClassVar[bool] = True
    uses_weights: ClassVar[bool] = True

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "MostPopularModel":
        """Sums the weights; see `Recommender.fit`. The seed has no effect."""
        weight = log.dense["weight"].to_numpy().astype(np.float64)
        if not (weight > 0).any():
            raise LogError("the training log holds no positive event: nothing is popular")
        popularity = np.bincount(log.dense["item"].to_numpy(), weight, minlength=log.n_items)
        return MostPopularModel(log, popularity.astype(np.float64))


class MostPopularModel(PopularityModel):
    """The model that most_popular learns."""
