"""Do the feeds come back? Days from the reversal until drift is small again.

Two events, by mean curves over users and seeds: total drift is *inside*, that is no larger than
the placebo's that day but for a margin; and it is at most *half* of the largest total drift of all
days. A curve of few seeds dips below any bar by luck, and the first of many days would be told too
early; so a day counts if the next measured day is below the bar too. Curves are not means over
users of anything, so intervals come from resampling users and seeds, both
(`recsys.statistics.resampled_means`).
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.statistics import MIN_SEEDS_FOR_CLAIMS, resampled_means, two_way_interval
from recsys.study.tables.cubes import Cube
from recsys.study.tables.drift import SATURATED, drifts_by_arm
from recsys.study.tables.table import Column, Columns, Rows, common, schema_of

Curves = NDArray[np.float64]

RECOVERING = ("posts", "language_format", "topic")
"""The measures whose recovery is told: a drift that an influx makes larger."""
EVENTS = ("inside", "half")
NEAR_SHARE, NEAR = 0.1, 0.005
"""How far above the placebo's total drift is still as small as the placebo's: a tenth of it, which
is little beside what an influx leaves, and half a point, half of what `PRIMARY` measures count as a
change that matters. Neither depends on how many seeds or users there are: a bar at the end of an
interval is the lower, the more seeds there are, so that fewer make it easier to come back."""
_NEVER = np.inf
COLUMNS: Columns = {
    **common("recommender", "mitigation", "measure"),
    "event": Column(
        pl.String,
        "`inside`: total drift is as small as the placebo's; `half`: at most half of its peak",
    ),
    "days": Column(
        pl.Float64, "days from the reversal to the event; empty if it does not come in time"
    ),
    "ci_low": Column(pl.Float64, "lower end of its 95 % interval; empty with few seeds"),
    "ci_high": Column(pl.Float64, "upper end of it"),
    "reached": Column(pl.Float64, "share of resamples in which the event comes"),
    "last_day": Column(pl.Int32, "last measured day, counted from the reversal"),
    "peak": Column(pl.Float64, "largest total drift"),
    "peak_day": Column(pl.Int32, "day of the peak"),
    "outside": Column(
        pl.Boolean, "total drift was larger than the placebo's on some day, over all days at once"
    ),
    "saturated": Column(pl.Boolean, "on some day placebo or retrain drift left no room"),
    **common("n_users", "n_seeds"),
}


def recovery(per_user: pl.DataFrame, arms: tuple[str, ...], reversal: int) -> pl.DataFrame:
    """Days from the reversal until each event, on the days that were measured.

    Args:
        per_user: as in `StudyResult.per_user`, of a world with influx, placebo and retrain.
        arms: the study's arms.
        reversal: day on which newcomers begin to leave.

    Returns:
        The columns of `COLUMNS`. `days`, `ci_low` and `ci_high` are null where the event did not
        come before the last day, which no other day confirms; with fewer than
        `MIN_SEEDS_FOR_CLAIMS` seeds `ci_low`, `ci_high` and `reached` are null too. No row without
        a measured day from the reversal on.
    """
    rows: list[dict[str, Any]] = []
    for keys, measure, by_arm in drifts_by_arm(per_user, arms):
        if measure in RECOVERING and {"influx", "placebo", "retrain"} <= by_arm.keys():
            rows += [{**keys, "measure": measure, **row} for row in _events(by_arm, reversal)]
    return pl.DataFrame(rows, schema=schema_of(COLUMNS))


def recovery_of(rows: Rows) -> pl.DataFrame:
    """`recovery` of a study of a world with a reversal."""
    reversal = rows.study.world.influx.reversal_day
    assert reversal is not None
    return recovery(rows.per_user, rows.study.arms, reversal)


def _events(by_arm: dict[str, Cube], reversal: int) -> list[dict[str, Any]]:
    some = by_arm["influx"]
    dated = np.array([day is not None for day in some.days])
    days = np.array([day for day in some.days if day is not None])
    influx, placebo, retrain = (
        by_arm[arm].values[dated] for arm in ("influx", "placebo", "retrain")
    )
    total, volume = influx - retrain, placebo - retrain
    known = ~np.isnan(total + volume).any(axis=(0, 2))
    total, volume = total[:, known], volume[:, known]
    if not (days >= reversal).any() or not known.any():
        return []
    mean, sham = total.mean(axis=(1, 2)), volume.mean(axis=(1, 2))
    several = total.shape[2] >= MIN_SEEDS_FOR_CLAIMS
    again = (resampled_means(total), resampled_means(volume)) if several else None
    full = np.maximum(placebo.mean(axis=(1, 2)), retrain.mean(axis=(1, 2))) >= SATURATED
    shared = {
        "last_day": int(days[-1]) - reversal,
        "peak": float(mean.max()),
        "peak_day": int(days[mean.argmax()]),
        "outside": bool((two_way_interval(total - volume, 1 - 0.05 / days.size).low > 0).any()),
        "saturated": bool(full.any()),
        "n_users": total.shape[1],
        "n_seeds": total.shape[2],
    }
    rows = []
    for event in EVENTS:
        (found,) = _first(event, days, reversal, mean[None], sham[None])
        drawn = None if again is None else _first(event, days, reversal, *again)
        rows.append({"event": event, "days": _told(found), **_ends(drawn), **shared})
    return rows


def _first(
    event: str, days: NDArray[np.int64], reversal: int, total: Curves, sham: Curves
) -> Curves:
    """Days from the reversal to an event, (n,), infinite where it does not come.

    Args:
        event: which.
        days: (d,).
        reversal: a day.
        total, sham: (n, d) curves of the influx and the placebo, both less the retrain's.
    """
    if event == "inside":
        below = total <= sham + NEAR_SHARE * np.abs(sham) + NEAR
    else:
        peak = total.max(axis=1, keepdims=True)
        past = days >= days[total.argmax(axis=1)][:, None]
        below = past & (total <= np.maximum(peak, 0) / 2)
    come = (days >= reversal) & below
    come[:, :-1] &= below[:, 1:]
    come[:, -1] = False
    first = days[come.argmax(axis=1)] - reversal
    return np.where(come.any(axis=1), first, _NEVER)


def _ends(drawn: Curves | None) -> dict[str, float | None]:
    if drawn is None:
        return {"ci_low": None, "ci_high": None, "reached": None}
    low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    return {
        "ci_low": _told(low),
        "ci_high": _told(high),
        "reached": float(np.isfinite(drawn).mean()),
    }


def _told(days: float) -> float | None:
    return float(days) if np.isfinite(days) else None
