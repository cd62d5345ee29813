"""Compiled loops of the platform ranker: posts of creators that a user has clicked."""
# mypy: disallow-untyped-decorators=False

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def multiply_follows(users, maker, followed, scores):  # type: ignore[no-untyped-def]
    """Multiplies scores of posts by how much more the user clicks their creators.

    Args:
        users: int64 (n,), dense ids, -1 for a user who is not in the log.
        maker: int32 (n_columns,), creator of each item, or -1.
        followed: (start, creators, factors): those of user u stand at start[u] to start[u + 1].
        scores: float64 (n, n_columns), changed.
    """
    start, creators, factors = followed
    n = maker.max() + 1 if maker.size else 0
    factor = np.ones(n)
    for row in range(users.size):
        if users[row] < 0:
            continue
        first, last = start[users[row]], start[users[row] + 1]
        for at in range(first, last):
            if creators[at] < n:
                factor[creators[at]] = factors[at]
        for column in range(maker.size):
            if maker[column] >= 0:
                scores[row, column] *= factor[maker[column]]
        for at in range(first, last):
            if creators[at] < n:
                factor[creators[at]] = 1.0


@njit(nogil=True, cache=True)
def posts_of_followed(users, followed, made_start, made):  # type: ignore[no-untyped-def]
    """Posts of the creators that users have clicked: where each user's begin, the posts, factors.

    Args:
        users, followed: see `multiply_follows`.
        made_start: int (n_creators + 1,), where the posts of each creator begin in `made`.
        made: int32, dense ids of items.
    """
    start, creators, factors = followed
    begin = np.zeros(users.size + 1, dtype=np.int64)
    for row in range(users.size):
        begin[row + 1] = begin[row]
        if users[row] >= 0:
            for at in range(start[users[row]], start[users[row] + 1]):
                begin[row + 1] += made_start[creators[at] + 1] - made_start[creators[at]]
    posts, more = np.empty(begin[-1], dtype=made.dtype), np.empty(begin[-1])
    n = 0
    for row in range(users.size):
        if users[row] < 0:
            continue
        for at in range(start[users[row]], start[users[row] + 1]):
            for place in range(made_start[creators[at]], made_start[creators[at] + 1]):
                posts[n], more[n] = made[place], factors[at]
                n += 1
    return begin, posts, more


@njit(nogil=True, cache=True)
def insert_own(  # type: ignore[no-untyped-def]
    begin, posts, more, liking, buckets, weight, keys, hidden, ranked, scores
):
    """Puts posts of creators that users have clicked into rankings of all other posts.

    Args:
        begin, posts, more: the posts, see `posts_of_followed`.
        liking: float32 (n, buckets), how much each user likes posts of each bucket.
        buckets: int32 (n_items,).
        weight: float64 (n_items,).
        keys: uint64 (n_items,), which break ties.
        hidden: (start, end, items): the items of row r at start[r] to end[r] are left out.
        ranked: int32 (n, k), changed: the best first, -1 in empty slots.
        scores: float64 (n, k), changed: their scores.
    """
    start, end, items = hidden
    mark = np.full(keys.size, -1, dtype=np.int64)
    k = ranked.shape[1]
    for row in range(ranked.shape[0]):
        for at in range(start[row], end[row]):
            mark[items[at]] = row
        line, values, held = ranked[row], scores[row], 0
        while held < k and line[held] >= 0:
            held += 1
        for at in range(begin[row], begin[row + 1]):
            item = posts[at]
            if mark[item] == row:
                continue
            value = weight[item] * liking[row, buckets[item]] * more[at]
            if held == k and value < values[k - 1]:
                continue
            place = held
            while place > 0 and (
                values[place - 1] < value
                or (values[place - 1] == value and keys[line[place - 1]] > keys[item])
            ):
                if place < k:
                    values[place], line[place] = values[place - 1], line[place - 1]
                place -= 1
            if place < k:
                values[place], line[place] = value, item
                held = min(held + 1, k)
