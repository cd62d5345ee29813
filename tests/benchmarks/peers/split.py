"""A split of a log that every recommender gets, and the quality that all are judged by."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

K = 20


class Split(NamedTuple):
    """Liked pairs to learn from and to find again, by dense ids.

    Attributes:
        train: float32 CSR (n_users, n_items), 1 where a user likes an item.
        test: the same of the pairs that were left out.
        users: int, the users who have pairs in both.
    """

    train: csr_matrix
    test: csr_matrix
    users: NDArray[np.int64]


def read_split(path: str | Path) -> Split:
    """A split that `write_split` wrote."""
    with np.load(path, allow_pickle=False) as file:
        shape = tuple(file["shape"])
        train, test = (
            _matrix(file[f"{name}_user"], file[f"{name}_item"], shape) for name in ("train", "test")
        )
    both = (train.getnnz(axis=1) > 0) & (test.getnnz(axis=1) > 0)
    return Split(train, test, np.flatnonzero(both))


def write_split(
    path: Path,
    train: tuple[NDArray[np.int64], NDArray[np.int64]],
    test: tuple[NDArray[np.int64], NDArray[np.int64]],
    shape: tuple[int, int],
) -> None:
    """Writes the users and items of the pairs of a split."""
    named = dict(
        zip(("train_user", "train_item", "test_user", "test_item"), (*train, *test), strict=True)
    )
    np.savez(path, shape=np.array(shape), **named)


def ndcg(split: Split, lists: NDArray[np.int64]) -> NDArray[np.float64]:
    """NDCG@20 of each user of a split, float64 (n_users,).

    Args:
        split: the split.
        lists: int (n_users, 20), the items for each of `split.users`; below 0 for an empty slot.
    """
    gain = 1 / np.log2(np.arange(2, K + 2))
    rows = np.repeat(split.users, lists.shape[1])
    items = np.maximum(lists, 0).ravel()
    found = np.asarray(split.test[rows, items]).reshape(lists.shape) * (lists >= 0)
    liked = np.minimum(split.test.getnnz(axis=1)[split.users], K)
    reached = (found * gain[: lists.shape[1]]).sum(axis=1)
    return np.asarray(reached / np.cumsum(gain)[liked - 1])


def inner(split: Split) -> Split:
    """A split of the pairs to learn from, of which a fifth of each user's is left out by lot."""
    pairs = split.train.tocoo()
    lot = np.random.default_rng(0).random(pairs.nnz)
    order = np.lexsort((lot, pairs.row))
    number = np.bincount(pairs.row, minlength=pairs.shape[0])
    place = np.arange(pairs.nnz) - np.repeat(np.cumsum(number) - number, number)
    late = np.zeros(pairs.nnz, dtype=np.bool_)
    late[order] = place < number[pairs.row[order]] // 5
    train, test = (_matrix(pairs.row[rows], pairs.col[rows], pairs.shape) for rows in (~late, late))
    both = (train.getnnz(axis=1) > 0) & (test.getnnz(axis=1) > 0)
    return Split(train, test, np.flatnonzero(both))


def _matrix(user: NDArray[np.int64], item: NDArray[np.int64], shape: tuple[int, ...]) -> csr_matrix:
    matrix = csr_matrix((np.ones(user.size, dtype=np.float32), (user, item)), shape=shape)
    matrix.data[:] = 1
    return matrix
