"""Sameness to the bit: what must move nobody's feed does not, for every recommender."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_info

import recsys
from recsys.core.noise import Stream
from recsys.core.threads import single_threaded_blas
from recsys.logs.log import InteractionLog
from recsys.recommenders.als import ALS
from recsys.recommenders.factors import starting_factors

K = 20


def feeds(log, ranking, users):
    """Rankings under people's own ids: {user: [(item, bits of the score), …]}."""
    ids = log.items["item_id"].to_list()
    return {
        user: [
            (ids[item], score)
            for item, score in zip(items, scores.view(np.uint32).tolist(), strict=True)
            if item >= 0
        ]
        for user, items, scores in zip(
            log.users["user_id"].gather(users),
            ranking.item_ids.tolist(),
            ranking.scores,
            strict=True,
        )
    }


def interleaved(frame, others, seed):
    """Rows of two frames in a drawn order."""
    both = pl.concat([frame, others], how="diagonal")
    return both[np.random.default_rng(seed).permutation(both.height)]


def rows_of(ids, wanted):
    """Dense ids of some people's ids."""
    place = {name: row for row, name in enumerate(ids)}
    return np.array([place[name] for name in wanted])


# Inert


def test_inert_users_move_nobody(recommender, model, frames, log):
    events, users, items = frames
    idle = pl.DataFrame({"user_id": [f"idle {n}" for n in range(300)], "cohort": "newcomer"})
    more = InteractionLog.from_frames(events, interleaved(users, idle, 1), items)
    assert more.n_users == log.n_users + 300
    everybody = rows_of(more.users["user_id"], log.users["user_id"])
    got = recommender.fit(more, seed=0).rank(everybody, K)
    assert feeds(more, got, everybody) == feeds(
        log, model.rank(np.arange(log.n_users), K), np.arange(log.n_users)
    )


def test_inert_items_move_nobody(recommender, model, frames, log):
    events, users, items = frames
    unread = pl.DataFrame({"item_id": [f"unread {n}" for n in range(200)]})
    more = InteractionLog.from_frames(events, users, interleaved(items, unread, 2))
    everybody = np.arange(log.n_users)
    fitted = recommender.fit(more, seed=0)
    expected = feeds(log, model.rank(everybody, K), everybody)
    served = more.items["item_id"].str.starts_with("item").to_numpy()
    assert feeds(more, fitted.rank(everybody, K, served), everybody) == expected
    if model.scorable.size < log.n_items:  # it serves what has events: the unread need no ban
        assert feeds(more, fitted.rank(everybody, K), everybody) == expected


def test_inert_impressions_change_only_what_was_seen(recommender, model, frames, log):
    """What is shown to newcomers and not liked teaches nothing."""
    events, users, items = frames
    shown = events.head(200).with_columns(
        user_id=pl.lit("newcomer"), kind=pl.lit("impression"), timestamp=events["timestamp"][:200]
    )
    more = InteractionLog.from_frames(
        pl.concat([events, shown]),
        pl.concat([users, pl.DataFrame({"user_id": ["newcomer"]})], how="diagonal"),
        items,
    )
    everybody = np.arange(log.n_users)
    got = recommender.fit(more, seed=0).rank(everybody, K)
    assert feeds(more, got, everybody) == feeds(log, model.rank(everybody, K), everybody)


# Relabelled


def test_relabelling_relabels_and_changes_nothing_else(recommender, model, log):
    rng = np.random.default_rng(8)
    names = {
        "user_id": dict(zip(log.users["user_id"], rng.permutation(log.n_users), strict=True)),
        "item_id": dict(zip(log.items["item_id"], rng.permutation(log.n_items), strict=True)),
    }
    renamed = [
        frame.with_columns(
            pl.col(column).replace_strict(names[column])
            for column in names
            if column in frame.columns
        )
        for frame in (log.events, log.users, log.items)
    ]
    events, users, items = renamed
    other = InteractionLog.from_frames(
        events, users[rng.permutation(users.height)], items[rng.permutation(items.height)]
    )
    everybody = np.arange(log.n_users)
    original = feeds(log, model.rank(everybody, K), everybody)
    expected = {
        names["user_id"][user]: [(names["item_id"][item], score) for item, score in feed]
        for user, feed in original.items()
    }
    got = feeds(other, recommender.fit(other, seed=0).rank(everybody, K), everybody)
    assert got == expected


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
    from implicit.cpu.als import AlternatingLeastSquares

    with monkeypatch.context() as patch:
        patch.setattr(AlternatingLeastSquares, "fit", lambda *_, **__: None)
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


def test_fits_in_four_threads_at_once(recommender, model, log):
    users = np.arange(log.n_users)
    expected = model.rank(users, K)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: recommender.fit(log, 0).rank(users, K), range(4)))
    for got in results:
        np.testing.assert_array_equal(got.item_ids, expected.item_ids)
        np.testing.assert_array_equal(got.scores, expected.scores)


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
rng = np.random.default_rng(0)
log = InteractionLog.from_frames(
    {"user_id": rng.integers(0, 900, 9000), "item_id": rng.integers(0, 400, 9000)},
    items={"item_id": range(400), "topic": [n % 7 for n in range(400)]})
for name, kind in RECOMMENDERS.items():
    got = kind().fit(log, seed=1).rank(np.arange(300), 20)
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
        assert len(done.stdout) == len(recsys.RECOMMENDERS) * 300 * 20 * 8
        digests.add(hashlib.sha256(done.stdout).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("part", ["users", "items"])
def test_the_laws_can_fail(frames, log, part):
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
