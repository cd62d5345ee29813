"""What two_tower learns from, out of a log: towers, likes with their histories, ages and heat."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.noise import Stream, pair_words, philox, wide_words
from recsys.logs.log import InteractionLog
from recsys.logs.times import DAY
from recsys.recommenders.attributes import attribute_names, categories
from recsys.recommenders.fits import check_array
from recsys.recommenders.towers import UNDATED, Bags, Context, Examples
from recsys.recommenders.window import ages, last_like, midnight_after

_HOUR = DAY // 24
_EDGES = np.array([0.25, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 55])
"""Ages in days at which buckets end."""
N_BUCKETS = _EDGES.size + 2
"""Number of buckets: one more for older items, and one for those of unknown age."""
_UNKNOWN = N_BUCKETS - 1
_MOST_DAYS = 64
"""Largest number of mornings on which heat is computed; in longer logs a `day` takes several."""
_PRIOR = 0.5
"""Likes that are added to the heat of each item before its logarithm is taken."""


class Tower(NamedTuple):
    """Users or items as sums of embeddings: one of their own if they are hot, one per attribute."""

    names: tuple[str, ...]
    """Names of the attributes."""
    codes: NDArray[np.int32]
    """(n, n_attributes) category of each row in each attribute; -1 where there is none."""
    sizes: NDArray[np.int64]
    """(n_attributes,) number of categories."""

    def check(self, name: str, n: int) -> None:
        """Raises a ValueError where the parts do not fit n users or items."""
        check_array(f"{name}.codes", self.codes, (n, len(self.names)), np.int32)
        check_array(f"{name}.sizes", self.sizes, (len(self.names),), np.int64)
        if ((self.codes < -1) | (self.codes >= self.sizes)).any() or self.sizes.sum() > 2**31:
            raise ValueError(f"{name} names a category that there is not")

    def height(self, n_hot: int) -> int:
        """Number of embeddings: of the hot ones, then of all categories."""
        return n_hot + int(self.sizes.sum())

    def bags(self, hot: NDArray[np.int32]) -> Bags:
        """The embeddings that each user or item sums.

        Args:
            hot: dense ids of those with embeddings of their own, in the order of these.
        """
        own = np.full((len(self.codes), 1), -1, dtype=np.int64)
        own[hot, 0] = np.arange(hot.size)
        first = hot.size + np.cumsum(self.sizes) - self.sizes
        rows = np.concatenate([own, np.where(self.codes >= 0, self.codes + first, -1)], axis=1)
        has = rows >= 0
        indptr = np.concatenate([[0], np.cumsum(has.sum(axis=1))]).astype(np.int64)
        return Bags(indptr, rows[has])


def tower_of(frame: pl.DataFrame, hot: NDArray[np.int32]) -> Tower:
    """How the users or the items of a log are put together.

    Args:
        frame: the users or the items; all columns that describe them count, and the creator.
        hot: dense ids of rows with positive events, in the order of keys.
    """
    creators = [name for name in ("creator_id",) if name in frame.columns]
    attributes = categories(frame, hot, [*creators, *attribute_names(frame)])
    kept = [attribute for attribute in attributes if attribute.size]
    none = np.zeros((frame.height, 0), dtype=np.int32)
    return Tower(
        tuple(attribute.name for attribute in kept),
        np.stack([attribute.codes for attribute in kept], axis=1) if kept else none,
        np.array([attribute.size for attribute in kept], dtype=np.int64),
    )


def carried(
    tower: Tower,
    hot: NDArray[np.int32],
    keys: NDArray[np.uint64],
    old: Tower,
    old_hot: NDArray[np.int32],
    old_keys: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """For each embedding the one of an earlier model that stands for the same; -1 without one.

    Users and items are matched by key. Categories are numbered anew in each log; a category is
    matched through the first user or item that has it and was hot in both logs.

    Args:
        tower, hot, keys: the tower, and dense ids and keys of the hot ones, in the order of keys.
        old, old_hot, old_keys: the same of the earlier model.

    Returns:
        Int64 (tower.height(n_hot),).
    """
    rows = np.full(tower.height(hot.size), -1, dtype=np.int64)
    _, mine, theirs = np.intersect1d(keys, old_keys, assume_unique=True, return_indices=True)
    rows[mine] = theirs
    first, old_first = hot.size, old_hot.size
    begin = dict(zip(old.names, old_first + np.cumsum(old.sizes) - old.sizes, strict=True))
    for number, name in enumerate(tower.names):
        if name in begin:
            codes = tower.codes[hot[mine], number]
            before = old.codes[old_hot[theirs], old.names.index(name)]
            both = (codes >= 0) & (before >= 0)
            category, at = np.unique(codes[both], return_index=True)
            rows[first + category] = begin[name] + before[both][at]
        first += int(tower.sizes[number])
    return rows


def examples_of(
    log: InteractionLog, liked: csr_matrix, depth: int, seed: int
) -> tuple[Examples, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The likes with the histories before them, and the history of each user at the end.

    In a log without times the likes of a user stand in a ring, in an order drawn by key, and those
    before a like are its history.

    Args:
        log: the training log.
        liked: CSR (n_hot_users, n_hot_items) of likes, in the order of keys.
        depth: largest number of items in a history.
        seed: seed of the order in a log without times.

    Returns:
        The examples; and where each user's last likes begin, int64 (n_hot_users + 1,), with the
        columns of these likes.
    """
    hot = log.interactions
    n_likes = np.diff(liked.indptr).astype(np.int64)
    user = np.repeat(np.arange(n_likes.size), n_likes)
    item = liked.indices.astype(np.int64)
    words = pair_words(hot.user_keys[user], hot.item_keys[item])
    if log.has_times:
        time = _first_times(log, user, item)
        order = np.lexsort((item, time, user))
    else:
        time = np.zeros(user.size, dtype=np.int64)
        order = np.lexsort((wide_words(philox(seed, Stream.MODEL_PAIR, *words)), user))
    first = liked.indptr[:-1].astype(np.int64)
    rank = np.empty(user.size, dtype=np.int64)
    rank[order] = np.arange(user.size) - first[user[order]]
    ranked = item[order]
    size = np.minimum(rank if log.has_times else n_likes[user] - 1, depth)
    place, indptr = _runs(rank - size, size)
    of = np.repeat(user, size)
    history = Bags(indptr, ranked[first[of] + place % n_likes[of]])
    size = np.minimum(n_likes, depth)
    place, start = _runs(first + n_likes - size, size)
    day = time // DAY - (time // DAY).min()
    examples = Examples(
        user,
        item,
        time // _HOUR,
        day // _stride(int(day.max())),
        history,
        words,
        Bags(liked.indptr.astype(np.int64), item),
    )
    return examples, (start, ranked[place])


def context_of(
    log: InteractionLog, examples: Examples, half_life_days: float
) -> tuple[Context, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Ages and heat, at the likes of a log and when feeds are made.

    Feeds are made for the day after the log; an item has the age that it has at its noon. In a log
    without times heat is the number of likes, and no age is known.

    Args:
        log: the training log.
        examples: its likes.
        half_life_days: days in which a like loses half of its weight.

    Returns:
        The context of hot items; and for all items int64 buckets and float32 heat, (n_items,).
    """
    hot = log.interactions
    count = np.bincount(examples.item, minlength=hot.items.size)
    rarity = -np.log(count / count.sum())
    heat = _heat(log, examples, hot.items.size, half_life_days)
    hours = np.arange(int(_EDGES[-1]) * 24 + 2)
    bucket = np.append(np.searchsorted(_EDGES, hours / 24, side="right"), _UNKNOWN)
    now = np.full(log.n_items, _UNKNOWN)
    published = np.full(log.n_items, UNDATED)
    if log.has_times:
        noon = midnight_after(last_like(log)) + DAY / 2
        age = ages(log, noon)
        known = ~np.isnan(age)
        published[known] = np.floor((noon - age[known] * DAY) / _HOUR)
        passed = np.clip(noon // _HOUR - published[known], 0, hours[-1])
        now[known] = bucket[passed.astype(np.int64)]
    at_last = np.full(log.n_items, np.log(_PRIOR), dtype=np.float32)
    at_last[hot.items] = heat[-1]
    context = Context(
        published[hot.items], bucket.astype(np.int64), heat, rarity.astype(np.float32)
    )
    return context, (now, at_last)


def _heat(
    log: InteractionLog, examples: Examples, n_items: int, half_life_days: float
) -> NDArray[np.float32]:
    """Float32 (n_days + 1, n_items): log of heat on the morning of each day, and after the last."""
    if not log.has_times:
        count = np.bincount(examples.item, minlength=n_items)
        return np.asarray(np.log(count + _PRIOR)[None], dtype=np.float32)
    time = log.dense.filter(pl.col("weight") > 0)["timestamp"].to_physical().to_numpy()
    stride = _stride(int(time.max() // DAY - time.min() // DAY))
    n_days = int(examples.day.max()) + 1
    likes = np.bincount(examples.day * n_items + examples.item, minlength=n_days * n_items)
    likes = likes.reshape(n_days, n_items)
    heat = np.zeros((n_days + 1, n_items))
    for day in range(n_days):
        heat[day + 1] = heat[day] * 2.0 ** (-stride / half_life_days) + likes[day]
    return np.asarray(np.log(heat + _PRIOR), dtype=np.float32)


def _stride(days: int) -> int:
    """Number of days that count as one in a log that goes from day 0 to this day."""
    return 1 + days // _MOST_DAYS


def _runs(
    first: NDArray[np.int64], size: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole numbers in runs, end to end, and where each run begins.

    >>> _runs(np.array([5, 0]), np.array([2, 3]))[0].tolist()
    [5, 6, 0, 1, 2]
    """
    start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    return np.repeat(first - start[:-1], size) + np.arange(start[-1]), start


def _first_times(
    log: InteractionLog, user: NDArray[np.int64], item: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Int64 (n,): the moment of the first positive event of each like, in ms since 1970."""
    hot = log.interactions
    row, column = (np.full(n, -1, dtype=np.int64) for n in (log.n_users, log.n_items))
    row[hot.users], column[hot.items] = np.arange(hot.users.size), np.arange(hot.items.size)
    events = log.dense.filter(pl.col("weight") > 0)
    rows, columns = row[events["user"].to_numpy()], column[events["item"].to_numpy()]
    time = events["timestamp"].to_physical().to_numpy()
    numbers = np.where((rows >= 0) & (columns >= 0), rows * hot.items.size + columns, -1)
    order = np.lexsort((time, numbers))
    place = np.searchsorted(numbers[order], user * hot.items.size + item)
    return np.asarray(time[order][place])
