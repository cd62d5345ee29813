"""Platform ranker: the ranker of the synthetic platform, trained on a log like any recommender."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.errors import ConfigError, LogError
from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders.attributes import Attribute, categories
from recsys.recommenders.base import COLD, HOT, WARM, Model, Recommender, Scores, Users
from recsys.recommenders.fits import check_array, check_number
from recsys.recommenders.followed import insert_own, multiply_follows, posts_of_followed
from recsys.recommenders.item_knn import ItemKNN
from recsys.recommenders.looks import attribute, counts_of, follows_of, makers_of, pairs_of
from recsys.recommenders.ranking import Slots
from recsys.recommenders.trending import Trending
from recsys.recommenders.two_tower import TwoTower
from recsys.recommenders.window import ages
from recsys.statistics.click_rates import (
    early_rates,
    expected_rates,
    level_of,
    liking,
    newness,
)
from recsys.statistics.merge import merge

Floats = NDArray[np.float64]


class PlatformRanker(Recommender):
    """Ranks by click rates per look: the user's for kinds of posts, the item's own, and freshness.

    score_ui = rate_u,topic · rate_u,language^w · rate_u,format^v · creator_uc · early_i · fresh_i.
    A user's rates are shrunk toward those of the users with the same language, and these toward
    those of all users (`recsys.statistics.click_rates`). A post with subtitles counts as of another
    language than one without. early_i is the item's clicks over expected clicks so far, shrunk to
    1. With `creator_prior`, creator_uc is the user's clicks over expected clicks at posts of a
    creator that the user has clicked, shrunk to 1; for other creators it is 1. With `recall`, what
    other recommenders propose comes first. The house policy of a world has the same arithmetic for
    topic, language, early_i and fresh_i; it counts without end, and this recommender counts the
    training log. Use it as a plain model of what platforms do, and in logs with impressions:
    without them, a user is taken to have been shown what everybody clicks.

    Looks are counted from the first positive event on, for users with a positive event. A log
    without `published` has no freshness, and one without languages has no such rate; a column that
    an option asks for must be there.

    >>> log = InteractionLog.from_frames({"user_id": [1, 1, 2], "item_id": [7, 8, 8],
    ...     "kind": ["click", "impression", "click"]},
    ...     items={"item_id": [7, 8, 9, 10], "topic": ["pets", "food", "food", "pets"]})
    >>> PlatformRanker().fit(log).recommend([1, 2], k=2)["item_id"].to_list()
    [10, 9, 7, 9]
    """

    needs_impressions: ClassVar[bool] = True

    topic: str = "topic"
    """Column of the items that holds their topic."""
    language: str = "language"
    """Column of the items, and of the users, that holds their language; items of a log without it
    are all of one language, and users without it are one group."""
    language_weight: float = Field(default=1.0, ge=0)
    """Weight of the click rate for a language; 0 for a ranker that does not know languages."""
    translated: str | None = None
    """Column of the items that says whether, or how, they are translated, such as `subtitled`; null
    for a ranker that does not know translations."""
    format: str = "format"
    """Column of the items that holds their format."""
    format_weight: float = Field(default=0.0, ge=0)
    """Weight of the click rate for a format, such as 1; 0 for a ranker that does not know them."""
    creator_prior: float | None = Field(default=None, gt=0)
    """Expected clicks after which a user's own clicks at a creator count for half of what is known.
    Null for a ranker that does not know creators."""
    recall: int | None = Field(default=None, ge=1)
    """Number of posts that two_tower, item_knn and trending propose each, out of those that the log
    does not say the user has seen; they are ranked first, all others behind them. Null ranks all
    together. A fit takes several times as long with it."""
    user_prior: float = Field(default=1.0, gt=0)
    """Clicks that the rate of a user's group counts for."""
    group_prior: float = Field(default=4.0, gt=0)
    """Clicks that the rate of all users counts for in the rate of a group."""
    post_prior: float = Field(default=1.0, gt=0)
    """Expected clicks after which an item's own click rate counts for half of what is known."""
    most_looks: float = Field(default=100.0, gt=0)
    """Looks, at each kind of posts, that a user counts for at most in a group."""
    half_life_days: float = Field(default=2.0, gt=0)
    """Days in which an item loses half of its freshness."""
    tail: float = Field(default=0.02, ge=0, le=1)
    """Freshness that an item keeps however old it is."""

    @property
    def deterministic(self) -> bool:  # type: ignore[override]
        """See `Recommender`; two_tower is drawn."""
        return self.recall is None

    @property
    def warm_starts(self) -> bool:  # type: ignore[override]
        """See `Recommender`; two_tower goes on from an earlier model."""
        return self.recall is not None

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "PlatformRankerModel":
        """Counts clicks and looks, and fits the sources of `recall`; see `Recommender.fit`.

        Args:
            log: the training log.
            seed: training seed of two_tower, such as 0.
            previous: a model whose two_tower is where two_tower starts, if it has one.

        Raises:
            LogError: the log holds no positive event, or its items have no topics.
            ConfigError: an option asks for a column of the items that the log does not have.
        """
        user, item, liked = pairs_of(log)
        topic, language, form = kinds = self._kinds(log)
        known = kinds[0].codes[item] >= 0
        user, item, liked = user[known], item[known], liked[known]
        group, n_groups = self._groups(log)
        order = np.argsort(log.users["key"].to_numpy(), kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(order.size)
        user, group = place[user], group[order]
        counts = [
            counts_of(user, kind.codes[item], liked, log.n_users, kind.size) for kind in kinds
        ]
        clicks, looks = (of.sum(axis=1) for of in counts[0])
        priors = self.user_prior, self.group_prior
        level = level_of(clicks, looks, group, n_groups, priors, self.most_looks)
        weights = [1.0, self.language_weight, self.format_weight]
        weights = [w if kind.size > 1 else 0.0 for w, kind in zip(weights, kinds, strict=True)]
        by_topic, by_language, by_format = (
            liking(*count, group, level, priors, self.most_looks)[place] ** np.float32(weight)
            for count, weight in zip(counts, weights, strict=True)
        )
        item_clicks = np.bincount(item[liked], minlength=log.n_items).astype(np.float64)
        item_looks = np.bincount(item, minlength=log.n_items).astype(np.float64)
        if liked.all():
            item_looks[:] = item_looks.sum() / max((item_looks > 0).sum(), 1)
        overall, ratios = expected_rates(
            [clicks.sum(axis=0) for clicks, _ in counts],
            [looks.sum(axis=0) for _, looks in counts],
            self.group_prior,
        )
        expected = np.full(log.n_items, overall)
        for kind, ratio, weight in zip(kinds, ratios, weights, strict=True):
            expected *= ratio[kind.codes] ** weight
        early = early_rates(item_clicks, item_looks, expected, self.post_prior)
        makers = makers_of(log, self.creator_prior)
        prior = self.creator_prior or 1.0
        start, follows, liked_by = follows_of(
            order[user], makers[item], liked, log.n_users, level.own[place], prior
        )
        return PlatformRankerModel(
            log,
            by_topic,
            by_language,
            by_format,
            topic.codes,
            language.codes,
            form.codes,
            early * self._newness(log),
            makers,
            start,
            follows,
            liked_by,
            self._sources(log, seed, previous),
            self.recall,
        )

    def _sources(self, log: InteractionLog, seed: int, previous: Model | None) -> tuple[Model, ...]:
        """The models that propose posts; none without `recall`."""
        if self.recall is None:
            return ()
        before = previous.sources[:1] if isinstance(previous, PlatformRankerModel) else ()
        two_tower = TwoTower().fit(log, seed, *before)
        return two_tower, ItemKNN().fit(log), Trending().fit(log)

    def check(self, log: InteractionLog) -> None:
        """See `Recommender.check`.

        Raises:
            ConfigError: an option asks for a column of the items that the log does not have.
        """
        self._kinds(log)

    def _kinds(self, log: InteractionLog) -> tuple[Attribute, Attribute, Attribute]:
        """Topic, language with translation, and format of the items; a code of -1 without topic.

        What has no weight is of one kind: it is not counted.
        """
        for option, column in self._asked():
            if column not in log.items or log.items[column].null_count() == log.n_items:
                raise ConfigError(
                    f"platform_ranker: {option} asks for the items' column {column!r}, and the log "
                    f"has no values in it; it has {', '.join(log.items.columns)}"
                )
        speaks = self.language_weight > 0
        topic, language, translated, form = (
            attribute(log, name)
            for name in (
                self.topic,
                self.language if speaks else None,
                self.translated if speaks else None,
                self.format if self.format_weight > 0 else None,
            )
        )
        if (topic.codes < 0).all():
            raise LogError(
                f"platform_ranker learns which topics users click, and the items of the log have "
                f"no column {self.topic!r} with known values; name the column that holds topics: "
                "{kind: platform_ranker, topic: COLUMN}"
            )
        spoken = np.maximum(language.codes, 0) * translated.size + np.maximum(translated.codes, 0)
        speech = Attribute("language", spoken.astype(np.int32), language.size * translated.size)
        return topic, speech, form._replace(codes=np.maximum(form.codes, 0))

    def _asked(self) -> Iterator[tuple[str, str]]:
        """Options that ask for a column of the items, other than that of topics, and the column."""
        if self.language_weight > 0:
            if self.language != type(self).model_fields["language"].default:
                yield "language", self.language
            if self.translated is not None:
                yield "translated", self.translated
        if self.format_weight > 0:
            yield "format_weight", self.format
        if self.creator_prior is not None:
            yield "creator_prior", "creator_id"

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
        age = ages(log, float(log.milliseconds.max()))
        fresh = newness(np.maximum(age, 0), self.half_life_days, self.tail)
        return np.where(np.isnan(age), 1.0, fresh)


@dataclass(frozen=True)
class PlatformRankerModel(Model):
    """The model that the platform ranker learns.

    Attributes:
        by_topic, by_language, by_format: float32 (n_users, kinds), how much each user likes posts
            of each topic, of each language (with subtitles or without) and of each format.
        topic, language, format: int32 (n_items,), the kinds of each item; a topic of -1 where it is
            not known.
        weight: float64 (n_items,), clicks over expected clicks times freshness.
        maker: int32 (n_items,), number of each item's creator; -1 where it is not known.
        follow_start: int64 (n_users + 1,), where the creators that each user has clicked begin.
        follows: int32, their numbers, ascending for each user.
        liked_by: float64, how much more the user clicks each of them.
        sources: the models that propose what is ranked first; none if all items are ranked
            together.
        recall: number of posts that each proposes; None without sources.
    """

    by_topic: NDArray[np.float32]
    by_language: NDArray[np.float32]
    by_format: NDArray[np.float32]
    topic: NDArray[np.int32]
    language: NDArray[np.int32]
    format: NDArray[np.int32]
    weight: Floats
    maker: NDArray[np.int32]
    follow_start: NDArray[np.int64]
    follows: NDArray[np.int32]
    liked_by: Floats
    sources: tuple[Model, ...]
    recall: int | None
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM, COLD)

    def check(self) -> None:
        """See `Model.check`."""
        n_users, n_items = self.log.n_users, self.log.n_items
        for name, least in (("topic", -1), ("language", 0), ("format", 0)):
            liking, codes = getattr(self, f"by_{name}"), getattr(self, name)
            check_array(f"by_{name}", liking, (n_users, None), np.float32)
            check_array(name, codes, (n_items,), np.int32)
            if ((codes < least) | (codes >= liking.shape[1])).any():
                raise ValueError(f"{name} names a kind that there is not")
            _check_least(f"by_{name}", liking, 0)
        check_array("weight", self.weight, (n_items,), np.float64)
        _check_least("weight", self.weight, 0)
        check_array("maker", self.maker, (n_items,), np.int32)
        _check_least("maker", self.maker, -1)
        check_array("follow_start", self.follow_start, (n_users + 1,), np.int64)
        check_array("follows", self.follows, (None,), np.int32)
        check_array("liked_by", self.liked_by, (self.follows.size,), np.float64)
        _check_least("liked_by", self.liked_by, 0)
        starts, last = self.follow_start, int(self.maker.max(initial=-1))
        if last >= n_items:
            raise ValueError("maker numbers more creators than there are items")
        if starts[0] != 0 or starts[-1] != self.follows.size or (np.diff(starts) < 0).any():
            raise ValueError("follow_start does not divide follows")
        if ((self.follows < 0) | (self.follows > last)).any():
            raise ValueError("follows names a creator that there is not")
        who = np.repeat(np.arange(n_users), np.diff(starts))
        if ((np.diff(self.follows) <= 0) & (np.diff(who) == 0)).any():
            raise ValueError("follows does not ascend for each user")
        if not isinstance(self.sources, tuple) or (self.recall is None) != (not self.sources):
            raise ValueError("recall and sources do not go together")
        if self.recall is not None:
            check_number("recall", self.recall, int, 1)
        for source in self.sources:
            if not isinstance(source, Model) or source.log is not self.log:
                raise ValueError("a source is no model of this log")
            source.check()

    @lazy
    def buckets(self) -> NDArray[np.int32]:
        """Int32 (n_items,): topic, format and language of each item as one number; -1 without."""
        kinds = self.by_format.shape[1], self.by_language.shape[1]
        bucket = (self.topic * kinds[0] + self.format) * kinds[1] + self.language
        return np.where(self.topic >= 0, bucket, -1).astype(np.int32)

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Int32, dense ids of the items with a known topic, in the order of their keys."""
        items = np.flatnonzero(self.topic >= 0)
        keys = self.log.items["key"].to_numpy()
        return items[np.argsort(keys[items], kind="stable")].astype(np.int32)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`. A user who is not in the log gets the score of a mean user."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; what is not recalled scores below all that is."""
        candidates, column = self._among(items), np.zeros(self.log.n_items, dtype=np.int64)
        column[items] = np.arange(items.size)

        def score(users: Users) -> Scores:
            users = np.asarray(users, dtype=np.int64)
            scores = self.weight[items] * self._liking(users)[:, self.buckets[items]]
            multiply_follows(users, self.maker[items], self._followed, scores)
            if self.sources and items.size:
                row, item = self._proposed(users, candidates)
                first = scores[row, column[item]]
                scores = _behind(scores, _least(first, row, users.size)[:, None])
                scores[row, column[item]] = first
            return scores

        return score

    def _among(self, items: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Bool (n_items,): whether each item of the log is one of these."""
        among = np.zeros(self.log.n_items, dtype=np.bool_)
        among[items] = True
        return among

    def _proposed(
        self, users: Users, candidates: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pairs that the sources propose, sorted: row of the user, and item.

        As in `ranker`, what is proposed does not depend on what a caller leaves out besides what
        the log says that a user has seen, so that leaving out a post moves no other one.
        """
        depth = min(self.recall or 0, int(candidates.sum()))
        found = np.concatenate(
            [source.rank(users, depth, candidates).item_ids for source in self.sources], axis=1
        )
        number = np.arange(users.size)[:, None] * self.log.n_items + found.astype(np.int64)
        row, item = np.divmod(np.unique(number[found >= 0]), self.log.n_items)
        return row, item

    @property
    def _followed(self) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats]:
        return self.follow_start, self.follows, self.liked_by

    def _liking(self, users: Users) -> NDArray[np.float32]:
        """Float32 (n, topics · formats · languages)."""
        topic, form, language = (
            np.where((users >= 0)[:, None], of[users], np.float32(1.0))
            for of in (self.by_topic, self.by_format, self.by_language)
        )
        both = form[:, :, None] * language[:, None, :]
        return np.asarray((topic[:, :, None, None] * both[:, None]).reshape(users.size, -1))

    def _write_best(self, items: NDArray[np.int32], seen: Seen, slots: Slots) -> None:
        """Writes what `score` ranks best, without a score for each item."""
        users, rows, ids, scores = slots
        candidates = self._among(items)
        best = items[np.argsort(-self.weight[items], kind="stable")]
        best = best[np.argsort(self.buckets[best], kind="stable")]
        keys = self.log.items["key"].to_numpy()
        made = items[np.argsort(self.maker[items], kind="stable")]
        made_start = np.searchsorted(self.maker[made], np.arange(self.maker.max(initial=-1) + 2))
        for first in range(0, rows.size, _BLOCK):
            part = rows[first : first + _BLOCK]
            chosen = np.asarray(users[part], dtype=np.int64)
            liking, everybody = self._liking(chosen), np.arange(part.size)
            begin, posts, more = posts_of_followed(chosen, self._followed, made_start, made)
            starts = np.searchsorted(self.buckets[best], np.arange(liking.shape[1] + 1))
            found, known = ids[part], chosen >= 0
            values = np.full(found.shape, -1.0)
            hidden = (
                np.where(known, seen.start[chosen], 0),
                np.where(known, seen.end[chosen], 0),
                seen.items,
            )
            depth = np.full(part.size, ids.shape[1], dtype=np.int32)
            merge(
                liking, everybody, starts, best, self.weight[best], keys, hidden,
                (begin, posts), depth, found, values,
            )  # fmt: skip
            insert_own(
                begin, posts, more, liking, self.buckets, self.weight, keys, hidden, found, values,
            )  # fmt: skip
            if self.sources and items.size:
                found, values = self._recalled_first(chosen, candidates, seen, found, values)
            ids[part] = found
            scores[part] = np.where(found >= 0, values, scores[part])

    def _recalled_first(
        self,
        users: NDArray[np.int64],
        candidates: NDArray[np.bool_],
        seen: Seen,
        ids: NDArray[np.int32],
        scores: Floats,
    ) -> tuple[NDArray[np.int32], Floats]:
        """Rankings with what is recalled in front; of all items, `ids` has the best, (n, k)."""
        best, values, least = self._best_recalled(users, candidates, seen, ids.shape[1])
        gone = np.stack([np.isin(mine, held) for mine, held in zip(ids, best, strict=True)])
        behind = np.where(gone, np.int32(-1), ids)
        lower = _behind(np.where(behind >= 0, scores, np.nan), least[:, None])
        items, every = (np.concatenate(both, axis=1) for both in ((best, behind), (values, lower)))
        first = np.argsort(items < 0, axis=1, kind="stable")[:, : ids.shape[1]]
        return np.take_along_axis(items, first, axis=1), np.take_along_axis(every, first, axis=1)

    def _best_recalled(
        self, users: NDArray[np.int64], candidates: NDArray[np.bool_], seen: Seen, k: int
    ) -> tuple[NDArray[np.int32], Floats, Floats]:
        """The k best of what the sources propose, without what is seen.

        Returns:
            Items, -1 in empty slots, and their scores, (n, k); the lowest score, float64 (n,), of
            all that is proposed.
        """
        row, item = self._proposed(users, candidates)
        value = self._pair_scores(users[row], row, item, self._liking(users))
        least = _least(value, row, users.size)
        order = np.lexsort((self.log.items["key"].to_numpy()[item], -value, row))
        order = order[~_has_seen(seen, users[row[order]], item[order], self.log.n_items)]
        row, item, value = row[order], item[order], value[order]
        slot = np.arange(row.size) - np.searchsorted(row, row)
        ids = np.full((users.size, k), -1, dtype=np.int32)
        scores = np.full(ids.shape, np.nan)
        kept = slot < k
        ids[row[kept], slot[kept]] = item[kept]
        scores[row[kept], slot[kept]] = value[kept]
        return ids, scores, least

    @lazy
    def _known(self) -> NDArray[np.int64]:
        """A number for each user and creator whom the user follows, ascending."""
        follower = np.repeat(np.arange(self.log.n_users), np.diff(self.follow_start))
        return follower * (int(self.maker.max(initial=-1)) + 1) + self.follows

    def _pair_scores(
        self,
        users: NDArray[np.int64],
        row: NDArray[np.int64],
        item: NDArray[np.int64],
        liking: NDArray[np.float32],
    ) -> Floats:
        """Scores of pairs: users (n,) dense ids, their rows of `liking`, and items."""
        value = self.weight[item] * liking[row, self.buckets[item]]
        if self.follows.size:
            n, known = int(self.maker.max()) + 1, self._known
            asked = np.where(self.maker[item] >= 0, users * n + self.maker[item], -1)
            place = np.minimum(np.searchsorted(known, asked), known.size - 1)
            value = value * np.where(known[place] == asked, self.liked_by[place], 1.0)
        return np.asarray(value)


def _least(values: Floats, rows: NDArray[np.int64], n: int) -> Floats:
    """Float64 (n,): the lowest value of each row; infinite for a row without values."""
    least = np.full(n, np.inf)
    np.minimum.at(least, rows, values)
    return least


def _behind(scores: NDArray[Any], least: Floats) -> Floats:
    """Scores from 0 on, moved below a bound of their row in the same order; left if it is infinite.

    >>> _behind(np.array([[1.0, 3.0], [1.0, 3.0]]), np.array([[2.0], [np.inf]])).tolist()
    [[1.5, 1.75], [1.0, 3.0]]
    """
    return np.where(np.isfinite(least), least - 1 / (1 + scores), scores)


def _has_seen(
    seen: Seen, users: NDArray[np.int64], items: NDArray[np.int64], n_items: int
) -> NDArray[np.bool_]:
    """Bool (n,): whether the user of each pair has seen the item; -1 has seen nothing."""
    who = np.unique(users[users >= 0])
    start, size = seen.start[who], seen.end[who] - seen.start[who]
    place = np.repeat(start - np.cumsum(size) + size, size) + np.arange(size.sum())
    shown = np.repeat(who, size) * n_items + seen.items[place]
    return np.isin(users * n_items + items, shown)


def _check_least(name: str, array: NDArray[Any], least: int) -> None:
    """Raises ValueError where an array holds a number below `least`."""
    if (array < least).any():
        raise ValueError(f"{name} holds a number below {least}")


_BLOCK = 4096
"""Number of users that are ranked together."""
