"""Ranker: several sources propose posts, and gradient boosting ranks them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, integer_seed, key_words, pair_words, uniforms
from recsys.core.threads import single_threaded_blas, single_threaded_openmp
from recsys.logs.log import InteractionLog, Seen
from recsys.logs.times import DAY
from recsys.recommenders.als import ALS
from recsys.recommenders.base import BLOCK, Model, ModelNumber, Recommender, Scores, Users
from recsys.recommenders.evidence import RANKS, SOURCES, Evidence, Finder, Pairs
from recsys.recommenders.fits import check_array, check_number, check_trees
from recsys.recommenders.forest import (
    MOST_LEAVES,
    Forest,
    forest_odds,
    forest_of,
    no_forest,
)
from recsys.recommenders.item_knn import ItemKNN
from recsys.recommenders.most_popular import MostPopular
from recsys.recommenders.proposals import (
    MOST_CANDIDATES,
    Blend,
    blended,
    fused,
    ndcg_of_groups,
)
from recsys.recommenders.ranking import Slots
from recsys.recommenders.trending import Trending
from recsys.recommenders.window import ages, by_window, last_like, midnight_after

_FEWEST = 20
"""Least number of examples with a click, and of examples without, from which trees are learned."""
_TRIED, _MOST_TRIED = 0.25, 2_000
"""Share of the users who click on whom the trees are tried, and their largest number."""
_TRUSTS = (0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of the trees in the score that are tried."""
_JUDGED = 20
"""Number of ranks on which they are tried."""
_FEW_TRIED = 30
"""Users who can teach and try trees. With fewer, trees that know nothing are trusted in up to a
quarter of fits (docs/recommenders.md)."""
_AHEAD = 1 / 24
"""Largest part of the labelled days whose likes an earlier model may know, if the als that features
are computed from is to start from it."""
_HELD_OUT = 0.2
"""Share of the pairs that the trees learn to predict in a log without times."""


class Ranker(Recommender):
    """Ranks in two stages: sources propose posts, then boosted trees predict which are clicked.

    Stage 1: each of four sources proposes its best `candidates` unseen posts. The sources are als,
    item neighbours, the trending list, and the creators that the user has liked posts of. Stage 2:
    `HistGradientBoostingClassifier` predicts the log odds of a click. Its features are the scores
    and ranks of the sources; the age, popularity, trend and clicks per look of the post; the number
    of likes of the user; and the share of these likes on the same creator and on each attribute of
    the post. Friedman 2001, "Greedy function approximation: a gradient boosting machine"; for the
    two stages Covington, Adams & Sargin 2016, "Deep neural networks for YouTube recommendations".
    Use it where several sources are at hand and the order at the top matters.

    The trees learn to predict the last `label_days` of the log. Features are computed from the log
    before, and posts published later are left out. The examples are posts that the sources propose
    to users who click on these days, as they are when feeds are made; a click on a post that no
    source proposes teaches nothing. Examples without a click are all posts that were proposed,
    shown and not clicked, and `negatives` times as many as clicks of those that were not shown,
    drawn by key. So impressions count in proportion to their number, and a log may have none.

    How far the trees are trusted is tried out: they learn from three quarters of the users and rank
    the proposals to the others, whose NDCG is compared with that of the source that does best. A
    post scores the share λ of its log odds less (1 - λ) times the log of its rank in that source.
    Of 0, ¼, ½, ¾, .9 and 1, λ is the share whose mean gain of a user, less its standard error, is
    largest. So the trees alone are served where they are better, and the source alone where no gain
    is seen. Of trees that know nothing, chance trusts a fifth to a quarter where 2 to 5 users try
    them, and a tenth from 30 on. Where nobody tries them, als is served.

    With fewer than 20 examples of either outcome there are no trees, and candidates are ranked by
    Σ 1 / (60 + rank) over the sources (Cormack, Clarke & Büttcher 2009, "Reciprocal rank fusion").
    scikit-learn grows the trees on one thread.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> Ranker(factors=2).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = True
    needs_impressions: ClassVar[bool] = True

    factors: int = Field(default=64, ge=1, le=1024)
    """Length of the vectors of als."""
    neighbours: int = Field(default=100, ge=1)
    """Number of similar items that are kept for each item."""
    half_life_days: float = Field(default=2.0, gt=0)
    """Days in which a click loses half of its weight in the trending list, and a post half of its
    freshness among the posts of a user's creators."""
    candidates: int = Field(default=50, ge=1, le=MOST_CANDIDATES)
    """Number of posts that each source proposes."""
    candidate_days: float | None = Field(default=5.0, gt=0)
    """The sources propose from items published within this many days before the end of the last
    like's day (UTC), and from older ones only for slots that these leave empty (C). Null proposes
    from all together."""
    label_days: float = Field(default=1.0, gt=0)
    """Days at the end of the log that the trees learn to predict. Where fewer than 30 users like
    something on them and liked something before, these are twice as many days, and so on, as long
    as half of the likes lie before them."""
    iterations: int = Field(default=40, ge=1)
    """Number of trees."""
    learning_rate: float = Field(default=0.1, gt=0)
    """Factor by which the prediction of each tree is multiplied."""
    leaves: int = Field(default=7, ge=2, le=MOST_LEAVES)
    """Largest number of leaves of a tree."""
    leaf_examples: int = Field(default=300, ge=1)
    """Least number of examples in a leaf. With few examples it is lowered to 1 % of them, but not
    below 20."""
    regularization: float = Field(default=1.0, ge=0)
    """L2 penalty on the values of leaves."""
    negatives: int = Field(default=20, ge=1)
    """Number of proposed posts that were not shown, for each click, among the examples."""
    examples: int = Field(default=50_000, ge=100)
    """Largest number of examples; if there are more, this many are drawn by key, out of users who
    are drawn by key."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "RankerModel":
        """Fits the sources and the trees; see `Recommender.fit`.

        The sources are fitted twice: to the log before the labelled days, for the features that the
        trees learn from, and to the whole log, for the features of what is served.

        Args:
            log: the training log.
            seed: training seed of als, of the trees and of the drawn examples, such as 0.
            previous: a model whose als is where als starts, if it is a `RankerModel`. The als of
                the log before the labelled days starts there too, if that model knows no more of
                these days than their first 24th part; else it would know what is to be predicted.

        Raises:
            LogError: the log holds no positive event.
        """
        weight = log.dense["weight"].to_numpy()
        if not (weight > 0).any():
            raise LogError("the training log holds no positive event: ranker has nothing to learn")
        yesterday = previous if isinstance(previous, RankerModel) else None
        trees, before = self._trees(log, weight > 0, seed, yesterday)
        if yesterday is not None:
            before = yesterday.evidence.als
        evidence = self._evidence(log, seed, before)
        return RankerModel(log, evidence, self.candidates, self.candidate_days, trees)

    def _evidence(
        self, log: InteractionLog, seed: int, previous: Model | None = None, now: float = np.nan
    ) -> Evidence:
        """The sources fitted to a log; `now` is its last like unless it is given."""
        now = last_like(log) if np.isnan(now) else now
        return Evidence(
            log,
            ALS(factors=self.factors).fit(log, seed, previous),
            ItemKNN(neighbours=self.neighbours).fit(log),
            Trending(half_life_days=self.half_life_days).fit(log),
            MostPopular().fit(log),
            now,
            self.half_life_days,
        )

    def _trees(
        self,
        log: InteractionLog,
        liked: NDArray[np.bool_],
        seed: int,
        yesterday: "RankerModel | None",
    ) -> tuple["Trees | None", Model | None]:
        """The trees and the als of the log before the labelled days; None without examples."""
        late, now = self._labelled(log, liked, seed)
        if not (liked & ~late).any() or not (liked & late).any():
            return None, None
        before, latest = None, now + _AHEAD * self.label_days * DAY
        if yesterday is not None and yesterday.evidence.now <= latest:
            before = yesterday.evidence.als
        evidence = self._evidence(log.only(~late), seed, before, now)
        labelled = log.only(late & _published_by_then(evidence, log.dense["item"].to_numpy()))
        examples = self._examples(evidence, labelled, seed)
        kept = examples.kept
        trees = self._grown(examples.features[kept], examples.clicked[kept], seed)
        if trees is not None:
            source, trust = _trust_in(trees, examples)
            trees = trees._replace(source=source, trust=trust)
        return trees, evidence.als

    def _grown(self, X: NDArray[np.float64], y: NDArray[np.bool_], seed: int) -> "Trees | None":
        """Trees that learn y from X; None where there are too few examples."""
        if min(y.sum(), (~y).sum()) < _FEWEST:
            return None
        from sklearn.ensemble import HistGradientBoostingClassifier

        trees = HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=self.iterations,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=min(self.leaf_examples, max(_FEWEST, y.size // 100)),
            l2_regularization=self.regularization,
            early_stopping=False,
            random_state=integer_seed(seed, ModelNumber.RANKER),
        )
        columns = np.flatnonzero(np.isfinite(X).any(axis=0))
        with single_threaded_openmp():
            return Trees(trees.fit(X[:, columns], y), columns, 0, 1.0)

    def _labelled(
        self, log: InteractionLog, liked: NDArray[np.bool_], seed: int
    ) -> tuple[NDArray[np.bool_], float]:
        """Bool (n_events,), the events that are to be predicted; and the moment they begin at."""
        if log.has_times:
            time = log.milliseconds
            cut = self._cut(time[liked], log.dense["user"].to_numpy()[liked], last_like(log))
            if (liked & (time <= cut)).any():
                return time > cut, cut
        lots = _lots(log, seed, log.dense["user"].to_numpy(), log.dense["item"].to_numpy(), draw=0)
        return lots < _HELD_OUT, last_like(log)

    def _cut(self, time: NDArray[np.int64], user: NDArray[np.int32], end: float) -> float:
        """The moment at which the labelled days begin; see `label_days`.

        Args:
            time: int64 (n_likes,), when each like was.
            user: int32 (n_likes,), whose it was.
            end: the moment of the last like.
        """
        days = self.label_days
        while True:
            late = time > end - days * DAY
            both = np.intersect1d(user[late], user[~late]).size
            if both >= _FEW_TRIED or 2 * (time <= end - 2 * days * DAY).sum() < time.size:
                return end - days * DAY
            days *= 2

    def _examples(self, evidence: Evidence, labelled: InteractionLog, seed: int) -> "Examples":
        """The pairs that the sources propose, and those of them that the trees learn from."""
        history, n_items = evidence.log, evidence.log.n_items
        users = history.interactions.users
        clicked = _pairs_of(labelled, users, history, liked=True)
        active = np.flatnonzero(np.isin(users, clicked // n_items))
        shown = _pairs_of(labelled, users[active], history, liked=False)
        lots = _lots_of_users(history, seed, users[active], draw=1)
        order = np.argsort(lots, kind="stable")
        tried = active[order[: min(int((lots < _TRIED).sum()), _MOST_TRIED)]]
        learn = self._drawn(history, seed, users, active[lots >= _TRIED], clicked, shown)
        active = np.sort(np.concatenate([tried, learn]))
        nothing = np.zeros(0, dtype=np.int64)
        finder = Finder(evidence, self._fresh(evidence), self.candidates)
        parts = []
        with single_threaded_blas():
            for start in range(0, active.size, BLOCK):
                rows = active[start : start + BLOCK]
                padded = np.resize(users[rows], BLOCK).astype(np.int64)
                pairs = finder.pairs(padded, nothing, nothing, candidates=True)
                row, column = (part[pairs.row < rows.size] for part in pairs[:2])
                item = finder.items[column]
                numbers = padded[row] * n_items + item
                y, seen = _among(numbers, clicked), _among(numbers, shown)
                lots = _lots(history, seed, users[rows[row]], item, draw=1)
                parts.append((pairs.features[: row.size], y, seen, lots, rows[row]))
        if not parts:
            nobody = np.zeros(0, dtype=np.int64)
            X = np.zeros((0, len(evidence.feature_names)))
            return Examples(X, nobody > 0, nobody, nobody, nobody)
        X, y, seen, lots, user = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        is_tried = np.isin(user, tried)
        unseen, learned = ~(y | seen), ~is_tried
        most = self.negatives * (y & learned).sum()
        kept = np.flatnonzero(learned & (~unseen | (lots * (unseen & learned).sum() < most)))
        if kept.size > self.examples:
            kept = np.sort(kept[np.argsort(lots[kept], kind="stable")[: self.examples]])
        return Examples(X, y, kept, np.flatnonzero(is_tried), user)

    def _drawn(
        self,
        history: InteractionLog,
        seed: int,
        users: NDArray[np.int32],
        active: NDArray[np.intp],
        clicked: NDArray[np.int64],
        shown: NDArray[np.int64],
    ) -> NDArray[np.intp]:
        """Out of the rows of users who click, those of enough of them, drawn by key, ascending.

        Not every pair that was clicked or shown is proposed, so three times as many are drawn.
        """
        n = [
            np.bincount(pairs // history.n_items, minlength=history.n_users)
            for pairs in (clicked, shown)
        ]
        most = (self.negatives * n[0] + np.maximum(n[0], n[1]))[users[active]]
        lots = _lots_of_users(history, seed, users[active], draw=0)
        order = np.argsort(lots, kind="stable")
        enough = np.searchsorted(np.cumsum(most[order]), 3 * self.examples) + 1
        return np.sort(active[order[:enough]])

    def _fresh(self, evidence: Evidence) -> NDArray[np.int32]:
        """The items from which feeds were made at the moment of the evidence."""
        items = evidence.scorable
        age = ages(evidence.log, midnight_after(evidence.now))
        items = items[_published_by_then(evidence, items)]
        if self.candidate_days is None or items.size == 0:
            return items
        return by_window(items, age, self.candidate_days)[0]


class Examples(NamedTuple):
    """Pairs of a user and a post that the sources propose, in the order of keys."""

    features: NDArray[np.float64]
    """(n, n_features)."""
    clicked: NDArray[np.bool_]
    """(n,) whether the user clicked the post on the labelled days."""
    kept: NDArray[np.int64]
    """Pairs from which the trees learn, ascending."""
    tried: NDArray[np.int64]
    """Pairs of other users, on which they are tried, ascending."""
    user: NDArray[np.int64]
    """(n,) row of the user in the training matrix of the log before."""


class Trees(NamedTuple):
    """The fitted classifier, the features that it takes, and how far it is trusted."""

    classifier: Any
    """A `HistGradientBoostingClassifier`."""
    columns: NDArray[np.int64]
    """Columns of the features that were known for any example."""
    source: int
    """Position in `SOURCES` of the source that does best."""
    trust: float
    """Share λ of the log odds in the score, 0 to 1."""

    def check(self, features: int) -> None:
        """Raises a ValueError where the parts do not fit this many features."""
        check_array("columns", self.columns, (None,), np.int64)
        if ((self.columns < 0) | (self.columns >= features)).any():
            raise ValueError("columns names a feature that there is not")
        check_number("source", self.source, int, 0)
        check_number("trust", self.trust, float, 0)
        if self.source >= len(SOURCES) or self.trust > 1:
            raise ValueError(f"the trees have source {self.source} and trust {self.trust}")
        check_trees(self.classifier, self.columns.size)


@dataclass(frozen=True)
class RankerModel(Model):
    """The model that ranker learns.

    Attributes:
        evidence: sources and features at the end of the log.
        candidates, candidate_days: see `Ranker`.
        trees: the classifier; None if the ranks of the sources are fused.
    """

    evidence: Evidence
    candidates: int
    candidate_days: float | None
    trees: Trees | None

    def check(self) -> None:
        """See `Model.check`."""
        self.evidence.check()
        if self.evidence.log is not self.log:
            raise ValueError("the evidence is of another log")
        check_number("candidates", self.candidates, int, 1)
        if self.candidate_days is not None:
            check_number("candidate_days", self.candidate_days, float, 0)
        if self.trees is not None:
            self.trees.check(len(self.evidence.feature_names))

    def window(self) -> float | None:
        """See `Model.window`."""
        return self.candidate_days

    @lazy
    def forest(self) -> Forest:
        """The trees as arrays; none without a classifier."""
        if self.trees is None:
            return no_forest()
        return forest_of(self.trees.classifier, self.trees.columns)

    @property
    def blend(self) -> Blend:
        """How the trees and a source make a score; without trees it is not asked for."""
        if self.trees is None:
            return Blend(0, 1.0)
        return Blend(self.trees.source, self.trees.trust)

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """See `Evidence.scorable`."""
        return self.evidence.scorable

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`; log odds of a click, blended with the best source as `Ranker` says.

        It is -inf for a post that no source proposes.
        """
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`."""
        finder = Finder(self.evidence, items, self.candidates)

        def score(users: Users) -> Scores:
            scores = np.full((users.size, items.size), -np.inf)
            pairs = finder.serving(users)
            if pairs.row.size:
                scores[pairs.row, pairs.column] = self._score_pairs(pairs)
            return scores

        return score

    def _score_pairs(self, pairs: Pairs) -> NDArray[np.float64]:
        columns = np.ascontiguousarray(pairs.features.T)
        scores = np.empty(columns.shape[1])
        if self.trees is not None:
            forest_odds(self.forest, columns, scores.size, scores)
            blended(self.blend, columns, scores.size, scores)
            return scores
        for place in range(scores.size):
            scores[place] = fused(columns[RANKS, place])
        return scores

    def _write_best(self, items: NDArray[np.int32], seen: Seen, slots: Slots) -> None:
        """Writes what `score` ranks best, without a score for each post."""
        if items.size == 0:
            return
        users, rows, ids, scores = slots
        finder = Finder(self.evidence, items, self.candidates)
        with single_threaded_blas():
            for start in range(0, rows.size, BLOCK):
                part = rows[start : start + BLOCK]
                block = np.resize(users[part], BLOCK)  # padded with the same users again
                finder.write_best(block, seen, (self.forest, self.blend), part, ids, scores)


def _published_by_then(evidence: Evidence, items: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Whether items were published at the moment of the evidence; True where this is not known."""
    age = evidence.age[items]
    return np.asarray(np.isnan(age) | (age >= 0))


def _trust_in(trees: Trees, examples: Examples) -> tuple[int, float]:
    """The source that ranks best what is proposed to users who are tried, and λ; see `Ranker`.

    als is taken unless another source is better by more than a standard error.

    Returns:
        Position of the source in `SOURCES`, and λ.
    """
    if examples.tried.size == 0:
        return 0, 0.0
    features = np.ascontiguousarray(examples.features[examples.tried].T)
    clicked, user = examples.clicked[examples.tried], examples.user[examples.tried]
    start = np.flatnonzero(np.diff(user, prepend=-1, append=user[-1:] + 1))

    def quality(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndcg_of_groups(scores, clicked, start, _JUDGED))

    by_source = [quality(np.nan_to_num(-ranks, nan=-np.inf)) for ranks in features[RANKS]]
    source = 0
    for other in range(1, len(SOURCES)):
        if _least_gain(by_source[other], by_source[source]) > 0:
            source = other
    odds = np.empty(clicked.size)
    forest_odds(forest_of(trees.classifier, trees.columns), features, odds.size, odds)
    gains = []
    for trust in _TRUSTS:
        scores = odds.copy()
        blended(Blend(source, trust), features, scores.size, scores)
        gains.append(_least_gain(quality(scores), by_source[source]))
    best = int(np.argmax(gains))
    return source, _TRUSTS[best] if gains[best] > 0 else 0.0


def _least_gain(better: NDArray[np.float64], than: NDArray[np.float64]) -> float:
    """Mean of the differences less its standard error; 0 of fewer than two."""
    gain = (better - than)[~np.isnan(than)]
    if gain.size < 2:
        return 0.0
    return float(gain.mean() - gain.std(ddof=1) / np.sqrt(gain.size))


def _lots_of_users(
    log: InteractionLog, seed: int, users: Users, *, draw: int
) -> NDArray[np.float64]:
    """A uniform number for each user, drawn at the user's key."""
    words = key_words(log.users["key"].to_numpy()[users])
    return np.asarray(uniforms(seed, Stream.MODEL_RANDOM, *words)[:, draw])


def _lots(
    log: InteractionLog, seed: int, users: Users, items: Users, *, draw: int
) -> NDArray[np.float64]:
    """A uniform number for each pair, drawn at the keys of its user and item."""
    user, item = log.users["key"].to_numpy()[users], log.items["key"].to_numpy()[items]
    return uniforms(seed, Stream.MODEL_RANDOM, *pair_words(user, item))[:, 2 + draw]


def _pairs_of(
    labelled: InteractionLog, users: NDArray[np.int32], history: InteractionLog, *, liked: bool
) -> NDArray[np.int64]:
    """Numbers user · n_items + item of the labelled pairs that are not in the history, ascending.

    Args:
        labelled: the events that the trees learn to predict.
        users: dense ids of the users whose pairs are wanted.
        history: the log before.
        liked: whether only pairs with a like are wanted.
    """
    wanted = np.zeros(history.n_users, dtype=np.bool_)
    wanted[users] = True

    def numbers(log: InteractionLog, *, positive: bool) -> NDArray[np.int64]:
        user = log.dense["user"].to_numpy()
        kept = wanted[user]
        if positive:
            kept &= log.dense["weight"].to_numpy() > 0
        pairs = user[kept].astype(np.int64) * history.n_items + log.dense["item"].to_numpy()[kept]
        return np.sort(pairs)

    pairs = numbers(labelled, positive=liked)
    is_first = np.diff(pairs, prepend=-1) > 0
    return np.asarray(pairs[is_first & ~_among(pairs, numbers(history, positive=False))])


def _among(numbers: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each number is among some that are sorted.

    >>> _among(np.array([3, 4]), np.array([1, 4])).tolist()
    [False, True]
    """
    if ascending.size == 0:
        return np.zeros(numbers.size, dtype=np.bool_)
    place = np.minimum(np.searchsorted(ascending, numbers), ascending.size - 1)
    return np.asarray(ascending[place] == numbers)
