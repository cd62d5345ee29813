"""Content: a linear model of the attributes that each user likes; it serves new items too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix, vstack

from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.core.threads import single_threaded_blas
from recsys.logs.log import InteractionLog
from recsys.recommenders.attributes import Attribute, attribute_names, categories, one_hot
from recsys.recommenders.base import HOT, WARM, Model, Recommender, Scores, Users, binary
from recsys.recommenders.fits import check_array, check_matrix, check_number


class Content(Recommender):
    """Predicts a user's likes from the attributes of items by ridge regression.

    w_u = (FᵀF + λI)^-1 Fᵀ x̄_u, and an item scores F_i w_u. F has a row for each item with a like
    and a centred column of 0 and 1 for each value of each attribute (topic, language, …, and the
    creator). x̄_u holds the likes of the user, to which `shrinkage` likes of the average user with
    the same language, age, … are added, as shares that sum to 1.

    So the model serves items without any click. It also serves users without likes if an attribute
    of theirs is known: they get the average of the users who share it. Pazzani & Billsus 2007,
    "Content-based recommendation systems"; Hoerl & Kennard 1970, "Ridge regression". Use it where
    new items come in all the time.

    Every column of the items counts except item_id, published and key. Each value of a text, a
    boolean or an integer column with few values is a feature; other numbers are cut into fifths.

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
    features: int = Field(default=512, ge=1, le=20_000)
    """Largest number of features; the values that most items have are kept."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "ContentModel":
        """Prepares the regression; see `Recommender.fit`. The seed has no effect.

        Raises:
            LogError: the log holds no positive event, or its items have no attributes.
        """
        liked = binary(log)
        features = self._features(log)
        return ContentModel(
            log,
            liked,
            features,
            ridge(features[log.interactions.items], self.regularization),
            _groups(log),
            self.shrinkage,
        )

    def check(self, log: InteractionLog) -> None:
        """See `Recommender.check`."""
        self._attributes(log)

    @staticmethod
    def _attributes(log: InteractionLog) -> list[Attribute]:
        """The attributes of the items, creators aside; an error if there are none."""
        names = attribute_names(log.items)
        attributes = categories(log.items, log.interactions.items, names)
        if not any(attribute.size for attribute in attributes):
            raise LogError(
                "content learns from attributes of items, and the log's items have "
                f"{'none that it can read: ' + ', '.join(names) if names else 'none'}; give an "
                "items frame with columns such as topic, language or format"
            )
        return attributes

    def _features(self, log: InteractionLog) -> csr_matrix:
        """F before it is centred, for all items of the log and the most frequent features."""
        attributes, hot = self._attributes(log), log.interactions.items
        creators = [name for name in ("creator_id",) if name in log.items.columns]
        features = one_hot([*attributes, *categories(log.items, hot, creators)])
        count = np.asarray(features[hot].sum(axis=0)).ravel()
        most_frequent = np.sort(np.argsort(-count, kind="stable")[: self.features])
        return features[:, most_frequent].tocsr()


@dataclass(frozen=True)
class ContentModel(Model):
    """The model that content learns.

    Attributes:
        liked: float64 CSR (n_hot_users, n_hot_items) of likes, in the order of keys.
        features: float64 CSR (n_items, n_features) of 0 and 1.
        solution: (FᵀF + λI)^-1 of the centred features, float64 (n_features, n_features).
        groups: float64 CSR (n_users, n_groups) of 0 and 1, the groups of each user; a group is a
            value of an attribute of users.
        shrinkage: see `Content.shrinkage`.
    """

    liked: csr_matrix
    features: csr_matrix
    solution: NDArray[np.float64]
    groups: csr_matrix
    shrinkage: float
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM)

    def check(self) -> None:
        """See `Model.check`."""
        log, hot = self.log, self.log.interactions
        check_matrix("liked", self.liked, (hot.users.size, hot.items.size))
        check_matrix("features", self.features, (log.n_items, None))
        n_features = self.features.shape[1]
        check_array("solution", self.solution, (n_features, n_features), np.float64)
        check_matrix("groups", self.groups, (log.n_users, None))
        if self.groups.shape[1] > self.groups.nnz or self.groups.shape[1] * n_features > 10**9:
            raise ValueError(f"groups has {self.groups.shape[1]:,} columns")
        check_number("shrinkage", self.shrinkage, float, 0)

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Int32, dense ids of the items with a like or a feature, in the order of their keys."""
        can_score = np.diff(self.features.indptr) > 0
        can_score[self.log.interactions.items] = True
        items = np.flatnonzero(can_score)
        keys = self.log.items["key"].to_numpy()
        return items[np.argsort(keys[items], kind="stable")].astype(np.int32)

    @lazy
    def mean(self) -> NDArray[np.float64]:
        """Float64 (n_features,): share of the items with likes that have each feature."""
        hot = self.log.interactions.items
        return np.asarray(self.features[hot].sum(axis=0)).ravel() / hot.size

    @lazy
    def counts(self) -> csr_matrix:
        """Float64 CSR (n_hot_users + 1, n_features): each user's likes by feature.

        The last row is empty. A user without likes has row -1 and so gets it.
        """
        counts = self.liked @ self.features[self.log.interactions.items]
        return vstack([counts, csr_matrix((1, counts.shape[1]))], format="csr")

    @lazy
    def averages(self) -> NDArray[np.float64]:
        """Float64 (n_groups + 1, n_features): each group's likes by feature, per like of the group.

        The last row is that of all users.
        """
        likes = np.diff(self.liked.indptr).astype(np.float64)
        of_hot = self.groups[self.log.interactions.users].T
        everybody = np.asarray(self.counts.sum(axis=0)) / likes.sum()
        total = np.maximum(of_hot @ likes, 1)[:, None]
        return np.concatenate([(of_hot @ self.counts[:-1]).toarray() / total, everybody])

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
        own = self.counts[rows].toarray()
        return np.asarray((own + weight[:, None] * average) / (likes + weight)[:, None])

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; the features of the items are selected once."""
        item_features = self.features[items]

        def score(users: Users) -> Scores:
            weights = (self.profiles(users) - self.mean) @ self.solution
            return np.asarray((item_features @ weights.T).T)

        return score


def ridge(features: csr_matrix, regularization: float) -> NDArray[np.float64]:
    """(FᵀF + λI)^-1 of centred features F.

    Args:
        features: F before it is centred, float64 CSR (n_items, n_features) of 0 and 1, whose sums
            are exact.
        regularization: λ > 0, such as 10.0.

    Returns:
        Float64 (n_features, n_features).

    >>> ridge(csr_matrix([[1.0, 0.0], [0.0, 1.0]]), 1.0).round(3).tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    from scipy.linalg import cho_factor, cho_solve

    count = np.asarray(features.sum(axis=0)).ravel()
    gram = (features.T @ features).toarray() - np.outer(count, count) / features.shape[0]
    gram[np.diag_indices_from(gram)] += regularization
    with single_threaded_blas():
        return np.asarray(cho_solve(cho_factor(gram), np.eye(count.size)))


def _groups(log: InteractionLog) -> csr_matrix:
    """Float64 CSR (n_users, n_groups): a column for each value of each attribute of users."""
    attributes = categories(log.users, log.interactions.users, attribute_names(log.users))
    return one_hot(attributes) if attributes else csr_matrix((log.n_users, 0))
