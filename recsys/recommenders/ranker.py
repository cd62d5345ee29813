"""Ranker: several sources propose notes, and gradient boosting orders them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, integer_seed, pair_words, uniforms
from recsys.core.threads import single_threaded_blas, single_threaded_openmp
from recsys.logs.log import InteractionLog
from recsys.recommenders.als import ALS
from recsys.recommenders.base import BLOCK, Model, ModelNumber, Recommender, Scores, Users
from recsys.recommenders.circumstances import circumstances, served
from recsys.recommenders.evidence import Evidence, Finder, Pairs
from recsys.recommenders.item_knn import ItemKNN
from recsys.recommenders.most_popular import MostPopular
from recsys.recommenders.trending import Trending

_FEWEST = 20
"""Examples of either outcome below which nothing is learned from them."""
_HELD_OUT = 0.2
"""Share of the pairs that are labelled in a log without times."""
_DAY = 86_400_000


class Ranker(Recommender):
    """Two stages: sources propose, then boosted trees predict what will be clicked.

    Stage 1: the best `candidates` unseen notes each by als, by item neighbours, by trend, and of
    creators whose notes the reader clicked. Stage 2: log odds of a click by
    `HistGradientBoostingClassifier`, from scores and ranks of the sources, a note's age,
    popularity, trend and clicks per look, how much the reader clicks, and the share of the reader's
    clicks on the same creator and on each attribute of the note. Friedman 2001, "Greedy function
    approximation: a gradient boosting machine"; Covington, Adams & Sargin 2016, "Deep neural
    networks for YouTube recommendations", for the stages. Use it where impressions are logged and
    accuracy is worth the work; it takes several fits.

    The trees learn from the last `label_days` of the log, with features of what was known before,
    about notes that were there before. Examples are what was shown then to readers with a history,
    clicked or not, with the circumstances that a click owes something to: the slot, what the reader
    saw earlier that day, how much else the reader clicked (as Zhao et al. 2019, "Recommending what
    video to watch next", learn position beside the ranking); notes are ranked as if these were the
    same for all. In a log without impressions examples are the clicks, and `negatives` times as
    many candidates that were not clicked, drawn by key. Where the log is too small for that,
    candidates are ordered by Σ 1 / (60 + rank) over sources (Cormack, Clarke & Büttcher 2009,
    "Reciprocal rank fusion"). Trees are grown by scikit-learn on one thread.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> Ranker(factors=2).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    deterministic: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = True
    needs_impressions: ClassVar[bool] = True

    factors: int = Field(default=32, ge=1, le=1024)
    """Length of the vectors of als."""
    neighbours: int = Field(default=100, ge=1)
    """How many similar items are kept for each item."""
    half_life_days: float = Field(default=2.0, gt=0)
    """Time in which a click loses half of its weight in trends, and a note half of its freshness
    where creators are followed."""
    candidates: int = Field(default=100, ge=1)
    """How many notes each source proposes."""
    label_days: float = Field(default=1.0, gt=0)
    """The last so many days are what the trees learn to predict."""
    iterations: int = Field(default=60, ge=1)
    """Trees."""
    learning_rate: float = Field(default=0.1, gt=0)
    """Share of each tree that counts."""
    leaves: int = Field(default=7, ge=2)
    """Most leaves of a tree."""
    leaf_examples: int = Field(default=300, ge=1)
    """Fewest examples in a leaf; a hundredth of them, or 20, where that is less."""
    regularization: float = Field(default=1.0, ge=0)
    """L2 penalty on the values of leaves."""
    negatives: int = Field(default=10, ge=1)
    """In a log without impressions: examples without a click for each with one."""
    examples: int = Field(default=200_000, ge=100)
    """Most examples; of more, so many are drawn by key."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "RankerModel":
        """Fits the sources twice, before the labelled days and to the end; then the trees.

        Args:
            log: the training log.
            seed: of als, of the trees, and of the examples that are drawn.
            previous: a `RankerModel`, from whose als the last fit goes on.
        """
        weight = log.dense["weight"].to_numpy()
        if not (weight > 0).any():
            raise LogError("the training log holds no positive event: ranker has nothing to learn")
        before = previous.evidence.als if isinstance(previous, RankerModel) else None
        trees = self._trees(log, weight > 0, seed)
        return RankerModel(log, self._evidence(log, seed, before), self.candidates, trees)

    def _evidence(
        self, log: InteractionLog, seed: int, previous: Model | None = None, now: float = np.nan
    ) -> Evidence:
        if np.isnan(now) and log.has_times:
            now = _last_like(log)
        return Evidence(
            log,
            ALS(factors=self.factors).fit(log, seed, previous),
            ItemKNN(neighbours=self.neighbours).fit(log),
            Trending(half_life_days=self.half_life_days).fit(log),
            MostPopular().fit(log),
            now,
            self.half_life_days,
        )

    def _trees(self, log: InteractionLog, liked: NDArray[np.bool_], seed: int) -> "Trees | None":
        """The classifier; None where there are too few examples of either outcome."""
        late, now = self._labelled(log, liked, seed)
        if not (liked & ~late).any() or not (liked & late).any():
            return None
        evidence = self._evidence(log.only(~late), seed, now=now)
        labelled = log.only(late & self._known_by(evidence, log.dense["item"].to_numpy()))
        X, y, fixed = self._examples(evidence, labelled, seed)
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
            return Trees(columns, fixed, trees.fit(X[:, columns], y))

    def _known_by(self, evidence: Evidence, items: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Which items there were at the moment of the evidence, as far as that is known."""
        age = evidence.age[items]
        return np.asarray(np.isnan(age) | (age >= 0))

    def _labelled(
        self, log: InteractionLog, liked: NDArray[np.bool_], seed: int
    ) -> tuple[NDArray[np.bool_], float]:
        """Which events are to be predicted, and the moment from which on that is."""
        if log.has_times:
            time = log.dense["timestamp"].to_physical().to_numpy()
            cut = _last_like(log) - self.label_days * _DAY
            if (liked & (time <= cut)).any():
                return time > cut, cut
        lots = _lots(log, seed, log.dense["user"].to_numpy(), log.dense["item"].to_numpy(), draw=0)
        return lots < _HELD_OUT, _last_like(log) if log.has_times else np.nan

    def _examples(
        self, evidence: Evidence, labelled: InteractionLog, seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
        """Features and outcomes of pairs of readers with a history, sorted by keys.

        The last features are the circumstances, if anything was shown that was not clicked; what
        these are when feeds are made comes third.
        """
        history, n_items = evidence.log, evidence.log.n_items
        users = history.interactions.users
        shown = _pairs_of(labelled, users, history, liked=False)
        clicked = _pairs_of(labelled, users, history, liked=True)
        drawn = shown.size - clicked.size < _FEWEST  # then candidates stand for impressions
        known = labelled.only(np.isin(labelled.dense["user"].to_numpy(), users))
        found = None if drawn else circumstances(known, evidence.attributes)
        fixed = np.zeros(0) if found is None else served(found)
        finder = Finder(evidence, evidence.scorable, self.candidates)
        parts = []
        with single_threaded_blas():
            for start in range(0, users.size, BLOCK):
                block = users[start : start + BLOCK]
                padded = np.resize(block, BLOCK).astype(np.int64)
                low, high = np.searchsorted(shown, [start * n_items, (start + BLOCK) * n_items])
                row, item = np.divmod(shown[low:high], n_items)
                pairs = finder.pairs(padded, row - start, item, candidates=drawn)
                real = pairs.row < block.size
                who, what = pairs.row[real], evidence.scorable[pairs.column[real]]
                outcomes = np.isin((who + start) * n_items + what, clicked)
                lots = _lots(history, seed, block[who], what, draw=1)
                features = pairs.features[real]
                if found is not None:
                    place = np.searchsorted(
                        found.pairs, block[who].astype(np.int64) * n_items + what
                    )
                    features = np.concatenate([features, found.values[place]], axis=1)
                parts.append((features, outcomes, lots))
        X, y, lots = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        kept = np.arange(y.size)
        if drawn:
            kept = kept[y | (lots * (~y).sum() < self.negatives * y.sum())]
        if kept.size > self.examples:
            kept = np.sort(kept[np.argsort(lots[kept], kind="stable")[: self.examples]])
        return X[kept], y[kept], fixed


class Trees(NamedTuple):
    """A classifier, and what it is given."""

    columns: NDArray[np.int64]
    """The features, circumstances behind the others, that were known of any example."""
    fixed: NDArray[np.float64]
    """What the circumstances are when feeds are made."""
    classifier: Any

    def log_odds(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Float64 (n,): of a click."""
        fixed = np.broadcast_to(self.fixed, (features.shape[0], self.fixed.size))
        whole = np.concatenate([features, fixed], axis=1)
        with single_threaded_openmp():
            return np.asarray(self.classifier.decision_function(whole[:, self.columns]))


@dataclass(frozen=True)
class RankerModel(Model):
    """What is known at the end of the log, and how it is weighed.

    Attributes:
        evidence: sources and features.
        candidates: how many notes each source proposes.
        trees: the classifier; None: the sources' ranks are fused.
    """

    evidence: Evidence
    candidates: int
    trees: Trees | None

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Items with likes, and others by creators of such items; in the order of their keys."""
        return self.evidence.scorable

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`; log odds of a click, -inf for what no source proposes."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`."""
        finder = Finder(self.evidence, items, self.candidates)

        def score(users: Users) -> Scores:
            scores = np.full((users.size, items.size), -np.inf)
            pairs = finder.serving(users)
            if pairs.row.size:
                scores[pairs.row, pairs.column] = self._worth(pairs)
            return scores

        return score

    def _worth(self, pairs: Pairs) -> NDArray[np.float64]:
        if self.trees is None:
            return np.asarray(np.nan_to_num(1 / (60 + pairs.ranks)).sum(axis=1))
        return self.trees.log_odds(pairs.features)


def _last_like(log: InteractionLog) -> float:
    """Milliseconds of the last positive event."""
    liked = log.dense["weight"].to_numpy() > 0
    return float(log.dense["timestamp"].to_physical().to_numpy()[liked].max())


def _lots(
    log: InteractionLog, seed: int, users: Users, items: Users, *, draw: int
) -> NDArray[np.float64]:
    """A uniform for each pair, drawn at its keys."""
    user, item = log.users["key"].to_numpy()[users], log.items["key"].to_numpy()[items]
    return uniforms(seed, Stream.MODEL_RANDOM, *pair_words(user, item))[:, 2 + draw]


def _pairs_of(
    labelled: InteractionLog, users: NDArray[np.int32], history: InteractionLog, *, liked: bool
) -> NDArray[np.int64]:
    """Sorted numbers row·n_items + item of labelled pairs that history does not hold.

    Args:
        users: hot users of the history in the order of their keys; `row` counts them.
        liked: whether only likes are wanted.
    """
    n_items = history.n_items
    place = np.full(history.n_users, -1, dtype=np.int64)
    place[users] = np.arange(users.size)

    def numbers(log: InteractionLog, *, positive: bool) -> NDArray[np.int64]:
        row = place[log.dense["user"].to_numpy()]
        kept = row >= 0
        if positive:
            kept &= log.dense["weight"].to_numpy() > 0
        return np.asarray(row[kept] * n_items + log.dense["item"].to_numpy()[kept])

    known = numbers(history, positive=False)
    return np.asarray(np.setdiff1d(numbers(labelled, positive=liked), known))
