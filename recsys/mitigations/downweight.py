"""Downweight: newcomers are served, but what they click counts less in what is learned."""

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
    """A newcomer's row counts `weight` in the items' equations, an incumbent's 1.

    Of als: the library fits the incumbents' events, newcomers are folded in, then `sweeps` times

        y_i = (Σ_u w_u(1 + (c_ui - 1)[u liked i]) x_u x_uᵀ + λI)^-1 Σ_{u liked i} w_u c_ui x_u

    and each user's x given all y, where w weighs a user's whole row, what was not clicked too. So 0
    is a fit without the newcomers' rows, by whom no item is then known, though they are served.
    Of recommenders that add up how much events weigh (most_popular, trending), newcomers' events
    are multiplied by `weight`. Others are refused, those that count likes alone and those that
    heed weights in some of what they do. 1 is the plain recommender. Weighted implicit feedback:
    Hu, Koren & Volinsky 2008. Use it where newcomers should be served from their own clicks and not
    steer anybody else's feed.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 8, 8]},
    ...     {"user_id": [1, 2, 3], "cohort": ["incumbent", "newcomer", "newcomer"]})
    >>> mitigated(Trending(), [Downweight()]).fit(log).rank(np.array([-1]), 2).item_ids.tolist()
    [[0, 1]]
    """

    weight: float = Field(default=0.25, ge=0, le=1)
    """What a newcomer's row, or event, counts."""
    sweeps: int = Field(default=3, ge=1, le=100)
    """Sweeps over items and users, of als."""

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
    """Raises unless what a recommender learns is in proportion to the weights of events."""
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
    """A fit in which newcomers count `weight`; see `Downweight`.

    Args:
        recommender: als, or one that heeds the weights of events.
        log, seed, previous: of the fit.
        weight: 0 to 1.
        sweeps: of als.

    Raises:
        LogError: nothing to learn from, or of als nothing by incumbents.
    """
    if not isinstance(innermost(recommender), ALS):
        return recommender.fit(_scaled(log, weight), seed, previous)
    incumbents = log.without_users(log.newcomers)
    if incumbents.interactions.weights.nnz == 0 < log.interactions.weights.nnz:
        raise LogError(
            "downweight and ramp: incumbents have no positive event, and als learns from theirs "
            "first; leave the mitigation out"
        )
    model = recommender.fit(incumbents, seed, previous)
    assert isinstance(model, ALSModel)
    als = als_of(recommender, "downweight")
    teaching = influence(recommender, log)
    teaching[log.newcomers[log.interactions.users]] *= weight
    problem = Problem.of(als, log, teaching)
    items, _ = aligned(problem.item_keys, model.by_key[1])
    users = problem.users(items)
    for _ in range(sweeps):
        items = problem.items(users)
        users = problem.users(items)
    return problem.model(users, items)


def _scaled(log: InteractionLog, weight: float) -> InteractionLog:
    """The log with newcomers' events weighing less."""
    theirs = log.newcomers[log.dense["user"].to_numpy()]
    weights = log.dense["weight"].to_numpy()
    scaled = np.where(theirs, weights * np.float32(weight), weights)
    return replace(log, dense=log.dense.with_columns(weight=pl.Series(scaled, dtype=pl.Float32)))
