"""Every field of `posts` does what it says, and what is switched off is off."""

import math

import numpy as np
import pytest

from recsys.world.people.posts import answering, answers, first_day, subtitled
from tests.kit.drawn import people_of, posts, posts_a_creator, posts_of
from tests.kit.events import PLENTY, age, clicked
from tests.kit.fields import (
    NEWCOMERS,
    SEED,
    ZH,
    Effect,
    Law,
    Off,
    check_effect,
    check_law,
    check_nothing_is_left_out,
    check_off,
    squared,
)

# What is drawn or computed


def posts_a_creator_and_day(world):
    days = world.days_after - first_day(world) + world.posts.window_days
    return posts_a_creator(world) / days


def live_posts(world):
    return posts_a_creator(world, posts_of(world).live(0, world.posts.window_days))


def newcomers_of(world):
    return people_of(world, NEWCOMERS)


def subtitled_on(day):
    """Which of the incumbents' posts of a day have subtitles; all newcomers came on day 0."""

    def quantity(world):
        table = posts_of(world)
        return subtitled(world, table, newcomers_of(world), SEED)[np.floor(table.published) == day]

    return quantity


def answered_on(day):
    """Which of the incumbents' posts of a day answer, if each post has had a click."""

    def quantity(world):
        table = posts_of(world)
        share = answering(world, newcomers_of(world), world.posts.posted_across)[day]
        one_each = 1 / np.maximum(np.bincount(table.creator), 1)[table.creator]
        rows = answers(table, day, share, one_each, SEED)
        return np.isin(np.flatnonzero(np.floor(table.published) == day), rows)

    return quantity


LAWS = {
    "posts.per_creator_day": Law((0.0, 0.15, 1.0), posts_a_creator_and_day),
    "posts.window_days": Law((1, 10, 40), live_posts, lambda days: 0.15 * days),
    "posts.quality_scale": Law((0.0, 0.5, 2.0), posts(lambda n: n.quality**2), squared()),
    "posts.subtitled": Law(
        (0.0, 0.10, 0.8),
        subtitled_on(9),
        lambda share: share * -math.expm1(-9 / 2),
        {"population.creators": 1.0},
    ),
    "posts.posted_across": Law(
        (0.0, 0.10, 0.8),
        answered_on(9),
        lambda share: share * -math.expm1(-9 / 2),
        {"population.creators": 1.0},
    ),
    "posts.adaptation_days": Law(
        (1.0, 2.0, 8.0),
        subtitled_on(3),
        lambda lag: -math.expm1(-3 / lag),
        {"population.creators": 1.0, "posts.subtitled": 1.0},
    ),
    "posts.adaptation_audience": Law(  # one newcomer for each incumbent
        (0.0023, 1.0, 4.0),
        subtitled_on(9),
        lambda enough: min(1 / enough, 1) * -math.expm1(-9 / 2),
        {"population.creators": 1.0, "posts.subtitled": 1.0},
    ),
}


@pytest.mark.parametrize("path", LAWS)
def test_a_quantity_is_what_the_formula_says(path):
    check_law(LAWS[path], path)


# What is run

newcomers_clicks_on_incumbents = clicked(
    lambda it, user, post: ~it.run.posts.influx[post], NEWCOMERS
)
quality_of_clicked = clicked(lambda it, user, post: it.run.posts.quality[post])


def newcomers_click_rate_on_chinese(it):
    chinese = it.run.posts.language[it.item] == ZH
    return (it.did("click", True) & chinese).sum() / (it.did("impression", True) & chinese).sum()


EFFECTS = {
    "posts.quality_scale": Effect((0.0, 2.0), quality_of_clicked),
    "posts.subtitled": Effect(
        (0.0, 1.0), newcomers_click_rate_on_chinese, {"posts.adaptation_days": 0.1, **PLENTY}
    ),
    "posts.posted_across": Effect(
        (0.0, 1.0), newcomers_clicks_on_incumbents, {"posts.adaptation_days": 0.1, **PLENTY}
    ),
    "posts.window_days": Effect((2, 40), age, {"platform.half_life_days": 1e9}),
}


@pytest.mark.parametrize("path", EFFECTS)
def test_a_world_answers_in_the_right_direction(path):
    check_effect(EFFECTS[path], path)


# What is off


OFF = {
    "posts.subtitled": Off(
        0.0, "posts.adaptation_days", (0.5, 9.0), {"posts.posted_across": 0.0, **PLENTY}, usual=1.0
    ),
    "posts.posted_across": Off(
        0.0, "posts.adaptation_days", (0.5, 9.0), {"posts.subtitled": 0.0, **PLENTY}, usual=1.0
    ),
}


@pytest.mark.parametrize("path", OFF)
def test_off_is_off(path):
    check_off(OFF[path], path)


# Nothing is left out

SIZES = {
    "posts.adaptation_audience",
    "posts.adaptation_days",
    "posts.window_days",
}
"""How many, how long, which: nothing that could be switched off."""


def test_nothing_is_left_out():
    check_nothing_is_left_out("posts", LAWS, EFFECTS, OFF, SIZES)
