"""What measures need to know of a log's items: creators, embeddings, popularity, likes."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.errors import LogError
from recsys.logs.foreign import explained
from recsys.logs.log import InteractionLog


def creators_of(items: pl.DataFrame) -> NDArray[np.int32] | None:
    """A number for the creator of each item.

    An item whose creator is unknown belongs to a creator of its own.

    Args:
        items: a log's items. Their column creator_id is optional, and may hold nulls.

    Returns:
        int32 (n_items,), numbers from 0; None if no item has a creator.

    >>> creators_of(pl.DataFrame({"creator_id": ["ann", None, "bob", "ann", None]})).tolist()
    [0, 3, 1, 0, 6]
    """
    if "creator_id" not in items.columns or items["creator_id"].null_count() == items.height:
        return None
    dense = items["creator_id"].rank("dense").cast(pl.Int64)
    own = np.arange(items.height) + int(dense.max())  # type: ignore[arg-type]
    has_creator = dense.is_not_null().to_numpy()
    return np.where(has_creator, dense.fill_null(0).to_numpy() - 1, own).astype(np.int32)


def sizes_of(log: InteractionLog, creators: NDArray[np.int32]) -> NDArray[np.float64]:
    """How large each creator is: the number of positive events on the creator's items.

    A log does not say how many followers a creator has; this number stands in for it.

    Args:
        log: the log, of which the events with a positive weight are counted.
        creators: int32 (n_items,), number of each item's creator, from `creators_of`.

    Returns:
        float64 (creators,), by number; NaN for newcomers and for creators that the log does not
        name.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 2], "item_id": [7, 7, 8]},
    ...     items={"item_id": [7, 8, 9], "creator_id": ["ann", "bob", None]})
    >>> sizes_of(log, creators_of(log.items)).tolist()
    [2.0, 1.0, nan, nan, nan]
    """
    liked = log.dense["weight"].to_numpy() > 0
    whose = creators[log.dense["item"].to_numpy()[liked]]
    sizes = np.bincount(whose, minlength=int(creators.max(initial=-1)) + 1).astype(np.float64)
    named = np.zeros(sizes.size, dtype=np.bool_)
    named[creators[log.items["creator_id"].is_not_null().to_numpy()]] = True
    sizes[~named] = np.nan
    if log.from_newcomers is not None:
        sizes[creators[log.from_newcomers]] = np.nan
    return sizes


def vectors_of(items: pl.DataFrame) -> NDArray[np.float32] | None:
    """The embedding of each item, as one array.

    An item without an embedding gets zeros, so it adds nothing to the middle of a feed.

    Args:
        items: a log's items. Their column embedding is optional: a list of numbers for each item.

    Returns:
        float32 (n_items, d); None if there is no such column.

    Raises:
        LogError: the column holds no lists, lists of different lengths, or numbers that are not
            finite.

    >>> vectors_of(pl.DataFrame({"embedding": [[1.0, 2.0], None]})).tolist()
    [[1.0, 2.0], [0.0, 0.0]]
    """
    if "embedding" not in items.columns:
        return None
    column = items["embedding"]
    if not isinstance(column.dtype, pl.List | pl.Array):
        raise LogError(f"items: embedding is {column.dtype}; give a list of numbers for each item")
    with explained("items: embedding cannot be read", "give a list of numbers for each item"):
        lists = column.cast(pl.List(pl.Float32))
    lengths = lists.list.len().drop_nulls().unique()
    if len(lengths) != 1 or not lengths[0]:
        raise LogError(
            f"items: embeddings have {sorted(lengths.to_list())} numbers; give each item as many"
        )
    width = int(lengths[0])
    vectors = np.zeros((items.height, width), dtype=np.float32)
    has_vector = lists.is_not_null().to_numpy()
    vectors[has_vector] = lists.drop_nulls().list.to_array(width).to_numpy()
    if not np.isfinite(vectors).all():
        raise LogError("items: embeddings hold null, NaN or infinite numbers; fill them in")
    return vectors


def popularity_of(log: InteractionLog) -> NDArray[np.float64]:
    """Share of a log's users who liked each item, float64 (n_items,).

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 2], "item_id": [7, 7, 8]})
    >>> popularity_of(log).tolist()
    [1.0, 0.5]
    """
    likes = log.interactions
    popularity = np.zeros(log.n_items)
    if likes.users.size:
        popularity[likes.items] = likes.weights.getnnz(axis=0) / likes.users.size
    return popularity


def liked_popularity(
    log: InteractionLog, users: NDArray[np.int64], popularity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean popularity of the items that each user liked.

    Args:
        log: its positive events are the likes.
        users: int64 (n,), dense ids, such as [0, 1].
        popularity: float64 (n_items,), from `popularity_of`.

    Returns:
        float64 (n,); NaN for a user who liked nothing.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 2], "item_id": [7, 7, 8]})
    >>> liked_popularity(log, np.array([0, 1]), popularity_of(log)).tolist()
    [1.0, 0.75]
    """
    likes = log.interactions
    row = np.full(log.n_users, -1)  # -1 stands for the last of `means`, which is NaN
    row[likes.users] = np.arange(likes.users.size)
    liked = csr_matrix(
        (np.ones(likes.weights.nnz), likes.weights.indices, likes.weights.indptr),
        shape=likes.weights.shape,
    )
    count = np.diff(liked.indptr)
    means = np.append((liked @ popularity[likes.items]) / np.maximum(count, 1), np.nan)
    return np.asarray(means[row[users]])


def history_of(
    log: InteractionLog, users: NDArray[np.int64], codes: NDArray[np.int32], n_codes: int
) -> NDArray[np.float64]:
    """The mix of the items that each user liked, by one attribute such as the topic.

    Args:
        log: its positive events are the likes.
        users: int64 (n,), dense ids, such as [0, 1].
        codes: int32 (n_items,), the attribute's value of each item, from 0.
        n_codes: number of values.

    Returns:
        float64 (n, n_codes), shares of the user's likes. A row sums to 1; it is NaN for a user who
        liked nothing.

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
