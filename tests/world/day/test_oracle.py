"""The oracle: nobody serves what users like better."""

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.config import Evaluation, Influx, RecommenderSpec, World
from recsys.core.errors import ConfigError
from recsys.logs.log import Seen
from recsys.mitigations.build import make_recommender
from recsys.recommenders import RECOMMENDERS
from recsys.study.arms.measuring import measure
from recsys.study.arms.open_loop import OpenLoop, house_worlds
from recsys.study.arms.rankings import Learned, TrueRankings
from recsys.world.arms import Audience
from recsys.world.day.oracle import Oracle, best_of
from recsys.world.simulate import simulate

WORLD = World(
    incumbents=150,
    days_before=3,
    days_after=2,
    burn_in_days=1,
    influx=Influx(newcomers=30, arrivals=(1.0,), posts_a_head=2.4),
)
PANEL, DAY = np.arange(60), 1


def test_best_of_against_a_slow_reference():
    rng = np.random.default_rng(4)
    chance = rng.integers(1, 9, (100, 30)).astype(np.float32) / 10  # with ties
    keys, candidates = rng.permutation(30).astype(np.uint64), rng.random(30) < 0.8
    seen = [rng.permutation(30)[: rng.integers(0, 30)] for _ in range(100)]
    ends = np.cumsum([len(items) for items in seen])
    shown = Seen(np.append(0, ends[:-1]), ends, np.concatenate(seen).astype(np.int32))
    users = rng.permutation(100)
    posts, values = best_of(
        lambda rows, shown: np.take_along_axis(chance[rows], shown, 1).copy(),
        users,
        8,
        candidates,
        shown,
        keys,
    )
    for row, user in enumerate(users):
        left = [n for n in range(30) if candidates[n] and n not in seen[user]]
        expected = sorted(left, key=lambda n: (-chance[user, n], keys[n]))[:8]
        assert posts[row].tolist() == expected + [-1] * (8 - len(expected))
        np.testing.assert_array_equal(values[row, : len(expected)], chance[user, expected])
        assert np.isnan(values[row, len(expected) :]).all()


@pytest.fixture(scope="module")
def seeing():
    return simulate(WORLD, "influx", 3, Oracle(), audience=Audience(PANEL, (DAY,), 20))


def test_it_serves_in_the_order_of_the_truth(seeing):
    served, state = seeing.morning(DAY).served, seeing
    personal = served.sources == 0
    chance = state.click_probability(served.users, served.feeds, DAY)
    for row in range(served.users.size):
        mine = chance[row][personal[row]]
        assert (np.diff(mine) <= 0).all()
    assert personal.mean() > 0.5


def test_nobody_is_shown_better_posts():
    """Clicks expected per look, by the twin's truth: every recommender's feeds are worth less."""
    names = ("control", "influx")
    worlds = house_worlds(WORLD, Evaluation(days=(DAY,), k=10, panel=60), names, 3)
    utility = {}
    for name, rankings in {"oracle": TrueRankings(), **CHEAP}.items():
        rows = measure(OpenLoop(worlds, names, (name, "none"), rankings)).per_user
        control = rows.filter(arm="control", cohort="incumbent")
        utility[name] = control["utility"].mean()
    assert max(utility, key=utility.get) == "oracle"
    assert utility["oracle"] > 1.2 * max(
        value for name, value in utility.items() if name != "oracle"
    )


CHEAP = {
    name: Learned(RECOMMENDERS[name]()) for name in ("random", "trending", "item_knn", "content")
}


def test_another_seed_is_another_world_and_the_same_one_the_same(seeing):
    again, other = (
        simulate(WORLD, "influx", seed, Oracle(), audience=Audience(PANEL, (DAY,), 20))
        for seed in (3, 4)
    )
    assert seeing.log.dense.equals(again.log.dense)
    assert not seeing.log.dense.equals(other.log.dense)


def test_it_is_no_recommender_of_logs(log_study):
    with pytest.raises(ConfigError, match="learns nothing from a log"):
        make_recommender(RecommenderSpec(kind="oracle", name="oracle"))
    assert "oracle" not in RECOMMENDERS
    with pytest.raises(ConfigError, match="the oracle knows worlds only"):
        recsys.load_study(log_study)


@pytest.fixture
def log_study():
    return {
        "name": "mine",
        "log": {"events": "e.parquet", "newcomers": "new"},
        "recommenders": ["trending", "oracle"],
    }


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_a_study_has_it_as_a_row(loop):
    world = WORLD.model_dump(
        mode="json", exclude={"influx", "platform", "population", "posts", "behaviour", "start"}
    )
    study = recsys.load_study(
        {
            "name": "bound",
            "world": {**world, "influx": {"newcomers": 30, "arrivals": [1.0]}},
            "recommenders": ["oracle", "trending"],
            "loop": loop,
            "seeds": 2,
            "evaluation": {"days": [DAY], "panel": 60, "k": 10},
        }
    )
    result = recsys.run(study)
    assert result.drift["recommender"].unique().sort().to_list() == ["oracle", "trending"]
    utility = result.per_user.filter(arm="control", cohort="incumbent")
    means = dict(utility.group_by("recommender").agg(pl.col("utility").mean()).iter_rows())
    assert means["oracle"] > 1.2 * means["trending"]
