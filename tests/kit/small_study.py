"""A small study of a world, with groups."""

GROUPS = ["skill", "main_topic", "posts"]
CONFIG = {
    "name": "small",
    "world": {
        "incumbents": 250,
        "days_before": 4,
        "days_after": 4,
        "influx": {"kind": "rednote_2025", "newcomers": 80},
    },
    "recommenders": ["trending", {"kind": "als", "factors": 4, "iterations": 3}],
    "evaluation": {"days": [1, 3], "k": 8, "panel": 60, "nudges": 2, "groups": GROUPS},
    "seeds": 2,
}
