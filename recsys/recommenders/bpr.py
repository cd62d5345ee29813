"""BPR: factors that rank what a user liked above what the user did not touch."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys.core.noise import Stream, integer_seed
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Model, ModelNumber, Recommender, binary
from recsys.recommenders.factors import FactorModel, warm_factors
from recsys.recommenders.pairs import all_finite, bpr_epoch, epoch_seeds, steps_of, table_of


class BPR(Recommender):
    """Users and items as vectors, learned from pairs of a liked and an untouched item.

    Minimises Σ -ln σ(s_ui - s_uj) + λ/2 (|x_u|² + |y_i|² + |y_j|²), where s_ui = x_u·y_i + b_i, by
    a step down the gradient for each like of item i by user u and an item j that u did not like,
    all equally likely. Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit
    feedback", who also penalise the biases b. Use it where the order at the top counts more than
    how often something was done.

    `BayesianPersonalizedRanking` of `implicit` 0.7.3 draws j as often as it was liked, which takes
    popularity out of what is learned. Vectors, the order of the steps and the draws depend on the
    training seed and on keys alone: one more event adds a step and leaves the others as they are.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3, 4, 4], "item_id": [7, 8, 7, 8, 7, 9, 10]})
    >>> BPR(factors=4, iterations=500).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = True

    factors: int = Field(default=16, ge=1, le=1024)
    """Length of the vectors; an item has a bias besides."""
    regularization: float = Field(default=0.03, ge=0)
    """Penalty λ on the vectors of a step."""
    learning_rate: float = Field(default=0.035, gt=0)
    """Length of a step, as a share of the gradient."""
    iterations: int = Field(default=100, ge=1)
    """Epochs: each takes a step for every like."""
    warm_iterations: int = Field(default=30, ge=1)
    """Epochs where it goes on from a previous model."""

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> "BPRModel":
        """Descends along drawn pairs; see `Recommender.fit`.

        Args:
            log: the training log.
            seed: draws the starting vectors, the order of the steps and the untouched items.
            previous: a `BPRModel` with as many factors, from whose vectors to go on.

        Raises:
            LogError: nothing to learn from, or the descent leaves the finite numbers.
        """
        hot, liked, width = log.interactions, binary(log), self.factors + 1
        before = previous if isinstance(previous, BPRModel) else None
        warm = before is not None and before.factors == width
        users, items = before.by_key if before is not None and warm else (None, None)
        x = warm_factors(seed, Stream.MODEL_USER, hot.user_keys, width, users)
        y = warm_factors(seed, Stream.MODEL_ITEM, hot.item_keys, width, items)
        x[:, -1] = 1  # what an item's bias is multiplied by
        own = integer_seed(seed, ModelNumber.BPR)
        steps, table = steps_of(hot, liked, own), table_of(hot, own)
        rate, penalty = np.float32(self.learning_rate), np.float32(self.regularization)
        number = self.warm_iterations if warm else self.iterations
        for key in epoch_seeds(ModelNumber.BPR, seed, number):
            bpr_epoch(steps, key, table, x, y, rate, penalty)
        all_finite("bpr", x, y)
        return BPRModel(log, x, y)


@dataclass(frozen=True)
class BPRModel(FactorModel):
    """What bpr learned; the last column is 1 for users and the bias for items."""
