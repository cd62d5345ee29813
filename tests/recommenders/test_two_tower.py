"""two_tower: what it learns from, its gradient, keyed batches, and whom it serves."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.recommenders import ALS, TwoTower
from recsys.recommenders.base import binary
from recsys.recommenders.tower_log import N_BUCKETS, carried, context_of, examples_of, tower_of
from recsys.recommenders.towers import Bags, Table, batches, corrected, leave_out, slopes

SMALL = TwoTower(factors=8, iterations=2)
START = datetime(2025, 1, 1)


def likes_by_time(log):
    """(user, item): moment of the first like; of users and items as dense ids."""
    liked = log.dense.filter(pl.col("weight") > 0).group_by("user", "item").agg(pl.min("timestamp"))
    return {(user, item): time for user, item, time in liked.iter_rows()}


# What is learned from


def test_histories_hold_what_was_liked_before(log):
    hot, first = log.interactions, likes_by_time(log)
    examples, (start, last) = examples_of(log, binary(log), 4, 0)
    assert examples.user.size == hot.weights.nnz
    for like in range(0, examples.user.size, 7):
        user, item = hot.users[examples.user[like]], hot.items[examples.item[like]]
        low, high = examples.history.indptr[like : like + 2]
        history = [int(i) for i in hot.items[examples.history.indices[low:high]]]
        now = first[user, item]
        earlier = [
            (time, int(np.flatnonzero(hot.items == i)[0]), i)
            for (u, i), time in first.items()
            if u == user and (time, i) != (now, item)
        ]
        column = int(examples.item[like])
        before = sorted(entry for entry in earlier if entry[:2] < (now, column))
        assert history == [i for _, _, i in before[-4:]]
        assert examples.hour[like] == now.timestamp() // 3600
    assert (np.diff(start) <= 4).all()
    assert last.size == start[-1]


def test_without_times_a_like_is_not_in_its_own_history():
    rng = np.random.default_rng(0)
    log = InteractionLog.from_frames(
        {"user_id": rng.integers(0, 30, 200), "item_id": rng.integers(0, 20, 200)}
    )
    examples, _ = examples_of(log, binary(log), 5, 0)
    n = np.diff(examples.history.indptr)
    np.testing.assert_array_equal(
        n, np.minimum(np.diff(examples.likes.indptr)[examples.user] - 1, 5)
    )
    own = np.repeat(examples.item, n)
    assert not (examples.history.indices == own).any()


def test_heat_on_a_morning_knows_nothing_of_the_day(log):
    examples, _ = examples_of(log, binary(log), 4, 0)
    context, _ = context_of(log, examples, 2.0)
    days = int(examples.day.max()) + 1
    assert context.heat.shape[0] == days + 1
    for day in range(days + 1):
        age = day - 1 - examples.day
        weight = np.where(age >= 0, 0.5 ** (age / 2), 0)
        expected = np.bincount(examples.item, weight, minlength=context.heat.shape[1])
        np.testing.assert_allclose(context.heat[day], np.log(expected + 0.5), rtol=1e-5)


# The gradient


def test_the_gradient_against_a_slow_reference():
    """p is a softmax over the negatives, and its gradient p less 1 at the item itself."""
    rng = np.random.default_rng(3)
    n, columns, days = 5, 7, 3
    logits = rng.normal(size=(n, columns)).astype(np.float32)
    base = rng.normal(size=columns).astype(np.float32)
    heat = rng.normal(size=(days, columns)).astype(np.float32)
    published = np.array([0, 10, 20, 30, -(1 << 40), 5, 500])
    bucket = np.append(np.arange(40) // 5, N_BUCKETS - 1)
    effects = rng.normal(size=(2, N_BUCKETS)).astype(np.float32)
    day, hour = rng.integers(0, days, n), np.array([8, 15, 25, 40, 300])
    place = np.array([0, 1, 2, 3, 4])
    likes = Bags(np.arange(n + 1) * 2, np.array([0, 5, 1, 1, 2, 2, 3, 0, 4, 4]))
    expected, by_effect = np.zeros((n, columns)), np.zeros((2, N_BUCKETS))
    for row in range(n):
        s, which = np.full(columns, -np.inf), np.zeros(columns, dtype=int)
        for j in range(columns):
            age = hour[row] - published[j]
            which[j] = N_BUCKETS - 1 if published[j] < 0 else bucket[min(max(age, 0), 39)]
            liked = j in likes.indices[2 * row : 2 * row + 2] and j != place[row]
            if not liked and (age >= 0 or j == place[row]):
                effect = effects[0, which[j]] + effects[1, which[j]] * heat[day[row], j]
                s[j] = logits[row, j] + base[j] + effect
        p = np.exp(s - s.max()) / np.exp(s - s.max()).sum()
        expected[row] = p - (np.arange(columns) == place[row])
        np.add.at(by_effect[0], which, expected[row])
        np.add.at(by_effect[1], which, expected[row] * heat[day[row]])
    got, sums, slot = logits.copy(), np.zeros((2, N_BUCKETS)), np.full(columns, -1)
    corrected(got, base, heat, published, bucket, effects, day, hour, place)
    leave_out(got, np.arange(n), place, np.arange(columns), *likes, slot)
    np.exp(got, out=got)
    slopes(got, heat, published, bucket, day, hour, place, sums)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(sums, by_effect, atol=1e-5)
    assert (slot == -1).all()


def test_a_step_changes_what_was_summed_alone():
    table = Table(np.ones((4, 2), dtype=np.float32))
    bags, rows = Bags(np.array([0, 2, 3]), np.array([0, 2, 2])), np.array([0, 1])
    assert table.sum(bags, rows).tolist() == [[2, 2], [1, 1]]
    gradient = np.array([[3, 0], [1, 0]], dtype=np.float32)
    one = np.ones(2, dtype=np.float32)
    table.step(bags, rows, gradient, one, np.float32(0.1), np.float32(0.0))
    moved = 1 - table.values
    assert (moved[[1, 3]] == 0).all()
    assert (moved[:, 1] == 0).all()
    np.testing.assert_allclose(table.sums[[0, 2], 0], [9, 16])
    assert (table.gradient == 0).all()


# Keys


def test_one_more_like_joins_one_batch():
    rng = np.random.default_rng(1)
    words = tuple(rng.integers(0, 2**32, 3000).astype(np.uint64) for _ in range(3))
    whole = batches(words, 7, 256)
    part = batches(tuple(word[:-1] for word in words), 7, 256)
    assert len(whole) == len(part) == 8
    different = [(a, b) for a, b in zip(whole, part, strict=True) if not np.array_equal(a, b)]
    ((larger, smaller),) = different
    assert larger[larger != 2999].tolist() == smaller.tolist()
    assert not np.array_equal(whole[0], batches(words, 8, 256)[0])


def test_it_goes_on_from_yesterdays_embeddings(log):
    """A step of no length leaves what it began with."""
    still = SMALL.model_copy(update={"learning_rate": 1e-30})
    yesterday = SMALL.fit(log.without_users(np.arange(300)), seed=5)
    warm = still.fit(log, 6, yesterday)
    old, hot = yesterday.log.interactions, log.interactions
    _, mine, theirs = np.intersect1d(hot.item_keys, old.item_keys, return_indices=True)
    np.testing.assert_array_equal(warm.items[mine], yesterday.items[theirs])
    np.testing.assert_array_equal(warm.effects, yesterday.effects)
    both = (warm.hot_row >= 0) & (yesterday.hot_row >= 0)
    np.testing.assert_array_equal(
        warm.users[warm.hot_row[both]], yesterday.users[yesterday.hot_row[both]]
    )
    for stranger in (ALS(factors=8).fit(log), TwoTower(factors=5, iterations=1).fit(log)):
        anew, after = SMALL.fit(log, 1), SMALL.fit(log, 1, stranger)
        np.testing.assert_array_equal(anew.items, after.items)


def test_categories_are_matched_though_they_are_numbered_anew():
    frames = [
        pl.DataFrame({"item_id": range(4), "topic": topics})
        for topics in (["pets", "food", "food", "cars"], ["food", "pets", "cars", "food"])
    ]
    hot = np.arange(4, dtype=np.int32)
    keys = np.array([10, 20, 30, 40], dtype=np.uint64), np.array([20, 10, 40, 30], dtype=np.uint64)
    old, new = (tower_of(frame, hot) for frame in frames)
    order = np.argsort(keys[1])
    got = carried(new, hot[order], keys[1][order], old, hot, keys[0])
    assert got[:4].tolist() == [0, 1, 2, 3]
    names = [["pets", "food", "cars"], ["food", "pets", "cars"]]
    for code, topic in enumerate(names[1]):
        assert got[4 + code] == 4 + names[0].index(topic)


# Whom it serves, and what


def fans():
    """Half of all people like pets and half food; each post is out for a day and then ignored."""
    rng = np.random.default_rng(4)
    rows = []
    for user in range(200):
        for day in range(6):
            post = 40 * day + 2 * rng.integers(0, 20) + user % 2
            rows.append(
                (user, int(post), START + timedelta(days=day, hours=int(rng.integers(1, 24))))
            )
    user, item, time = zip(*rows, strict=True)
    items = {
        "item_id": range(281),
        "topic": [("pets", "food")[n % 2] for n in range(280)] + [None],
        "published": [START + timedelta(days=n // 40) for n in range(281)],
    }
    users = {"user_id": range(203), "group": [("a", "b")[n % 2] for n in range(202)] + [None]}
    return InteractionLog.from_frames(
        {"user_id": user, "item_id": item, "timestamp": time}, users, items
    )


def test_new_posts_warm_and_cold_people_are_served_at_once():
    """Nobody has clicked posts 240 to 279, which come out on the morning after the log."""
    log = fans()
    model = TwoTower(factors=8, iterations=30, batch=64, learning_rate=0.2).fit(log, seed=1)
    candidates = np.arange(281) >= 200
    got = model.rank(np.array([0, 1, 200, 201, 202, -1]), 20, candidates).item_ids
    assert (got >= 0).all()
    assert (got[:4] % 2 == np.array([0, 1, 0, 1])[:, None]).mean() > 0.95
    assert (got >= 240).mean() > 0.9  # a day old is too old for these people
    assert 280 not in model.scorable  # nothing is known of it, and nobody has clicked it
    assert model.status(np.array([0, 200, 202])) == ["hot", "warm", "cold"]


def test_it_is_an_error_if_steps_are_too_long(log):
    with pytest.raises(LogError, match="two_tower: the factors are not finite"):
        TwoTower(factors=4, learning_rate=1e38).fit(log)
