"""Speed of all measures: pytest tests/benchmarks/bench_measures.py --benchmark-only

100,000 users × 20 days × 4 arms of 20 slots, every measure of the registry by user, in at most
60 seconds and 4 GiB; FRBO of a million pairs of 50 slots in at most .6 s, on two cores.
"""

from __future__ import annotations

import resource

import numpy as np
import polars as pl

from recsys.measures import FeedPair, frbo
from recsys.measures.rows import headline_of, measures_of, rows_of

N_USERS, N_DAYS, N_ARMS, DEPTH, N_ITEMS = 100_000, 20, 4, 20, 50_021
SECONDS, BYTES = 60, 4 * 2**30
_ATTRIBUTES = {"language": 2, "format": 3, "topic": 24, "product_tag": 2}
"""Values of each, as in a world."""


def feeds_of(rng: np.random.Generator) -> np.ndarray:
    """A run of items each, in a random step: distinct (their number is prime), quick to draw."""
    start, step = rng.integers(1, N_ITEMS, (2, N_USERS, 1))
    return ((start + step * np.arange(DEPTH)) % N_ITEMS).astype(np.int32)


def half_of(ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of the slots hold another item, from a part of the catalogue of its own."""
    other = np.where(rng.random(ids.shape) < 0.5, ids, ids + N_ITEMS)
    return np.ascontiguousarray(np.roll(other, 1, axis=1), dtype=np.int32)


def bench_all_measures(benchmark) -> None:
    """Rows of every user, day and arm, and the headline of each arm."""
    rng = np.random.default_rng(0)
    n = 2 * N_ITEMS
    attributes = {
        name: (rng.integers(0, values, n, dtype=np.int32), [str(v) for v in range(values)])
        for name, values in _ATTRIBUTES.items()
    }
    provides = (
        "from_newcomers",
        "creators",
        "popularity",
        "vectors",
        "reference_scores",
        "scores",
        "previous",
        "history",
        "relevance",
    )
    measures = measures_of(provides, attributes)
    taste = rng.dirichlet(np.ones(_ATTRIBUTES["topic"]), N_USERS)
    codes = {name: own for name, (own, _) in attributes.items()}
    known = {
        "from_newcomers": np.arange(n) >= N_ITEMS,
        "creators": rng.integers(0, 5000, n, dtype=np.int32),
        "popularity": rng.random(n),
        "vectors": rng.normal(size=(n, 32)).astype(np.float32),
        "history": {"topic": taste},
    }
    reference, before = feeds_of(rng), feeds_of(rng)
    arm = half_of(reference, rng)
    scores = -np.sort(rng.integers(0, 200, reference.shape)).astype(np.float64)
    relevance = rng.random(reference.shape, dtype=np.float32)
    users = pl.Series(np.arange(N_USERS))

    def pair() -> FeedPair:
        return FeedPair(
            reference=reference,
            feeds=arm,
            attributes=codes,
            examine=0.9 ** np.arange(DEPTH),
            reference_scores=scores,
            scores=scores,
            previous=before,
            relevance=relevance,
            **known,
        )

    def measure() -> int:
        cells = 0
        for name in range(N_ARMS):
            rows, pairs = [], []
            for day in range(N_DAYS):
                keys = {
                    "recommender": "x",
                    "mitigation": "none",
                    "arm": str(name),
                    "seed": 0,
                    "draw": 0,
                    "day": day,
                    "cohort": "incumbent",
                }
                pairs.append(pair())
                rows.append(rows_of(pairs[-1], measures, users, keys))
            headline = headline_of(rows, pairs, measures)
            cells += headline.height + sum(frame.height for frame in rows)
        return cells

    frbo(reference[:10], arm[:10])
    cells = benchmark.pedantic(measure, rounds=1)
    assert cells == N_USERS * (N_DAYS + 1) * N_ARMS
    assert benchmark.stats.stats.max <= SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 <= BYTES


def bench_frbo_of_a_million(benchmark) -> None:
    """50 slots a feed, half of them shared."""
    rng = np.random.default_rng(0)
    start = rng.integers(0, N_ITEMS, (1_000_000, 1))
    a = ((start + 37 * np.arange(50)) % N_ITEMS).astype(np.int32)
    b = half_of(a, rng)
    frbo(a[:10], b[:10])
    benchmark.pedantic(frbo, args=(a, b), rounds=5)
    assert benchmark.stats.stats.min <= 0.6
