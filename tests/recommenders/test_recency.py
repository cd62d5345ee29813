"""Recency multiplies scores by popularity of late; log odds get its logarithm added."""

import numpy as np
import pytest

from recsys.core.errors import ConfigError, LogError
from recsys.logs.log import InteractionLog
from recsys.mitigations.build import make_recommender
from recsys.recommenders import ALS, BPR, EASE, LMF, ItemKNN, TwoTower
from recsys.recommenders.base import decayed_weights
from recsys.recommenders.recency import Recency, log_recency, multiply
from recsys.recommenders.store import load_model, save_model
from recsys.testing.promises import same_ranking
from recsys.training import load_training

MULTIPLIED = [ALS(factors=4), EASE(regularization=5.0), ItemKNN()]
ADDED = [BPR(factors=4, iterations=5), LMF(factors=4, iterations=2), TwoTower(factors=4)]
RECENCY = Recency(half_life_days=1.0, power=0.5)


def with_recency(recommender):
    return recommender.model_copy(update={"recency": RECENCY})


def test_the_formula(log):
    heat = decayed_weights(log, 1.0) + 0.5
    np.testing.assert_allclose(np.exp(log_recency(log, RECENCY)), (heat / heat.max()) ** 0.5)
    assert log_recency(log, None) is None
    with pytest.raises(LogError):
        log_recency(log.only(np.zeros(log.dense.height, dtype=bool)), RECENCY)


def test_negative_scores_stay():
    scores = np.array([[1.0, -1.0, -np.inf, 0.0]])
    multiply(scores, np.log([0.5, 0.5, 0.5, 0.5]))
    assert scores.tolist() == [[0.5, -1.0, -np.inf, 0.0]]


@pytest.mark.parametrize("recommender", [*MULTIPLIED, *ADDED], ids=lambda r: type(r).__name__)
def test_what_it_does_to_scores(log, fitted, recommender):
    plain, fresh = fitted(recommender), with_recency(recommender).fit(log)
    users = np.resize(np.array([100, 650, 11]), 256)
    items = plain.scorable[::2]
    before = np.array(plain.score(users, items), dtype=np.float64)
    after = np.array(fresh.score(users, items), dtype=np.float64)
    factor = log_recency(log, RECENCY)[items]
    expected = before + factor
    if recommender in MULTIPLIED:
        expected = np.where(before > 0, before * np.exp(factor), before)
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("recommender", [MULTIPLIED[1], ADDED[0]], ids=["ease", "bpr"])
def test_it_is_stored(log, recommender, tmp_path):
    model = with_recency(recommender).fit(log)
    save_model(model, tmp_path)
    users = np.arange(log.n_users)
    same_ranking(load_model(tmp_path).rank(users, 20), model.rank(users, 20), "stored")


def test_the_latest_is_first():
    """Two posts are liked by the same people, one of them long ago."""
    log = InteractionLog.from_frames(
        {
            "user_id": [1, 1, 1, 2, 2, 2, 3],
            "item_id": [7, 8, 9, 7, 8, 9, 7],
            "timestamp": [f"2025-01-{d:02}" for d in (20, 20, 1, 20, 20, 1, 20)],
        }
    )
    got = ItemKNN(candidate_days=None, recency=Recency()).fit(log).recommend([3], k=2)
    assert got["item_id"].to_list() == [8, 9]
    scores = got["score"].to_list()
    assert scores[0] > 4 * scores[1]  # likes after decay: 2.5 and .503 with the half like


def test_a_config_may_give_it():
    world = {"incumbents": 150, "influx": {"kind": "rednote_2025", "newcomers": 20}}
    config = {
        "name": "x",
        "world": world,
        "recommender": {"kind": "als", "recency": {"power": 2.0}},
    }
    training = load_training(config, ["recommender.recency.half_life_days=1"])
    assert make_recommender(training.recommender).recency == Recency(half_life_days=1.0, power=2.0)
    with pytest.raises(ConfigError, match="powr"):
        load_training({**config, "recommender": {"kind": "als", "recency": {"powr": 2.0}}})
