"""What a study compares: recommenders, and the oracle beside them as the upper bound.

Both are sources of rankings. A recommender has to be fitted to a log; the oracle knows the world.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.config import Chain, Part, RecommenderSpec
from recsys.logs.log import InteractionLog
from recsys.mitigations.build import ORACLE, made, make_recommender, refused
from recsys.recommenders import Model, Ranking, Recommender
from recsys.study.arms.policy import RecommenderPolicy
from recsys.study.arms.worlds import MeasuredDay
from recsys.world.day.oracle import Oracle
from recsys.world.platform.policy import Policy


class DayRanker(Protocol):
    """Ranks posts for users on one day."""

    def rank(self, users: NDArray[np.int64], k: int, candidates: NDArray[np.bool_]) -> Ranking:
        """The k best posts of each user; see `Model.rank`."""


class Rankings(Protocol):
    """A source of rankings in a world."""

    @property
    def deterministic(self) -> bool:
        """Whether a training seed changes nothing."""

    @property
    def needs_previous(self) -> bool:
        """Whether it goes on from the model of the morning of day 0, which a world alone has."""

    @property
    def learns(self) -> bool:
        """Whether rankings depend on the log, and so on what newcomers did there."""

    @property
    def options(self) -> dict[str, Any]:
        """Its options, each written out."""

    def model_before(self, day: MeasuredDay, seed: int) -> Model | None:
        """The model of the morning of day 0, if it is needed.

        Args:
            day: day 0 of control.
            seed: training seed.
        """

    def on(
        self, day: MeasuredDay, log: InteractionLog, seed: int, previous: Model | None
    ) -> DayRanker:
        """What ranks on a day of an open loop.

        Args:
            day: a day of the arm's world.
            log: the log up to that day, or a part of it, to learn from.
            seed: training seed.
            previous: the model of the morning of day 0, where it is needed.
        """

    def policy(self, training_days: int) -> Policy | Oracle:
        """What serves the platform in a closed loop.

        Args:
            training_days: how many days back it learns from, such as 14.
        """


@dataclass(frozen=True)
class Learned:
    """The rankings of a recommender.

    Attributes:
        recommender: what is fitted, such as `ALS(factors=64)`.
    """

    recommender: Recommender
    learns: ClassVar[bool] = True

    @property
    def deterministic(self) -> bool:
        """See `Rankings`."""
        return self.recommender.deterministic

    @property
    def needs_previous(self) -> bool:
        """See `Rankings`."""
        return self.recommender.needs_previous

    @property
    def options(self) -> dict[str, Any]:
        """See `Rankings`."""
        return self.recommender.model_dump(mode="json")

    def model_before(self, day: MeasuredDay, seed: int) -> Model | None:
        """See `Rankings`."""
        return self.recommender.fit(day.log, seed) if self.needs_previous else None

    def on(
        self, day: MeasuredDay, log: InteractionLog, seed: int, previous: Model | None
    ) -> DayRanker:
        """A fit to the log."""
        return self.recommender.fit(log, seed, previous)

    def policy(self, training_days: int) -> Policy:
        """The recommender, trained each morning."""
        return RecommenderPolicy(self.recommender, training_days)


class TrueRankings(Part):
    """The rankings of the oracle: the highest utility that feeds could have.

    In an open loop it ranks by the true utility that feeds are measured by: no recommender's feeds
    can have more utility in the slots that a recommender fills. In a closed loop it serves the
    platform.
    """

    deterministic: ClassVar[bool] = True
    needs_previous: ClassVar[bool] = False
    learns: ClassVar[bool] = False

    @property
    def options(self) -> dict[str, Any]:
        """See `Rankings`."""
        return self.model_dump(mode="json")

    def model_before(self, day: MeasuredDay, seed: int) -> None:
        """Nothing: the oracle is never trained."""

    def on(
        self, day: MeasuredDay, log: InteractionLog, seed: int, previous: Model | None
    ) -> DayRanker:
        """The truth of the day, whatever the log says."""
        return _Truth(day)

    def policy(self, training_days: int) -> Oracle:
        """The oracle of the platform, which is never trained."""
        return Oracle()


@dataclass(frozen=True)
class _Truth:
    """Ranks by the utility of a day."""

    day: MeasuredDay

    def rank(self, users: NDArray[np.int64], k: int, candidates: NDArray[np.bool_]) -> Ranking:
        """See `DayRanker`."""
        return self.day.best(users, k, candidates)


def make_rankings(
    spec: RecommenderSpec, chain: Chain | None = None, *, anew: bool = False
) -> Rankings:
    """The rankings that a spec names; arguments as in `make_recommender`, of which `oracle` is one.

    Raises:
        ConfigError: as in `make_recommender`, or a mitigation of the oracle.

    >>> make_rankings(RecommenderSpec(kind="oracle", name="oracle")).learns
    False
    """
    if spec.kind != ORACLE:
        return Learned(make_recommender(spec, chain, anew=anew))
    if chain is not None and chain.parts:
        raise refused(spec, chain, "the oracle is the upper bound and takes no mitigation")
    return made(TrueRankings, spec)
