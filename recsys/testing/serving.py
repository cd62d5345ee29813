"""What a recommender promises, whether it stands alone or under a mitigation.

Each method `test_…` is one promise. The base class is shared by `RecommenderContract` and
`MitigationContract`, so that there is one version of each promise.
"""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np
import polars as pl

from recsys.logs.log import InteractionLog
from recsys.logs.schema import SOURCES
from recsys.recommenders.base import Model, Recommender
from recsys.recommenders.ranking import Ranking
from recsys.testing.communities import DEPTH, START, Community
from recsys.testing.promises import (
    feeds_by_id,
    promise,
    refused,
    rows_of,
    same_array,
    same_feeds,
    same_ranking,
)


class ServingContract:
    """Promises about what is served, tried on a small community."""

    sources: ClassVar[tuple[str, ...]] = ("personal",)
    """The sources that `rank` may name."""
    company: ClassVar[tuple[int, ...]] = (1, 7, 256, 300, 600)
    """Numbers of users that are served at once, to see that each feed stays the same."""
    after: ClassVar[bool] = False
    """Whether the model that is tried is fitted with an earlier model of the morning before."""
    seed_matters: bool = True
    """False if a fit that goes on from an earlier model is the same with every seed, although a fit
    without one is not; this holds for `frozen`."""

    def serving(self) -> Recommender:
        """The recommender that is tried."""
        raise NotImplementedError

    def community(self) -> Community:
        """The community on which it is tried."""
        raise NotImplementedError

    @property
    def log(self) -> InteractionLog:
        """The log of the community."""
        return self.community().log

    @property
    def model(self) -> Model:
        """The fit of the log with seed 0, made once."""
        return self.community().fitted(self.serving(), self.after)[1]

    @property
    def served(self) -> Ranking:
        """What the model serves everybody, 20 deep, made once."""
        return self.community().served(self.serving(), self.after)

    @property
    def previous(self) -> Model | None:
        """The model of the morning before, where the contract has one."""
        return self.community().fitted(self.serving(), self.after)[0]

    # What rank returns

    def test_shapes_types_and_gaps(self) -> None:
        users = self.community().mixed
        for k in (1, DEPTH, self.log.n_items):
            got = self.model.rank(users, k)
            for name in ("item_ids", "scores", "sources"):
                shape = getattr(got, name).shape
                promise(
                    shape == (users.size, k),
                    f"rank of {users.size} users with k={k} gives {name} of shape {shape}; "
                    f"expected {(users.size, k)}",
                )
            dtypes = [str(part.dtype) for part in (got.item_ids, got.scores, got.sources)]
            promise(
                dtypes == ["int32", "float32", "uint8"],
                "item_ids, scores and sources must be int32, float32 and uint8; they are "
                + ", ".join(dtypes),
            )
            filled = got.item_ids >= 0
            promise(
                (got.item_ids < self.log.n_items).all(), "rank serves items that are not in the log"
            )
            same_array(filled, ~np.isnan(got.scores), "scores must be NaN in empty slots alone")
            promise(
                (np.diff(filled.astype(int), axis=1) <= 0).all(),
                "empty slots (-1) must come after the filled ones",
            )
            allowed = [list(SOURCES.categories).index(name) for name in self.sources]
            promise(
                np.isin(got.sources[filled], allowed).all(),
                f"rank names sources other than {', '.join(self.sources)}",
            )
            promise(filled[0].any(), f"dense user {users[0]} has likes and is served nothing")

    def test_no_item_twice(self) -> None:
        for user, ids in enumerate(self.model.rank(np.arange(self.log.n_users), 30).item_ids):
            held = ids[ids >= 0]
            promise(np.unique(held).size == held.size, f"dense user {user} gets an item twice")

    def test_seen_is_left_out_unless_asked_for(self) -> None:
        seen = self.log.seen.toarray()
        everybody = np.arange(self.log.n_users)
        got = self.model.rank(everybody, 30)
        user, place = np.nonzero(got.item_ids >= 0)
        again = seen[user, got.item_ids[user, place]]
        promise(not again.any(), f"{again.sum()} slots hold what their users have seen")
        got = self.model.rank(everybody, 30, exclude_seen=False)
        user, place = np.nonzero(got.item_ids >= 0)
        promise(
            seen[user, got.item_ids[user, place]].any(),
            "rank with exclude_seen=False serves nothing that was seen",
        )

    def test_candidates(self) -> None:
        candidates = np.arange(self.log.n_items) % 3 == 0
        got = self.model.rank(np.arange(self.log.n_users), DEPTH, candidates)
        held = got.item_ids[got.item_ids >= 0]
        promise(held.size, "rank with candidates serves nothing")
        promise(candidates[held].all(), "rank serves items that are no candidates")
        users, everything = self.community().mixed, np.ones(self.log.n_items, dtype=np.bool_)
        same_ranking(
            self.model.rank(users, DEPTH, everything),
            self.model.rank(users, DEPTH),
            "all items as candidates are not the same as no candidates",
        )

    def test_depths_that_cannot_be(self) -> None:
        users, n_items = self.community().mixed, self.log.n_items
        for k in (0, -1, n_items + 1):
            match = rf"k must be 1 to {n_items}, the number of candidates; it is {k}"
            with refused(f"k={k}", ValueError, match):
                self.model.rank(users, k)

    def test_more_than_the_candidates(self) -> None:
        users, candidates = self.community().mixed, np.arange(self.log.n_items) < 5
        got = self.model.rank(users, 5, candidates)
        promise(got.item_ids.shape == (users.size, 5), "rank of all 5 candidates is not 5 deep")
        with refused("a depth beyond the candidates", ValueError, "k must be 1 to 5"):
            self.model.rank(users, 6, candidates)

    def test_nobody(self) -> None:
        got = self.model.rank(np.array([], dtype=np.int64), 3)
        promise(got.item_ids.shape == (0, 3), "rank of no users must have shape (0, k)")

    def test_users_who_do_not_exist(self) -> None:
        for user in (self.log.n_users, 10**6, -2):
            with refused(f"dense user {user}", (IndexError, ValueError)):
                self.model.rank(np.array([0, user]), 1)

    # Who else asks does not matter

    def test_a_user_is_served_alike_in_any_company(self) -> None:
        rng = np.random.default_rng(6)
        everybody = np.arange(self.log.n_users)
        whole = self.served
        message = "a user's feed depends on which other users are served in the same call"
        for n in self.company:
            users = rng.permutation(everybody)[:n]
            got = self.model.rank(users, DEPTH)
            same_array(got.item_ids, whole.item_ids[users], f"{message} (items)")
            same_array(got.scores, whole.scores[users], f"{message} (scores)")
        twice = self.model.rank(np.array([50, -1, 50, 3, 50]), DEPTH)
        for row in (0, 2, 4):
            same_array(twice.item_ids[row], whole.item_ids[50], f"{message} (items)")
            same_array(twice.scores[row], whole.scores[50], f"{message} (scores)")

    # Fitting

    def test_fit_leaves_the_log_as_it_was(self) -> None:
        frames = self.community()
        log = InteractionLog.from_frames(frames.events, frames.users, frames.items)
        tables = {name: getattr(log, name).clone() for name in ("users", "items", "dense")}
        weights = log.interactions.weights.copy()
        self.serving().fit(log, seed=1).rank(frames.mixed, DEPTH)
        for name, table in tables.items():
            promise(getattr(log, name).equals(table), f"fit or rank changes log.{name}")
        changed = (log.interactions.weights != weights).nnz
        promise(changed == 0, f"fit or rank changes {changed} of log.interactions.weights")

    def test_the_same_seed_gives_the_same_bits(self) -> None:
        everybody = np.arange(self.log.n_users)
        once = self.served
        twice = self.serving().fit(self.log, 0, self.previous).rank(everybody, DEPTH)
        same_ranking(twice, once, "two fits with the same seed differ")

    def test_another_seed_gives_another_result_unless_deterministic(self) -> None:
        everybody = np.arange(self.log.n_users)
        once = self.served
        other = self.serving().fit(self.log, 1, self.previous).rank(everybody, DEPTH)
        if self.serving().deterministic:
            same_ranking(other, once, "it is declared deterministic, and another seed changes it")
        elif self.seed_matters:
            promise(
                (other.scores != once.scores).any(),
                "it is not declared deterministic, and another seed changes no score",
            )

    # Laws: what must move nobody's feed

    def test_relabelling_relabels_and_changes_nothing_else(self) -> None:
        """Other ids and other dense ids with the same keys give the same feeds and scores."""
        rng = np.random.default_rng(8)
        log = self.log
        names = {
            "user_id": dict(zip(log.users["user_id"], rng.permutation(log.n_users), strict=True)),
            "item_id": dict(zip(log.items["item_id"], rng.permutation(log.n_items), strict=True)),
        }
        if "creator_id" in log.items.columns:
            makers = log.items["creator_id"]
            names["creator_id"] = {maker: names["user_id"].get(maker, maker) for maker in makers}
        order = rng.permutation(log.n_users), rng.permutation(log.n_items)

        def renamed(frame: pl.DataFrame) -> pl.DataFrame:
            return frame.with_columns(
                pl.col(column).replace_strict(to)
                for column, to in names.items()
                if column in frame.columns
            )

        users, items = renamed(log.users)[order[0]], renamed(log.items)[order[1]]

        def relabelled(part: InteractionLog) -> InteractionLog:
            return InteractionLog.from_frames(renamed(part.events), users, items)

        earlier = None
        if self.previous is not None:
            earlier = self.serving().fit(relabelled(self.community().before), 0)
        other = relabelled(log)
        everybody = np.arange(log.n_users)
        expected = {
            names["user_id"][user]: [(names["item_id"][item], score) for item, score in feed]
            for user, feed in feeds_by_id(log, self.served, everybody).items()
        }
        got = self.serving().fit(other, 0, earlier).rank(everybody, DEPTH)
        message = "other ids and another order of users and items change feeds"
        same_feeds(feeds_by_id(other, got, everybody), expected, message)

    def test_what_comes_later_moves_nobody(self) -> None:
        """Attributes of people who join, and items that are published, after the log's end."""
        frames = self.community()
        feeds = []
        for seed in (1, 2):
            users = later(frames.users, frames.idle, "joined", seed)
            items = later(frames.items, frames.unread, "published", seed)
            more = InteractionLog.from_frames(
                frames.events,
                interleaved(frames.users, users, 1),
                interleaved(frames.items, items, 2),
            )
            rows = rows_of(more.users["user_id"], self.log.users["user_id"])
            candidates = np.zeros(more.n_items, dtype=np.bool_)
            candidates[rows_of(more.items["item_id"], self.log.items["item_id"])] = True
            model = self.serving().fit(more, 0, self.previous)
            got = model.rank(rows, DEPTH, candidates)
            feeds.append(feeds_by_id(more, got, rows))
        message = "what is known of users who join, or items that are published, later moves feeds"
        same_feeds(feeds[1], feeds[0], message)

    def _moves_nobody(self, more: InteractionLog, message: str) -> None:
        """A fit of a log with more in it serves the old users as before, from the old items."""
        everybody = np.arange(self.log.n_users)
        expected = feeds_by_id(self.log, self.served, everybody)
        rows = rows_of(more.users["user_id"], self.log.users["user_id"])
        columns = rows_of(more.items["item_id"], self.log.items["item_id"])
        candidates = np.zeros(more.n_items, dtype=np.bool_)
        candidates[columns] = True
        model = self.serving().fit(more, 0, self.previous)
        got = model.rank(rows, DEPTH, candidates)
        same_feeds(feeds_by_id(more, got, rows), expected, message)


def interleaved(frame: pl.DataFrame, others: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Rows of two frames in a drawn order.

    Args:
        frame: rows such as the users of a community.
        others: more rows; a column that one of the frames lacks is null there.
        seed: of the order, such as 1.
    """
    both = pl.concat([frame, others], how="diagonal_relaxed")
    return both[np.random.default_rng(seed).permutation(both.height)]


def later(known: pl.DataFrame, more: pl.DataFrame, column: str, seed: int) -> pl.DataFrame:
    """Rows that come when all events of a community are over, with drawn attributes.

    Args:
        known: rows of the community, such as its items, from whose values attributes are drawn.
        more: the rows that come later; the id and the cohort, if they have one, stay.
        column: the column that says when they come, such as "published".
        seed: of the attributes, such as 1.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, pl.Series | pl.Expr] = {
        name: known[name].drop_nulls()[rng.integers(0, known[name].count(), more.height)]
        for name in known.columns
        if name not in ("user_id", "item_id", "cohort")
    }
    drawn[column] = pl.lit(datetime.fromtimestamp(START, UTC) + timedelta(days=30))
    return more.with_columns(**drawn)
