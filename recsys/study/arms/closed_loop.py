"""The arms of a synthetic world, closed loop: the recommender serves, and its feeds make the log.

Each recommender has worlds of its own. They share the days before the influx; from day 0 on every
arm but control trains with another seed, so that all hold the same training noise. Without a
training seed all go on from what the days before the influx have left.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.lazy import lazy
from recsys.recommenders import Model, Ranking, Recommender
from recsys.recommenders.oracle import OracleRow
from recsys.study.arms.open_loop import WorldArms
from recsys.study.arms.policy import RecommenderPolicy
from recsys.world.arms import ARMS, Arm, Audience
from recsys.world.day.oracle import Oracle
from recsys.world.simulate import Shared, Simulation

_TRAINING_DAYS = 14


@dataclass(frozen=True)
class ClosedArms(WorldArms):
    """One seed of a world in all arms, each served by a recommender."""

    recommender: Recommender | None = None

    @lazy
    def simulations(self) -> dict[str, Simulation]:
        """The world of each arm; without a training seed retrain is control, and left out."""
        assert self.recommender is not None
        names = self._arms_for(self.recommender)
        return {name: self.shared.run(self.version(name)) for name in names}

    def version(self, name: str) -> Arm:
        """An arm as its recommender is trained: all but control anew, with another seed."""
        assert self.recommender is not None
        anew = not self.recommender.deterministic  # else what was learned before day 0 is shared
        return ARMS[name]._replace(retrained=anew and name != "control")

    @lazy
    def shared(self) -> Shared:
        """The days before the influx, that all arms go on from."""
        assert self.recommender is not None
        days = self.evaluation.training_days or _TRAINING_DAYS
        audience = Audience(
            self.panel, self.evaluation.days, self.evaluation.k, self.evaluation.one_step
        )
        known = isinstance(self.recommender, OracleRow)
        policy = Oracle() if known else RecommenderPolicy(self.recommender, days)
        return Shared(
            self.world,
            self.seed,
            policy,
            audience=audience,
            threads=self.threads,
            impressions=policy.impressions,
        )

    def _without_newcomers(
        self,
        recommender: Recommender,
        arm: str,
        day: int,
        feeds: Ranking,
        before: Model | None = None,
    ) -> NDArray[np.int32] | None:
        """As the platform would have served them that morning."""
        if not self.evaluation.one_step:
            return None
        without = self._simulation(arm).morning(day).without
        if without is None:
            return feeds.item_ids
        return without.feeds[np.searchsorted(without.users, self.panel)]

    def _world_of(self, arm: str) -> str:
        return arm

    def _server(self, variant: tuple[str, str]) -> tuple[str, str]:
        return variant

    def _before(self, recommender: Recommender) -> Model | None:
        """Its worlds have fitted it each morning, from yesterday's model on."""
        return None

    @property
    def _has_scores(self) -> bool:
        return False

    def _feeds(
        self,
        recommender: Recommender,
        arm: str,
        day: int,
        groups: tuple[NDArray[np.int64], ...],
        before: Model | None = None,
    ) -> tuple[list[Ranking], dict[str, float]]:
        """The feeds that the audience was served; fits and serving are part of the simulation."""
        start = time.perf_counter()
        served = self._simulation(arm).morning(day).served
        assert served is not None
        feeds = []
        for users in groups:
            rows = np.searchsorted(served.users, users)
            scores = np.full(served.feeds[rows].shape, np.nan, dtype=np.float32)
            feeds.append(Ranking(served.feeds[rows], scores, served.sources[rows]))
        return feeds, {"fit_s": 0.0, "serve_s": time.perf_counter() - start}
