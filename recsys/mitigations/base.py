"""The contract of mitigations: one wraps a recommender and gives a recommender.

They act at five places, and a chain goes through these in order: what a fit starts from, how much
events weigh, factors, scores, rankings. The first three fit a model of the same kind; the last two
dress a fitted model, whatever it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from recsys.config.base import Part
from recsys.core.errors import ConfigError
from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders.base import Model, Recommender, Scores, Users
from recsys.recommenders.ranking import Ranking


class Place(IntEnum):
    """Where a mitigation acts; a chain may not go back."""

    START = 0
    WEIGHTS = 1
    FACTORS = 2
    SCORES = 3
    RANKS = 4


_MANY = (Place.SCORES, Place.RANKS)
"""Places at which several mitigations can act one after the other."""


class Mitigation(Part, ABC):
    """Options, and how to wrap a recommender; a subclass is one entry of `MITIGATIONS`."""

    @property
    @abstractmethod
    def place(self) -> Place:
        """Where it acts."""

    @property
    def needs_previous(self) -> bool:
        """Whether it does nothing without an earlier model."""
        return False

    @property
    def needs_impressions(self) -> bool:
        """Whether it learns from what was shown and not clicked."""
        return False

    @property
    def draws(self) -> bool:
        """Whether it draws by the training seed itself."""
        return False

    def check(self, recommender: Recommender) -> None:
        """Raises a `ConfigError` if it cannot act on a recommender."""

    def weigh(self, log: InteractionLog) -> float:
        """What a newcomer's event counts, where an incumbent's counts 1."""
        return 1.0

    def fit(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Model:
        """A fit under this mitigation; arguments as of `Recommender.fit`.

        Args:
            recommender: what is wrapped.
            log, seed: of the fit.
            previous: an earlier model of the same chain.
        """
        model = recommender.fit(log, seed, undressed(previous))
        return self.dress(model, seed, previous)

    def fit_without(
        self, recommender: Recommender, model: Model, log: InteractionLog, users: Users, seed: int
    ) -> Model:
        """See `Recommender.fit_without`."""
        if self.place not in _MANY or not isinstance(model, Dressed):
            return self.fit(recommender, log, seed, None)
        return self.dress(recommender.fit_without(model.inner, log, users, seed), seed, None)

    def dress(self, model: Model, seed: int, previous: Model | None) -> Model:
        """A fitted model under this mitigation, where it acts on scores or rankings.

        Args:
            model: the fit.
            seed: training seed.
            previous: an earlier model, dressed likewise.
        """
        return model


class Mitigated(Recommender):
    """A recommender under a mitigation: a recommender like any other.

    >>> from recsys.mitigations import Cap
    >>> from recsys.recommenders import Trending
    >>> Mitigated(inner=Trending(), mitigation=Cap(share=0.1)).deterministic
    True
    """

    inner: Recommender
    """What is wrapped."""
    mitigation: Mitigation
    """What wraps it."""

    @property
    def deterministic(self) -> bool:  # type: ignore[override]
        """See `Recommender`."""
        return self.inner.deterministic and not self.mitigation.draws

    @property
    def uses_weights(self) -> bool:  # type: ignore[override]
        """See `Recommender`."""
        return self.inner.uses_weights

    @property
    def warm_starts(self) -> bool:  # type: ignore[override]
        """See `Recommender`."""
        return self.inner.warm_starts

    @property
    def needs_previous(self) -> bool:  # type: ignore[override]
        """See `Recommender`."""
        return self.inner.needs_previous or self.mitigation.needs_previous

    @property
    def needs_impressions(self) -> bool:  # type: ignore[override]
        """See `Recommender`."""
        return self.inner.needs_impressions or self.mitigation.needs_impressions

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> Model:
        """See `Recommender.fit`."""
        return self.mitigation.fit(self.inner, log, seed, previous)

    def fit_without(self, model: Model, log: InteractionLog, users: Users, seed: int = 0) -> Model:
        """See `Recommender.fit_without`."""
        return self.mitigation.fit_without(self.inner, model, log, users, seed)


def mitigated(recommender: Recommender, chain: Sequence[Mitigation]) -> Recommender:
    """A recommender under a chain of mitigations, the first of them innermost.

    Args:
        recommender: what is wrapped.
        chain: none or more.

    Raises:
        ConfigError: one of them cannot act on the recommender, or stands at a wrong place.

    >>> from recsys.mitigations import Cap, Offset
    >>> from recsys.recommenders import ItemKNN
    >>> mitigated(ItemKNN(), [Offset(), Cap()]).inner.mitigation
    Offset(strength=1.0, shrinkage=5.0)
    """
    for mitigation in chain:
        before = [layer.mitigation for layer in layers(recommender)]
        for other in before:
            _check_order(other, mitigation)
        mitigation.check(recommender)
        recommender = Mitigated(inner=recommender, mitigation=mitigation)
    return recommender


def layers(recommender: Recommender) -> Iterator[Mitigated]:
    """The wrappings of a recommender, the outermost first."""
    while isinstance(recommender, Mitigated):
        yield recommender
        recommender = recommender.inner


def innermost(recommender: Recommender) -> Recommender:
    """The recommender inside all wrappings."""
    while isinstance(recommender, Mitigated):
        recommender = recommender.inner
    return recommender


def undressed(model: Model | None) -> Model | None:
    """What a model was before it was dressed last."""
    return model.inner if isinstance(model, Dressed) else model


def _check_order(before: Mitigation, after: Mitigation) -> None:
    first, then = type(before).__name__, type(after).__name__
    if after.place < before.place:
        raise ConfigError(
            f"{then} acts on {after.place.name.lower()} and {first} on "
            f"{before.place.name.lower()}: put {then} before {first}"
        )
    if after.place == before.place and after.place not in _MANY:
        raise ConfigError(
            f"{first} and {then} both act on {after.place.name.lower()}: leave one of them out"
        )


@dataclass(frozen=True)
class Dressed(Model):
    """A model inside another that changes its scores or its rankings."""

    inner: Model

    @property
    def serves(self) -> tuple[str, ...]:  # type: ignore[override]
        """See `Model`."""
        return self.inner.serves

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """See `Model.scorable`."""
        return self.inner.scorable

    def can_serve(self, users: Users) -> NDArray[np.bool_]:
        """See `Model.can_serve`."""
        return self.inner.can_serve(users)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`."""
        return self.inner.scorer(items)

    def inner_rank(
        self,
        users: Users,
        k: int,
        candidates: NDArray[np.bool_] | None,
        exclude_seen: bool | Seen,
        deeper: int = 0,
    ) -> Ranking:
        """The inner model's ranking, deeper than k by as much as there are candidates for."""
        depth = k if k < 1 else max(k, min(k + deeper, self._n_candidates(candidates)))
        return self.inner.rank(users, depth, candidates, exclude_seen)
