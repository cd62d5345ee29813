"""What every recommender promises, tried on each entry of RECOMMENDERS."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import recsys
from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import SOURCES
from recsys.recommenders import (
    ALS,
    BPR,
    EASE,
    LMF,
    RECOMMENDERS,
    Random,
    Ranker,
    Recommender,
    Trending,
    with_fallback,
)

PERSONAL, FALLBACK = (SOURCES.categories.to_list().index(s) for s in ("personal", "fallback"))
HOT_USER, NO_EVENTS, ONLY_SHOWN = 100, 3, 7
MIXED = np.array([HOT_USER, NO_EVENTS, 650, ONLY_SHOWN, -1, 11])


def assert_same(got, expected):
    """Two rankings, equal to the bit."""
    np.testing.assert_array_equal(got.item_ids, expected.item_ids)
    np.testing.assert_array_equal(got.scores.view(np.uint32), expected.scores.view(np.uint32))
    np.testing.assert_array_equal(got.sources, expected.sources)


def everybody(log):
    return np.arange(log.n_users)


def described(events, **frames):
    """A log whose items have attributes: of five, two have the same topic and language."""
    items = sorted(set(events["item_id"]))
    attributes = {
        "topic": [("pets", "food")[n % 5 < 3] for n in range(len(items))],
        "language": [("zh", "en")[n % 5 in (1, 4)] for n in range(len(items))],
    }
    return InteractionLog.from_frames(events, items={"item_id": items, **attributes}, **frames)


# What rank returns


@pytest.mark.parametrize("k", [1, 20, 60])
def test_shapes_types_and_gaps(model, log, k):
    got = model.rank(MIXED, k)
    assert got.item_ids.shape == got.scores.shape == got.sources.shape == (MIXED.size, k)
    assert (got.item_ids.dtype, got.scores.dtype, got.sources.dtype) == (
        np.int32,
        np.float32,
        np.uint8,
    )
    filled = got.item_ids >= 0
    assert (got.item_ids[filled] < log.n_items).all()
    np.testing.assert_array_equal(filled, ~np.isnan(got.scores))
    assert (np.diff(filled.astype(int), axis=1) <= 0).all()  # what is empty comes last
    assert (got.sources == PERSONAL).all()
    assert filled[0].any()


def test_best_first_and_no_item_twice(model, log):
    got = model.rank(everybody(log), 30)
    for ids, scores in zip(got.item_ids, got.scores, strict=True):
        held = ids[ids >= 0]
        assert np.unique(held).size == held.size
        assert (np.diff(scores[ids >= 0]) <= 0).all()


def test_equal_scores_go_to_the_smaller_key(recommender):
    """Twelve items that nothing but their ids tells apart."""
    log = InteractionLog.from_frames(
        {"user_id": [1] * 12, "item_id": [*range(12)]},
        items={"item_id": [*range(12)], "topic": ["pets"] * 12},
    )
    model = recommender.fit(log)
    got = model.rank(np.array([0]), 12, exclude_seen=False)
    if np.unique(model.score(np.zeros(256, dtype=np.int64), model.scorable)).size == 1:
        keys = log.items["key"].to_numpy()[got.item_ids[0]]
        assert (np.diff(keys.astype(object)) > 0).all()
    else:
        assert type(recommender) in (Random, ALS, BPR, LMF, EASE)  # all draw but one, which rounds


def test_seen_is_left_out_unless_asked_for(model, log):
    seen = log.seen.toarray()
    got = model.rank(everybody(log), 30)
    user, place = np.nonzero(got.item_ids >= 0)
    assert not seen[user, got.item_ids[user, place]].any()
    got = model.rank(everybody(log), 30, exclude_seen=False)
    user, place = np.nonzero(got.item_ids >= 0)
    assert seen[user, got.item_ids[user, place]].any()


def test_what_was_seen_changes_no_other_score(model, log):
    users = np.arange(10, 40)
    whole = model.rank(users, log.n_items, exclude_seen=False)
    part = model.rank(users, log.n_items)
    for row, user in enumerate(users):
        seen = log.seen[user].indices
        keep = ~np.isin(whole.item_ids[row], seen) & (whole.item_ids[row] >= 0)
        left = part.item_ids[row] >= 0
        np.testing.assert_array_equal(part.item_ids[row][left], whole.item_ids[row][keep])
        np.testing.assert_array_equal(part.scores[row][left], whole.scores[row][keep])


def test_candidates(model, log):
    candidates = np.arange(log.n_items) % 3 == 0
    got = model.rank(everybody(log), 20, candidates)
    held = got.item_ids[got.item_ids >= 0]
    assert held.size
    assert candidates[held].all()
    everything = np.ones(log.n_items, dtype=bool)
    assert_same(model.rank(MIXED, 20, everything), model.rank(MIXED, 20))


def test_candidates_that_nobody_liked(model, log):
    unread = np.arange(log.n_items) >= 58
    got = model.rank(MIXED[MIXED >= 0], 2, unread)
    assert (got.item_ids >= 0).any() == np.isin([58, 59], model.scorable).all()


@pytest.mark.parametrize("k", [0, -1, 61])
def test_depths_that_cannot_be(model, k):
    with pytest.raises(ValueError, match=f"k must be 1 to 60, the number of candidates; it is {k}"):
        model.rank(MIXED, k)


def test_more_than_the_candidates(model, log):
    candidates = np.arange(log.n_items) < 5
    assert model.rank(MIXED, 5, candidates).item_ids.shape == (MIXED.size, 5)
    with pytest.raises(ValueError, match="k must be 1 to 5"):
        model.rank(MIXED, 6, candidates)


def test_nobody(model):
    assert model.rank(np.array([], dtype=np.int64), 3).item_ids.shape == (0, 3)


BEYOND = """
import numpy as np
from recsys import RECOMMENDERS, InteractionLog
log = InteractionLog.from_frames({"user_id": [1, 1, 2], "item_id": [7, 8, 7]},
    items={"item_id": [7, 8], "topic": ["pets", "food"]})
for name, kind in RECOMMENDERS.items():
    try:
        kind().fit(log).rank(np.array([0, 2, 10**6]), 1)
    except (IndexError, ValueError):
        print(name)
"""


def test_users_who_do_not_exist():
    """In a process of its own: a read beyond an array can end it."""
    done = subprocess.run(
        [sys.executable, "-c", BEYOND],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(recsys.__file__).parents[1],
    )
    assert done.stdout.split() == list(RECOMMENDERS), f"exit {done.returncode}: {done.stderr}"


def test_who_can_be_served(model):
    served = model.can_serve(MIXED)
    got = model.rank(MIXED, 5)
    np.testing.assert_array_equal(served, got.item_ids[:, 0] >= 0)
    known = np.array(["hot", "warm", "hot", "cold", "cold", "hot"])
    assert model.status(MIXED) == known.tolist()
    np.testing.assert_array_equal(served, np.isin(known, model.serves))


# Serving does not depend on who else asks


def test_a_user_is_served_alike_in_any_company(model, log):
    rng = np.random.default_rng(6)
    alone = model.rank(np.arange(10, 610), 20)
    for n in (1, 7, 256, 300, 600):
        users = rng.permutation(np.arange(10, 610))[:n]
        got = model.rank(users, 20)
        np.testing.assert_array_equal(got.item_ids, alone.item_ids[users - 10])
        np.testing.assert_array_equal(got.scores, alone.scores[users - 10])
    twice = model.rank(np.array([50, -1, 50, 3, 50]), 20)
    for row in (0, 2, 4):
        np.testing.assert_array_equal(twice.scores[row], alone.scores[40])


# recommend


def test_recommend_speaks_the_logs_ids(model, log):
    asked = ["user 100", "nobody", "user 3", "user 11", "user 7"]
    got = model.recommend(asked, k=10)
    assert got.columns == ["user_id", "rank", "item_id", "score", "source"]
    assert got.schema["user_id"] == got.schema["item_id"] == pl.String
    assert got.schema["source"] == SOURCES
    assert got["user_id"].unique(maintain_order=True).to_list() == asked
    for (user,), feed in got.group_by("user_id", maintain_order=True):
        assert feed["rank"].to_list() == list(range(1, 11))
        assert feed["item_id"].n_unique() == 10
        seen = log.events.filter(user_id=user)["item_id"]
        assert not feed["item_id"].is_in(seen.implode()).any()


def test_recommend_agrees_with_rank(model, log):
    got = model.recommend(["user 100", "user 650"], k=5)
    dense = model.rank(np.array([100, 650]), 5)
    personal = got.filter(source="personal")
    filled = dense.item_ids[dense.item_ids >= 0]
    assert personal["item_id"].to_list() == log.items["item_id"].gather(filled).to_list()
    np.testing.assert_array_equal(personal["score"].to_numpy(), dense.scores[dense.item_ids >= 0])


@pytest.mark.parametrize(
    ("user", "known"),
    [("user 3", "warm"), ("user 4", "cold"), ("user 7", "cold"), ("nobody", "cold")],
    ids=["warm", "cold", "shown", "unknown"],
)
def test_whom_it_cannot_serve_gets_the_fallback(model, log, user, known):
    got = model.recommend([user], k=10)
    if known not in model.serves:
        assert (got["source"] == "fallback").all()
        dense = log.users["user_id"].to_list().index(user) if user in log.users["user_id"] else -1
        trending = Trending().fit(log).rank(np.array([dense]), 10)
        assert (
            got["item_id"].to_list() == log.items["item_id"].gather(trending.item_ids[0]).to_list()
        )
    else:
        assert got["source"].to_list() == ["personal"] * 10


def test_recommend_everything(model, log):
    """Asked for more than there is, a feed holds all that is left."""
    got = model.recommend(["user 100", "nobody"], k=1000)
    seen = log.seen[100].nnz
    lengths = got.group_by("user_id", maintain_order=True).len()["len"].to_list()
    served = model if "cold" in model.serves else Trending().fit(log)
    assert lengths == [model.scorable.size - seen, served.scorable.size]


def test_integer_ids(recommender):
    log = described({"user_id": [10, 10, 30, 30, 20], "item_id": [5, 6, 6, 5, 5]})
    got = recommender.fit(log).recommend([20, 10, 99], k=1)
    assert got.filter(user_id=20)["item_id"].to_list() == [6]
    assert got.filter(user_id=10).is_empty()  # has seen everything
    assert got.filter(user_id=99).height == 1


def test_recommend_to_nobody(model):
    assert model.recommend([], k=3).is_empty()


def test_ids_of_another_type(recommender, model):
    with pytest.raises(LogError, match="user_ids are Int64, the log's are String: give the ids"):
        model.recommend([100], k=3)
    numbered = recommender.fit(described({"user_id": [1, 2], "item_id": [7, 8]}))
    for ids in (["1"], [1.5], [True]):
        with pytest.raises(LogError, match="the log's are Int64: give the ids as they stand"):
            numbered.recommend(ids, k=1)


def test_unknown_ids_beyond_the_logs_type(recommender):
    events = pl.DataFrame({"user_id": [1, 1, 2], "item_id": [7, 8, 7]}).cast({"user_id": pl.Int32})
    model = recommender.fit(described(events))
    assert model.recommend([2**40], k=1).height == 1


# Fitting


def test_fit_leaves_the_log_as_it_was(recommender, frames):
    log = InteractionLog.from_frames(*frames)
    before = (
        log.users.clone(),
        log.items.clone(),
        log.dense.clone(),
        log.interactions.weights.copy(),
    )
    recommender.fit(log, seed=1).rank(MIXED, 20)
    for frame, copy in zip((log.users, log.items, log.dense), before[:3], strict=True):
        assert_frame_equal(frame, copy)
    assert (log.interactions.weights != before[3]).nnz == 0


def test_seeds(recommender, model, log):
    users = everybody(log)
    reference = model.rank(users, 20)
    assert_same(recommender.fit(log, seed=0).rank(users, 20), reference)
    other = recommender.fit(log, seed=1).rank(users, 20)
    if recommender.deterministic:
        assert_same(other, reference)
    else:
        assert (other.item_ids != reference.item_ids).any()
        assert (other.scores != reference.scores).any()


def test_a_previous_model_of_another_log_is_welcome(recommender, model, log):
    log_before = log.only(np.arange(log.dense.height) < 2500)
    previous = recommender.fit(log_before, seed=0)
    got = recommender.fit(log, seed=0, previous=previous).rank(MIXED, 20)
    again = recommender.fit(log, seed=0, previous=previous).rank(MIXED, 20)
    assert_same(got, again)
    if not recommender.warm_starts:
        assert_same(got, model.rank(MIXED, 20))
    else:
        assert (got.scores != model.rank(MIXED, 20).scores).any()


def halved(log):
    """The log with every other user's events weighing half."""
    weight = log.dense["weight"] * np.where(log.dense["user"].to_numpy() % 2, 0.5, 1)
    return replace(log, dense=log.dense.with_columns(weight.cast(pl.Float32).alias("weight")))


def test_weights_matter_to_those_who_say_so(recommender, model, log):
    """Others ignore them, or heed them out of proportion: lmf in likes but not in absences, the
    ranker in some sources, item neighbours before a logarithm or a saturation."""
    partly = isinstance(recommender, LMF | Ranker)
    partly |= getattr(recommender, "similarity", "cosine") != "cosine"
    got = recommender.fit(halved(log), seed=0).rank(everybody(log), 20)
    if recommender.uses_weights:
        assert (got.scores != model.rank(everybody(log), 20).scores).any()
    elif not partly:
        assert_same(got, model.rank(everybody(log), 20))


def test_impressions_teach_those_who_say_so(recommender, model, log):
    liked = log.only((log.dense["kind"] != "impression").to_numpy())
    got = recommender.fit(liked, seed=0).rank(everybody(log), 20, exclude_seen=False)
    expected = model.rank(everybody(log), 20, exclude_seen=False)
    if recommender.needs_impressions:
        assert (got.scores != expected.scores).any()
    else:
        assert_same(got, expected)


def test_options_are_frozen_and_checked(recommender):
    assert isinstance(recommender, Recommender)
    with pytest.raises(ValueError, match="Extra inputs"):
        type(recommender)(no_such_option=1)
    for name, field in type(recommender).model_fields.items():
        assert field.description, f"{name} has no docstring"
        with pytest.raises(ValueError, match="frozen"):
            setattr(recommender, name, 1)


def test_the_registry_names_each_once():
    assert len(set(RECOMMENDERS.values())) == len(RECOMMENDERS)
    assert all(issubclass(kind, Recommender) for kind in RECOMMENDERS.values())


# Degenerate logs


@pytest.mark.parametrize(
    "events",
    [
        {"user_id": [1], "item_id": [7]},
        {"user_id": [1, 2, 3], "item_id": [7, 7, 7]},
        {"user_id": [1, 1, 1], "item_id": [7, 8, 9]},
        {"user_id": [1, 2], "item_id": [7, 8]},
    ],
    ids=["one user one item", "one item", "one user", "strangers"],
)
def test_degenerate_logs(recommender, events):
    log = described(events)
    model = recommender.fit(log)
    users = everybody(log)
    got = model.rank(users, log.n_items)
    full = with_fallback(got, Trending().fit(log), users)
    for user in users:
        left = log.n_items - log.seen[user].nnz
        held = full.item_ids[user][full.item_ids[user] >= 0]
        assert held.size == left
        assert not np.isin(held, log.seen[user].indices).any()
    whole = model.rank(users, log.n_items, exclude_seen=False)
    assert np.isfinite(whole.scores[whole.item_ids >= 0]).all()


def test_who_has_seen_everything_gets_nothing(recommender):
    log = described({"user_id": [1, 1, 2], "item_id": [7, 8, 7]})
    got = recommender.fit(log).rank(np.array([0, 1]), 2)
    assert (got.item_ids[0] == -1).all()
    assert np.isnan(got.scores[0]).all()
    assert recommender.fit(log).recommend([1], k=2).is_empty()


def test_nothing_to_learn_from(recommender):
    log = described({"user_id": [1, 2], "item_id": [7, 8], "kind": ["impression", "hide"]})
    if isinstance(recommender, Random):  # it learns nothing from any log
        assert recommender.fit(log).rank(np.array([0]), 1).item_ids.tolist() == [[1]]
        return
    with pytest.raises(LogError, match="holds no positive event"):
        recommender.fit(log)


# What the log knows of users


def test_hot_warm_cold(recommender):
    log = described(
        {"user_id": [1, 2, 3], "item_id": [7, 7, 8], "kind": ["click", "impression", "hide"]},
        users={
            "user_id": [1, 2, 3, 4, 5],
            "cohort": ["incumbent"] * 5,
            "joined": [None, 1, 2, 3, 4],
            "age": [None, 30, None, None, None],
            "city": [None, None, None, "Wuhan", None],
        },
    )
    status = recommender.fit(log).status(np.array([0, 1, 2, 3, 4, -1]))
    assert status == ["hot", "warm", "cold", "warm", "cold", "cold"]


# A planted right answer

PLANTED = {
    "item_knn": {},
    "item_knn tfidf": {"similarity": "tfidf"},
    "item_knn bm25": {"similarity": "bm25"},
    "ease": {},
    "als": {"factors": 2},
    "bpr": {"factors": 4, "iterations": 300},
    "lmf": {"factors": 2},
    "content": {},
    "ranker": {"factors": 2},
}


@pytest.mark.parametrize("kind", PLANTED)
def test_two_taste_groups_are_told_apart(kind):
    """A checkerboard: users like the items of their parity, and each has yet to see three."""
    users, items = np.indices((40, 24))
    liked = ((users + items) % 2 == 0) & ((items // 2 - users // 2) % 12 >= 3)
    user, item = np.nonzero(liked)
    log = InteractionLog.from_frames(
        {"user_id": user, "item_id": item},
        items={"item_id": range(24), "group": [("even", "odd")[n % 2] for n in range(24)]},
    )
    model = RECOMMENDERS[kind.split()[0]](**PLANTED[kind]).fit(log, seed=3)
    got = model.rank(np.arange(40), 24)
    for row in range(40):
        unseen = {i for i in range(24) if (row + i) % 2 == 0 and not liked[row, i]}
        assert len(unseen) == 3
        assert set(got.item_ids[row, :3].tolist()) == unseen


def test_every_personal_recommender_was_given_the_planted_groups():
    impersonal = {"random", "most_popular", "trending"}
    assert {kind.split()[0] for kind in PLANTED} == {*RECOMMENDERS} - impersonal
