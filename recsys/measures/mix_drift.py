"""How far two mixes are apart: distances between shares of topics, languages, formats."""

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
"""Larger tables of counts are made in blocks of readers, and not kept."""


_DEEPEST_TABLE = 1_000
"""Slots of a feed, at most, for which the terms of distances are kept in a table."""


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
        _, n_codes = joint_of(pair, self.attributes)
        rows, depth = pair.feeds.shape
        if rows * n_codes <= _CELLS_AT_ONCE:
            before, after = (counts_of(pair, side, self.attributes) for side in _SIDES)
            return _distance_of_counts(self.distance, before, after, depth)
        parts = pair.parts(max(1, _CELLS_AT_ONCE // n_codes))
        return np.concatenate([self(part) for part in parts])


def joint_mix(pair: FeedPair) -> NDArray[np.float64]:
    """TV of both feeds' mixes over the cross of all attributes; NaN if one is empty.

    There may be many more combinations than slots, so slots are counted reader by reader, in whole
    numbers: Σ |n_B count_A - n_A count_B| / (2 n_A n_B), exact but for the last division.
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
    """Slots of each feed by code, int32 (n, codes), and all of them, int32 (n,)."""

    by_code: NDArray[np.int32]
    slots: NDArray[np.int32]

    @property
    def shares(self) -> NDArray[np.float64]:
        """The mix, float64 (n, codes); the row of an empty feed is NaN."""
        return ratio(self.by_code.astype(np.float64), self.slots[:, None].astype(np.float64))


def counts_of(pair: FeedPair, side: Side, attributes: tuple[str, ...]) -> Counts:
    """Slots by the joint values of some attributes in one side's feeds, counted once a pair."""

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
    """`combined_codes` of a pair's items, int32."""

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
    taste, feed = pair.history["topic"], counts_of(pair, "feeds", ("topic",)).shares
    if taste.shape == feed.shape:
        _require_shares("history", taste)
        return _miscalibration(taste, feed, _ALPHA)
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
        counts = counts_of(pair, "feeds", (self.attribute,))
        if self.code < counts.by_code.shape[1]:
            theirs = counts.by_code[:, self.code].astype(np.float64)
        else:
            theirs = np.zeros(counts.slots.size)
        return ratio(theirs, counts.slots.astype(np.float64))


def _distance_of_counts(
    distance: Distance, a: Counts, b: Counts, depth: int
) -> NDArray[np.float64]:
    """`_distance` of the shares, to the bit. Of full feeds the terms are looked up: there are no
    more than (depth + 1)² of them, kept from call to call, and logarithms and roots are slow."""
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
    """`_terms` of i of `depth` slots in one feed and j in the other, at i (depth + 1) + j."""
    shares = np.arange(depth + 1) / np.float64(depth)
    p, q = np.repeat(shares, depth + 1), np.tile(shares, depth + 1)
    return _terms(distance, p, q)
