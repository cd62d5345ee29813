"""What every mitigation promises: a mitigated recommender is a recommender."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.core.errors import ConfigError, LogError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import SOURCES
from recsys.mitigations import MITIGATIONS, Frozen, Mitigated, mitigated
from recsys.mitigations.base import Place
from recsys.recommenders import ALS, RECOMMENDERS, ItemKNN, Trending, with_fallback
from tests.mitigations.conftest import N_ITEMS, N_USERS, START, options_of, wrapped
from tests.recommenders.conftest import SMALL
from tests.recommenders.test_laws import feeds

EVERYBODY = np.arange(N_USERS)
MIXED = np.array([100, 3, 350, -1, 11])


def assert_same(got, expected):
    np.testing.assert_array_equal(got.item_ids, expected.item_ids)
    np.testing.assert_array_equal(got.scores.view(np.uint32), expected.scores.view(np.uint32))
    np.testing.assert_array_equal(got.sources, expected.sources)


@pytest.mark.parametrize("k", [1, 20, 60])
def test_shapes_types_and_gaps(model, k):
    got = model.rank(MIXED, k)
    assert got.item_ids.shape == got.scores.shape == got.sources.shape == (MIXED.size, k)
    assert (got.item_ids.dtype, got.scores.dtype, got.sources.dtype) == (
        np.int32,
        np.float32,
        np.uint8,
    )
    filled = got.item_ids >= 0
    np.testing.assert_array_equal(filled, ~np.isnan(got.scores))
    assert (np.diff(filled.astype(int), axis=1) <= 0).all()
    known = [list(SOURCES.categories).index(name) for name in ("personal", "fresh")]
    assert np.isin(got.sources[filled], known).all()
    assert filled[0].any()


def test_no_item_twice_nor_one_that_was_seen(model, log):
    got, seen = model.rank(EVERYBODY, 30), log.seen.toarray()
    for user, ids in enumerate(got.item_ids):
        held = ids[ids >= 0]
        assert np.unique(held).size == held.size
        assert not seen[user, held].any()
    again = model.rank(EVERYBODY, 30, exclude_seen=False)
    user, place = np.nonzero(again.item_ids >= 0)
    assert seen[user, again.item_ids[user, place]].any()


def test_candidates(model):
    candidates = np.arange(N_ITEMS) % 3 == 0
    got = model.rank(EVERYBODY, 20, candidates)
    assert candidates[got.item_ids[got.item_ids >= 0]].all()
    assert (got.item_ids >= 0).any()


@pytest.mark.parametrize("k", [0, -1, 61])
def test_depths_that_cannot_be(model, k):
    with pytest.raises(ValueError, match="k must be 1 to 60"):
        model.rank(MIXED, k)


def test_nobody(model):
    assert model.rank(np.array([], dtype=np.int64), 3).item_ids.shape == (0, 3)


def test_a_user_is_served_alike_in_any_company(model):
    alone = model.rank(EVERYBODY, 20)
    for users in (np.random.default_rng(6).permutation(N_USERS)[:90], np.array([50, 51])):
        got = model.rank(users, 20)
        np.testing.assert_array_equal(got.item_ids, alone.item_ids[users])
        np.testing.assert_array_equal(got.scores, alone.scores[users])


def test_recommend_and_fallback(model, log):
    got = model.recommend([100, 3, 12345], k=10)
    assert got.group_by("user_id").len()["len"].to_list() == [10, 10, 10]
    full = with_fallback(model.rank(EVERYBODY, 10), Trending().fit(log), EVERYBODY)
    assert (full.item_ids >= 0).all()


def test_same_seed_same_bits_and_another_seed_another_result(recommender, model, previous, log):
    once = model.rank(EVERYBODY, 20)
    assert_same(recommender.fit(log, 0, previous).rank(EVERYBODY, 20), once)
    other = recommender.fit(log, 1, previous).rank(EVERYBODY, 20)
    if recommender.deterministic:
        assert_same(other, once)
    elif not isinstance(recommender.mitigation, Frozen):
        assert (other.scores != once.scores).any()


def test_without_a_previous_model_there_is_a_plain_fit(recommender, log):
    assert recommender.fit(log).rank(MIXED, 20).item_ids.shape == (MIXED.size, 20)


def test_a_fit_leaves_the_log_alone(recommender, log):
    users, items, dense = log.users.clone(), log.items.clone(), log.dense.clone()
    recommender.fit(log, 1).rank(MIXED, 20)
    assert log.users.equals(users)
    assert log.items.equals(items)
    assert log.dense.equals(dense)


# Inert newcomers


def test_inert_newcomers_and_items_change_no_bit(recommender, previous, model, frames, log):
    events, users, items = frames
    idle = pl.DataFrame({"user_id": [*range(1000, 1100)], "cohort": "newcomer", "language": "en"})
    unread = pl.DataFrame(
        {"item_id": [*range(900, 950)], "creator_id": 1001, "language": "en", "topic": "cars"}
    )
    more = InteractionLog.from_frames(
        events,
        pl.concat([users, idle], how="diagonal_relaxed"),
        pl.concat([items, unread], how="diagonal_relaxed"),
    )
    candidates = np.arange(more.n_items) < N_ITEMS
    got = recommender.fit(more, 0, previous).rank(EVERYBODY, 20, candidates)
    expected = model.rank(EVERYBODY, 20, np.ones(N_ITEMS, dtype=bool))
    assert_same(got, expected)


# Relabelled


def test_relabelling_relabels_and_changes_nothing_else(recommender, model, log, before):
    """Other ids and other dense ids, the same keys."""
    rng = np.random.default_rng(8)
    names = {
        "user_id": dict(zip(log.users["user_id"], rng.permutation(N_USERS), strict=True)),
        "item_id": dict(zip(log.items["item_id"], rng.permutation(N_ITEMS), strict=True)),
    }
    makers = {maker: names["user_id"].get(maker, maker) for maker in log.items["creator_id"]}
    order = rng.permutation(N_USERS), rng.permutation(N_ITEMS)

    def relabelled(frame):
        known = {column: to for column, to in names.items() if column in frame.columns}
        if "creator_id" in frame.columns:
            known["creator_id"] = makers
        return frame.with_columns(pl.col(c).replace_strict(to) for c, to in known.items())

    users, items = relabelled(log.users)[order[0]], relabelled(log.items)[order[1]]
    after, earlier = (
        InteractionLog.from_frames(relabelled(part.events), users, items) for part in (log, before)
    )
    assert after.users["user_id"].to_list() != list(range(N_USERS))
    got = recommender.fit(after, 0, recommender.fit(earlier, 0)).rank(EVERYBODY, 20)
    expected = {
        names["user_id"][user]: [(names["item_id"][item], score) for item, score in feed]
        for user, feed in feeds(log, model.rank(EVERYBODY, 20), EVERYBODY).items()
    }
    assert feeds(after, got, EVERYBODY) == expected


# Threads


DIGEST = """
import sys, numpy as np
from recsys import InteractionLog
from recsys.mitigations import MITIGATIONS, mitigated
from recsys.recommenders import ALS
rng, users = np.random.default_rng(0), np.arange(900)
log = InteractionLog.from_frames(
    {"user_id": rng.integers(0, 900, 9000), "item_id": rng.integers(0, 400, 9000),
     "timestamp": 1_736_640_000 + np.sort(rng.integers(0, 10 * 86_400, 9000)),
     "kind": rng.choice(["click", "impression"], 9000)},
    {"user_id": users, "cohort": np.where(users < 700, "incumbent", "newcomer"),
     "language": np.where(users < 700, "zh", "en")},
    {"item_id": range(400), "topic": [n % 7 for n in range(400)],
     "language": ["zh", "en"] * 200, "creator_id": range(500, 900)})
before = log.only(np.arange(9000) < 4000)
for name, kind in MITIGATIONS.items():
    recommender = mitigated(ALS(), [kind(**({"skill_column": None} if "gate" in name else {}))])
    got = recommender.fit(log, 1, recommender.fit(before, 1)).rank(np.arange(300), 20)
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
        assert len(done.stdout) == len(MITIGATIONS) * 300 * 20 * 8
        digests.add(hashlib.sha256(done.stdout).hexdigest())
    assert len(digests) == 1


# Degenerate logs


def made_of(user, item, kind=None, cohort=None):
    """A log with all that any mitigation asks for; user 9 makes all notes."""
    people = sorted({*user, 9})
    n, m = len(people), len(set(item))
    return InteractionLog.from_frames(
        {
            "user_id": user,
            "item_id": item,
            "kind": kind or ["click"] * len(user),
            "timestamp": [START + 7200 * place for place in range(len(user))],
        },
        {
            "user_id": people,
            "cohort": [(cohort or {}).get(person, "incumbent") for person in people],
            "language": ["zh"] * n,
            "skill_in_other_language": [0.0] * n,
        },
        {
            "item_id": sorted(set(item)),
            "creator_id": [9] * m,
            "language": (["zh", "en"] * m)[:m],
            "topic": ["food"] * m,
        },
    )


NEWCOMERS = {2: "newcomer", 9: "newcomer"}
DEGENERATE = {
    "one user, one note": ([1, 1], [7, 7], ["click", "impression"]),
    "one user": ([1, 1, 1, 1], [7, 8, 9, 7], ["click", "click", "click", "impression"]),
    "all the same note": ([1, 2, 3, 3], [7, 7, 7, 7], ["click", "click", "click", "impression"]),
    "somebody has seen everything": (
        [1, 1, 1, 3, 3, 2],
        [7, 8, 9, 7, 8, 8],
        ["click"] * 4 + ["impression", "click"],
    ),
    "no newcomers": ([1, 1, 2, 2, 3], [7, 8, 8, 9, 9], ["click"] * 4 + ["impression"]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_logs(recommender, name):
    log = made_of(*DEGENERATE[name], None if name == "no newcomers" else NEWCOMERS)
    shown = (log.dense["kind"] == "impression").to_numpy()
    first = recommender.fit(log.only(shown | (np.arange(shown.size) == 0)))
    users = np.arange(log.n_users)
    for model in (first, recommender.fit(log, 0, first)):
        for user, ids in enumerate(model.rank(users, log.n_items).item_ids):
            held, seen = ids[ids >= 0], model.log.seen[user].indices
            assert np.unique(held).size == held.size
            assert not np.isin(held, seen).any()
        whole = model.rank(users, log.n_items, exclude_seen=False)
        assert np.isfinite(whole.scores[whole.item_ids >= 0]).all()
        for layer in (model, getattr(model, "inner", model)):
            for factors in ("user_factors", "item_factors"):
                assert np.isfinite(getattr(layer, factors, np.zeros(1))).all()
    full = model.recommend([1], 1)
    assert full.height == (log.seen[0].nnz < log.n_items)


def test_nobody_but_newcomers(recommender):
    """They are served, or an error says that nothing is left to learn from."""
    log = made_of(
        [1, 1, 2, 2],
        [7, 8, 8, 8],
        ["click", "click", "click", "impression"],
        {1: "newcomer", **NEWCOMERS},
    )
    als, weight = "ALS" in str(recommender), recommender.mitigation.weigh(log)
    if weight < 1 and (als or weight == 0):
        with pytest.raises(LogError, match=r"incumbents have no positive event|holds no positive"):
            recommender.fit(log)
        return
    model = recommender.fit(log)
    whole = model.rank(np.arange(log.n_users), 2, exclude_seen=False)
    assert np.isfinite(whole.scores[whole.item_ids >= 0]).all()


def test_nothing_to_learn_from(recommender):
    log = made_of([1, 2], [7, 8], ["impression", "hide"], NEWCOMERS)
    if "Random" in str(recommender):  # it learns nothing from any log
        assert recommender.fit(log).rank(np.array([0]), 2).item_ids.shape == (1, 2)
        return
    with pytest.raises(LogError, match="holds no positive event"):
        recommender.fit(log)


# Settings that change nothing


INERT = [
    ("downweight", {"weight": 1.0}),
    ("ramp", {"days": 0.001, "of": "slots"}),
    ("offset", {"strength": 0.0}),
    ("ensemble", {"seeds": 1}),
    ("language_gate", {"share": 1.0}),
    ("language_gate", {"share": 0.0, "skill": 0.0}),
    ("calibrated", {"strength": 0.0}),
    ("cap", {"share": 1.0}),
    ("cap", {"share": 1.0, "everybody": True}),
    ("fresh_slot", {"graduate": 1}),
]


@pytest.mark.parametrize("name", RECOMMENDERS)
@pytest.mark.parametrize(("kind", "options"), INERT, ids=str)
def test_an_inert_setting_is_the_plain_recommender(name, kind, options, log, plain):
    recommender = wrapped(name, kind, options)
    if recommender is None:
        return
    candidates = np.arange(N_ITEMS) % 4 > 0
    got, expected = recommender.fit(log, 3), plain(name)
    assert_same(got.rank(EVERYBODY, 20), expected.rank(EVERYBODY, 20))
    assert_same(got.rank(EVERYBODY, 20, candidates), expected.rank(EVERYBODY, 20, candidates))


@pytest.fixture(scope="module")
def plain(log):
    made = {}

    def of(name):
        if name not in made:
            made[name] = RECOMMENDERS[name](**SMALL.get(name, {})).fit(log, 3)
        return made[name]

    return of


# The registry, and chains


def test_each_is_named_once_explained_and_frozen():
    assert len(set(MITIGATIONS.values())) == len(MITIGATIONS)
    for kind in MITIGATIONS.values():
        assert "Use it" in kind.__doc__
        for name, field in kind.model_fields.items():
            assert field.description, f"{kind.__name__}.{name} has no docstring"
        with pytest.raises(ValueError, match="Extra inputs"):
            kind(no_such_option=1)


@pytest.mark.parametrize("kind", MITIGATIONS)
def test_each_acts_on_als_and_says_so_where_it_does_not(kind):
    for options in options_of(kind):
        assert wrapped("als", kind, options) is not None
        for name in RECOMMENDERS:
            if wrapped(name, kind, options) is None:
                with pytest.raises(ConfigError, match=type(RECOMMENDERS[name]()).__name__):
                    mitigated(RECOMMENDERS[name](), [MITIGATIONS[kind](**options)])


def test_what_refuses_whom():
    refused = {
        (name, kind)
        for kind in MITIGATIONS
        for name in RECOMMENDERS
        if wrapped(name, kind, options_of(kind)[0]) is None
    }
    takes = {
        "anchor": {"als"},
        "frozen": {"als"},
        "warm_start": {"als", "bpr", "lmf", "ranker"},
        "downweight": {"als", "trending", "most_popular"},
        "ramp": {"als", "trending", "most_popular"},
        "ensemble": {"als", "bpr", "lmf", "ranker", "random"},
    }
    assert refused == {
        (name, kind) for kind, names in takes.items() for name in RECOMMENDERS if name not in names
    }


def test_the_order_of_places_is_kept():
    every = [kind(**options_of(name)[0]) for name, kind in MITIGATIONS.items()]
    for first in every:
        for then in every:
            chain = [first, then]
            again = first.place == then.place and first.place < Place.SCORES
            if then.place < first.place or again:
                with pytest.raises(ConfigError, match=r"put \w+ before|leave one of them out"):
                    mitigated(ALS(), chain)
            else:
                assert isinstance(mitigated(ALS(), chain).inner, Mitigated)


def test_a_long_chain(log, before):
    kinds = (
        "warm_start",
        "downweight",
        "anchor",
        "offset",
        "ensemble",
        "language_gate",
        "calibrated",
        "cap",
        "fresh_slot",
    )
    chain = [MITIGATIONS[kind](**options_of(kind)[0]) for kind in kinds]
    recommender = mitigated(ALS(factors=4), chain)
    assert recommender.needs_previous
    assert recommender.needs_impressions
    first = recommender.fit(before, 0)
    second = recommender.fit(log, 0, first)
    got = second.rank(EVERYBODY, 20)
    assert_same(recommender.fit(log, 0, first).rank(EVERYBODY, 20), got)
    assert (got.item_ids[:, 0] >= 0).mean() > 0.9


@pytest.mark.parametrize(
    ("kind", "lacks", "message"),
    [
        ("cap", "creator_id", "cap: needs to know which posts"),
        ("language_gate", "language", "language_gate: items have no column 'language'"),
        ("calibrated", "topic", "items: no column 'topic'"),
    ],
)
def test_a_log_that_lacks_what_is_needed(frames, kind, lacks, message):
    events, users, items = frames
    log = InteractionLog.from_frames(events, users, items.drop(lacks))
    with pytest.raises(LogError, match=message):
        mitigated(ItemKNN(), [MITIGATIONS[kind]()]).fit(log).rank(MIXED, 5)


def test_no_impressions_no_fresh_slot(frames):
    events, users, items = frames
    log = InteractionLog.from_frames(events.filter(pl.col("kind") != "impression"), users, items)
    with pytest.raises(LogError, match="the log holds no impressions"):
        mitigated(ItemKNN(), [MITIGATIONS["fresh_slot"]()]).fit(log)
