"""A small world, run once for all tests that only look at it."""

import numpy as np
import pytest

from recsys.config import Influx, World
from recsys.world.arms import Audience
from recsys.world.simulate import simulate_arms

ARRIVALS = (0.14, 0.59, 0.20, 0.04, 0.03)
AUDIENCE = Audience(np.arange(50), (1, 2, 3), 10)


def small_world(**changes):
    """400 incumbents, 120 newcomers, 4 + 4 days."""
    influx = changes.pop("influx", {})
    return World(
        **{
            "incumbents": 400,
            "days_before": 4,
            "days_after": 4,
            "influx": Influx(**{"newcomers": 120, "arrivals": ARRIVALS, **influx}),
            **changes,
        }
    )


@pytest.fixture(scope="session")
def world():
    return small_world()


@pytest.fixture(scope="session")
def arms(world):
    return simulate_arms(world, ("control", "influx", "placebo"), seed=3, audience=AUDIENCE)
