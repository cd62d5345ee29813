"""A small synthetic platform that a test changes as it needs."""

from recsys.config import Influx, World

ARRIVALS = (0.14, 0.59, 0.20, 0.04, 0.03)


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
