"""Content: a linear model of what each reader likes about notes; serves notes nobody clicked."""

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


class Content(Recommender):
    """Predicts a reader's likes from the attributes of items by ridge regression.

    w_u = (FᵀF + λI)^-1 Fᵀ x̄_u: F has a row for each item that anybody liked and a centred column of
    0 and 1 for each value of each attribute (topic, language, …, and the creator); x̄_u are the
    reader's likes, with `shrinkage` likes of the average reader of the same language, age, … added,
    as a share of their sum. An item scores F_i w_u. So it serves items that nobody has clicked yet,
    and people of whom only such attributes are known, who get the average of those like them.
    Pazzani & Billsus 2007, "Content-based recommendation systems"; Hoerl & Kennard 1970, "Ridge
    regression". Use it where items are new all the time.

    Every column of the items counts but item_id, published and key: texts, booleans, integers of
    few values as they are, other numbers by fifths.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]},
    ...     items={"item_id": [7, 8, 9, 10], "topic": ["pets", "food", "food", "pets"]})
    >>> Content().fit(log).recommend([1, 2], k=1)["item_id"].to_list()
    [10, 9]
    """

    deterministic: ClassVar[bool] = True

    regularization: float = Field(default=10.0, gt=0)
    """Ridge penalty λ."""
    shrinkage: float = Field(default=30.0, ge=0)
    """How many likes the average of similar readers counts in a reader's profile."""
    features: int = Field(default=512, ge=1, le=20_000)
    """How many values of attributes are told apart: those that most items have."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "ContentModel":
        """Solves for what each attribute is worth; see `Recommender.fit`. The seed changes nothing.

        Raises:
            LogError: nothing to learn from, or items without attributes.
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
        self._known(log)

    @staticmethod
    def _known(log: InteractionLog) -> list[Attribute]:
        """The values of each attribute that tells items apart."""
        names = attribute_names(log.items)
        known = categories(log.items, log.interactions.items, names)
        if not any(attribute.size for attribute in known):
            raise LogError(
                "content learns from attributes of items, and the log's items have "
                f"{'none that it can read: ' + ', '.join(names) if names else 'none'}; give an "
                "items frame with columns such as topic, language or format"
            )
        return known

    def _features(self, log: InteractionLog) -> csr_matrix:
        """F of all items of the log before it is centred, the most frequent columns."""
        known, hot = self._known(log), log.interactions.items
        creators = [name for name in ("creator_id",) if name in log.items.columns]
        every = one_hot([*known, *categories(log.items, hot, creators)])
        count = np.asarray(every[hot].sum(axis=0)).ravel()
        kept = np.sort(np.argsort(-count, kind="stable")[: self.features])
        return every[:, kept].tocsr()


@dataclass(frozen=True)
class ContentModel(Model):
    """What is known of items, and what likes make of it.

    Attributes:
        liked: users × items in key order.
        features: float64 CSR (n_items of the log, n_features) of 0 and 1.
        solution: float64 (n_features, n_features), (FᵀF + λI)^-1 of the centred features.
        groups: float64 CSR (n_users of the log, n_groups): which groups each belongs to.
        shrinkage: likes' worth of the groups' average in a profile.
    """

    liked: csr_matrix
    features: csr_matrix
    solution: NDArray[np.float64]
    groups: csr_matrix
    shrinkage: float
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM)

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Liked items, and all that share an attribute with one; in the order of their keys."""
        known = np.diff(self.features.indptr) > 0
        known[self.log.interactions.items] = True
        items = np.flatnonzero(known)
        keys = self.log.items["key"].to_numpy()
        return items[np.argsort(keys[items], kind="stable")].astype(np.int32)

    @lazy
    def mean(self) -> NDArray[np.float64]:
        """Float64 (n_features,): share of the liked items that have each feature."""
        hot = self.log.interactions.items
        return np.asarray(self.features[hot].sum(axis=0)).ravel() / hot.size

    @lazy
    def counts(self) -> csr_matrix:
        """Float64 CSR (n_hot_users + 1, n_features): likes by feature; the last row is empty."""
        counts = self.liked @ self.features[self.log.interactions.items]
        return vstack([counts, csr_matrix((1, counts.shape[1]))], format="csr")

    @lazy
    def averages(self) -> NDArray[np.float64]:
        """Float64 (n_groups + 1, n_features): a group's likes by feature per like; last: all's."""
        likes = np.diff(self.liked.indptr).astype(np.float64)
        of_hot = self.groups[self.log.interactions.users].T
        everybody = np.asarray(self.counts.sum(axis=0)) / likes.sum()
        total = np.maximum(of_hot @ likes, 1)[:, None]
        return np.concatenate([(of_hot @ self.counts[:-1]).toarray() / total, everybody])

    def profiles(self, users: Users) -> NDArray[np.float64]:
        """Float64 (n_users, n_features): each reader's likes by feature, as a share of all.

        Args:
            users: dense ids of hot or warm users.
        """
        groups, rows = self.groups[users], self.hot_row[users]
        belongs = np.diff(groups.indptr)
        alike = groups @ self.averages[:-1] / np.maximum(belongs, 1)[:, None]
        alike[belongs == 0] = self.averages[-1]
        likes = np.append(np.diff(self.liked.indptr), 0)[rows]
        weight = np.where(likes > 0, self.shrinkage, 1.0)  # without likes, the others' is all
        own = self.counts[rows].toarray()
        return np.asarray((own + weight[:, None] * alike) / (likes + weight)[:, None])

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        return self.scorer(items)(users)

    def scorer(self, items: NDArray[np.int32]) -> Callable[[Users], Scores]:
        """See `Model.scorer`; the items' features are taken once."""
        theirs = self.features[items]

        def score(users: Users) -> Scores:
            weights = (self.profiles(users) - self.mean) @ self.solution
            return np.asarray((theirs @ weights.T).T)

        return score


def ridge(features: csr_matrix, regularization: float) -> NDArray[np.float64]:
    """(FᵀF + λI)^-1 of the centred features.

    Args:
        features: float64 CSR (n_items, n_features) of 0 and 1; its sums are exact.
        regularization: λ > 0.

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
    known = categories(log.users, log.interactions.users, attribute_names(log.users))
    return one_hot(known) if known else csr_matrix((log.n_users, 0))
