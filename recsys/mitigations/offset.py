"""Offset: replaces an item's popularity by its popularity in the user's own cohort."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Dressed, Mitigation, Place
from recsys.recommenders.base import Model, Scores, Users, scorer_of


class Offset(Mitigation):
    """Replaces an item's bias over all users in a score by its bias in the user's cohort.

        s'(u, i) = s(u, i) + strength · sd_u · ln((W_ic + a) / (W_i · W_c / W + a))

    W is a sum of event weights: W_i of item i, W_c of the user's cohort c, W_ic of both, W of all.
    sd_u is the standard deviation of the user's scores, so that one strength fits every
    recommender. a pulls the ratio of items with few events to 1. The log ratio is the bias of the
    item in the cohort minus its bias over all users (biases as in Koren, Bell & Volinsky 2009,
    "Matrix factorization techniques", but one per cohort). Acts on the scores of any recommender.
    Use it where newcomers make items popular that incumbents do not care for.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 8, 8]},
    ...     {"user_id": [1, 2, 3], "cohort": ["incumbent", "newcomer", "newcomer"]})
    >>> offset = mitigated(Trending(), [Offset(strength=3.0, shrinkage=0.5)])
    >>> offset.fit(log).rank(np.array([-1]), 2).item_ids.tolist()
    [[0, 1]]
    """

    strength: float = Field(default=1.0, ge=0)
    """With 1, a ratio of e moves a score by one standard deviation; 0 changes nothing."""
    shrinkage: float = Field(default=5.0, gt=0)
    """a: the number of expected events at which half of a bias is taken over."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.SCORES

    def dress(self, model: Model, seed: int, previous: Model | None) -> "OffsetModel":
        """See `Mitigation.dress`."""
        return OffsetModel(model.log, model, self.strength, self.shrinkage)


@dataclass(frozen=True)
class OffsetModel(Dressed):
    """A model whose scores are corrected by cohort.

    Attributes:
        strength: see `Offset.strength`.
        shrinkage: see `Offset.shrinkage`.
    """

    strength: float
    shrinkage: float

    @lazy
    def biases(self) -> NDArray[np.float64]:
        """Float64 (2, n_items): see `offsets`."""
        return offsets(self.log, self.shrinkage)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; a user who is not in the log (-1) counts as an incumbent."""
        plain, biases = scorer_of(self.inner, items), self.biases[:, items]

        def score(users: Users) -> Scores:
            scores = np.asarray(plain(users), dtype=np.float64)
            finite = np.isfinite(scores)
            count = np.maximum(finite.sum(axis=1, keepdims=True), 1)
            mean = np.where(finite, scores, 0.0).sum(axis=1, keepdims=True) / count
            spread = np.where(finite, scores - mean, 0.0)
            deviation = np.sqrt((spread**2).sum(axis=1, keepdims=True) / count)
            cohort = np.where(users >= 0, self.log.newcomers[users], False).astype(np.int64)
            return np.asarray(scores + self.strength * deviation * biases[cohort])

        return score


def offsets(log: InteractionLog, shrinkage: float) -> NDArray[np.float64]:
    """Log of a cohort's events on an item over the events expected from the size of the cohort.

    Args:
        log: the training log.
        shrinkage: a > 0, such as 5.0.

    Returns:
        Float64 (2, n_items), for incumbents and newcomers; 0 for a cohort without events.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]},
    ...     {"user_id": [1, 2], "cohort": ["incumbent", "newcomer"]})
    >>> offsets(log, 0.5).round(3).tolist()  # ln(1.5 / 1), ln(.5 / 1)
    [[0.405, -0.693], [-0.693, 0.405]]
    """
    weight = log.dense["weight"].to_numpy().astype(np.float64)
    item = log.dense["item"].to_numpy()
    by_newcomers = log.newcomers[log.dense["user"].to_numpy()]
    by_cohort = np.stack(
        [
            np.bincount(item[events], weight[events], minlength=log.n_items)
            for events in (~by_newcomers, by_newcomers)
        ]
    )
    of_cohort = by_cohort.sum(axis=1, keepdims=True)
    expected = by_cohort.sum(axis=0) * of_cohort / max(of_cohort.sum(), 1e-300)
    ratio = np.log((by_cohort + shrinkage) / (expected + shrinkage))
    return np.where(of_cohort > 0, ratio, 0.0)
