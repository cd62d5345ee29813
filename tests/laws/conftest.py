"""What tests of the laws share."""

import pytest

from recsys.arms import world as world_module
from recsys.threads import single_threaded_blas

HELD = ("notes", "language_format", "utility")
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
