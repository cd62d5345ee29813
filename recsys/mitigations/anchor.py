"""Anchor: notes' factors may move away from the last model's at a price."""

from pydantic import Field

from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Mitigation, Place
from recsys.mitigations.factors import Problem, aligned, als_of, influence
from recsys.recommenders.als import ALSModel
from recsys.recommenders.base import Model, Recommender


class Anchor(Mitigation):
    """A half-step with a pull to the previous factors: h = (A + μI)^-1 (b + μ h_old).

    It minimises the recommender's loss plus μ|h - h_old|² (proximal step, Rockafellar 1976; A and b
    as in `recsys.mitigations.factors`). als goes on from the previous model, whose axes the factors
    must share; then each note's factors are solved with the pull, and each user's given those. What
    the previous model did not know is free. μ = 0 is a plain half-step, μ → ∞ keeps the old
    factors; in between it competes with the diagonal of A, some hundreds for 5,000 readers. The
    previous model is yesterday's in a closed loop and, in an open one, that of the morning of day
    0, before anybody came, the same in every arm. Acts on als. Use it where feeds should move
    slowly, whoever moves them.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import ALS
    >>> log = InteractionLog.from_frames({"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> als = mitigated(ALS(factors=2), [Anchor(mu=1e9)])
    >>> before = als.fit(log)
    >>> after = als.fit(log.only(log.dense["user"].to_numpy() > 0), previous=before)
    >>> abs(after.item_factors - before.item_factors).max() < 1e-5
    np.True_
    """

    mu: float = Field(default=100.0, ge=0)
    """Pull μ of notes' factors to the old ones."""
    mu_users: float = Field(default=0.0, ge=0)
    """The same for users' factors; 0 leaves them free."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.FACTORS

    @property
    def needs_previous(self) -> bool:
        """See `Mitigation`."""
        return True

    def check(self, recommender: Recommender) -> None:
        """See `Mitigation.check`."""
        als_of(recommender, "anchor")

    def fit(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Model:
        """See `Mitigation.fit`; without a previous model it is the plain fit."""
        model, als = recommender.fit(log, seed, previous), als_of(recommender, "anchor")
        if not isinstance(previous, ALSModel) or previous.factors != als.factors:
            return model
        assert isinstance(model, ALSModel)
        problem = Problem.of(als, log, influence(recommender, log))
        (old_users, had), (old_items, known) = (
            aligned(keys, before)
            for keys, before in zip(
                (log.interactions.user_keys, problem.item_keys), previous.by_key, strict=True
            )
        )
        users, _ = aligned(log.interactions.user_keys, model.by_key[0])
        items = problem.items(users, self.mu * known, old_items)
        return problem.model(problem.users(items, self.mu_users * had, old_users), items)
