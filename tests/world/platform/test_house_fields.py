"""Every field of `platform` does what it says, and what is switched off is off."""

import numpy as np
import pytest

from recsys.logs.log import Seen
from recsys.world.people import behaviour
from recsys.world.people.posts import first_day
from recsys.world.platform import house
from recsys.world.run import Run
from tests.kit.drawn import posts_a_creator, posts_of
from tests.kit.events import (
    FRESH,
    PLENTY,
    age,
    inequality_of_posts,
    likeness_of_clicked,
    taste_for_clicked,
)
from tests.kit.fields import (
    EN,
    SEED,
    SMALL,
    Effect,
    Law,
    Off,
    changed,
    check_effect,
    check_law,
    check_nothing_is_left_out,
    check_off,
)
from tests.kit.one_user import a_post, depths, gain

# What is drawn or computed


def shelves_of(world):
    """The house's shelves when day 0 begins and each post has had a click."""
    table = posts_of(world)
    live = table.live(0, world.posts.window_days)
    return house.shelve(
        table,
        house.Order.of(table),
        world.incumbents,
        live,
        live,
        0.0,
        world.platform,
        np.ones(table.n),
        np.zeros((2, 48)),
    )


def freshness_at(age):
    return lambda world: float(house.freshness(np.array([float(age)]), world.platform)[0])


def clicks_needed(world):
    """Clicks on a topic from which on it comes before one that holds half of others' clicks."""
    table = a_post(2, topic=np.array([0, 1], np.int32), creator=np.ones(2, np.int32))
    others, everything = np.zeros((2, 48)), np.ones(2, dtype=bool)
    others[:, 2 + EN] = 48  # of 96 that the house counts, with one in each topic and language
    shelves = house.shelve(
        table,
        house.Order.of(table),
        2,
        everything,
        everything,
        1.0,
        world.platform,
        np.zeros(2),
        others,
    )
    start, ranking = np.zeros(1, np.int64), np.empty((1, 2), np.int32)
    nothing = Seen(start, start, np.zeros(0, np.int32))
    low, high = 0.0, 1e4
    for _ in range(50):
        middle, clicks = (low + high) / 2, np.zeros((1, 48), np.float32)
        clicks[0, EN] = middle
        house.rank(
            clicks,
            nothing,
            shelves,
            np.zeros(1, np.uint8),
            world.platform.affinity_prior,
            start,
            np.array([2], np.int32),
            ranking,
        )
        low, high = (low, middle) if ranking[0, 0] == 0 else (middle, high)
    return high


def trending_left(world):
    """What a day on which nobody comes leaves of the clicks in the trending list."""
    world = changed(SMALL, {"platform": world.platform, "influx.newcomers": 0})
    run = Run.start(world, SEED)
    list(run.run_days(first_day(world), 0))
    before = run.counts.trending.sum()
    run.states.gone[:] = True
    list(run.run_days(0, 1))
    return float(run.counts.trending.sum() / before)


LAWS = {
    "platform.drive.interest": Law((0.0, 1.0, 2.0), gain(taste=1.0), lambda factor: 4 * factor),
    "platform.drive.trend": Law((0.0, 1.0, 2.0), gain(trend=0.3), lambda factor: 0.3 * factor),
    "platform.drive.similarity": Law((0.0, 1.0, 2.0), gain(likeness=0.7), lambda f: 0.7 * f),
    "platform.columns": Law((1, 2, 4), lambda w: int(depths(w).min())),
    "platform.visit_ranks": Law((6, 100, 200), lambda w: int(depths(w).max())),
    "platform.examination": Law(
        (0.0, 0.4, 0.8),
        lambda w: 1 - float(behaviour.examination(w.platform)[7]),  # not looked at in row 4
        lambda exponent: 1 - 4**-exponent,
    ),
    "platform.half_life_days": Law(
        (0.5, 2.0, 1e9), freshness_at(2), lambda days: 2 ** (-2 / days), {"platform.tail": 0.0}
    ),
    "platform.tail": Law((0.0, 0.02, 1.0), freshness_at(5000)),
    "platform.fresh_days": Law(
        (0.5, 2.0, 10.0),
        lambda w: posts_a_creator(w, shelves_of(w).ring_posts),
        lambda days: 0.15 * days,
    ),
    "platform.affinity_prior": Law((1.0, 10.0, 100.0), clicks_needed, lambda prior: prior / 2),
    "platform.trending_size": Law((1, 100, 300), lambda w: shelves_of(w).trending.size),
    "platform.trending_half_life_days": Law(
        (0.5, 1.0, 1e9), trending_left, lambda days: 0.5 ** (1 / days)
    ),
}


@pytest.mark.parametrize("path", LAWS)
def test_a_quantity_is_what_the_formula_says(path):
    check_law(LAWS[path], path)


# What is run


def rank_of_clicks(it):
    return it.rank[it.did("click")].mean()


def repeats(it):
    """Share of impressions of what the same person was shown before."""
    shown = it.did("impression")
    pairs = it.user[shown].astype(np.int64) * it.run.posts.n + it.item[shown]
    return 1 - np.unique(pairs).size / pairs.size


EFFECTS = {
    "platform.examination": Effect((0.0, 1.5), rank_of_clicks, rises=False),
    "platform.half_life_days": Effect((0.2, 1e9), age, PLENTY),
    "platform.tail": Effect((0.0, 1.0), age, PLENTY),
    "platform.fresh_days": Effect((0.5, 10.0), age, FRESH),
    "platform.seen_memory": Effect((64, 1024), repeats, rises=False),
    "platform.drive.interest": Effect((0.0, 3.0), taste_for_clicked),
    "platform.drive.trend": Effect((0.0, 8.0), inequality_of_posts),
    "platform.drive.similarity": Effect((0.0, 2.5), likeness_of_clicked),
}


@pytest.mark.parametrize("path", EFFECTS)
def test_a_world_answers_in_the_right_direction(path):
    check_effect(EFFECTS[path], path)


# What is off

QUICK = {"posts.per_creator_day": 2.0, "platform.fresh_days": 10.0, "platform.visit_ranks": 4}

OFF = {
    "platform.slots.personal": Off(
        0.0, "platform.affinity_prior", (0.1, 100.0), {**FRESH, **QUICK}, usual=0.5
    ),
    "platform.slots.following": Off(0.0, "population.follows", (0.0, 8.0)),
    "platform.slots.trending": Off(0.0, "platform.trending_half_life_days", (0.1, 10.0)),
    "platform.slots.fresh": Off(0.0, "platform.fresh_days", (0.5, 9.0)),
    "platform.half_life_days": Off(1e18, "platform.tail", (0.0, 1.0)),
    "platform.tail": Off(1.0, "platform.half_life_days", (1.0, 50.0)),
    "platform.drive.interest": Off(0.0, "behaviour.taste", (4.0, 12.0)),
    "platform.drive.trend": Off(0.0, "population.trend", ((0.0, 0.0), (2.0, 0.0))),
    "platform.drive.similarity": Off(0.0, "population.latent_scale", (0.5, 2.0)),
}


@pytest.mark.parametrize("path", OFF)
def test_off_is_off(path):
    check_off(OFF[path], path)


# Nothing is left out

HERE = "tests/world/test_fields.py"
PLATFORMS = "tests/world/test_platforms.py"
USERS = "tests/world/people/test_users.py"
ELSEWHERE = {
    "platform.kind": f"{HERE}::test_a_kind_is_a_label",
    "platform.click_rate": f"{PLATFORMS}::test_people_click_as_often_as_on_their_platform",
    "platform.slots.personal": f"{PLATFORMS}::test_sources_fill_their_share_of_slots",
    "platform.slots.following": f"{PLATFORMS}::test_sources_fill_their_share_of_slots",
    "platform.slots.trending": f"{PLATFORMS}::test_sources_fill_their_share_of_slots",
    "platform.slots.fresh": f"{PLATFORMS}::test_sources_fill_their_share_of_slots",
    "platform.per_creator": f"{USERS}::test_no_visit_shows_more_of_a_creator_than_it_may",
    "platform.formats": f"{PLATFORMS}::test_people_post_in_the_formats_of_their_platform",
}
SIZES = {
    "platform.affinity_prior",
    "platform.click_rate",
    "platform.columns",
    "platform.formats",
    "platform.fresh_days",
    "platform.kind",
    "platform.per_creator",
    "platform.seen_memory",
    "platform.trending_half_life_days",
    "platform.trending_size",
    "platform.visit_ranks",
}
"""How many, how long, which: nothing that could be switched off."""


def test_nothing_is_left_out():
    check_nothing_is_left_out("platform", LAWS, EFFECTS, OFF, SIZES, elsewhere=ELSEWHERE)
