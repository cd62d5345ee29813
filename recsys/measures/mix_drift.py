"""Drift by mix: each distance of `mix` as a measure of a `FeedPair`; shares of single values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.measures.mix import (
    _ALPHA,
    _DISTANCES,
    Distance,
    _distance,
    _from_sums,
    _miscalibration,
    _require_shares,
    _terms,
    calibration_kl,
    combined_codes,
    position_weights,
)
from recsys.measures.pair import FeedPair, Measure, ratio

_CELLS_AT_ONCE = 16_000_000
"""A table of counts with more cells is made for a few users at a time, and not kept."""


_DEEPEST_TABLE = 1_000
"""For feeds with more slots, the terms of distances are not kept in a table."""


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
    """The distance between the mixes of two feeds, over the joint values of some attributes.

    It is NaN if one of the feeds is empty.
    """

    attributes: tuple[str, ...]
    distance: Distance

    def __call__(self, pair: FeedPair) -> NDArray[np.float64]:
        _, n_codes = joint_of(pair, self.attributes)
        rows, depth = pair.feeds.shape
        if rows * n_codes <= _CELLS_AT_ONCE:
            before, after = (counts_of(pair, side, self.attributes) for side in _SIDES)
            return _distance_of_counts(self.distance, before, after, depth)
        parts = pair.parts(max(1, _CELLS_AT_ONCE // n_codes))
        return np.concatenate([self(part) for part in parts])


def joint_mix(pair: FeedPair) -> NDArray[np.float64]:
    """TV of both feeds' mixes over the combinations of all attributes; NaN if a feed is empty.

    There may be many more combinations than slots, so no table of them is made: the slots of each
    user are counted, in whole numbers. Σ |n_B count_A - n_A count_B| / (2 n_A n_B) is exact up to
    the last division.
    """
    codes, n_codes = joint_of(pair, tuple(pair.attributes))
    for feeds in (pair.reference, pair.feeds):
        position_weights(feeds, None, codes.size)
    result = np.empty(pair.feeds.shape[0])
    from recsys.measures.mix_kernels import joint_rows

    joint_rows(
        np.ascontiguousarray(pair.reference, dtype=np.int32),
        np.ascontiguousarray(pair.feeds, dtype=np.int32),
        codes,
        n_codes,
        result,
    )
    return result


class Counts(NamedTuple):
    """Slots of each feed with each code, int32 (n, codes), and all filled slots, int32 (n,)."""

    by_code: NDArray[np.int32]
    slots: NDArray[np.int32]

    @property
    def shares(self) -> NDArray[np.float64]:
        """The mix, float64 (n, codes); the row of an empty feed is NaN."""
        return ratio(self.by_code.astype(np.float64), self.slots[:, None].astype(np.float64))


def counts_of(pair: FeedPair, side: Side, attributes: tuple[str, ...]) -> Counts:
    """Counts of the joint values of some attributes in the feeds of one side; made once a pair."""

    def made() -> Counts:
        codes, n_codes = joint_of(pair, attributes)
        feeds = getattr(pair, side)
        position_weights(feeds, None, codes.size)
        by_code = np.empty((feeds.shape[0], n_codes), dtype=np.int32)
        slots = np.empty(feeds.shape[0], dtype=np.int32)
        from recsys.measures.mix_kernels import count_rows

        count_rows(np.ascontiguousarray(feeds, dtype=np.int32), codes, by_code, slots)
        return Counts(by_code, slots)

    return pair.once(("counts", side, *attributes), made)


def joint_of(pair: FeedPair, attributes: tuple[str, ...]) -> tuple[NDArray[np.int32], int]:
    """`combined_codes` of the items of a pair, int32; made once for all its parts."""

    def made() -> tuple[NDArray[np.int32], int]:
        codes, n_codes = combined_codes(tuple(pair.attributes[name] for name in attributes))
        return codes.astype(np.int32), n_codes

    return pair.once_for_items(("joint", *attributes), made)


def mix_measure(
    name: str,
    attributes: tuple[str, ...],
    distance: Distance = "tv",
    rung: str | None = None,
) -> Measure:
    """A measure of drift in the mix over one attribute, or over several jointly.

    Args:
        name: its key in results, such as "topic".
        attributes: attributes of the items. With several, such as ("language", "format"), their
            combinations are counted.
        distance: "tv", "jsd" (bits) or "hellinger".
        rung: its place on the ladder of measures, see `Measure`; None if it has none.

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
    """A level: the share of slots whose item has one value of an attribute.

    Args:
        attribute: attribute of the items, such as "language".
        code: code of the value, such as 1.
        label: name of the value, such as "en". The measure is called `attribute:label`.

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
    """`calibration_kl` of a feed's topics and the topics that its user liked before the influx."""
    assert pair.history is not None
    taste, feed = pair.history["topic"], counts_of(pair, "feeds", ("topic",)).shares
    if taste.shape == feed.shape:
        _require_shares("history", taste)
        return _miscalibration(taste, feed, _ALPHA)
    # A topic that nobody liked is missing on one side, a topic that no item has on the other.
    width = max(taste.shape[1], feed.shape[1])
    both = [np.pad(mix, ((0, 0), (0, width - mix.shape[1]))) for mix in (taste, feed)]
    return calibration_kl(both[0], both[1])


@dataclass(frozen=True)
class MixShare:
    """The function of `share_measure`; a class, so that it can be pickled."""

    attribute: str
    code: int

    def __call__(self, pair: FeedPair) -> NDArray[np.float64]:
        """One share a user, NaN for an empty feed."""
        counts = counts_of(pair, "feeds", (self.attribute,))
        if self.code < counts.by_code.shape[1]:
            slots = counts.by_code[:, self.code].astype(np.float64)
        else:
            slots = np.zeros(counts.slots.size)
        return ratio(slots, counts.slots.astype(np.float64))


def _distance_of_counts(
    distance: Distance, a: Counts, b: Counts, depth: int
) -> NDArray[np.float64]:
    """`_distance` of the shares, to the bit.

    The terms of full feeds are looked up: there are only (depth + 1)² different ones, and taking
    logarithms and roots anew is slow.
    """
    full = (a.slots == depth) & (b.slots == depth)
    if depth > _DEEPEST_TABLE or not full.any():
        return _distance(distance, a.shares, b.shares)
    whole = bool(full.all())
    of_full = [c.by_code if whole else c.by_code[full] for c in (a, b)]
    at = of_full[0] * np.int32(depth + 1) + of_full[1]
    sums = [table.take(at).sum(axis=1) for table in _tables(distance, depth)]
    if whole:
        return _from_sums(distance, sums)
    result = np.empty(full.size)
    result[full] = _from_sums(distance, sums)
    rest = [Counts(c.by_code[~full], c.slots[~full]).shares for c in (a, b)]
    result[~full] = _distance(distance, rest[0], rest[1])
    return result


@lru_cache(maxsize=12)
def _tables(distance: Distance, depth: int) -> tuple[NDArray[np.float64], ...]:
    """`_terms` for i of `depth` slots in one feed, j in the other, at place i (depth + 1) + j."""
    shares = np.arange(depth + 1) / np.float64(depth)
    p, q = np.repeat(shares, depth + 1), np.tile(shares, depth + 1)
    return _terms(distance, p, q)
