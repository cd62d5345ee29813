"""Roll-forward leave-out: nothing of newcomers is left, whatever they did."""

import numpy as np
import polars as pl
import pytest

from recsys.estimates import roll_forward, without_trace
from recsys.logs.log import InteractionLog
from recsys.recommenders import ALS, ItemKNN, Trending

USERS = [*(f"u{i}" for i in range(12)), "new1", "new2"]
NEW = np.array([user.startswith("new") for user in USERS])
THEIRS = np.arange(10) >= 8


def log_of(seed, *, newcomers=True):
    rng = np.random.default_rng(seed)
    people = USERS if newcomers else USERS[:12]
    rows = [(u, i) for u in people for i in rng.permutation(10 if newcomers else 8)[:4]]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
    users, items = pl.DataFrame({"user_id": USERS}), pl.DataFrame({"item_id": range(10)})
    return InteractionLog.from_frames(frame, users, items)


def test_events_of_newcomers_and_on_their_posts_are_left_out():
    log = log_of(1)
    left = without_trace(log, NEW, THEIRS)
    assert left.n_users == log.n_users
    events = left.events
    assert not events["user_id"].str.starts_with("new").any()
    assert events["item_id"].max() < 8
    kept = log.events.filter(~pl.col("user_id").str.starts_with("new"), pl.col("item_id") < 8)
    assert events.equals(kept)


@pytest.mark.parametrize("recommender", [Trending(), ItemKNN(), ALS(factors=4, iterations=2)])
def test_what_newcomers_did_makes_no_difference(recommender):
    """Two platforms on which newcomers did other things are the same without their trace."""
    incumbents = [log_of(seed, newcomers=False) for seed in (1, 2)]

    def joined(mornings, seed):
        rng = np.random.default_rng(seed)
        for log in mornings:
            rows = [(u, int(rng.integers(10))) for u in ("new1", "new2") for _ in range(3)]
            rows += [(f"u{int(rng.integers(12))}", 9)]
            more = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
            both = pl.concat([log.events.select("user_id", "item_id"), more])
            yield InteractionLog.from_frames(both, log.users, log.items)

    models = [roll_forward(recommender, joined(incumbents, s), NEW, THEIRS, seed=3) for s in (5, 6)]
    people = np.arange(12)
    first, second = (model.rank(people, 5, exclude_seen=False).item_ids for model in models)
    np.testing.assert_array_equal(first, second)


def test_a_model_goes_on_from_the_mornings_before():
    recommender, logs = ALS(factors=4, iterations=1), [log_of(1), log_of(2)]
    rolled = roll_forward(recommender, logs, NEW, THEIRS)
    alone = roll_forward(recommender, logs[-1:], NEW, THEIRS)
    first = recommender.fit(without_trace(logs[0], NEW, THEIRS))
    by_hand = recommender.fit(without_trace(logs[1], NEW, THEIRS), 0, first)
    people = np.arange(12)
    scores = [m.rank(people, 5, exclude_seen=False).scores for m in (rolled, by_hand, alone)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_no_morning_is_refused():
    with pytest.raises(ValueError, match="no morning"):
        roll_forward(Trending(), [], NEW, THEIRS)
