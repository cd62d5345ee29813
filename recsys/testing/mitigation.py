"""What every mitigation promises; see `MitigationContract` and `check_mitigation`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Mitigation, mitigated
from recsys.recommenders.als import ALS
from recsys.recommenders.base import Recommender, with_fallback
from recsys.recommenders.item_knn import ItemKNN
from recsys.recommenders.trending import Trending
from recsys.testing.communities import (
    DEPTH,
    Community,
    community_with_newcomers,
    two_hours_apart,
)
from recsys.testing.examples import takes
from recsys.testing.promises import ContractError, check, promise, refused, same_ranking
from recsys.testing.serving import ServingContract, interleaved

_DEGENERATE: Mapping[str, tuple[list[int], list[int], list[str]]] = {
    "one user and one item": ([1, 1], [7, 7], ["click", "impression"]),
    "one user": ([1, 1, 1, 1], [7, 8, 9, 7], ["click", "click", "click", "impression"]),
    "one item": ([1, 2, 3, 3], [7, 7, 7, 7], ["click", "click", "click", "impression"]),
    "a user who has seen everything": (
        [1, 1, 1, 3, 3, 2],
        [7, 8, 9, 7, 8, 8],
        ["click"] * 4 + ["impression", "click"],
    ),
    "no newcomers": ([1, 1, 2, 2, 3], [7, 8, 8, 9, 9], ["click"] * 4 + ["impression"]),
}


class MitigationContract(ServingContract):
    """Everything that recsys takes for granted about a mitigation; subclass it to test your own.

    A recommender under a mitigation is a recommender, and must serve like one. pytest runs each
    method as a test. The data is a community of 320 incumbents and 80 newcomers; the model that is
    tried goes on from a model of the morning before the newcomers came.

        class TestMine(recsys.testing.MitigationContract):
            mitigation = Mine(share=0.1)
            inner = ItemKNN()

    Attributes:
        mitigation: what is tried.
        inner: a recommender that it can act on, with options that make a small fit quick.
        inert: the mitigation with options by which it changes nothing, such as `Mine(share=1.0)`;
            None if there are none.
        learns: False where `inner` needs no like to serve, as `random` does.
        newcomers_alone: whether a log of newcomers' likes alone can be learned from; None accepts
            a `LogError` as well as a model.
    """

    mitigation: Mitigation
    inner: Recommender = ALS(factors=8)
    inert: Mitigation | None = None
    learns: bool = True
    newcomers_alone: bool | None = None
    sources: ClassVar[tuple[str, ...]] = ("personal", "fresh")
    company: ClassVar[tuple[int, ...]] = (2, 90)
    after: ClassVar[bool] = True

    def serving(self) -> Recommender:
        """See `ServingContract`."""
        return mitigated(self.inner, [self.mitigation])

    def community(self) -> Community:
        """See `ServingContract`."""
        return community_with_newcomers()

    def test_its_options_are_frozen_and_checked(self) -> None:
        kind = type(self.mitigation)
        promise(isinstance(self.mitigation, Mitigation), "it is no recsys.Mitigation")
        with refused("an option that is not declared", ValueError, "Extra inputs"):
            kind.model_validate({"no_such_option": 1})
        for name, option in kind.model_fields.items():
            promise(option.description, f"option {name} has no docstring below it")
            with refused(f"a change of option {name}", ValueError, "frozen"):
                setattr(self.mitigation, name, 1)

    def test_every_feed_can_be_filled(self) -> None:
        got = self.model.recommend([100, 3, 12345], k=10)
        lengths = got.group_by("user_id", maintain_order=True).len()["len"].to_list()
        promise(lengths == [10, 10, 10], f"recommend with k=10 gives feeds of {lengths} slots")
        everybody = np.arange(self.log.n_users)
        trending = self.community().fitted(Trending())[1]
        full = with_fallback(self.model.rank(everybody, 10), trending, everybody)
        promise((full.item_ids >= 0).all(), "with the trending list behind it, slots stay empty")

    def test_without_a_previous_model_there_is_a_plain_fit(self) -> None:
        users = self.community().mixed
        got = self.serving().fit(self.log).rank(users, DEPTH)
        promise(got.item_ids.shape == (users.size, DEPTH), "a fit from nothing does not serve")

    def test_inert_users_and_items_move_nobody(self) -> None:
        """Newcomers who do nothing, and items that nobody was shown, change no bit."""
        frames = self.community()
        more = InteractionLog.from_frames(
            frames.events,
            interleaved(frames.users, frames.idle, 1),
            interleaved(frames.items, frames.unread, 2),
        )
        self._moves_nobody(more, "users who do nothing and items that nobody was shown move feeds")

    def test_degenerate_logs(self) -> None:
        for name, (user, item, kind) in _DEGENERATE.items():
            newcomers = () if name == "no newcomers" else (2, 9)
            log = two_hours_apart(user, item, kind, newcomers)
            shown = (log.dense["kind"] == "impression").to_numpy()
            first = self.serving().fit(log.only(shown | (np.arange(shown.size) == 0)))
            users = np.arange(log.n_users)
            where = f"in a log of {name},"
            for model in (first, self.serving().fit(log, 0, first)):
                for dense, ids in enumerate(model.rank(users, log.n_items).item_ids):
                    held, seen = ids[ids >= 0], model.log.seen[dense].indices
                    promise(np.unique(held).size == held.size, f"{where} an item comes twice")
                    promise(not np.isin(held, seen).any(), f"{where} a seen item is served")
                whole = model.rank(users, log.n_items, exclude_seen=False)
                scores = whole.scores[whole.item_ids >= 0]
                promise(np.isfinite(scores).all(), f"{where} scores are not finite")
                for layer in (model, getattr(model, "inner", model)):
                    for factors in ("user_factors", "item_factors"):
                        values = getattr(layer, factors, np.zeros(1))
                        promise(np.isfinite(values).all(), f"{where} {factors} are not finite")
            height = model.recommend([1], 1).height
            left = log.seen[0].nnz < log.n_items
            promise(height == left, f"{where} user 1 gets {height} items; expected {int(left)}")

    def test_nobody_but_newcomers(self) -> None:
        """They are served, or an error says that nothing is left to learn from."""
        kinds = ["click", "click", "click", "impression"]
        log = two_hours_apart([1, 1, 2, 2], [7, 8, 8, 8], kinds, newcomers=(1, 2, 9))
        match = r"incumbents have no positive event|holds no positive"
        if self.newcomers_alone is False:
            with refused("a log of newcomers alone", LogError, match):
                self.serving().fit(log)
            return
        try:
            model = self.serving().fit(log)
        except LogError as error:
            if self.newcomers_alone:
                raise ContractError(f"a log of newcomers alone is refused: {error}") from error
            with refused("a log of newcomers alone", LogError, match):
                raise
            return
        whole = model.rank(np.arange(log.n_users), 2, exclude_seen=False)
        promise(
            np.isfinite(whole.scores[whole.item_ids >= 0]).all(),
            "in a log of newcomers alone, scores are not finite",
        )

    def test_nothing_to_learn_from(self) -> None:
        log = two_hours_apart([1, 2], [7, 8], ["impression", "hide"], newcomers=(2, 9))
        if self.learns:
            with refused("a log without a like", LogError, "holds no positive event"):
                self.serving().fit(log)
            return
        shape = self.serving().fit(log).rank(np.array([0]), 2).item_ids.shape
        promise(shape == (1, 2), f"rank of one user with k=2 has shape {shape}")

    def test_an_inert_setting_is_the_plain_recommender(self) -> None:
        if self.inert is None:
            return
        everybody = np.arange(self.log.n_users)
        plain = self.community().fitted(self.inner)[1]
        model = mitigated(self.inner, [self.inert]).fit(self.log, 0)
        for candidates in (None, np.arange(self.log.n_items) % 4 > 0):
            same_ranking(
                model.rank(everybody, DEPTH, candidates),
                plain.rank(everybody, DEPTH, candidates),
                f"{self.inert!r} should change nothing, and differs from the plain recommender",
            )


def check_mitigation(
    mitigation: Mitigation,
    recommenders: Sequence[Recommender] | None = None,
    *,
    inert: Mitigation | None = None,
    seed_matters: bool = True,
) -> None:
    """Tries all promises of `MitigationContract` on a mitigation, without pytest.

    Args:
        mitigation: such as `Mine(share=0.1)`.
        recommenders: under which it is tried, such as `[ALS(factors=8)]`; None for those of
            trending, item_knn and als that it can act on.
        inert: the mitigation with options by which it changes nothing, such as `Mine(share=1.0)`.
        seed_matters: see `MitigationContract`.

    Raises:
        ContractError: it acts on none of the recommenders, or a line for each promise that it
            breaks under the first recommender under which it breaks any.

    >>> from recsys.mitigations import Cap
    >>> check_mitigation(Cap(share=0.1), [Trending()], inert=Cap(share=1.0))
    """
    tried: Sequence[Recommender] = recommenders or [Trending(), ItemKNN(), ALS(factors=8)]
    if recommenders is None:
        tried = [recommender for recommender in tried if takes(mitigation, recommender)]
    name = type(mitigation).__name__
    if not tried:
        raise ContractError(
            f"{name} acts on none of trending, item_knn and als; name the recommenders it is for, "
            "such as check_mitigation(mitigation, [MyRecommender()])"
        )
    for recommender in tried:
        contract = MitigationContract()
        contract.mitigation = mitigation
        contract.inner = recommender
        contract.inert = inert
        contract.seed_matters = seed_matters
        check(contract, f"{name} around {type(recommender).__name__}")
