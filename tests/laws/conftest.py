"""What tests of the laws share."""

import pytest

from recsys.core.threads import single_threaded_blas
from recsys.study.arms import worlds as world_module

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
