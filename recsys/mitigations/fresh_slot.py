"""Fresh slot: one slot of a feed tries posts that few users have seen, and learns from clicks."""
# mypy: disallow-untyped-decorators=False

from dataclasses import dataclass

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, key_words, uniforms
from recsys.logs.log import InteractionLog, Seen
from recsys.logs.schema import SOURCES
from recsys.mitigations.base import Dressed, Mitigation, Place
from recsys.recommenders.base import Model, Users
from recsys.recommenders.ranking import Ranking

_FRESH = list(SOURCES.categories).index("fresh")


class FreshSlot(Mitigation):
    """Puts at rank `slot` the post with the highest draw from Beta(a + clicks, b + non-clicks).

    Clicks count the users who clicked the post, non-clicks those who saw it without a click. Once
    `graduate` users have seen a post it no longer takes part and is left to the recommender.
    Thompson sampling (Thompson 1933; Chapelle & Li 2011): the click rates of all posts are drawn
    together, `samples` times a day, and each user gets one of these samples by lot. All draws are
    addressed by training seed, post or user, and day. The log must hold impressions. Acts on the
    rankings of any recommender, for users whom it can serve. Use it to give new creators one known
    slot, instead of letting them in everywhere or nowhere.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3, 4], "item_id": [7, 7, 8, 8],
    ...     "kind": ["click", "click", "click", "impression"]})
    >>> model = mitigated(Trending(), [FreshSlot(slot=1, graduate=3)]).fit(log)
    >>> sorted(model.rank(np.array([-1]), 2).item_ids[0].tolist())
    [0, 1]
    """

    slot: int = Field(default=4, ge=1)
    """Rank of the slot, where 1 is the top."""
    graduate: int = Field(default=30, ge=1)
    """Number of users who have seen a post from which on it no longer takes part."""
    prior: tuple[float, float] = (1.0, 9.0)
    """a and b: the clicks and the non-clicks with which every post begins."""
    samples: int = Field(default=32, ge=1, le=1024)
    """Number of samples of all click rates a day; users are distributed over them."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.RANKS

    @property
    def needs_impressions(self) -> bool:
        """See `Mitigation`."""
        return True

    @property
    def draws(self) -> bool:
        """See `Mitigation`."""
        return True

    def dress(self, model: Model, seed: int, previous: Model | None) -> "_Fresh":
        """See `Mitigation.dress`.

        Raises:
            LogError: the log holds no impressions.
        """
        shown, clicked = shown_and_clicked(model.log)
        return _Fresh(model.log, model, self, seed, shown, clicked)


@dataclass(frozen=True)
class _Fresh(Dressed):
    """A model with a slot for posts that few users have seen.

    Attributes:
        options: the mitigation.
        seed: training seed.
        shown: int64 (n_items,), number of users who have seen each item.
        clicked: int64 (n_items,), number of these who clicked it.
    """

    options: FreshSlot
    seed: int
    shown: NDArray[np.int64]
    clicked: NDArray[np.int64]

    @lazy
    def day(self) -> int:
        """Day of the last event in days since 1970; 0 in a log without times."""
        if not self.log.has_times:
            return 0
        return int(self.log.dense["timestamp"].dt.epoch("d").max())  # type: ignore[arg-type]

    def rank(
        self,
        users: Users,
        k: int = 20,
        candidates: NDArray[np.bool_] | None = None,
        exclude_seen: bool | Seen = True,
    ) -> Ranking:
        """See `Model.rank`."""
        ranking = self.inner_rank(users, k, candidates, exclude_seen)
        users = np.asarray(users, dtype=np.int64)
        posts = self.scorable if candidates is None else self._in_key_order(candidates)
        posts = posts[self.shown[posts] < self.options.graduate]
        if k < self.options.slot or posts.size == 0 or users.size == 0:
            return ranking
        rates = self._rates(posts)
        order = np.argsort(-rates, axis=1, kind="stable")
        ids, scores, sources = (part.copy() for part in ranking.__dict__.values())
        _insert(
            ids,
            scores,
            sources,
            users,
            self._samples(users),
            posts[order],
            np.take_along_axis(rates, order, axis=1).astype(np.float32),
            self._seen(exclude_seen),
            self.options.slot - 1,
            np.uint8(_FRESH),
            np.full(self.log.n_items, -1, dtype=np.int64),
        )
        return Ranking(ids, scores, sources)

    def _in_key_order(self, candidates: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Dense ids of the candidates in the order of their keys."""
        items = np.flatnonzero(candidates).astype(np.int32)
        return items[np.argsort(self.log.items["key"].to_numpy()[items], kind="stable")]

    def _rates(self, posts: NDArray[np.int32]) -> NDArray[np.float64]:
        """Samples of the click rates of posts, float64 (samples, n)."""
        from scipy.special import betaincinv

        keys = self.log.items["key"].to_numpy()[posts]
        blocks = -(-self.options.samples // 4)
        when = (self.day << 8) | np.arange(blocks)[:, None]
        u = uniforms(self.seed, Stream.THOMPSON, *key_words(keys), when)
        u = np.moveaxis(u, 2, 1).reshape(4 * blocks, -1)[: self.options.samples]
        a, b = self.options.prior
        clicked = self.clicked[posts]
        return np.asarray(betaincinv(a + clicked, b + self.shown[posts] - clicked, u))

    def _samples(self, users: Users) -> NDArray[np.int64]:
        """Number of the sample that each user gets."""
        keys = np.where(users >= 0, self.log.users["key"].to_numpy()[users], np.uint64(0))
        u = uniforms(self.seed, Stream.THOMPSON_USER, *key_words(keys), self.day)
        return (u[:, 0] * self.options.samples).astype(np.int64)


def shown_and_clicked(log: InteractionLog) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of users who have seen each item, and of those who did more than see or hide it.

    Args:
        log: a log with impressions as events; a click needs no impression of its own.

    Returns:
        Int64 (n_items,) twice.

    Raises:
        LogError: the log holds no impression.
    """
    not_clicked = log.dense["kind"].is_in(["impression", "hide"])
    if not (log.dense["kind"] == "impression").any():
        raise LogError(
            "fresh_slot: the log holds no impressions, so it does not say what was seen and not "
            "clicked; map the rows without a click (log.kinds), or leave fresh_slot out"
        )
    pairs = log.dense.select("user", "item", clicked=~not_clicked)
    counts = (
        pairs.group_by("user", "item")
        .agg(pl.col("clicked").any())
        .group_by("item")
        .agg(pl.len().alias("shown"), pl.col("clicked").sum())
    )
    shown, clicked = np.zeros((2, log.n_items), dtype=np.int64)
    shown[counts["item"].to_numpy()] = counts["shown"].to_numpy()
    clicked[counts["item"].to_numpy()] = counts["clicked"].to_numpy()
    return shown, clicked


@njit(nogil=True, cache=True)
def _insert(  # type: ignore[no-untyped-def]
    ids, scores, sources, users, samples, order, rates, seen, slot, source, taken
):
    """Puts the best fresh post of each user's sample at a slot; the posts after it move down.

    `taken[item] == row` marks the items that the user of a row has seen or gets above the slot.
    """
    k = ids.shape[1]
    for row in range(users.size):
        if ids[row, 0] < 0:
            continue
        user, sample = users[row], samples[row]
        if user >= 0:
            for place in range(seen.start[user], seen.end[user]):
                taken[seen.items[place]] = row
        at = 0
        while at < slot and ids[row, at] >= 0:
            taken[ids[row, at]] = row
            at += 1
        post, rate = np.int32(-1), np.float32(0)
        for place in range(order.shape[1]):
            if taken[order[sample, place]] != row:
                post, rate = order[sample, place], rates[sample, place]
                break
        if post < 0:
            continue
        end = at  # posts move down up to here: the old place of the post, a gap, or the last slot
        while end < k - 1 and ids[row, end] >= 0 and ids[row, end] != post:
            end += 1
        for place in range(end, at, -1):
            ids[row, place] = ids[row, place - 1]
            scores[row, place] = scores[row, place - 1]
            sources[row, place] = sources[row, place - 1]
        ids[row, at], scores[row, at], sources[row, at] = post, rate, source
