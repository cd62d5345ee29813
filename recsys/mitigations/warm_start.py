"""Warm start: fits from the previous model, or never."""

from recsys.core.errors import ConfigError
from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Mitigation, Place, innermost
from recsys.recommenders.base import Model, Recommender


class WarmStart(Mitigation):
    """Starts a fit from the parameters of the previous model; with `enabled: false`, never.

    θ_0 = θ_previous instead of a draw, so that few sweeps are enough (Ash & Adams 2020, "On
    warm-starting neural network training", say what that may cost). In a closed loop recommenders
    start from yesterday's model anyway, so there only `enabled: false` changes anything. In an open
    loop they start anew, and this mitigation makes them start from the model of the morning of day
    0. Acts on als, bpr, lmf, two_tower, the als inside ranker, and the two_tower inside
    platform_ranker with recall. Use it to reduce training noise at no cost.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import ALS
    >>> mitigated(ALS(), [WarmStart()]).needs_previous
    True
    """

    enabled: bool = True
    """Whether to start from the previous model."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.START

    @property
    def needs_previous(self) -> bool:
        """See `Mitigation`."""
        return self.enabled

    def check(self, recommender: Recommender) -> None:
        """See `Mitigation.check`."""
        if not recommender.warm_starts:
            raise ConfigError(
                f"warm_start: {type(innermost(recommender)).__name__} cannot start from an earlier "
                "model; take als, bpr, lmf, two_tower, ranker or platform_ranker with recall"
            )

    def fit(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Model:
        """See `Mitigation.fit`."""
        return recommender.fit(log, seed, previous if self.enabled else None)
