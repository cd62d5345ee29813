"""Ranker: what is proposed, what is learned from, and that nothing is known too early."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier

import recsys
from recsys.logs.log import InteractionLog
from recsys.logs.times import DAY
from recsys.recommenders import ALS, RECOMMENDERS, ItemKNN, MostPopular, Ranker, Trending
from recsys.recommenders.base import Model
from recsys.recommenders.evidence import RANKS, SOURCES, Evidence, Finder
from recsys.recommenders.forest import forest_odds, forest_of
from recsys.recommenders.proposals import Blend, blended, ndcg_of_groups
from recsys.recommenders.ranker import Examples, RankerModel, Trees, _trust_in
from recsys.training import evaluate, load_training
from recsys.training.train import log_of, split_for_test

START = datetime(2025, 1, 1)
N_USERS, N_ITEMS, DAYS = 120, 90, 6
SMALL = {"factors": 8, "candidates": 30, "iterations": 30}


def a_log(*, impressions=True):
    """Everybody is shown posts of all kinds and clicks short ones; long ones are never clicked.

    Half of the posts, of either length, are clicked by everybody on the first day, so that nothing
    but what is shown later says that long ones are disliked.
    """
    rng = np.random.default_rng(1)
    long = np.arange(N_ITEMS) % 2 == 0
    rows = []
    for day in range(DAYS):
        user = np.repeat(np.arange(N_USERS), 8)
        item = rng.integers(0, N_ITEMS, user.size)
        clicked = (rng.random(user.size) < 0.7) & ((day == 0) | ~long[item])
        kept = clicked if not impressions else np.ones(user.size, dtype=bool)
        rows.append(
            pl.DataFrame(
                {
                    "user_id": user,
                    "item_id": item,
                    "kind": np.where(clicked, "click", "impression"),
                    "timestamp": [
                        START + timedelta(days=day, minutes=int(m))
                        for m in rng.integers(0, 1440, user.size)
                    ],
                }
            ).filter(kept)
        )
    items = {
        "item_id": range(N_ITEMS),
        "length": ["long" if is_long else "short" for is_long in long],
        "creator_id": rng.integers(0, 10, N_ITEMS),
        "published": [START - timedelta(days=int(d)) for d in rng.integers(0, 5, N_ITEMS)],
    }
    users = {"user_id": range(N_USERS)}
    return InteractionLog.from_frames(pl.concat(rows), users, items)


@pytest.mark.parametrize("impressions", [True, False])
def test_it_learns_what_is_clicked_when_shown(impressions):
    log = a_log(impressions=impressions)
    model = Ranker(**SMALL).fit(log, seed=2)
    assert model.trees is not None
    got = model.rank(np.arange(N_USERS), 10, exclude_seen=False).item_ids
    short = (got % 2 == 1)[got >= 0].mean()
    assert short > 0.95
    als = ALS(factors=8).fit(log, 2).rank(np.arange(N_USERS), 10, exclude_seen=False).item_ids
    assert short > (als % 2 == 1)[als >= 0].mean()


def examples_from(log, **options):
    ranker = Ranker(**{**SMALL, **options})
    liked = (log.dense["weight"] > 0).to_numpy()
    late, now = ranker._labelled(log, liked, 0)
    evidence = ranker._evidence(log.only(~late), 0, now=now)
    found = ranker._examples(evidence, log.only(late), 0)
    X = found.features[found.kept]
    return dict(zip(evidence.feature_names, X.T, strict=True)), found.clicked[found.kept]


def test_every_example_was_proposed():
    """A click that no source proposed would teach that a missing rank is a click."""
    features, y = examples_from(a_log(), candidates=5)
    assert y.sum() > 20
    ranks = np.stack([features[f"rank by {source}"] for source in SOURCES])
    assert not np.isnan(ranks).all(axis=0).any()


def test_a_few_impressions_change_a_few_examples():
    """There is no number of impressions from which on they alone are learned from."""
    log = a_log()
    late = (log.dense["timestamp"].dt.ordinal_day() == DAYS).to_numpy()
    shown = (log.dense["kind"] == "impression").to_numpy()
    rows = np.flatnonzero(shown & late)
    sizes = []
    for n in (0, 19, 21, rows.size):
        keep = ~shown
        keep[rows[:n]] = True
        sizes.append(examples_from(log.only(keep), negatives=1)[1].size)
    assert abs(sizes[1] - sizes[0]) <= 19
    assert abs(sizes[2] - sizes[1]) <= 2
    assert sizes[3] > sizes[0] + 50


SOURCES_ALONE = ("trending", "item_knn", "als")


def figures(training, *others):
    """NDCG of the ranker, of its sources and of others on one split."""
    split = split_for_test(training, log_of(training))
    kinds = {name: RECOMMENDERS[name]() for name in ("ranker", *SOURCES_ALONE, *others)}
    return {name: evaluate(training, kind, split).figure("ndcg") for name, kind in kinds.items()}


def test_it_is_as_good_as_its_best_source_in_a_world():
    world = {"incumbents": 400, "days_before": 6, "days_after": 4}
    world["influx"] = {"kind": "rednote_2025", "newcomers": 20}
    training = load_training(
        {"name": "x", "world": world, "recommender": "ranker", "test_days": 2, "metrics": ["ndcg"]}
    )
    found = figures(training)
    assert found["ranker"] >= 0.95 * max(found[name] for name in SOURCES_ALONE)


KUAIRAND = Path(recsys.__file__).parents[2] / "shared/data/kuairand_pure_slice"


@pytest.mark.slow
@pytest.mark.skipif(not KUAIRAND.is_dir(), reason="the KuaiRand slice is not on this machine")
def test_it_is_as_good_as_its_best_source_on_kuairand_and_two_tower_better():
    config = yaml.safe_load(
        (Path(recsys.__file__).parents[1] / "configs/kuairand.yaml").read_text()
    )
    log = {key: value for key, value in config["log"].items() if key != "holdout_days"}
    log |= {part: str(KUAIRAND / Path(log[part]).name) for part in ("events", "users", "items")}
    training = load_training(
        {"name": "x", "log": log, "recommender": "ranker", "test_days": 2, "metrics": ["ndcg"]}
    )
    found = figures(training, "two_tower")
    assert found["ranker"] >= 0.95 * max(found[name] for name in SOURCES_ALONE)
    assert found["two_tower"] >= 0.046


@pytest.mark.parametrize("leaves", [2, 7, 64])
def test_the_trees_as_arrays_give_the_same_bits(leaves):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 5))
    X[rng.random(X.shape) < 0.2] = np.nan
    y = np.nan_to_num(X[:, 0]) + np.isnan(X[:, 1]) > 0.3
    classifier = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=leaves).fit(X, y)
    wide = np.concatenate([np.zeros((2000, 1)), X], axis=1).T.copy()
    got = np.empty(2000)
    forest_odds(forest_of(classifier, np.arange(1, 6)), wide, 2000, got)
    np.testing.assert_array_equal(got, classifier.decision_function(X))


@pytest.mark.parametrize("trust", [1.0, 0.5, 0.0, None])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_are_the_best_scores(trust, exclude_seen):
    """What is written user by user is what scores of all posts rank, in windows too."""
    log = a_log()
    model = Ranker(**SMALL, candidate_days=2.0).fit(log, seed=3)
    trees = None if trust is None else model.trees._replace(source=1, trust=trust)
    model = replace(model, trees=trees)
    users, candidates = np.arange(N_USERS), np.arange(N_ITEMS) % 3 > 0
    got = model.rank(users, 12, candidates, exclude_seen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RankerModel, "_write_best", Model._write_best)
        plain = model.rank(users, 12, candidates, exclude_seen)
    np.testing.assert_array_equal(got.item_ids, plain.item_ids)
    np.testing.assert_array_equal(got.scores, plain.scores)


def features_of(ranks_by_source, hint):
    """Features of pairs: the ranks by the sources, and one that the trees learn from."""
    features = np.zeros((ranks_by_source.shape[0], 9))
    features[:, RANKS] = ranks_by_source
    features[:, -1] = hint
    return features


def tried(hint_tells, source, n_users=60, n_posts=8):
    """Trust in trees that rank by a hint, where a source or the hint tells what is clicked."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(n_users), n_posts)
    ranks = np.stack([rng.permuted(np.arange(1.0, n_posts + 1)) for _ in range(4 * n_users)])
    ranks = ranks.reshape(n_users, 4, n_posts).transpose(0, 2, 1).reshape(-1, 4)
    told = rng.permuted(np.tile(np.arange(n_posts), (n_users, 1)), axis=1).ravel()
    by_hint, by_source = told == n_posts - 1, ranks[:, source] == 1
    clicked = np.where(rng.random(user.size) < hint_tells, by_hint, by_source)
    features = features_of(ranks, told)
    trees = HistGradientBoostingClassifier(max_iter=20).fit(features[:, -1:], by_hint)
    every = np.arange(user.size)
    found = Examples(features, clicked, every[:0], every, user)
    return _trust_in(Trees(trees, np.array([8]), 0, 1.0), found)


@pytest.mark.parametrize("source", range(4))
def test_trees_are_trusted_where_they_rank_better_than_the_best_source(source):
    assert tried(0.0, source) == (source, 0.0)
    assert tried(0.75, source)[1] >= 0.5
    assert tried(1.0, source)[1] >= 0.5


def test_a_source_that_knows_more_is_not_lost_to_trees_that_guess():
    """Whatever is chosen for users who are tried does as well as the source for others."""
    rng = np.random.default_rng(4)
    n, posts = 120, 30
    features = features_of(np.tile(np.arange(1.0, posts + 1)[:, None], (n, 4)), 0.0)
    user, every = np.repeat(np.arange(n), posts), np.arange(n * posts)
    half = n * posts // 2
    kept = []
    for _ in range(40):
        features[:, -1] = rng.random(every.size)
        guess = HistGradientBoostingClassifier(max_iter=10).fit(
            features[:, -1:], rng.random(every.size) < 0.1
        )
        clicked = rng.random(every.size) < 0.5 / features[:, RANKS.start]
        trees = Trees(guess, np.array([8]), 0, 1.0)
        source, trust = _trust_in(trees, Examples(features, clicked, every, every[:half], user))
        columns, odds = np.ascontiguousarray(features.T), np.empty(every.size)
        forest_odds(forest_of(*trees[:2]), columns, odds.size, odds)
        blended(Blend(source, trust), columns, odds.size, odds)
        start = np.arange(n // 2, n + 1) * posts
        got, alone = (
            np.nanmean(ndcg_of_groups(scores, clicked, start, 20))
            for scores in (odds, -features[:, RANKS.start])
        )
        kept.append(got / alone)
    assert np.mean(kept) >= 0.95


def test_nobody_of_whom_trees_learn_tries_them():
    log = a_log()
    ranker = Ranker(**SMALL)
    liked = (log.dense["weight"] > 0).to_numpy()
    late, now = ranker._labelled(log, liked, 0)
    found = ranker._examples(ranker._evidence(log.only(~late), 0, now=now), log.only(late), 0)
    learned, tried_on = np.unique(found.user[found.kept]), np.unique(found.user[found.tried])
    assert np.intersect1d(learned, tried_on).size == 0
    assert 0.1 < tried_on.size / (learned.size + tried_on.size) < 0.4


def test_without_trust_the_best_source_is_served():
    log = a_log()
    model = Ranker(**SMALL, candidate_days=None).fit(log, seed=3)
    users = np.arange(N_USERS)
    for source, name in enumerate(("als", "item_knn", "trending")):
        alone = replace(model, trees=model.trees._replace(source=source, trust=0.0))
        expected = getattr(model.evidence, name).rank(users, 10).item_ids
        got = alone.rank(users, 10).item_ids
        held = expected >= 0
        np.testing.assert_array_equal(got[held], expected[held])


def test_features_are_from_before_the_labelled_day(monkeypatch):
    log = a_log()
    asked = []
    fit = ALS.fit

    def spied(self, log, seed=0, previous=None):
        asked.append(log.dense["timestamp"].max())
        return fit(self, log, seed, previous)

    monkeypatch.setattr(ALS, "fit", spied)
    Ranker(**SMALL, label_days=2.0).fit(log)
    last_like = log.dense.filter(pl.col("weight") > 0)["timestamp"].max()
    before, whole = asked
    assert whole == log.dense["timestamp"].max()
    assert before <= last_like - timedelta(days=2)
    assert before > last_like - timedelta(days=2, hours=1)


@pytest.mark.parametrize(("daily", "days"), [(40, 1), (10, 4), (1, 8)])
def test_more_days_are_labelled_where_few_people_come_in_a_day(daily, days):
    """Eight days on which so many people come, others each day, after a day on which all do."""
    users = [(0, user) for user in range(400)]
    users += [(day, 40 * day + user) for day in range(1, 9) for user in range(daily)]
    day, user = np.array(users).T
    log = InteractionLog.from_frames(
        pl.DataFrame(
            {
                "user_id": user,
                "item_id": np.arange(user.size) % 7,
                "timestamp": [START + timedelta(days=int(d)) for d in day],
            }
        ),
        users=pl.DataFrame({"user_id": range(400)}),
        items=pl.DataFrame({"item_id": range(7)}),
    )
    late, cut = Ranker()._labelled(log, log.dense["weight"].to_numpy() > 0, 0)
    assert late.sum() == daily * days
    assert cut == log.dense["timestamp"].to_physical().max() - days * DAY


def test_als_starts_from_a_model_that_knows_nothing_of_the_labelled_day(monkeypatch):
    log = a_log()
    time = log.dense["timestamp"].to_physical().to_numpy()
    liked = (log.dense["weight"] > 0).to_numpy()
    cut = time[liked].max() - 86_400_000
    yesterday, today = (Ranker(**SMALL).fit(log.only(time <= end)) for end in (cut, time.max()))
    starts = []
    fit = ALS.fit

    def spied(self, log, seed=0, previous=None):
        starts.append(previous)
        return fit(self, log, seed, previous)

    monkeypatch.setattr(ALS, "fit", spied)
    Ranker(**SMALL).fit(log, previous=yesterday)
    assert starts == [yesterday.evidence.als] * 2
    Ranker(**SMALL).fit(log, previous=today)
    assert starts[2:] == [None, today.evidence.als]


def test_a_shorter_list_is_the_beginning_of_a_longer_one():
    model = Ranker(**SMALL, candidate_days=1.0).fit(a_log(), seed=3)
    short, long = (model.rank(np.arange(N_USERS), k).item_ids for k in (5, 40))
    np.testing.assert_array_equal(short, long[:, :5])


def evidence_of(log):
    now = log.dense["timestamp"].to_physical().max()
    fits = [kind.fit(log) for kind in (ALS(factors=4), ItemKNN(), Trending(), MostPopular())]
    return Evidence(log, *fits, float(now), 2.0)


def test_features_against_slow_references():
    log = a_log()
    evidence = evidence_of(log)
    finder = Finder(evidence, evidence.scorable, 12)
    users = np.resize(np.array([5, 17, 80]), 256)
    pairs = finder.serving(users)
    names = evidence.feature_names
    assert pairs.features.shape == (pairs.row.size, len(names))
    likes = log.dense.filter(pl.col("weight") > 0)
    items, now = log.items, log.dense["timestamp"].max()
    for place in np.random.default_rng(0).choice(np.flatnonzero(pairs.row < 3), 40):
        user, item = users[pairs.row[place]], evidence.scorable[pairs.column[place]]
        got = dict(zip(names, pairs.features[place], strict=True))
        mine = likes.filter(user=user)["item"].unique()
        by = items["creator_id"].gather(mine)
        assert got["likes of the user"] == pytest.approx(np.log1p(len(mine)))
        assert got["taste for creator_id"] == pytest.approx(
            (by == items["creator_id"][int(item)]).sum() / len(mine)
        )
        assert got["taste for length"] == pytest.approx(
            (items["length"].gather(mine) == items["length"][int(item)]).sum() / len(mine)
        )
        age = (now - items["published"][int(item)].replace(tzinfo=now.tzinfo)) / timedelta(days=1)
        assert got["age"] == pytest.approx(age)
        popularity = likes.filter(item=item)["weight"].sum()
        assert got["popularity"] == pytest.approx(np.log1p(popularity))
        freshness = 0.5 ** (max(age, 0) / 2)
        affinity = (by == items["creator_id"][int(item)]).sum() * freshness
        assert got["affinity to the creator"] == pytest.approx(affinity)


def test_each_source_proposes_its_best_unseen():
    log = a_log()
    evidence = evidence_of(log)
    users = np.resize(np.arange(40), 256)
    pairs = Finder(evidence, evidence.scorable, 12).serving(users)
    models = {"als": evidence.als, "item_knn": evidence.item_knn, "trending": evidence.trending}
    for source, model in models.items():
        rank = pairs.features[:, RANKS][:, SOURCES.index(source)]
        expected = model.rank(users[:40], 12).item_ids
        for row in range(40):
            mine = np.flatnonzero((pairs.row == row) & ~np.isnan(rank))
            mine = mine[np.argsort(rank[mine])]
            assert rank[mine].tolist() == list(range(1, mine.size + 1))
            found = evidence.scorable[pairs.column[mine]]
            np.testing.assert_array_equal(found, expected[row][expected[row] >= 0])


def test_new_posts_of_creators_whom_the_user_clicked():
    """Nobody has clicked post 9; its creator's other posts were clicked by user 0."""
    log = InteractionLog.from_frames(
        {"user_id": [0, 0, 1, 1], "item_id": [1, 2, 3, 4]},
        items={"item_id": [1, 2, 3, 4, 9], "creator_id": ["a", "a", "b", "b", "a"]},
    )
    model = Ranker(factors=2).fit(log)
    assert model.trees is None  # too few examples: ranks are fused
    assert 4 in model.scorable
    assert 4 in model.rank(np.array([0]), 5).item_ids[0]
    assert 4 not in model.rank(np.array([1]), 5).item_ids[0]
    score = model.rank(np.array([0]), 5).scores[0][model.rank(np.array([0]), 5).item_ids[0] == 4]
    assert score[0] == pytest.approx(1 / 61, rel=1e-5)  # first among those of creators


def test_examples_are_drawn_by_key_where_there_are_too_many():
    log = a_log()
    few = Ranker(**SMALL, examples=500)
    a, b = (few.fit(log, seed=1).rank(np.arange(20), 10) for _ in range(2))
    np.testing.assert_array_equal(a.scores, b.scores)
    whole = Ranker(**SMALL).fit(log, seed=1).rank(np.arange(20), 10)
    assert not np.array_equal(a.scores, whole.scores)
