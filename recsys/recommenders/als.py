"""ALS: matrix factorisation of implicit feedback, with starting factors drawn at keys."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix

from recsys.core.errors import LogError
from recsys.core.noise import Stream
from recsys.core.threads import single_threaded_blas, threads_to_take
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Model
from recsys.recommenders.collaborative import Collaborative
from recsys.recommenders.factors import FactorModel, warm_factors
from recsys.recommenders.least_squares import penalties, sweep
from recsys.recommenders.recency import log_recency

Vectors = NDArray[np.float32]
"""Float32 (n, factors)."""
_INFINITE = "als: the factors are not finite any more; lower alpha or the weights"


class ALS(Collaborative):
    """Learns vectors of users and items whose product predicts a like, weighted by its repetitions.

    Minimises Σ c_ui (p_ui - x_u·y_i)² + Σ λ_u|x_u|² + Σ λ_i|y_i|² over all pairs: p = 1 and
    c = alpha·weight where there was an event, p = 0 and c = 1 elsewhere. Hu, Koren & Volinsky 2008,
    "Collaborative filtering for implicit feedback datasets", have c = 1 + alpha·weight and one λ.
    Here λ_u is `regularization` times the total confidence of the user's pairs to the power
    `frequency`, and λ_i likewise, as Rendle et al. 2022 have it (`penalties`). The starting factors
    of a user or an item depend on the training seed and its key alone, so that users who do nothing
    change nobody's feed. Use it where there are many items.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> ALS(factors=2).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False
    uses_weights: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True

    factors: int = Field(default=64, ge=1, le=1024)
    """Length of the vectors."""
    regularization: float = Field(default=0.25, ge=0)
    """Penalty λ on the vector of somebody whose pairs have a total confidence of 1."""
    frequency: float = Field(default=0.75, ge=0, le=1)
    """Power ν with which the penalty on a vector grows with the total confidence of its pairs; 0
    penalises all vectors alike, for which there is a choice of `solver`."""
    alpha: float = Field(default=25.0, gt=0)
    """Confidence c per unit of event weight; a pair without an event has confidence 1."""
    iterations: int = Field(default=10, ge=1)
    """Number of sweeps over users and items."""
    warm_iterations: int = Field(default=3, ge=1)
    """Number of sweeps where the fit starts from a previous model."""
    solver: Literal["implicit", "own"] = "implicit"
    """What improves the vectors where `frequency` is 0: the library `implicit`, or sweeps of our
    own, which take half the time. Both go the same way; the last bits differ."""
    retrieval: Literal["all", "pruned"] = "all"
    """How posts are found. `all`: a user is multiplied with every post that can be served.
    `pruned`: where there are more than 512, posts are gone through by falling length of their
    vectors until no shorter one can reach the user's list, and in a closed loop lists are as deep
    as the day's visits go. The lists are the same; what is left out is work. For worlds of more
    than 50,000 people. With `recency`, scores are no products of vectors alone, and nothing is left
    out."""

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
        hot = log.interactions
        if hot.weights.nnz == 0:
            raise LogError("the training log holds no positive event: als has nothing to learn")
        before = previous if isinstance(previous, ALSModel) else None
        warm = before is not None and before.factors == self.factors
        old_users, old_items = before.by_key if before is not None and warm else (None, None)
        users = warm_factors(seed, Stream.MODEL_USER, hot.user_keys, self.factors, old_users)
        items = warm_factors(seed, Stream.MODEL_ITEM, hot.item_keys, self.factors, old_items)
        with np.errstate(over="ignore"):
            confidence = csr_matrix(hot.weights * np.float32(self.alpha))
        sweeps = self.warm_iterations if warm else self.iterations
        if self.frequency == 0 and self.solver == "implicit":
            users, items = self._by_implicit(confidence, users, items, sweeps)
        else:
            self._by_frequency(confidence, users, items, sweeps)
        if not (np.isfinite(users).all() and np.isfinite(items).all()):
            raise LogError(_INFINITE)
        return ALSModel(
            log,
            users,
            items,
            candidate_days=self.candidate_days,
            recency=log_recency(log, self.recency),
            pruned=self.retrieval == "pruned",
        )

    def _by_frequency(
        self, by_user: csr_matrix, users: Vectors, items: Vectors, sweeps: int
    ) -> None:
        """Improves the vectors by sweeps of our own."""
        by_item = by_user.T.tocsr()
        penalty_of_users, penalty_of_items = (
            penalties(side, self.regularization, self.frequency).astype(np.float32)
            for side in (by_user, by_item)
        )
        for _ in range(sweeps):
            sweep(by_user, items, penalty_of_users, users, threads_to_take())
            sweep(by_item, users, penalty_of_items, items, threads_to_take())

    def _by_implicit(
        self, by_user: csr_matrix, users: Vectors, items: Vectors, sweeps: int
    ) -> tuple[Vectors, Vectors]:
        """The vectors by `implicit`, which knows one penalty for all."""
        from implicit.cpu.als import AlternatingLeastSquares
        from implicit.recommender_base import ModelFitError

        with single_threaded_blas():
            solver = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=1.0,
                iterations=sweeps,
                dtype=np.float32,
                num_threads=threads_to_take(),
                random_state=0,
            )
            solver.user_factors, solver.item_factors = users, items
            try:
                solver.fit(by_user, show_progress=False)
            except ModelFitError as error:
                raise LogError(_INFINITE) from error
        return solver.user_factors, solver.item_factors


@dataclass(frozen=True)
class ALSModel(FactorModel):
    """The model that als learns."""
