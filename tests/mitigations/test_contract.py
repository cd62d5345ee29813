"""What every mitigation promises: a mitigated recommender is a recommender."""

import numpy as np
import polars as pl
import pytest

from recsys.errors import ConfigError, LogError
from recsys.log import InteractionLog
from recsys.mitigations import MITIGATIONS, Mitigated, mitigated
from recsys.mitigations.base import Place
from recsys.recommenders import ALS, RECOMMENDERS, ItemKNN, Trending, with_fallback
from recsys.schema import SOURCES
from tests.mitigations.conftest import AROUND, N_ITEMS, N_USERS, options_of, wrapped

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
        np.int32, np.float32, np.uint8,
    )  # fmt: skip
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
    start = None if "warm_start" in str(recommender) else previous
    other = recommender.fit(log, 1, start).rank(EVERYBODY, 20)
    if recommender.deterministic:
        assert_same(other, once)
    elif "Frozen" not in str(recommender.mitigation.__class__):
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
    unread = pl.DataFrame({"item_id": [*range(900, 950)], "creator_id": 1001, "language": "en",
                           "topic": "cars"})  # fmt: skip
    more = InteractionLog.from_frames(
        events,
        pl.concat([users, idle], how="diagonal_relaxed"),
        pl.concat([items, unread], how="diagonal_relaxed"),
    )
    candidates = np.arange(more.n_items) < N_ITEMS
    got = recommender.fit(more, 0, previous).rank(EVERYBODY, 20, candidates)
    expected = model.rank(EVERYBODY, 20, np.ones(N_ITEMS, dtype=bool))
    assert_same(got, expected)


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
        for name in AROUND:
            if wrapped(name, kind, options) is None:
                with pytest.raises(ConfigError, match=type(RECOMMENDERS[name]()).__name__):
                    mitigated(RECOMMENDERS[name](), [MITIGATIONS[kind](**options)])


def test_what_refuses_whom():
    refused = {
        (name, kind)
        for kind in MITIGATIONS
        for name in AROUND
        if wrapped(name, kind, options_of(kind)[0]) is None
    }
    others = [name for name in AROUND if name != "als"]
    assert refused == {
        *((name, kind) for name in others for kind in ("anchor", "frozen", "warm_start")),
        *((name, kind) for name in ("item_knn", "random") for kind in ("downweight", "ramp")),
        ("trending", "ensemble"),
        ("item_knn", "ensemble"),
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
    kinds = ("warm_start", "downweight", "anchor", "offset", "ensemble", "language_gate",
             "calibrated", "cap", "fresh_slot")  # fmt: skip
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
        ("cap", "creator_id", "cap: needs to know whose"),
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
