"""Named platforms and influxes. A preset is data: a new one is one entry here."""

from typing import Any

__all__ = ["INFLUXES", "PLATFORMS"]

PLATFORMS: dict[str, dict[str, Any]] = {
    # Double column, interest and community, small creators; a note's half-life is two days.
    "rednote": {},
}

INFLUXES: dict[str, dict[str, Any]] = {
    # Registration days of 676 US authors, 12 to 16 January 2025; ban put on hold on day 8.
    "rednote_2025": {"arrivals": [0.14, 0.59, 0.20, 0.04, 0.03], "reversal_day": 8},
}
