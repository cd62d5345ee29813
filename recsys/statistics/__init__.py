"""From arrays to estimates.

`intervals` of means over users and seeds; `power` of a study and the seeds that it needs;
p-values of `multiple` measures; `matching` of placebo groups for a real log and what such `placebo`
groups tell; `ratios`, which take a floor out of a share and divide means; `resample` for quantities
without a formula; `shapley` values of channels; `arrivals`, which finds a wave of newcomers in
counts; `by_exposure`, a difference in differences.
"""

from recsys.statistics.intervals import (
    MIN_SEEDS_FOR_CLAIMS,
    Interval,
    nested_interval,
    parts,
    share_interval,
    two_way_interval,
    users_interval,
)
from recsys.statistics.matching import (
    Matching,
    draw_placebo,
    draw_totals,
    match_newcomers,
)
from recsys.statistics.multiple import holm, westfall_young
from recsys.statistics.placebo import (
    band_level,
    false_alarm_rate,
    permutation_p,
    placebo_band,
    smallest_p,
    spread_ratio,
    widened,
)
from recsys.statistics.power import minimum_detectable_effect, planning_interval, seeds_needed
from recsys.statistics.ratios import Ratio, net_values, ratio_interval
from recsys.statistics.resample import resampled_means
from recsys.statistics.shapley import Shares, pairs_of, shapley

__all__ = [
    "MIN_SEEDS_FOR_CLAIMS",
    "Interval",
    "Matching",
    "Ratio",
    "Shares",
    "band_level",
    "draw_placebo",
    "draw_totals",
    "false_alarm_rate",
    "holm",
    "match_newcomers",
    "minimum_detectable_effect",
    "nested_interval",
    "net_values",
    "pairs_of",
    "parts",
    "permutation_p",
    "placebo_band",
    "planning_interval",
    "ratio_interval",
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
