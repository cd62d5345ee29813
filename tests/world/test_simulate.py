"""The day loop: sharing, threads, seeds, what is served, and the laws of the world."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import recsys
from recsys.config import Behaviour, Posts
from recsys.core.errors import ConfigError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import KINDS
from recsys.world.day import blocks
from recsys.world.frames import events_frame
from recsys.world.run import Run
from recsys.world.simulate import simulate, simulate_arms, simulate_days
from tests.kit.small_world import ARRIVALS, small_world

NEVER_HERE = (0.0,) * 4 + (1.0,)
"""Everybody arrives after the last day: newcomers who never visit and never post."""


def incumbents_events(simulation):
    log = simulation.log
    return log.dense.filter(pl.col("user") < simulation.world.incumbents)


def test_positive_events_are_all_that_have_a_weight(arms):
    days = arms["influx"].days
    every, positive = events_frame(days), events_frame(days, positive=True)
    assert 0 < positive.height < every.height
    assert_frame_equal(positive, every.filter(pl.col("weight") > 0))
    assert_frame_equal(events_frame([]), every.clear())


def test_arms_share_the_days_before_the_influx_and_nothing_else(arms, world):
    before = pl.datetime(2025, 1, 12, time_zone="UTC")
    control = arms["control"].log.dense
    for arm in ("influx", "placebo"):
        other = arms[arm].log.dense
        assert_frame_equal(
            control.filter(pl.col("timestamp") < before),
            other.filter(pl.col("timestamp") < before),
        )
        assert not control.equals(incumbents_events(arms[arm]))
        # an arm alone, without sharing, is the same to the bit
        assert_frame_equal(simulate(world, arm, seed=3).log.dense, other)


def test_threads_change_no_bit(world, arms, monkeypatch):
    monkeypatch.setattr(blocks, "_SMALLEST", 37)
    threaded = simulate(world, "influx", seed=3, threads=4)
    assert_frame_equal(threaded.log.dense, arms["influx"].log.dense)


def test_another_seed_has_other_luck_and_the_same_people(world, arms):
    other = simulate(world, "control", seed=4)
    np.testing.assert_array_equal(other.people.taste, arms["control"].people.taste)
    assert not other.log.dense.equals(arms["control"].log.dense)


def test_days_come_one_by_one(world, arms):
    days = list(simulate_days(world, "influx", seed=3))
    assert [day.day for day in days] == list(range(-4, 4))
    assert sum(day.user.size for day in days) == arms["influx"].log.dense.height


def test_a_longer_run_begins_like_a_shorter_one(world, arms):
    longer = simulate(small_world(days_after=6), "control", seed=3)
    short = arms["control"].log.events
    # posts are renumbered by what will be posted later; their keys are not
    keys = arms["control"].log.items["key"].gather(short["item_id"])
    same = longer.log.events.head(short.height)
    assert longer.log.items["key"].gather(same["item_id"]).equals(keys)
    for column in ("user_id", "timestamp", "kind", "rank"):
        assert same[column].equals(short[column])


# Law: no influx, no drift (no sharing of arms)


def test_zero_newcomers_change_nothing():
    world = small_world(influx={"newcomers": 0})
    control, influx = (simulate(world, arm, seed=1) for arm in ("control", "influx"))
    assert_frame_equal(control.log.dense, influx.log.dense)
    assert_frame_equal(control.log.items, influx.log.items)


def test_a_planted_leak_is_found(monkeypatch):
    fork = Run.fork

    def leaky(self, arm, twin=None):
        run = fork(self, arm, twin)
        if arm.newcomers != "nobody":
            run.counts = run.counts._replace(last=run.counts.last + np.arange(run.posts.n) % 2)
        return run

    monkeypatch.setattr(Run, "fork", leaky)
    with pytest.raises(AssertionError):
        test_zero_newcomers_change_nothing()


# Law: inert newcomers, no drift


@pytest.mark.parametrize("arm", ["influx", "placebo"])
def test_inert_newcomers_change_no_incumbents_day(arm):
    world = small_world(influx={"arrivals": NEVER_HERE})
    control, other = (simulate(world, name, seed=1) for name in ("control", arm))
    assert other.log.n_users == control.log.n_users + 120
    served = ["user", "item", "timestamp", "kind", "rank"]
    if arm == "placebo":
        assert_frame_equal(control.log.dense, other.log.dense)
    else:  # creators who expect newcomers add subtitles, which users of their language ignore
        assert_frame_equal(control.log.dense.select(served), other.log.dense.select(served))


def test_newcomers_are_nested(world):
    few = simulate(small_world(influx={"newcomers": 30}), "influx", seed=3)
    many = simulate(world, "influx", seed=3)
    np.testing.assert_array_equal(few.people.taste, many.people.taste[: few.people.n])
    np.testing.assert_array_equal(few.posts.key, many.posts.key[: few.posts.n])


# What is served


def shown(simulation):
    return simulation.log.dense.filter(pl.col("kind") == "impression")


def test_nothing_is_shown_twice_or_to_its_creator_or_dead(arms):
    for simulation in arms.values():
        served = shown(simulation)
        assert served.select("user", "item").is_duplicated().sum() == 0
        creators = simulation.posts.creator[served["item"].to_numpy()]
        assert (creators != served["user"].to_numpy()).all()
        tick = (served["timestamp"].dt.epoch("ms").to_numpy() / 43_200_000) // 1 / 2
        start = np.datetime64(simulation.world.start, "D").astype(int)
        age = tick - start - simulation.posts.published[served["item"].to_numpy()]
        assert (age > 0).all()
        assert (age < simulation.world.posts.window_days).all()


def test_ranks_run_from_one_without_gaps(arms):
    served = shown(arms["control"])
    assert served["rank"].min() == 1
    counts = served.group_by("rank").len().sort("rank")["len"].to_list()
    assert counts == sorted(counts, reverse=True)


def test_click_rate_is_near_the_platforms(arms):
    kinds = np.concatenate([day.kind for day in arms["control"].days if day.day < 0])
    names = list(KINDS.categories)
    impressions = (kinds == names.index("impression")).sum()
    rate = (kinds == names.index("click")).sum() / impressions
    # a day's rate hangs on the few posts at the top: over the days of small worlds, within a fifth
    assert abs(rate / 0.086 - 1) < 0.2


def test_newcomers_visit_only_while_they_are_there(arms):
    influx = arms["influx"]
    for day in influx.days:
        there = (influx.people.arrival <= day.day) & (day.day < influx.people.departure)
        assert there[day.user].all()
        arriving = np.flatnonzero(influx.people.arrival == day.day)
        assert np.isin(arriving, day.user).all()


def test_the_influx_brings_english_into_feeds(arms):
    def english(arm):
        served = shown(arms[arm]).filter(pl.col("user") < 400)
        return arms[arm].posts.language[served["item"].to_numpy()].mean()

    assert english("influx") > 1.1 * max(english("control"), english("placebo"))


def test_affinities_learn_what_a_user_clicks():
    """Where there is much to choose from and taste decides, users see more of their topic."""
    world = small_world(
        days_before=12, posts=Posts(per_creator_day=2.0), behaviour=Behaviour(taste=20.0)
    )
    late, early = [], []
    for seed in range(3):
        control = simulate(world, "control", seed=seed)
        favourite = control.people.taste.argmax(axis=1)
        served = shown(control)
        hit = control.posts.topic[served["item"].to_numpy()] == favourite[served["user"].to_numpy()]
        half = (served["timestamp"] > served["timestamp"].median()).to_numpy()
        late.append(hit[half].mean())
        early.append(hit[~half].mean())
    assert (np.array(late) > np.array(early)).all()


def test_log_before_a_day(arms):
    control = arms["control"]
    log = control.log_before(1)
    midnight = pl.datetime(2025, 1, 13, time_zone="UTC")
    expected = control.log.dense.filter(pl.col("timestamp") < midnight)
    assert_frame_equal(log.dense, expected)
    short = control.log_before(1, training_days=2)
    since = pl.datetime(2025, 1, 11, time_zone="UTC")
    weight = pl.when(pl.col("timestamp") < since).then(0).otherwise("weight").cast(pl.Float32)
    assert_frame_equal(short.dense, expected.with_columns(weight=weight))
    anew = InteractionLog(log.users, log.items, log.dense).seen
    for seen in (log.seen, short.seen):
        assert np.array_equal(seen.indptr, anew.indptr)
        assert np.array_equal(seen.indices, anew.indices)


def test_unknown_arm_and_unreachable_click_rate(world):
    with pytest.raises(ConfigError, match="no arm 'influks'"):
        simulate(world, "influks")
    eager = world.platform.model_copy(update={"click_rate": 0.99})
    with pytest.raises(ConfigError, match=r"world\.platform: a click rate of 0\.99"):
        simulate(world.model_copy(update={"platform": eager}))


def test_public_name():
    assert recsys.simulate is simulate
    assert ARRIVALS[1] == 0.59
    assert set(simulate_arms(small_world(days_after=1), ("placebo_2",))) == {"placebo_2"}
