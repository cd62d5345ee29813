"""Each gate governs its own part of the platform, and only that; opened alone, it is found."""

import numpy as np
import polars as pl
import pytest

from recsys.config import Behaviour, Posts
from recsys.logs.schema import SOURCES
from recsys.recommenders import RECOMMENDERS
from recsys.world.arms import GATES, Arm
from recsys.world.day import blocks
from recsys.world.simulate import simulate, simulate_days
from tests.kit.closed_loop import (
    ALL,
    AUDIENCE,
    BY_LANGUAGE,
    LATER,
    LONGER,
    NAMES,
    NEW_POSTS,
    NONE,
    SEED,
    a_world,
    alone,
    differences,
    plant,
)
from tests.kit.variants import VARIANTS

TRAINED = [name for name in (*RECOMMENDERS, *VARIANTS) if name != "random"]
OPENED = [
    *[("adaptation", name, "influx") for name in BY_LANGUAGE],
    *[("supply", name, "influx") for name in NEW_POSTS],
    *[("exposure", name, "influx") for name in NAMES],
    ("training", "house", "placebo"),  # averages of those whose app is in the same language
    *[("training", name, "influx") for name in TRAINED],
]


@pytest.mark.parametrize(("gate", "name", "newcomers"), OPENED)
def test_a_leak_through_a_gate_reaches_feeds(gate, name, newcomers, control, monkeypatch):
    expected = control(name)
    plant(monkeypatch, gate)
    leaky = alone(name, Arm(newcomers, gates=NONE))
    # the twin's behaviour is read from the book, so the leak stays in what is served
    assert differences(expected, leaky) == {"feeds"}


NEIGHBOURS = {
    # what incumbents do, and what helps them read, matter only with newcomers' posts before them
    "behaviour": frozenset({"supply", "exposure"}),
    "adaptation": frozenset({"supply", "exposure", "behaviour"}),
}


@pytest.mark.parametrize("gate", NEIGHBOURS)
@pytest.mark.parametrize("name", ["house", "als"])
def test_a_leak_of_behaviour_or_adaptation_is_found_in_company(name, gate, monkeypatch):
    world = a_world(behaviour=Behaviour(translation_day=0, curiosity=3.0))
    arm = Arm("influx", gates=NEIGHBOURS[gate])
    expected = alone(name, arm, world)
    plant(monkeypatch, gate)
    leaky = alone(name, arm, world)
    assert {"events", "feeds", "clicks", "taste", "satisfaction"} <= differences(expected, leaky)


SHELVES = {
    "bucket": {"supply", "training", "adaptation"},
    "creator": {"supply"},
    "trending": {"exposure"},
    "ring": {"exposure"},
    "buckets": {"adaptation"},
    "freshness": set(),
}
"""The gates that each shelf may pass, by the first word of its name. Posts are shelved by topic and
language, and ordered by their click rates; how fresh a post is nobody changes."""


def changed_shelves(one, other, day):
    """Shelves that differ for incumbents; rows of newcomers and of their posts are left out."""
    mine, theirs = (arm.simulation.morning(day).shelves[0] for arm in (one, other))
    n_posts = one.simulation.posts.n
    common = {"freshness": n_posts, "buckets": n_posts, "creator_start": one.n + 1}
    return {
        field.split("_")[0]
        for field in mine._fields
        if not np.array_equal(
            getattr(mine, field)[: common.get(field)], getattr(theirs, field)[: common.get(field)]
        )
    }


@pytest.mark.parametrize("newcomers", ["influx", "placebo"])
@pytest.mark.parametrize("gate", GATES)
def test_a_gate_alone_changes_its_own_shelves(gate, newcomers, control):
    arm = alone("house", Arm(newcomers, gates=frozenset({gate})))
    changed = changed_shelves(control("house"), arm, 2)
    assert changed <= {name for name, gates in SHELVES.items() if gate in gates}
    certain = {
        "supply": {"bucket", "creator"},
        "exposure": {"trending", "ring"},
        "training": {"bucket"},
    }
    assert certain.get(gate, set()) <= changed
    affinities = [run.simulation.morning(2).affinities[0] for run in (control("house"), arm)]
    n = control("house").n
    assert np.array_equal(affinities[0][:n], affinities[1][:n]) == (gate != "training")


MAY_HOLD = {"supply": {"personal", "following"}, "exposure": {"trending", "fresh"}}


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("name", NAMES)
def test_a_gate_alone_lets_newcomers_posts_into_its_own_slots(name, gate):
    arm = alone(name, Arm("influx", gates=frozenset({gate})))
    sources = set()
    for day in AUDIENCE.days:
        feeds, codes = arm.served(day)[0]
        theirs = (feeds >= 0) & arm.simulation.from_newcomers[feeds]
        sources |= {SOURCES.categories[int(code)] for code in codes[theirs]}
    assert sources <= MAY_HOLD.get(gate, set())
    if gate == "exposure" or (gate == "supply" and name in NEW_POSTS):
        assert sources


@pytest.mark.parametrize("name", TRAINED)
def test_training_alone_changes_what_incumbents_are_recommended(name, control):
    arm = alone(name, Arm("influx", gates=frozenset({"training"})))
    assert differences(control(name), arm) == {"feeds"}
    assert changed_shelves(control(name), arm, 2) <= {"bucket"}


@pytest.mark.parametrize("gate", ["supply", "exposure", "training", "adaptation"])
def test_newcomers_are_served_behind_open_gates(gate):
    """Whatever is closed to incumbents, newcomers see the platform as it is."""
    shelves = alone("house", Arm("influx", gates=ALL - {gate})).simulation.morning(2).shelves
    there = [
        [
            name
            for name in ("bucket_posts", "trending", "ring_posts")
            if (getattr(side, name) >= first_post_of_newcomers()).any()
        ]
        for side in shelves
    ]
    everything = ["bucket_posts", "trending", "ring_posts"]
    without = {"supply": everything[1:], "exposure": everything[:1]}
    assert there == [without.get(gate, everything), everything]


@pytest.mark.parametrize("name", ["house", "als", "content"])
def test_how_incumbents_are_given_posts_is_nothing_to_newcomers(name):
    """Incumbents do what the twin does; newcomers are served and respond as if all were open.

    What languages incumbents click is counted as they are given posts, so their posts keep them.
    """
    quiet = a_world(posts=Posts(per_creator_day=0.4, posted_across=0.0), **LONGER)
    closed, answered = (
        alone(name, Arm("influx", gates=frozenset(gates)), quiet, audience=LATER)
        for gates in ((), ("adaptation",))
    )
    done, expected = (
        arm.simulation.log.dense.filter(pl.col("user") >= 150) for arm in (closed, answered)
    )
    assert done.equals(expected)
    assert done.height > 100


def first_post_of_newcomers():
    return int(alone("house", "control").simulation.posts.n)


class ReadsAttributes:
    """A policy that ranks posts by what the log says about them: those with subtitles first."""

    training_days = 7
    impressions = False
    by_need = False

    def __init__(self, log=None):
        self.log = log

    def fit(self, log, seed, previous):
        return ReadsAttributes(log)

    def rank(self, users, k, candidates, seen):
        subtitled = self.log.items["subtitled"].fill_null(value=False).to_numpy()
        order = np.argsort(~subtitled, kind="stable")
        order = order[candidates[order]]
        ranking = np.full((users.size, k), -1, dtype=np.int32)
        for row, user in enumerate(users):
            known = seen.items[seen.start[user] : seen.end[user]]
            best = order[~np.isin(order, known)][:k]
            ranking[row, : best.size] = best
        return ranking, np.zeros(ranking.shape, dtype=np.uint8)


def test_what_the_log_says_about_posts_passes_a_gate():
    """Subtitles answer the newcomers: with all gates closed no fit for incumbents knows of them."""
    world = a_world(posts=Posts(subtitled=0.5, adaptation_days=0.5))
    control, closed = (
        simulate(world, arm, SEED, ReadsAttributes(), audience=AUDIENCE).morning(2).served
        for arm in ("control", Arm("influx", gates=NONE))
    )
    np.testing.assert_array_equal(control.feeds[:60], closed.feeds[:60])


def test_days_one_by_one_keep_gates_closed():
    arm = Arm("influx", gates=frozenset({"supply", "exposure"}))
    days = list(simulate_days(a_world(), arm, SEED))
    for day, expected in zip(days, simulate(a_world(), arm, SEED).days, strict=True):
        np.testing.assert_array_equal(day.item, expected.item)


@pytest.mark.parametrize("gates", [ALL, NONE])
def test_threads_change_no_bit_where_gates_are_closed(gates, monkeypatch):
    arm = Arm("influx", gates=gates - {"training"})
    once = alone("als", arm)
    monkeypatch.setattr(blocks, "_SMALLEST", 23)
    threaded = alone("als", arm, threads=3)
    assert threaded.simulation.log.dense.equals(once.simulation.log.dense)
    assert differences(once, threaded) == set()
