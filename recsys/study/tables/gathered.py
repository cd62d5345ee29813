"""Tables that are the rows of all cells, one below the other: nothing is estimated in them.

These are `per_user`, `timings`, `feeds` and `games`; and of a log `arrivals`, `exposed` and
`removals`.
"""

import polars as pl

from recsys.logs.newcomers import ARRIVALS
from recsys.logs.schema import COHORTS, SOURCES
from recsys.study.arms.by_exposure import EXPOSED
from recsys.study.arms.gated import RUNGS
from recsys.study.arms.result import REMOVALS
from recsys.study.tables.table import COMMON, Column, Columns, Rows, columns_of, common

_COHORT = {"cohort": Column(COHORTS, COMMON["cohort"].meaning)}
_NAMES = ("recommender", "mitigation", "arm")

PER_USER: Columns = {
    **common("recommender", "mitigation", "arm", "seed", "draw", "day"),
    **_COHORT,
    **common("user_id"),
}

TIMINGS: Columns = {
    **common("recommender", "mitigation", "seed", "arm", "day"),
    "fit_s": Column(pl.Float64, "seconds to fit"),
    "serve_s": Column(pl.Float64, "seconds to serve the measured users; 0 for a log"),
}

FEEDS: Columns = {
    **{name: Column(pl.Enum, COMMON[name].meaning) for name in _NAMES},
    **common("seed", "day"),
    **_COHORT,
    **common("user_id"),
    "rank": Column(pl.UInt16, "rank of the slot, 1 on top"),
    "item_id": Column(None, "the log's own id of the post in it"),
    "source": Column(SOURCES, "what filled the slot, such as `personal` or `trending`"),
}

GAMES: Columns = {
    **common("recommender", "mitigation", "arm"),
    "gates": Column(pl.Enum, "gates that are open"),
    **common("seed", "day", "user_id"),
    **{name: Column(pl.Float64, f"value of the measure `{name}`") for name in RUNGS},
}

ARRIVED: Columns = columns_of(
    ARRIVALS,
    {
        "from": "first day of the period",
        "days": "length of the period in days",
        "first_seen": "number of users who are first seen in it",
        "used": "whether it counts; false in the burn-in",
        "wave": "whether it is in the wave that was found",
    },
)

BY_EXPOSURE: Columns = columns_of(
    EXPOSED,
    {
        "outcome": "what may have changed",
        "check": "whether all windows end before anybody came",
        "window_days": "length of a window in days",
        "exposure_low": "mean exposure of the least exposed third",
        "exposure_high": "mean exposure of the most exposed third",
        "low": "mean change in the least exposed third",
        "high": "mean change in the most exposed third",
        "difference": "high - low",
        "n_low": "users compared of the least exposed third",
        "n_high": "users compared of the most exposed third",
        "lost_low": "users of the least exposed third who did too little in the last window",
        "lost_high": "users of the most exposed third who did too little in the last window",
    },
)

REMOVED: Columns = columns_of(
    REMOVALS,
    {
        "users": "newcomers that are removed",
        "items": "items of the model",
        "largest_difference": "largest difference of a weight to those of a new fit",
        "slots": "slots of the panel's feeds",
        "slots_that_differ": "slots that differ from the feeds of a new fit",
        "draws_by_removal": "whether the placebo groups are removed exactly, not by new fits",
    },
)


def timings(rows: Rows) -> pl.DataFrame:
    """The seconds that fits and serving took, of all cells.

    Args:
        rows: of a study.
    """
    return rows.timings.with_columns(pl.col("day").cast(pl.Int32))
