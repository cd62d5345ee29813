"""Every field of `platform` does what it says, and what is switched off is off."""

import math

import numpy as np
import pytest

from recsys.config.world import Slots
from recsys.statistics.click_rates import affinities, early_rates, group_rates, newness
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
from tests.kit.one_user import depths, gain

# What is drawn or computed


def shelves_of(world):
    """The house's shelves when day 0 begins and each post has had a click."""
    table = posts_of(world)
    live, ones = table.live(0, world.posts.window_days), np.ones(table.n)
    return house.shelve(
        table,
        house.Order.of(table),
        world.incumbents,
        live,
        live,
        0.0,
        world.platform,
        48,
        ones,
        ones,
        np.ones(table.n, dtype=bool),
    )


def freshness_at(age):
    return lambda world: float(
        newness(np.array([float(age)]), world.platform.half_life_days, world.platform.tail)[0]
    )


ONE = np.zeros(1, np.int64)


def liked(clicks, looks, group, world=None):
    """How much a user likes each of two languages, (2,); `group` has clicks and looks of others."""
    platform = SMALL.platform if world is None else world.platform
    rates = group_rates(*group, np.zeros(len(group[0]), np.int64), 1, 1, 1e-9, 1e9)
    mine = (np.array([counts], np.float32) for counts in (clicks, looks))
    return affinities(*mine, ONE, rates, platform.user_prior, platform.language_weight)[0]


def crowd(*counts):
    return tuple(np.array(rows, np.float32) for rows in counts)


ALIKE = crowd([[1e6, 1e6]], [[1e7, 1e7]])
"""Others, who click one look in ten whatever the language."""


def doubt_of_en(world):
    """A user who has seen ten posts in en, none in zh, and clicked none."""
    zh, en = liked([0, 0], [0, 10], ALIKE, world)
    return float(en / zh)


def pull_of_en(world):
    """A user who clicks posts in en twice as often as posts in zh."""
    zh, en = liked([1e6, 2e6], [1e7, 1e7], ALIKE, world)
    return float(np.log(en / zh))


def rate_of_group(world, clicks, looks):
    """Clicks per look at posts in en."""
    group, platform = np.zeros(len(clicks), np.int64), world.platform
    counts = crowd(clicks, looks)
    of = group_rates(*counts, group, 1, 1, platform.group_prior, platform.most_looks)
    return float(of.language[0, 1])


def shrunk_twice(prior):
    """10 clicks on 100 posts in en; 40 on 200 in all count as 20 on 100, and 1 on 10 are added."""
    everybody = (10 + prior) / (100 + prior / (21 / 110))
    return (10 + prior) / (100 + prior / everybody)


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
    "platform.user_prior": Law(
        (0.1, 1.0, 100.0), doubt_of_en, lambda prior: (1 + prior) / (2 + prior)
    ),
    "platform.group_prior": Law(
        (0.1, 4.0, 1e4), lambda w: rate_of_group(w, [[30, 10]], [[100, 100]]), shrunk_twice
    ),
    "platform.most_looks": Law(  # one who clicks a tenth of 10,000, one who clicks none of 100
        (50.0, 100.0, 1e4),
        lambda w: rate_of_group(w, [[0, 1000], [0, 0]], [[0, 10_000], [0, 100]]),
        lambda most: 0.1 * most / (most + min(most, 100)),
        {"platform.group_prior": 1e-9},
    ),
    "platform.post_prior": Law(
        (1.0, 4.0, 1e9),
        lambda w: float(
            early_rates(np.full(1, 8.0), np.full(1, 40.0), np.full(1, 0.1), w.platform.post_prior)[
                0
            ]
        ),
        lambda prior: (8 + prior) / (4 + prior),
    ),
    "platform.language_weight": Law(
        (0.0, 1.0, 2.0), pull_of_en, lambda weight: weight * math.log(2)
    ),
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


def taste_for_shown(it):
    """Mean taste for the topics of posts shown."""
    shown = it.did("impression")
    return it.run.people.taste[it.user[shown], it.run.posts.topic[it.item[shown]]].mean()


EFFECTS = {
    "platform.examination": Effect((0.0, 1.5), rank_of_clicks, rises=False),
    "platform.half_life_days": Effect((0.2, 1e18), age, PLENTY),
    "platform.tail": Effect((0.0, 1.0), age, PLENTY),
    "platform.fresh_days": Effect((0.5, 10.0), age, FRESH),
    "platform.look_alike": Effect((1, 30), taste_for_shown, FRESH),
    "platform.seen_memory": Effect((64, 1024), repeats, rises=False),
    "platform.drive.interest": Effect((0.0, 3.0), taste_for_clicked),
    "platform.drive.trend": Effect((0.0, 8.0), inequality_of_posts),
    "platform.drive.similarity": Effect((0.0, 2.5), likeness_of_clicked),
}


@pytest.mark.parametrize("path", EFFECTS)
def test_a_world_answers_in_the_right_direction(path):
    check_effect(EFFECTS[path], path)


# What is off

BLIND = {"platform.slots": Slots(personal=0, following=0, trending=0, fresh=1)}
QUICK = {"posts.per_creator_day": 2.0, "platform.fresh_days": 10.0, "platform.visit_ranks": 4}

OFF = {
    "platform.slots.personal": Off(
        0.0, "platform.post_prior", (0.1, 100.0), {**FRESH, **QUICK}, usual=0.5
    ),
    "platform.look_alike": Off(1, "platform.user_prior", (0.1, 100.0), {**BLIND, **QUICK}),
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
USERS = "tests/world/people/test_user_states.py"
STAGES = "tests/world/platform/test_house.py::test_a_post_that_fails_a_stage_takes_no_fresh_slot"
ELSEWHERE = {
    "platform.kind": f"{HERE}::test_a_kind_is_a_label",
    "platform.click_rate": f"{PLATFORMS}::test_people_click_as_often_as_on_their_platform",
    "platform.slots.personal": f"{PLATFORMS}::test_sources_fill_their_share_of_slots",
    "platform.slots.following": f"{PLATFORMS}::test_sources_fill_their_share_of_slots",
    "platform.slots.trending": f"{PLATFORMS}::test_sources_fill_their_share_of_slots",
    "platform.slots.fresh": f"{PLATFORMS}::test_sources_fill_their_share_of_slots",
    "platform.per_creator": f"{USERS}::test_no_visit_shows_more_of_a_creator_than_it_may",
    "platform.stages": STAGES,
    "platform.formats": f"{PLATFORMS}::test_people_post_in_the_formats_of_their_platform",
}
SIZES = {
    "platform.click_rate",
    "platform.columns",
    "platform.formats",
    "platform.fresh_days",
    "platform.group_prior",
    "platform.kind",
    "platform.most_looks",
    "platform.per_creator",
    "platform.post_prior",
    "platform.seen_memory",
    "platform.trending_half_life_days",
    "platform.trending_size",
    "platform.user_prior",
    "platform.visit_ranks",
}
"""How many, how long, which: nothing that could be switched off."""


def test_nothing_is_left_out():
    off_elsewhere = {"platform.stages": STAGES}
    check_nothing_is_left_out("platform", LAWS, EFFECTS, OFF, SIZES, ELSEWHERE, off_elsewhere)
