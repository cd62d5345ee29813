"""The table `drift`: how far incumbents' feeds drift, as total = volume + composition.

In a world, the figures are means over users and seeds, and their intervals are over both. In a log,
the newcomers' removal is compared with the removal of placebo groups. A row without a day is the
headline, over all days.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.rows import is_level
from recsys.statistics import (
    Interval,
    holm,
    parts,
    permutation_p,
    placebo_band,
    two_way_interval,
    westfall_young,
    widened,
)
from recsys.study.tables.cubes import (
    Cube,
    cubes_of,
    frame_of,
    groups_by,
    incumbents_in,
    measure_columns,
)
from recsys.study.tables.table import Column, Columns, common

SATURATED = 0.8
"""If the placebo's drift or training noise is this large, a measure has no room for more drift."""

PRIMARY = ("posts", "language_format", "utility")
"""The primary measures of a world: drift of posts, drift of the mix, and harm. Their p-values are
not adjusted; those of other measures are. `primaries_of_log` gives the primaries of a log."""

_PARTS = {
    "total": "influx - retrain, in a log influx: all that the newcomers change",
    "volume": "placebo - retrain, in a log placebo: what as many more incumbents would change",
    "composition": "influx - placebo: what changes because of who the newcomers are",
}
_EDGES = {"": "", "_ci_low": "lower end of the interval of `{}`", "_ci_high": "upper end of it"}

COLUMNS: Columns = {
    **common("recommender", "mitigation", "day", "measure"),
    "influx": Column(
        pl.Float64,
        "drift of the arm `influx` from `control`; in a log, from `full`",
    ),
    "placebo": Column(
        pl.Float64, "the same of the arm `placebo`; in a log, the mean of its placebo groups"
    ),
    "retrain": Column(pl.Float64, "drift that another training seed alone causes: training noise"),
    **{
        f"{part}{edge}": Column(pl.Float64, words.format(part) or meaning)
        for part, meaning in _PARTS.items()
        for edge, words in _EDGES.items()
    },
    "composition_band_low": Column(
        pl.Float64, "lower end of a band that holds `composition` of all days at once, with 95 %"
    ),
    "composition_band_high": Column(pl.Float64, "upper end of it"),
    "p_value": Column(pl.Float64, "p-value of `composition`, not adjusted"),
    "p_adjusted": Column(
        pl.Float64,
        "over all days: of a primary measure `p_value`, in a log adjusted for the number of "
        "recommenders; of others, adjusted for the number of measures",
    ),
    "saturated": Column(
        pl.Boolean, "the placebo's drift or training noise is .8 or more: no room is left"
    ),
    **common("n_users", "n_seeds"),
}
"""Columns of the table. P-values are adjusted by Holm's method in a world, and by Westfall and
Young's in a log."""

_Adjust = Callable[[list[dict[str, Any]]], NDArray[np.float64]]
"""Takes a recommender's headline rows of several measures; gives their adjusted p-values."""


def primaries_of_log(attributes: Iterable[str]) -> tuple[str, ...]:
    """The primary measures of a log: drift of posts, drift of the first mix, and quality.

    Args:
        attributes: names under `log.attributes`, in their order.

    Returns:
        Names of measures. A log has the last, `ndcg`, only if clicks are held out.

    Example:
        >>> primaries_of_log(["format", "topic"]), primaries_of_log([])
        (('posts', 'format', 'ndcg'), ('posts', 'ndcg'))
    """
    return ("posts", *list(attributes)[:1], "ndcg")


def drift_of_world(per_user: pl.DataFrame, arms: tuple[str, ...]) -> pl.DataFrame:
    """Drift of incumbents in a world, by recommender, day and measure.

    The drift of a level, such as utility, is its difference to the control arm. A recommender that
    a training seed does not change has no retrain arm; its training noise is exactly 0.

    Args:
        per_user: as in `StudyResult.per_user`.
        arms: arms of the study. A part of drift is null if it needs an arm that is not there.

    Returns:
        The columns of `COLUMNS`.
    """
    rows: list[dict[str, Any]] = []
    for keys, measure, by_arm in drifts_by_arm(per_user, arms):
        if not by_arm:
            continue
        days = next(iter(by_arm.values())).days
        rows += [
            {**keys, "day": day, "measure": measure, **row}
            for day, row in zip(days, _world_rows(by_arm, days), strict=True)
            if row["n_users"]
        ]
    return _drift_frame(rows, PRIMARY, _by_holm)


def drifts_by_arm(
    per_user: pl.DataFrame, arms: tuple[str, ...]
) -> Iterator[tuple[dict[str, str], str, dict[str, Cube]]]:
    """Each incumbent's drift from control in every arm of a world.

    Args:
        per_user, arms: see `drift_of_world`.

    Yields:
        The values of the columns recommender and mitigation, the name of the measure, and the drift
        by arm.
    """
    for keys, group in groups_by(incumbents_in(per_user), ("recommender", "mitigation")):
        cubes = {arm["arm"]: cubes_of(part) for arm, part in groups_by(group, ("arm",))}
        if "retrain" in arms and "retrain" not in cubes:
            cubes["retrain"] = cubes["control"]
        for measure in measure_columns(group):
            yield keys, measure, _against_control(measure, cubes)


def drift_of_log(
    per_user: pl.DataFrame,
    crowding: float,
    primary: Iterable[str] = ("posts", "ndcg"),
    *,
    same_seed: bool = False,
) -> pl.DataFrame:
    """Drift of a log's panel: the newcomers' removal compared with that of placebo groups.

    The placebo groups' drift has a band that holds 95 % of them, or fewer if there are fewer than
    39 groups (`recsys.statistics.band_level`). The interval of `composition` is the newcomers'
    drift less the ends of this band. The p-value is the share of groups whose removal causes at
    least as much drift as the newcomers' removal; the newcomers count as one of the groups.

    Args:
        per_user: as in `StudyResult.per_user`; `draw` is the number of the placebo group.
        crowding: share of the pool that a placebo group takes, such as 0.2. Groups from one pool
            overlap, so they vary too little; `recsys.statistics.widened` corrects this.
        primary: measures, such as `primaries_of_log` gives, whose p-values are adjusted for the
            number of recommenders and mitigations, and not for that of measures.
        same_seed: whether all arms but `retrain` were trained with one seed. Then no training noise
            is in the newcomers' drift or the placebos', and none is taken off.

    Returns:
        The columns of `COLUMNS`, a row for each recommender, mitigation and measure.
    """
    rows = []
    for keys, group in groups_by(per_user, ("recommender", "mitigation")):
        arms = {tuple(at.values()): part for at, part in groups_by(group, ("arm", "draw"))}
        rows += [
            {**keys, "day": None, "measure": measure, **log_row(arms, measure, crowding, same_seed)}
            for measure in measure_columns(group)
        ]
    return _drift_frame(rows, tuple(primary), adjusted_in_log, across=True)


def _world_rows(by_arm: Mapping[str, Cube], days: Sequence[int | None]) -> list[dict[str, Any]]:
    """Estimates of one measure on each day.

    All columns of a day rest on the same users: those who have a value in every arm and seed.

    Args:
        by_arm: drift by arm.
        days: the days of the drift; None is the headline.
    """
    y = {arm: cube.values for arm, cube in by_arm.items()}  # (days, users, seeds)
    complete = ~np.any([np.isnan(values).any(axis=2) for values in y.values()], axis=0)
    y = {arm: np.where(complete[:, :, None], values, np.nan) for arm, values in y.items()}
    nothing = np.full_like(y["influx"], np.nan)
    arms = {arm: y.get(arm, nothing) for arm in ("influx", "placebo", "retrain")}
    means = {
        arm: [_mean(values[place][complete[place]]) for place in range(len(values))]
        for arm, values in arms.items()
    }
    differences = parts(arms["influx"], arms["placebo"], arms["retrain"])
    intervals = {name: two_way_interval(values) for name, values in differences.items()}
    n_users, n_seeds = complete.sum(axis=1), y["influx"].shape[2]
    rows = [
        {
            **_world_row(
                {arm: mean[place] for arm, mean in means.items()},
                {name: interval.at(place) for name, interval in intervals.items()},
            ),
            "n_users": int(n_users[place]),
            "n_seeds": n_seeds,
        }
        for place in range(len(days))
    ]
    _add_bands(rows, differences["composition"], [day is not None for day in days])
    return rows


def _world_row(means: Mapping[str, float], intervals: Mapping[str, Interval]) -> dict[str, Any]:
    """A row from the means of the arms and the intervals of the parts."""
    row: dict[str, Any] = dict(means)
    ends = {
        "total": ("influx", "retrain"),
        "volume": ("placebo", "retrain"),
        "composition": ("influx", "placebo"),
    }
    for name, interval in intervals.items():
        more, less = ends[name]
        row |= {
            name: means[more] - means[less],
            f"{name}_ci_low": interval.low,
            f"{name}_ci_high": interval.high,
        }
    return row | {"p_value": intervals["composition"].p_value}


def _add_bands(
    rows: Sequence[dict[str, Any]], composition: NDArray[np.float64], is_day: Sequence[bool]
) -> None:
    """Adds Bonferroni's band to the rows of days: it holds the composition of all days at once.

    Args:
        rows: a row for each day, and for the headline.
        composition: float64 (rows, users, seeds).
        is_day: whether a row is of a day.
    """
    of_days = [n for n, row in enumerate(rows) if is_day[n] and row["n_users"]]
    if not of_days:
        return
    bands = two_way_interval(composition[of_days], level=1 - 0.05 / len(of_days))
    for place, number in enumerate(of_days):
        band = bands.at(place)
        rows[number] |= {"composition_band_low": band.low, "composition_band_high": band.high}


def log_row(
    arms: Mapping[tuple[Any, ...], pl.DataFrame],
    measure: str,
    crowding: float,
    same_seed: bool = False,
) -> dict[str, Any]:
    """Estimates of one measure in a log.

    Args:
        arms: per-user rows of one recommender and mitigation, by arm and draw.
        measure: one of their columns.
        crowding, same_seed: see `drift_of_log`.

    Returns:
        Columns of `COLUMNS`; and `groups`, what `adjusted_in_log` needs: the newcomers' value, and
        those of the placebo groups as drawn and widened, float64 (draws,).
    """

    def of(arm: str) -> NDArray[np.float64]:
        columns = [
            rows[measure].drop_nulls().to_numpy() for (a, _), rows in arms.items() if a == arm
        ]
        return np.array([column.mean() if column.size else np.nan for column in columns])

    level = is_level(measure)
    full = of("full")[0] if level else 0.0
    joined = of("joined") if level else np.zeros(0)
    influx, drawn = of("influx")[0] - full, of("placebo") - (joined if joined.size else full)
    retrain = of("retrain")[0] - full if of("retrain").size else 0.0
    if not np.isfinite([influx, retrain, *drawn]).all():
        return _empty_log_row(drawn.size)
    placebo = widened(drawn, crowding)
    low, high = (float(edge) for edge in placebo_band(placebo))
    low = low if level else max(low, 0.0)  # a distance is never below 0; a widened one may be
    mean, noise = float(placebo.mean()), 0.0 if same_seed else retrain
    # Widening breaks ties between groups in favour of an effect, so the larger p-value counts.
    p_value = max(_permutation_p(influx, draws, level) for draws in (drawn, placebo))
    return {
        "influx": influx,
        "placebo": mean,
        "retrain": retrain,
        "total": influx - noise,
        "volume": mean - noise,
        "volume_ci_low": low - noise,
        "volume_ci_high": high - noise,
        "composition": influx - mean,
        "composition_ci_low": influx - high,
        "composition_ci_high": influx - low,
        "p_value": p_value,
        "n_users": max(rows.height for rows in arms.values()),
        "n_seeds": 1,
        "groups": (influx, drawn, placebo),
    }


def _empty_log_row(n_draws: int) -> dict[str, Any]:
    """The row of a measure that nobody has a value of, such as quality where no click is held out.

    Args:
        n_draws: number of placebo groups.
    """
    figures = [name for name, column in COLUMNS.items() if column.type == pl.Float64]
    nothing = np.full(n_draws, np.nan)
    return {
        **dict.fromkeys(figures, np.nan),
        "n_users": 0,
        "n_seeds": 1,
        "groups": (np.nan, nothing, nothing),
    }


def _permutation_p(influx: float, draws: NDArray[np.float64], level: bool) -> float:
    """The p-value of one measure in a log.

    For a distance, the p-value is one-sided. For a level, it compares how far each group is from
    the mean of all groups.
    """
    if not level:
        return float(permutation_p(influx, draws))
    mean = np.mean([*draws, influx])
    return float(permutation_p(abs(influx - mean), np.abs(draws - mean)))


def _drift_frame(
    rows: list[dict[str, Any]],
    primary: tuple[str, ...],
    adjusted: _Adjust,
    *,
    across: bool = False,
) -> pl.DataFrame:
    _adjust(rows, primary, adjusted)
    for measure in primary if across else ():
        same = [row for row in rows if row["measure"] == measure]
        for row, p in zip(same, adjusted(same) if same else (), strict=True):
            row["p_adjusted"] = float(p)
    for row in rows:
        floor = max(row["placebo"], row["retrain"])
        row["saturated"] = bool(not is_level(row["measure"]) and floor >= SATURATED)
    return frame_of(rows, COLUMNS)


def _adjust(rows: list[dict[str, Any]], primary: tuple[str, ...], adjusted: _Adjust) -> None:
    """Adds `p_adjusted` to headline rows.

    Primary measures, which are few and named beforehand, keep their p-value. The p-values of all
    other measures of a recommender are adjusted together.
    """
    headline = [row for row in rows if row["day"] is None]
    for row in headline:
        row["p_adjusted"] = row["p_value"]
    for name in {(row["recommender"], row["mitigation"]) for row in headline}:
        rest = [
            row
            for row in headline
            if (row["recommender"], row["mitigation"]) == name and row["measure"] not in primary
        ]
        if rest:
            for row, p in zip(rest, adjusted(rest), strict=True):
                row["p_adjusted"] = float(p)


def _by_holm(rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    return holm([row["p_value"] for row in rows])


def adjusted_in_log(rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    """P-values of rows of a log, adjusted for their number by Westfall and Young's method.

    They are computed from the placebo groups as drawn, and again from the widened groups. The
    larger of the two p-values counts. The groups of a study are the same people for every
    recommender.

    Args:
        rows: from `log_row`, each with its `measure`.

    Returns:
        Float64 (rows,), NaN for a row without a value.
    """
    groups = zip(*(row["groups"] for row in rows), strict=True)
    influx, drawn, placebo = (np.array(values) for values in groups)
    two_sided = np.array([is_level(row["measure"]) for row in rows])
    adjusted, known = np.full(len(rows), np.nan), np.isfinite(influx)
    if known.any():
        adjusted[known] = np.maximum(
            *(
                westfall_young(influx[known], draws[known], two_sided[known])
                for draws in (drawn, placebo)
            )
        )
    return adjusted


def _against_control(measure: str, cubes: Mapping[str, Mapping[str, Cube]]) -> dict[str, Cube]:
    """Drift of each arm except control; none without a value in the arm influx.

    A measure of drift is taken as it is. Of a level, the difference to control is taken.
    """
    values = {arm: of_arm[measure] for arm, of_arm in cubes.items() if measure in of_arm}
    control = values.pop("control", None)
    if "influx" not in values:
        return {}
    if is_level(measure):
        if control is None:
            return {}
        return {arm: Cube(cube.days, cube.values - control.values) for arm, cube in values.items()}
    if "retrain" in cubes and "retrain" not in values:
        influx = values["influx"]
        values["retrain"] = Cube(influx.days, np.zeros_like(influx.values))
    return values


def _mean(values: NDArray[np.float64]) -> float:
    """The mean over users and seeds; NaN where there is nobody."""
    return float(values.mean()) if values.size else float("nan")
