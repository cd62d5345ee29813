"""The distinct pairs of users and items in a log, by counting instead of comparing."""
# mypy: disallow-untyped-decorators=False

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


class Pairs(NamedTuple):
    """Each pair of a user and an item once, users in order and, for each, items in order.

    Attributes:
        start: int64 (n_users + 1,), where the pairs of each user begin; the last is their number.
        item: int32 (n,), the item of each pair.
        flag: bool (n,), whether an event of the pair has the flag.
        first: int32 (n,), the position of the first event of each pair.
    """

    start: NDArray[np.int64]
    item: NDArray[np.int32]
    flag: NDArray[np.bool_]
    first: NDArray[np.int32]

    def among_first(self, n_events: int, n_items: int) -> csr_matrix:
        """Bool CSR (n_users, n_items): the pairs that have one of the first events.

        Args:
            n_events: number of events, such as of those before a day.
            n_items: number of items.

        >>> user, item = np.array([0, 1, 0, 1]), np.array([2, 0, 2, 1])
        >>> found = distinct_pairs(user, item, np.ones(4, dtype=np.bool_), 2, 3)
        >>> found.among_first(3, n_items=3).toarray().tolist()
        [[False, False, True], [True, False, False]]
        """
        start, item = _among(self.start, self.item, self.first, n_events)
        there = np.ones(item.size, dtype=np.bool_)
        return csr_matrix((there, item, start), shape=(start.size - 1, n_items))


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
    >>> found.start.tolist(), found.item.tolist(), found.flag.tolist(), found.first.tolist()
    ([0, 1, 3], [0, 0, 2], [True, False, True], [1, 2, 0])
    """
    user, item = (np.ascontiguousarray(ids, dtype=np.int32) for ids in (user, item))
    order = _in_order(user, item, n_users, n_items)
    return Pairs(*_distinct(user, item, np.ascontiguousarray(flag), order, n_users))


@njit(nogil=True, cache=True)
def _in_order(user, item, n_users, n_items):  # type: ignore[no-untyped-def]
    """The events by user, then by item, then as they come."""
    by_item, by_user = _places(item, n_items), _places(user, n_users)
    of_item = np.empty(user.size, dtype=np.int32)
    for event in range(user.size):
        of_item[by_item[item[event]]] = event
        by_item[item[event]] += 1
    order = np.empty(user.size, dtype=np.int32)
    for event in of_item:
        order[by_user[user[event]]] = event
        by_user[user[event]] += 1
    return order


@njit(nogil=True, cache=True)
def _distinct(user, item, flag, order, n_users):  # type: ignore[no-untyped-def]
    """Writes each pair once; its events stand together in this order."""
    start = np.zeros(n_users + 1, dtype=np.int64)
    found = np.empty(order.size, dtype=np.int32)
    any_flag = np.empty(order.size, dtype=np.bool_)
    first = np.empty(order.size, dtype=np.int32)
    n, last_user, last_item = 0, -1, -1
    for event in order:
        if user[event] == last_user and item[event] == last_item:
            any_flag[n - 1] |= flag[event]
            continue
        last_user, last_item = user[event], item[event]
        start[last_user + 1] += 1
        found[n], any_flag[n], first[n] = last_item, flag[event], event
        n += 1
    return np.cumsum(start), found[:n].copy(), any_flag[:n].copy(), first[:n].copy()


@njit(nogil=True, cache=True)
def _among(start, item, first, n_events):  # type: ignore[no-untyped-def]
    """Where the pairs of each user begin that one of the first events has, and their items."""
    begin, found, n = np.zeros_like(start), np.empty_like(item), 0
    for user in range(start.size - 1):
        for pair in range(start[user], start[user + 1]):
            found[n] = item[pair]  # without a branch: half of the pairs come later
            n += first[pair] < n_events
        begin[user + 1] = n
    return begin, found[:n].copy()


@njit(nogil=True, cache=True)
def _places(ids, size):  # type: ignore[no-untyped-def]
    """Where the events of each id begin."""
    counts = np.zeros(size + 1, dtype=np.int64)
    for each in ids:
        counts[each + 1] += 1
    return np.cumsum(counts)[:size]
