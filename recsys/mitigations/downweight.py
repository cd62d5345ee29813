"""Downweight: serves newcomers as before, but learns less from their events."""

from dataclasses import replace

import numpy as np
import polars as pl
from pydantic import Field

from recsys.core.errors import ConfigError, LogError
from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Mitigation, Place, innermost
from recsys.mitigations.factors import Problem, aligned, als_of, influence
from recsys.recommenders.als import ALS, ALSModel
from recsys.recommenders.base import Model, Recommender


class Downweight(Mitigation):
    """Gives newcomers the weight `weight` in what is learned about items; incumbents have 1.

    als is fitted to the incumbents' events, newcomers are folded in, and then `sweeps` times

        y_i = (Σ_u w_u(1 + (c_ui - 1)[u liked i]) x_u x_uᵀ + λI)^-1 Σ_{u liked i} w_u c_ui x_u

    and the x of each user given all y. The weight w_u applies to all pairs of a user, with and
    without a click. With `weight` 0 items are learned without the newcomers, and an item that only
    newcomers clicked is not served; newcomers themselves are served. For recommenders that sum
    event weights (most_popular, trending) newcomers' events are multiplied by `weight`. Other
    recommenders are refused, because they ignore event weights in all or part of what they do. 1 is
    the plain recommender. Weighted implicit feedback: Hu, Koren & Volinsky 2008. Use it where
    newcomers should be served from their own clicks without changing anybody else's feed.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 8, 8]},
    ...     {"user_id": [1, 2, 3], "cohort": ["incumbent", "newcomer", "newcomer"]})
    >>> mitigated(Trending(), [Downweight()]).fit(log).rank(np.array([-1]), 2).item_ids.tolist()
    [[0, 1]]
    """

    weight: float = Field(default=0.25, ge=0, le=1)
    """Weight of a newcomer, or of a newcomer's event; an incumbent has 1."""
    sweeps: int = Field(default=3, ge=1, le=100)
    """Number of sweeps over items and users; for als alone."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.WEIGHTS

    def check(self, recommender: Recommender) -> None:
        """See `Mitigation.check`."""
        check_weighted(recommender, "downweight")

    def weigh(self, log: InteractionLog) -> float:
        """See `Mitigation.weigh`."""
        return self.weight

    def fit(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Model:
        """See `Mitigation.fit`."""
        if self.weight == 1:
            return recommender.fit(log, seed, previous)
        return weighted_fit(recommender, log, seed, previous, self.weight, self.sweeps)


def check_weighted(recommender: Recommender, name: str) -> None:
    """Raises unless events influence a recommender in proportion to their weights.

    Args:
        recommender: wrapped or not.
        name: name of the mitigation for the error, such as "downweight".

    Raises:
        ConfigError: the recommender ignores weights, at least in part.
    """
    if not recommender.uses_weights:
        kind = type(innermost(recommender)).__name__
        raise ConfigError(
            f"{name} scales the weights of newcomers' events, and what {kind} learns is not in "
            "proportion to them: take als, most_popular or trending, or a mitigation of its "
            "rankings such as cap"
        )


def weighted_fit(
    recommender: Recommender,
    log: InteractionLog,
    seed: int,
    previous: Model | None,
    weight: float,
    sweeps: int,
) -> Model:
    """A fit in which newcomers have a lower weight; see `Downweight`.

    Args:
        recommender: als, or a recommender with `uses_weights`.
        log: the training log.
        seed: training seed, such as 0.
        previous: an earlier model to start from, or None.
        weight: weight of a newcomer, 0 to 1, such as 0.25.
        sweeps: number of sweeps of als, such as 3.

    Raises:
        LogError: the log holds no positive event or, for als, none of an incumbent.
    """
    if not isinstance(innermost(recommender), ALS):
        return recommender.fit(_scaled(log, weight), seed, previous)
    incumbents = log.without_users(log.newcomers)
    if incumbents.interactions.weights.nnz == 0 < log.interactions.weights.nnz:
        raise LogError(
            "downweight and ramp: incumbents have no positive event, and als is fitted to theirs "
            "first; leave the mitigation out"
        )
    model = recommender.fit(incumbents, seed, previous)
    assert isinstance(model, ALSModel)
    als = als_of(recommender, "downweight")
    user_weights = influence(recommender, log)
    user_weights[log.newcomers[log.interactions.users]] *= weight
    problem = Problem.of(als, log, user_weights)
    items, _ = aligned(problem.item_keys, model.by_key[1])
    users = problem.users(items)
    for _ in range(sweeps):
        items = problem.items(users)
        users = problem.users(items)
    return problem.model(users, items)


def _scaled(log: InteractionLog, weight: float) -> InteractionLog:
    """The log with the weights of newcomers' events multiplied by `weight`."""
    by_newcomers = log.newcomers[log.dense["user"].to_numpy()]
    weights = log.dense["weight"].to_numpy()
    scaled = np.where(by_newcomers, weights * np.float32(weight), weights)
    return replace(log, dense=log.dense.with_columns(weight=pl.Series(scaled, dtype=pl.Float32)))
