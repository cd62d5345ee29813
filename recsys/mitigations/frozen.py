"""Frozen: what the last model knew stays as it was; the new is folded in."""

import numpy as np

from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Mitigation, Place
from recsys.mitigations.factors import Problem, aligned, als_of, influence
from recsys.recommenders.als import ALSModel
from recsys.recommenders.base import Model, Recommender


class Frozen(Mitigation):
    """Notes that the previous model knew keep its factors; new notes, and all users, are folded in.

    Fold-in is one half-step (Hu, Koren & Volinsky 2008, section 4): users given the old notes, new
    notes given the users, users given all notes. It is `anchor` with μ = ∞, at the cost of a fold-
    in instead of a fit. Acts on als. In a closed loop the previous model is yesterday's: a note
    keeps the factors of its first day, which rest on few clicks. Use it for the days of a surge,
    not for good.

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
        """See `Mitigation.fit`; without a previous model it is the plain fit."""
        als = als_of(recommender, "frozen")
        if not isinstance(previous, ALSModel) or previous.factors != als.factors:
            return recommender.fit(log, seed, previous)
        problem = Problem.of(als, log, influence(recommender, log))
        items, known = aligned(problem.item_keys, previous.by_key[1])
        users = problem.users(items)  # new notes are 0 so far, and teach nothing
        items[~known] = problem.items(users)[~known]
        return problem.model(problem.users(items), np.ascontiguousarray(items))
