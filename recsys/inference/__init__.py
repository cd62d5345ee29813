"""Estimates: intervals over users and seeds, and placebo groups for real logs."""

from recsys.inference.estimate import (
    MIN_SEEDS_FOR_CLAIMS,
    Interval,
    holm,
    minimum_detectable_effect,
    nested_interval,
    parts,
    seeds_needed,
    two_way_interval,
    users_interval,
)
from recsys.inference.removal import (
    Matching,
    draw_placebo,
    draw_totals,
    false_alarm_rate,
    match_newcomers,
    permutation_p,
    placebo_band,
    smallest_p,
    spread_ratio,
    widened,
)

__all__ = [
    "MIN_SEEDS_FOR_CLAIMS",
    "Interval",
    "Matching",
    "draw_placebo",
    "draw_totals",
    "false_alarm_rate",
    "holm",
    "match_newcomers",
    "minimum_detectable_effect",
    "nested_interval",
    "parts",
    "permutation_p",
    "placebo_band",
    "seeds_needed",
    "smallest_p",
    "spread_ratio",
    "two_way_interval",
    "users_interval",
    "widened",
]
