"""Drift by rank: each comparison of `overlap` as a measure of a `FeedPair`, one value a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.measures.overlap import (
    _NO_FLAGS,
    _feed_arrays,
    _flag_array,
    _over_rows,
    _powers,
    _share,
    default_persistence,
    frbo,
    rbo_ext_ties,
)
from recsys.measures.pair import FeedPair, ratio

_PENALTY = 0.5
"""Cost, in the drift by Kendall, of a pair of posts about whose order one feed says nothing."""


def posts_drift(pair: FeedPair) -> NDArray[np.float64]:
    """1 - FRBO of the posts."""
    return 1.0 - _of(pair).agreement


def one_step_drift(pair: FeedPair) -> NDArray[np.float64]:
    """1 - FRBO of the posts, against the same day's feeds by a fit without newcomers' events."""
    assert pair.without is not None
    return 1.0 - frbo(pair.without, pair.feeds)


def jaccard_drift(pair: FeedPair) -> NDArray[np.float64]:
    """1 - Jaccard of the posts."""
    counted = _of(pair)
    kept, slots = counted.kept, counted.slots
    return 1.0 - _share(kept, 2 * slots - kept, where_none=counted.agreement)


def average_overlap_drift(pair: FeedPair) -> NDArray[np.float64]:
    """1 - average overlap of the posts."""
    return 1.0 - _of(pair).average


def slots_changed(pair: FeedPair) -> NDArray[np.float64]:
    """1 - X_k/k."""
    counted = _of(pair)
    return 1.0 - _share(counted.kept, counted.slots, where_none=counted.agreement)


def rbo_ext_drift(pair: FeedPair) -> NDArray[np.float64]:
    """1 - RBO_ext of the posts; feeds of unequal length are not cut."""
    return 1.0 - _of(pair).extended


def rbo_ext_ties_drift(pair: FeedPair) -> NDArray[np.float64]:
    """1 - RBO_ext with ties, divided by the reference's similarity with itself.

    Ties keep a feed's similarity with itself below 1. Divided by it, a feed does not drift from
    itself, nor from a feed that only orders its ties in another way.
    """
    assert pair.reference_scores is not None
    assert pair.scores is not None
    ids, scores, p = pair.reference, pair.reference_scores, _open_persistence(pair)
    likeness = rbo_ext_ties(ids, pair.feeds, scores, pair.scores, p)
    return np.maximum(1.0 - likeness / rbo_ext_ties(ids, ids, scores, scores, p), 0.0)


def kendall_drift(pair: FeedPair) -> NDArray[np.float64]:
    """Fagin's K^(1/2) over its largest value at the length compared."""
    lengths = [(feeds >= 0).sum(axis=1) for feeds in (pair.reference, pair.feeds)]
    length = np.where(np.minimum(*lengths) > 0, np.minimum(*lengths), np.maximum(*lengths))
    most = length * length + _PENALTY * length * (length - 1)
    distance = _of(pair).kendall
    share: NDArray[np.float64] = np.divide(
        distance, most, out=np.zeros(distance.size), where=most > 0
    )
    return share


def creators_drift(pair: FeedPair) -> NDArray[np.float64]:
    """1 - FRBO of the creators, each of whom may stand several times in a feed."""
    assert pair.creators is not None
    reference, feeds = (creators_of(ids, pair.creators) for ids in (pair.reference, pair.feeds))
    return 1.0 - frbo(reference, feeds, multiset=True)


def turnover(pair: FeedPair) -> NDArray[np.float64]:
    """1 - FRBO of the posts and of those that the same arm showed on the measured day before."""
    assert pair.previous is not None
    return 1.0 - frbo(pair.previous, pair.feeds)


def creators_of(ids: NDArray[np.int32], creators: NDArray[np.int32]) -> NDArray[np.int32]:
    """The creator in each slot, -1 where it is empty."""
    in_slots = np.where(ids >= 0, creators.take(np.maximum(ids, 0)), np.int32(-1))
    return in_slots.astype(np.int32, copy=False)


def _open_persistence(pair: FeedPair) -> float:
    """`default_persistence`, but above 0 at depth 1 too, as RBO_ext needs it."""
    return default_persistence(max(pair.feeds.shape[1], 2))


def displaced_share(pair: FeedPair) -> NDArray[np.float64]:
    """Share of slots that went to newcomers' posts; NaN if one feed of the two is empty."""
    counted = _of(pair)
    return _share(counted.displaced, counted.slots, where_none=_nan_unless_both_empty(pair))


def reshuffled_share(pair: FeedPair) -> NDArray[np.float64]:
    """Share of slots that went to other posts; NaN if one feed of the two is empty."""
    counted = _of(pair)
    moved = counted.slots - counted.kept - counted.displaced
    return _share(moved, counted.slots, where_none=_nan_unless_both_empty(pair))


@dataclass(frozen=True)
class SourceSlots:
    """Of the slots that a source fills, the share that changed, or that newcomers' posts took.

    Each user has a value only if the source fills a slot of the feed; a slot beyond the length of
    the shorter feed does not count.

    Attributes:
        sources: names in `recsys.logs.schema.SOURCES`, such as ("personal", "fallback").
        displaced: whether only slots with newcomers' posts count, not all that changed.

    Example:
        >>> feeds, source = np.array([[1, 2]], np.int32), np.array([[0, 2]], np.uint8)
        >>> pair = FeedPair(feeds + 1, feeds, {}, None, np.ones(2), sources=source)
        >>> [SourceSlots((name,), displaced=False)(pair)[0] for name in ("personal", "trending")]
        [np.float64(1.0), np.float64(0.0)]
    """

    sources: tuple[str, ...]
    displaced: bool

    def __call__(self, pair: FeedPair) -> NDArray[np.float64]:
        """The share of each user, float64 (n,); NaN without such slots."""
        from recsys.logs.schema import SOURCES

        assert pair.sources is not None
        new, compared = _new_slots(pair)
        codes = [code for code, name in enumerate(SOURCES.categories) if name in self.sources]
        mine = compared & np.isin(pair.sources, codes)
        if self.displaced:
            assert pair.from_newcomers is not None
            new = new & pair.from_newcomers.take(np.maximum(pair.feeds, 0))
        return ratio((new & mine).sum(axis=1).astype(np.float64), mine.sum(axis=1))


def _new_slots(pair: FeedPair) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Bool (n, k): slots of `feeds` whose post `reference` lacks, and slots that are compared."""

    def found() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        length = np.minimum((pair.reference >= 0).sum(axis=1), (pair.feeds >= 0).sum(axis=1))
        compared = np.arange(pair.feeds.shape[1]) < length[:, None]
        reference = np.where(compared, pair.reference, np.int32(-1))
        new = np.empty(pair.feeds.shape, dtype=np.bool_)
        for slot in range(pair.feeds.shape[1]):
            new[:, slot] = (reference != pair.feeds[:, slot][:, None]).all(axis=1)
        return new & compared, compared

    return pair.once(("new slots",), found)


class _Counted(NamedTuple):
    """Results of `pair_rows`, each (n,)."""

    agreement: NDArray[np.float64]
    average: NDArray[np.float64]
    extended: NDArray[np.float64]
    kendall: NDArray[np.float64]
    kept: NDArray[np.int32]
    displaced: NDArray[np.int32]
    slots: NDArray[np.int32]


def _of(pair: FeedPair) -> _Counted:
    """FRBO, average overlap, RBO_ext, K^(1/2) and slot counts of a pair.

    All come from one pass over the feeds, which several measures share.
    """

    def counted() -> _Counted:
        flags = _NO_FLAGS if pair.from_newcomers is None else _flag_array(pair.from_newcomers)
        first, second = _feed_arrays(pair.reference, pair.feeds)
        (rows, depth), p = first.shape, default_persistence(first.shape[1])
        weights = _powers(p, depth)
        tails = weights * p / (1.0 - p)
        values, counts = np.empty((4, rows)), np.empty((3, rows), dtype=np.int32)
        results = _Counted(*values[:4], *counts[:3])
        from recsys.measures.rank_kernels import pair_rows

        _over_rows(pair_rows, first, second, (weights, tails, _PENALTY, flags), results)
        return results

    return pair.once(("counted",), counted)


def _nan_unless_both_empty(pair: FeedPair) -> NDArray[np.float64]:
    return np.where((pair.reference[:, 0] < 0) & (pair.feeds[:, 0] < 0), 0.0, np.nan)
