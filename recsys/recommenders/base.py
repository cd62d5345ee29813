"""The contract of recommenders: `Recommender.fit` learns a model from a log, `Model.rank` ranks.

A model holds the users and items with positive events in its log, in the order of their keys.
Scores are computed for blocks of a fixed number of users, so that a user's scores do not depend on
the other users that are served. Of two items with equal scores the one with the smaller key is
ranked first; keys are hashes, so ties favour neither old posts nor small ids.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.config.base import Part
from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.core.threads import single_threaded_blas
from recsys.logs.ids import checked_ids
from recsys.logs.log import InteractionLog, Seen
from recsys.logs.times import DAY
from recsys.recommenders.attributes import attribute_names
from recsys.recommenders.fits import check_array
from recsys.recommenders.kernels import fill_gaps, first_unseen, top_k
from recsys.recommenders.ranking import FALLBACK, PERSONAL, Ranking, Slots
from recsys.recommenders.window import ages, by_window, follow, last_like, midnight_after

BLOCK = 256
"""Number of users that are scored together; the last block is padded to this size."""
HALF_LIFE_DAYS = 2.0
"""Days in which an event loses half of its weight in trending lists."""
HOT, WARM, COLD = "hot", "warm", "cold"
"""Kinds of users: a hot user has positive events, a warm user has known attributes alone, and a
cold user has neither."""


class ModelNumber(IntEnum):
    """Coordinate of `integer_seed` that keeps the seeds of different models apart."""

    BPR = 1
    LMF = 2
    RANKER = 3
    TWO_TOWER = 4


Users = NDArray[np.integer[Any]]
"""Dense ids of users, (n_users,)."""
Scores = NDArray[np.floating[Any]]
"""Scores of items, (n_users, n_items)."""


class Recommender(Part, ABC):
    """Hyper-parameters and a way to fit; `RECOMMENDERS` holds one subclass for each kind."""

    deterministic: ClassVar[bool] = False
    """Whether the model is the same for every training seed. If so, studies skip the retrain arm,
    in which nothing could change."""
    uses_weights: ClassVar[bool] = False
    """Whether an event influences the model in proportion to its weight."""
    warm_starts: ClassVar[bool] = False
    """Whether `fit` can start from a previous model."""
    needs_previous: ClassVar[bool] = False
    """Whether `fit` needs a previous model even in an open loop, where every fit otherwise starts
    anew. A study then passes the model of the morning of day 0."""
    needs_impressions: ClassVar[bool] = False
    """Whether the training log must hold impressions: what was shown and not clicked."""

    @abstractmethod
    def fit(self, log: InteractionLog, seed: int = 0, previous: "Model | None" = None) -> "Model":
        """Learns a model from a log; the log is not changed.

        Args:
            log: the training log; an event of weight 0 was seen and not liked.
            seed: training seed, such as 0.
            previous: an earlier model, such as yesterday's, to start from. A recommender that
                cannot start from a model ignores it.

        Raises:
            LogError: the log holds nothing to learn from. `binary` raises it for a log without
                positive events.
        """

    def check(self, log: InteractionLog) -> None:
        """Finds out cheaply, before a fit, whether a log lacks something that `fit` needs.

        Most recommenders need only positive events. `fit` itself checks that there are some, so for
        these recommenders this method does nothing.

        Raises:
            LogError: as `fit` would.
        """

    def fit_without(
        self, model: "Model", log: InteractionLog, users: Users, seed: int = 0
    ) -> "Model":
        """Fits a log from which some users were removed.

        The result is that of `fit(log, seed)`. A subclass may reach it at less cost by starting
        from the model of the whole log.

        Args:
            model: this recommender's fit of the whole log.
            log: the whole log without the events of the removed users.
            users: int, dense ids of the removed users, such as `np.array([3, 8])`.
            seed: training seed, such as 0.
        """
        return self.fit(log, seed)

    def removal(self, model: "Model", log: InteractionLog, users: Users) -> "Removal | None":
        """Removes some users exactly from a fit, and makes a new fit without them to compare with.

        Args:
            model: this recommender's fit of the whole log.
            log: the whole log without these users' events.
            users: dense ids of the users left out.

        Returns:
            Both fits; None if the recommender has no exact removal, or if two models do not fit
            into memory.
        """
        return None


@dataclass(frozen=True)
class Removal:
    """A fit without some users, made in two ways.

    Attributes:
        removed: the model that exact removal gives.
        fitted: the model that a new fit gives.
        items: number of items that each of the two models holds.
        largest_difference: largest difference between the weights of the two models.
        preferred: whether `fit_without` removes these users rather than fitting anew.
    """

    removed: "Model"
    fitted: "Model"
    items: int
    largest_difference: float
    preferred: bool


@dataclass(frozen=True)
class Model(ABC):
    """A fitted recommender.

    Attributes:
        log: the training log.
    """

    log: InteractionLog
    serves: ClassVar[tuple[str, ...]] = (HOT,)
    """Kinds of users that the model can serve, of `HOT`, `WARM` and `COLD`."""

    def check(self) -> None:  # noqa: B027 (most models of others need none)
        """Raises a ValueError where arrays or values of the model do not fit the log.

        `recsys.load_model` calls it, because anybody can have written the files of a stored model,
        and compiled code trusts the sizes and indices that it is given. Override it for every field
        that is used as an index or whose length matters.
        """

    def without_events(self, log: InteractionLog) -> Self:
        """A model that ranks alike, and holds a log without events if it can do without them.

        Args:
            log: its log's `InteractionLog.without_events`.
        """
        return self

    @abstractmethod
    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """Scores of items for users whom the model can serve, float (n_users, n_items).

        An item with a higher score is ranked higher. An item with score -inf is never served; one
        with any other score can be, so give -inf, not 0, where nothing speaks for an item. `rank`
        calls this method with BLAS on one thread.

        Args:
            users: dense ids; `BLOCK` of them at every call of `rank`.
            items: int32, dense ids out of `scorable`.
        """

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """A function that scores the same items for one block of users after another.

        Override it where work on the items can be done once for all blocks.

        Args:
            items: int32, dense ids out of `scorable`.

        Returns:
            A function from a block of users to their scores. It may reuse one array for its
            results, so the scores of a block are valid until the next call.
        """
        return lambda users: self.score(users, items)

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Int32, dense ids of the items that the model can score, in the order of their keys."""
        return self.log.interactions.items

    def servable(self, candidates: NDArray[np.bool_] | None) -> NDArray[np.int32]:
        """Int32, dense ids of the candidates that the model can score, in the order of their keys.

        Args:
            candidates: bool (n_items,), items that may be served; None for all.
        """
        return self.scorable if candidates is None else self.scorable[candidates[self.scorable]]

    def window(self) -> float | None:
        """Age in days up to which items are ranked before all others; None to rank all together."""
        return None

    @lazy
    def age(self) -> NDArray[np.float64]:
        """Float64 (n_items,): age in days at the end of the last like's day; NaN if not known."""
        return ages(self.log, midnight_after(last_like(self.log)))

    @lazy
    def hot_row(self) -> NDArray[np.int32]:
        """Int32 (n_users,): row of each user in the training matrix; -1 without positive events."""
        row = np.full(self.log.n_users, -1, dtype=np.int32)
        row[self.log.interactions.users] = np.arange(self.log.interactions.users.size)
        return row

    @lazy
    def hot_column(self) -> NDArray[np.int32]:
        """Int32 (n_items,): column of each item in the training matrix; -1 if nobody liked it."""
        column = np.full(self.log.n_items, -1, dtype=np.int32)
        column[self.log.interactions.items] = np.arange(self.log.interactions.items.size)
        return column

    def status(self, users: Users) -> list[str]:
        """The kind of each user: "hot", "warm" or "cold".

        A user with positive events is hot. Of the others, a user with any known attribute is warm
        and a user without is cold.

        Args:
            users: dense ids; -1 for a user who is not in the log.
        """
        has_likes, has_attributes = self._evidence_of(users)
        return [
            HOT if likes else WARM if attributes else COLD
            for likes, attributes in zip(has_likes, has_attributes, strict=True)
        ]

    def can_serve(self, users: Users) -> NDArray[np.bool_]:
        """Bool (n_users,): whether the model itself can rank items for each user.

        Args:
            users: dense ids; -1 for a user who is not in the log.
        """
        has_likes, has_attributes = self._evidence_of(users)
        return np.asarray(
            (has_likes & (HOT in self.serves))
            | (~has_likes & has_attributes & (WARM in self.serves))
            | (~has_likes & ~has_attributes & (COLD in self.serves))
        )

    def _evidence_of(self, users: Users) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Bool (n_users,) twice: who has positive events, and who has a known attribute."""
        users = np.asarray(users)
        in_log = users >= 0
        return in_log & (self.hot_row[users] >= 0), in_log & self._has_attributes[users]

    @lazy
    def _has_attributes(self) -> NDArray[np.bool_]:
        """Bool (n_users,): who has a known attribute."""
        columns = [self.log.users[name] for name in attribute_names(self.log.users)]
        has_any = np.zeros(self.log.n_users, dtype=np.bool_)
        for column in sorted(columns, key=pl.Series.null_count):  # the first says it of most users
            if has_any.all():
                break
            has_any |= column.is_not_null().to_numpy() if column.null_count() else True
        return has_any

    def rank(
        self,
        users: Users,
        k: int = 20,
        candidates: NDArray[np.bool_] | None = None,
        exclude_seen: bool | Seen = True,
    ) -> Ranking:
        """The k best items of each user by this model alone; slots that it cannot fill hold -1.

        Args:
            users: int (n_users,), dense ids, such as `np.array([0, 7])`; -1 for a user who is not
                in the log.
            k: number of slots, such as 20.
            candidates: bool (n_items,), items that may be served; None for all that the model can
                score.
            exclude_seen: True leaves out the items that the log says the user was shown, touched
                or made; False leaves out nothing; a `Seen` says itself what is left out.

        Returns:
            A `Ranking` of shape (n_users, k). Where the model has a `window`, older items follow
            behind fresh ones, with scores that are lowered to fall from slot to slot.

        Raises:
            ValueError: k is below 1 or above the number of candidates, or a user is not a dense id
                of the log.
        """
        users = np.asarray(users, dtype=np.int64)
        if users.size and not -1 <= users.min() <= users.max() < self.log.n_users:
            raise ValueError(f"users must be -1 to {self.log.n_users - 1}, the log's dense ids")
        most = self._n_candidates(candidates)
        if not 1 <= k <= most:
            raise ValueError(f"k must be 1 to {most}, the number of candidates; it is {k}")
        ids, scores = _empty(users.size, k)
        rows, seen = np.flatnonzero(self.can_serve(users)), self._seen(exclude_seen)
        first, *older = self._windows(self.servable(candidates))
        write = self._write_best if self._is_plain else partial(Model._write_best, self)
        write(first, seen, Slots(users, rows, ids, scores))
        for items in older:
            rows = rows[ids[rows, -1] < 0]
            if rows.size == 0:
                break
            more = _empty(rows.size, k)
            write(items, seen, Slots(users[rows], np.arange(rows.size), *more))
            follow(ids, scores, rows, *more)
        return Ranking(ids, scores, np.full(ids.shape, PERSONAL, dtype=np.uint8))

    @property
    def _is_plain(self) -> bool:
        """Whether scores are those that `_write_best` ranks by, not somebody's own on top of it."""
        return _place(self, "_write_best") <= min(_place(self, n) for n in ("score", "scorer"))

    def _windows(self, items: NDArray[np.int32]) -> list[NDArray[np.int32]]:
        """The items by window, the freshest first; all in one where the model has no window.

        The windows of the last items are kept, since a server ranks the same items every time.
        """
        days = self.window()
        if days is None or items.size == 0:
            return [items]
        kept_days, kept, windows = self._kept_windows[0]
        if kept_days != days or not np.array_equal(kept, items):
            windows = by_window(items, self.age, days)
            self._kept_windows[0] = days, items, windows
        return windows

    @lazy
    def _kept_windows(self) -> list[tuple[float, NDArray[np.int32], list[NDArray[np.int32]]]]:
        """The last items with their windows; a list of one, whose entry is replaced."""
        nothing = np.zeros(0, dtype=np.int32)
        return [(0.0, nothing, [nothing])]

    def _write_best(self, items: NDArray[np.int32], seen: Seen, slots: Slots) -> None:
        """Writes the items that `score` ranks best.

        A class that overrides it to be quicker is not asked where a class on top of it, or the
        model itself, has scores of its own.
        """
        column = np.full(self.log.n_items, -1, dtype=np.int64)
        column[items] = np.arange(items.size)
        users, rows, ids, scores = slots
        with single_threaded_blas():
            score = scorer_of(self, items)
            for start in range(0, rows.size, BLOCK):
                part = rows[start : start + BLOCK]
                block = np.resize(users[part], BLOCK)  # padded with the same users again
                values = score(block)
                top_k(values[: part.size], block, seen, column, items, part, ids, scores)

    def recommend(
        self, user_ids: Sequence[Any], k: int = 20, candidates: NDArray[np.bool_] | None = None
    ) -> pl.DataFrame:
        """Feeds under the log's own ids; trending items fill the slots that the model cannot fill.

        Args:
            user_ids: ids as they stand in the log, such as `["ann", "bob"]`; a user who is not in
                the log gets the trending list.
            k: number of slots, such as 20.
            candidates: bool (n_items,), items that may be served; None for all that the model can
                score.

        Returns:
            A frame user_id · rank (1 = top) · item_id · score · source, with users in the order of
            `user_ids`.

        Raises:
            LogError: the ids are texts where the log has numbers, or the reverse.
        """
        asked = checked_ids(user_ids, self.log.users["user_id"]).alias("user_id")
        users = self.log.dense_users(asked.to_list())
        depth = min(k, self.scorable.size if candidates is None else int(candidates.sum()))
        return self.feeds(users, depth, candidates).frame(asked, self.log.items["item_id"])

    def feeds(
        self, users: Users, k: int = 20, candidates: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """The ranking of `rank`; trending items fill the slots that the model cannot fill.

        Args:
            users, k, candidates: as in `rank`.
        """
        own = self.rank(users, k, candidates)
        return with_fallback(own, self.trending, users, candidates)

    @lazy
    def trending(self) -> "Model":
        """The trending list of the log, with which `recommend` fills empty slots."""
        return PopularityModel(self.log, decayed_weights(self.log, HALF_LIFE_DAYS))

    def _n_candidates(self, candidates: NDArray[np.bool_] | None) -> int:
        """Number of items that may be served; the largest possible k."""
        return self.log.n_items if candidates is None else int(candidates.sum())

    def _seen(self, exclude_seen: bool | Seen) -> Seen:
        """The items that `exclude_seen` of `rank` leaves out."""
        if isinstance(exclude_seen, Seen):
            return exclude_seen
        if exclude_seen:
            return self.log.withheld_by_user
        nothing = np.zeros(self.log.n_users, dtype=np.int64)
        return Seen(nothing, nothing, np.zeros(0, dtype=np.int32))


@dataclass(frozen=True)
class PopularityModel(Model):
    """The same list for every user, without the items that the user has seen.

    Attributes:
        heat: float64 (n_items,), score of each item, such as the `decayed_weights` of a log.
    """

    heat: NDArray[np.float64]
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM, COLD)

    def without_events(self, log: InteractionLog) -> Self:
        """See `Model.without_events`."""
        return replace(self, log=log) if self._is_plain else self

    def check(self) -> None:
        """See `Model.check`."""
        check_array("heat", self.heat, (self.log.n_items,), np.float64)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return np.tile(self.heat[items], (np.size(users), 1))

    def _write_best(self, items: NDArray[np.int32], seen: Seen, slots: Slots) -> None:
        """Writes what `score` ranks best, from one list for everybody."""
        order = items[np.argsort(-self.heat[items], kind="stable")]
        users, rows, ids, scores = slots
        first_unseen(order, self.heat, users[rows], seen, rows, ids, scores)


def scorer_of(model: Model, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
    """The `scorer` of a model; its `score`, where a class overrides that alone on top of it.

    Args:
        model: the model.
        items: as for `Model.scorer`.
    """
    if _place(model, "score") < _place(model, "scorer"):
        return lambda users: model.score(users, items)
    return model.scorer(items)


def _place(model: Model, name: str) -> int:
    """Where a method comes from: 0 for the model itself, then its class, then that one's bases."""
    homes = vars(model), *map(vars, type(model).__mro__)
    return next(place for place, home in enumerate(homes) if name in home)


def _empty(n: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Items and scores of n feeds of k empty slots."""
    return np.full((n, k), -1, dtype=np.int32), np.full((n, k), np.nan, dtype=np.float32)


def decayed_weights(log: InteractionLog, half_life_days: float) -> NDArray[np.float64]:
    """Popularity of each item with decay: Σ w 2^(-age / half_life_days) over its positive events.

    The age of an event is counted in days back from the last positive event.

    Args:
        log: the training log; in a log without times no event decays.
        half_life_days: days in which an event loses half of its weight, such as 2.0.

    Returns:
        Float64 (n_items,).

    Raises:
        LogError: the log holds no positive event.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 7, 8],
    ...     "timestamp": ["2025-01-01", "2025-01-03", "2025-01-03"]})
    >>> decayed_weights(log, half_life_days=2.0).tolist()
    [1.5, 1.0]
    """
    weight = log.dense["weight"].to_numpy().astype(np.float64)
    liked = weight > 0
    if not liked.any():
        raise LogError("the training log holds no positive event: nothing is trending")
    rows = slice(None) if liked.all() else liked
    weight = weight[rows]
    if log.has_times:
        time = log.milliseconds[rows]
        weight = weight * np.exp2((time - time.max()) / (DAY * half_life_days))
    item = log.dense["item"].to_numpy()[rows]
    return np.bincount(item, weight, minlength=log.n_items).astype(np.float64)


def binary(log: InteractionLog) -> csr_matrix:
    """Likes as 0 and 1, float64 CSR (n_hot_users, n_hot_items), in the order of keys.

    Sums of such numbers are exact, so they do not depend on the order of summation.

    Raises:
        LogError: the log holds no positive event.
    """
    weights = log.interactions.weights
    if weights.nnz == 0:
        raise LogError("the training log holds no positive event: there is nothing to learn from")
    return csr_matrix((np.ones(weights.nnz), weights.indices, weights.indptr), shape=weights.shape)


def with_fallback(
    own: Ranking,
    fallback: Model,
    users: Users,
    candidates: NDArray[np.bool_] | None = None,
    exclude_seen: bool | Seen = True,
) -> Ranking:
    """Fills the empty slots of a ranking from another model, and marks them in `sources`.

    Args:
        own: the ranking of a model for `users`, (n_users, k).
        fallback: the model to fill from, such as `Model.trending`; it should serve every user.
        users: int (n_users,), dense ids, -1 for a user who is not in the log.
        candidates: as in `Model.rank`.
        exclude_seen: as in `Model.rank`.

    Returns:
        The ranking with its empty slots filled, in order, by the best items of the fallback that
        the user's feed does not hold yet.
    """
    rows_with_gaps = np.flatnonzero((own.item_ids < 0).any(axis=1))
    if rows_with_gaps.size == 0:
        return own
    k = own.item_ids.shape[1]
    ids, scores, sources = own.item_ids.copy(), own.scores.copy(), own.sources.copy()
    # Of 2k items at most k are in the feed already, so k are left for at most k empty slots.
    depth = min(2 * k, max(fallback.servable(candidates).size, 1))
    more = fallback.rank(np.asarray(users)[rows_with_gaps], depth, candidates, exclude_seen)
    fill_gaps(ids, scores, sources, rows_with_gaps, more.item_ids, more.scores, np.uint8(FALLBACK))
    return Ranking(ids, scores, sources)
