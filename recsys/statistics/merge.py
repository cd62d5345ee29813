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
    the leaf that won below it, and node 1 the best item.

    Args:
        liking: float32 (n_users, lists), how much each user likes each list, 0 or more.
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
    value, key = np.full(leaves, -1.0), np.zeros(leaves, dtype=np.uint64)
    winner = np.empty(2 * leaves, dtype=np.int64)
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
            value[number] = -1.0
            if first < start[number + 1]:
                value[number], key[number] = weight[first] * likes[number], keys[items[first]]
        for match in range(leaves - 1, 0, -1):
            left, right = winner[2 * match], winner[2 * match + 1]
            ahead = value[left] - value[right]
            if ahead == 0.0 and value[left] >= 0:
                ahead = 1.0 if key[left] <= key[right] else -1.0
            winner[match] = left if ahead >= 0 else right
        for rank in range(depth[place]):
            best = winner[1]
            if value[best] < 0:
                break
            ranking[rank] = items[head[best]]
            worth[rank] = value[best]
            following = _next(head[best] + 1, start[best + 1], items, taken, place)
            head[best] = following
            value[best] = -1.0
            if following < start[best + 1]:
                value[best], key[best] = weight[following] * likes[best], keys[items[following]]
            match = (leaves + best) // 2
            while match > 0:
                left, right = winner[2 * match], winner[2 * match + 1]
                ahead = value[left] - value[right]
                if ahead == 0.0 and value[left] >= 0:
                    ahead = 1.0 if key[left] <= key[right] else -1.0
                winner[match] = left if ahead >= 0 else right
                match //= 2


@njit(nogil=True, cache=True)
def _next(position, end, items, taken, mark):  # type: ignore[no-untyped-def]
    """The first position from `position` on whose item is not taken; `end` if there is none."""
    while position < end and taken[items[position]] == mark:
        position += 1
    return position
