"""Draws of untouched items: all alike, none that was liked, and each at its own address."""

import numpy as np
import pytest
from numba import njit

from recsys.logs.log import InteractionLog
from recsys.recommenders import BPR, LMF, MostPopular
from recsys.recommenders.base import ModelNumber
from recsys.recommenders.pairs import _untouched, epoch_seeds, steps_of, table_of


@njit
def _draws(steps, seeds, table, out):
    for epoch in range(seeds.size):
        for step in range(steps.user.size):
            out[epoch, step] = _untouched(steps, step, 0, seeds[epoch], table)


def drawn(log, n=200, seed=3):
    """Steps, and the item that is drawn for each in n epochs, under the log's own ids, or -1."""
    hot = log.interactions
    steps, table = steps_of(hot, hot.weights, seed), table_of(hot, seed)
    out = np.empty((n, steps.user.size), dtype=np.int64)
    _draws(steps, np.array(epoch_seeds(ModelNumber.BPR, seed, n)), table, out)
    return steps, np.where(out >= 0, hot.items[out], -1)


def a_log(n_items=40, extra=()):
    """Few items take most of the likes."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 60, 500), (n_items * rng.random(500) ** 3).astype(int)
    user, item = [*user.tolist(), *range(n_items)], [*item.tolist(), *range(n_items)]
    user, item = [*user, *(u for u, _ in extra)], [*item, *(i for _, i in extra)]
    return InteractionLog.from_frames(
        {"user_id": user, "item_id": item}, {"user_id": range(70)}, {"item_id": range(100)}
    )


def test_untouched_items_are_equally_likely_whatever_their_popularity():
    log = a_log()
    steps, items = drawn(log)
    liked = log.interactions.weights.toarray() > 0
    assert (items >= 0).all()
    column = np.full(log.n_items, -1)
    column[log.interactions.items] = np.arange(log.interactions.items.size)
    assert not liked[steps.user, column[items]].any()
    counts = np.bincount(column[items].ravel(), minlength=liked.shape[1])
    free = ~liked[steps.user]  # each step, each item: may it be drawn?
    chance = (free / free.sum(axis=1, keepdims=True)).sum(axis=0)
    expected = items.shape[0] * chance
    # counts are sums of independent draws: variance below the expectation
    assert (abs(counts - expected) < 4.5 * np.sqrt(expected)).all()


def test_one_more_like_leaves_all_other_draws_as_they_are():
    """Also if it makes an item hot that nobody liked: draws of its slot alone change."""
    steps, items = drawn(a_log())
    known = dict(zip(zip(steps.user, steps.item, strict=True), items.T, strict=True))
    more, others = drawn(a_log(extra=[(65, 0)]))
    assert more.user.size == steps.user.size + 1
    hot = a_log(extra=[(65, 0)]).interactions
    before = a_log().interactions
    user_place = {int(user): row for row, user in enumerate(before.users)}
    item_place = {int(item): column for column, item in enumerate(before.items)}

    def at(row, column):
        user, item = int(hot.users[row]), int(hot.items[column])
        return known.get((user_place.get(user), item_place.get(item)))

    same = [
        np.array_equal(theirs, at(row, column))
        for row, column, theirs in zip(more.user, more.item, others.T, strict=True)
        if at(row, column) is not None
    ]
    assert len(same) == steps.user.size
    assert all(same)
    new, fresh = drawn(a_log(extra=[(65, 99)]))
    assert new.user.size == steps.user.size + 1
    hot = a_log(extra=[(65, 99)]).interactions
    changed = [
        (theirs != at(row, column)).mean()
        for row, column, theirs in zip(new.user, new.item, fresh.T, strict=True)
        if at(row, column) is not None
    ]
    assert 0 < np.mean(changed) < 2.5 / 41  # the new one of 41, and it may push a neighbour


def test_the_order_of_steps_is_the_same_without_some_users():
    log = a_log()
    steps, hot = steps_of(log.interactions, log.interactions.weights, 3), log.interactions
    part = log.without_users(np.arange(30))
    fewer, left = steps_of(part.interactions, part.interactions.weights, 3), part.interactions
    mine = list(zip(hot.users[steps.user], hot.items[steps.item], strict=True))
    theirs = list(zip(left.users[fewer.user], left.items[fewer.item], strict=True))
    assert theirs == [pair for pair in mine if pair[0] >= 30]
    assert len(theirs) < len(mine)


def test_who_likes_everything_learns_from_nothing():
    log = InteractionLog.from_frames({"user_id": [1, 1, 2], "item_id": [7, 8, 7]})
    steps, items = drawn(log, n=20)
    whose = log.interactions.users[steps.user]
    assert (items[:, whose == 0] == -1).all()
    assert (items[:, whose == 1] == 1).all()


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        (BPR(factors=4, iterations=50), 0.6),
        (LMF(factors=4, iterations=30, regularization=0.1, learning_rate=0.1, negatives=5), 0.9),
    ],
)
def test_popularity_is_learned(kind, least):
    """Without tastes, what most people like is the best guess; popular negatives would hide it."""
    rng = np.random.default_rng(2)
    chance = np.linspace(0.02, 0.5, 50)
    user, item = np.nonzero(rng.random((400, 50)) < chance)
    log = InteractionLog.from_frames({"user_id": user, "item_id": item})
    users = np.arange(log.n_users)
    best = [set(row) for row in MostPopular().fit(log).rank(users, 10).item_ids.tolist()]
    own = kind.fit(log).rank(users, 10).item_ids.tolist()
    agree = np.mean([len(best[row] & set(own[row])) / 10 for row in range(len(own))])
    assert agree > least  # 10 of some 37 by lot: .27; popular negatives give .38 and .64
