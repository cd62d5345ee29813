"""From per-user values to estimates: means by arm, and drift as total, volume and composition.

Means over users and seeds are taken here and nowhere else. A row without a day is the headline,
over all evaluation days.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.rows import is_level
from recsys.statistics import (
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
    _days_of,
    _frame,
    _groups,
    _incumbents,
    _mean,
    _measures_in,
    cubes_of,
)
from recsys.study.tables.table import Column, Columns, common

SATURATED = 0.8
"""A rung on which placebo or retrain drift by this much leaves no room for anything else."""


PRIMARY = ("posts", "language_format", "utility")
"""The measures on which a study of a world stands: post level, mix level, harm. Others' p
are adjusted. Of a log: `primaries_of_log`."""


_PARTS = {
    "total": "influx - retrain: all that the newcomers change",
    "volume": "placebo - retrain: what as many more incumbents would change",
    "composition": "influx - placebo: what changes because of who the newcomers are",
}
_EDGES = {"": "", "_ci_low": "lower end of the interval of `{}`", "_ci_high": "upper end of it"}


COLUMNS: Columns = {
    **common("recommender", "mitigation", "day", "measure"),
    "influx": Column(
        pl.Float64,
        "drift of `influx` from `control`; in a log, of what is left without newcomers from `full`",
    ),
    "placebo": Column(pl.Float64, "drift with the placebo's people in the newcomers' place"),
    "retrain": Column(pl.Float64, "drift by another training seed alone"),
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
        "over all days: `p_value` of a primary measure; else allowing for the number of measures",
    ),
    "saturated": Column(pl.Boolean, "placebo or retrain drift by .8 or more: no room is left"),
    **common("n_users", "n_seeds"),
}
"""Of an estimate of drift: its primaries are `PRIMARY` in a world, and in a log
`primaries_of_log`; the p-values of the others are adjusted by Holm's method in a world, by Westfall
and Young's in a log."""


_Adjust = Callable[[list[dict[str, Any]]], NDArray[np.float64]]
"""From headline rows of a recommender's measures to their p-values, adjusted for their number."""


def primaries_of_log(attributes: Iterable[str]) -> tuple[str, ...]:
    """The measures on which a study of a log stands: posts, the first mix, quality.

    Args:
        attributes: names under `log.attributes`, in their order.

    Returns:
        Names of measures; `ndcg` is there only if clicks are held out.

    Example:
        >>> primaries_of_log(["format", "topic"]), primaries_of_log([])
        (('posts', 'format', 'ndcg'), ('posts', 'ndcg'))
    """
    return ("posts", *list(attributes)[:1], "ndcg")


def drift_of_world(per_user: pl.DataFrame, arms: tuple[str, ...]) -> pl.DataFrame:
    """Drift of incumbents by recommender, day and measure: total, volume and composition.

    A level measure counts by its difference to the control arm. A recommender without a training
    seed has no retrain arm: there its drift is exactly 0.

    Args:
        per_user: as in `StudyResult.per_user`.
        arms: the study's arms; a part that needs a missing one is null.

    Returns:
        The columns of `COLUMNS`.
    """
    rows: list[dict[str, Any]] = []
    for keys, measure, by_arm in drifts_by_arm(per_user, arms):
        found = [
            {**keys, "day": d, "measure": measure, **_world_row(y)} for d, y in _days_of(by_arm)
        ]
        found = [row for row in found if row["n_users"]]
        _widen(found)
        rows += found
    return _drift_frame(rows, PRIMARY, _by_holm)


def drifts_by_arm(
    per_user: pl.DataFrame, arms: tuple[str, ...]
) -> Iterator[tuple[dict[str, str], str, dict[str, Cube]]]:
    """Each measure's drift from control in every arm, of incumbents; of a world.

    Args:
        per_user, arms: as for `drift_of_world`.

    Yields:
        Recommender and mitigation, measure, and by arm the users' values.
    """
    for keys, group in _groups(_incumbents(per_user), ("recommender", "mitigation")):
        cubes = {arm["arm"]: cubes_of(part) for arm, part in _groups(group, ("arm",))}
        if "retrain" in arms and "retrain" not in cubes:
            cubes["retrain"] = cubes["control"]
        for measure in _measures_in(group):
            yield keys, measure, _against_control(measure, cubes)


def drift_of_log(
    per_user: pl.DataFrame, crowding: float, primary: Iterable[str] = ("posts", "ndcg")
) -> pl.DataFrame:
    """Drift of a log's panel: the newcomers' removal beside the placebos' band.

    The interval of `composition` is the distance to the placebos' band, which covers 95 %, of
    fewer than 39 draws less (`statistics.band_level`); p is the share of placebos, with the
    newcomers among them, that drift at least as much.

    Args:
        per_user: as in `StudyResult.per_user`; `draw` numbers the placebo groups.
        crowding: share of their pool that a placebo group takes; `inference.widened` allows for it.
        primary: measures whose p-values stand as they are, such as `primaries_of_log` gives.

    Returns:
        The columns of `COLUMNS`, in one row for each measure.
    """
    rows = []
    for keys, group in _groups(per_user, ("recommender", "mitigation")):
        arms = {tuple(at.values()): part for at, part in _groups(group, ("arm", "draw"))}
        rows += [
            {**keys, "day": None, "measure": measure, **_log_row(arms, measure, crowding)}
            for measure in _measures_in(group)
        ]
    return _drift_frame(rows, tuple(primary), _by_westfall_young)


def _world_row(y: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Estimates of one measure from float64 (users, seeds) of each arm.

    Users count who have a value in every arm and seed, in all columns alike.
    """
    known = ~np.any([np.isnan(values).any(axis=1) for values in y.values()], axis=0)
    y = {arm: values[known] for arm, values in y.items()}
    nothing = np.full_like(y["influx"], np.nan)
    influx, placebo, retrain = (y.get(arm, nothing) for arm in ("influx", "placebo", "retrain"))
    row: dict[str, Any] = {
        "influx": _mean(influx),
        "placebo": _mean(placebo),
        "retrain": _mean(retrain),
    }
    ends = {
        "total": ("influx", "retrain"),
        "volume": ("placebo", "retrain"),
        "composition": ("influx", "placebo"),
    }
    for name, difference in parts(influx, placebo, retrain).items():
        interval = two_way_interval(difference)
        more, less = ends[name]
        row |= {
            name: row[more] - row[less],
            f"{name}_ci_low": interval.low,
            f"{name}_ci_high": interval.high,
        }
        if name == "composition":
            row |= {"p_value": interval.p_value, "_composition": difference}
    return {**row, "n_users": influx.shape[0], "n_seeds": influx.shape[1]}


def _widen(rows: list[dict[str, Any]]) -> None:
    """Adds to the days' rows a band of composition that all days lie in at once: Bonferroni's."""
    days = [row for row in rows if row["day"] is not None]
    for row in days:
        band = two_way_interval(row.pop("_composition"), level=1 - 0.05 / len(days))
        row |= {"composition_band_low": band.low, "composition_band_high": band.high}
    for row in rows:
        row.pop("_composition", None)


def _log_row(
    arms: Mapping[tuple[Any, ...], pl.DataFrame], measure: str, crowding: float
) -> dict[str, Any]:
    """Estimates of one measure from the per-user rows of each arm and draw."""

    def of(arm: str) -> NDArray[np.float64]:
        columns = [
            rows[measure].drop_nulls().to_numpy() for (a, _), rows in arms.items() if a == arm
        ]
        return np.array([column.mean() if column.size else np.nan for column in columns])

    level = is_level(measure)
    full = of("full")[0] if level else 0.0
    influx, drawn = of("influx")[0] - full, of("placebo") - full
    placebo = widened(drawn, crowding)
    retrain = of("retrain")[0] - full if of("retrain").size else 0.0
    low, high = (float(edge) for edge in placebo_band(placebo))
    low = low if level else max(low, 0.0)  # widening may reach below what a distance can be
    centre = float(placebo.mean())
    # Widening breaks ties in favour of the claim, so the larger p counts.
    p_value = max(_permutation_p(influx, draws, level) for draws in (drawn, placebo))
    return {
        "influx": influx,
        "placebo": centre,
        "retrain": retrain,
        "total": influx - retrain,
        "volume": centre - retrain,
        "volume_ci_low": low - retrain,
        "volume_ci_high": high - retrain,
        "composition": influx - centre,
        "composition_ci_low": influx - high,
        "composition_ci_high": influx - low,
        "p_value": p_value,
        "n_users": max(rows.height for rows in arms.values()),
        "n_seeds": 1,
        "_groups": (influx, drawn, placebo),
    }


def _permutation_p(influx: float, draws: NDArray[np.float64], level: bool) -> float:
    """One-sided for distances; for levels, by how far from the middle of all groups."""
    if not level:
        return float(permutation_p(influx, draws))
    centre = np.mean([*draws, influx])
    return float(permutation_p(abs(influx - centre), np.abs(draws - centre)))


def _drift_frame(
    rows: list[dict[str, Any]], primary: tuple[str, ...], adjusted: _Adjust
) -> pl.DataFrame:
    _adjust(rows, primary, adjusted)
    for row in rows:
        floor = max(row["placebo"], row["retrain"])
        row["saturated"] = bool(not is_level(row["measure"]) and floor >= SATURATED)
    return _frame(rows, COLUMNS)


def _adjust(rows: list[dict[str, Any]], primary: tuple[str, ...], adjusted: _Adjust) -> None:
    """Adds p_adjusted to headline rows: p of the primaries as it is, else for a recommender's rest.

    The primaries are few and named beforehand; all other measures of a recommender are a family.
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


def _by_westfall_young(rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Of a log: over the placebo draws, drawn and widened, of which the larger p counts."""
    influx, *both = (np.array(of) for of in zip(*(row["_groups"] for row in rows), strict=True))
    two_sided = [is_level(row["measure"]) for row in rows]
    return np.maximum(*(westfall_young(influx, draws, two_sided) for draws in both))


def _against_control(measure: str, cubes: Mapping[str, Mapping[str, Cube]]) -> dict[str, Cube]:
    """A measure's drift in each arm: as it is, or the level's difference to the control arm."""
    if is_level(measure):
        level = cubes["control"].get(measure)
        return {
            arm: Cube(cube.days, cube.values - level.values)
            for arm, of in cubes.items()
            if arm != "control" and level is not None and (cube := of.get(measure)) is not None
        }
    drifts = {arm: of[measure] for arm, of in cubes.items() if arm != "control" and measure in of}
    if "retrain" in cubes and "retrain" not in drifts and drifts:
        some = drifts["influx"]
        drifts["retrain"] = Cube(some.days, np.zeros_like(some.values))
    return drifts
