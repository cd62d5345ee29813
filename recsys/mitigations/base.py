"""The contract of mitigations: a mitigation wraps a recommender and is itself a recommender.

A mitigation acts at one of five places: the start of a fit, the weights of events, the factors, the
scores, or the rankings. A chain of mitigations goes through these places in this order. At the
first three places a mitigation changes the fit, and the model stays of the same kind. At the last
two it wraps the fitted model, of any kind, in a `Dressed` model.
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
from recsys.recommenders.base import Model, Recommender, Scores, Users, scorer_of
from recsys.recommenders.ranking import Ranking


class Place(IntEnum):
    """Where a mitigation acts. In a chain no mitigation may act at an earlier place than the one
    before it."""

    START = 0
    WEIGHTS = 1
    FACTORS = 2
    SCORES = 3
    RANKS = 4


_MANY = (Place.SCORES, Place.RANKS)
"""Places at which several mitigations of a chain can act, one after the other."""


class Mitigation(Part, ABC):
    """Options and a way to wrap a recommender; `MITIGATIONS` holds one subclass for each kind."""

    @property
    @abstractmethod
    def place(self) -> Place:
        """Where the mitigation acts."""

    @property
    def needs_previous(self) -> bool:
        """Whether the mitigation needs a previous model to have any effect."""
        return False

    @property
    def needs_impressions(self) -> bool:
        """Whether the mitigation learns from impressions: what was shown and not clicked."""
        return False

    @property
    def draws(self) -> bool:
        """Whether the mitigation itself uses the training seed."""
        return False

    def check(self, recommender: Recommender) -> None:
        """Raises if the mitigation cannot act on a recommender.

        Raises:
            ConfigError: says which recommenders or mitigations can be used instead.
        """

    def weigh(self, log: InteractionLog) -> float:
        """Weight of a newcomer's event, such as 0.25, where an incumbent's event has weight 1."""
        return 1.0

    def fit(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Model:
        """Fits a recommender under this mitigation.

        Args:
            recommender: the wrapped recommender.
            log: the training log.
            seed: training seed, such as 0.
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
        """Wraps a fitted model, if the mitigation acts on scores or rankings.

        Any other mitigation returns the model as it is.

        Args:
            model: the fitted model.
            seed: training seed, such as 0.
            previous: an earlier model, wrapped by this mitigation too.
        """
        return model


class Mitigated(Recommender):
    """A recommender under a mitigation, used like any other recommender.

    >>> from recsys.mitigations import Cap
    >>> from recsys.recommenders import Trending
    >>> Mitigated(inner=Trending(), mitigation=Cap(share=0.1)).deterministic
    True
    """

    inner: Recommender
    """The wrapped recommender."""
    mitigation: Mitigation
    """The mitigation that wraps it."""

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

    def check(self, log: InteractionLog) -> None:
        """See `Recommender.check`."""
        self.inner.check(log)

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> Model:
        """See `Recommender.fit`."""
        return self.mitigation.fit(self.inner, log, seed, previous)

    def fit_without(self, model: Model, log: InteractionLog, users: Users, seed: int = 0) -> Model:
        """See `Recommender.fit_without`."""
        return self.mitigation.fit_without(self.inner, model, log, users, seed)


def mitigated(recommender: Recommender, chain: Sequence[Mitigation]) -> Recommender:
    """Wraps a recommender in a chain of mitigations, the first of which is the innermost.

    Args:
        recommender: the recommender to wrap, such as `ItemKNN()`.
        chain: any number of mitigations, such as `[Offset(), Cap()]`.

    Raises:
        ConfigError: a mitigation cannot act on the recommender, or the order of the chain is wrong.

    >>> from recsys.mitigations import Cap, Offset
    >>> from recsys.recommenders import ItemKNN
    >>> mitigated(ItemKNN(), [Offset(), Cap()]).inner.mitigation
    Offset(strength=1.0, shrinkage=5.0)
    """
    for mitigation in chain:
        for layer in layers(recommender):
            _check_order(layer.mitigation, mitigation)
        mitigation.check(recommender)
        recommender = Mitigated(inner=recommender, mitigation=mitigation)
    return recommender


def layers(recommender: Recommender) -> Iterator[Mitigated]:
    """The mitigated recommenders inside one another, the outermost first."""
    while isinstance(recommender, Mitigated):
        yield recommender
        recommender = recommender.inner


def innermost(recommender: Recommender) -> Recommender:
    """The recommender inside all wrappings."""
    while isinstance(recommender, Mitigated):
        recommender = recommender.inner
    return recommender


def undressed(model: Model | None) -> Model | None:
    """The model inside a `Dressed` model; any other model as it is."""
    return model.inner if isinstance(model, Dressed) else model


def _check_order(before: Mitigation, after: Mitigation) -> None:
    """Raises unless one mitigation may follow another in a chain."""
    first, second = type(before).__name__, type(after).__name__
    if after.place < before.place:
        raise ConfigError(
            f"{second} acts on {after.place.name.lower()} and {first} on "
            f"{before.place.name.lower()}: put {second} before {first}"
        )
    if after.place == before.place and after.place not in _MANY:
        raise ConfigError(
            f"{first} and {second} both act on {after.place.name.lower()}: leave one of them out"
        )


@dataclass(frozen=True)
class Dressed(Model):
    """A model that changes the scores or the rankings of the model inside it.

    Attributes:
        inner: the model inside.
    """

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

    def window(self) -> float | None:
        """See `Model.window`."""
        return self.inner.window()

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`."""
        return scorer_of(self.inner, items)

    def inner_rank(
        self,
        users: Users,
        k: int,
        candidates: NDArray[np.bool_] | None,
        exclude_seen: bool | Seen,
        deeper: int = 0,
    ) -> Ranking:
        """The ranking of the inner model, with k slots and up to `deeper` more.

        The ranking has fewer than `deeper` more slots where there are too few candidates. The other
        arguments are those of `Model.rank`.
        """
        depth = k if k < 1 else max(k, min(k + deeper, self._n_candidates(candidates)))
        return self.inner.rank(users, depth, candidates, exclude_seen)
