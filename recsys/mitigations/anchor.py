"""Anchor: pulls the factors of posts towards those of the previous model."""

from pydantic import Field

from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Mitigation, Place
from recsys.mitigations.factors import Problem, aligned, als_of, influence
from recsys.recommenders.als import ALSModel
from recsys.recommenders.base import Model, Recommender


class Anchor(Mitigation):
    """Solves for factors with a pull to the previous ones: h = (A + μI)^-1 (b + μ h_old).

    This minimises the loss of the recommender plus μ|h - h_old|² (proximal step, Rockafellar 1976;
    A and b as in `recsys.mitigations.factors`). First als is fitted from the previous model, so
    that old and new factors have the same axes. Then the factors of posts are solved with the pull,
    and the factors of users given those of posts. Posts that are not in the previous model are not
    pulled. μ = 0 is a plain half-step and μ → ∞ keeps the old factors. Between the two, compare μ
    with the diagonal of A, some hundreds for 5,000 users. The previous model is yesterday's in a
    closed loop. In an open loop it is the model of the morning of day 0, before newcomers arrive,
    and the same in every arm. Acts on als. Use it where feeds should change slowly, whoever causes
    the change.

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
    """Strength μ of the pull on the factors of posts."""
    mu_users: float = Field(default=0.0, ge=0)
    """Strength of the pull on the factors of users; 0 leaves them free."""

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
        """See `Mitigation.fit`; without a previous model this is the plain fit."""
        model, als = recommender.fit(log, seed, previous), als_of(recommender, "anchor")
        if not isinstance(previous, ALSModel) or previous.factors != als.factors:
            return model
        assert isinstance(model, ALSModel)
        problem = Problem.of(als, log, influence(recommender, log))
        (old_users, is_old_user), (old_items, is_old_item) = (
            aligned(keys, before)
            for keys, before in zip(
                (log.interactions.user_keys, problem.item_keys), previous.by_key, strict=True
            )
        )
        users, _ = aligned(log.interactions.user_keys, model.by_key[0])
        items = problem.items(users, self.mu * is_old_item, old_items)
        return problem.model(problem.users(items, self.mu_users * is_old_user, old_users), items)
