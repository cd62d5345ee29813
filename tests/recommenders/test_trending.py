"""Trending: the hand calculation with half-lives."""

import numpy as np
import pytest

from recsys.logs.log import InteractionLog
from recsys.recommenders import Trending

DAY = 86_400
NOW = 1_736_640_000


def test_half_lives():
    log = InteractionLog.from_frames(
        {
            "user_id": range(8),
            "item_id": ["old", "old", "old", "mid", "mid", "new", "shared", "hidden"],
            "kind": ["click"] * 6 + ["share", "hide"],
            "timestamp": [NOW - days * DAY for days in (6, 6, 6, 2, 3, 0, 4, 0)],
        },
        users={"user_id": range(9)},
    )
    got = Trending(half_life_days=2.0).fit(log).recommend([8], k=4)
    heat = {
        "old": 3 * 0.5**3,
        "mid": 0.5 + 0.5**1.5,
        "new": 1.0,
        "shared": 4 * 0.5**2,
    }
    assert got["item_id"].to_list()[-1] == "old"
    assert set(got["item_id"].to_list()[:2]) == {"new", "shared"}  # 1 both
    for item, score in zip(got["item_id"], got["score"], strict=True):
        assert score == pytest.approx(heat[item], rel=1e-6)


@pytest.mark.parametrize(
    ("half_life", "order"),
    [(0.5, ["new", "mid", "old"]), (2.0, ["mid", "new", "old"]), (50.0, ["old", "mid", "new"])],
)
def test_what_the_half_life_does(half_life, order):
    log = InteractionLog.from_frames(
        {
            "user_id": range(6),
            "item_id": ["old", "old", "old", "mid", "mid", "new"],
            "timestamp": [NOW - days * DAY for days in (6, 6, 6, 1, 1, 0)],
        },
        users={"user_id": range(7)},
    )
    got = Trending(half_life_days=half_life).fit(log).recommend([6], k=3)
    assert got["item_id"].to_list() == order


def test_without_times_every_event_counts_alike():
    log = InteractionLog.from_frames(
        {
            "user_id": [1, 2, 3, 1, 2, 3],
            "item_id": ["a", "a", "a", "b", "b", "c"],
            "kind": ["click"] * 5 + ["impression"],
        },
        users={"user_id": [1, 2, 3, 4]},
    )
    got = Trending().fit(log).rank(np.array([3]), 3)
    assert got.scores[0].tolist()[:2] == [3.0, 2.0]
    assert got.item_ids[0].tolist() == [0, 1, -1]  # nobody liked c


def test_everybody_gets_the_same_list_less_what_they_have_seen(log, fitted):
    model = fitted(Trending())
    whole = model.rank(np.array([0]), 50).item_ids[0]
    got = model.rank(np.arange(log.n_users), 20).item_ids
    for user in range(log.n_users):
        left = whole[~np.isin(whole, log.seen[user].indices)]
        np.testing.assert_array_equal(got[user], left[:20])
