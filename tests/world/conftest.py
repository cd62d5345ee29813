"""A small world, run once for all tests that only look at it."""

import numpy as np
import pytest

from recsys.world.arms import Audience
from recsys.world.simulate import simulate_arms
from tests.kit.small_world import small_world

AUDIENCE = Audience(np.arange(50), (1, 2, 3), 10)


@pytest.fixture(scope="session")
def world():
    return small_world()


@pytest.fixture(scope="session")
def arms(world):
    return simulate_arms(world, ("control", "influx", "placebo"), seed=3, audience=AUDIENCE)
