"""The best of many lists: a tournament merges lists that are sorted, however many users there are.

Where a score is a user's liking of a list times the weight of an item, all users agree on the order
within a list. So the exact ranking of a user is a merge of a few dozen sorted lists, and no score
per user and item has to be computed (Knuth, *The Art of Computer Programming* 3, ch. 5.4.1).
"""
# mypy: disallow-untyped-decorators=False

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def leaves_for(n_lists):  # type: ignore[no-untyped-def]
    """Number of leaves of a tournament of some lists: the next power of 2.

    >>> leaves_for(5)
    8
    """
    leaves = 1
    while leaves < n_lists:
        leaves *= 2
    return leaves


@njit(nogil=True, cache=True)
def merge(liking, start, items, weight, keys, taken, mark, depth, arena, ranked, scores):  # type: ignore[no-untyped-def]
    """Writes the best items of one user; of equal scores the one with the smaller key comes first.

    Each leaf holds the score of the best item left in one list, each inner node the leaf that won
    below it, and node 1 the best item.

    Args:
        liking: float (lists,), how much the user likes each list, 0 or more.
        start: int (lists + 1,), where each list begins in `items`.
        items: int32 (n,), the lists, each by falling weight and, where these are equal, by key.
        weight: float64 (n,), weights in that order, 0 or more.
        keys: uint64 (n_items,), stable key of each item.
        taken: int (n_items,): items whose entry is `mark` are left out.
        mark: int, such as the number of the user.
        depth: number of items to rank.
        arena: from `arena_of`, changed.
        ranked: int32 (depth or more,), written; what lies past the last item is left as it is.
        scores: float (depth or more,), written likewise.

    >>> ranked, scores = np.full(3, -1, np.int32), np.zeros(3)
    >>> merge(np.array([1.0, 2.0]), np.array([0, 2, 3]), np.array([0, 1, 2], np.int32),
    ...     np.array([4.0, 1.0, 1.0]), np.arange(3, dtype=np.uint64), np.full(3, -1), 0, 3,
    ...     arena_of(2), ranked, scores)
    >>> ranked.tolist(), scores.tolist()
    ([0, 2, 1], [4.0, 2.0, 1.0])
    """
    head, value, key, winner = arena
    n_lists, leaves = liking.size, value.size
    for number in range(n_lists):
        head[number] = start[number] - 1
        _advance(number, head, value, key, liking, start, items, weight, keys, taken, mark)
    for match in range(leaves - 1, 0, -1):
        _play(winner, value, key, match)
    for rank in range(depth):
        best = winner[1]
        if value[best] < 0:
            break
        ranked[rank] = items[head[best]]
        scores[rank] = value[best]
        _advance(best, head, value, key, liking, start, items, weight, keys, taken, mark)
        match = (leaves + best) // 2
        while match > 0:
            _play(winner, value, key, match)
            match //= 2


@njit(nogil=True, cache=True)
def arena_of(n_lists):  # type: ignore[no-untyped-def]
    """Working space of `merge`, for any number of users one after another."""
    leaves = leaves_for(n_lists)
    winner = np.empty(2 * leaves, dtype=np.int64)
    winner[leaves:] = np.arange(leaves)
    value, key = np.full(leaves, -1.0), np.zeros(leaves, dtype=np.uint64)
    return np.empty(n_lists, dtype=np.int64), value, key, winner


@njit(nogil=True, cache=True)
def _advance(number, head, value, key, liking, start, items, weight, keys, taken, mark):  # type: ignore[no-untyped-def]
    """Moves a list's head to its next item that is not taken; its value is -1 at the end."""
    place, end = head[number] + 1, start[number + 1]
    while place < end and taken[items[place]] == mark:
        place += 1
    head[number] = place
    if place < end:
        value[number] = weight[place] * liking[number]
        key[number] = keys[items[place]]
    else:
        value[number] = -1.0


@njit(nogil=True, cache=True)
def _play(winner, value, key, match):  # type: ignore[no-untyped-def]
    """Plays one match: the greater value wins, the smaller key if values are equal."""
    left, right = winner[2 * match], winner[2 * match + 1]
    if value[left] == value[right]:
        winner[match] = left if key[left] <= key[right] else right
    else:
        winner[match] = left if value[left] > value[right] else right
