"""Frozen: keeps the factors of the previous model and folds in what is new."""

import numpy as np

from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Mitigation, Place
from recsys.mitigations.factors import Problem, aligned, als_of, influence
from recsys.recommenders.als import ALSModel
from recsys.recommenders.base import Model, Recommender


class Frozen(Mitigation):
    """Keeps the factors of posts in the previous model; folds in new posts and all users.

    Fold-in is one half-step (Hu, Koren & Volinsky 2008, section 4). It is done for users given the
    old posts, then for new posts given users, then for users given all posts. The result is
    `anchor` with μ = ∞, without the cost of a fit. Acts on als. In a closed loop the previous model
    is yesterday's, so a post keeps the factors of its first day, which rest on few clicks. Use it
    during a surge, not for good.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import ALS
    >>> log = InteractionLog.from_frames({"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> als = mitigated(ALS(factors=2), [Frozen()])
    >>> before = als.fit(log)
    >>> after = als.fit(log.only(log.dense["user"].to_numpy() > 0), previous=before)
    >>> bool((after.item_factors == before.item_factors).all())
    True
    """

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.FACTORS

    @property
    def needs_previous(self) -> bool:
        """See `Mitigation`."""
        return True

    def check(self, recommender: Recommender) -> None:
        """See `Mitigation.check`."""
        als_of(recommender, "frozen")

    def fit(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Model:
        """See `Mitigation.fit`; without a previous model this is the plain fit."""
        als = als_of(recommender, "frozen")
        if not isinstance(previous, ALSModel) or previous.factors != als.factors:
            return recommender.fit(log, seed, previous)
        problem = Problem.of(als, log, influence(recommender, log))
        items, is_old = aligned(problem.item_keys, previous.by_key[1])
        users = problem.users(items)  # new posts still have factors 0, so users ignore them
        items[~is_old] = problem.items(users)[~is_old]
        return problem.model(problem.users(items), np.ascontiguousarray(items))
