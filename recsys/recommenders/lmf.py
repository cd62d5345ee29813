"""LMF: logistic matrix factorisation, whose scores are log odds of a like."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys.core.errors import LogError
from recsys.core.noise import Stream, integer_seed
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Model, ModelNumber
from recsys.recommenders.collaborative import Collaborative
from recsys.recommenders.factors import FactorModel, warm_factors
from recsys.recommenders.pairs import all_finite, epoch_seeds, lmf_epoch, steps_of, table_of
from recsys.recommenders.recency import log_recency


class LMF(Collaborative):
    """Learns vectors of users and items whose product is the log odds of a like.

    Maximises Σ α w_ui ln σ(s_ui) + Σ ln σ(-s_uj) - λ/2 (|x|² + |y|²), where
    s_ui = x_u·y_i + b_u + b_i, w is the event weight and the biases b are not penalised. The first
    sum is over likes. The second is over items j that the user did not like: `negatives` of them
    are drawn for each like, all with equal probability. Each pair takes one step with AdaGrad.
    Johnson 2014, "Logistic matrix factorization for implicit feedback data", who sums over all
    pairs. Use it where scores should say how likely a like is, and where repeated events count.

    `LogisticMatrixFactorization` of `implicit` 0.7.3 draws j in proportion to its likes, and at
    most `factors` + 2 items for a user. Here the starting vectors, the order of the steps and the
    draws depend on the training seed and on keys alone: one more event adds steps and leaves all
    other draws as they are.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3, 4, 4], "item_id": [7, 8, 7, 8, 7, 9, 10]})
    >>> LMF(factors=4).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = True

    factors: int = Field(default=16, ge=1, le=1024)
    """Length of the vectors; users and items also have a bias each."""
    regularization: float = Field(default=0.04, ge=0)
    """Penalty λ on the vectors."""
    alpha: float = Field(default=1.0, gt=0)
    """Weight α of a like with event weight 1; a drawn item without a like has weight 1."""
    learning_rate: float = Field(default=0.18, gt=0)
    """Length of the first step in each coordinate; AdaGrad shortens later steps."""
    iterations: int = Field(default=10, ge=1)
    """Number of epochs; an epoch goes through all likes."""
    warm_iterations: int = Field(default=5, ge=1)
    """Number of epochs where the fit starts from a previous model."""
    negatives: int = Field(default=2, ge=1)
    """Number of items without a like that are drawn for each like in every epoch."""

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> "LMFModel":
        """Runs stochastic gradient ascent over pairs; see `Recommender.fit`.

        Args:
            log: the training log.
            seed: training seed of the starting vectors, the order of the steps and the drawn items,
                such as 0.
            previous: a model whose vectors the fit starts from, if it is an `LMFModel` with vectors
                of the same length.

        Raises:
            LogError: the log holds no positive event, or the vectors become infinite.
        """
        hot = log.interactions
        if hot.weights.nnz == 0:
            raise LogError("the training log holds no positive event: lmf has nothing to learn")
        width = self.factors + 2
        before = previous if isinstance(previous, LMFModel) else None
        warm = before is not None and before.factors == width
        users, items = before.by_key if before is not None and warm else (None, None)
        x = warm_factors(seed, Stream.MODEL_USER, hot.user_keys, width, users)
        y = warm_factors(seed, Stream.MODEL_ITEM, hot.item_keys, width, items)
        x[:, -2], y[:, -1] = 1, 1  # the factor of the other side's bias in the product
        pair_seed = integer_seed(seed, ModelNumber.LMF)
        steps, table = steps_of(hot, hot.weights, pair_seed), table_of(hot, pair_seed)
        sums = np.zeros_like(x), np.zeros_like(y)
        options = (self.learning_rate, self.regularization, self.alpha)
        rate, penalty, alpha = (np.float32(option) for option in options)
        epochs = self.warm_iterations if warm else self.iterations
        for key in epoch_seeds(ModelNumber.LMF, seed, epochs):
            lmf_epoch(steps, key, table, x, y, *sums, rate, penalty, alpha, self.negatives)
        all_finite("lmf", x, y)
        recency = log_recency(log, self.recency)
        return LMFModel(log, x, y, candidate_days=self.candidate_days, recency=recency)


@dataclass(frozen=True)
class LMFModel(FactorModel):
    """The model that lmf learns.

    The last two columns are 1 and the bias for users, and the bias and 1 for items.
    """

    log_odds: ClassVar[bool] = True
