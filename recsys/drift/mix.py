"""What a feed is made of: its distribution over languages, formats, topics, and how far two are
apart.

Fresh notes replace each other every day, so two feeds may share no note and still offer the same
mix. Distances are taken row by row over (n, bins) distributions; a row of NaN (an empty feed) gives
NaN. Distances between small samples are biased upward: read them against a placebo, never against
0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.drift.base import FeedPair, Measure

_CELLS_AT_ONCE = 16_000_000
"""Larger tables of mixes are made in blocks of readers, and not kept."""


_MANY_CODES = 1_000_000
"""Where attributes cross in more combinations than this, those that occur are numbered."""


def feed_mix(
    ids: ArrayLike, codes: ArrayLike, n_codes: int, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """The share of each attribute code in each feed.

    Args:
        ids: feeds, integer ids (n, k), -1 for empty slots.
        codes: code of each item, integers (n_items,) from 0 to n_codes - 1.
        n_codes: number of bins.
        weights: weight of each rank, float (k,), at least 0; None counts each slot once.

    Returns:
        Shares, float64 (n, n_codes). Rows sum to 1; the row of an empty feed is NaN.

    Raises:
        ValueError: on shapes, dtypes, ids or codes other than the above.

    Example:
        >>> feed_mix([[0, 1, 2, -1]], codes=[0, 1, 1], n_codes=2).round(3).tolist()
        [[0.333, 0.667]]
        >>> feed_mix([[0, 1]], codes=[0, 1], n_codes=2, weights=[3.0, 1.0]).tolist()
        [[0.75, 0.25]]
    """
    feeds, code_of = np.asarray(ids), np.asarray(codes)
    _require_codes(code_of, n_codes)
    slot_weights = position_weights(feeds, weights, code_of.size)
    mix = np.empty((feeds.shape[0], n_codes))
    from recsys.drift.kernels import mix_rows  # numba is loaded at first use, not at import

    mix_rows(
        np.ascontiguousarray(feeds, dtype=np.int32),
        np.ascontiguousarray(code_of, dtype=np.int64),
        np.ascontiguousarray(slot_weights),
        mix,
    )
    return mix


def tv(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Total variation: ½ Σ |p - q|, the share of slots that would have to change to turn p into q.

    Args:
        p: distributions, float (n, bins); rows sum to 1, or are NaN.
        q: distributions, float (n, bins).

    Returns:
        Distance in [0, 1], float64 (n,).

    Raises:
        ValueError: on shapes other than the above, or rows that are no distributions.

    Source:
        Levin & Peres, Markov Chains and Mixing Times, proposition 4.2.

    Example:
        >>> tv([[0.95, 0.05]], [[0.75, 0.25]]).round(12).tolist()
        [0.2]
    """
    first, second = _distributions(p, q)
    distance: NDArray[np.float64] = 0.5 * np.abs(first - second).sum(axis=1)
    return np.minimum(distance, 1.0)


def jsd(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Jensen–Shannon divergence in bits: ½ KL(p‖m) + ½ KL(q‖m), m = (p+q)/2.

    What one slot tells of which of the two feeds it was drawn from. Unlike KL it is finite and
    symmetric, so a language that was not there before does not blow it up.

    Args:
        p: distributions, float (n, bins); rows sum to 1, or are NaN.
        q: distributions, float (n, bins).

    Returns:
        Divergence in [0, 1] bits, float64 (n,).

    Raises:
        ValueError: on shapes other than the above, or rows that are no distributions.

    Source:
        Lin (1991), Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37(1).

    Example:
        >>> jsd([[1.0, 0.0]], [[0.0, 1.0]]).tolist()
        [1.0]
    """
    first, second = _distributions(p, q)
    both = first + second  # twice m, which spares very small shares from underflow
    nats = (_kl_nats(2 * first, both) + _kl_nats(2 * second, both)) / 4
    bits: NDArray[np.float64] = np.clip(nats / np.log(2.0), 0.0, 1.0)
    return bits


def hellinger(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Hellinger distance: √(½ Σ (√p - √q)²), which weighs changes of rare bins more than TV does.

    Args:
        p: distributions, float (n, bins); rows sum to 1, or are NaN.
        q: distributions, float (n, bins).

    Returns:
        Distance in [0, 1], float64 (n,).

    Raises:
        ValueError: on shapes other than the above, or rows that are no distributions.

    Source:
        Hellinger (1909), Neue Begründung der Theorie quadratischer Formen.

    Example:
        >>> hellinger([[0.95, 0.05]], [[0.75, 0.25]]).round(4).tolist()
        [0.21]
    """
    first, second = _distributions(p, q)
    squares = (np.sqrt(first) - np.sqrt(second)) ** 2
    distance: NDArray[np.float64] = np.sqrt(0.5 * squares.sum(axis=1))
    return np.minimum(distance, 1.0)


def calibration_kl(p: ArrayLike, q: ArrayLike, alpha: float = 0.01) -> NDArray[np.float64]:
    """Miscalibration: Σ p ln(p / ((1-α)q + αp)), the divergence of a feed from the reader's own
    taste.

    Args:
        p: taste, the reader's mix before the influx, float (n, bins); rows sum to 1, or are NaN.
        q: mix of the feed, float (n, bins).
        alpha: share of p mixed into q, in (0, 1), so that a topic the feed lacks costs much but not
            infinitely much: at most ln(1/α).

    Returns:
        Divergence in nats, at least 0, float64 (n,).

    Raises:
        ValueError: on shapes or alpha other than the above, or rows that are no distributions.

    Source:
        Steck (2018), Calibrated recommendations, RecSys, eq. 6.

    Example:
        >>> calibration_kl([[1.0, 0.0]], [[0.0, 1.0]]).round(4).tolist()
        [4.6052]
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}; expected a share strictly between 0 and 1")
    taste, feed = _distributions(p, q)
    return np.maximum(_kl_nats(taste, feed + alpha * (taste - feed)), 0.0)


# --- the same for a FeedPair ----------------------------------------------------------------------

Distance = Literal["tv", "jsd", "hellinger"]
_DISTANCES: dict[str, Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]] = {
    "tv": tv,
    "jsd": jsd,
    "hellinger": hellinger,
}
Side = Literal["reference", "feeds"]
_SIDES: tuple[Side, Side] = ("reference", "feeds")
_TITLES = {"tv": "mix changed", "jsd": "mix divergence", "hellinger": "mix distance"}
_UNITS = {"tv": "share of slots", "jsd": "bits", "hellinger": "0 to 1"}
_FORMULAS = {
    "tv": "½ Σ |p - q|",
    "jsd": "½ KL(p‖m) + ½ KL(q‖m), m = (p+q)/2",
    "hellinger": "√(½ Σ (√p - √q)²)",
}


@dataclass(frozen=True)
class MixDistance:
    """Distance of two feeds' mixes over the joint values of some attributes; NaN if one is
    empty."""

    attributes: tuple[str, ...]
    distance: Distance

    def __call__(self, pair: FeedPair) -> NDArray[np.float64]:
        distance = _DISTANCES[self.distance]
        codes = [pair.attributes[name] for name in self.attributes]
        n_codes = int(np.prod([int(code.max(initial=0)) + 1 for code in codes]))
        rows = pair.feeds.shape[0]
        if rows * n_codes <= _CELLS_AT_ONCE:
            return distance(*(mix_of(pair, side, self.attributes) for side in _SIDES))
        joint, _ = joint_codes(tuple(codes))
        result, step = np.empty(rows), max(1, _CELLS_AT_ONCE // n_codes)
        for start in range(0, rows, step):
            block = slice(start, start + step)
            mixes = (feed_mix(getattr(pair, side)[block], joint, n_codes) for side in _SIDES)
            result[block] = distance(*mixes)
        return result


def joint_mix(pair: FeedPair) -> NDArray[np.float64]:
    """TV of both feeds' mixes over the cross of all attributes; NaN if one is empty.

    There may be many more combinations than slots, so slots are counted reader by reader, in whole
    numbers: Σ |n_B count_A - n_A count_B| / (2 n_A n_B), exact but for the last division.
    """
    codes, n_codes = combined_codes(tuple(pair.attributes.values()))
    for feeds in (pair.reference, pair.feeds):
        position_weights(feeds, None, codes.size)
    result = np.empty(pair.feeds.shape[0])
    from recsys.drift.kernels import joint_rows  # numba is loaded at first use, not at import

    joint_rows(
        np.ascontiguousarray(pair.reference, dtype=np.int32),
        np.ascontiguousarray(pair.feeds, dtype=np.int32),
        codes,
        n_codes,
        result,
    )
    return result


def mix_of(pair: FeedPair, side: Side, attributes: tuple[str, ...]) -> NDArray[np.float64]:
    """The joint mix of some attributes in one side's feeds, worked out once a pair.

    Returns:
        float64 (n, codes); the row of an empty feed is NaN.
    """

    def made() -> NDArray[np.float64]:
        codes, n_codes = joint_codes(tuple(pair.attributes[name] for name in attributes))
        return feed_mix(getattr(pair, side), codes, n_codes)

    return pair.once(("mix", side, *attributes), made)


def mix_measure(
    name: str,
    attributes: tuple[str, ...],
    distance: Distance = "tv",
    rung: str | None = None,
) -> Measure:
    """A measure of drift in the mix over one attribute, or over several jointly.

    Args:
        name: its key in results.
        attributes: attributes of the items; several are crossed: ("language", "format").
        distance: "tv", "jsd" (bits) or "hellinger".
        rung: the rung of the ladder it stands for, if any.

    Returns:
        A measure that needs those attributes.

    Raises:
        ValueError: if no attribute is named, or the distance is unknown.

    Example:
        >>> measure = mix_measure("product", ("product_tag",))
        >>> measure.needs, measure.title
        (('product_tag',), 'product_tag mix changed')
    """
    if not attributes or isinstance(attributes, str):
        raise ValueError(
            f"measure {name!r} has attributes {attributes!r}; expected a tuple of at least one name"
        )
    if distance not in _DISTANCES:
        raise ValueError(
            f"measure {name!r} has distance {distance!r}; expected one of {sorted(_DISTANCES)}"
        )
    crossed = " × ".join(attributes)
    return Measure(
        name=name,
        title=f"{crossed} {_TITLES[distance]}",
        kind="drift",
        unit=_UNITS[distance],
        formula=f"{_FORMULAS[distance]} over {crossed}",
        function=MixDistance(tuple(attributes), distance),
        needs=tuple(attributes),
        rung=rung,
        pooled=True,
    )


def share_measure(attribute: str, code: int, label: str) -> Measure:
    """A measure of the level of one value: the share of slots that hold such items.

    Args:
        attribute: attribute of the items.
        code: the value's code.
        label: the value's name; the measure is called `attribute:label`.

    Returns:
        A measure of kind "level" that needs the attribute.

    Example:
        >>> measure = share_measure("language", 1, "en")
        >>> feeds = np.array([[0, 1]], dtype=np.int32)
        >>> codes = {"language": np.array([0, 1], dtype=np.int32)}
        >>> pair = FeedPair(feeds, feeds, codes, np.zeros(2, dtype=bool), np.ones(2))
        >>> measure.name, measure(pair).tolist()
        ('language:en', [0.5])
    """
    return Measure(
        name=f"{attribute}:{label}",
        title=f"slots with {attribute} {label}",
        kind="level",
        unit="share of slots",
        formula=f"(slots with {attribute} {label})/(slots filled)",
        function=MixShare(attribute, code),
        needs=(attribute,),
    )


def topic_calibration(pair: FeedPair) -> NDArray[np.float64]:
    """Miscalibration of the topics of a feed to what its reader liked before the influx."""
    assert pair.history is not None
    taste, feed = pair.history["topic"], mix_of(pair, "feeds", ("topic",))
    width = max(taste.shape[1], feed.shape[1])  # a topic that nobody liked, or that no item has
    both = [np.pad(mix, ((0, 0), (0, width - mix.shape[1]))) for mix in (taste, feed)]
    return calibration_kl(both[0], both[1])


@dataclass(frozen=True)
class MixShare:
    """The share of slots whose item has one value of an attribute; can be pickled."""

    attribute: str
    code: int

    def __call__(self, pair: FeedPair) -> NDArray[np.float64]:
        """One share a reader, NaN for an empty feed."""
        mix = mix_of(pair, "feeds", (self.attribute,))
        if self.code < mix.shape[1]:
            return np.ascontiguousarray(mix[:, self.code])
        return np.where(np.isnan(mix[:, 0]), np.nan, 0.0)


def joint_codes(attributes: tuple[NDArray[Any], ...]) -> tuple[NDArray[np.int64], int]:
    """One code per combination of values, and the number of combinations.

    Args:
        attributes: codes of the items, each integers (n_items,) from 0.

    Returns:
        Codes, int64 (n_items,), and the number of bins.

    Raises:
        ValueError: on a negative code.

    Example:
        >>> codes, bins = joint_codes((np.array([0, 1, 1]), np.array([2, 0, 2])))
        >>> codes.tolist(), bins
        ([2, 3, 5], 6)
    """
    joint = np.zeros(attributes[0].shape, dtype=np.int64)
    n_codes = 1
    for codes in attributes:
        values = int(codes.max(initial=0)) + 1
        _require_codes(codes, values)
        joint = joint * values + codes
        n_codes *= values
    return joint, n_codes


def combined_codes(attributes: tuple[NDArray[Any], ...]) -> tuple[NDArray[np.int64], int]:
    """As `joint_codes`, but where there are very many combinations only those that occur count.

    Args, Raises: as in `joint_codes`.

    Example:
        >>> far = 10**6 * np.arange(3)
        >>> combined_codes((far, far, far, far[::-1]))  # of 1.6 · 10^25
        (array([0, 1, 2]), 3)
    """
    joint, n_codes = joint_codes(attributes[:1])
    for codes in attributes[1:]:
        values = int(codes.max(initial=0)) + 1
        if n_codes * values > _MANY_CODES:
            joint, n_codes = _those_that_occur(joint)
        _require_codes(codes, values)
        joint, n_codes = joint * values + codes, n_codes * values
    return (joint, n_codes) if n_codes <= _MANY_CODES else _those_that_occur(joint)


def _those_that_occur(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    found, numbers = np.unique(codes, return_inverse=True)
    return numbers.astype(np.int64), found.size


# --- helpers --------------------------------------------------------------------------------------


def position_weights(
    feeds: NDArray[Any], weights: ArrayLike | None, n_items: int
) -> NDArray[np.float64]:
    """Weights by rank, float64 (k,), once feeds (n, k) of ids below n_items and weights are
    checked."""
    if feeds.ndim != 2 or not np.issubdtype(feeds.dtype, np.integer):
        raise ValueError(
            f"ids has shape {feeds.shape} and dtype {feeds.dtype}; expected integer ids (n, k)"
        )
    if feeds.size and not -1 <= feeds.min() <= feeds.max() < n_items:
        raise ValueError(
            f"ids run from {feeds.min()} to {feeds.max()}; "
            f"expected 0 to {n_items - 1}, the items described, and -1 for empty slots"
        )
    ranks = np.ones(feeds.shape[1]) if weights is None else np.asarray(weights, dtype=np.float64)
    if ranks.shape != feeds.shape[1:] or not (ranks >= 0).all():
        raise ValueError(
            f"weights has shape {ranks.shape}; expected one weight of at least 0 for each of the "
            f"{feeds.shape[1]} ranks"
        )
    return ranks


def _require_codes(codes: NDArray[Any], n_codes: int) -> None:
    if codes.ndim != 1 or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(
            f"codes has shape {codes.shape} and dtype {codes.dtype}; expected integers (n_items,)"
        )
    if codes.size and not 0 <= codes.min() <= codes.max() < n_codes:
        raise ValueError(
            f"codes run from {codes.min()} to {codes.max()}; expected 0 to {n_codes - 1} "
            "(give unknown values a code of their own)"
        )


def _distributions(p: ArrayLike, q: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"p has shape {first.shape} and q {second.shape}; expected both (n, bins)")
    for name, rows in (("p", first), ("q", second)):
        off = (rows < 0).any(axis=1) | (np.abs(rows.sum(axis=1) - 1.0) > 1e-6)
        if off.any():
            row = int(np.argmax(off))
            raise ValueError(
                f"row {row} of {name} sums to {rows[row].sum():.6g}; expected shares of at least 0 "
                "that sum to 1, or NaN"
            )
    return first, second


def _kl_nats(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ p ln(p/q) by row, with 0 ln 0 = 0."""
    from scipy.special import rel_entr  # loaded at first use, not at import

    nats: NDArray[np.float64] = np.asarray(rel_entr(p, q)).sum(axis=1)
    return nats
