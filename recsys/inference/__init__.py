"""Estimates: intervals over users and seeds, channels, and placebo groups for real logs."""

from recsys.inference.channels import Shares, pairs_of, shapley
from recsys.inference.estimate import (
    MIN_SEEDS_FOR_CLAIMS,
    Interval,
    holm,
    minimum_detectable_effect,
    nested_interval,
    parts,
    planning_interval,
    seeds_needed,
    share_interval,
    two_way_interval,
    users_interval,
)
from recsys.inference.removal import (
    Matching,
    band_level,
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
from recsys.inference.resample import resampled_means
from recsys.inference.westfall import westfall_young

__all__ = [
    "MIN_SEEDS_FOR_CLAIMS",
    "Interval",
    "Matching",
    "Shares",
    "band_level",
    "draw_placebo",
    "draw_totals",
    "false_alarm_rate",
    "holm",
    "match_newcomers",
    "minimum_detectable_effect",
    "nested_interval",
    "pairs_of",
    "parts",
    "permutation_p",
    "placebo_band",
    "planning_interval",
    "resampled_means",
    "seeds_needed",
    "shapley",
    "share_interval",
    "smallest_p",
    "spread_ratio",
    "two_way_interval",
    "users_interval",
    "westfall_young",
    "widened",
]
