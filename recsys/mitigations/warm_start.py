"""Warm start: go on from the last model, or never."""

from recsys.core.errors import ConfigError
from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Mitigation, Place, innermost
from recsys.recommenders.base import Model, Recommender


class WarmStart(Mitigation):
    """The fit starts from the previous model's parameters; with `enabled: false` it never does.

    θ_0 = θ_previous instead of a draw; a few sweeps then suffice (Ash & Adams 2020, "On
    warm-starting neural network training", say what that may cost). In a closed loop recommenders
    go on from yesterday's model anyway, so there `enabled: false` is what differs; in an open one
    they start anew, and this starts from the model of the morning of day 0. Acts on recommenders
    that can go on (als, bpr, lmf, and the als in ranker). Use it against the noise of training,
    which it takes away at no cost.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import ALS
    >>> mitigated(ALS(), [WarmStart()]).needs_previous
    True
    """

    enabled: bool = True
    """Whether to go on from the previous model."""

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
                f"warm_start: {type(innermost(recommender)).__name__} cannot go on from an earlier "
                "model; take als, bpr, lmf or ranker"
            )

    def fit(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Model:
        """See `Mitigation.fit`."""
        return recommender.fit(log, seed, previous if self.enabled else None)
