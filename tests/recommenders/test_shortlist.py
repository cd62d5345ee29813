"""Shortlists: the best products are those of the plain way, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders import shortlist
from recsys.recommenders.als import ALSModel
from recsys.recommenders.base import Model
from recsys.recommenders.ranking import Slots
from recsys.recommenders.shortlist import _below_kth, write_best

N_USERS, N_ITEMS, K = 300, 1_900, 7


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    item = np.concatenate([np.arange(N_ITEMS), rng.integers(0, N_ITEMS, 4_000)])
    return InteractionLog.from_frames({"user_id": np.arange(item.size) % N_USERS, "item_id": item})


def vectors(width):
    rng = np.random.default_rng(1)
    return tuple(rng.normal(size=(n, width)).astype(np.float32) for n in (N_USERS, N_ITEMS))


def ranked(model, users, write):
    ids = np.full((users.size, K), -1, dtype=np.int32)
    scores = np.full(ids.shape, np.nan, dtype=np.float32)
    rows = np.arange(users.size)
    write(model, model.scorable, model.log.withheld_by_user, Slots(users, rows, ids, scores))
    return ids, scores


def equal_ways(log, x, y):
    model = ALSModel(log, x, y, candidate_days=None)
    users = np.random.default_rng(2).permutation(N_USERS)
    got, plain = (ranked(model, users, kind._write_best) for kind in (ALSModel, Model))
    np.testing.assert_array_equal(got[0], plain[0])
    np.testing.assert_array_equal(got[1], plain[1])
    return got


@pytest.mark.parametrize("width", [1, 8, 65])
def test_lists_are_those_of_all_scores(log, width):
    ids, _ = equal_ways(log, *vectors(width))
    assert (ids >= 0).all()


@pytest.mark.parametrize("spread", [0.0, 0.3, 2.0])
def test_only_vectors_that_are_long_enough_are_multiplied(log, spread, monkeypatch):
    """Lengths differ by factors of e^spread; where they are alike, every tile is needed."""
    tiles, shorten = [], shortlist._shorten

    def counting(products, rows, first, *more):
        tiles.append((first, rows.size))
        return shorten(products, rows, first, *more)

    monkeypatch.setattr(shortlist, "_COLUMNS", 100)
    monkeypatch.setattr(shortlist, "_shorten", counting)
    x, y = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in vectors(8))
    y *= np.exp(spread * np.random.default_rng(3).normal(size=(N_ITEMS, 1))).astype(np.float32)
    equal_ways(log, x.astype(np.float32), y.astype(np.float32))
    work = sum(n for _, n in tiles) / (N_USERS * N_ITEMS / 100)
    assert work == 1.0 if spread == 0 else work < (0.8 if spread < 1 else 0.25)


def test_shortlists_of_not_many_items_are_made_only_if_that_is_asked_for(log):
    x, y = vectors(8)
    n = shortlist._FEW + 1
    users, items = np.arange(N_USERS), np.arange(n, dtype=np.int32)
    ids, scores = np.full((N_USERS, K), -1, np.int32), np.zeros((N_USERS, K), np.float32)
    asked = x, y[:n], items, log.withheld_by_user, Slots(users, users, ids, scores)
    assert write_best(*asked).size == N_USERS
    assert write_best(*asked, pruned=True).size == 0
    hidden = log.withheld[:, :n].toarray()
    products = np.where(hidden, -np.inf, x.astype(float) @ y[:n].T.astype(float))
    np.testing.assert_array_equal(ids, np.argsort(-products, axis=1)[:, :K])


@pytest.mark.parametrize("width", [1, 7, 8, 33])
@pytest.mark.parametrize("n", [1, 5, 40, shortlist._FEW])
@pytest.mark.parametrize("k", [1, 7, 100])
def test_of_few_items_all_products_are_computed(log, width, n, k):
    """Some items are alike, and some users are not in the log; equal items keep their order."""
    rng = np.random.default_rng(n + width)
    x, y = vectors(width)
    y = y[rng.integers(0, max(n // 2, 1), n)]
    x[9] = 0
    x[10] *= -1
    items = rng.permutation(N_ITEMS)[:n].astype(np.int32)
    rows = rng.permutation(N_USERS)[:200]
    users = np.where(np.arange(N_USERS) % 10 == 0, -1, np.arange(N_USERS))
    ids, scores = np.full((N_USERS, k), -1, np.int32), np.full((N_USERS, k), np.nan, np.float32)
    slots = Slots(users, rows, ids, scores)
    assert write_best(x[rows], y, items, log.withheld_by_user, slots).size == 0
    sums = np.zeros((N_USERS, n))
    for factor in range(width):
        sums = sums + x[:, factor, None].astype(float) * y[:, factor].astype(float)
    products = sums.astype(np.float32)
    for row in range(N_USERS):
        free = (
            np.ones(n, dtype=bool)
            if users[row] < 0
            else log.withheld[[row]].toarray()[0, items] == 0
        )
        best = [at for at in np.argsort(-products[row], kind="stable") if free[at]][:k]
        best = best if row in rows else []
        assert ids[row, : len(best)].tolist() == items[best].tolist()
        np.testing.assert_array_equal(scores[row, : len(best)], products[row, best])
        assert (ids[row, len(best) :] == -1).all()
        assert np.isnan(scores[row, len(best) :]).all()


def test_seen_items_behind_all_others_and_no_items_at_all_do_no_harm():
    x, y = vectors(8)
    seen = Seen(np.zeros(1, np.int64), np.array([3]), np.array([5, 900, 2**31 - 1], np.int32))
    ids, scores = np.full((1, 2), -1, np.int32), np.zeros((1, 2), np.float32)
    slots = Slots(np.array([0]), np.array([0]), ids, scores)
    none = np.zeros(0, dtype=np.int32)
    assert write_best(x[:1], y[:0], none, seen, slots).size == 0
    assert (ids == -1).all()
    assert write_best(x[:1], y[:2], np.array([5, 6], np.int32), seen, slots).size == 0
    assert ids.tolist() == [[6, -1]]


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=80),
    st.integers(1, 79),
)
@settings(max_examples=300)
def test_a_bound_is_not_above_the_kth_largest(values, k):
    values = np.array(values, dtype=np.float32)
    k = min(k, values.size - 1)
    assert _below_kth(values.copy(), k) <= np.sort(values)[-k]


def test_a_bound_is_near_the_kth_largest():
    """Of numbers that are not alike, few lie between the two."""
    rng = np.random.default_rng(0)
    for n, k in [(100, 16), (2_000, 20), (300, 250)]:
        for scale in (1e-30, 1.0, 1e30):
            values = (scale * rng.normal(size=n)).astype(np.float32)
            assert k <= (values >= _below_kth(values.copy(), k)).sum() <= k + k // 4 + 1


def test_products_that_differ_in_the_last_bits_are_ranked_exactly(log):
    """Items in crowds of six whose products differ by less than the error of float32."""
    x, y = vectors(33)
    y = np.repeat(y[: N_ITEMS // 6 + 1], 6, axis=0)[:N_ITEMS]
    y[1::2, 0] = np.nextafter(y[1::2, 0], np.float32(np.inf))
    equal_ways(log, x, y)


def test_where_too_many_are_equal_nothing_is_written(log):
    x, y = vectors(8)
    x[3] = 0
    y[:, 0] = 1
    x[5], x[5, 0] = 0, 1
    equal_ways(log, x, y)
    ids, scores = np.full((N_USERS, K), -1, np.int32), np.zeros((N_USERS, K), np.float32)
    seen, items = log.withheld_by_user, np.arange(N_ITEMS, dtype=np.int32)
    users = np.arange(N_USERS)
    left = write_best(x, y, items, seen, Slots(users, users, ids, scores))
    assert left.tolist() == [3, 5]
    assert np.flatnonzero((ids < 0).any(axis=1)).tolist() == [3, 5]


def test_a_user_who_has_seen_most_gets_what_is_left():
    x, y = vectors(8)
    whole = {"user_id": np.zeros(N_ITEMS - 3, int), "item_id": np.arange(N_ITEMS - 3)}
    rest = {"user_id": np.ones(N_ITEMS, int), "item_id": np.arange(N_ITEMS)}
    log = InteractionLog.from_frames({k: np.concatenate([whole[k], rest[k]]) for k in whole})
    model = ALSModel(log, x[:2], y, candidate_days=None)
    got = ranked(model, np.array([0, 1, 0]), ALSModel._write_best)
    assert sorted(got[0][0][:3].tolist()) == [N_ITEMS - 3, N_ITEMS - 2, N_ITEMS - 1]
    assert (got[0][0][3:] == -1).all()
    assert (got[0][1] == -1).all()
    np.testing.assert_array_equal(got[0][0], got[0][2])


def test_no_item_is_left_out_whose_vector_is_short_but_points_the_right_way(monkeypatch):
    """Long vectors point away a little, so that the best are short ones, in the last tiles."""
    monkeypatch.setattr(shortlist, "_COLUMNS", 10)
    monkeypatch.setattr(shortlist, "_FEW", 0)
    n = 400
    along = np.random.default_rng(5).permutation(np.linspace(0.5, 0.949, n))
    y = np.stack([along, np.sqrt(1 - along**2)], axis=1)
    best = np.arange(0, n, 20)
    y[best] = np.stack([np.linspace(0.9491, 0.96, best.size), np.zeros(best.size)], axis=1)
    items, rows = np.arange(n, dtype=np.int32), np.arange(3)
    nothing = Seen(np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(0, np.int32))
    slots = Slots(rows, rows, np.full((3, K), -1, np.int32), np.zeros((3, K), np.float32))
    x = np.tile(np.float32([[1, 0]]), (3, 1))
    assert write_best(x, y.astype(np.float32), items, nothing, slots, pruned=True).size == 0
    np.testing.assert_array_equal(slots.ids, np.tile(best[::-1][:K], (3, 1)))
