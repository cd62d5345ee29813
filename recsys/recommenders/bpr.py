"""BPR: factors that rank what a user liked above what the user did not touch."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys.log import InteractionLog
from recsys.noise import Stream, integer_seed
from recsys.recommenders.base import Model, ModelNumber, Recommender, binary
from recsys.recommenders.factors import FactorModel, solve, warm_factors

__all__ = ["BPR"]


class BPR(Recommender):
    """Users and items as vectors, learned from pairs of a liked and an untouched item.

    Minimises -Σ ln σ(x_u·y_i + b_i - x_u·y_j - b_j) + λ(|x|² + |y|² + b²) over drawn triples: user
    u liked i and not j. Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit
    feedback", by the solver of `implicit`. Use it where the order at the top counts more than how
    often something was done. Vectors start from keyed draws, but the triples come from a stream of
    the solver's own: one more event and all that follow are others.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3, 4, 4], "item_id": [7, 8, 7, 8, 7, 9, 10]})
    >>> BPR(factors=4, iterations=500).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = True

    factors: int = Field(default=64, ge=1, le=1024)
    """Length of the vectors; an item has a bias besides."""
    regularization: float = Field(default=0.01, ge=0)
    """Penalty λ on vectors and biases."""
    learning_rate: float = Field(default=0.05, gt=0)
    """Step of the gradient descent."""
    iterations: int = Field(default=100, ge=1)
    """Epochs: each draws as many triples as there are likes."""
    warm_iterations: int = Field(default=30, ge=1)
    """Epochs where it goes on from a previous model."""

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> "BPRModel":
        """Descends along drawn triples; see `Recommender.fit`.

        Args:
            log: the training log.
            seed: draws the starting vectors and the triples.
            previous: a `BPRModel` with as many factors, from whose vectors to go on.

        Raises:
            LogError: nothing to learn from, or the descent leaves the finite numbers.
        """
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        hot, liked = log.interactions, binary(log).astype(np.float32)
        width = self.factors + 1
        before = previous if isinstance(previous, BPRModel) else None
        warm = before is not None and before.factors == width
        users, items = before.by_key if before is not None and warm else (None, None)
        x = warm_factors(seed, Stream.MODEL_USER, hot.user_keys, width, users)
        x[:, -1] = 1  # what an item's bias is multiplied by
        solver = BayesianPersonalizedRanking(
            factors=self.factors,
            regularization=self.regularization,
            learning_rate=self.learning_rate,
            iterations=self.warm_iterations if warm else self.iterations,
            dtype=np.float32,
            num_threads=1,
            random_state=integer_seed(seed, ModelNumber.BPR),
        )
        solver.user_factors = x
        solver.item_factors = warm_factors(seed, Stream.MODEL_ITEM, hot.item_keys, width, items)
        solve(solver, liked, "bpr")
        return BPRModel(log, solver.user_factors, solver.item_factors)


@dataclass(frozen=True)
class BPRModel(FactorModel):
    """What bpr learned; the last column is 1 for users and the bias for items."""
