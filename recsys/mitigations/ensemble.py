"""Ensemble: averages the models of several training seeds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.errors import ConfigError
from recsys.core.noise import integer_seed
from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Dressed, Mitigation, Place, innermost
from recsys.recommenders.base import Model, Recommender, Scores, Users, scorer_of


class Ensemble(Mitigation):
    """Scores by the mean of standardised scores, or of ranks, over `seeds` fits.

        s'(u, i) = 1/S Σ_s (s_s(u, i) - mean_s(u)) / sd_s(u),   or   -1/S Σ_s rank_s(u, i)

    One fit has the training seed itself, and the others have seeds made from it. Averaging reduces
    training noise (bagging, Breiman 1996; of ranks: Borda 1781), at the cost of that many fits.
    Acts on recommenders with a training seed; with one fit it is the plain recommender. Use it
    where feeds change mostly by training noise.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Random
    >>> log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]})
    >>> len(mitigated(Random(), [Ensemble(seeds=3)]).fit(log).members)
    3
    """

    seeds: int = Field(default=5, ge=1, le=100)
    """Number of fits."""
    of: Literal["scores", "ranks"] = "scores"
    """What is averaged."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.SCORES

    def check(self, recommender: Recommender) -> None:
        """See `Mitigation.check`."""
        if recommender.deterministic:
            kind = type(innermost(recommender)).__name__
            raise ConfigError(
                f"ensemble averages over training seeds, and {kind} does not use one: all its fits "
                "are the same"
            )

    def fit(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Model:
        """See `Mitigation.fit`; each member starts from its own earlier model."""
        if self.seeds == 1:
            return recommender.fit(log, seed, previous)
        before: tuple[Model | None, ...] = (None,) * self.seeds
        if isinstance(previous, EnsembleModel) and len(previous.members) == self.seeds:
            before = previous.members
        seeds = [seed, *(integer_seed(seed, number) for number in range(1, self.seeds))]
        members = tuple(
            recommender.fit(log, of_member, last)
            for of_member, last in zip(seeds, before, strict=True)
        )
        return EnsembleModel(members[0].log, members[0], members, self.of)

    def fit_without(
        self, recommender: Recommender, model: Model, log: InteractionLog, users: Users, seed: int
    ) -> Model:
        """See `Recommender.fit_without`."""
        return self.fit(recommender, log, seed, None)


@dataclass(frozen=True)
class EnsembleModel(Dressed):
    """Several models that score as one.

    Attributes:
        members: the models; `inner` is the first of them.
        of: see `Ensemble.of`.
    """

    members: tuple[Model, ...]
    of: Literal["scores", "ranks"]

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; an item to which any member gives -inf gets -inf."""
        comparable = standardised if self.of == "scores" else mean_ranks
        scorers = [scorer_of(member, items) for member in self.members]

        def score(users: Users) -> Scores:
            total = np.zeros((users.size, items.size))
            for of_member in scorers:
                total += comparable(np.asarray(of_member(users), dtype=np.float64))
            return np.asarray(total / len(scorers))

        return score


def standardised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores minus the mean of their row, in standard deviations of the row; -inf stays.

    Args:
        scores: float64 (n_users, n_items).

    >>> standardised(np.array([[1.0, 3.0, -np.inf]])).tolist()
    [[-1.0, 1.0, -inf]]
    """
    finite = np.isfinite(scores)
    count = np.maximum(finite.sum(axis=1, keepdims=True), 1)
    mean = np.where(finite, scores, 0.0).sum(axis=1, keepdims=True) / count
    centred = np.where(finite, scores - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    return np.where(finite, centred / np.where(deviation > 0, deviation, 1.0), -np.inf)


def mean_ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minus the rank of each score in its row, where the best has rank 1; -inf stays.

    Equal scores share the mean of their ranks.

    Args:
        scores: float64 (n_users, n_items).

    >>> mean_ranks(np.array([[1.0, 3.0, 3.0, -np.inf]])).tolist()
    [[-3.0, -1.5, -1.5, -inf]]
    """
    from scipy.stats import rankdata

    ranks = rankdata(-scores, method="average", axis=1)
    return np.where(np.isfinite(scores), -ranks, -np.inf)
