"""Content: ridge regression on attributes; items and people of whom only these are known."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.recommenders import Content
from recsys.recommenders.attributes import categories, indicators, vectors
from recsys.recommenders.store import load_model, save_model

TOPICS = ("pets", "food", "cars")


def a_log(n_users=30, n_items=40, **changes):
    """Users like posts of one topic of three; the last ten posts are liked by nobody."""
    rng = np.random.default_rng(7)
    user = np.repeat(np.arange(n_users), 8)
    item = 3 * rng.integers(0, (n_items - 10) // 3, user.size) + user % 3
    users = {"user_id": range(n_users + 6), "app": [f"app {u % 3}" for u in range(n_users + 6)]}
    items = {
        "item_id": range(n_items),
        "topic": [TOPICS[i % 3] for i in range(n_items)],
        "length": rng.random(n_items),
        "subtitled": rng.random(n_items) < 0.5,
        "creator_id": 1000 + rng.integers(0, 5, n_items),
    }
    return InteractionLog.from_frames(
        {"user_id": user, "item_id": item}, users, {**items, **changes}
    )


def test_new_posts_of_the_users_topic_come_first():
    log = a_log()
    model = Content(popularity=0.0).fit(log)
    new = np.arange(40) >= 30
    got = model.rank(np.arange(30), 3, new)
    np.testing.assert_array_equal(got.item_ids % 3, np.tile(np.arange(30) % 3, (3, 1)).T)
    assert not np.isin(np.arange(30, 40), log.interactions.items).any()


def test_people_of_whom_only_attributes_are_known():
    """They are served what users of the same app like; nobody is served what nobody knows."""
    log = a_log()
    model = Content().fit(log)
    warm = np.arange(30, 36)
    assert model.status(warm) == ["warm"] * 6
    assert model.can_serve(np.append(warm, -1)).tolist() == [True] * 6 + [False]
    np.testing.assert_array_equal(model.rank(warm, 5).item_ids % 3, np.tile(warm % 3, (5, 1)).T)


def test_weights_are_those_of_ridge_regression():
    """With scikit-learn's: likes on centred features, for a user without anybody's average."""
    log = a_log(text=np.random.default_rng(3).normal(size=(40, 4)))
    model = Content(regularization=2.0, shrinkage=0.0, popularity=0.0).fit(log)
    hot = log.interactions
    features = every_feature(model)[hot.items]
    for row in (0, 7, 29):
        share = model.liked[row].toarray()[0]
        share /= share.sum()
        expected = Ridge(alpha=2.0).fit(features, share).predict(features)
        got = model.score(np.full(256, hot.users[row]), hot.items)[0]
        np.testing.assert_allclose(got - got.mean(), expected - expected.mean(), atol=1e-7)


def every_feature(model):
    return np.concatenate([model.features.toarray(), model.vectors], axis=1)


def test_popularity_is_that_of_ridge_regression():
    """In standard deviations of the user's own scores over the items with likes."""
    log = a_log(text=np.random.default_rng(3).normal(size=(40, 4)))
    hot = log.interactions
    own = Content(regularization=2.0, popularity=0.0).fit(log)
    both = Content(regularization=2.0, popularity=3.0).fit(log)
    features = every_feature(own)[hot.items]
    likes = np.log1p(np.asarray(own.liked.sum(axis=0)).ravel())
    expected = Ridge(alpha=2.0).fit(features, likes).predict(features)
    expected = (expected - expected.mean()) / expected.std()
    users = np.resize(hot.users, 256)
    scores = own.score(users, hot.items)
    added = both.score(users, hot.items) - scores
    added -= added.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(added, 3 * scores.std(axis=1)[:, None] * expected, atol=1e-6)


def test_popular_attributes_come_first_where_nothing_else_is_known():
    """Everybody likes long posts, of whatever topic: of two new posts the long one is first."""
    n = 60
    rng = np.random.default_rng(2)
    item = np.concatenate([np.arange(0, 40, 2).repeat(6), np.arange(1, 40, 2)])
    user = rng.integers(0, 30, item.size)
    items = {
        "item_id": range(n),
        "kind": ["long" if i % 2 == 0 else "short" for i in range(n)],
        "topic": [TOPICS[i % 3] for i in range(n)],
    }
    log = InteractionLog.from_frames({"user_id": user, "item_id": item}, items=items)
    new = np.arange(n) >= 40
    first = Content(popularity=5.0).fit(log).rank(np.arange(30), 10, new).item_ids
    assert (first % 2 == 0).mean() > 0.95


def test_short_histories_lean_on_similar_users():
    log = a_log()
    model = Content(shrinkage=5.0).fit(log)
    mine = model.counts[model.hot_row[4]].toarray()[0]
    alike = [u for u in range(30) if u % 3 == 1]
    theirs = sum(model.counts[model.hot_row[u]].toarray()[0] for u in alike)
    likes = np.diff(model.liked.indptr)
    expected = (mine + 5 * theirs / likes[model.hot_row[alike]].sum()) / (
        likes[model.hot_row[4]] + 5
    )
    np.testing.assert_allclose(model.profiles(np.array([4]))[0], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (None, "have none; give an items frame"),
        ({"item_id": [7, 8], "creator_id": [1, 2]}, "have none; give an items frame"),
        ({"item_id": [7, 8], "cast": [[{"a": 1}], []]}, "have none; give an items frame"),
        ({"item_id": [7, 8], "text": [[], None]}, "none that it can read: text; give"),
        ({"item_id": [7, 8], "topic": [None, None]}, "none that it can read: topic; give"),
    ],
)
def test_logs_without_attributes(items, message):
    log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]}, items=items)
    with pytest.raises(LogError, match=message):
        Content().fit(log)


def test_the_most_frequent_values_are_kept():
    log = a_log()
    frame = log.items
    model = Content(features=4).fit(log)
    names = ["topic", "length", "subtitled", "creator_id"]
    every = indicators(frame, log.interactions.items, names)
    count = np.asarray(every[log.interactions.items].sum(axis=0)).ravel()
    kept = np.asarray(model.features[log.interactions.items].sum(axis=0)).ravel()
    assert sorted(kept) == sorted(count)[-4:]


def test_categories_of_columns():
    frame = pl.DataFrame(
        {
            "few": [3, 1, 3, None],
            "many": [0.0, 1.0, 2.0, float("nan")],
            "flag": [True, None, False, True],
            "list": [[1], [2], [3], [4]],
        }
    )
    hot = np.array([2, 0, 1])
    found = {a.name: (a.codes.tolist(), a.size) for a in categories(frame, hot, frame.columns)}
    assert found == {
        "few": ([0, 1, 0, -1], 2),
        "many": ([0, 2, 4, -1], 5),  # quintiles of 0, 1, 2: .4 .8 1.2 1.6
        "flag": ([1, -1, 0, 1], 2),
    }


def test_tags_are_features_of_which_a_post_has_several():
    """New posts are found by any of their tags, and users by any of theirs."""
    topics = [[TOPICS[i % 3], "all", TOPICS[i % 3]] for i in range(40)]
    topics[30:33] = [["pets", "food"], [], None]
    log = a_log(topic=topics)
    model = Content(popularity=0.0).fit(log)
    assert model.features[30].sum() == model.features[0].sum() == 5  # length, subtitled, creator_id
    without = log.items.with_columns(topic=pl.lit(None, pl.List(pl.String)))
    assert attributes_of(without, log) == attributes_of(log.items, log) - 4
    new = np.arange(40) >= 33
    got = model.rank(np.arange(30), 2, new)
    np.testing.assert_array_equal(got.item_ids % 3, np.tile(np.arange(30) % 3, (2, 1)).T)
    events = log.events.select("user_id", "item_id")
    users = log.users.with_columns(app=pl.concat_list("app", pl.lit("the app")))
    in_lists = Content().fit(InteractionLog.from_frames(events, users, log.items))
    got = in_lists.rank(np.arange(30, 36), 5)
    np.testing.assert_array_equal(got.item_ids % 3, np.tile(np.arange(30, 36) % 3, (5, 1)).T)


def attributes_of(items, log):
    names = ["topic", "length", "subtitled", "creator_id"]
    return indicators(items, log.interactions.items, names).shape[1]


def test_vectors_place_new_posts():
    """As embeddings do: users like posts that lie in one of three directions."""
    rng = np.random.default_rng(5)
    directions = rng.normal(size=(3, 16))
    text = [[*(directions[i % 3] + 0.3 * rng.normal(size=16))] for i in range(40)]
    text[30] = None
    log = a_log(topic=text)
    model = Content(popularity=0.0).fit(log)
    assert model.vectors.shape == (40, 16)
    assert not model.vectors[30].any()
    square = np.square(model.vectors[log.interactions.items]).sum(axis=1).mean()
    assert square == pytest.approx(1, rel=1e-6)
    new = np.arange(40) >= 31
    got = model.rank(np.arange(30), 3, new)
    np.testing.assert_array_equal(got.item_ids % 3, np.tile(np.arange(30) % 3, (3, 1)).T)


def test_vectors_that_say_nothing():
    """Equal ones become zeros; a column of new posts alone is left out."""
    hot = np.array([0, 1])
    frame = pl.DataFrame(
        {"same": [[1.0, 2.0]] * 3, "new": [None, None, [3.0, 4.0]]},
        schema={"same": pl.Array(pl.Float32, 2), "new": pl.Array(pl.Float32, 2)},
    )
    np.testing.assert_array_equal(vectors(frame, hot, ["same", "new"]), np.zeros((3, 2)))


def test_a_model_of_lists_comes_back(tmp_path):
    items = {
        "item_id": range(40),
        "topic": [[TOPICS[i % 3], "all"] if i % 5 else [] for i in range(40)],
        "text": np.random.default_rng(3).normal(size=(40, 4)),
        "cast": [[{"name": "x"}]] * 40,
    }
    users = {"user_id": range(36), "likes": [["a", "b"][: u % 3] for u in range(36)]}
    log = InteractionLog.from_frames(a_log().events.select("user_id", "item_id"), users, items)
    model = Content().fit(log)
    save_model(model, tmp_path)
    back = load_model(tmp_path)
    assert back.log.items.equals(log.items.drop("cast"))
    assert back.log.users.equals(log.users)
    everybody = np.arange(36)
    np.testing.assert_array_equal(back.rank(everybody).item_ids, model.rank(everybody).item_ids)
    assert back.status(everybody) == model.status(everybody)
    save_model(Content().fit(a_log()), tmp_path)
    assert load_model(tmp_path).log.items.equals(a_log().items)


@pytest.mark.parametrize("values", [["b", None, "a", "b", "c"], [True, None, False, True, None]])
def test_enums_and_booleans_are_numbered_as_their_texts_are(values):
    column = pl.Series("x", values)
    coded = column if column.dtype == pl.Boolean else column.cast(pl.Enum(["a", "b", "c", "d"]))
    texts = column.cast(pl.String)
    for hot in ([0, 2], [2, 1, 3], [1], [4]):
        got, expected = (
            categories(pl.DataFrame({"x": kind}), np.array(hot), ["x"])[0]
            for kind in (coded, texts)
        )
        np.testing.assert_array_equal(got.codes, expected.codes)
        assert got.size == expected.size
