"""Named platforms and influxes. A preset holds values of fields; a new one is one entry here."""

from typing import Any

PLATFORMS: dict[str, dict[str, Any]] = {
    # The defaults: double column, interest and community, small creators; half-life two days.
    "rednote": {},
    # Single column, trend-driven, short video; a video's half-life is 20 hours.
    "tiktok": {
        "columns": 1,
        "examination": 0.0,  # a video plays by itself, so each one reached is looked at
        "click_rate": 0.49,
        "slots": {"personal": 0.60, "following": 0.05, "trending": 0.30, "fresh": 0.05},
        "half_life_days": 20 / 24,
        "trending_half_life_days": 0.5,
        "drive": {"interest": 0.8, "trend": 2.0, "similarity": 1.0},
        "formats": [0.85, 0.10, 0.05],
    },
    # Item-to-item and evergreen: a pin's half-life is three and a half months.
    "pinterest": {
        "columns": 4,
        "slots": {"personal": 0.85, "following": 0.05, "trending": 0.02, "fresh": 0.08},
        "half_life_days": 105.0,
        "drive": {"interest": 1.0, "trend": 0.25, "similarity": 1.5},
        "formats": [0.05, 0.0, 0.95],
    },
}

_REDNOTE_2025: dict[str, Any] = {
    "from": "tiktok",
    # Registration days of 676 US authors, 12 to 16 January 2025; the ban is put on hold on day 8.
    "arrivals": [0.14, 0.59, 0.20, 0.04, 0.03],
    "reversal_day": 8,
}

INFLUXES: dict[str, dict[str, Any]] = {
    "rednote_2025": _REDNOTE_2025,
    # The same people arrive at other times, and there is no reversal.
    "step": {**_REDNOTE_2025, "arrivals": [1.0], "reversal_day": None},
    "trickle": {**_REDNOTE_2025, "arrivals": [1.0] * 60, "reversal_day": None},
    "wave": {
        **_REDNOTE_2025,
        "arrivals": [0.25, 0.08, 0.0, 0.0, 0.0, 0.0, 0.0] * 3 + [0.01],
        "reversal_day": None,
    },
}
