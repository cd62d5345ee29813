"""Every field of a world that is no part of it does what it says; every part has such tests."""

import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from recsys.config import World
from recsys.world.people.posts import first_day
from tests.kit.drawn import people_of
from tests.kit.fields import (
    SMALL,
    Law,
    Off,
    change,
    changed,
    check_law,
    check_nothing_is_left_out,
    check_off,
    fields_of,
    lived,
    same_events,
)

LAWS = {
    "incumbents": Law((5, 50), lambda world: people_of(world).n),
    "burn_in_days": Law((1, 5), lambda world: -first_day(world) - world.days_before),
}
OFF = {
    "ticks": Off(1, "home_tick", (0.1, 0.9)),
}


@pytest.mark.parametrize("path", LAWS)
def test_a_quantity_is_what_the_formula_says(path):
    check_law(LAWS[path], path)


@pytest.mark.parametrize("path", OFF)
def test_off_is_off(path):
    check_off(OFF[path], path)


@pytest.mark.parametrize("path", ["platform.kind", "influx.kind"])
def test_a_kind_is_a_label(path):
    """What a preset says has become values by the time there is a world."""
    assert same_events(lived(SMALL), lived(change(SMALL, path, "another")))


def test_the_calendar():
    dates = {"days_before": 3, "days_after": 4, "start": date(2030, 1, 5)}
    it = lived(changed(SMALL, dates))
    assert [day.day for day in it.days] == list(range(-3, 4))
    first, last = it.time[[0, -1]].astype("datetime64[ms]").astype("datetime64[D]")
    assert (first, last) == (np.datetime64("2030-01-02"), np.datetime64("2030-01-08"))


# Nothing is left out

HERE = "tests/world/test_fields.py"
USERS = "tests/world/people/test_user_states.py"
PEOPLE = "tests/world/people/test_population.py"
ELSEWHERE = {
    "days_before": f"{HERE}::test_the_calendar",
    "days_after": f"{HERE}::test_the_calendar",
    "start": f"{HERE}::test_the_calendar",
    "ticks": f"{USERS}::test_people_come_in_their_own_part_of_the_day",
    "home_tick": f"{USERS}::test_people_come_in_their_own_part_of_the_day",
    "population_seed": f"{PEOPLE}::test_another_population_seed_draws_other_people",
}
SIZES = {
    "burn_in_days",
    "days_after",
    "days_before",
    "home_tick",
    "incumbents",
    "population_seed",
    "start",
}
"""How many, how long, which: nothing that could be switched off."""


def test_nothing_is_left_out():
    check_nothing_is_left_out("", LAWS, {}, OFF, SIZES, elsewhere=ELSEWHERE)


def test_every_part_has_tests_of_its_fields():
    """tests/world/*/test_*_fields.py: one of each part of a world's config."""
    parts = {path.partition(".")[0] for path in fields_of(World) if "." in path}
    here = "\n".join(path.read_text() for path in Path(__file__).parent.glob("*/test_*_fields.py"))
    named = re.findall(r'check_nothing_is_left_out\(\s*"(\w+)"', here)
    assert sorted(named) == sorted(parts)
