"""The rankings that a study compares: those of recommenders, and those of the oracle.

A recommender is fitted to a log. The oracle is the upper bound: it knows the world, and ranks posts
by their true utility.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.config import Chain, Part, RecommenderSpec
from recsys.logs.log import InteractionLog
from recsys.mitigations.build import ORACLE, made, make_recommender, refused
from recsys.recommenders import Model, Ranking, Recommender
from recsys.study.arms.policy import RecommenderPolicy
from recsys.study.arms.shared_fits import SharedFits
from recsys.study.arms.worlds import MeasuredDay
from recsys.world.day.oracle import Oracle
from recsys.world.platform.policy import Policy


class DayRanker(Protocol):
    """Ranks posts for users on one day."""

    def rank(self, users: NDArray[np.int64], k: int, candidates: NDArray[np.bool_]) -> Ranking:
        """The k best posts for each user; see `Model.rank`.

        Args:
            users: dense ids (n,).
            k: number of posts for each user, such as 68.
            candidates: bool (n_posts,), which posts may be ranked.
        """


class Ready(NamedTuple):
    """What ranks posts on a day, and what it took to make it."""

    ranker: DayRanker
    seconds: float
    """Seconds of the fit."""


class Rankings(Protocol):
    """A source of rankings in a world."""

    @property
    def deterministic(self) -> bool:
        """Whether a training seed changes nothing."""

    @property
    def needs_previous(self) -> bool:
        """Whether it needs the model of the morning of day 0, which a log does not have."""

    @property
    def learns(self) -> bool:
        """Whether rankings depend on the log, and so on the newcomers' events in it."""

    @property
    def options(self) -> dict[str, Any]:
        """All its options, such as `{"factors": 64, …}`; defaults are written out."""

    def model_before(self, day: MeasuredDay, seed: int) -> Model | None:
        """The model of the morning of day 0; None if it is not needed.

        Args:
            day: day 0 of control.
            seed: training seed, such as 0.
        """

    def on(self, day: MeasuredDay, log: InteractionLog, seed: int, previous: Model | None) -> Ready:
        """Gives what ranks posts on a day of an open loop, such as a fit to the log.

        Args:
            day: a day of the arm's world.
            log: the log to learn from: that of the days before, or a part of it.
            seed: training seed, such as 0.
            previous: the model of the morning of day 0, or None if it is not needed.
        """

    def policy(self, training_days: int) -> Policy | Oracle:
        """The policy that serves the platform in a closed loop.

        Args:
            training_days: number of days before that it learns from, such as 14.
        """


@dataclass(frozen=True)
class Learned:
    """The rankings of a recommender.

    Attributes:
        recommender: the recommender that is fitted, such as `ALS(factors=64)`.
        fits: the fits that it shares with the same recommender under other mitigations.
    """

    recommender: Recommender
    fits: SharedFits = field(default_factory=lambda: SharedFits(()), repr=False, compare=False)
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
        return (
            self.fits(self.recommender, day.log, seed, None).model if self.needs_previous else None
        )

    def on(self, day: MeasuredDay, log: InteractionLog, seed: int, previous: Model | None) -> Ready:
        """See `Rankings`: a fit to the log."""
        return Ready(*self.fits(self.recommender, log, seed, previous))

    def policy(self, training_days: int) -> Policy:
        """See `Rankings`: the recommender, trained each morning."""
        return RecommenderPolicy(self.recommender, training_days)


class TrueRankings(Part):
    """The rankings of the oracle, which have the highest utility possible.

    In an open loop it ranks by the same true utility by which feeds are measured. In the slots that
    a recommender fills, no feeds can have more of it. In a closed loop it serves the platform.
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

    def on(self, day: MeasuredDay, log: InteractionLog, seed: int, previous: Model | None) -> Ready:
        """See `Rankings`: the true utility of the day; the log is not used."""
        return Ready(_Truth(day), 0.0)

    def policy(self, training_days: int) -> Oracle:
        """See `Rankings`: the platform's oracle, which is never trained."""
        return Oracle()


@dataclass(frozen=True)
class _Truth:
    """Ranks by the true utility of a day."""

    day: MeasuredDay

    def rank(self, users: NDArray[np.int64], k: int, candidates: NDArray[np.bool_]) -> Ranking:
        """See `DayRanker`."""
        return self.day.best(users, k, candidates)


def make_rankings(
    spec: RecommenderSpec, chain: Chain | None = None, *, anew: bool = False
) -> Rankings:
    """Makes the rankings that a config names: a recommender's or the oracle's.

    Args:
        spec: as in `make_recommender`; `kind` may be "oracle", too.
        chain, anew: see `make_recommender`.

    Raises:
        ConfigError: as in `make_recommender`, or the oracle is under a mitigation.

    >>> make_rankings(RecommenderSpec(kind="oracle", name="oracle")).learns
    False
    """
    if spec.kind != ORACLE:
        return Learned(make_recommender(spec, chain, anew=anew))
    if chain is not None and chain.parts:
        raise refused(spec, chain, "the oracle is the upper bound and takes no mitigation")
    return made(TrueRankings, spec)
