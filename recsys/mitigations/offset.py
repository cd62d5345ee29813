"""Offset: an item is as popular with a reader as it is with the reader's own cohort."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Dressed, Mitigation, Place
from recsys.recommenders.base import Model, Scores, Users


class Offset(Mitigation):
    """Takes everybody's item bias out of a score, and puts the reader's cohort's in.

        s'(u, i) = s(u, i) + strength · sd_u · ln((W_ic + a) / (W_i · W_c / W + a))

    W sums event weights, of item i, of the reader's cohort c; sd_u is the standard deviation of the
    reader's scores, so that one strength suits every recommender; a shrinks items with few events.
    The log ratio is the item's bias in a cohort less its bias in all (biases as of Koren, Bell &
    Volinsky 2009, "Matrix factorization techniques", one for each cohort). Acts on the scores of
    any recommender. Use it where newcomers' taste lifts items that incumbents do not care for.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 8, 8]},
    ...     {"user_id": [1, 2, 3], "cohort": ["incumbent", "newcomer", "newcomer"]})
    >>> offset = mitigated(Trending(), [Offset(strength=3.0, shrinkage=0.5)])
    >>> offset.fit(log).rank(np.array([-1]), 2).item_ids.tolist()
    [[0, 1]]
    """

    strength: float = Field(default=1.0, ge=0)
    """1 moves a score by one standard deviation where the odds are e to 1; 0 changes nothing."""
    shrinkage: float = Field(default=5.0, gt=0)
    """a: expected events at which a bias is halfway believed."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.SCORES

    def dress(self, model: Model, seed: int, previous: Model | None) -> "OffsetModel":
        """See `Mitigation.dress`."""
        return OffsetModel(model.log, model, self.strength, self.shrinkage)


@dataclass(frozen=True)
class OffsetModel(Dressed):
    """A model whose scores are corrected by cohort."""

    strength: float
    shrinkage: float

    @lazy
    def biases(self) -> NDArray[np.float64]:
        """Float64 (2, n_items): see `offsets`."""
        return offsets(self.log, self.shrinkage)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; somebody unknown is taken for an incumbent."""
        plain, biases = self.inner.scorer(items), self.biases[:, items]

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
    """Log ratio of each cohort's events on an item to what the cohort's size would give.

    Args:
        log: the training log.
        shrinkage: a > 0.

    Returns:
        float64 (2, n_items): incumbents, newcomers; 0 for a cohort without events.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]},
    ...     {"user_id": [1, 2], "cohort": ["incumbent", "newcomer"]})
    >>> offsets(log, 0.5).round(3).tolist()  # ln(1.5 / 1), ln(.5 / 1)
    [[0.405, -0.693], [-0.693, 0.405]]
    """
    weight = log.dense["weight"].to_numpy().astype(np.float64)
    item, theirs = log.dense["item"].to_numpy(), log.newcomers[log.dense["user"].to_numpy()]
    by_cohort = np.stack(
        [np.bincount(item[part], weight[part], minlength=log.n_items) for part in (~theirs, theirs)]
    )
    of_cohort = by_cohort.sum(axis=1, keepdims=True)
    expected = by_cohort.sum(axis=0) * of_cohort / max(of_cohort.sum(), 1e-300)
    ratio = np.log((by_cohort + shrinkage) / (expected + shrinkage))
    return np.where(of_cohort > 0, ratio, 0.0)
