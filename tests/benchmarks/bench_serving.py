"""Speed of serving: pytest tests/benchmarks/bench_serving.py --benchmark-only

Target: als, bpr and two_tower serve at .6 or more of the rate at which this machine multiplies
matrices in float32, on one thread as they do, by processor time of the same run. Fits and lists of
two others are timed.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from recsys.core.threads import single_threaded_blas
from recsys.logs.log import InteractionLog
from recsys.recommenders import EASE, ItemKNN
from recsys.recommenders.als import ALSModel
from recsys.recommenders.bpr import BPRModel
from recsys.recommenders.tower_log import tower_of
from recsys.recommenders.two_tower import TwoTowerModel

USERS, ITEMS, FACTORS, K = 5_120, 50_000, 64, 20
SEEN = 100
TARGET = 0.6


@pytest.fixture
def say(request, capsys):
    """Writes a line to the terminal."""

    def write(line: str) -> None:
        with capsys.disabled():
            request.config.get_terminal_writer().line(f"\n{line}")

    return write


def a_log(users: int, items: int, per_user: int) -> InteractionLog:
    """Every item is liked by somebody; popularity is uneven."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(users), per_user)
    item = (items * rng.random(user.size) ** 2).astype(np.int64)
    item[:items] = np.arange(items)[: item.size]
    return InteractionLog.from_frames({"user_id": user, "item_id": item})


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return a_log(USERS, ITEMS, SEEN)


def rate_of_products(width: int, rounds: int = 5) -> float:
    """Multiplications and additions a second, float32, of blocks of users with all items."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((256, width), dtype=np.float32)
    y = rng.standard_normal((width, ITEMS), dtype=np.float32)
    out = np.empty((256, ITEMS), dtype=np.float32)
    best = np.inf
    with single_threaded_blas():
        for _ in range(rounds):
            start = time.process_time()
            for _ in range(USERS // 256):
                np.matmul(x, y, out=out)
            best = min(best, time.process_time() - start)
    return 2 * USERS * ITEMS * width / best


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("kind", [ALSModel, BPRModel, TwoTowerModel])
def bench_factors(benchmark, say, log, kind) -> None:
    """5,120 users, 50,000 posts, 64 factors, the best 20 without what was seen."""
    rng = np.random.default_rng(2)
    width = FACTORS + (kind is not ALSModel)
    x, y = (rng.standard_normal((n, width), dtype=np.float32) for n in (USERS + 1, ITEMS))
    if kind is TwoTowerModel:
        towers = tower_of(log.users, np.arange(USERS)), tower_of(log.items, np.arange(ITEMS))
        none = np.zeros((0, FACTORS), dtype=np.float32)
        model = kind(log, x, y, *towers, none, none, none, none, None)
    else:
        model = kind(log, x[:-1], y[: log.interactions.items.size], candidate_days=None)
    users = np.arange(USERS)
    model.rank(users[:256], K)
    benchmark.pedantic(model.rank, args=(users, K), rounds=5)
    products = rate_of_products(width)
    rate = 2 * USERS * log.interactions.items.size * width / benchmark.stats.stats.min
    benchmark.extra_info["share of the products' rate"] = rate / products
    say(
        f"{kind.__name__}: {USERS / benchmark.stats.stats.min:,.0f} users/s, "
        f"{rate / 1e9:.1f} of {products / 1e9:.1f} GFLOP/s: {rate / products:.2f}"
    )
    assert rate >= TARGET * products


@pytest.mark.parametrize(("kind", "items"), [(ItemKNN, ITEMS), (EASE, 4_000)])
def bench_items(benchmark, say, kind, items) -> None:
    """A fit, and the best 20 posts of 5,120 users."""
    log = a_log(USERS, items, SEEN)
    _ = log.interactions, log.seen
    start = time.perf_counter()
    model = kind().fit(log)
    fitted = time.perf_counter() - start
    model.rank(np.arange(256), K)
    benchmark.pedantic(model.rank, args=(np.arange(USERS), K), rounds=2)
    speed = USERS / benchmark.stats.stats.min
    say(f"{kind.__name__}, {items:,} items: fit {fitted:.1f} s, {speed:,.0f} users/s")


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 1.0])
def bench_ease_without_users(benchmark, say, share):
    """Exact removal of so many users per item beside a new fit; up to half, removal is quicker."""
    log = a_log(20_000, 2_000, 12)
    recommender = EASE()
    whole = recommender.fit(log)
    gone = np.arange(int(share * 2_000))
    left = log.without_users(gone)
    _ = left.interactions
    start = time.perf_counter()
    fitted = recommender.fit(left)
    seconds = time.perf_counter() - start
    removed = benchmark(recommender.removed, whole, left, gone)
    apart = float(np.abs(removed.weights - fitted.weights).max())
    say(f"a new fit: {seconds:.2f} s; largest |ΔB| {apart:.1e}")
    assert apart < 1e-12
