"""Cap: newcomers' notes take at most a share of what incumbents are recommended."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog, Seen
from recsys.mitigations.base import Dressed, Mitigation, Place
from recsys.mitigations.slots import limited
from recsys.recommenders.base import Model, Users
from recsys.recommenders.ranking import Ranking


class Cap(Mitigation):
    """At every rank r at most floor(share·r) notes by newcomers; the next best take their slots.

    What waits is served as soon as there is room, so the order among newcomers' notes stays. It
    bounds the ranking of any recommender, not what the platform puts into its own trending, fresh
    and following slots, nor what a fallback fills. Greedy re-ranking under a bound at every depth:
    Zehlike et al. 2017, "FA*IR: a fair top-k ranking algorithm". Use it as a promise that can be
    checked feed by feed; it bounds what is shown, not what newcomers' clicks teach.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 7, 8]},
    ...     {"user_id": [1, 2, 3, 4], "cohort": ["incumbent"] * 3 + ["newcomer"]},
    ...     {"item_id": [7, 8], "creator_id": [4, 1]})
    >>> mitigated(Trending(), [Cap(share=0.5)]).fit(log).rank(np.array([-1]), 2).item_ids.tolist()
    [[1, 0]]
    """

    share: float = Field(default=0.05, ge=0, le=1)
    """Most of the slots that newcomers' notes may take."""
    everybody: bool = False
    """Whether newcomers' own feeds are bounded too."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.RANKS

    def dress(self, model: Model, seed: int, previous: Model | None) -> "Capped":
        """See `Mitigation.dress`.

        Raises:
            LogError: the log does not say who made its items.
        """
        return Capped(model.log, model, self.share, self.everybody, by_newcomers(model.log, "cap"))


@dataclass(frozen=True)
class Capped(Dressed):
    """A model whose rankings keep the bound."""

    share: float
    everybody: bool
    by_newcomers: NDArray[np.bool_]

    def rank(
        self,
        users: Users,
        k: int = 20,
        candidates: NDArray[np.bool_] | None = None,
        exclude_seen: bool | Seen = True,
    ) -> Ranking:
        """See `Model.rank`."""
        ranking = self.inner_rank(users, k, candidates, exclude_seen)
        users = np.asarray(users)
        exempt = np.zeros(users.size, dtype=np.int64)
        if not self.everybody:
            exempt[:] = (users >= 0) & self.log.newcomers[users]
        held_back = np.stack([self.by_newcomers, np.zeros_like(self.by_newcomers)])
        return limited(
            self.inner, ranking, users, candidates, exclude_seen, exempt, held_back, self.share
        )


def by_newcomers(log: InteractionLog, name: str) -> NDArray[np.bool_]:
    """Bool (n_items,): items by newcomers.

    Args:
        log: the training log.
        name: the mitigation that asks, for the error.

    Raises:
        LogError: items have no creators.
    """
    if log.from_newcomers is None:
        raise LogError(
            f"{name}: needs to know whose notes are newcomers': give items a column creator_id "
            "with ids of the same type as user_id"
        )
    return log.from_newcomers
