"""Measures of pairs against slow ones: dicts, loops and definitions, 10,000 random users each."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys.measures import (
    MEASURES,
    FeedPair,
    attention,
    centroids,
    cosine_distance,
    homogenisation,
)

N, DEPTH, N_ITEMS = 10_000, 7, 40


@pytest.fixture(scope="module")
def pair() -> FeedPair:
    rng = np.random.default_rng(11)

    def feeds() -> np.ndarray:
        ids = rng.permuted(np.tile(np.arange(N_ITEMS), (N, 1)), axis=1)[:, :DEPTH]
        lengths = np.where(rng.random(N) < 0.6, DEPTH, rng.integers(0, DEPTH + 1, N))
        return np.where(np.arange(DEPTH) < lengths[:, None], ids, -1).astype(np.int32)

    taste = rng.dirichlet(np.ones(5), N)
    measured = feeds()
    hits = (rng.random((N, DEPTH)) < 0.3) & (measured >= 0)
    return FeedPair(
        reference=feeds(),
        feeds=measured,
        attributes={
            name: rng.integers(0, values, N_ITEMS, dtype=np.int32)
            for name, values in (("language", 2), ("format", 3), ("topic", 5), ("tag", 2))
        },
        from_newcomers=rng.random(N_ITEMS) < 0.3,
        examine=np.sort(rng.random(DEPTH))[::-1].copy(),
        creators=rng.integers(0, 9, N_ITEMS, dtype=np.int32),
        popularity=rng.random(N_ITEMS),
        vectors=rng.normal(size=(N_ITEMS, 4)).astype(np.float32),
        previous=feeds(),
        without=feeds(),
        history={"topic": taste},
        relevance=rng.random((N, DEPTH), dtype=np.float32),
        hits=hits,
        n_relevant=(hits.sum(axis=1) + rng.integers(0, 2 * DEPTH, N)).astype(np.int32),
        sources=rng.integers(0, 5, (N, DEPTH), dtype=np.uint8),
    )


def filled(row: np.ndarray) -> list[int]:
    return [int(i) for i in row if i >= 0]


def shares(ids: list[int], values) -> dict:
    counts = Counter(values(i) for i in ids)
    return {value: count / len(ids) for value, count in counts.items()}


def slow(name: str, pair: FeedPair, row: int) -> float:
    """One user's value, by the formula in words."""
    a, b = filled(pair.reference[row]), filled(pair.feeds[row])
    n = min(len(a), len(b))
    nan = float("nan")
    if name in ("posts", "creators", "turnover", "slots_changed", "average_overlap", "one_step"):
        others = {"turnover": pair.previous, "one_step": pair.without}
        other = filled(others[name][row]) if name in others else a
        n = min(len(other), len(b))
        if not n:
            return float(bool(other) != bool(b))
        if name == "creators":
            x, y = ([pair.creators[i] for i in ids] for ids in (other, b))
        else:
            x, y = other, b
        both = [sum((Counter(x[:d]) & Counter(y[:d])).values()) for d in range(1, n + 1)]
        if name == "slots_changed":
            return 1 - both[-1] / n
        p = 1.0 if name == "average_overlap" else 1 - 1 / DEPTH
        weights = [p**d for d in range(n)]
        agreement = sum(w * c / (d + 1) for d, (w, c) in enumerate(zip(weights, both, strict=True)))
        return 1 - agreement / sum(weights)
    if name == "jaccard":
        if not n:
            return float(bool(a) != bool(b))
        x, y = set(a[:n]), set(b[:n])
        return 1 - len(x & y) / len(x | y)
    if name in ("displaced", "reshuffled"):
        if not n:
            return 0.0 if not a and not b else nan
        new = [i for i in b[:n] if i not in a[:n]]
        return sum(bool(pair.from_newcomers[i]) == (name == "displaced") for i in new) / n
    if name.startswith(("changed_", "displaced_")):
        filler = {"personal": (0, 4), "following": (1,), "trending": (2,), "fresh": (3,)}
        slots = [i for i in range(n) if pair.sources[row, i] in filler[name.split("_")[1]]]
        new = [b[i] not in a[:n] for i in slots]
        if name.startswith("displaced"):
            new = [x and pair.from_newcomers[b[i]] for x, i in zip(new, slots, strict=True)]
        return sum(new) / len(slots) if slots else nan
    if name in ("ndcg", "recall"):
        hits, relevant = pair.hits[row], int(pair.n_relevant[row])
        if not relevant:
            return nan
        found = {rank for rank in range(1, DEPTH + 1) if hits[rank - 1]}
        if name == "recall":
            return len(found) / relevant
        best = range(1, min(relevant, DEPTH) + 1)
        gain, most = (sum(math.log(2) / math.log(r + 1) for r in s) for s in (found, best))
        return gain / most
    if name.startswith(("language_format", "topic", "joint_mix")):
        if not n:
            return nan
        crossed = {"l": ("language", "format"), "t": ("topic",)}
        names = crossed.get(name[0], ("language", "format", "topic", "tag"))
        p, q = (shares(s, lambda i: tuple(pair.attributes[m][i] for m in names)) for s in (a, b))
        bins = {*p, *q}
        if name.endswith("jsd"):
            m = {x: (p.get(x, 0) + q.get(x, 0)) / 2 for x in bins}
            return sum(
                r[x] * math.log2(r[x] / m[x]) / 2 for r in (p, q) for x in bins if r.get(x, 0) > 0
            )
        if name.endswith("hellinger"):
            squares = sum((math.sqrt(p.get(x, 0)) - math.sqrt(q.get(x, 0))) ** 2 for x in bins)
            return math.sqrt(squares / 2)
        return sum(abs(p.get(x, 0) - q.get(x, 0)) for x in bins) / 2
    if name == "calibration":
        if not b:
            return nan
        q = shares(b, lambda i: pair.attributes["topic"][i])
        p = pair.history["topic"][row]
        return sum(x * math.log(x / (0.99 * q.get(t, 0) + 0.01 * x)) for t, x in enumerate(p))
    if name == "embedding":
        if not a or not b:
            return nan
        x, y = (
            sum(w * pair.vectors[i].astype(float) for w, i in zip(pair.examine, s, strict=False))
            for s in (a, b)
        )
        return 1 - float(x @ y / math.sqrt((x @ x) * (y @ y)))
    if not b:
        return nan
    flags = [bool(pair.from_newcomers[i]) for i in b]
    looks = pair.examine[: len(b)]
    return {
        "newcomer_slots": lambda: sum(flags) / len(b),
        "newcomer_share": lambda: float(np.average(flags, weights=looks)),
        "noticeable4": lambda: float(any(flags[:4])),
        "influx_heavy": lambda: float(4 * sum(flags) >= len(b)),
        "popularity": lambda: sum(pair.popularity[i] for i in b) / len(b),
        "utility": lambda: float(np.average(pair.relevance[row][: len(b)], weights=looks)),
    }[name]()


# Overlaps, Kendall and RBO have theirs in test_overlap and test_ties.
ELSEWHERE = {"rbo_ext", "rbo_ext_ties", "kendall"}


@pytest.mark.parametrize("name", [name for name in MEASURES if name not in ELSEWHERE])
def test_ten_thousand_users(name: str, pair: FeedPair) -> None:
    expected = [slow(name, pair, row) for row in range(N)]
    np.testing.assert_allclose(MEASURES[name](pair), expected, rtol=1e-9, atol=1e-12)


def test_kendall_is_normalised_by_its_most(pair: FeedPair) -> None:
    values = MEASURES["kendall"](pair)
    assert values.min() >= 0.0
    assert values.max() == 1.0  # two of 10,000 random pairs are disjoint, surely
    ids = np.arange(DEPTH, dtype=np.int32)[None]
    backwards = FeedPair(ids, ids[:, ::-1].copy(), {}, None, np.ones(DEPTH))
    most = DEPTH**2 + DEPTH * (DEPTH - 1) / 2
    assert MEASURES["kendall"](backwards)[0] == DEPTH * (DEPTH - 1) / 2 / most


def test_homogenisation_is_the_mean_overlap_of_pairs() -> None:
    rng = np.random.default_rng(2)
    feeds = rng.permuted(np.tile(np.arange(12), (30, 1)), axis=1)[:, :5]
    pairs = [len({*x} & {*y}) / 5 for x, y in combinations(feeds.tolist(), 2)]
    assert homogenisation(feeds, 12) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert homogenisation(np.tile(feeds[:1], (4, 1)), 12) == 1.0
    assert np.isnan(homogenisation(feeds[:1], 12))
    assert np.isnan(homogenisation([[-1], [-1]], 12))


def test_attention_sums_to_the_slots() -> None:
    rng = np.random.default_rng(3)
    feeds = rng.integers(-1, 20, (50, 4))
    assert attention(feeds, None, 20).sum() == (feeds >= 0).sum()
    looks = attention(feeds, [1.0, 0.5, 0.25, 0.125], 20)
    at_zero = (feeds == 0).sum(axis=0) @ [1.0, 0.5, 0.25, 0.125]
    assert looks[0] == at_zero


points = arrays(np.float64, (5, 3), elements=st.floats(-100, 100))


@given(points, points)
def test_cosine_distance(a: np.ndarray, b: np.ndarray) -> None:
    got = cosine_distance(a, b)
    np.testing.assert_array_equal(got, cosine_distance(b, a))
    known = ~np.isnan(got)
    assert ((got[known] >= 0) & (got[known] <= 2)).all()
    same = cosine_distance(a, a)
    assert (same[~np.isnan(same)] == 0).all()
    # Squares of values below 1e-150 vanish: there is no direction to compare.
    assert (known | (np.abs(a).max(1) < 1e-150) | (np.abs(b).max(1) < 1e-150)).all()


def test_centroid_of_many_rows_is_each_rows_own() -> None:
    rng = np.random.default_rng(4)
    feeds, vectors = rng.integers(-1, 30, (9000, 4)), rng.normal(size=(30, 2))
    together = centroids(feeds, vectors, [1, 0.5, 0.2, 0.1])
    for row in (0, 4095, 4096, 8999):
        alone = centroids(feeds[row : row + 1], vectors, [1, 0.5, 0.2, 0.1])
        np.testing.assert_allclose(together[row : row + 1], alone, rtol=1e-12, atol=1e-15)


def test_refused() -> None:
    with pytest.raises(ValueError, match=r"expected float \(n_items, d\)"):
        centroids([[0]], [1, 2])
    with pytest.raises(ValueError, match=r"a has shape \(1, 2\) and b \(1, 3\)"):
        cosine_distance([[1, 2]], [[1, 2, 3]])
    with pytest.raises(ValueError, match="n_items is 0"):
        homogenisation([[0]], 0)
    with pytest.raises(ValueError, match="expected 0 to 1, the items described"):
        attention([[2]], None, 2)
