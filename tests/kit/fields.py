"""What tests of a world's config say of a field, and how that is checked.

A test module of fields has tables by a field's path. LAWS: a quantity that is drawn or computed is
what the formula says, at each of some values. EFFECTS: in a world that is run, a quantity rises, or
falls, from one value to the other. OFF: with a field at its off value, what acts through it alone
changes no bit. ELSEWHERE: the effect is the subject of another test. No field may be missing.
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recsys.config import Behaviour, Influx, Part, Platform, Population, Posts, World
from recsys.config.world import Slots
from recsys.logs.schema import KINDS
from recsys.world.arms import Arm
from recsys.world.people.posts import first_day
from recsys.world.run import Run

SEED = 0
SHORT, IMAGES = 0, 2
ZH, EN = 0, 1
NEWCOMERS = True
KIND = list(KINDS.categories)
NOTHING: Mapping[str, Any] = {}
MANY = World(
    incumbents=4000,
    influx=Influx(newcomers=4000, arrivals=(1.0,), reversal_day=None),
    days_before=2,
    days_after=14,
    burn_in_days=2,
    population=Population(creators=0.1, follows=8.0),
    posts=Posts(per_creator_day=0.15, posted_across=0.0),
    behaviour=Behaviour(taste=4.0, curiosity=1.0, unfamiliarity=0.1, familiar_visits=6.0),
    platform=Platform(formats=(0.30, 0.10, 0.60)),
)
"""For what is drawn; the laws reckon with these values."""
SMALL = World(
    incumbents=300,
    influx=Influx(newcomers=150, arrivals=(1.0,), posts_a_head=3.0, reversal_day=None),
    days_before=2,
    days_after=5,
    burn_in_days=2,
)
"""For what is run."""


def change(part, path, value):
    """A config with another value at a path; what a slot wins or loses, another source gives."""
    name, _, rest = path.partition(".")
    new = {name: change(getattr(part, name), rest, value) if rest else value}
    if isinstance(part, Slots):
        other = "fresh" if name == "personal" else "personal"
        new[other] = getattr(part, other) + getattr(part, name) - value
    return type(part).model_validate(dict(part) | new)


def changed(world, changes):
    """A config with other values at several paths."""
    for path, value in changes.items():
        world = change(world, path, value)
    return world


class Law(NamedTuple):
    """What a quantity is at each value: numbers are met exactly, samples in the mean."""

    values: tuple[Any, ...]
    quantity: Callable[[World], Any]
    expected: Callable[[Any], float] = lambda value: value
    given: Mapping[str, Any] = NOTHING


def check_law(law, path):
    """A quantity is what the formula says at each value.

    Numbers agree to single precision; means of samples within 5 of their standard errors.
    """
    for value in law.values:
        got = law.quantity(change(changed(MANY, law.given), path, value))
        expected = law.expected(value)
        error = 1e-5 * max(abs(expected), 1)
        if np.ndim(got):
            assert got.size > 300
            error += 5 * got.std() / math.sqrt(got.size)
        assert abs(np.mean(got) - expected) < error, value


def squared(exponent=2):
    return lambda value: value**exponent


class Lived(NamedTuple):
    """A platform after its last day, and the events of its log, a row each."""

    run: Run
    days: list[Any]
    day: np.ndarray
    user: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    rank: np.ndarray
    time: np.ndarray

    def did(self, kind, newcomers=None):
        """Bool (n,): which events are of a kind, by one cohort or by both."""
        wanted = self.kind == KIND.index(kind)
        theirs = self.user >= self.run.world.incumbents
        return wanted if newcomers is None else wanted & (theirs == newcomers)


@cache
def _lived(config, arm):
    world = World.model_validate_json(config)
    run = Run.start(world, SEED)
    days = [day for day in run.run_days(first_day(world), 0) if day.day >= -world.days_before]
    run = run.fork(Arm(arm))
    days += run.run_days(0, world.days_after)
    number = np.concatenate([np.full(day.user.size, day.day) for day in days])
    columns = ("user", "item", "kind", "rank", "timestamp")
    parts = [np.concatenate([getattr(day, name) for day in days]) for name in columns]
    return Lived(run, days, number, *parts)


def lived(world, arm="influx"):
    return _lived(world.model_dump_json(), arm)


class Effect(NamedTuple):
    """A quantity that rises, or falls, from one value to the other."""

    values: tuple[Any, Any]
    quantity: Callable[[Lived], float]
    given: Mapping[str, Any] = NOTHING
    rises: bool = True


def check_effect(effect, path):
    """The values are so far apart that the direction is the same whoever's luck it is."""
    low, high = (
        effect.quantity(lived(change(changed(SMALL, effect.given), path, value)))
        for value in effect.values
    )
    assert high > low if effect.rises else high < low


class Off(NamedTuple):
    """At the off value, two values of another field give the same world; at the usual one, two."""

    value: Any
    other: str
    values: tuple[Any, Any]
    given: Mapping[str, Any] = NOTHING
    usual: Any = None
    """Where the small world's own value is the off value."""


def same_events(one, other):
    columns = ("day", "user", "item", "kind", "rank", "time")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)


def check_off(off, path):
    """What acts through a field alone changes no bit where the field is at its off value."""
    given = changed(SMALL, off.given)
    usual = given if off.usual is None else change(given, path, off.usual)
    for world, same in ((change(given, path, off.value), True), (usual, False)):
        pair = [lived(change(world, off.other, value)) for value in off.values]
        assert same_events(*pair) == same


def fields_of(part, above=""):
    """Paths of all fields of a config and of its parts."""
    for name, field in part.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Part):
            yield from fields_of(kind, f"{above}{name}.")
        else:
            yield above + name


def of_part(part):
    """Paths of all fields of a part of a world's config; of "" those of no part."""
    return {
        path
        for path in fields_of(World)
        if (path.partition(".")[0] == part if part else "." not in path)
    }


def check_nothing_is_left_out(
    part, laws, effects, off, sizes, elsewhere=NOTHING, off_elsewhere=NOTHING
):
    """Each field of a part has a test of its effect, and can be switched off or is a size.

    Switched off: in OFF, elsewhere, or by a law that gives 0 at one of its values.
    """
    everything = of_part(part)
    assert {*laws, *effects, *elsewhere} == everything
    vanishing = {path for path, law in laws.items() if 0 in map(law.expected, law.values)}
    assert sizes | {*off, *off_elsewhere, *vanishing} == everything
    assert not sizes & {*off, *off_elsewhere, *vanishing}
    for test in {*elsewhere.values(), *off_elsewhere.values()}:
        file, name = test.split("::")
        text = (Path(__file__).parents[2] / file).read_text()
        assert re.search(rf"^def {name}\(", text, re.MULTILINE), test
