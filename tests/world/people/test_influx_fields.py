"""Every field of `influx` does what it says, and what is switched off is off."""

import numpy as np
import pytest

from recsys.world.people.influx import NEVER, draw_schedule, posts_by_day
from recsys.world.people.population import NEWCOMER_ADDRESS
from tests.kit.events import HASTY, STRANGERS
from tests.kit.fields import (
    SEED,
    Effect,
    Law,
    Off,
    check_effect,
    check_law,
    check_nothing_is_left_out,
    check_off,
)

# What is drawn or computed

ADDRESS = NEWCOMER_ADDRESS + np.arange(20_000, dtype=np.uint32)


def leaves_on(day):
    return lambda world: draw_schedule(world, ADDRESS).departure == day


def posts_by_all(world):
    return posts_by_day(world, ADDRESS, draw_schedule(world, ADDRESS), SEED)


def posts_on(day):
    return lambda world: posts_by_all(world)[:, day]


LAWS = {
    "influx.posts_a_head": Law(
        (0.0, 0.16, 1.0), lambda w: posts_by_all(w).sum(axis=1), given={"influx.reversal_day": None}
    ),
    "influx.first_day_posts": Law(
        (1, 3, 9), lambda w: posts_on(0)(w) / w.influx.posters, lambda most: (1 + most) / 2
    ),
    "influx.posting_hazard": Law(
        (0.4, 0.5, 1.0), lambda w: posts_on(1)(w) / w.influx.posters, lambda hazard: 1 - hazard
    ),
    "influx.straddlers": Law(
        (0.0, 0.5, 1.0), lambda w: 1 - draw_schedule(w, ADDRESS).presence, lambda share: share / 2
    ),
    "influx.reversal_day": Law(
        (None, 3, 8),
        lambda w: int(draw_schedule(w, ADDRESS).departure.min()),
        lambda day: NEVER if day is None else day,
    ),
    "influx.reversal_hazard": Law(
        (0.0, 0.777, 1.0),
        leaves_on(8),
        given={"influx.reversal_day": 8, "influx.straddlers": 0.0},
    ),
    "influx.leaving_hazard": Law(
        (0.0, 0.071, 1.0),
        leaves_on(9),
        given={"influx.reversal_day": 8, "influx.reversal_hazard": 0.0},
    ),
}


@pytest.mark.parametrize("path", LAWS)
def test_a_quantity_is_what_the_formula_says(path):
    check_law(LAWS[path], path)


# What is run


def newcomers_there(it):
    """Newcomers who came, a day after their first."""
    return np.mean([day.traffic.people[1] for day in it.days if day.day > 0])


EFFECTS = {
    "influx.straddlers": Effect((0.0, 1.0), newcomers_there, rises=False),
}


@pytest.mark.parametrize("path", EFFECTS)
def test_a_world_answers_in_the_right_direction(path):
    check_effect(EFFECTS[path], path)


# What is off


OFF = {
    "influx.newcomers": Off(0, "influx.posts_a_head", (0.0, 1.0)),
    "influx.origin": Off(
        None, "behaviour.unfamiliarity", (0.0, 0.5), HASTY, usual=STRANGERS["influx.origin"]
    ),
    "influx.posts_a_head": Off(0.0, "influx.first_day_posts", (3, 9)),
    "influx.reversal_day": Off(None, "influx.reversal_hazard", (0.0, 1.0), usual=2),
}


@pytest.mark.parametrize("path", OFF)
def test_off_is_off(path):
    check_off(OFF[path], path)


# Nothing is left out

HERE = "tests/world/test_fields.py"
PLATFORMS = "tests/world/test_platforms.py"
PEOPLE = "tests/world/people/test_population.py"
ELSEWHERE = {
    "influx.kind": f"{HERE}::test_a_kind_is_a_label",
    "influx.newcomers": f"{PLATFORMS}::test_influxes_of_all_sizes_run",
    "influx.origin": f"{PEOPLE}::test_newcomers_like_the_formats_of_the_platform_that_formed_them",
    "influx.arrivals": "tests/world/people/test_influx.py::test_arrivals_follow_the_curve",
}
SIZES = {
    "influx.arrivals",
    "influx.first_day_posts",
    "influx.kind",
}
"""How many, how long, which: nothing that could be switched off."""


def test_nothing_is_left_out():
    check_nothing_is_left_out("influx", LAWS, EFFECTS, OFF, SIZES, elsewhere=ELSEWHERE)
