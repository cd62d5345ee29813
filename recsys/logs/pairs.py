"""The distinct pairs of users and items in a log, by counting instead of comparing."""
# mypy: disallow-untyped-decorators=False

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Pairs(NamedTuple):
    """Each pair of a user and an item once, users in order and, for each, items in order.

    Attributes:
        start: int64 (n_users + 1,), where the pairs of each user begin; the last is their number.
        item: int32 (n,), the item of each pair.
        flag: bool (n,), whether an event of the pair has the flag.
    """

    start: NDArray[np.int64]
    item: NDArray[np.int32]
    flag: NDArray[np.bool_]


def distinct_pairs(
    user: NDArray[np.integer[Any]],
    item: NDArray[np.integer[Any]],
    flag: NDArray[np.bool_],
    n_users: int,
    n_items: int,
) -> Pairs:
    """The pairs of users and items that have an event.

    Args:
        user, item: (n_events,), dense ids from 0 on.
        flag: bool (n_events,), such as which events are likes.
        n_users, n_items: numbers of users and items.

    >>> user, item = np.array([1, 0, 1, 1]), np.array([2, 0, 0, 2])
    >>> found = distinct_pairs(user, item, np.array([False, True, False, True]), 2, 3)
    >>> found.start.tolist(), found.item.tolist(), found.flag.tolist()
    ([0, 1, 3], [0, 0, 2], [True, False, True])
    """
    user, item = (np.ascontiguousarray(ids, dtype=np.int32) for ids in (user, item))
    return Pairs(*_distinct(user, item, np.ascontiguousarray(flag), n_users, n_items))


@njit(nogil=True, cache=True)
def _distinct(user, item, flag, n_users, n_items):  # type: ignore[no-untyped-def]
    """Orders the events by item, then by user without disturbing that order; drops repetitions."""
    by_item = _places(item, n_items)
    users = np.empty_like(user)
    items = np.empty_like(item)
    flags = np.empty_like(flag)
    for event in range(user.size):
        place = by_item[item[event]]
        by_item[item[event]] = place + 1
        users[place], items[place], flags[place] = user[event], item[event], flag[event]
    by_user = _places(user, n_users)
    first = by_user.copy()
    found = np.empty_like(item)
    any_flag = np.empty_like(flag)
    for event in range(user.size):
        place = by_user[users[event]]
        if place > first[users[event]] and found[place - 1] == items[event]:
            any_flag[place - 1] |= flags[event]
            continue
        by_user[users[event]] = place + 1
        found[place], any_flag[place] = items[event], flags[event]
    start = np.zeros(n_users + 1, dtype=np.int64)
    for number in range(n_users):
        start[number + 1] = start[number] + by_user[number] - first[number]
    for number in range(n_users):
        for place in range(by_user[number] - first[number]):
            found[start[number] + place] = found[first[number] + place]
            any_flag[start[number] + place] = any_flag[first[number] + place]
    return start, found[: start[n_users]].copy(), any_flag[: start[n_users]].copy()


@njit(nogil=True, cache=True)
def _places(ids, size):  # type: ignore[no-untyped-def]
    """Where the events of each id begin."""
    counts = np.zeros(size + 1, dtype=np.int64)
    for each in ids:
        counts[each + 1] += 1
    return np.cumsum(counts)[:size]
