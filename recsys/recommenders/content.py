"""Content: a linear model of the attributes that each user likes; it serves new items too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix, hstack, vstack

from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.core.threads import single_threaded_blas
from recsys.logs.log import InteractionLog
from recsys.recommenders.attributes import attribute_names, indicators, vectors
from recsys.recommenders.base import HOT, WARM, Model, Recommender, Scores, Users, binary
from recsys.recommenders.fits import check_array, check_matrix, check_number


class Content(Recommender):
    """Predicts a user's likes from the attributes of items by ridge regression.

    w_u = (FᵀF + λI)^-1 Fᵀ x̄_u, and an item scores F_i w_u. F has a row for each item with a like
    and a centred column of 0 and 1 for each value of each attribute (topic, language, …, and the
    creator). x̄_u holds the likes of the user, to which `shrinkage` likes of the average user with
    the same language, age, … are added, as shares that sum to 1. The same regression predicts an
    item's popularity, as log(1 + likes), which is added with the weight `popularity`.

    So the model serves items without any click. It also serves users without likes if an attribute
    of theirs is known: they get the average of the users who share it. Pazzani & Billsus 2007,
    "Content-based recommendation systems"; Hoerl & Kennard 1970, "Ridge regression". Use it where
    new items come in all the time.

    Every column of the items counts except item_id, published and key. Each value of a text, a
    boolean or an integer column with few values is a feature, and so is each tag in a list of
    texts; other numbers are cut into fifths. A vector, such as the embedding of a text by any
    language model, is a feature in each of its numbers, and weighs as much as one attribute.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]},
    ...     items={"item_id": [7, 8, 9, 10], "topic": ["pets", "food", "food", "pets"]})
    >>> Content().fit(log).recommend([1, 2], k=1)["item_id"].to_list()
    [10, 9]
    """

    deterministic: ClassVar[bool] = True

    regularization: float = Field(default=10.0, gt=0)
    """Ridge penalty λ."""
    shrinkage: float = Field(default=30.0, ge=0)
    """Number of likes of the average similar user that are added to a user's own likes."""
    popularity: float = Field(default=0.5, ge=0)
    """Weight of the popularity that attributes predict, against the user's own scores, both in
    standard deviations over the items with likes; 0 leaves it out."""
    features: int = Field(default=512, ge=1, le=20_000)
    """Largest number of features besides vectors; the values that most items have are kept."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "ContentModel":
        """Prepares the regression; see `Recommender.fit`. The seed has no effect.

        Raises:
            LogError: the log holds no positive event, or its items have no attributes.
        """
        liked, hot = binary(log), log.interactions.items
        features, of_text = self._features(log)
        return ContentModel(
            log,
            liked,
            features,
            of_text,
            ridge(features[hot], of_text[hot], self.regularization),
            indicators(log.users, log.interactions.users, attribute_names(log.users)),
            self.shrinkage,
            self.popularity,
            self.regularization,
        )

    def check(self, log: InteractionLog) -> None:
        """See `Recommender.check`."""
        self._attributes(log)

    @staticmethod
    def _attributes(log: InteractionLog) -> tuple[csr_matrix, NDArray[np.float32]]:
        """The attributes of the items, creators aside; an error if there are none."""
        names, hot = attribute_names(log.items), log.interactions.items
        found = indicators(log.items, hot, names), vectors(log.items, hot, names)
        if not any(part.shape[1] for part in found):
            raise LogError(
                "content learns from attributes of items, and the log's items have "
                f"{'none that it can read: ' + ', '.join(names) if names else 'none'}; give an "
                "items frame with columns such as topic, language or format"
            )
        return found

    def _features(self, log: InteractionLog) -> tuple[csr_matrix, NDArray[np.float32]]:
        """F before it is centred, for all items of the log: the most frequent values; vectors."""
        (attributes, of_text), hot = self._attributes(log), log.interactions.items
        creators = [name for name in ("creator_id",) if name in log.items.columns]
        features = hstack([attributes, indicators(log.items, hot, creators)], format="csr")
        count = np.asarray(features[hot].sum(axis=0)).ravel()
        most_frequent = np.sort(np.argsort(-count, kind="stable")[: self.features])
        return features[:, most_frequent].tocsr(), of_text


@dataclass(frozen=True)
class ContentModel(Model):
    """The model that content learns.

    Attributes:
        liked: float64 CSR (n_hot_users, n_hot_items) of likes, in the order of keys.
        features: float64 CSR (n_items, n_values) of 0 and 1.
        vectors: float32 (n_items, n_numbers), features that are numbers. The n_features columns
            of F are those of `features`, then those of `vectors`.
        solution: (FᵀF + λI)^-1 of the centred features, float64 (n_features, n_features).
        groups: float64 CSR (n_users, n_groups) of 0 and 1, the groups of each user; a group is a
            value of an attribute of users.
        shrinkage, popularity, regularization: see `Content`.
    """

    liked: csr_matrix
    features: csr_matrix
    vectors: NDArray[np.float32]
    solution: NDArray[np.float64]
    groups: csr_matrix
    shrinkage: float
    popularity: float
    regularization: float
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM)

    def check(self) -> None:
        """See `Model.check`."""
        log, hot = self.log, self.log.interactions
        check_matrix("liked", self.liked, (hot.users.size, hot.items.size))
        check_matrix("features", self.features, (log.n_items, None))
        check_array("vectors", self.vectors, (log.n_items, None), np.float32)
        n_features = self.features.shape[1] + self.vectors.shape[1]
        check_array("solution", self.solution, (n_features, n_features), np.float64)
        check_matrix("groups", self.groups, (log.n_users, None))
        if self.groups.shape[1] > self.groups.nnz or self.groups.shape[1] * n_features > 10**9:
            raise ValueError(f"groups has {self.groups.shape[1]:,} columns")
        for name in ("shrinkage", "popularity", "regularization"):
            check_number(name, getattr(self, name), float, 0)

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Int32, dense ids of the items with a like or a feature, in the order of their keys."""
        can_score = (np.diff(self.features.indptr) > 0) | self.vectors.any(axis=1)
        can_score[self.log.interactions.items] = True
        items = np.flatnonzero(can_score)
        keys = self.log.items["key"].to_numpy()
        return items[np.argsort(keys[items], kind="stable")].astype(np.int32)

    @lazy
    def mean(self) -> NDArray[np.float64]:
        """Float64 (n_features,): mean of each feature over the items with likes."""
        hot = self.log.interactions.items
        return _totals(self.features[hot], self.vectors[hot]) / hot.size

    @lazy
    def counts(self) -> csr_matrix:
        """Float64 CSR (n_hot_users + 1, n_values): each user's likes by value of an attribute.

        The last row is empty. A user without likes has row -1 and so gets it.
        """
        return _with_empty_row(self.liked @ self.features[self.log.interactions.items])

    @lazy
    def averages(self) -> NDArray[np.float64]:
        """Float64 (n_groups + 1, n_features): each group's likes by feature, per like of the group.

        The last row is that of all users.
        """
        likes = np.diff(self.liked.indptr).astype(np.float64)
        of_hot = self.groups[self.log.interactions.users].T
        total = np.maximum(of_hot @ likes, 1)[:, None]
        by_value = (of_hot @ self.counts[:-1]).toarray(), np.asarray(self.counts.sum(axis=0))
        by_number = (
            (of_hot @ self.liked) @ self._hot_vectors,
            self._likes_of_items @ self._hot_vectors,
        )
        sums = np.concatenate([np.concatenate(by_value), np.vstack(by_number)], axis=1)
        return np.asarray(sums / np.append(total, [[likes.sum()]], axis=0))

    @lazy
    def popular(self) -> NDArray[np.float64]:
        """Float64 (n_features,): the weights that predict log(1 + likes) of an item.

        They are scaled so that the predictions for the items with likes have standard deviation 1;
        zeros if the features predict nothing.
        """
        features = self.features[self.log.interactions.items]
        likes = np.log1p(self._likes_of_items)
        likes -= likes.mean()
        by_feature = np.concatenate([features.T @ likes, self._hot_vectors.T @ likes])
        with single_threaded_blas():
            weights = self.solution @ by_feature
            values = features @ weights[: features.shape[1]]
            values += self._hot_vectors @ weights[features.shape[1] :]
        spread = float(values.std())
        return np.asarray(weights / spread if spread > 0 else 0 * weights)

    @lazy
    def _likes_of_items(self) -> NDArray[np.float64]:
        """Float64 (n_hot_items,): number of users who like each item."""
        return np.asarray(self.liked.sum(axis=0)).ravel()

    @lazy
    def _hot_vectors(self) -> NDArray[np.float64]:
        """Float64 (n_hot_items, n_numbers): the vectors of the items with likes."""
        return self.vectors[self.log.interactions.items].astype(np.float64)

    @lazy
    def _liked_or_none(self) -> csr_matrix:
        """`liked` with an empty row at the end, for users without likes, who have row -1."""
        return _with_empty_row(self.liked)

    def profiles(self, users: Users) -> NDArray[np.float64]:
        """Fᵀ x̄_u before F is centred, float64 (n_users, n_features): likes by feature, per like.

        Args:
            users: int, dense ids of hot or warm users.
        """
        groups, rows = self.groups[users], self.hot_row[users]
        n_groups = np.diff(groups.indptr)
        average = groups @ self.averages[:-1] / np.maximum(n_groups, 1)[:, None]
        average[n_groups == 0] = self.averages[-1]
        likes = np.append(np.diff(self.liked.indptr), 0)[rows]
        weight = np.where(likes > 0, self.shrinkage, 1.0)  # no likes: the average alone, any weight
        of_vectors = self._liked_or_none[rows] @ self._hot_vectors
        own = np.concatenate([self.counts[rows].toarray(), of_vectors], axis=1)
        return np.asarray((own + weight[:, None] * average) / (likes + weight)[:, None])

    def weights(self, users: Users) -> NDArray[np.float64]:
        """Float64 (n_users, n_features): w_u, with that of popularity added.

        Args:
            users: int, dense ids of hot or warm users.
        """
        profiles = self.profiles(users) - self.mean
        weights = profiles @ self.solution
        # The variance of F w over the items is w·(FᵀF)w / n, and (FᵀF)w is profiles - λw.
        squares = (profiles * weights - self.regularization * weights**2).sum(axis=1)
        spread = np.sqrt(np.maximum(squares, 0) / self.log.interactions.items.size)
        return np.asarray(weights + self.popularity * spread[:, None] * self.popular)

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; the features of the items are selected once."""
        features, n_values = self.features[items], self.features.shape[1]
        if self.vectors.shape[1] == 0:
            return lambda users: np.asarray((features @ self.weights(users).T).T)
        columns = self.vectors[items].T.astype(np.float64, order="C")

        def score(users: Users) -> Scores:
            weights = self.weights(users)
            of_values = (features @ weights[:, :n_values].T).T
            # As float32, since the last bits of a product can differ in another row of a block.
            return np.asarray(of_values + weights[:, n_values:] @ columns, dtype=np.float32)

        return score


def ridge(
    features: csr_matrix, vectors: NDArray[np.float32], regularization: float
) -> NDArray[np.float64]:
    """(FᵀF + λI)^-1 of centred features F.

    Args:
        features: columns of F before it is centred, float64 CSR (n_items, n_values) of 0 and 1,
            whose sums are exact.
        vectors: its other columns, float32 (n_items, n_numbers).
        regularization: λ > 0, such as 10.0.

    Returns:
        Float64 (n_features, n_features).

    >>> no_vectors = np.zeros((2, 0), np.float32)
    >>> ridge(csr_matrix([[1.0, 0.0], [0.0, 1.0]]), no_vectors, 1.0).round(3).tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    from scipy.linalg import cho_factor, cho_solve

    total, numbers = _totals(features, vectors), vectors.astype(np.float64)
    with single_threaded_blas():
        crossed = features.T @ numbers
        products = np.block(
            [[(features.T @ features).toarray(), crossed], [crossed.T, numbers.T @ numbers]]
        )
        gram = products - np.outer(total, total) / features.shape[0]
        gram[np.diag_indices_from(gram)] += regularization
        return np.asarray(cho_solve(cho_factor(gram), np.eye(total.size)))


def _totals(features: csr_matrix, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Float64 (n_features,): sum of each column."""
    sums = np.asarray(features.sum(axis=0)).ravel()
    return np.concatenate([sums, vectors.sum(axis=0, dtype=np.float64)])


def _with_empty_row(matrix: csr_matrix) -> csr_matrix:
    return vstack([matrix, csr_matrix((1, matrix.shape[1]))], format="csr")
