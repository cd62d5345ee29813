"""With gates closed, active newcomers change nothing for incumbents; a leak is found."""

import numpy as np
import polars as pl
import pytest

from recsys.config import Behaviour, Platform, Population, Posts
from recsys.config.world import Actions, Slots, Stage
from recsys.world.arms import INCUMBENTS, NEWCOMERS, Arm
from recsys.world.day import views
from tests.kit.closed_loop import (
    BY_LANGUAGE,
    LATER,
    LONGER,
    NAMES,
    NEW_POSTS,
    NONE,
    a_world,
    alone,
    differences,
    plant,
)

MUTE = Posts(per_creator_day=0.4, posted_across=0.0)
"""The same posts, and only subtitles answer."""
LOCAL = Population(incumbents=Population().incumbents.model_copy(update={"bilingual_posts": 0.0}))
"""Nobody posts in the newcomers' language before they come."""


@pytest.mark.parametrize("newcomers", ["influx", "placebo"])
@pytest.mark.parametrize("name", NAMES)
def test_with_all_gates_closed_active_newcomers_change_nothing(name, newcomers, control):
    closed = alone(name, Arm(newcomers, gates=NONE))
    assert differences(control(name), closed) == set()
    newcomers_events = closed.simulation.log.dense.filter(pl.col("user") >= 150)
    assert newcomers_events["user"].n_unique() == 40
    assert (newcomers_events["kind"] == "click").sum() > 10
    theirs = closed.simulation.from_newcomers
    twins = control(name).simulation.posts.language
    across = np.zeros(theirs.size, dtype=bool)
    across[: twins.size] = closed.simulation.posts.language[: twins.size] != twins
    assert across.any() == (newcomers == "influx")
    if newcomers == "influx" and name in NEW_POSTS:
        assert across[newcomers_events["item"].to_numpy()].any()
    assert theirs[newcomers_events["item"].to_numpy()].any()
    assert theirs[closed.served(2)[1][0]].any()


STAGES = Platform(
    stages=tuple(Stage(looks=looks, click_rate=0.12) for looks in range(2, 60, 3)),
    slots=Slots(personal=0.4, following=0.0, trending=0.0, fresh=0.6),
)


def test_pools_of_traffic_pass_the_gate_of_exposure(monkeypatch):
    """Which fresh posts have earned their clicks is counted without newcomers, or with them.

    The leak is looked for with a placebo: an influx looks at few of the incumbents' posts.
    """
    world = a_world(platform=STAGES)
    control = alone("house", "control", world)
    for newcomers in ("influx", "placebo"):
        assert differences(control, alone("house", Arm(newcomers, gates=NONE), world)) == set()
    counted = views.clicks_seen

    def leaky(scene, counts, gate, cohort):
        return counts.sum(axis=0) if gate == "exposure" else counted(scene, counts, gate, cohort)

    monkeypatch.setattr(views, "clicks_seen", leaky)
    assert differences(control, alone("house", Arm("placebo", gates=NONE), world)) == {"feeds"}


@pytest.mark.parametrize("newcomers", ["influx", "placebo"])
@pytest.mark.parametrize("name", ["house", "als", "content"])
def test_with_behaviour_alone_incumbents_do_the_same(name, newcomers, control):
    """They act anew, not by the twin's book: and do the same, to the bit."""
    arm = alone(name, Arm(newcomers, gates=frozenset({"behaviour"})))
    assert differences(control(name), arm) == set()


@pytest.mark.parametrize("gates", [{"adaptation"}, {"behaviour", "adaptation"}])
@pytest.mark.parametrize("name", ["house", "als", "content"])
def test_a_placebo_is_not_answered(name, gates, control):
    arm = alone(name, Arm("placebo", gates=frozenset(gates)))
    assert differences(control(name), arm) == set()


@pytest.mark.parametrize("gates", [{"adaptation"}, {"behaviour", "adaptation"}])
@pytest.mark.parametrize("name", ["house", "als"])
def test_subtitles_and_translation_matter_only_with_newcomers_posts(name, gates):
    """To who does not rank by whether a post has subtitles, as content may."""
    world = a_world(posts=MUTE, population=LOCAL, behaviour=Behaviour(translation_day=0))
    arm = alone(name, Arm("influx", gates=frozenset(gates)), world)
    assert differences(alone(name, "control", world), arm) == set()


@pytest.mark.parametrize("name", [*BY_LANGUAGE, "content"])
def test_posts_in_another_language_reach_feeds_with_nothing_else_open(name):
    """And, where users may act on it, what they do; days enough to learn from some clicks."""
    world = a_world(**LONGER)
    twin, adaptation, both = (
        alone(name, arm, world, audience=LATER)
        for arm in (
            "control",
            Arm("influx", gates=frozenset({"adaptation"})),
            Arm("influx", gates=frozenset({"adaptation", "behaviour"})),
        )
    )
    assert differences(twin, adaptation, LATER.days) == {"feeds"}
    assert {"events", "feeds", "clicks", "satisfaction"} <= differences(twin, both, LATER.days)


@pytest.mark.parametrize("name", NAMES)
def test_with_all_gates_open_newcomers_change_feeds(name, control):
    assert {"events", "feeds", "seen"} <= differences(control(name), alone(name, "influx"))


TO_INCUMBENTS = {
    "posts": lambda scene, view: view._replace(posts=scene.posts_for[NEWCOMERS]),
    "order": lambda scene, view: view._replace(order=scene.orders[NEWCOMERS]),
}


@pytest.mark.parametrize(("part", "changed"), [("posts", "satisfaction"), ("order", "clicks")])
def test_what_is_known_of_a_post_leaks_and_is_found(part, changed, monkeypatch):
    """Its language as users meet it, and as the platform counts their clicks."""
    world, arm, view_of = (
        a_world(**LONGER),
        Arm("influx", gates=frozenset({"behaviour"})),
        views.view_of,
    )
    twin, closed = (alone("house", one, world, audience=LATER) for one in ("control", arm))

    def leaky(cohort, scene, *rest):
        view = view_of(cohort, scene, *rest)
        return TO_INCUMBENTS[part](scene, view) if cohort == INCUMBENTS else view

    monkeypatch.setattr(views, "view_of", leaky)
    leaking = alone("house", arm, world, audience=LATER)
    assert differences(twin, closed, LATER.days) == set()
    assert changed in differences(twin, leaking, LATER.days)


def said_of_incumbents(arm, n):
    """What a study reads of them: their posts, shelves, life, and what a feed is worth to them."""
    made = arm.simulation
    feeds = np.tile(np.arange(n - 40, n, dtype=np.int32), (60, 1))
    life = made.life.filter(pl.col("cohort") == "incumbent")
    return {
        "items": made.items.head(n).drop("key"),
        "affinity": pl.DataFrame(made.morning(5).affinities[0][LATER.users]),
        "shown": life.select("english_share"),
        "acts": life.select("comments_across", "follows_across"),
        "utility": pl.DataFrame(made.click_probability(LATER.users, feeds, 5)),
    }


def test_what_is_said_of_incumbents_passes_the_gate(monkeypatch):
    """Every click is followed by a comment, so that a comment across languages is not rare."""
    talk = Behaviour(actions=Actions(comment=1.0, comment_across=1.0))
    world, arm = a_world(behaviour=talk, **LONGER), Arm("influx", gates=frozenset({"behaviour"}))
    control = alone("house", "control", world, audience=LATER)
    n = control.simulation.posts.n  # newcomers' posts are behind these
    twin = said_of_incumbents(control, n)
    closed = said_of_incumbents(alone("house", arm, world, audience=LATER), n)
    for name, frame in twin.items():
        assert frame.equals(closed[name]), name
    plant(monkeypatch, "adaptation")
    leaking = said_of_incumbents(alone("house", arm, world, audience=LATER), n)
    for name, frame in twin.items():
        assert not frame.equals(leaking[name]), name
