"""The rank comparisons as their formulas say them: one pair of feeds at a time, in plain Python.

Nothing runs these functions but the tests, which hold the compiled loops of `rank_kernels` against
them. Read them to learn what is computed. A feed is a list of item ids, rank 1 first, without empty
slots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def shared_to_depth(a: Sequence[int], b: Sequence[int], depth: int) -> int:
    """X_d: how many ids the first d ranks of both feeds share; of repeats, as many as both have.

    >>> [shared_to_depth([1, 2, 3], [2, 1, 9], d) for d in (1, 2, 3)]
    [0, 2, 2]
    """
    return (Counter(a[:depth]) & Counter(b[:depth])).total()


def agreement(a: Sequence[int], b: Sequence[int], p: float) -> float:
    """FRBO: Σ p^(d-1) X_d/d / Σ p^(d-1), over the depths d of the shorter feed.

    >>> agreement([1, 2], [2, 1], p=1.0)
    0.5
    """
    length = min(len(a), len(b))
    if length == 0:
        return 1.0 if len(a) == len(b) else 0.0
    total = normaliser = 0.0
    for d in range(1, length + 1):
        weight = p ** (d - 1)
        total += weight * (shared_to_depth(a, b, d) / d)
        normaliser += weight
    return total / normaliser


def slots(
    a: Sequence[int], b: Sequence[int], from_newcomers: Sequence[bool]
) -> tuple[int, int, int]:
    """Slots of b kept, slots that newcomers' posts took, and slots compared.

    >>> slots([0, 1, 4], [1, 3, 4], [False, False, True, True, False])
    (2, 1, 3)
    """
    length = min(len(a), len(b))
    kept = shared_to_depth(a, b, length)
    new = set(b[:length]) - set(a[:length])
    return kept, sum(from_newcomers[post] for post in new), length


def extrapolated(a: Sequence[int], b: Sequence[int], p: float) -> float:
    """RBO_ext: the agreement A_d at every depth d from 1 to infinity, weighted by p^(d-1).

    Within the shorter feed (length s) A_d = X_d/d. Between the ends of the two feeds
    A_d = (X_d + X_s (d-s)/s) / d. Past both ends A_d stays what it was.

    >>> extrapolated([0, 1, 2], [0, 1], p=0.9)
    1.0
    """
    shorter, longer = sorted((len(a), len(b)))
    if shorter == 0:
        return 1.0 if longer == 0 else 0.0
    at_end = shared_to_depth(a, b, shorter)
    total = normaliser = value = 0.0
    for d in range(1, longer + 1):
        shared = shared_to_depth(a, b, d)
        if d <= shorter:
            value = shared / d
        else:
            value = (shared * shorter + at_end * (d - shorter)) / (shorter * d)
        weight = p ** (d - 1)
        total += weight * value
        normaliser += weight
    tail = p ** (longer - 1) * p / (1.0 - p)  # Σ p^(d-1) over all d past the longer feed
    return (total + tail * value) / (normaliser + tail)


def extrapolated_over_ties(
    a: Sequence[int],
    b: Sequence[int],
    scores_a: Sequence[float],
    scores_b: Sequence[float],
    p: float,
) -> float:
    """RBO_ext^a: as `extrapolated`, but each post counts at depth d by the share of the orders of
    its tie group in which it stands within the first d ranks.

    >>> extrapolated_over_ties([0, 1], [1, 0], [1.0, 1.0], [1.0, 1.0], p=0.5)
    0.75
    """
    shorter, longer = sorted((len(a), len(b)))
    if shorter == 0:
        return 1.0 if longer == 0 else 0.0
    groups = {"a": _tie_groups(scores_a, len(a)), "b": _tie_groups(scores_b, len(b))}

    def share(side: str, rank: int, d: int) -> float:
        first, last = groups[side][rank]
        return min(max((d - first) / (last - first + 1), 0.0), 1.0)

    def shared(d: int) -> float:
        return sum(
            share("a", rank, d) * share("b", list(b).index(post), d)
            for rank, post in enumerate(a)
            if post in b
        )

    side, others = ("a", b) if len(a) > len(b) else ("b", a)
    total = normaliser = value = 0.0
    for d in range(1, longer + 1):
        value = shared(d) / d
        if d > shorter:
            alone = [
                share(side, rank, d)
                for rank, post in enumerate(a if side == "a" else b)
                if post not in others and share(side, rank, d) > 0
            ]
            value += shared(shorter) / shorter * (d - shorter) * sum(alone) / len(alone) / d
        weight = p ** (d - 1)
        total += weight * value
        normaliser += weight
    tail = p ** (longer - 1) * p / (1.0 - p)
    return (total + tail * value) / (normaliser + tail)


def _tie_groups(scores: Sequence[float], length: int) -> list[tuple[int, int]]:
    """First and last rank of the group of equal neighbours that each rank belongs to, from 0."""
    groups = []
    for rank in range(length):
        first = last = rank
        while first > 0 and scores[first - 1] == scores[rank]:
            first -= 1
        while last + 1 < length and scores[last + 1] == scores[rank]:
            last += 1
        groups.append((first, last))
    return groups


def kendall(a: Sequence[int], b: Sequence[int], penalty: float) -> float:
    """Fagin's K^(p): the cost of all pairs of posts that stand in one feed at least.

    Both feeds are cut to the shorter one; where one is empty, the other is compared with a feed of
    its length that holds none of its posts.

    >>> kendall([1, 2, 3], [4, 5, 6], penalty=0.5)
    12.0
    """
    length = min(len(a), len(b))
    if length == 0:
        longer = max(len(a), len(b))
        return longer * longer + penalty * longer * (longer - 1)
    place_a = {post: rank for rank, post in enumerate(a[:length])}
    place_b = {post: rank for rank, post in enumerate(b[:length])}
    posts = sorted({*place_a, *place_b})
    cost, unordered = 0, 0
    for at, one in enumerate(posts):
        for other in posts[at + 1 :]:
            holds_a = [post in place_a for post in (one, other)]
            holds_b = [post in place_b for post in (one, other)]
            if all(holds_a) and all(holds_b):
                above_a = place_a[one] < place_a[other]
                cost += above_a != (place_b[one] < place_b[other])
            elif all(holds_a) or all(holds_b):
                both, lacking = (place_a, holds_b) if all(holds_a) else (place_b, holds_a)
                if any(lacking):  # wrong if the feed that holds one of them holds the lower one
                    upper = one if both[one] < both[other] else other
                    cost += not lacking[(one, other).index(upper)]
                else:
                    unordered += 1
            else:  # each feed holds one of them, and therefore ranks it above the other
                cost += 1
    return cost + penalty * unordered
