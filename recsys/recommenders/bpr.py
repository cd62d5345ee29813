"""BPR: vectors that rank the items a user liked above the items the user did not touch."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys.core.noise import Stream, integer_seed
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Model, ModelNumber, binary
from recsys.recommenders.collaborative import Collaborative
from recsys.recommenders.factors import FactorModel, warm_factors
from recsys.recommenders.pairs import all_finite, bpr_epoch, epoch_seeds, steps_of, table_of
from recsys.recommenders.recency import log_recency


class BPR(Collaborative):
    """Learns vectors of users and items from pairs of a liked and an untouched item.

    Minimises Σ -ln σ(s_ui - s_uj) + λ/2 (|x_u|² + |y_i|² + |y_j|²), where s_ui = x_u·y_i + b_i. For
    each like of item i by user u it draws an item j that u did not like, all such items with equal
    probability, and takes a step down the gradient. Rendle et al. 2009, "BPR: Bayesian personalized
    ranking from implicit feedback", who also penalise the biases b. Use it where the order at the
    top matters more than how often a user came back to an item.

    `BayesianPersonalizedRanking` of `implicit` 0.7.3 draws j in proportion to its likes, so that
    popularity cancels out of what it learns. Here the starting vectors, the order of the steps and
    the draws depend on the training seed and on keys alone: one more event adds a step and leaves
    all other draws as they are.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3, 4, 4], "item_id": [7, 8, 7, 8, 7, 9, 10]})
    >>> BPR(factors=4, iterations=500).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = True

    factors: int = Field(default=16, ge=1, le=1024)
    """Length of the vectors; an item also has a bias."""
    regularization: float = Field(default=0.03, ge=0)
    """Penalty λ on the vectors."""
    learning_rate: float = Field(default=0.035, gt=0)
    """Factor by which the gradient is multiplied in a step."""
    iterations: int = Field(default=100, ge=1)
    """Number of epochs; an epoch takes one step for every like."""
    warm_iterations: int = Field(default=30, ge=1)
    """Number of epochs where the fit starts from a previous model."""

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> "BPRModel":
        """Runs stochastic gradient descent over pairs; see `Recommender.fit`.

        Args:
            log: the training log.
            seed: training seed of the starting vectors, the order of the steps and the drawn items,
                such as 0.
            previous: a model whose vectors the fit starts from, if it is a `BPRModel` with vectors
                of the same length.

        Raises:
            LogError: the log holds no positive event, or the vectors become infinite.
        """
        hot, liked, width = log.interactions, binary(log), self.factors + 1
        before = previous if isinstance(previous, BPRModel) else None
        warm = before is not None and before.factors == width
        users, items = before.by_key if before is not None and warm else (None, None)
        x = warm_factors(seed, Stream.MODEL_USER, hot.user_keys, width, users)
        y = warm_factors(seed, Stream.MODEL_ITEM, hot.item_keys, width, items)
        x[:, -1] = 1  # the factor of the item's bias in the product
        pair_seed = integer_seed(seed, ModelNumber.BPR)
        steps, table = steps_of(hot, liked, pair_seed), table_of(hot, pair_seed)
        rate, penalty = np.float32(self.learning_rate), np.float32(self.regularization)
        epochs = self.warm_iterations if warm else self.iterations
        for key in epoch_seeds(ModelNumber.BPR, seed, epochs):
            bpr_epoch(steps, key, table, x, y, rate, penalty)
        all_finite("bpr", x, y)
        recency = log_recency(log, self.recency)
        return BPRModel(log, x, y, candidate_days=self.candidate_days, recency=recency)


@dataclass(frozen=True)
class BPRModel(FactorModel):
    """The model that bpr learns; the last column is 1 for users and the bias for items."""

    log_odds: ClassVar[bool] = True
