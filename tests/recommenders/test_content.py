"""Content: ridge regression on attributes; items and people of whom only these are known."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.recommenders import Content
from recsys.recommenders.attributes import categories, one_hot

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
    model = Content().fit(log)
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
    log = a_log()
    model = Content(regularization=2.0, shrinkage=0.0).fit(log)
    hot = log.interactions
    features = model.features[hot.items].toarray()
    for row in (0, 7, 29):
        share = model.liked[row].toarray()[0]
        share /= share.sum()
        expected = Ridge(alpha=2.0).fit(features, share).predict(features)
        got = model.score(np.full(256, hot.users[row]), hot.items)[0]
        np.testing.assert_allclose(got - got.mean(), expected - expected.mean(), atol=1e-12)


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
        ({"item_id": [7, 8], "tags": [["a"], ["b"]]}, "none that it can read: tags; give"),
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
    every = one_hot(
        categories(frame, log.interactions.items, ["topic", "length", "subtitled", "creator_id"])
    )
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
