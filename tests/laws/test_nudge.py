"""The floor's laws: who nudges a platform never posts, and where nobody comes, net is 0 to the bit.

A nudge is one person more, who visits and clicks. Studies hold the feeds of an influx against it.
"""

import numpy as np
import polars as pl
import pytest

from recsys import load_study, run
from recsys.recommenders import RECOMMENDERS
from recsys.study.arms import open_loop as world_module
from recsys.world.arms import ARMS, arm_named, draws_of
from recsys.world.people.influx import NEVER
from recsys.world.scene import Scene
from tests.kit import closed_loop
from tests.kit.open_loop import a_world, alone, feeds_of
from tests.kit.small_study import CONFIG

NAMES = ("nudge", "nudge_3", "nudge_10")


def joined(arm, world=None):
    return Scene.before(world or a_world(), seed=1).joined(arm_named(arm))


@pytest.mark.parametrize("name", NAMES)
def test_they_are_few_who_come_at_once_stay_and_never_post(name):
    scene = joined(f"{name} 2")
    people = scene.newcomers
    assert people.n == ARMS[name].people
    assert (people.arrival == 0).all()
    assert (people.departure == NEVER).all()
    assert (people.presence == 1).all()
    assert not people.curious.any()
    assert not people.foreign.any()
    assert (people.app_language == 0).all()
    assert (scene.posts.creator < scene.world.incumbents).all()
    before = Scene.before(a_world(), seed=1)
    np.testing.assert_array_equal(scene.posts.key, before.posts.key)
    np.testing.assert_array_equal(scene.posts.language, before.posts.language)
    assert not scene.has_influx


def test_each_draw_has_other_people_and_more_hold_the_fewer():
    draws = [joined(name).newcomers for name in draws_of("nudge", 4)]
    assert np.unique([people.address for people in draws]).size == 4
    assert np.unique([people.visits for people in draws]).size == 4
    three = joined("nudge_3 1").newcomers
    assert three.address[0] == draws[0].address[0]
    np.testing.assert_array_equal(three.taste[0], draws[0].taste[0])


def test_locals_come_as_the_influx_and_post_as_incumbents():
    world = a_world(newcomers=4000)
    influx, placebo, locals_ = (joined(arm, world) for arm in ("influx", "placebo", "locals"))
    for column in ("address", "arrival", "departure", "visits"):
        mine = getattr(locals_.newcomers, column)
        np.testing.assert_array_equal(mine, getattr(influx.newcomers, column))
    np.testing.assert_array_equal(locals_.newcomers.taste, placebo.newcomers.taste)
    theirs = locals_.posts.creator >= world.incumbents
    creators = np.unique(locals_.posts.creator[theirs])
    days_there = world.days_after - locals_.newcomers.arrival
    expected = world.population.creators * world.posts.per_creator_day * days_there.sum()
    assert theirs.sum() == pytest.approx(expected, rel=0.15)
    some_post = -np.expm1(-world.posts.per_creator_day * days_there.mean())
    assert creators.size == pytest.approx(4000 * world.population.creators * some_post, rel=0.15)
    arrival = locals_.people.arrival[locals_.posts.creator[theirs]]
    assert (locals_.posts.published[theirs] >= arrival).all()
    assert not locals_.posts.influx.any()
    assert (placebo.posts.creator >= world.incumbents).sum() > 3 * theirs.sum()


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_an_inert_person_is_the_twin_in_an_open_loop(name, monkeypatch):
    """With one training seed; one who never visits has no say, as an inert newcomer has none."""
    monkeypatch.setattr(world_module, "training_seed", lambda seed, _: seed)
    worlds = nobody_visits(monkeypatch, lambda: alone(a_world(), 5, ("control", "nudge")))
    control, nudged = (feeds_of(worlds, name, arm, 2) for arm in ("control", "nudge"))
    np.testing.assert_array_equal(control.item_ids, nudged.item_ids)
    np.testing.assert_array_equal(control.scores, nudged.scores)


@pytest.mark.parametrize("name", ["house", "als", "trending", "item_knn"])
def test_an_inert_person_is_the_twin_in_a_closed_loop(name, monkeypatch):
    arms = ("control", ARMS["nudge"])
    control, nudged = nobody_visits(
        monkeypatch, lambda: [closed_loop.alone(name, arm) for arm in arms]
    )
    assert nudged.simulation.people.n == control.n + 1
    assert closed_loop.differences(control, nudged) == set()


def nobody_visits(monkeypatch, simulate):
    """Runs something in which newcomers are there and never visit."""
    from recsys.world import run as runs

    drawn = runs.draw_visits

    def without_newcomers(scene, gone, day, *, incumbents):
        away = gone.copy()
        away[scene.world.incumbents :] = True
        return drawn(scene, away, day, incumbents=incumbents)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "draw_visits", without_newcomers)
        return simulate()


# `make test-all` tries both in both loops.
@pytest.mark.parametrize("loop", ["open", pytest.param("closed", marks=pytest.mark.slow)])
def test_one_person_who_visits_does_move_feeds(loop):
    result = run(load_study({**CONFIG, "loop": loop}, ["seeds=1", "evaluation.nudges=2"]))
    rows = result.per_user.filter(pl.col("day").is_null(), arm="nudge")
    assert set(rows["draw"]) == {1, 2}
    assert set(rows["cohort"]) == {"incumbent"}
    trending = rows.filter(recommender="trending")
    assert trending["slots_changed"].mean() > 0
    assert rows["displaced"].to_list() == [0.0] * rows.height
    assert rows["newcomer_slots"].to_list() == [0.0] * rows.height


@pytest.mark.parametrize("loop", [pytest.param("open", marks=pytest.mark.slow), "closed"])
def test_where_nobody_comes_net_is_zero_to_the_bit(loop):
    nobody = ["world.influx.newcomers=0", "evaluation.nudges=2"]
    table = run(load_study({**CONFIG, "loop": loop}, nobody)).headline
    assert set(table["recommender"]) == {"trending", "als"}
    for name in ("net", "net_ci_low", "net_ci_high", "plain", "placebo", "locals", "reshuffled"):
        known = table.filter(pl.col(name).is_not_null())[name]
        assert known.to_list() == [0.0] * known.len()
    assert table.filter(group="all")["net"].null_count() == 0
    als = table.filter(recommender="als", group="all")
    assert (als["floor"] > 0).all()
    assert als["floor"].to_list() == als["retrain"].to_list()
