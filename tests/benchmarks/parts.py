"""Where the time of a closed loop's day goes: python tests/benchmarks/parts.py CONFIG [key=value …]

Simulates the burn-in and the days before the influx in one thread, and profiles the last of them by
processor time. Then it says how quickly products are computed, and how quickly this machine copies
memory, gathers rows of 128 bytes that lie anywhere, and multiplies matrices of the same shape.
"""
# mypy: disallow-untyped-decorators=False

import cProfile
import pstats
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from numba import njit

import recsys
from recsys.core.threads import single_threaded_blas
from recsys.recommenders import shortlist
from recsys.study.arms.rankings import make_rankings
from recsys.world.people.posts import first_day
from recsys.world.run import Run

PARTS = {
    "als: sweeps": ["als.py:fit", "least_squares.py"],
    "als: pairs from events": ["_sparsetools", "log.py:_in_key_order", "log.py:interactions"],
    "ranking: products": ["shortlist.py:write_best"],
    "ranking: shortlists": ["shortlist.py:_shorten"],
    "ranking: exact products": ["shortlist.py:_write"],
    "ranking: seen posts": ["shortlist.py:_hidden"],
    "feeds": ["blend.py", "serving.py", "merge.py", "kernels.py", "factors.py", "ranking.py"],
    "responses": ["behaviour.py", "user_states.py"],
    "likings of people": ["click_rates.py"],
    "events and counts": ["events.py", "counts.py", "traffic.py", "calibration.py", "frames.py"],
    "trending list": ["base.py:decayed_weights"],
}
"""Parts of the day, by parts of the names of files and functions."""


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """The least processor time that work takes."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


@njit
def _gathered(rows, where):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for row in where:
        for column in range(rows.shape[1]):
            total += rows[row, column]
    return total


def rates(factors: int) -> tuple[float, float, float]:
    """GB/s of copying, GB/s of gathering rows, and GFLOP/s of products, in one thread."""
    rng = np.random.default_rng(0)
    source, target = np.ones(50_000_000), np.zeros(50_000_000)
    copying = 2 * source.nbytes / best(lambda: np.copyto(target, source)) / 1e9
    rows = np.zeros((3_000_000, 32), dtype=np.float32)
    where = rng.integers(0, len(rows), 2_000_000)
    _gathered(rows, where[:1])
    gathering = where.size * 128 / best(lambda: _gathered(rows, where)) / 1e9
    x = rng.standard_normal((shortlist._ROWS, factors), dtype=np.float32)
    y = rng.standard_normal((factors, shortlist._COLUMNS), dtype=np.float32)
    out = np.empty((len(x), y.shape[1]), dtype=np.float32)

    def products() -> None:
        for _ in range(500):
            np.matmul(x, y, out=out)

    return copying, gathering, 500 * 2 * out.size * factors / best(products) / 1e9


def main(config: str, changes: list[str]) -> None:
    """Prints the table."""
    study = recsys.load_study(config, changes)
    options = study.recommenders[0].options
    policy = make_rankings(study.recommenders[0]).policy(study.evaluation.training_days or 14)
    start = time.perf_counter()
    run = Run.start(study.world, study.first_seed, 1, policy, None, impressions=False)
    print(f"people and posts: {time.perf_counter() - start:.1f} s, {run.posts.n:,} posts")
    multiplied, shorten = 0, shortlist._shorten

    def counting(products, *more):  # type: ignore[no-untyped-def]
        nonlocal multiplied
        multiplied += products.size
        return shorten(products, *more)

    shortlist._shorten = counting
    profile = cProfile.Profile(time.process_time)
    for day in range(first_day(study.world), 0):
        if day == -1:
            multiplied = 0
            profile.enable()
        began = time.process_time()
        today = run._run_day(day)
        seconds = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"day {day}: {seconds:.1f} s of processor time, {peak:.2f} GiB at most", flush=True)
    profile.disable()
    factors = int(options.get("factors", 64))  # type: ignore[arg-type]
    with single_threaded_blas():
        copying, gathering, products = rates(factors)
    table = dict.fromkeys(PARTS, 0.0)
    rest = 0.0
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        label = f"{file.rsplit('/', 1)[-1]}:{name}"
        part = next((p for p, names in PARTS.items() if any(n in label for n in names)), None)
        if part is None:
            rest += own
        else:
            table[part] += own
    for part, spent in [*table.items(), ("all else", rest)]:
        print(f"{part:26} {spent:7.2f} s {spent / seconds:6.1%}")
    looks, visits = int(today.traffic.impressions.sum()), today.visits
    came = int(today.traffic.people.sum())
    print(f"{looks:,} looks, {visits:,} visits, {came:,} people who came")
    print(f"{looks / seconds:,.0f} looks/s of one processor")
    pairs = run.rankers[0].model.log.interactions.weights  # type: ignore[union-attr]
    print(f"vectors: {pairs.shape[0]:,} users, {pairs.shape[1]:,} posts")
    rate = 2 * factors * multiplied / max(table["ranking: products"], 1e-9) / 1e9
    per_user = multiplied / max(came, 1)
    print(f"products: {per_user:,.0f} posts a user, {rate:.0f} of {products:.0f} GFLOP/s")
    print(f"this machine copies {copying:.0f} GB/s, and gathers rows at {gathering:.1f} GB/s")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
