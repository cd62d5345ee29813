"""What tests of the laws share."""

import pytest

from recsys.core.threads import single_threaded_blas
from recsys.study.arms import worlds as world_module
from tests.kit.closed_loop import alone

HELD = ("posts", "language_format", "utility")
"""Measures on which intervals are checked."""


@pytest.fixture
def held_measures(monkeypatch):
    """Arms take these measures alone, with one BLAS limit for all fits: the same figures sooner."""
    every = world_module.measures_of

    def some(provides, attributes):
        found = every(provides, attributes)
        return {name: found[name] for name in HELD}

    monkeypatch.setattr(world_module, "measures_of", some)
    with single_threaded_blas():
        yield HELD


@pytest.fixture(scope="session")
def control():
    """The twin of each recommender's world, made when asked for."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = alone(name, "control")
        return made[name]

    return of
