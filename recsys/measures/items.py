"""What is known of a log's items beside their attributes, as measures take it."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog


def creators_of(items: pl.DataFrame) -> NDArray[np.int32] | None:
    """A number for the creator of each item; one who is not known is nobody else's.

    Args:
        items: creator_id, if anything is known.

    Returns:
        int32 (n_items,) from 0; None without any creator.

    >>> creators_of(pl.DataFrame({"creator_id": ["ann", None, "bob", "ann", None]})).tolist()
    [0, 3, 1, 0, 6]
    """
    if "creator_id" not in items.columns or items["creator_id"].null_count() == items.height:
        return None
    dense = items["creator_id"].rank("dense").cast(pl.Int64)
    own = np.arange(items.height) + int(dense.max())  # type: ignore[arg-type]
    known = dense.is_not_null().to_numpy()
    return np.where(known, dense.fill_null(0).to_numpy() - 1, own).astype(np.int32)


def sizes_of(log: InteractionLog, creators: NDArray[np.int32]) -> NDArray[np.float64]:
    """How large creators are in a log, which knows no followers: positive events on their items.

    Args:
        log: events with a weight count.
        creators: int32 (n_items,), numbers of the items' creators, from `creators_of`.

    Returns:
        float64 (creators,), by number; NaN for newcomers and for who is not known.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 2], "item_id": [7, 7, 8]},
    ...     items={"item_id": [7, 8, 9], "creator_id": ["ann", "bob", None]})
    >>> sizes_of(log, creators_of(log.items)).tolist()
    [2.0, 1.0, nan, nan, nan]
    """
    liked = log.dense["weight"].to_numpy() > 0
    whose = creators[log.dense["item"].to_numpy()[liked]]
    sizes = np.bincount(whose, minlength=int(creators.max(initial=-1)) + 1).astype(np.float64)
    known = np.zeros(sizes.size, dtype=np.bool_)
    known[creators[log.items["creator_id"].is_not_null().to_numpy()]] = True
    sizes[~known] = np.nan
    if log.from_newcomers is not None:
        sizes[creators[log.from_newcomers]] = np.nan
    return sizes


def vectors_of(items: pl.DataFrame) -> NDArray[np.float32] | None:
    """Places of the items in a space; those of items without any are 0 and count for nothing.

    Args:
        items: embedding, lists of numbers, if there are any.

    Returns:
        float32 (n_items, d); None without embeddings.

    Raises:
        LogError: what holds something else, or lists of different lengths.

    >>> vectors_of(pl.DataFrame({"embedding": [[1.0, 2.0], None]})).tolist()
    [[1.0, 2.0], [0.0, 0.0]]
    """
    if "embedding" not in items.columns:
        return None
    column = items["embedding"]
    if not isinstance(column.dtype, pl.List | pl.Array):
        raise LogError(f"items: embedding is {column.dtype}; give a list of numbers for each item")
    lists = column.cast(pl.List(pl.Float32))
    lengths = lists.list.len().drop_nulls().unique()
    if len(lengths) != 1 or not lengths[0]:
        raise LogError(
            f"items: embeddings have {sorted(lengths.to_list())} numbers; give each item as many"
        )
    width = int(lengths[0])
    vectors = np.zeros((items.height, width), dtype=np.float32)
    known = lists.is_not_null().to_numpy()
    vectors[known] = lists.drop_nulls().list.to_array(width).to_numpy()
    if not np.isfinite(vectors).all():
        raise LogError("items: embeddings hold null, NaN or infinite numbers; fill them in")
    return vectors


def popularity_of(log: InteractionLog) -> NDArray[np.float64]:
    """Share of a log's readers who liked each item, float64 (n_items,).

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 2], "item_id": [7, 7, 8]})
    >>> popularity_of(log).tolist()
    [1.0, 0.5]
    """
    known = log.interactions
    popularity = np.zeros(log.n_items)
    if known.users.size:
        popularity[known.items] = known.weights.getnnz(axis=0) / known.users.size
    return popularity


def liked_popularity(
    log: InteractionLog, users: NDArray[np.int64], popularity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean popularity of what each of some users liked, float64 (n,); NaN who liked nothing.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 2], "item_id": [7, 7, 8]})
    >>> liked_popularity(log, np.array([0, 1]), popularity_of(log)).tolist()
    [1.0, 0.75]
    """
    known = log.interactions
    row = np.full(log.n_users, -1)
    row[known.users] = np.arange(known.users.size)
    likes = csr_matrix(
        (np.ones(known.weights.nnz), known.weights.indices, known.weights.indptr),
        shape=known.weights.shape,
    )
    count = np.diff(likes.indptr)
    means = np.append((likes @ popularity[known.items]) / np.maximum(count, 1), np.nan)
    return np.asarray(means[row[users]])


def history_of(
    log: InteractionLog, users: NDArray[np.int64], codes: NDArray[np.int32], n_codes: int
) -> NDArray[np.float64]:
    """The mix of what each of some users liked, by an attribute of the items.

    Args:
        log: likes are its events with a weight.
        users: (n,) dense ids.
        codes: int32 (n_items,), from 0.
        n_codes: number of codes.

    Returns:
        float64 (n, n_codes); rows sum to 1, or are NaN for who liked nothing.

    >>> log = InteractionLog.from_frames({"user_id": [1, 1, 2], "item_id": [7, 8, 8]})
    >>> history_of(log, np.array([0, 1]), np.array([0, 1], dtype=np.int32), 2).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    liked = log.dense["weight"].to_numpy() > 0
    user = log.dense["user"].to_numpy()[liked].astype(np.int64)
    item = log.dense["item"].to_numpy()[liked]
    place = np.full(log.n_users, -1)
    place[users] = np.arange(users.size)
    here = place[user] >= 0
    bins = place[user[here]] * n_codes + codes[item[here]]
    counts = np.bincount(bins, minlength=users.size * n_codes).reshape(users.size, n_codes)
    total = counts.sum(axis=1, keepdims=True)
    mix = np.full(counts.shape, np.nan)
    np.divide(counts, total, out=mix, where=total > 0)
    return mix
