"""The platform ranker: the house's arithmetic, and what it does without this or that in a log."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from recsys.core.errors import ConfigError, LogError
from recsys.logs.log import InteractionLog, Seen
from recsys.mitigations import Ensemble, Offset, mitigated
from recsys.recommenders import Model, PlatformRanker
from recsys.recommenders.ranking import Slots
from recsys.statistics.click_rates import (
    affinities,
    bucket_rates,
    early_rates,
    group_rates,
    newness,
    shrunk,
)
from recsys.world.people.posts import first_day
from recsys.world.platform import house
from recsys.world.run import Run
from tests.kit.small_world import small_world


@pytest.fixture(scope="module")
def control():
    """A run with its counts, on the morning of day 0, and the log of all its days."""
    world = small_world(days_before=4)
    run = Run.start(world, 3)
    days = list(run.run_days(first_day(world), 0))
    return run, days


def test_house_and_recommender_rank_alike_on_the_same_counts(control):
    """The house's own counts, given to the recommender's arithmetic, rank as the house does."""
    run, _ = control
    view, _ = run._views(0, 0)
    world, posts, states, n = run.world, run.posts, run.states, run.people.n
    platform, group = world.platform, run.people.app_language.astype(np.int64)
    rates = group_rates(
        states.clicks, states.looks, group, 2, 24, platform.group_prior, platform.most_looks
    )
    liking = affinities(states.clicks, states.looks, group, rates, platform.user_prior)
    clicks, looks = (of.sum(axis=0) for of in (run.counts.clicks, run.counts.looks))
    buckets = house.post_buckets(posts)
    expected = bucket_rates(
        states.clicks.sum(axis=0, dtype=float),
        states.looks.sum(axis=0, dtype=float),
        24,
        platform.group_prior,
    )
    weight = early_rates(clicks, looks, expected[buckets], platform.post_prior) * newness(
        np.maximum(-posts.published, 0), platform.half_life_days, platform.tail
    )
    users, ranking = np.arange(0, n, 7), np.empty((np.arange(0, n, 7).size, 30), np.int32)
    run.affinities = None
    nothing = Seen(np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(0, np.int32))
    house.rank(
        liking, nothing, view.shelves, posts.key, users, np.full(users.size, 30, np.int32), ranking
    )
    live = np.flatnonzero(view.candidates)
    for row, user in enumerate(users):
        mine = live[posts.creator[live] != user]
        score = weight[mine] * liking[user, buckets[mine]]
        best = mine[np.lexsort((posts.key[mine], -score))][:30]
        np.testing.assert_array_equal(ranking[row], best)


def log_of(events, **items):
    return InteractionLog.from_frames(events, items=items)


DAY_1, DAY_3 = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 3, tzinfo=UTC)
CLICKS = {
    "user_id": [1, 1, 1, 2, 2, 3],
    "item_id": [10, 11, 12, 10, 12, 11],
    "kind": ["click", "impression", "click", "impression", "click", "click"],
}
ITEMS = {
    "item_id": [10, 11, 12, 13, 14, 15],
    "topic": ["pets", "food", "pets", "pets", "food", None],
    "language": ["en", "zh", "zh", "en", "zh", "zh"],
}


def test_scores_are_the_formula():
    log = log_of(CLICKS, **ITEMS)
    model = PlatformRanker(user_prior=2.0, group_prior=3.0, post_prior=1.5).fit(log)
    user = log.users["user_id"].to_list().index(1)
    items = [log.items["item_id"].to_list().index(n) for n in (13, 14)]
    pets, food, zh, en = (3, 4), (1, 2), (3, 4), (1, 2)  # clicks and looks of all
    overall = (4 + 1) / (6 + 10)

    def rate(counts, mine, own):
        everybody = shrunk(*counts, overall, 3.0)
        group = shrunk(*counts, everybody, 3.0)
        return shrunk(*mine, group * own / whole, 2.0) / own

    everybody = shrunk(4, 6, overall, 3.0)
    whole = shrunk(4, 6, everybody, 3.0)
    own = shrunk(2, 3, whole, 2.0)
    expected = [
        rate(pets, (2, 2), own) * rate(en, (1, 1), own),
        rate(food, (0, 1), own) * rate(zh, (1, 2), own),
    ]
    got = model.score(np.array([user]), np.array(items, np.int32))[0]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_early_clicks_and_freshness_weigh():
    items = {**ITEMS, "published": [DAY_1, DAY_1, DAY_3] * 2}
    events = {**CLICKS, "timestamp": [DAY_3] * 6}
    model = PlatformRanker(tail=0.0, half_life_days=2.0).fit(log_of(events, **items))
    weight = dict(zip(model.log.items["item_id"], model.weight, strict=True))
    assert weight[15] == pytest.approx(1.0)
    assert weight[13] == weight[14] == pytest.approx(0.5)
    assert weight[12] > 1.0 > weight[10]


def test_without_the_language_it_counts_topics_alone():
    blind = PlatformRanker(language_weight=0.0).fit(log_of(CLICKS, **ITEMS))
    no_column = {name: ITEMS[name] for name in ("item_id", "topic")}
    without = PlatformRanker().fit(log_of(CLICKS, **no_column))
    users, items = np.arange(3), np.array([0, 1, 2, 3, 4], np.int32)
    one = blind.score(users, items) / blind.weight[items]
    other = without.score(users, items) / without.weight[items]
    np.testing.assert_allclose(one / one[:, :1], other / other[:, :1], rtol=1e-6)


def test_without_impressions_a_user_is_compared_with_what_all_click():
    clicks = {
        name: [v for v, kind in zip(CLICKS[name], CLICKS["kind"], strict=True) if kind == "click"]
        for name in ("user_id", "item_id")
    }
    model = PlatformRanker().fit(log_of(clicks, **ITEMS))
    users = {user: row for row, user in enumerate(model.log.users["user_id"])}
    topics = dict(zip(model.log.items["item_id"], model.topic, strict=True))
    food_fan, pets_fan = users[3], users[2]
    assert model.by_topic[food_fan, topics[14]] > model.by_topic[pets_fan, topics[14]]


def test_a_post_without_a_topic_is_not_ranked():
    model = PlatformRanker().fit(log_of(CLICKS, **ITEMS))
    assert 15 not in model.log.items["item_id"].to_numpy()[model.scorable]


def test_a_log_without_topics_says_what_to_name():
    with pytest.raises(LogError, match=r"no column 'topic'.*topic: COLUMN"):
        PlatformRanker().fit(log_of(CLICKS, item_id=ITEMS["item_id"], genre=ITEMS["topic"]))
    named = PlatformRanker(topic="genre").fit(
        log_of(CLICKS, item_id=ITEMS["item_id"], genre=ITEMS["topic"])
    )
    assert named.by_topic.shape == (3, 2)


def test_what_is_older_than_the_first_like_is_not_counted():
    """As in a log whose old events were given weight 0: they are seen, and not learned from."""
    old = pl.DataFrame({**CLICKS, "timestamp": ["2025-01-03"] * 6})
    more = pl.DataFrame(
        {
            "user_id": [1, 2],
            "item_id": [13, 14],
            "kind": ["impression"] * 2,
            "timestamp": ["2025-01-02"] * 2,
        }
    )
    plain, longer = (
        PlatformRanker().fit(InteractionLog.from_frames(events, items=pl.DataFrame(ITEMS)))
        for events in (old, pl.concat([more, old]))
    )
    for name in ("by_topic", "by_language"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(longer, name))


def a_log(*, timed=False):
    """Users who like a format, and creators whom some of them click more than others do."""
    rng = np.random.default_rng(0)
    n, m, size = 60, 80, 900
    user, item = rng.integers(0, n, size), rng.integers(0, m, size)
    form, maker = rng.choice(["short", "long"], m), rng.integers(0, 12, m)
    chance = 0.1 + 0.3 * ((form[item] == "short") == (user % 2 == 0)) + 0.4 * (maker[item] == 3)
    events = {
        "user_id": user,
        "item_id": item,
        "kind": np.where(rng.random(size) < chance, "click", "impression"),
    }
    if timed:
        events["timestamp"] = [DAY_1] * size
    topics, languages = rng.choice(["a", "b", "c"], m), rng.choice(["x", "y"], m)
    items = {"topic": topics, "language": languages, "format": form, "creator_id": maker}
    return log_of(events, item_id=np.arange(m), subtitled=rng.random(m) < 0.5, **items)


def test_each_factor_is_the_houses_arithmetic():
    """By topic times by language is `affinities` of the same counts, which the house takes."""
    log = log_of(CLICKS, **ITEMS)
    model = PlatformRanker(user_prior=2.0, group_prior=3.0, most_looks=1.0).fit(log)
    clicks, looks = np.zeros((2, 3, 4), np.float32)
    liked = log.dense["weight"].to_numpy() > 0
    bucket = model.topic * 2 + model.language
    place = log.dense["user"].to_numpy(), bucket[log.dense["item"].to_numpy()]
    np.add.at(looks, place, 1)
    np.add.at(clicks, (place[0][liked], place[1][liked]), 1)
    group = np.zeros(3, dtype=int)
    rates = group_rates(clicks, looks, group, 1, 2, 3.0, 1.0)
    expected = affinities(clicks, looks, group, rates, 2.0)
    got = (model.by_topic[:, :, None] * model.by_language[:, None]).reshape(3, 4)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_users_get_their_format_and_their_creators():
    log = a_log()
    model = PlatformRanker(creator_prior=1.0, format_weight=1.0).fit(log)
    forms = log.items["format"].to_numpy()[model.scorable]
    short = model.rank(np.arange(log.n_users), 5, exclude_seen=False).item_ids
    kind = log.items["format"].to_numpy()[short] == "short"
    even = log.users["user_id"].to_numpy() % 2 == 0
    assert kind[even].mean() > kind[~even].mean() + 0.3
    assert {"short", "long"} == set(forms)
    blind = PlatformRanker().fit(log)
    assert (blind.by_format == 1).all()
    assert blind.follows.size == 0
    users, items = np.arange(log.n_users), model.scorable
    plain = PlatformRanker(format_weight=1.0).fit(log).score(users, items)
    more = model.score(users, items) / plain
    by = log.items["creator_id"].to_numpy()[items]
    liked = log.dense["weight"].to_numpy() > 0
    maker = log.items["creator_id"].to_numpy()[log.dense["item"].to_numpy()]
    clicked = np.zeros((log.n_users, 12), dtype=bool)
    clicked[log.dense["user"].to_numpy()[liked], maker[liked]] = True
    np.testing.assert_allclose(more[~clicked[:, by]], 1.0)
    assert more[clicked[:, by]].mean() > 1.2


def test_subtitles_make_another_language():
    log = a_log()
    model = PlatformRanker(translated="subtitled").fit(log)
    assert model.by_language.shape[1] == 4
    assert PlatformRanker().fit(log).by_language.shape[1] == 2


def test_recalled_posts_come_first_and_all_others_follow():
    log = a_log(timed=True)
    model = PlatformRanker(recall=4, creator_prior=1.0).fit(log, seed=1)
    users, k = np.append(np.arange(log.n_users), -1), 40
    seen = Seen.from_matrix(log.withheld)
    got = model.rank(users, k)
    plain = replace(model, sources=(), recall=None)
    scores = plain.score(users, np.arange(log.n_items, dtype=np.int32))
    everybody = np.arange(log.n_items)
    for row in range(users.size):
        proposed = np.unique([source.rank(users[[row]], 4).item_ids for source in model.sources])
        proposed = proposed[proposed >= 0]
        shown = seen.items[seen.start[row] : seen.end[row]] if row < log.n_users else []
        rest = np.setdiff1d(everybody, np.append(proposed, shown))
        expected = [
            part[np.lexsort((log.items["key"].to_numpy()[part], -scores[row, part]))]
            for part in (proposed, rest)
        ]
        np.testing.assert_array_equal(got.item_ids[row], np.concatenate(expected)[:k])
        assert (np.diff(got.scores[row]) <= 0).all()
    again = PlatformRanker(recall=4, creator_prior=1.0)
    assert not again.deterministic
    assert again.warm_starts
    assert PlatformRanker().deterministic


@pytest.mark.parametrize("seen", ["all", "nothing", "more"])
@pytest.mark.parametrize("recall", [None, 3])
@pytest.mark.parametrize("creator_prior", [None, 2.0])
def test_merged_lists_are_the_best_scores(creator_prior, recall, seen):
    """What the merge ranks is what scores of all items rank, ties by key included."""
    log = a_log()
    model = PlatformRanker(creator_prior=creator_prior, recall=recall).fit(log)
    users, candidates = (
        np.append(np.arange(log.n_users), -1),
        np.random.default_rng(1).random(log.n_items) < 0.7,
    )
    more = log.withheld.toarray() | (np.random.default_rng(2).random(log.withheld.shape) < 0.2)
    hidden = {"all": log.withheld, "nothing": log.withheld[:, :0], "more": csr_matrix(more)}[seen]
    seen = Seen.from_matrix(hidden)
    got = model.rank(users, 40, candidates, seen)
    shape = (users.size, 40)
    plain = {"ids": np.full(shape, -1, np.int32), "scores": np.zeros(shape)}
    Model._write_best(
        model,
        model.servable(candidates),
        seen,
        Slots(users, np.arange(users.size), **plain),
    )
    np.testing.assert_array_equal(got.item_ids, plain["ids"])
    filled = got.item_ids >= 0
    np.testing.assert_allclose(got.scores[filled], plain["scores"][filled], rtol=1e-6, atol=1e-6)


def test_nothing_is_recalled_from_nothing():
    """No candidate has a topic, so there is nothing to rank."""
    log = log_of(CLICKS, **ITEMS)
    model = PlatformRanker(recall=2).fit(log)
    untold = log.items["topic"].is_null().to_numpy()
    assert (model.rank(np.arange(3), 1, untold).item_ids == -1).all()
    assert (PlatformRanker(recall=2).fit(log).rank(np.arange(3), 1).item_ids >= 0).all()


@pytest.mark.parametrize(
    ("mitigation", "as_without"),
    [(Offset(strength=0.0), True), (Ensemble(seeds=2), False), (Ensemble(of="ranks"), False)],
)
def test_mitigations_of_scores_heed_what_is_recalled(mitigation, as_without):
    log = a_log(timed=True)
    users = np.arange(log.n_users)
    plain = PlatformRanker(recall=4)
    alone, dressed = (
        recommender.fit(log, seed=1) for recommender in (plain, mitigated(plain, [mitigation]))
    )
    got = dressed.rank(users, 4).item_ids
    if as_without:
        np.testing.assert_array_equal(got, alone.rank(users, 4).item_ids)
    members = getattr(dressed, "members", (alone,))
    for row in users:
        proposed = [
            source.rank(users[[row]], 4).item_ids for one in members for source in one.sources
        ]
        assert np.isin(got[row], proposed).all()
    nobody = PlatformRanker().fit(log).rank(users, 4).item_ids
    assert (got != nobody).mean() > 0.2


@pytest.mark.parametrize(
    ("options", "column"),
    [
        ({"translated": "subtitles"}, "subtitles"),
        ({"format_weight": 1.0}, "format"),
        ({"format_weight": 1.0, "format": "shape"}, "shape"),
        ({"creator_prior": 2.0}, "creator_id"),
        ({"language": "tongue"}, "tongue"),
    ],
)
def test_columns_that_an_option_asks_for_must_be_there(options, column):
    log, option = log_of(CLICKS, **ITEMS), next(iter(options))
    message = f"{option} asks for the items' column '{column}'.* it has item_id, .*topic"
    for asked in (PlatformRanker(**options).fit, PlatformRanker(**options).check):
        with pytest.raises(ConfigError, match=message):
            asked(log)
    empty = log_of(CLICKS, **{**ITEMS, column: [None] * 6})
    with pytest.raises(ConfigError, match=message):
        PlatformRanker(**options).fit(empty)
    values = [1, 2, 1, 2, 1, 2] if column == "creator_id" else ["a", "b"] * 3
    PlatformRanker(**options).fit(log_of(CLICKS, **{**ITEMS, column: values}))


def test_what_has_no_weight_is_not_counted():
    log = a_log()
    model = PlatformRanker(translated="subtitled", language_weight=0.0).fit(log)
    for name in ("by_format", "by_language"):
        assert getattr(model, name).shape == (log.n_users, 1)
    counted = PlatformRanker(translated="subtitled", format_weight=1.0).fit(log)
    assert counted.by_format.shape[1] == 2
    assert counted.by_language.shape[1] == 4


def test_an_option_without_weight_asks_for_no_column():
    log = log_of(CLICKS, **ITEMS)
    silent = PlatformRanker(translated="nowhere", language="nowhere", language_weight=0.0)
    silent.check(log)
    silent.fit(log)
    with pytest.raises(ConfigError, match="nowhere"):
        mitigated(PlatformRanker(translated="nowhere"), [Offset()]).check(log)
