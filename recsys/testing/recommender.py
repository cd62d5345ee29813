"""What every recommender promises; see `RecommenderContract` and `check_recommender`."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numba import get_num_threads, set_num_threads
from threadpoolctl import threadpool_limits

from recsys.core.errors import LogError, ModelError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import SOURCES
from recsys.recommenders.base import COLD, HOT, WARM, Recommender, with_fallback
from recsys.recommenders.ranking import Ranking
from recsys.recommenders.store import load_model, save_model
from recsys.recommenders.trending import Trending
from recsys.testing.communities import DEPTH, Community, community, described
from recsys.testing.promises import check, promise, refused, same_array, same_ranking
from recsys.testing.serving import ServingContract, interleaved

_PERSONAL = list(SOURCES.categories).index("personal")
_DEGENERATE: Mapping[str, Mapping[str, Sequence[int]]] = {
    "one user and one item": {"user_id": [1], "item_id": [7]},
    "one item": {"user_id": [1, 2, 3], "item_id": [7, 7, 7]},
    "one user": {"user_id": [1, 1, 1], "item_id": [7, 8, 9]},
    "two users who share no item": {"user_id": [1, 2], "item_id": [7, 8]},
}


class RecommenderContract(ServingContract):
    """Everything that recsys takes for granted about a recommender; subclass it to test your own.

    pytest runs each method as a test. A failure says which promise is broken and how. The data is
    a community of 700 users and 60 items, so a recommender that is quick to fit takes seconds.

        class TestMine(recsys.testing.RecommenderContract):
            recommender = Mine(power=2.0)

    Attributes:
        recommender: what is tried, with options that make a small fit quick.
        learns: False for a recommender that serves feeds even if the log holds no like, such as
            `random`.
        partly_weighted: True for a recommender that uses the weights of events, but not in
            proportion. It declares `uses_weights = False`, and yet half the weight may give other
            scores.
        alike_items_tie: whether items that differ in their ids alone must get equal scores. None
            demands it of deterministic recommenders only. Set False if the sums that make the
            scores of such items are rounded differently.
        can_be_stored: True demands that `recsys.save_model` can store its models.
    """

    recommender: Recommender
    learns: bool = True
    partly_weighted: bool = False
    alike_items_tie: bool | None = None
    can_be_stored: bool = False

    def serving(self) -> Recommender:
        """See `ServingContract`."""
        return self.recommender

    def community(self) -> Community:
        """See `ServingContract`."""
        return community()

    # What rank returns

    def test_everything_is_marked_personal(self) -> None:
        for k in (1, DEPTH, self.log.n_items):
            got = self.model.rank(self.community().mixed, k)
            promise((got.sources == _PERSONAL).all(), "rank names a source other than personal")

    def test_best_first(self) -> None:
        got = self.model.rank(np.arange(self.log.n_users), 30)
        for user, (ids, scores) in enumerate(zip(got.item_ids, got.scores, strict=True)):
            promise((np.diff(scores[ids >= 0]) <= 0).all(), f"scores of dense user {user} rise")

    def test_equal_scores_go_to_the_smaller_key(self) -> None:
        """Twelve items that nothing but their ids tells apart."""
        log = InteractionLog.from_frames(
            {"user_id": [1] * 12, "item_id": [*range(12)]},
            items={"item_id": [*range(12)], "topic": ["pets"] * 12},
        )
        model = self.recommender.fit(log)
        got = model.rank(np.array([0]), 12, exclude_seen=False)
        scores = np.asarray(model.score(np.zeros(256, dtype=np.int64), model.scorable))
        if np.unique(scores).size == 1:
            keys = log.items["key"].to_numpy()[got.item_ids[0]]
            promise(
                (np.diff(keys.astype(object)) > 0).all(),
                "items with equal scores must come in the order of their keys",
            )
        else:
            tie = self.alike_items_tie
            promise(
                not (self.recommender.deterministic if tie is None else tie),
                "items that differ in their ids alone get different scores; if sums are rounded "
                "differently, set alike_items_tie = False",
            )

    def test_what_was_seen_changes_no_other_score(self) -> None:
        users = np.arange(10, 40)
        whole = self.model.rank(users, self.log.n_items, exclude_seen=False)
        part = self.model.rank(users, self.log.n_items)
        message = "leaving out what was seen changes the rest"
        for row, user in enumerate(users):
            seen = self.log.seen[user].indices
            keep = ~np.isin(whole.item_ids[row], seen) & (whole.item_ids[row] >= 0)
            left = part.item_ids[row] >= 0
            same_array(part.item_ids[row][left], whole.item_ids[row][keep], message)
            same_array(part.scores[row][left], whole.scores[row][keep], message)

    def test_candidates_that_nobody_liked(self) -> None:
        unread = np.arange(self.log.n_items) >= 58
        users = self.community().mixed
        got = self.model.rank(users[users >= 0], 2, unread)
        promise(
            (got.item_ids >= 0).any() == np.isin([58, 59], self.model.scorable).all(),
            "items without events must be served if, and only if, scorable holds them",
        )

    def test_can_serve_status_and_rank_agree(self) -> None:
        users = self.community().mixed
        served = self.model.can_serve(users)
        got = self.model.rank(users, 5)
        same_array(got.item_ids[:, 0] >= 0, served, "can_serve and rank disagree")
        expected = [HOT, WARM, HOT, COLD, COLD, HOT]
        promise(
            self.model.status(users) == expected,
            f"status must be {expected}; it is {self.model.status(users)}",
        )
        same_array(
            served,
            np.isin(expected, self.model.serves),
            f"it says that it serves {self.model.serves}, and can_serve says otherwise",
        )

    # recommend

    def test_recommend_speaks_the_logs_ids(self) -> None:
        asked = ["user 100", "nobody", "user 3", "user 11", "user 7"]
        got = self.model.recommend(asked, k=10)
        columns = ["user_id", "rank", "item_id", "score", "source"]
        promise(got.columns == columns, f"recommend has columns {got.columns}; expected {columns}")
        promise(
            got.schema["user_id"] == got.schema["item_id"] == pl.String,
            "recommend must give the ids of the log, which are strings here",
        )
        promise(
            got.schema["source"] == SOURCES, "source must be of type recsys.logs.schema.SOURCES"
        )
        order = got["user_id"].unique(maintain_order=True).to_list()
        promise(order == asked, f"asked for {asked}, recommend answers for {order}")
        for (user,), feed in got.group_by("user_id", maintain_order=True):
            ranks = feed["rank"].to_list()
            promise(ranks == list(range(1, 11)), f"ranks of {user!r} are {ranks}; expected 1 to 10")
            promise(feed["item_id"].n_unique() == 10, f"{user!r} gets an item twice")
            seen = self.log.events.filter(user_id=user)["item_id"]
            promise(not feed["item_id"].is_in(seen.implode()).any(), f"{user!r} gets a seen item")

    def test_recommend_agrees_with_rank(self) -> None:
        got = self.model.recommend(["user 100", "user 650"], k=5)
        dense = self.model.rank(np.array([100, 650]), 5)
        personal = got.filter(source="personal")
        filled = dense.item_ids >= 0
        promise(
            personal["item_id"].to_list()
            == self.log.items["item_id"].gather(dense.item_ids[filled]).to_list(),
            "recommend and rank give other items",
        )
        scores = personal["score"].to_numpy()
        same_array(scores, dense.scores[filled], "recommend and rank give other scores")

    def test_whom_it_cannot_serve_gets_the_fallback(self) -> None:
        trending = self.community().fitted(Trending())[1]
        asked = {"user 3": WARM, "user 4": COLD, "user 7": COLD, "nobody": COLD}
        for user, status in asked.items():
            got = self.model.recommend([user], k=10)
            if status in self.model.serves:
                promise(
                    got["source"].to_list() == ["personal"] * 10,
                    f"it says that it serves {status} users, and does not fill a feed of one",
                )
                continue
            promise(
                (got["source"] == "fallback").all(),
                f"{user!r} is {status}, which it does not serve: all slots must be marked fallback",
            )
            ids = self.log.users["user_id"].to_list()
            dense = ids.index(user) if user in ids else -1
            expected = trending.rank(np.array([dense]), 10).item_ids[0]
            promise(
                got["item_id"].to_list() == self.log.items["item_id"].gather(expected).to_list(),
                f"{user!r} must get the trending list",
            )

    def test_recommend_everything(self) -> None:
        """Asked for more than there is, a feed holds all that is left."""
        got = self.model.recommend(["user 100", "nobody"], k=1000)
        lengths = got.group_by("user_id", maintain_order=True).len()["len"].to_list()
        fallback = self.community().fitted(Trending())[1]
        cold = self.model if COLD in self.model.serves else fallback
        expected = [self.model.scorable.size - self.log.seen[100].nnz, cold.scorable.size]
        promise(lengths == expected, f"feeds with k=1000 have {lengths} slots; expected {expected}")

    def test_integer_ids(self) -> None:
        log = described({"user_id": [10, 10, 30, 30, 20], "item_id": [5, 6, 6, 5, 5]})
        got = self.recommender.fit(log).recommend([20, 10, 99], k=1)
        promise(got.filter(user_id=20)["item_id"].to_list() == [6], "integer ids are not kept")
        promise(
            got.filter(user_id=10).is_empty(), "a user who has seen everything must get nothing"
        )
        promise(got.filter(user_id=99).height == 1, "an unknown user must get the trending list")

    def test_recommend_to_nobody(self) -> None:
        promise(self.model.recommend([], k=3).is_empty(), "recommend for no users gives feeds")

    def test_ids_of_another_type(self) -> None:
        match = "user_ids are Int64, the log's are String: give the ids"
        with refused("an integer, where ids are strings,", LogError, match):
            self.model.recommend([100], k=3)
        numbered = self.recommender.fit(described({"user_id": [1, 2], "item_id": [7, 8]}))
        match = "the log's are Int64: give the ids as they stand"
        wrong: list[list[Any]] = [["1"], [1.5], [True]]
        for ids in wrong:
            with refused(f"{ids}, where ids are integers,", LogError, match):
                numbered.recommend(ids, k=1)

    def test_unknown_ids_beyond_the_logs_type(self) -> None:
        events = pl.DataFrame({"user_id": [1, 1, 2], "item_id": [7, 8, 7]})
        model = self.recommender.fit(described(events.cast({"user_id": pl.Int32})))
        promise(model.recommend([2**40], k=1).height == 1, "an id beyond int32 is not served")

    # What a fit heeds

    def test_a_previous_model_of_another_log_is_welcome(self) -> None:
        users = self.community().mixed
        previous = self.recommender.fit(self.community().before, seed=0)
        got = self.recommender.fit(self.log, 0, previous).rank(users, DEPTH)
        again = self.recommender.fit(self.log, 0, previous).rank(users, DEPTH)
        same_ranking(again, got, "two fits from the same earlier model differ")
        anew = self.model.rank(users, DEPTH)
        if self.recommender.warm_starts:
            promise(
                (got.scores != anew.scores).any(),
                "it declares warm_starts, and an earlier model changes no score",
            )
        else:
            message = "it does not declare warm_starts, and an earlier model changes its feeds"
            same_ranking(got, anew, message)

    def test_weights_matter_if_and_only_if_declared(self) -> None:
        """The events of every other user weigh half."""
        half = np.where(self.log.dense["user"].to_numpy() % 2, 0.5, 1)
        weight = (self.log.dense["weight"] * half).cast(pl.Float32)
        halved = replace(self.log, dense=self.log.dense.with_columns(weight.alias("weight")))
        everybody = np.arange(self.log.n_users)
        got = self.recommender.fit(halved, seed=0).rank(everybody, DEPTH)
        whole = self.served
        if self.recommender.uses_weights:
            promise(
                (got.scores != whole.scores).any(),
                "it declares uses_weights, and half the weight changes no score",
            )
        elif not self.partly_weighted:
            same_ranking(
                got,
                whole,
                "it does not declare uses_weights, and half the weight changes its feeds; "
                "if it heeds weights out of proportion, set partly_weighted = True",
            )

    def test_impressions_matter_if_and_only_if_declared(self) -> None:
        shown = (self.log.dense["kind"] == "impression").to_numpy()
        everybody = np.arange(self.log.n_users)
        fitted = self.recommender.fit(self.log.only(~shown), seed=0)
        got = fitted.rank(everybody, DEPTH, exclude_seen=False)
        whole = self.model.rank(everybody, DEPTH, exclude_seen=False)
        if self.recommender.needs_impressions:
            promise(
                (got.scores != whole.scores).any(),
                "it declares needs_impressions, and without them no score changes",
            )
        else:
            message = "it does not declare needs_impressions, and they change its feeds"
            same_ranking(got, whole, message)

    def test_options_are_frozen_and_checked(self) -> None:
        kind = type(self.recommender)
        promise(isinstance(self.recommender, Recommender), "it is no recsys.Recommender")
        with refused("an option that is not declared", ValueError, "Extra inputs"):
            kind.model_validate({"no_such_option": 1})
        for name, option in kind.model_fields.items():
            promise(option.description, f"option {name} has no docstring below it")
            with refused(f"a change of option {name}", ValueError, "frozen"):
                setattr(self.recommender, name, 1)

    # Small and empty logs

    def test_degenerate_logs(self) -> None:
        for name, events in _DEGENERATE.items():
            log = described(events)
            model = self.recommender.fit(log)
            users = np.arange(log.n_users)
            got = model.rank(users, log.n_items)
            full = with_fallback(got, Trending().fit(log), users)
            for user in users:
                held = full.item_ids[user][full.item_ids[user] >= 0]
                left = log.n_items - log.seen[user].nnz
                promise(
                    held.size == left and not np.isin(held, log.seen[user].indices).any(),
                    f"in a log of {name}, dense user {user} must get the {left} items that the "
                    f"user has not seen; the user gets {held.size}",
                )
            whole = model.rank(users, log.n_items, exclude_seen=False)
            promise(
                np.isfinite(whole.scores[whole.item_ids >= 0]).all(),
                f"in a log of {name}, scores of what is served are not finite",
            )

    def test_users_who_have_seen_everything_get_nothing(self) -> None:
        log = described({"user_id": [1, 1, 2], "item_id": [7, 8, 7]})
        model = self.recommender.fit(log)
        got = model.rank(np.array([0, 1]), 2)
        user = "a user who has seen everything"
        promise((got.item_ids[0] == -1).all(), f"{user} is served something")
        promise(np.isnan(got.scores[0]).all(), f"{user} has scores")
        promise(model.recommend([1], k=2).is_empty(), f"{user} has a feed")

    def test_nothing_to_learn_from(self) -> None:
        log = described({"user_id": [1, 2], "item_id": [7, 8], "kind": ["impression", "hide"]})
        if self.learns:
            with refused("a log without a like", LogError, "holds no positive event"):
                self.recommender.fit(log)
            return
        ids = self.recommender.fit(log).rank(np.array([0]), 1).item_ids.tolist()
        promise(ids == [[1]], "learns = False is set, and yet a log without a like gives no feed")

    def test_hot_warm_cold(self) -> None:
        log = described(
            {"user_id": [1, 2, 3], "item_id": [7, 7, 8], "kind": ["click", "impression", "hide"]},
            users={
                "user_id": [1, 2, 3, 4, 5],
                "cohort": ["incumbent"] * 5,
                "joined": [None, 1, 2, 3, 4],
                "age": [None, 30, None, None, None],
                "city": [None, None, None, "Wuhan", None],
            },
        )
        status = self.recommender.fit(log).status(np.array([0, 1, 2, 3, 4, -1]))
        expected = [HOT, WARM, COLD, WARM, COLD, COLD]
        promise(status == expected, f"status must be {expected}; it is {status}")

    # Laws: what must move nobody's feed

    def test_inert_users_move_nobody(self) -> None:
        """Newcomers who do nothing change no bit of anybody's feed."""
        frames = self.community()
        users = interleaved(frames.users, frames.idle, 1)
        more = InteractionLog.from_frames(frames.events, users, frames.items)
        self._moves_nobody(more, "users who do nothing move feeds")

    def test_inert_items_move_nobody(self) -> None:
        """Items that nobody was shown change no bit of anybody's feed."""
        frames = self.community()
        items = interleaved(frames.items, frames.unread, 2)
        more = InteractionLog.from_frames(frames.events, frames.users, items)
        message = "items that nobody was shown move feeds"
        self._moves_nobody(more, message)
        if self.model.scorable.size == self.log.n_items:
            return  # it serves all items without events, so it serves the added ones, too
        everybody = np.arange(self.log.n_users)
        got = self.recommender.fit(more, seed=0).rank(everybody, DEPTH)
        ids = more.items["item_id"].to_numpy()
        whole = self.served
        same_array(got.scores.view(np.uint32), whole.scores.view(np.uint32), message)
        filled = got.item_ids >= 0
        same_array(
            ids[got.item_ids[filled]],
            self.log.items["item_id"].to_numpy()[whole.item_ids[filled]],
            message,
        )

    def test_what_newcomers_were_shown_and_did_not_like_moves_nobody(self) -> None:
        frames = self.community()
        shown = frames.events.head(200).with_columns(
            user_id=pl.lit("newcomer"), kind=pl.lit("impression")
        )
        more = InteractionLog.from_frames(
            pl.concat([frames.events, shown]),
            pl.concat([frames.users, pl.DataFrame({"user_id": ["newcomer"]})], how="diagonal"),
            frames.items,
        )
        self._moves_nobody(more, "what a newcomer was shown and did not like moves feeds")

    def test_fits_in_four_threads_at_once(self) -> None:
        everybody = np.arange(self.log.n_users)

        def fitted(_: int) -> Ranking:
            return self.recommender.fit(self.log, 0).rank(everybody, DEPTH)

        with ThreadPoolExecutor(4) as pool:
            for got in pool.map(fitted, range(4)):
                message = "fits that run at the same time in four threads differ from one alone"
                same_ranking(got, self.served, message)

    def test_the_number_of_threads_changes_nothing(self) -> None:
        everybody = np.arange(self.log.n_users)
        threads = get_num_threads()
        set_num_threads(1)
        try:
            with threadpool_limits(limits=1):
                got = self.recommender.fit(self.log, 0).rank(everybody, DEPTH)
        finally:
            set_num_threads(threads)
        message = f"a fit on 1 thread differs from one on {threads}"
        same_ranking(got, self.served, message)

    # On disk

    def test_a_stored_model_ranks_to_the_same_bits(self) -> None:
        recommenders = {"mine": type(self.recommender)}
        with TemporaryDirectory() as folder:
            try:
                save_model(self.model, folder, recommenders)
            except ModelError as error:
                promise(not self.can_be_stored, f"its models cannot be stored: {error}")
                return
            again = load_model(folder, recommenders)
        promise(type(again) is type(self.model), f"a {type(again).__name__} comes back")
        users = np.concatenate([self.community().mixed, np.arange(self.log.n_users)])
        message = "a stored model serves something else"
        same_ranking(again.rank(users, DEPTH), self.model.rank(users, DEPTH), message)
        candidates = np.arange(self.log.n_items) % 3 > 0
        same_ranking(
            again.rank(users, 5, candidates, exclude_seen=False),
            self.model.rank(users, 5, candidates, exclude_seen=False),
            message,
        )
        asked = ["user 20", "user 3", "nobody", "user 650"]
        promise(again.recommend(asked, 10).equals(self.model.recommend(asked, 10)), message)
        promise(again.status(users) == self.model.status(users), message)


def check_recommender(
    recommender: Recommender,
    *,
    learns: bool = True,
    partly_weighted: bool = False,
    alike_items_tie: bool | None = None,
    can_be_stored: bool = False,
) -> None:
    """Tries all promises of `RecommenderContract` on a recommender, without pytest.

    Args:
        recommender: such as `Mine(power=2.0)`, with options that make a small fit quick.
        learns, partly_weighted, alike_items_tie, can_be_stored: see `RecommenderContract`.

    Raises:
        ContractError: a line for each promise that the recommender breaks.

    >>> from recsys.recommenders import MostPopular
    >>> check_recommender(MostPopular())
    """
    contract = RecommenderContract()
    contract.recommender = recommender
    contract.learns = learns
    contract.partly_weighted = partly_weighted
    contract.alike_items_tie = alike_items_tie
    contract.can_be_stored = can_be_stored
    check(contract, type(recommender).__name__)
