"""Platform ranker: the ranker of the synthetic platform, trained on a log like any recommender."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.logs.pairs import distinct_pairs
from recsys.recommenders.attributes import categories
from recsys.recommenders.base import COLD, HOT, WARM, Model, Recommender, Scores, Users
from recsys.recommenders.fits import check_array
from recsys.recommenders.window import ages
from recsys.statistics.click_rates import (
    affinities,
    bucket_rates,
    early_rates,
    group_rates,
    newness,
)
from recsys.statistics.merge import merge

Floats = NDArray[np.float64]


class PlatformRanker(Recommender):
    """Ranks by click rates per look: the user's for topic and language, the item's own, freshness.

    score_ui = rate_u,topic · rate_u,language^w · early_i · freshness_i. A user's rates are shrunk
    toward those of the users with the same language, and these toward those of all users
    (`recsys.statistics.click_rates`). early_i is the item's clicks over expected clicks so far,
    shrunk to 1. The house policy of a world has the same arithmetic; it counts without end, and
    this recommender counts the training log. Use it as a plain model of what platforms do, and in
    logs with impressions: without them, a user is taken to have been shown what everybody clicks.

    Looks are counted from the first positive event on, for users with a positive event. A log
    without `published` has no freshness.

    >>> log = InteractionLog.from_frames({"user_id": [1, 1, 2], "item_id": [7, 8, 8],
    ...     "kind": ["click", "impression", "click"]},
    ...     items={"item_id": [7, 8, 9, 10], "topic": ["pets", "food", "food", "pets"]})
    >>> PlatformRanker().fit(log).recommend([1, 2], k=2)["item_id"].to_list()
    [10, 9, 7, 9]
    """

    deterministic: ClassVar[bool] = True
    needs_impressions: ClassVar[bool] = True

    topic: str = "topic"
    """Column of the items that holds their topic."""
    language: str = "language"
    """Column of the items, and of the users, that holds their language; items of a log without it
    are all of one language, and users without it are one group."""
    language_weight: float = Field(default=1.0, ge=0)
    """Weight of the click rate for a language; 0 for a ranker that does not know languages."""
    user_prior: float = Field(default=1.0, gt=0)
    """Clicks that the rate of a user's group counts for."""
    group_prior: float = Field(default=4.0, gt=0)
    """Clicks that the rate of all users counts for in the rate of a group."""
    post_prior: float = Field(default=1.0, gt=0)
    """Expected clicks after which an item's own click rate counts for half of what is known."""
    most_looks: float = Field(default=100.0, gt=0)
    """Looks, at each topic and at each language, that a user counts for at most in a group."""
    half_life_days: float = Field(default=2.0, gt=0)
    """Days in which an item loses half of its freshness."""
    tail: float = Field(default=0.02, ge=0, le=1)
    """Freshness that an item keeps however old it is."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "PlatformRankerModel":
        """Counts clicks and looks; see `Recommender.fit`. The seed has no effect.

        Raises:
            LogError: the log holds no positive event, or its items have no topics.
        """
        user, item, liked = _pairs(log)
        buckets, n_topics, n_languages = self._buckets(log)
        n_buckets = n_topics * n_languages
        place = user * n_buckets + buckets[item]
        known = buckets[item] >= 0
        shape = (log.n_users, n_buckets)

        def counted(chosen: NDArray[np.bool_]) -> Floats:
            size = shape[0] * shape[1]
            return np.bincount(place[chosen], minlength=size).reshape(shape).astype(np.float64)

        clicks, looks = counted(known & liked), counted(known)
        item_clicks = np.bincount(item[liked], minlength=log.n_items).astype(np.float64)
        item_looks = np.bincount(item, minlength=log.n_items).astype(np.float64)
        if liked.all():
            looks = clicks.sum(axis=1)[:, None] * (clicks.sum(axis=0) / max(clicks.sum(), 1))
            item_looks[:] = item_looks.sum() / max((item_looks > 0).sum(), 1)
        clicks32, looks32 = clicks.astype(np.float32), looks.astype(np.float32)
        group, n_groups = self._groups(log)
        order = np.argsort(log.users["key"].to_numpy(), kind="stable")
        rates = group_rates(
            clicks32[order],
            looks32[order],
            group[order],
            n_groups,
            n_topics,
            self.group_prior,
            self.most_looks,
        )
        expected = bucket_rates(
            clicks.sum(axis=0), looks[order].sum(axis=0), n_topics, self.group_prior
        )
        early = early_rates(item_clicks, item_looks, expected[buckets], self.post_prior)
        return PlatformRankerModel(
            log,
            affinities(clicks32, looks32, group, rates, self.user_prior, self.language_weight),
            buckets,
            early * self._newness(log),
        )

    def check(self, log: InteractionLog) -> None:
        """See `Recommender.check`."""
        self._buckets(log)

    def _buckets(self, log: InteractionLog) -> tuple[NDArray[np.int32], int, int]:
        """Topic × language of each item, -1 where its topic is not known; numbers of both."""
        names = [self.topic, self.language]
        here = [name for name in names if name in log.items.columns]
        found = {a.name: a for a in categories(log.items, log.interactions.items, here)}
        topic, language = (found.get(name) for name in names)
        if topic is None or not topic.size:
            raise LogError(
                f"platform_ranker learns which topics users click, and the items of the log have "
                f"no column {self.topic!r} with known values; name the column that holds topics: "
                "{kind: platform_ranker, topic: COLUMN}"
            )
        if language is None or not language.size:
            return topic.codes, topic.size, 1
        spoken = np.where(language.codes >= 0, language.codes, 0)
        codes = np.where(topic.codes >= 0, topic.codes * language.size + spoken, -1)
        return codes.astype(np.int32), topic.size, language.size

    def _groups(self, log: InteractionLog) -> tuple[NDArray[np.int64], int]:
        """The group of each user, and the number of groups; users of no known language are one."""
        names = [self.language] if self.language in log.users.columns else []
        found = categories(log.users, log.interactions.users, names)
        if not found or not found[0].size:
            return np.zeros(log.n_users, dtype=np.int64), 1
        codes = found[0].codes.astype(np.int64)
        return np.where(codes >= 0, codes, found[0].size), found[0].size + 1

    def _newness(self, log: InteractionLog) -> Floats:
        """Freshness of each item at the last event of the log; 1 where an item's age is unknown."""
        if not log.has_times:
            return np.ones(log.n_items)
        age = ages(log, float(log.dense["timestamp"].to_physical().to_numpy().max()))
        fresh = newness(np.maximum(age, 0), self.half_life_days, self.tail)
        return np.where(np.isnan(age), 1.0, fresh)


@dataclass(frozen=True)
class PlatformRankerModel(Model):
    """The model that the platform ranker learns.

    Attributes:
        affinity: float32 (n_users, topics · languages), how much each user likes each.
        buckets: int32 (n_items,), topic × language of each item; -1 where the topic is not known.
        weight: float64 (n_items,), clicks over expected clicks times freshness.
    """

    affinity: NDArray[np.float32]
    buckets: NDArray[np.int32]
    weight: Floats
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM, COLD)

    def check(self) -> None:
        """See `Model.check`."""
        check_array("affinity", self.affinity, (self.log.n_users, None), np.float32)
        check_array("buckets", self.buckets, (self.log.n_items,), np.int32)
        check_array("weight", self.weight, (self.log.n_items,), np.float64)
        if ((self.buckets < -1) | (self.buckets >= self.affinity.shape[1])).any():
            raise ValueError("buckets names a column of affinity that there is not")

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Int32, dense ids of the items with a known topic, in the order of their keys."""
        items = np.flatnonzero(self.buckets >= 0)
        keys = self.log.items["key"].to_numpy()
        return items[np.argsort(keys[items], kind="stable")].astype(np.int32)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`. A user who is not in the log gets the score of a mean user."""
        return np.asarray(self.weight[items] * self._liking(users)[:, self.buckets[items]])

    def _liking(self, users: Users) -> NDArray[np.float32]:
        """Float32 (n, topics · languages)."""
        users = np.asarray(users)
        return np.where((users >= 0)[:, None], self.affinity[users], np.float32(1.0))

    def _write_best(
        self,
        users: Users,
        items: NDArray[np.int32],
        seen: Seen,
        rows: NDArray[np.int64],
        ids: NDArray[np.int32],
        scores: NDArray[np.float32],
    ) -> None:
        """Writes what `score` ranks best, without a score for each item."""
        best = items[np.argsort(-self.weight[items], kind="stable")]
        best = best[np.argsort(self.buckets[best], kind="stable")]
        starts = np.searchsorted(self.buckets[best], np.arange(self.affinity.shape[1] + 1))
        depth = np.full(rows.size, ids.shape[1], dtype=np.int32)
        found, values = ids[rows], scores[rows]
        chosen = users[rows]
        nothing = np.zeros(rows.size + 1, dtype=np.int64)
        known = chosen >= 0
        merge(
            self._liking(chosen),
            np.arange(rows.size),
            starts,
            best,
            self.weight[best],
            self.log.items["key"].to_numpy(),
            (
                np.where(known, seen.start[chosen], 0),
                np.where(known, seen.end[chosen], 0),
                seen.items,
            ),
            (nothing, np.zeros(0, dtype=np.int32)),
            depth,
            found,
            values,
        )
        ids[rows], scores[rows] = found, values


def _pairs(log: InteractionLog) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """The pairs of users and items that met since the first like: user, item, whether liked.

    Users without a like are left out, as in all fits.

    Raises:
        LogError: the log holds no positive event.
    """
    positive = log.dense["weight"] > 0
    if not positive.any():
        raise LogError(
            "the training log holds no positive event: platform_ranker has nothing to learn"
        )
    user, item = (log.dense[name].to_numpy() for name in ("user", "item"))
    liked = positive.to_numpy()
    learns = np.zeros(log.n_users, dtype=np.bool_)
    learns[user[liked]] = True
    counted = learns[user]
    if log.has_times:
        time = log.dense["timestamp"].to_physical().to_numpy()
        counted &= time >= time[liked].min()
    found = distinct_pairs(user[counted], item[counted], liked[counted], log.n_users, log.n_items)
    users = np.repeat(np.arange(log.n_users), np.diff(found.start))
    return users, found.item.astype(np.int64), found.flag
