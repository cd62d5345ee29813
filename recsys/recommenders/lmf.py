"""LMF: factors that give the odds of a like."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys.errors import LogError
from recsys.log import InteractionLog
from recsys.noise import Stream, integer_seed
from recsys.recommenders.base import Model, ModelNumber, Recommender
from recsys.recommenders.factors import FactorModel, solve, warm_factors

__all__ = ["LMF"]


class LMF(Recommender):
    """Users and items as vectors whose product is the log odds of a like.

    Maximises Σ α w_ui s_ui - (1 + α w_ui) ln(1 + exp s_ui) - λ/2 (Σ|x|² + Σ|y|²), where
    s_ui = x_u·y_i + b_u + b_i and w is the event weight, over likes and drawn pairs without one.
    Johnson 2014, "Logistic matrix factorization for implicit feedback data", by the solver of
    `implicit` (AdaGrad). Use it where scores should be comparable between users. Vectors start from
    keyed draws, but the pairs come from a stream of the solver's own: one more event and all that
    follow are others.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3, 4, 4], "item_id": [7, 8, 7, 8, 7, 9, 10]})
    >>> LMF(factors=4).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = True

    factors: int = Field(default=32, ge=1, le=1024)
    """Length of the vectors; users and items have a bias besides."""
    regularization: float = Field(default=0.6, ge=0)
    """Penalty λ on the vectors."""
    alpha: float = Field(default=1.0, gt=0)
    """What a unit of event weight counts, in pairs without a like."""
    learning_rate: float = Field(default=1.0, gt=0)
    """Step of AdaGrad."""
    iterations: int = Field(default=30, ge=1)
    """Sweeps over users and items."""
    warm_iterations: int = Field(default=10, ge=1)
    """Sweeps where it goes on from a previous model."""
    negatives: int = Field(default=30, ge=1)
    """Pairs without a like that are drawn for each like, in every sweep."""

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> "LMFModel":
        """Climbs the likelihood; see `Recommender.fit`.

        Args:
            log: the training log.
            seed: draws the starting vectors and the pairs without a like.
            previous: an `LMFModel` with as many factors, from whose vectors to go on.

        Raises:
            LogError: nothing to learn from, or the climb leaves the finite numbers.
        """
        from implicit.cpu.lmf import LogisticMatrixFactorization

        hot = log.interactions
        if hot.weights.nnz == 0:
            raise LogError("the training log holds no positive event: lmf has nothing to learn")
        width = self.factors + 2
        before = previous if isinstance(previous, LMFModel) else None
        warm = before is not None and before.factors == width
        users, items = before.by_key if before is not None and warm else (None, None)
        x = warm_factors(seed, Stream.MODEL_USER, hot.user_keys, width, users)
        y = warm_factors(seed, Stream.MODEL_ITEM, hot.item_keys, width, items)
        x[:, -2], y[:, -1] = 1, 1  # what the other side's bias is multiplied by
        solver = LogisticMatrixFactorization(
            factors=self.factors,
            regularization=self.regularization,
            learning_rate=self.learning_rate,
            iterations=self.warm_iterations if warm else self.iterations,
            neg_prop=self.negatives,
            dtype=np.float32,
            num_threads=1,
            random_state=integer_seed(seed, ModelNumber.LMF),
        )
        solver.user_factors, solver.item_factors = x, y
        solve(solver, (hot.weights * np.float32(self.alpha)).astype(np.float32), "lmf")
        return LMFModel(log, solver.user_factors, solver.item_factors)


@dataclass(frozen=True)
class LMFModel(FactorModel):
    """What lmf learned; the last columns are 1 and the bias for users, the reverse for items."""
