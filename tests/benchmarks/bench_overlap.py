"""Speed of the rank comparisons: pytest tests/benchmarks/bench_overlap.py --benchmark-only"""

from __future__ import annotations

import numpy as np
import pytest

from recsys.measures import average_overlap, compare, frbo, jaccard, kendall_topk, rbo_ext

N_PAIRS = 1_000_000
N_ITEMS = 100_000


def feeds_that_half_agree(n_pairs: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Half of the slots get another post; the rest move by up to a few ranks."""
    rng = np.random.default_rng(0)
    start = rng.integers(0, N_ITEMS // 2, (n_pairs, 1))
    a = (start + 37 * np.arange(depth)) % (N_ITEMS // 2)
    b = np.where(rng.random(a.shape) < 0.5, a, a + N_ITEMS // 2)
    return a.astype(np.int32), np.ascontiguousarray(np.roll(b, 2, axis=1), dtype=np.int32)


@pytest.fixture(scope="module", params=[10, 20, 50])
def feeds(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    return feeds_that_half_agree(N_PAIRS, request.param)


@pytest.fixture(scope="module")
def from_newcomers() -> np.ndarray:
    return np.arange(N_ITEMS) >= N_ITEMS // 2


def bench_compare(benchmark, feeds, from_newcomers) -> None:
    """FRBO, Jaccard and slot accounting of a million pairs."""
    compare(feeds[0][:10], feeds[1][:10], from_newcomers)
    result = benchmark.pedantic(compare, args=(*feeds, from_newcomers), rounds=5)
    assert result.frbo.shape == (N_PAIRS,)


@pytest.mark.parametrize("function", [frbo, jaccard, average_overlap, rbo_ext, kendall_topk])
def bench_one(benchmark, feeds, function) -> None:
    """One comparison of a million pairs."""
    function(feeds[0][:10], feeds[1][:10])
    benchmark.pedantic(function, args=feeds, rounds=3)
