"""EASE: a linear model of items from items, solved in closed form."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix

from recsys.errors import LogError
from recsys.log import InteractionLog
from recsys.recommenders.base import Model, Recommender, Scores, Users
from recsys.recommenders.item_knn import binary
from recsys.threads import single_threaded_blas

__all__ = ["EASE", "item_weights"]

_MAX_ITEMS = 20_000


class EASE(Recommender):
    """Predicts each item of a user from the user's other items by ridge regression.

    B = I - P diag(P)^-1 with P = (XᵀX + λI)^-1: the least-squares weights with a zero diagonal.
    Steck 2019, "Embarrassingly shallow autoencoders for sparse data". Use it where items are a few
    thousand: accurate, without a training seed, but the cost grows with the cube of the items.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 8, 7]})
    >>> EASE(regularization=1.0).fit(log).recommend([3], k=1)["item_id"].to_list()
    [8]
    """

    regularization: float = Field(default=100.0, gt=0)
    """Ridge penalty λ."""

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> "EASEModel":
        """Solves for the item weights; see `Recommender.fit`. The seed changes nothing.

        Raises:
            LogError: nothing to learn from, or more items than fit in memory.
        """
        liked = binary(log)
        if liked.shape[1] > _MAX_ITEMS:
            need = 2 * 8 * liked.shape[1] ** 2 / 2**30
            raise LogError(
                f"ease holds a dense matrix of items: {liked.shape[1]:,} take {need:.0f} GiB; "
                f"raise log.min_item_events to get below {_MAX_ITEMS:,}, or use als"
            )
        return EASEModel(log, liked, item_weights((liked.T @ liked).toarray(), self.regularization))


@dataclass(frozen=True)
class EASEModel(Model):
    """Likes (users × items) and weights (items × items), both in key order."""

    liked: csr_matrix
    weights: NDArray[np.float64]

    def score(self, users: Users, items: NDArray[np.int32]) -> Scores:
        """See `Model.score`."""
        rows = self.liked[self.hot_row[users]]
        return np.asarray((rows @ self.weights)[:, self.hot_column[items]])


def item_weights(gram: NDArray[np.float64], regularization: float) -> NDArray[np.float64]:
    """B of EASE from the Gram matrix XᵀX.

    Args:
        gram: float64 (n_items, n_items), symmetric; overwritten.
        regularization: λ > 0.

    Returns:
        float64 (n_items, n_items); column j predicts item j, the diagonal is 0.

    >>> item_weights(np.array([[2.0, 1.0], [1.0, 2.0]]), 1.0).round(6).tolist()
    [[0.0, 0.333333], [0.333333, 0.0]]
    """
    from scipy.linalg.lapack import dpotrf, dpotri

    gram[np.diag_indices_from(gram)] += regularization
    with single_threaded_blas():
        # The transpose of a C array is a Fortran one: LAPACK works in place, lower is upper.
        factor, failed = dpotrf(gram.T, lower=True, overwrite_a=True)
        inverse, failed_too = dpotri(factor, lower=True, overwrite_c=True)
    if failed or failed_too:
        raise LogError("ease: the item matrix cannot be inverted; raise regularization")
    upper = inverse.T
    diagonal = np.diag(upper).copy()
    weights = np.triu(upper, 1)
    weights += weights.T
    weights /= -diagonal
    return np.asarray(weights)
