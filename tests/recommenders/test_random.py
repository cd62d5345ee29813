"""Random: uniform scores that are nobody else's."""

from math import sqrt

import numpy as np

from recsys.recommenders import Random


def test_scores_are_uniform(log):
    scores = Random().fit(log, seed=2).rank(np.arange(log.n_users), 60, exclude_seen=False).scores
    assert (scores >= 0).all()  # the float64 draws lie inside (0, 1); as float32 some round to 1
    assert (scores <= 1).all()
    assert abs(scores.mean() - 0.5) < 5 * sqrt(1 / 12 / scores.size)
    assert abs(scores.var() - 1 / 12) < 5 * sqrt((1 / 80 - 1 / 144) / scores.size)


def test_every_item_is_served_as_often(log):
    ids = Random().fit(log, seed=2).rank(np.arange(log.n_users), 10, exclude_seen=False).item_ids
    counts = np.bincount(ids.ravel(), minlength=60)
    # each is in a feed with p = 10/60: binomial over 700 users, 5 sd both sides
    p = 10 / 60
    assert (abs(counts - 700 * p) < 5 * sqrt(700 * p * (1 - p))).all()


def test_cold_items_too(log):
    model = Random().fit(log, seed=2)
    assert sorted(model.scorable.tolist()) == list(range(60))
    assert (np.diff(log.items["key"].to_numpy()[model.scorable].astype(object)) > 0).all()
