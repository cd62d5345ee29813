"""Distinct pairs against NumPy's own unique."""

import numpy as np
import pytest

from recsys.logs.pairs import distinct_pairs


@pytest.mark.parametrize(("n_events", "n_users", "n_items"), [(0, 3, 2), (1, 1, 1), (5000, 60, 90)])
def test_pairs_are_those_of_unique(n_events: int, n_users: int, n_items: int) -> None:
    rng = np.random.default_rng(n_events)
    user, item = rng.integers(0, n_users, n_events), rng.integers(0, n_items, n_events)
    flag = rng.random(n_events) < 0.2
    found = distinct_pairs(user, item, flag, n_users, n_items)
    pair, place = np.unique(user * n_items + item, return_inverse=True)
    users = np.repeat(np.arange(n_users), np.diff(found.start))
    assert np.array_equal(users * n_items + found.item, pair)
    assert np.array_equal(found.flag, np.bincount(place, flag, minlength=pair.size) > 0)
    firsts = np.unique(user * n_items + item, return_index=True)[1]
    assert np.array_equal(found.first, firsts)
    some = n_events // 2
    there = np.unique(user[:some] * n_items + item[:some])
    seen = found.among_first(some, n_items)
    rows = np.repeat(np.arange(n_users), np.diff(seen.indptr))
    assert np.array_equal(rows * n_items + seen.indices, there)
