"""The one contract of recommenders: `fit` returns a model, a model ranks.

A model holds the training log's hot users and items in the order of their keys. Serving works on
blocks of a fixed number of users, so that a user's scores do not depend on who else is asked for.
Equal scores go to the item with the smaller key: keys are hashes, so no age or id is favoured.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.config.base import Part
from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.core.threads import single_threaded_blas
from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders.attributes import attribute_names
from recsys.recommenders.kernels import fill_gaps, top_k
from recsys.recommenders.ranking import _FALLBACK, _PERSONAL, Ranking

BLOCK = 256
"""Users scored at once; the last block is padded."""
HALF_LIFE_DAYS = 2.0
"""Time in which an event loses half of its weight in trending lists."""
_DAY = 86_400_000
"""Milliseconds."""


HOT, WARM, COLD = "hot", "warm", "cold"


class ModelNumber(IntEnum):
    """Which model an integer seed belongs to."""

    BPR = 1
    LMF = 2
    RANKER = 3


Users = NDArray[np.integer[Any]]


Scores = NDArray[np.floating[Any]]


class Recommender(Part, ABC):
    """Hyper-parameters, and how to fit; a subclass is one entry of `RECOMMENDERS`."""

    deterministic: ClassVar[bool] = False
    """Whether the training seed changes nothing; then studies leave the retrain arm out."""
    uses_weights: ClassVar[bool] = False
    """Whether what a user teaches is in proportion to the weights of the user's events."""
    warm_starts: ClassVar[bool] = False
    """Whether `fit` can go on from a previous model."""
    needs_previous: ClassVar[bool] = False
    """Whether an open loop has to give it one too: that of the morning of day 0."""
    needs_impressions: ClassVar[bool] = False
    """Whether the log that it is trained on must hold what was shown and not clicked."""

    @abstractmethod
    def fit(self, log: InteractionLog, seed: int = 0, previous: "Model | None" = None) -> "Model":
        """Learns from a log, which it leaves as it is.

        Args:
            log: the training log; events with weight 0 were seen and not liked.
            seed: training seed.
            previous: yesterday's model, as a start where the recommender can use one.

        Raises:
            LogError: nothing to learn from; `binary` raises it for a log without positive events.
        """

    def check(self, log: InteractionLog) -> None:
        """Raises the LogError that `fit` would for what a log lacks, at little cost; most need
        nothing but likes."""

    def fit_without(
        self, model: "Model", log: InteractionLog, users: Users, seed: int = 0
    ) -> "Model":
        """A fit without some users; the same as a fit of `log`, where possible at less cost.

        Args:
            model: this recommender's fit of the whole log.
            log: the whole log without these users' events.
            users: dense ids of the users left out.
            seed: training seed.
        """
        return self.fit(log, seed)

    def removal(self, model: "Model", log: InteractionLog, users: Users) -> "Removal | None":
        """Some users removed exactly from a fit, beside a new fit without them.

        Args:
            model: this recommender's fit of the whole log.
            log: the whole log without these users' events.
            users: dense ids of the users left out.

        Returns:
            None for a recommender without exact removal, or where memory does not hold two models.
        """
        return None


@dataclass(frozen=True)
class Removal:
    """A fit without some users, made in two ways.

    Attributes:
        removed: by exact removal.
        fitted: by a new fit.
        items: how many items either holds.
        largest_difference: between the weights of the two.
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
        log: what it was trained on.
    """

    log: InteractionLog
    serves: ClassVar[tuple[str, ...]] = (HOT,)
    """Whom it can serve: those who are hot, warm (known attributes alone), cold."""

    @abstractmethod
    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """Scores (n_users, n_items) of users whom it can serve: the higher, the earlier served.

        `rank` calls it with BLAS on one thread.

        -inf is never served. Any other score is, 0 too: say -inf where there is no evidence.

        Args:
            users: dense ids; the same number, `BLOCK`, at every call.
            items: int32, dense ids, from `scorable`.
        """

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """`score` for the same items again and again; override it to prepare them once.

        Args:
            items: int32, dense ids, from `scorable`.

        Returns:
            A function of blocks of users. It may return the same array each time, changed.
        """
        return lambda users: self.score(users, items)

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Dense ids of the items that it can score, in the order of their keys."""
        return self.log.interactions.items

    @lazy
    def hot_row(self) -> NDArray[np.int32]:
        """Int32 (n_users,): row in the training matrix, -1 for users without positive events."""
        row = np.full(self.log.n_users, -1, dtype=np.int32)
        row[self.log.interactions.users] = np.arange(self.log.interactions.users.size)
        return row

    @lazy
    def hot_column(self) -> NDArray[np.int32]:
        """Int32 (n_items,): column in the training matrix, -1 for items without positive events."""
        column = np.full(self.log.n_items, -1, dtype=np.int32)
        column[self.log.interactions.items] = np.arange(self.log.interactions.items.size)
        return column

    def status(self, users: Users) -> list[str]:
        """What the log knows of users: hot (positive events), else warm (attributes), else cold.

        Args:
            users: dense ids; -1 for somebody unknown.
        """
        hot, warm = self._knowledge(users)
        return [HOT if h else WARM if w else COLD for h, w in zip(hot, warm, strict=True)]

    def can_serve(self, users: Users) -> NDArray[np.bool_]:
        """Bool (n_users,): whom it can serve from what it learned."""
        hot, warm = self._knowledge(users)
        return np.asarray(
            (hot & (HOT in self.serves))
            | (~hot & warm & (WARM in self.serves))
            | (~hot & ~warm & (COLD in self.serves))
        )

    def _knowledge(self, users: Users) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whose positive events, and of whom any attribute is known."""
        users = np.asarray(users)
        known = users >= 0
        return known & (self.hot_row[users] >= 0), known & self._has_attributes[users]

    @lazy
    def _has_attributes(self) -> NDArray[np.bool_]:
        """Bool (n_users,): of whom any attribute is known."""
        found = np.zeros(self.log.n_users, dtype=np.bool_)
        for name in attribute_names(self.log.users):
            found |= self.log.users[name].is_not_null().to_numpy()
        return found

    def rank(
        self,
        users: Users,
        k: int = 20,
        candidates: NDArray[np.bool_] | None = None,
        exclude_seen: bool | Seen = True,
    ) -> Ranking:
        """The k best items of each user, by this model alone: -1 where it has none.

        Args:
            users: int (n_users,), dense ids, -1 for somebody unknown.
            k: depth.
            candidates: bool (n_items,), what may be served; None for all that can be scored.
            exclude_seen: leave out what the log shows the user was shown, touched or made, or
                what you say was seen.

        Returns:
            `Ranking` of shape (n_users, k).

        Raises:
            ValueError: k below 1 or more than there are candidates, or users outside the log.
        """
        users = np.asarray(users, dtype=np.int64)
        if users.size and not -1 <= users.min() <= users.max() < self.log.n_users:
            raise ValueError(f"users must be -1 to {self.log.n_users - 1}, the log's dense ids")
        items = self._pool(k, candidates)
        ids = np.full((users.size, k), -1, dtype=np.int32)
        scores = np.full((users.size, k), np.nan, dtype=np.float32)
        served = np.flatnonzero(self.can_serve(users))
        seen = exclude_seen if isinstance(exclude_seen, Seen) else self._seen(exclude_seen)
        column = np.full(self.log.n_items, -1, dtype=np.int64)
        column[items] = np.arange(items.size)
        with single_threaded_blas():
            score = self.scorer(items)
            for start in range(0, served.size, BLOCK):
                rows = served[start : start + BLOCK]
                block = np.resize(users[rows], BLOCK)
                values = score(block)
                top_k(values[: rows.size], block, seen, column, items, rows, ids, scores)
        return Ranking(ids, scores, np.full(ids.shape, _PERSONAL, dtype=np.uint8))

    def recommend(
        self, user_ids: Sequence[Any], k: int = 20, candidates: NDArray[np.bool_] | None = None
    ) -> pl.DataFrame:
        """Feeds under the log's own ids; what the model cannot fill comes from the trending list.

        Args:
            user_ids: ids as in the log; an unknown one gets the trending list.
            k: depth.
            candidates: bool (n_items,), what may be served; None for all that can be scored.

        Returns:
            A frame user_id · rank (1 = top) · item_id · score · source, in the order asked for.

        Raises:
            LogError: the ids are of another type than the log's.
        """
        asked = pl.Series("user_id", user_ids)
        dense = self._dense_ids(asked)
        depth = min(k, self.scorable.size if candidates is None else int(candidates.sum()))
        own = self.rank(dense, depth, candidates)
        full = with_fallback(own, self.trending, dense, candidates)
        return full.frame(asked, self.log.items["item_id"])

    @lazy
    def trending(self) -> "Model":
        """The trending list of the log, from which `recommend` fills what is left empty."""
        return PopularityModel(self.log, decayed_weights(self.log, HALF_LIFE_DAYS))

    def _dense_ids(self, asked: pl.Series) -> NDArray[np.int64]:
        """Rows of ids in the log, -1 for unknown ones."""
        known = self.log.users["user_id"]
        wide = pl.Int128 if known.dtype.is_integer() else pl.String
        if asked.len() and asked.dtype.is_integer() != known.dtype.is_integer():
            raise LogError(
                f"user_ids are {asked.dtype}, the log's are {known.dtype}: give the ids as they "
                "stand in the log"
            )
        rows = pl.DataFrame({"id": known.cast(wide)}).with_row_index("row")
        found = pl.DataFrame({"id": asked.cast(wide)}).join(
            rows, on="id", how="left", maintain_order="left"
        )
        return found["row"].cast(pl.Int64).fill_null(-1).to_numpy()

    def _pool(self, k: int, candidates: NDArray[np.bool_] | None) -> NDArray[np.int32]:
        allowed = self.log.n_items if candidates is None else int(candidates.sum())
        if not 1 <= k <= allowed:
            raise ValueError(f"k must be 1 to {allowed}, the number of candidates; it is {k}")
        return self.scorable if candidates is None else self.scorable[candidates[self.scorable]]

    def _seen(self, exclude: bool) -> Seen:
        if exclude:
            return Seen.from_matrix(self.log.withheld)
        nothing = np.zeros(self.log.n_users, dtype=np.int64)
        return Seen(nothing, nothing, np.zeros(0, dtype=np.int32))


@dataclass(frozen=True)
class PopularityModel(Model):
    """One list for everybody, less what each user has seen.

    Attributes:
        heat: float64 (n_items,), such as the `decayed_weights` of a log.
    """

    heat: NDArray[np.float64]
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM, COLD)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return np.tile(self.heat[items], (np.size(users), 1))


def decayed_weights(log: InteractionLog, half_life_days: float) -> NDArray[np.float64]:
    """Each item's event weights, halved with every half-life since: Σ w 2^(-age / half_life_days).

    Args:
        log: without times every event counts alike.
        half_life_days: time in which an event loses half of its weight.

    Returns:
        Float64 (n_items,).

    Raises:
        LogError: no positive event.
    """
    liked = log.dense["weight"].to_numpy() > 0
    if not liked.any():
        raise LogError("the training log holds no positive event: nothing is trending")
    weight = log.dense["weight"].to_numpy()[liked].astype(np.float64)
    if log.has_times:
        time = log.dense["timestamp"].to_physical().to_numpy()[liked]
        weight = weight * np.exp2((time - time.max()) / (_DAY * half_life_days))
    item = log.dense["item"].to_numpy()[liked]
    return np.bincount(item, weight, minlength=log.n_items).astype(np.float64)


def binary(log: InteractionLog) -> csr_matrix:
    """Likes as 0 and 1, float64: counts of them are exact whatever their order.

    Raises:
        LogError: no positive event.
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
    """Fills what a model left empty from another model, and marks it in `sources`.

    Args:
        own: the model's ranking of `users`.
        fallback: the model to fill from; one that serves everybody.
        users: dense ids, -1 for somebody unknown.
        candidates, exclude_seen: as in `Model.rank`.

    Returns:
        The ranking with its gaps filled by the fallback's best items that it does not hold yet.
    """
    short = np.flatnonzero((own.item_ids < 0).any(axis=1))
    if short.size == 0:
        return own
    k = own.item_ids.shape[1]
    ids, scores, sources = own.item_ids.copy(), own.scores.copy(), own.sources.copy()
    depth = min(2 * k, max(fallback._pool(1, candidates).size, 1))
    more = fallback.rank(np.asarray(users)[short], depth, candidates, exclude_seen)
    fill_gaps(ids, scores, sources, short, more.item_ids, more.scores, np.uint8(_FALLBACK))
    return Ranking(ids, scores, sources)
