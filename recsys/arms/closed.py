"""The arms of a synthetic world, closed loop: the recommender serves, and its feeds make the log.

Each recommender has worlds of its own. They share the days before the influx; from day 0 on every
arm but control trains with another seed, so that all hold the same training noise.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.arms.oracle import OracleRow
from recsys.arms.policy import RecommenderPolicy
from recsys.arms.world import WorldArms
from recsys.lazy import lazy
from recsys.recommenders import Ranking, Recommender
from recsys.world.oracle import Oracle
from recsys.world.simulate import ARMS, Audience, Simulation, simulate_arms

__all__ = ["ClosedArms"]

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
        arms = {name: ARMS[name]._replace(retrained=name != "control") for name in names}
        days = self.evaluation.training_days or _TRAINING_DAYS
        audience = Audience(self.panel, self.evaluation.days, self.evaluation.k)
        known = isinstance(self.recommender, OracleRow)
        policy = Oracle() if known else RecommenderPolicy(self.recommender, days)
        simulations = simulate_arms(
            self.world, list(arms.values()), self.seed, policy,
            audience=audience, threads=self.threads, impressions=False,
        )  # fmt: skip
        return {name: simulations[arm] for name, arm in arms.items()}

    def _world_of(self, arm: str) -> str:
        return arm

    def _server(self, name: str) -> str:
        return name

    @property
    def _has_scores(self) -> bool:
        return False

    def _feeds(
        self,
        recommender: Recommender,
        arm: str,
        day: int,
        groups: tuple[NDArray[np.int64], ...],
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
