"""The mix of a feed: its shares of languages, formats or topics, and distances between mixes.

Two feeds may share no post and still offer the same mix, since fresh posts replace one another
every day. A mix is a row of shares, (n, bins); a row of NaN (an empty feed) gives a distance of
NaN. Distances between mixes of few slots are biased upward: compare them with those of a placebo,
not with 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ALPHA = 0.01
"""Share of the taste that `calibration_kl` mixes into a feed's mix."""


_MANY_CODES = 1_000_000
"""Where attributes have more combinations than this, only those that occur get numbers."""


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
    from recsys.measures.mix_kernels import mix_rows

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
    return _distance("tv", *_distributions(p, q))


def jsd(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Jensen–Shannon divergence in bits: ½ KL(p‖m) + ½ KL(q‖m), m = (p+q)/2.

    How much one slot tells about which of the two feeds it comes from. Unlike KL it is symmetric,
    and it stays finite when a feed has a language that the other lacks.

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
    return _distance("jsd", *_distributions(p, q))


def hellinger(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Hellinger distance: √(½ Σ (√p - √q)²). Changes of rare bins weigh more in it than in TV.

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
    return _distance("hellinger", *_distributions(p, q))


def calibration_kl(p: ArrayLike, q: ArrayLike, alpha: float = _ALPHA) -> NDArray[np.float64]:
    """Miscalibration: Σ p ln(p / ((1-α)q + αp)), how far a feed's mix is from its user's taste.

    Args:
        p: taste, the mix of what the user liked, float (n, bins); rows sum to 1, or are NaN.
        q: mix of the feed, float (n, bins).
        alpha: share of p that is mixed into q, between 0 and 1, such as 0.01. It keeps the result
            finite for a feed that lacks a topic: at most ln(1/α).

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
    return _miscalibration(*_distributions(p, q), alpha)


Distance = Literal["tv", "jsd", "hellinger"]


_DISTANCES: dict[str, Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]] = {
    "tv": tv,
    "jsd": jsd,
    "hellinger": hellinger,
}


def joint_codes(attributes: tuple[NDArray[Any], ...]) -> tuple[NDArray[np.int64], int]:
    """One code for each combination of values, and the number of combinations.

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
    """As `joint_codes`, but with few codes: of very many combinations, only those that occur count.

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
    occurring, numbers = np.unique(codes, return_inverse=True)
    return numbers.astype(np.int64), occurring.size


# --- helpers --------------------------------------------------------------------------------------


def position_weights(
    feeds: NDArray[Any], weights: ArrayLike | None, n_items: int
) -> NDArray[np.float64]:
    """Checks feeds and weights, and returns the weight of each rank, float64 (k,)."""
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
    _require_shares("p", first)
    _require_shares("q", second)
    return first, second


def _require_shares(name: str, rows: NDArray[np.float64]) -> None:
    off = (rows < 0).any(axis=1) | (np.abs(rows.sum(axis=1) - 1.0) > 1e-6)
    if off.any():
        row = int(np.argmax(off))
        raise ValueError(
            f"row {row} of {name} sums to {rows[row].sum():.6g}; expected shares of at least 0 "
            "that sum to 1, or NaN"
        )


def _miscalibration(
    taste: NDArray[np.float64], feed: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    return np.maximum(_kl_nats(taste, feed + alpha * (taste - feed)), 0.0)


def _terms(
    distance: Distance, p: NDArray[np.float64], q: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """The terms, bin by bin, whose sums `_from_sums` turns into a distance."""
    if distance == "tv":
        return (np.abs(p - q),)
    if distance == "hellinger":
        return ((np.sqrt(p) - np.sqrt(q)) ** 2,)
    from scipy.special import rel_entr  # loaded at first use, not at import

    both = p + q  # twice m: halves of very small shares could become 0
    return np.asarray(rel_entr(2 * p, both)), np.asarray(rel_entr(2 * q, both))


def _from_sums(distance: Distance, sums: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    if distance == "tv":
        return np.minimum(0.5 * sums[0], 1.0)
    if distance == "hellinger":
        return np.minimum(np.sqrt(0.5 * sums[0]), 1.0)
    bits: NDArray[np.float64] = np.clip((sums[0] + sums[1]) / 4 / np.log(2.0), 0.0, 1.0)
    return bits


def _distance(
    distance: Distance, p: NDArray[np.float64], q: NDArray[np.float64]
) -> NDArray[np.float64]:
    return _from_sums(distance, [terms.sum(axis=1) for terms in _terms(distance, p, q)])


def _kl_nats(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ p ln(p/q) by row, with 0 ln 0 = 0."""
    from scipy.special import rel_entr  # loaded at first use, not at import

    nats: NDArray[np.float64] = np.asarray(rel_entr(p, q)).sum(axis=1)
    return nats
