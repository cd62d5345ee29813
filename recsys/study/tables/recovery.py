"""The table `recovery`: days from the reversal until drift is small again.

There are two events. Drift is *inside* when total drift is no larger than the placebo's total drift
of that day plus a margin. It is at *half* when total drift is at most half of its largest value of
all days. Both are read from curves of means over users and seeds. With few seeds a curve may dip
below the bar by luck on one of many days, so a day counts only if the curve is below the bar on the
next measured day, too. The day of an event is not a mean over users. So its interval comes from
resampling users and seeds (`recsys.statistics.resampled_means`).
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
"""The measures whose recovery is measured: drifts that an influx makes larger."""
EVENTS = ("inside", "half")
NEAR_SHARE, NEAR = 0.1, 0.005
"""The margin of *inside* is a tenth of the placebo's drift, plus a drift of .005. A tenth is little
compared with the drift that an influx leaves. A drift of .005 is half of a change that matters.

The margin does not depend on the number of seeds or users. If the bar were the end of an interval,
it would be lower with more seeds, and a study with fewer seeds would find the event earlier."""
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
        pl.Boolean,
        "total drift was larger than the placebo's on some day, allowing for their number",
    ),
    "saturated": Column(
        pl.Boolean, "on some day the placebo's drift or training noise was .8 or more"
    ),
    **common("n_users", "n_seeds"),
}


def recovery(per_user: pl.DataFrame, arms: tuple[str, ...], reversal: int) -> pl.DataFrame:
    """Days from the reversal until each event, on the days that were measured.

    Args:
        per_user: as in `StudyResult.per_user`, of a world with the arms influx, placebo and
            retrain.
        arms: arms of the study.
        reversal: day on which newcomers begin to leave, such as 8.

    Returns:
        The columns of `COLUMNS`. `days`, `ci_low` and `ci_high` are null where the event does not
        come before the last day. An event on the last day itself does not count, since no later day
        can confirm it. With fewer than `MIN_SEEDS_FOR_CLAIMS` seeds `ci_low`, `ci_high` and
        `reached` are null, too. There is no row if no day from the reversal on was measured.
    """
    rows: list[dict[str, Any]] = []
    for keys, measure, by_arm in drifts_by_arm(per_user, arms):
        if measure in RECOVERING and {"influx", "placebo", "retrain"} <= by_arm.keys():
            rows += [{**keys, "measure": measure, **row} for row in _events(by_arm, reversal)]
    return pl.DataFrame(rows, schema=schema_of(COLUMNS))


def recovery_of(rows: Rows) -> pl.DataFrame:
    """The table of a study of a world with a reversal.

    Args:
        rows: of the study.
    """
    reversal = rows.study.world.influx.reversal_day
    assert reversal is not None
    return recovery(rows.per_user, rows.study.arms, reversal)


def _events(by_arm: dict[str, Cube], reversal: int) -> list[dict[str, Any]]:
    """A row for each event of one measure."""
    headline_first = by_arm["influx"].days
    dated = np.array([day is not None for day in headline_first])
    days = np.array([day for day in headline_first if day is not None])
    influx, placebo, retrain = (
        by_arm[arm].values[dated] for arm in ("influx", "placebo", "retrain")
    )
    total, volume = influx - retrain, placebo - retrain
    complete = ~np.isnan(total + volume).any(axis=(0, 2))
    total, volume = total[:, complete], volume[:, complete]
    if not (days >= reversal).any() or not complete.any():
        return []
    mean_total, mean_volume = total.mean(axis=(1, 2)), volume.mean(axis=(1, 2))
    enough_seeds = total.shape[2] >= MIN_SEEDS_FOR_CLAIMS
    resampled = (resampled_means(total), resampled_means(volume)) if enough_seeds else None
    saturated = np.maximum(placebo.mean(axis=(1, 2)), retrain.mean(axis=(1, 2))) >= SATURATED
    shared = {
        "last_day": int(days[-1]) - reversal,
        "peak": float(mean_total.max()),
        "peak_day": int(days[mean_total.argmax()]),
        "outside": bool((two_way_interval(total - volume, 1 - 0.05 / days.size).low > 0).any()),
        "saturated": bool(saturated.any()),
        "n_users": total.shape[1],
        "n_seeds": total.shape[2],
    }
    rows = []
    for event in EVENTS:
        (first,) = _first(event, days, reversal, mean_total[None], mean_volume[None])
        drawn = None if resampled is None else _first(event, days, reversal, *resampled)
        rows.append({"event": event, "days": _finite(first), **_ends(drawn), **shared})
    return rows


def _first(
    event: str, days: NDArray[np.int64], reversal: int, total: Curves, volume: Curves
) -> Curves:
    """Float64 (n,): days from the reversal to an event in n curves; infinite if it does not come.

    Args:
        event: one of `EVENTS`.
        days: int64 (d,), the measured days.
        reversal: day of the reversal.
        total: float64 (n, d), total drift: influx less retrain.
        volume: float64 (n, d), the placebo's total drift: placebo less retrain.
    """
    if event == "inside":
        below = total <= volume + NEAR_SHARE * np.abs(volume) + NEAR
    else:
        peak = total.max(axis=1, keepdims=True)
        past = days >= days[total.argmax(axis=1)][:, None]
        below = past & (total <= np.maximum(peak, 0) / 2)
    confirmed = (days >= reversal) & below
    confirmed[:, :-1] &= below[:, 1:]
    confirmed[:, -1] = False
    first = days[confirmed.argmax(axis=1)] - reversal
    return np.where(confirmed.any(axis=1), first, _NEVER)


def _ends(drawn: Curves | None) -> dict[str, float | None]:
    """Ends of the interval, and share of resamples with the event, from the days of resamples."""
    if drawn is None:
        return {"ci_low": None, "ci_high": None, "reached": None}
    low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    return {
        "ci_low": _finite(low),
        "ci_high": _finite(high),
        "reached": float(np.isfinite(drawn).mean()),
    }


def _finite(days: float) -> float | None:
    """The days, or None for an event that does not come."""
    return float(days) if np.isfinite(days) else None
