"""The merge of sorted lists against a sort of all items, also where most scores are equal."""

import numpy as np
import pytest

from recsys.statistics.merge import merge


@pytest.mark.parametrize("n_lists", [1, 2, 5, 48])
@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_it_ranks_as_a_sort_does(n_lists, levels):
    rng = np.random.default_rng(n_lists * levels)
    n_items, n_users, depth = 120, 9, 40
    of_list = np.sort(rng.integers(0, n_lists, n_items))
    weight = rng.integers(0, levels, n_items) / levels
    keys = rng.permutation(n_items).astype(np.uint64)
    items = np.lexsort((keys, -weight, of_list)).astype(np.int32)
    start = np.searchsorted(of_list, np.arange(n_lists + 1))
    liking = (rng.integers(1, levels + 2, (n_users, n_lists)) / 4).astype(np.float32)
    seen = np.array([np.sort(rng.choice(n_items, 30, replace=False)) for _ in range(n_users)])
    seen = seen.astype(np.int32)
    begin, nothing = np.arange(n_users) * 30, np.zeros(n_users + 1, dtype=np.int64)
    ranked = np.full((n_users, depth), -1, dtype=np.int32)
    scores = np.full(ranked.shape, np.nan)
    merge(
        liking,
        np.arange(n_users),
        start,
        items,
        weight[items],
        keys,
        (begin, begin + 30, seen.reshape(-1)),
        (nothing, np.zeros(0, dtype=np.int32)),
        np.full(n_users, depth),
        ranked,
        scores,
    )
    for user in range(n_users):
        score = weight * liking[user, of_list]
        left = np.setdiff1d(np.arange(n_items), seen[user])
        best = left[np.lexsort((keys[left], -score[left]))][:depth]
        np.testing.assert_array_equal(ranked[user], best)
        np.testing.assert_array_equal(scores[user], score[best])
