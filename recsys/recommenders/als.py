"""ALS: matrix factorisation of implicit feedback, with starting factors drawn at keys."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys.core.errors import LogError
from recsys.core.noise import Stream
from recsys.core.threads import single_threaded_blas
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Model
from recsys.recommenders.collaborative import Collaborative
from recsys.recommenders.factors import FactorModel, solve, warm_factors
from recsys.recommenders.recency import log_recency


class ALS(Collaborative):
    """Learns vectors of users and items whose product predicts a like, weighted by its repetitions.

    Minimises Σ c_ui (p_ui - x_u·y_i)² + λ(Σ|x_u|² + Σ|y_i|²) over all pairs: p = 1 and
    c = alpha·weight where there was an event, p = 0 and c = 1 elsewhere. This is the problem that
    `implicit` solves; Hu, Koren & Volinsky 2008, "Collaborative filtering for implicit feedback
    datasets", have c = 1 + alpha·weight. The starting factors of a user or an item depend on the
    training seed and its key alone, so that users who do nothing change nobody's feed. Use it where
    there are many items.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> ALS(factors=2).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False
    uses_weights: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True

    factors: int = Field(default=8, ge=1, le=1024)
    """Length of the vectors."""
    regularization: float = Field(default=1.0, ge=0)
    """Penalty λ on the vectors."""
    alpha: float = Field(default=10.0, gt=0)
    """Confidence c per unit of event weight; a pair without an event has confidence 1."""
    iterations: int = Field(default=10, ge=1)
    """Number of sweeps over users and items."""
    warm_iterations: int = Field(default=3, ge=1)
    """Number of sweeps where the fit starts from a previous model."""

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> "ALSModel":
        """Solves for users' and items' vectors in turn; see `Recommender.fit`.

        Args:
            log: the training log.
            seed: training seed of the starting vectors, such as 0.
            previous: a model whose vectors the fit starts from, if it is an `ALSModel` with vectors
                of the same length.

        Raises:
            LogError: the log holds no positive event, or the vectors become infinite.
        """
        from implicit.cpu.als import AlternatingLeastSquares

        hot = log.interactions
        if hot.weights.nnz == 0:
            raise LogError("the training log holds no positive event: als has nothing to learn")
        before = previous if isinstance(previous, ALSModel) else None
        warm = before is not None and before.factors == self.factors
        with single_threaded_blas():
            solver = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.warm_iterations if warm else self.iterations,
                dtype=np.float32,
                num_threads=1,
                random_state=0,
            )
            users, items = before.by_key if before is not None and warm else (None, None)
            solver.user_factors = warm_factors(
                seed, Stream.MODEL_USER, hot.user_keys, self.factors, users
            )
            solver.item_factors = warm_factors(
                seed, Stream.MODEL_ITEM, hot.item_keys, self.factors, items
            )
        solve(solver, hot.weights, "als")
        return ALSModel(
            log,
            solver.user_factors,
            solver.item_factors,
            candidate_days=self.candidate_days,
            recency=log_recency(log, self.recency),
        )


@dataclass(frozen=True)
class ALSModel(FactorModel):
    """The model that als learns."""
