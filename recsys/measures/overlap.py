"""Similarity of ranked feeds: how much of a feed is still there, and how near the top.

A feed is a row of item ids, rank 1 first, -1 in empty slots (always at the end). X_d is the number
of ids that the first d ranks of both feeds share. Two feeds of unequal length are cut to the
shorter one. Two empty feeds have similarity 1, an empty and a filled one 0. Drift is 1 minus
similarity; `overlap_drift` takes it from pairs of feeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROWS_WORTH_A_THREAD = 16_384
"""With fewer rows a thread costs more than it saves."""


_NO_FLAGS = np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class SlotAccounting:
    """What became of the slots of each feed; in each row kept + displaced + reshuffled = slots.

    Attributes:
        kept: slots whose post is also in the reference, int32 (n,).
        displaced: slots now held by a newcomer's post that the reference lacks, int32 (n,).
        reshuffled: slots now held by any other post that the reference lacks, int32 (n,).
        slots: slots compared, the length of the shorter feed, int32 (n,).
    """

    kept: NDArray[np.int32]
    displaced: NDArray[np.int32]
    reshuffled: NDArray[np.int32]
    slots: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Comparison:
    """FRBO, Jaccard and slot accounting of the same pairs of feeds, from one pass over them."""

    frbo: NDArray[np.float64]
    jaccard: NDArray[np.float64]
    slots: SlotAccounting


def default_persistence(depth: int) -> float:
    """The persistence p that FRBO takes at a depth: 1 - 1/k.

    A user who goes on to the next rank with probability p looks at 1/(1-p) ranks on average. For
    p = 1 - 1/k these are k ranks, so the measure looks as deep as the feed it is given.

    Args:
        depth: ranks in the feed, such as 20; at least 1.

    Returns:
        p in [0, 1).

    Raises:
        ValueError: if `depth` is below 1.

    Example:
        >>> [default_persistence(k) for k in (10, 20, 50)]
        [0.9, 0.95, 0.98]
    """
    if depth < 1:
        raise ValueError(f"depth is {depth}; expected at least 1 rank")
    return 1.0 - 1.0 / depth


def frbo(
    a: ArrayLike, b: ArrayLike, p: float | None = None, *, multiset: bool = False
) -> NDArray[np.float64]:
    """Finite rank-biased overlap: (1-p)/(1-p^k) · Σ_{d≤k} p^(d-1) X_d/d.

    Top ranks are looked at more, so they weigh more. Plain RBO, cut at depth k, is only 1-p^k for
    identical feeds. FRBO is plain RBO divided by this number. So it is exactly 1 for identical and
    0 for disjoint feeds.

    Args:
        a: reference feeds, integer ids (n, k), -1 for empty slots at the end.
        b: feeds to compare, integer ids (n, k); row i belongs with row i of `a`.
        p: persistence in [0, 1], such as 0.9: the weight of rank d+1 relative to rank d. With 0
            only the first rank counts; 1 is average overlap. None takes `default_persistence(k)`.
        multiset: whether ids may repeat within a feed, as those of creators do. The t-th copy in a
            then matches the t-th copy in b. If False, a repeat is an error.

    Returns:
        Similarity in [0, 1], float64 (n,).

    Raises:
        ValueError: on shapes, dtypes, ids or p other than the above; for an id, the row is named.

    Source:
        Webber, Moffat & Zobel (2010), A similarity measure for indefinite rankings, ACM TOIS 28(4);
        the sum of its eq. 4 to depth k, over its own maximum.

    Example:
        >>> frbo([[1, 2, 3], [1, 2, 3]], [[1, 2, 3], [7, 8, 9]]).tolist()
        [1.0, 0.0]
        >>> frbo([[1, 2]], [[2, 1]], p=0.5).round(3).tolist()
        [0.333]
        >>> frbo([[5, 5, 6]], [[5, 6, 5]], p=1.0, multiset=True).round(3).tolist()
        [0.833]
    """
    first, second = _feed_arrays(a, b)
    persistence = default_persistence(first.shape[1]) if p is None else p
    return _compared(first, second, persistence, distinct=not multiset)[0]


def average_overlap(
    a: ArrayLike, b: ArrayLike, depth: int | None = None, *, multiset: bool = False
) -> NDArray[np.float64]:
    """Average overlap: (1/k) Σ_{d≤k} X_d/d, the mean share of shared ids over all depths.

    Top ranks weigh more, as in FRBO. Average overlap is FRBO at p = 1, so there is no p to choose.

    Args:
        a: reference feeds, integer ids (n, k), -1 for empty slots at the end.
        b: feeds to compare, integer ids (n, k).
        depth: ranks to look at, such as 10; from 1 to k, or None for all k.
        multiset: allow ids to repeat within a feed, see `frbo`.

    Returns:
        Similarity in [0, 1], float64 (n,).

    Raises:
        ValueError: on shapes, dtypes, ids or depth other than the above.

    Source:
        Fagin, Kumar & Sivakumar (2003), Comparing top k lists, SIAM J. Discrete Math. 17(1);
        worked example in Webber et al. (2010), table 2.

    Example:
        >>> average_overlap([[0, 1, 2, 3, 4]], [[1, 0, 2, 3, 4]]).tolist()
        [0.8]
    """
    first, second = _feed_arrays(a, b)
    ranks = first.shape[1] if depth is None else depth
    if not 1 <= ranks <= first.shape[1]:
        raise ValueError(
            f"depth is {ranks}; expected 1 to {first.shape[1]}, the ranks in the feeds"
        )
    cut_first, cut_second = (np.ascontiguousarray(feed[:, :ranks]) for feed in (first, second))
    return _compared(cut_first, cut_second, 1.0, distinct=not multiset)[0]


def overlap(a: ArrayLike, b: ArrayLike, *, multiset: bool = False) -> NDArray[np.float64]:
    """Overlap: X_k/k, the share of slots whose post is in the other feed too, at whatever rank.

    1 minus the overlap is the share of slots that changed.

    Args:
        a: reference feeds, integer ids (n, k), -1 for empty slots at the end.
        b: feeds to compare, integer ids (n, k).
        multiset: allow ids to repeat within a feed, see `frbo`.

    Returns:
        Similarity in [0, 1], float64 (n,).

    Raises:
        ValueError: on shapes, dtypes or ids other than the above.

    Example:
        >>> overlap([[1, 2, 3, 4]], [[4, 1, 8, 9]]).tolist()
        [0.5]
    """
    agreement, kept, _, slots = _compared(*_feed_arrays(a, b), 0.0, distinct=not multiset)
    return _share(kept, slots, where_none=agreement)


def jaccard(a: ArrayLike, b: ArrayLike, *, multiset: bool = False) -> NDArray[np.float64]:
    """Jaccard similarity: X_k/(2k - X_k), the ids in both feeds over the ids in either.

    Ranks play no part in it. Most papers on stability print this measure.

    Args:
        a: reference feeds, integer ids (n, k), -1 for empty slots at the end.
        b: feeds to compare, integer ids (n, k).
        multiset: allow ids to repeat within a feed, see `frbo`.

    Returns:
        Similarity in [0, 1], float64 (n,).

    Raises:
        ValueError: on shapes, dtypes or ids other than the above.

    Source:
        Jaccard (1901), Étude comparative de la distribution florale.

    Example:
        >>> jaccard([[1, 2, 3]], [[3, 2, 9]]).tolist()
        [0.5]
    """
    agreement, kept, _, slots = _compared(*_feed_arrays(a, b), 0.0, distinct=not multiset)
    return _share(kept, 2 * slots - kept, where_none=agreement)


def rbo_ext(a: ArrayLike, b: ArrayLike, p: float = 0.9) -> NDArray[np.float64]:
    """Extrapolated rank-biased overlap: RBO as if the last agreement went on to infinite depth.

    It suits feeds that are the visible top of a longer ranking. Feeds of unequal length are *not*
    cut: past its end, the shorter feed is assumed to share ids at the same rate as before.

    Args:
        a: reference feeds, integer ids (n, k), -1 for empty slots at the end.
        b: feeds to compare, integer ids (n, k).
        p: persistence, strictly between 0 and 1, such as 0.9.

    Returns:
        Similarity in [0, 1], float64 (n,).

    Raises:
        ValueError: on shapes, dtypes, ids or p other than the above.

    Source:
        Webber, Moffat & Zobel (2010), ACM TOIS 28(4), eq. 32.

    Example:
        >>> rbo_ext([[0, 1, 2, 3]], [[1, 0, 2, 3]], p=0.9).round(12).tolist()
        [0.9]
        >>> rbo_ext([[0, 1, 2]], [[0, 1, -1]]).tolist()
        [1.0]
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"p is {p}; expected a persistence strictly between 0 and 1")
    first, second = _feed_arrays(a, b)
    weights = _powers(p, first.shape[1])
    similarity = np.empty(first.shape[0])
    from recsys.measures.rank_kernels import extrapolate_rows  # numba is loaded at first use

    tails = weights * p / (1.0 - p)
    _over_rows(extrapolate_rows, first, second, (weights, tails), (similarity,))
    return similarity


def rbo_ext_ties(
    a: ArrayLike, b: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike, p: float = 0.9
) -> NDArray[np.float64]:
    """Extrapolated rank-biased overlap where scores tie: the mean over all orders of the ties.

    Many recommenders give several posts the same score, and the order in which they show these
    posts means nothing. Here neighbours with equal scores are a group, and agreement is averaged
    over all orders within the groups. So a shuffle of ties changes nothing. It follows that a feed
    with ties has less than full similarity with itself: two random orders of it would differ.
    Without ties the result is that of `rbo_ext`.

    Args:
        a: reference feeds, integer ids (n, k), -1 for empty slots at the end.
        b: feeds to compare, integer ids (n, k); feeds of unequal length are not cut.
        scores_a, scores_b: what the slots were ranked by, float (n, k); NaN equals no other score.
        p: persistence, strictly between 0 and 1, such as 0.9.

    Returns:
        Similarity in [0, 1], float64 (n,).

    Raises:
        ValueError: on shapes, dtypes, ids or p other than the above.

    Source:
        Corsi & Urbano (2024), The treatment of ties in rank-biased overlap, SIGIR, variant a, with
        their extrapolation for feeds of unequal length.

    Example:
        >>> one, other = [[0, 1, 2, 3, 4]], [[1, 0, 2, 4, 5]]
        >>> rbo_ext_ties(one, other, [[5, 4, 4, 3, 2]], [[9, 8, 7, 7, 1]]).round(6).tolist()
        [0.714555]
        >>> rbo_ext_ties([[0, 1]], [[1, 0]], [[1.0, 1.0]], [[1.0, 1.0]], p=0.5).tolist()
        [0.75]
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"p is {p}; expected a persistence strictly between 0 and 1")
    first, second = _feed_arrays(a, b)
    scores = [
        _score_array(name, values, np.shape(ids), first.shape[1])
        for name, values, ids in (("a", scores_a, a), ("b", scores_b, b))
    ]
    weights = _powers(p, first.shape[1])
    similarity = np.empty(first.shape[0])
    from recsys.measures.rank_kernels import extrapolate_tied_rows

    shared = (weights, weights * p / (1.0 - p))
    _over_rows(extrapolate_tied_rows, first, second, shared, (similarity,), scores)
    return similarity


def kendall_topk(a: ArrayLike, b: ArrayLike, p: float = 0.0) -> NDArray[np.float64]:
    """Fagin's K^(p): how many pairs of posts the two feeds order differently.

    This is Kendall's tau for lists that hold different posts. A pair of posts costs 1

    - if both feeds hold both posts, in opposite orders,
    - if one feed holds both posts, and the other only the one that is lower in the first,
    - if one feed holds only one of the two posts, and the other feed only the other post.

    A pair costs p if one feed holds both posts and the other feed none. The result is a distance: 0
    for identical feeds, k² + p·k(k-1) for disjoint ones. If one feed is empty, the distance is that
    of two disjoint feeds as long as the other feed.

    Args:
        a: reference feeds, integer ids (n, k), -1 for empty slots at the end.
        b: feeds to compare, integer ids (n, k).
        p: cost, from 0 to 1, of a pair about whose order one feed says nothing, such as 0.5.

    Returns:
        Distance in pairs of posts, float64 (n,).

    Raises:
        ValueError: on shapes, dtypes, ids or p other than the above.

    Source:
        Fagin, Kumar & Sivakumar (2003), SIAM J. Discrete Math. 17(1), section 3.1.

    Example:
        >>> kendall_topk([[1, 2, 3], [1, 2, 3]], [[3, 2, 1], [4, 5, 6]], p=0.5).tolist()
        [3.0, 12.0]
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p is {p}; expected a penalty from 0 to 1")
    first, second = _feed_arrays(a, b)
    distance = np.empty(first.shape[0])
    from recsys.measures.rank_kernels import kendall_rows

    _over_rows(kendall_rows, first, second, (float(p),), (distance,))
    return distance


def slot_accounting(a: ArrayLike, b: ArrayLike, from_newcomers: ArrayLike) -> SlotAccounting:
    """Splits the slots of a feed into kept, displaced and reshuffled ones.

    A displaced slot went to a newcomer's post: the influx took the slot. A reshuffled slot went to
    a post that was there anyway. Either the influx moved this post, or a model trained again would
    have moved it as well.

    Args:
        a: reference feeds, integer ids (n, k), -1 for empty slots at the end.
        b: feeds to compare, integer ids (n, k).
        from_newcomers: bool (n_items,), True where the item with that id is a newcomer's.

    Returns:
        Counts of slots, row by row.

    Raises:
        ValueError: on shapes, dtypes or ids other than the above, or an id in `b` outside the
            flags.

    Example:
        >>> flags = [False, False, True, True, False]
        >>> account = slot_accounting([[0, 1, 4]], [[1, 3, 4]], flags)
        >>> account.kept.tolist(), account.displaced.tolist(), account.reshuffled.tolist()
        ([2], [1], [0])
    """
    first, second = _feed_arrays(a, b)
    _, *counts = _compared(first, second, 0.0, from_newcomers=_flag_array(from_newcomers))
    return _accounting(*counts)


def compare(
    a: ArrayLike, b: ArrayLike, from_newcomers: ArrayLike, p: float | None = None
) -> Comparison:
    """FRBO, Jaccard and slot accounting together, in the time that one of them takes.

    Args:
        a: reference feeds, integer ids (n, k), -1 for empty slots at the end.
        b: feeds to compare, integer ids (n, k).
        from_newcomers: bool (n_items,), True where the item with that id is a newcomer's.
        p: persistence of FRBO in [0, 1], such as 0.9; None takes `default_persistence(k)`.

    Returns:
        The same values, to the bit, as `frbo`, `jaccard` and `slot_accounting`.

    Raises:
        ValueError: where one of these functions raises it.

    Example:
        >>> result = compare([[0, 1]], [[0, 2]], [False, False, True], p=0.5)
        >>> result.jaccard.round(3).tolist(), result.slots.displaced.tolist()
        ([0.333], [1])
    """
    first, second = _feed_arrays(a, b)
    persistence = default_persistence(first.shape[1]) if p is None else p
    agreement, kept, displaced, slots = _compared(
        first, second, persistence, from_newcomers=_flag_array(from_newcomers)
    )
    return Comparison(
        frbo=agreement,
        jaccard=_share(kept, 2 * slots - kept, where_none=agreement),
        slots=_accounting(kept, displaced, slots),
    )


# --- helpers --------------------------------------------------------------------------------------


def _score_array(
    name: str, scores: ArrayLike, shape: tuple[int, ...], width: int
) -> NDArray[np.float64]:
    """Scores of feeds of a shape (n, k), float64 (n, width); NaN in the slots that feeds lack."""
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != shape:
        raise ValueError(
            f"scores_{name} has shape {values.shape}; expected {shape}, a score a slot"
        )
    missing = width - values.shape[1]
    return np.ascontiguousarray(np.pad(values, ((0, 0), (0, missing)), constant_values=np.nan))


def _compared(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    persistence: float,
    *,
    from_newcomers: NDArray[np.bool_] = _NO_FLAGS,
    distinct: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Agreement weighted by p^(d-1), and the counts kept, displaced, slots."""
    if not 0.0 <= persistence <= 1.0:
        raise ValueError(f"p is {persistence}; expected a persistence from 0 to 1")
    rows = first.shape[0]
    agreement = np.empty(rows)
    kept, displaced, slots = (np.empty(rows, dtype=np.int32) for _ in range(3))
    shared = (_powers(persistence, first.shape[1]), from_newcomers, distinct)
    from recsys.measures.rank_kernels import compare_rows

    _over_rows(compare_rows, first, second, shared, (agreement, kept, displaced, slots))
    return agreement, kept, displaced, slots


def _accounting(
    kept: NDArray[np.int32], displaced: NDArray[np.int32], slots: NDArray[np.int32]
) -> SlotAccounting:
    return SlotAccounting(kept, displaced, slots - kept - displaced, slots)


def _share(
    part: NDArray[np.int32], whole: NDArray[np.int32], where_none: NDArray[np.float64]
) -> NDArray[np.float64]:
    """part / whole, and `where_none` in the rows where whole is 0."""
    return np.divide(part, whole, out=where_none.copy(), where=whole > 0)


def _powers(p: float, depth: int) -> NDArray[np.float64]:
    """p^0 … p^(depth-1)."""
    return np.power(float(p), np.arange(depth, dtype=np.float64))


def _over_rows(
    kernel: Callable[..., int],
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    shared: tuple[Any, ...],
    outputs: tuple[NDArray[Any], ...],
    more: Sequence[NDArray[Any]] = (),
) -> None:
    """Runs a kernel over blocks of rows, in threads if there are many.

    Args:
        kernel: from `rank_kernels`; called as kernel(first, second, *more, *shared, *outputs).
        first, second: feeds, int32 (n, k).
        shared: arguments that all rows have in common.
        outputs: arrays to write to, (n,) each.
        more: further arrays with a row for each row of the feeds.

    Raises:
        ValueError: a row that the kernel cannot read; says what is wrong with it.
    """
    rows = first.shape[0]
    from polars import thread_pool_size  # of processors that this process may use

    threads = thread_pool_size()
    step = max(_ROWS_WORTH_A_THREAD, -(-rows // (4 * threads)))

    def run(start: int) -> int:
        block = slice(start, start + step)
        rows_of = (array[block] for array in (first, second, *more))
        fault = kernel(*rows_of, *shared, *(output[block] for output in outputs))
        return -1 if fault < 0 else start + fault

    starts = range(0, rows, step)
    if len(starts) <= 1:
        faults = [run(start) for start in starts]
    else:
        with ThreadPoolExecutor(threads) as pool:
            faults = list(pool.map(run, starts))
    for fault in faults:
        if fault >= 0:
            _raise_for_row(first[fault], second[fault], fault)


def _raise_for_row(first: NDArray[np.int32], second: NDArray[np.int32], row: int) -> NoReturn:
    """Says what a kernel could not read in this row."""
    for name, feed in (("a", first), ("b", second)):
        where = f"row {row} of {name} is {feed.tolist()}"
        if (feed < -1).any():
            raise ValueError(f"{where}; expected ids from 0 and -1 for empty slots")
        if (np.diff((feed < 0).astype(np.int8)) < 0).any():
            raise ValueError(f"{where}; expected empty slots (-1) only at the end of a feed")
    for name, feed in (("a", first), ("b", second)):
        filled = feed[feed >= 0]
        if np.unique(filled).size < filled.size:
            raise ValueError(
                f"row {row} of {name} is {feed.tolist()}; expected each id once in a feed "
                "(for feeds of creators, whose ids repeat, use frbo(..., multiset=True))"
            )
    raise ValueError(
        f"row {row} of b is {second.tolist()}; expected ids below the length of from_newcomers"
    )


def _feed_arrays(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Both feeds as C-ordered int32 of one shape; the narrower one padded with empty slots."""
    first, second = _feed_array(a, "a"), _feed_array(b, "b")
    if first.shape[0] != second.shape[0]:
        raise ValueError(
            f"a has {first.shape[0]} rows and b has {second.shape[0]}; "
            "expected as many, with the feeds of one user in row i of both"
        )
    width = max(first.shape[1], second.shape[1])
    return _padded(first, width), _padded(second, width)


def _feed_array(ids: ArrayLike, name: str) -> NDArray[np.int32]:
    array = np.asarray(ids)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(
            f"{name} has shape {array.shape}; expected (n, k): a row per feed, a column per rank"
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} has dtype {array.dtype}; expected integer item ids")
    if array.dtype == np.int32:
        return array
    if array.dtype == np.int64 and array.size and array.view(np.uint64).max() < 2**31:
        return array.astype(np.int32, order="C")  # one look at each id, where all slots are filled
    if array.size and (array.max() >= 2**31 or array.min() < -1):
        raise ValueError(
            f"{name} holds ids from {array.min()} to {array.max()}; expected 0 to 2^31 - 1, and -1 "
            "for empty slots (numpy.unique(..., return_inverse=True) gives the items such numbers)"
        )
    return array.astype(np.int32)


def _padded(ids: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    if ids.shape[1] == width:
        return np.ascontiguousarray(ids)
    return np.pad(ids, ((0, 0), (0, width - ids.shape[1])), constant_values=-1)


def _flag_array(from_newcomers: ArrayLike) -> NDArray[np.bool_]:
    flags = np.asarray(from_newcomers)
    if flags.ndim != 1 or flags.size == 0 or flags.dtype != np.bool_:
        raise ValueError(
            f"from_newcomers has shape {flags.shape} and dtype {flags.dtype}; "
            "expected bool (n_items,), one flag per item id"
        )
    return np.ascontiguousarray(flags)
