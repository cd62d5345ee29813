"""Sameness to the bit: where factors start, and the number of threads.

The laws that every recommender keeps are in `recsys.testing`.
"""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import recsys
from recsys.core.noise import Stream
from recsys.core.threads import single_threaded_blas
from recsys.recommenders.als import ALS
from recsys.recommenders.factors import starting_factors
from tests.kit.variants import VARIANTS

# Keyed starts


def test_starting_factors_depend_on_seed_stream_and_key_alone():
    keys = np.sort(np.random.default_rng(9).integers(0, 2**63, 200, dtype=np.uint64))
    whole = starting_factors(3, Stream.MODEL_USER, keys, 10)
    assert whole.shape == (200, 10)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(
        starting_factors(3, Stream.MODEL_USER, keys[5:50:7], 10), whole[5:50:7]
    )
    assert np.unique(whole).size == whole.size
    for other in ((4, Stream.MODEL_USER, keys), (3, Stream.MODEL_ITEM, keys)):
        assert not (starting_factors(*other, 10) == whole).any()
    high = keys ^ np.uint64(1 << 60)
    assert not (starting_factors(3, Stream.MODEL_USER, high, 10) == whole).any()
    # sd of the standard deviation of n normals is σ/√(2n); 5 of them, both sides
    assert abs(whole.std() - 0.01) < 5 * 0.01 / np.sqrt(2 * whole.size)


def started(monkeypatch, log, seed, previous=None):
    """An ALS model before its first sweep."""
    with monkeypatch.context() as patch:
        patch.setattr("recsys.recommenders.als.sweep", lambda *_: None)
        return ALS(factors=6).fit(log, seed, previous)


def test_als_starts_each_entity_from_its_key(log, monkeypatch):
    model = started(monkeypatch, log, seed=5)
    part = started(monkeypatch, log.without_users(np.arange(300)), seed=5)
    for factors, place in (("user_factors", "hot_row"), ("item_factors", "hot_column")):
        row, other = getattr(model, place), getattr(part, place)
        both = (row >= 0) & (other >= 0)
        assert both.any()
        np.testing.assert_array_equal(
            getattr(model, factors)[row[both]], getattr(part, factors)[other[both]]
        )
    anew = started(monkeypatch, log, seed=6)
    assert not (anew.user_factors == model.user_factors).any()


def test_als_goes_on_from_yesterdays_vectors(log, monkeypatch):
    yesterday = ALS(factors=6).fit(log.without_users(np.arange(300)), seed=5)
    start = started(monkeypatch, log, 5, previous=yesterday)
    cold = started(monkeypatch, log, 5)
    for user in range(log.n_users):
        row, before = start.hot_row[user], yesterday.hot_row[user]
        if row >= 0:
            expected = yesterday.user_factors[before] if before >= 0 else cold.user_factors[row]
            np.testing.assert_array_equal(start.user_factors[row], expected)
    other_size = ALS(factors=5).fit(log, seed=5)
    got = started(monkeypatch, log, 5, previous=other_size)
    np.testing.assert_array_equal(got.user_factors, cold.user_factors)


# Threads


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_the_limit_on_blas_threads_ends_with_the_last_block():
    before = blas_threads()
    with single_threaded_blas():
        with single_threaded_blas():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: within_blas_limit(), range(20)))
    assert blas_threads() == before


def within_blas_limit():
    with single_threaded_blas():
        assert set(blas_threads()) == {1}


DIGEST = """
import sys, numpy as np
from recsys import RECOMMENDERS, InteractionLog
from tests.kit.variants import VARIANTS
rng = np.random.default_rng(0)
log = InteractionLog.from_frames(
    {"user_id": rng.integers(0, 900, 9000), "item_id": rng.integers(0, 400, 9000)},
    items={"item_id": range(400), "topic": [n % 7 for n in range(400)],
        "format": [n % 2 for n in range(400)], "subtitled": [n % 3 for n in range(400)],
        "creator_id": [n % 40 for n in range(400)],
        "tags": [[f"tag {n % 5}", f"tag {n % 3}"] for n in range(400)]})
for tried in (*(kind() for kind in RECOMMENDERS.values()), *VARIANTS.values()):
    got = tried.fit(log, seed=1).rank(np.arange(300), 20)
    sys.stdout.buffer.write(got.item_ids.tobytes() + got.scores.tobytes())
"""


def test_the_number_of_threads_changes_nothing():
    digests = set()
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", DIGEST],
            env={**os.environ, **dict.fromkeys(names, threads)},
            capture_output=True,
            check=True,
            cwd=Path(recsys.__file__).parents[1],
        )
        assert len(done.stdout) == len({*recsys.RECOMMENDERS, *VARIANTS}) * 300 * 20 * 8
        digests.add(hashlib.sha256(done.stdout).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("part", ["users", "items"])
def test_the_laws_can_fail(log, part):
    """A start drawn from one running stream, as libraries do, moves feeds when a row is added."""
    from implicit.cpu.als import AlternatingLeastSquares

    def factors(extra):
        weights = log.interactions.weights.copy()
        shape = (weights.shape[0] + extra * (part == "users"), weights.shape[1] + extra)
        weights.resize(shape)
        with single_threaded_blas():
            solver = AlternatingLeastSquares(factors=8, iterations=2, num_threads=1, random_state=0)
            solver.fit(weights, show_progress=False)
        return solver.item_factors[:50]

    assert (factors(0) == factors(0)).all()
    assert (factors(0) != factors(1)).any()
