"""Cap: bounds the share of newcomers' posts in the rankings of incumbents."""

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
    """Allows at most floor(share·r) posts by newcomers among the first r ranks, for every r.

    A post that comes too early waits until there is room, and the next best posts take its slot.
    So the order among newcomers' posts stays. The bound holds for the ranking of any recommender.
    It does not hold for the trending, fresh and following slots of the platform, nor for slots that
    a fallback fills. Greedy re-ranking under a bound at every depth: Zehlike et al. 2017, "FA*IR: a
    fair top-k ranking algorithm". Use it as a promise that can be checked feed by feed. It bounds
    what is shown, not what the recommender learns from newcomers' clicks.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 7, 8]},
    ...     {"user_id": [1, 2, 3, 4], "cohort": ["incumbent"] * 3 + ["newcomer"]},
    ...     {"item_id": [7, 8], "creator_id": [4, 1]})
    >>> mitigated(Trending(), [Cap(share=0.5)]).fit(log).rank(np.array([-1]), 2).item_ids.tolist()
    [[1, 0]]
    """

    share: float = Field(default=0.05, ge=0, le=1)
    """Largest share of slots for newcomers' posts, such as 0.05 for one slot in twenty."""
    everybody: bool = False
    """Whether the feeds of newcomers are bounded too."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.RANKS

    def dress(self, model: Model, seed: int, previous: Model | None) -> "Capped":
        """See `Mitigation.dress`.

        Raises:
            LogError: the log does not say who created its items.
        """
        return Capped(model.log, model, self.share, self.everybody, by_newcomers(model.log, "cap"))


@dataclass(frozen=True)
class Capped(Dressed):
    """A model whose rankings keep the bound of `Cap`.

    Attributes:
        share: see `Cap.share`.
        everybody: see `Cap.everybody`.
        by_newcomers: bool (n_items,), the items whose creator is a newcomer.
    """

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
    """Bool (n_items,): the items whose creator is a newcomer.

    Args:
        log: the training log.
        name: name of the mitigation for the error, such as "cap".

    Raises:
        LogError: the creators of items are not known.
    """
    if log.from_newcomers is None:
        raise LogError(
            f"{name}: needs to know which posts are by newcomers: give items a column creator_id "
            "with ids of the same type as user_id"
        )
    return log.from_newcomers
