"""Who is shown: the newcomers' share of feeds, and how evenly attention is spread over creators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.measures.mix import position_weights
from recsys.measures.pair import FeedPair, ratio


def gini(x: ArrayLike) -> NDArray[np.float64]:
    """Gini coefficient: Σ_i (2i - m - 1) x_(i) / (m Σ x), of what each of m creators gets.

    It is 0 where all creators get the same, and 1 - 1/m where one creator gets everything.

    Args:
        x: amounts (impressions, say), at least 0, float (m,) or one row per case (n, m).

    Returns:
        Concentration in [0, 1), float64 of shape () or (n,); NaN where a row sums to 0.

    Raises:
        ValueError: on another shape, or a negative or missing amount.

    Source:
        Gini (1912), Variabilità e mutabilità.

    Example:
        >>> float(gini([0, 0, 0, 1]))
        0.75
        >>> gini([[1, 1, 1, 1], [1, 2, 3, 4]]).tolist()
        [0.0, 0.25]
    """
    amounts = np.asarray(x, dtype=np.float64)
    if amounts.ndim not in (1, 2) or amounts.shape[-1] == 0:
        raise ValueError(f"x has shape {amounts.shape}; expected (m,) or (n, m)")
    if not (amounts >= 0).all():
        raise ValueError(f"x has a minimum of {amounts.min()}; expected amounts of at least 0")
    m = amounts.shape[-1]
    ranked = np.sort(amounts, axis=-1) * (2.0 * np.arange(1, m + 1) - m - 1)
    return ratio(np.asarray(ranked.sum(axis=-1)), np.asarray(m * amounts.sum(axis=-1)))


def position_weighted_share(
    ids: ArrayLike, flag_per_item: ArrayLike, weights: ArrayLike | None
) -> NDArray[np.float64]:
    """Share of a feed's attention that flagged items get: Σ w·flag / Σ w over its filled slots.

    A newcomer's post on top is seen; one at rank 20 mostly is not.

    Args:
        ids: feeds, integer ids (n, k), -1 for empty slots.
        flag_per_item: bool (n_items,).
        weights: weight of each rank, float (k,), at least 0; None counts each slot once.

    Returns:
        Share in [0, 1], float64 (n,); NaN where a feed is empty.

    Raises:
        ValueError: on shapes, dtypes or ids other than the above.

    Example:
        >>> flags = [False, False, True]
        >>> position_weighted_share([[2, 0, -1]], flags, [1.0, 0.5, 0.25]).round(3).tolist()
        [0.667]
    """
    feeds, flags = np.asarray(ids), np.asarray(flag_per_item)
    if flags.ndim != 1 or flags.dtype != np.bool_:
        raise ValueError(
            f"flag_per_item has shape {flags.shape} and dtype {flags.dtype}; "
            "expected bool (n_items,)"
        )
    slot_weights = position_weights(feeds, weights, flags.size)
    filled = feeds >= 0
    return _share(filled, _flagged(feeds, filled, flags), None if weights is None else slot_weights)


def _flagged(
    feeds: NDArray[Any], filled: NDArray[np.bool_], flags: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Slots with a flagged item, bool (n, k)."""
    flagged: NDArray[np.bool_] = flags.take(np.maximum(feeds, 0))
    flagged &= filled
    return flagged


def _share(
    filled: NDArray[np.bool_], flagged: NDArray[np.bool_], weights: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Share of the filled slots' weights that flagged slots hold; None counts each slot once."""
    if weights is None:
        part, whole = (slots.sum(axis=1).astype(np.float64) for slots in (flagged, filled))
    else:
        part, whole = (np.where(slots, weights, 0.0).sum(axis=1) for slots in (flagged, filled))
    return ratio(part, whole)


def coverage(ids: ArrayLike, n_items: int) -> float:
    """Share of the catalogue that stands in at least one feed.

    Args:
        ids: feeds, integer ids (n, k), -1 for empty slots.
        n_items: items that could have been shown, at least 1; ids are below it.

    Returns:
        Share in [0, 1].

    Raises:
        ValueError: on shapes, dtypes or ids other than the above.

    Example:
        >>> coverage([[0, 1], [1, -1]], n_items=4)
        0.5
    """
    if n_items < 1:
        raise ValueError(f"n_items is {n_items}; expected at least 1")
    feeds = np.asarray(ids)
    position_weights(feeds, None, n_items)
    return np.unique(feeds[feeds >= 0]).size / n_items


def homogenisation(ids: ArrayLike, n_items: int) -> float:
    """How alike feeds are: the mean share of a feed's slots whose items another feed has, too.

    The formula is Σ_i c_i (c_i - 1) / ((n - 1) Σ_i c_i), where c_i is the number of users who are
    shown item i. Draw a slot at random, and another user at random: the formula gives the chance
    that this user is shown the item in the slot, too.

    Args:
        ids: feeds, integer ids (n, k), -1 for empty slots; no id twice in a feed.
        n_items: items that could have been shown; ids are below it.

    Returns:
        Share in [0, 1]: 0 where no two users share an item, 1 where all see the same; NaN if there
        are fewer than two feeds, or if all feeds are empty.

    Raises:
        ValueError: on shapes, dtypes or ids other than the above.

    Source:
        Chaney, Stewart & Engelhardt (2018), How algorithmic confounding in recommendation systems
        increases homogeneity and decreases utility, RecSys; here over all pairs of users, and as a
        share of slots.

    Example:
        >>> homogenisation([[0, 1], [0, 2], [0, 3]], n_items=4)
        0.5
    """
    if n_items < 1:
        raise ValueError(f"n_items is {n_items}; expected at least 1")
    feeds = np.asarray(ids)
    position_weights(feeds, None, n_items)
    audience = np.bincount(feeds[feeds >= 0], minlength=n_items).astype(np.float64)
    slots = audience.sum()
    if feeds.shape[0] < 2 or slots == 0:
        return float("nan")
    return float((audience * (audience - 1)).sum() / ((feeds.shape[0] - 1) * slots))


def attention(ids: ArrayLike, weights: ArrayLike | None, n_items: int) -> NDArray[np.float64]:
    """How often each item is looked at: the sum of the weights of the slots that it holds.

    Args:
        ids: feeds, integer ids (n, k), -1 for empty slots.
        weights: weight of each rank, float (k,), at least 0; None counts each slot once.
        n_items: number of items; ids are below it.

    Returns:
        Looks, float64 (n_items,).

    Raises:
        ValueError: on shapes, dtypes or ids other than the above.

    Example:
        >>> attention([[0, 1], [1, -1]], [1.0, 0.5], n_items=3).tolist()
        [1.0, 1.5, 0.0]
    """
    feeds = np.asarray(ids)
    slot_weights = position_weights(feeds, weights, n_items)
    row, rank = np.nonzero(feeds >= 0)
    looks = np.bincount(feeds[row, rank], slot_weights[rank], minlength=n_items)
    return np.asarray(looks, dtype=np.float64)


def share_by_size(
    looks: ArrayLike, sizes: ArrayLike, part: float, *, largest: bool = False
) -> float:
    """Share of all looks that the smallest creators get, or the largest.

    If the cut falls among creators of one size, each of them counts by the same fraction. So the
    order of creators of one size changes nothing.

    Args:
        looks: what each creator gets, float (m,), at least 0.
        sizes: size of each creator, such as followers, float (m,). A creator of size NaN is not
            ranked; looks that this creator gets count among all looks only.
        part: share of the ranked creators, such as 0.5; above 0, at most 1.
        largest: whether the largest creators are taken, not the smallest.

    Returns:
        Share in [0, 1]; NaN where nobody is ranked or nobody looks.

    Raises:
        ValueError: on shapes or amounts other than the above.

    Example:
        >>> share_by_size([3, 1, 0, 4], [10, 10, 5, 80], 0.5)  # all of the 5, half of each 10
        0.25
        >>> share_by_size([3, 1, 0, 4], [10, 10, 5, 80], 0.25, largest=True)
        0.5
    """
    amounts, size = np.asarray(looks, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    if amounts.ndim != 1 or size.shape != amounts.shape:
        raise ValueError(f"looks has shape {amounts.shape}, sizes {size.shape}; expected both (m,)")
    if not (amounts >= 0).all():
        raise ValueError(f"looks has a minimum of {amounts.min()}; expected at least 0")
    if not 0.0 < part <= 1.0:
        raise ValueError(f"part is {part}; expected above 0, at most 1")
    ranked = ~np.isnan(size)
    if not ranked.any() or not amounts.sum() > 0:
        return float("nan")
    values, group = np.unique(-size[ranked] if largest else size[ranked], return_inverse=True)
    members = np.bincount(group, minlength=values.size)
    before = np.cumsum(members) - members
    inside = np.clip((part * group.size - before) / members, 0.0, 1.0)
    looks_by_size = np.bincount(group, amounts[ranked], minlength=values.size)
    return min(float(inside @ looks_by_size / amounts.sum()), 1.0)


# --- the same for a FeedPair: levels of the measured feeds ----------------------------------------


def _by_newcomers(pair: FeedPair) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Slots that are filled, and those with newcomers' posts, bool (n, k)."""

    def made() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        assert pair.from_newcomers is not None
        position_weights(pair.feeds, None, pair.from_newcomers.size)
        filled = pair.feeds >= 0
        return filled, _flagged(pair.feeds, filled, pair.from_newcomers)

    return pair.once(("by newcomers",), made)


def newcomer_share(pair: FeedPair) -> NDArray[np.float64]:
    """Share of the attention that newcomers' posts get."""
    return _share(*_by_newcomers(pair), position_weights(pair.feeds[:0], pair.examine, 0))


def newcomer_slots(pair: FeedPair) -> NDArray[np.float64]:
    """Share of slots with newcomers' posts."""
    return pair.once(("newcomer_slots",), lambda: _share(*_by_newcomers(pair), None))


_FIRST_CARDS = 4
_HEAVY = 0.25


def noticeable(pair: FeedPair) -> NDArray[np.float64]:
    """1 if a newcomer's post is among the first four cards, which a phone shows at once; else 0."""
    filled, newcomers = (slots[:, :_FIRST_CARDS] for slots in _by_newcomers(pair))
    return np.where(filled.any(axis=1), newcomers.any(axis=1).astype(np.float64), np.nan)


def influx_heavy(pair: FeedPair) -> NDArray[np.float64]:
    """1 if a quarter or more of the slots hold newcomers' posts; else 0."""
    share = newcomer_slots(pair)
    return np.where(np.isnan(share), np.nan, (share >= _HEAVY).astype(np.float64))


def popularity(pair: FeedPair) -> NDArray[np.float64]:
    """Mean popularity of the slots' posts."""
    assert pair.popularity is not None
    filled = pair.feeds >= 0
    in_slots = np.where(filled, pair.popularity[np.where(filled, pair.feeds, 0)], 0.0)
    return ratio(in_slots.sum(axis=1), filled.sum(axis=1).astype(np.float64))
