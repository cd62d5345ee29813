"""One-step drift: the same morning, by a fit with and by one without newcomers' events."""

import itertools

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.measures import frbo
from recsys.mitigations.build import make_recommender
from recsys.study.arms.closed_loop import ClosedLoop, served_worlds
from recsys.study.arms.measuring import measure
from recsys.study.arms.open_loop import OpenLoop, house_worlds
from recsys.study.arms.rankings import Learned

CONFIG = {
    "name": "tiny",
    "seeds": 1,
    "world": {
        "incumbents": 200,
        "days_before": 4,
        "days_after": 3,
        "burn_in_days": 1,
        "influx": {"newcomers": 60, "arrivals": [0.5, 0.5], "posts_a_head": 2.4},
    },
    "recommenders": [{"kind": "als", "factors": 4, "iterations": 3}, "trending"],
    "evaluation": {"days": [1, 2], "panel": 60, "k": 8, "training_days": 4, "one_step": True},
}


def one_step(loop, *changes):
    result = recsys.run(recsys.load_study({**CONFIG, "loop": loop}, changes))
    rows = result.per_user.filter(pl.col("cohort") == "incumbent")
    keys = ["recommender", "arm"]
    return {key: part["one_step"] for key, part in rows.group_by(keys, maintain_order=True)}


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_newcomers_events_move_feeds(loop):
    found = one_step(loop)
    for name in ("als", "trending"):
        assert found[name, "control"].null_count() == found[name, "control"].len()
        for arm in ("influx", "placebo"):
            values = found[name, arm]
            assert values.null_count() == 0
            assert 0 <= values.min() < values.max() <= 1
    assert found["als", "retrain"].max() == 0  # nobody came


@pytest.mark.parametrize("loop", ["open", "closed"])
@pytest.mark.parametrize("idle", ["newcomers=0", "arrivals=[0.0,0.0,0.0,1.0]"])
def test_without_newcomers_events_it_is_zero(loop, idle):
    found = one_step(loop, f"world.influx.{idle}")
    for (_, arm), values in found.items():
        if arm in ("control", "nudge"):
            assert values.null_count() == values.len()
        else:
            assert values.max() == 0


def test_open_loop_by_hand():
    study = recsys.load_study(CONFIG)
    worlds = house_worlds(study.world, study.evaluation, study.arms, 0)
    recommender = make_recommender(study.recommenders[0])
    loop = OpenLoop(worlds, study.arms, ("als", "none"), Learned(recommender))
    rows = measure(loop).per_user
    day = loop.on("influx", 2)
    log = day.day.log
    incumbents = log.dense.filter(pl.col("user") < 200)
    without = recsys.InteractionLog(log.users, log.items, incumbents)
    seed = recsys.core.noise.training_seed(0, "influx")
    feeds = [
        day.blended(recommender.fit(seen, seed), worlds.panel).item_ids for seen in (without, log)
    ]
    values = rows.filter(arm="influx", day=2, cohort="incumbent")["one_step"]
    np.testing.assert_allclose(values, 1 - frbo(*feeds))


def test_closed_loop_goes_on_from_the_same_fit(monkeypatch):
    """Both fits of a morning go on from yesterday's; the second sees no event of a newcomer."""
    study = recsys.load_study({**CONFIG, "loop": "closed", "arms": ["control", "influx"]})
    recommender = make_recommender(study.recommenders[0])
    fits, fit = [], type(recommender).fit

    def watched(self, log, seed=0, previous=None):
        made = fit(self, log, seed, previous)
        fits.append((log, seed, previous, made))
        return made

    monkeypatch.setattr(type(recommender), "fit", watched)
    rankings = Learned(recommender)
    worlds = served_worlds(study.world, study.evaluation, study.arms, 0, rankings)
    measure(ClosedLoop(worlds, ("als", "none")))
    twice = [
        (one, other)
        for one, other in itertools.pairwise(fits)
        if one[1] == other[1] and one[2] is other[2] and one[2] is not None
    ]
    assert len(twice) == 2  # days 1 and 2 of the influx arm
    for (full, *_), (own, *_) in twice:
        assert (full.dense["user"] >= 200).any()
        assert own.dense.equals(full.dense.filter(pl.col("user") < 200))
