"""The best of many lists: a tournament merges lists that are sorted, for many users.

Where a score is a user's liking of a list times the weight of an item, all users agree on the order
within a list. So the exact ranking of a user is a merge of a few dozen sorted lists, and no score
per user and item has to be computed (Knuth, *The Art of Computer Programming* 3, ch. 5.4.1).
"""
# mypy: disallow-untyped-decorators=False

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def merge(liking, rows, start, items, weight, keys, seen, own, depth, ranked, scores):  # type: ignore[no-untyped-def]
    """Writes the best items of users; of equal scores the one with the smaller key comes first.

    Each leaf of the tournament holds the score of the best item left in one list, each inner node
    the score and the leaf that won below it, and node 1 the best item.

    Args:
        liking: float32 (n_users, lists), how much each user likes each list, 0 or more. Items of a
            list with 0 keep the order of the list.
        rows: int (n,), rows of `liking`, one for each ranking.
        start: int (lists + 1,), where each list begins in `items`.
        items: int32 (m,), the lists, each by falling weight and, where these are equal, by key.
        weight: float64 (m,), weights in that order, 0 or more.
        keys: uint64 (n_items,), stable key of each item.
        seen: (start, end, items): the items at start[row] to end[row] are left out.
        own: (start, items): so are the items at start[row] to start[row + 1].
        depth: int (n,), number of items to rank.
        ranked: int32 (n, depth or more), written; what lies past the last item is left as it is.
        scores: float (n, depth or more), written likewise.

    >>> ranked, scores, nothing = np.full((1, 3), -1, np.int32), np.zeros((1, 3)), np.zeros(2, int)
    >>> merge(np.array([[1.0, 2.0]], np.float32), np.array([0]), np.array([0, 2, 3]),
    ...     np.array([0, 1, 2], np.int32), np.array([4.0, 1.0, 1.0]), np.arange(3, dtype=np.uint64),
    ...     (nothing, nothing, nothing), (nothing, nothing), np.array([3]), ranked, scores)
    >>> ranked.tolist(), scores.tolist()
    ([[0, 2, 1]], [[4.0, 2.0, 1.0]])
    """
    seen_start, seen_end, seen_items = seen
    own_start, own_items = own
    n_lists = liking.shape[1]
    leaves = 1
    while leaves < n_lists:
        leaves *= 2
    taken = np.full(keys.size, -1, dtype=np.int32)
    head = np.empty(n_lists, dtype=np.int64)
    key = np.zeros(leaves, dtype=np.uint64)
    value, winner = np.full(2 * leaves, -1.0), np.zeros(2 * leaves, dtype=np.int64)
    winner[leaves:] = np.arange(leaves)
    for place in range(rows.size):
        row = rows[place]
        likes, ranking, worth = liking[row], ranked[place], scores[place]
        for at in range(seen_start[row], seen_end[row]):
            taken[seen_items[at]] = place
        for at in range(own_start[row], own_start[row + 1]):
            taken[own_items[at]] = place
        for number in range(n_lists):
            first = _next(start[number], start[number + 1], items, taken, place)
            head[number] = first
            value[leaves + number] = -1.0
            if first < start[number + 1]:
                value[leaves + number] = weight[first] * likes[number]
                key[number] = keys[items[first]]
        for match in range(leaves - 1, 0, -1):
            node = 2 * match
            node += _is_ahead(node + 1, node, value, winner, key)
            value[match], winner[match] = value[node], winner[node]
        for rank in range(depth[place]):
            best = winner[1]
            if value[1] < 0:
                break
            ranking[rank] = items[head[best]]
            worth[rank] = value[1]
            following = _next(head[best] + 1, start[best + 1], items, taken, place)
            head[best] = following
            node = leaves + best
            value[node] = -1.0
            if following < start[best + 1]:
                value[node], key[best] = weight[following] * likes[best], keys[items[following]]
            while node > 1:
                node ^= _is_ahead(node ^ 1, node, value, winner, key)
                value[node >> 1], winner[node >> 1] = value[node], winner[node]
                node >>= 1


@njit(nogil=True, cache=True)
def _is_ahead(one, other, value, winner, key):  # type: ignore[no-untyped-def]
    """Whether the winner of one node is ahead of that of the other."""
    if value[one] == value[other] and value[one] >= 0:
        return key[winner[one]] < key[winner[other]]
    return value[one] > value[other]


@njit(nogil=True, cache=True)
def _next(position, end, items, taken, mark):  # type: ignore[no-untyped-def]
    """The first position from `position` on whose item is not taken; `end` if there is none."""
    while position < end and taken[items[position]] == mark:
        position += 1
    return position
