"""Randomness by address: known answers, a slow second implementation, and laws of the draws."""

from itertools import product
from math import sqrt

import numpy as np
import pytest

from recsys.core.noise import (
    Stream,
    integer_seed,
    key_words,
    moment,
    normals,
    pair_words,
    philox,
    stable_keys,
    uniforms,
    wide_words,
)

N = 100_000
FIVE_SIGMA = 5.0  # two-sided: a right generator fails once in 1.7 million draws of the seed


# Random123, kat_vectors, "philox4x32 10": counter, key, result.
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        (
            (0x00000000, 0x00000000, 0x00000000, 0x00000000),
            (0x00000000, 0x00000000),
            (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
        ),
        (
            (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
            (0xFFFFFFFF, 0xFFFFFFFF),
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(counter, key, expected):
    assert tuple(philox(key[0] | key[1] << 32, *counter).tolist()) == expected


def slow_philox(counter, key):
    """Philox4x32-10 as the paper's figure has it, in Python's own integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def test_a_slow_implementation_agrees():
    rng = np.random.default_rng(1)
    for k0, k1, stream, entity, item, when in rng.integers(0, 2**32, (200, 6)).tolist():
        got = philox(k0 | k1 << 32, stream, entity, item, when).tolist()
        assert got == slow_philox((stream, entity, item, when), (k0, k1))


def test_words_of_keys_and_keys_of_words_in_pythons_own_integers():
    users, items = np.random.default_rng(4).integers(0, 2**64, (2, 200), dtype=np.uint64)
    at_items = wide_words(philox(3, Stream.PANEL, *key_words(items), 5))
    at_pairs = philox(3, Stream.MODEL_RANDOM, *pair_words(users, items))
    for place, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        high, low = divmod(item, 2**32)
        first, second, *_ = slow_philox((Stream.PANEL, low, high, 5), (3, 0))
        assert at_items[place] == first * 2**32 + second
        folded = (user >> 32) ^ (user % 2**32)
        address = (Stream.MODEL_RANDOM, folded, low, high)
        assert at_pairs[place].tolist() == slow_philox(address, (3, 0))


def test_of_each_part_of_an_address_the_low_word_counts():
    parts = np.array([5, 7, 9])
    wide = parts + np.array([[1], [2**31 - 1]]) * 2**32
    for address in wide:
        np.testing.assert_array_equal(philox(3, 1, *address), philox(3, 1, *parts))


def test_uniforms():
    u = uniforms(7, Stream.CLICK, np.arange(N))
    assert u.shape == (N, 4)
    assert 0 < u.min() < u.max() < 1
    # Var(u) = 1/12; Var of the sample variance = (E(u-½)⁴ - 1/144)/n = (1/80 - 1/144)/n
    assert abs(u.mean() - 0.5) < FIVE_SIGMA * sqrt(1 / 12 / u.size)
    assert abs(u.var() - 1 / 12) < FIVE_SIGMA * sqrt((1 / 80 - 1 / 144) / u.size)


def test_extreme_words_stay_inside_the_open_interval(monkeypatch):
    monkeypatch.setattr(
        "recsys.core.noise.philox",
        lambda *_: np.array([0, 2**32 - 1, 0, 2**32 - 1], dtype=np.uint32),
    )
    assert ((uniforms(0, 0, 0) > 0) & (uniforms(0, 0, 0) < 1)).all()
    assert np.isfinite(normals(0, 0, 0)).all()


def test_normals():
    z = normals(7, Stream.LATENT, np.arange(N))
    assert z.shape == (N, 4)
    # sd of a mean 1/√n, of a variance √(2/n), of a correlation of independent columns 1/√n
    assert (abs(z.mean(axis=0)) < FIVE_SIGMA / sqrt(N)).all()
    assert (abs(z.var(axis=0) - 1) < FIVE_SIGMA * sqrt(2 / N)).all()
    pairs = np.triu_indices(4, 1)
    assert (abs(np.corrcoef(z.T)[pairs]) < FIVE_SIGMA / sqrt(N)).all()
    assert (abs(np.corrcoef(z.T**2)[pairs]) < FIVE_SIGMA / sqrt(N)).all()
    # kurtosis: sd √(24/n) for each column
    assert (abs((z**4).mean(axis=0) - 3 * z.var(axis=0) ** 2) < FIVE_SIGMA * sqrt(24 / N)).all()


def test_fields_of_a_moment_do_not_collide():
    days, visits = np.array([-(2**15), -14, -1, 0, 1, 13, 2**15 - 1]), np.arange(16)
    values = [
        moment(days[:, None], tick=tick, visit=visits, draw=draw).ravel()
        for tick, draw in product(range(16), (0, 1, 2, 255))
    ]
    values = np.concatenate(values)
    assert np.unique(values).size == values.size == 7 * 16 * 16 * 4
    assert values.min() >= 0
    assert values.max() < 2**32


@pytest.mark.parametrize("stream", [Stream.USER_KEY, Stream.POST_KEY])
def test_stable_keys(stream):
    ids = np.arange(N)
    keys = stable_keys(stream, ids)
    assert keys.dtype == np.uint64
    assert np.unique(keys).size == N  # two equal 64-bit keys: once in 3.7 thousand million tries
    part = np.random.default_rng(2).permutation(N)[:1000]
    np.testing.assert_array_equal(stable_keys(stream, ids[part]), keys[part])


def test_stable_keys_use_all_of_an_id_and_of_its_coordinates():
    ids = np.array([5, 5 + 2**32, 5 + 2**63], dtype=np.uint64)
    keys = [stable_keys(stream, ids, sub) for stream in (1, 2) for sub in (0, 1)]
    assert np.unique(keys).size == 12


@pytest.mark.parametrize("change", ["seed", "stream", "entity", "item", "when"])
def test_every_coordinate_of_an_address_counts(change):
    address = {"seed": 3, "stream": Stream.CLICK, "entity": 5, "item": 7, "when": 9}
    other = {**address, change: address[change] + 1}
    assert not (uniforms(**address) == uniforms(**other)).any()


def test_both_halves_of_a_seed_count():
    draws = [tuple(philox(seed, 1, 1).tolist()) for seed in (1, 2**32, 2**32 + 1, 2**63)]
    assert len(set(draws)) == 4


def test_same_address_same_draw_in_any_order_and_subset():
    rng = np.random.default_rng(3)
    entities, items = rng.integers(0, 2**32, (2, 500))
    whole = normals(11, Stream.CLICK, entities, items, moment(2))
    order = rng.permutation(500)[:123]
    part = normals(11, Stream.CLICK, entities[order], items[order], moment(2))
    np.testing.assert_array_equal(part, whole[order])
    alone = normals(11, Stream.CLICK, int(entities[7]), int(items[7]), int(moment(2)))
    np.testing.assert_array_equal(alone, whole[7])
    table = normals(11, Stream.CLICK, entities[:9, None], items[None, :9], moment(2))
    np.testing.assert_array_equal(table[np.arange(9), np.arange(9)], whole[:9])


def test_integer_seeds():
    seeds = {integer_seed(seed, model, day) for seed, model, day in product(range(10), repeat=3)}
    # 1000 draws of 31 bits: P(any two equal) = 1000² / 2³² < 3e-4; the numbers here are fixed
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_streams_have_numbers_of_their_own():
    assert len({stream.value for stream in Stream}) == len(Stream.__members__)
