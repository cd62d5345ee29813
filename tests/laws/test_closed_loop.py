"""The laws where each recommender serves the platform itself, and for the house policy.

Every arm is simulated alone: nothing that could hide a leak is shared.
"""

import numpy as np
import polars as pl
import pytest

from recsys.config import Posts
from recsys.measures import tv
from recsys.world.arms import Audience
from recsys.world.day import blocks, views
from tests.kit.closed_loop import AUDIENCE, IDLE, NAMES, SEED, a_world, alone, differences

# No influx, no drift; inert newcomers, no drift


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("idle", IDLE)
def test_idle_newcomers_change_nothing(name, idle, control):
    influx = alone(name, "influx", a_world(influx=IDLE[idle]))
    assert differences(control(name), influx) == set()
    assert influx.simulation.people.n == 150 + (0 if idle == "no newcomers" else 40)
    assert influx.simulation.log.dense["user"].max() < 150


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("idle", IDLE)
def test_a_leak_through_the_clicks_is_found(name, idle, control, monkeypatch):
    """Trending lists that know which arm they are in, or how many people there are."""
    clicks_seen = views.clicks_seen

    def leaky(scene, counts, gate, cohort):
        leaks = scene.arm.newcomers == "influx" if idle == "no newcomers" else scene.people.n > 150
        return clicks_seen(scene, counts, gate, cohort) + leaks * (np.arange(counts.shape[-1]) % 2)

    expected = control(name)
    monkeypatch.setattr(views, "clicks_seen", leaky)
    influx = alone(name, "influx", a_world(influx=IDLE[idle]))
    assert {"events", "feeds"} <= differences(expected, influx)


# Same seed, same bits


@pytest.mark.parametrize("name", NAMES)
def test_threads_and_repetition_change_no_bit_and_another_seed_does(name, monkeypatch):
    once = alone(name, "influx")
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "_SMALLEST", 23)
        threaded = alone(name, "influx", threads=3)
    for again in (alone(name, "influx"), threaded):
        assert differences(once, again) == set()
        assert again.simulation.log.dense.equals(once.simulation.log.dense)
        for day in AUDIENCE.days:
            for mine, theirs in zip(once.served(day)[1], again.served(day)[1], strict=True):
                np.testing.assert_array_equal(mine, theirs)
    assert {"events", "feeds"} <= differences(once, alone(name, "influx", seed=SEED + 1))


# One more newcomer


MOST = {"content": 0.05}
"""It serves a new post at once, to all whom its topic and language suit: a slot of their twenty."""


@pytest.mark.parametrize("seed", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_one_more_newcomer_changes_little_in_a_day(name, seed):
    """The same log up to the day before, then a day with 80 or 81 newcomers, who all post.

    One posts at most 3 of some 1,600 posts, and clicks a few times among 800 users' clicks: less
    than one slot in a hundred may change its language or format.
    """
    mixes = []
    for newcomers in (80, 81):
        world = a_world(
            incumbents=800,
            days_before=2,
            days_after=2,
            posts=Posts(per_creator_day=0.5),
            influx={"newcomers": newcomers, "arrivals": (1.0,), "posts_a_head": 3.0},
        )
        audience = Audience(np.arange(200), (1,), 20)
        arm = alone(name, "influx", world, seed=seed, audience=audience)
        feeds, posts = arm.served(1)[0][0], arm.simulation.posts
        code = posts.language * 3 + posts.format
        mixes.append(((code[feeds][..., None] == np.arange(6)) & (feeds >= 0)[..., None]).sum(1))
        last = arm.simulation.log.dense.filter(pl.col("user") == 800 + 80)
    assert last.height > 20
    shares = [mix / mix.sum(axis=1, keepdims=True) for mix in mixes]
    assert 0 <= tv(*shares).mean() <= MOST.get(name, 0.01)
