"""Random feeds: the least accuracy, and the most drift between two training seeds."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recsys.core.lazy import lazy
from recsys.core.noise import Stream, pair_words, uniforms
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import COLD, HOT, WARM, Model, Recommender, Scores, Users
from recsys.recommenders.fits import check_number


class Random(Recommender):
    """Draws a uniform score for each user and item; every training seed gives other scores.

    Use it as the reference that any recommender must beat. It serves every user and every item.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]})
    >>> Random().fit(log, seed=1).recommend([3], k=2)["item_id"].sort().to_list()
    [7, 8]
    """

    deterministic: ClassVar[bool] = False

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "RandomModel":
        """Stores the seed; see `Recommender.fit`."""
        return RandomModel(log, seed)


@dataclass(frozen=True)
class RandomModel(Model):
    """Scores are draws addressed by training seed, user key and item key."""

    seed: int
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM, COLD)

    def check(self) -> None:
        """See `Model.check`."""
        check_number("seed", self.seed, int, 0)

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Int32, dense ids of all items, with or without events, in the order of their keys."""
        return np.argsort(self.log.items["key"].to_numpy(), kind="stable").astype(np.int32)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`; a user who is not in the log (-1) gets the draws of key 0."""
        user_keys = np.where(users >= 0, self.log.users["key"].to_numpy()[users], np.uint64(0))
        item_keys = self.log.items["key"].to_numpy()[items]
        address = pair_words(user_keys[:, None], item_keys)
        draws = uniforms(self.seed, Stream.MODEL_RANDOM, *address)
        return np.ascontiguousarray(draws[..., 0])
