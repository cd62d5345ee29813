"""From per-user values to estimates: means by arm, and drift as total, volume and who.

Means over users and seeds are taken here and nowhere else. A row without a day is the headline,
over all evaluation days.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.arms.measure import KEYS, is_level
from recsys.inference import (
    MIN_SEEDS_FOR_CLAIMS,
    holm,
    minimum_detectable_effect,
    nested_interval,
    parts,
    permutation_p,
    placebo_band,
    planning_interval,
    seeds_needed,
    share_interval,
    two_way_interval,
    westfall_young,
    widened,
)

__all__ = [
    "PRIMARY", "SATURATED", "Cube", "cubes_of", "drift_of_log", "drift_of_world", "drifts_by_arm",
    "power_of_world", "primaries_of_log", "summarise",
]  # fmt: skip

SATURATED = 0.8
"""A rung on which placebo or retrain drift by this much leaves no room for anything else."""
PRIMARY = ("notes", "language_format", "utility")
"""The measures on which a study of a world stands: note level, mix level, harm. Others' p
are adjusted. Of a log: `primaries_of_log`."""
_SHARES = ("noticeable4", "influx_heavy")
"""Measures that are 0 or 1 for a reader."""
_FEW = 5
"""Readers on one side of a share, below which a t interval of it is too narrow."""
_NO_NEWCOMERS = ("control", "retrain")
"""Arms in which these are 0 because nobody came, not by chance."""
_MARGIN = 0.01
_HEADLINE = -1
"""Stands for the null day of headlines where days are sorted: they come first."""
_PARTS = ("total", "volume", "who")
_Adjust = Callable[[list[dict[str, Any]]], NDArray[np.float64]]
"""From headline rows of a recommender's measures to their p-values, adjusted for their number."""


def primaries_of_log(attributes: Iterable[str]) -> tuple[str, ...]:
    """The measures on which a study of a log stands: notes, the first mix, quality.

    Args:
        attributes: names under `log.attributes`, in their order.

    Returns:
        Names of measures; `ndcg` is there only if clicks are held out.

    Example:
        >>> primaries_of_log(["format", "topic"]), primaries_of_log([])
        (('notes', 'format', 'ndcg'), ('notes', 'ndcg'))
    """
    return ("notes", *list(attributes)[:1], "ndcg")


class Cube(NamedTuple):
    """One recommender's values of one measure in one arm: float64 (days, users, seeds)."""

    days: list[int | None]
    values: NDArray[np.float64]


def summarise(per_user: pl.DataFrame) -> pl.DataFrame:
    """Mean of each measure in each arm, with its interval over users and seeds.

    Incumbents are the same people in every seed; newcomers are others, so that theirs is a mean of
    the seeds' means, over whoever has a value. A share of readers (`noticeable4`, `influx_heavy`)
    on one side of which there are fewer than 5 has the ends of `share_interval`, unless it is 0
    because the arm has no newcomers.

    Args:
        per_user: as in `StudyResult.per_user`.

    Returns:
        recommender · mitigation · arm · day · cohort · measure · mean · ci_low · ci_high ·
        n_users (newcomers: over all seeds) · n_seeds; day is null in the mean over days.
    """
    rows = []
    for keys, group in _groups(per_user, ("recommender", "mitigation", "arm", "cohort")):
        estimate = nested_interval if keys["cohort"] == "newcomer" else two_way_interval
        for measure, cube in cubes_of(group).items():
            for day, y in zip(cube.days, cube.values, strict=True):
                interval = estimate(y)
                if not interval.n_users:
                    continue  # turnover, say, on the first day
                if measure in _SHARES and keys["arm"] not in _NO_NEWCOMERS and _few(y, keys):
                    interval = share_interval(interval)
                rows.append(
                    {
                        **keys, "day": day, "measure": measure, "mean": interval.mean,
                        "ci_low": interval.low, "ci_high": interval.high,
                        "n_users": interval.n_users, "n_seeds": interval.n_seeds,
                    }
                )  # fmt: skip
    columns = ("recommender", "mitigation", "arm", "day", "cohort", "measure", "mean", "ci_low",
               "ci_high", "n_users", "n_seeds")  # fmt: skip
    return _frame(rows, columns)


def _few(y: NDArray[np.float64], keys: Mapping[str, str]) -> bool:
    """Whether fewer than `_FEW` readers have a value above 0, or below 1; newcomers are others in
    each seed."""
    people = y.reshape(-1, 1) if keys["cohort"] == "newcomer" else y
    people = people[~np.isnan(people).any(axis=1)]
    return min(int((people > 0).any(axis=1).sum()), int((people < 1).any(axis=1).sum())) < _FEW


def drift_of_world(per_user: pl.DataFrame, arms: tuple[str, ...]) -> pl.DataFrame:
    """Drift of incumbents by recommender, day and measure: total, volume and who.

    A level measure counts by its difference to the control arm. A recommender without a training
    seed has no retrain arm: there its drift is exactly 0.

    Args:
        per_user: as in `StudyResult.per_user`.
        arms: the study's arms; a part that needs a missing one is null.

    Returns:
        The frame described at `StudyResult.drift`.
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
    per_user: pl.DataFrame, crowding: float, primary: Iterable[str] = ("notes", "ndcg")
) -> pl.DataFrame:
    """Drift of a log's panel: the newcomers' removal beside the placebos' band.

    The interval of `who` is the distance to the placebos' band, which covers 95 %, of fewer than
    39 draws less (`inference.band_level`); p is the share of placebos, with the newcomers among
    them, that drift at least as much.

    Args:
        per_user: as in `StudyResult.per_user`; `draw` numbers the placebo groups.
        crowding: share of their pool that a placebo group takes; `inference.widened` allows for it.
        primary: measures whose p-values stand as they are, such as `primaries_of_log` gives.

    Returns:
        The frame described at `StudyResult.drift`, in one row for each measure.
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
        "influx": _mean(influx), "placebo": _mean(placebo), "retrain": _mean(retrain)
    }  # fmt: skip
    ends = {
        "total": ("influx", "retrain"),
        "volume": ("placebo", "retrain"),
        "who": ("influx", "placebo"),
    }
    for name, difference in parts(influx, placebo, retrain).items():
        interval = two_way_interval(difference)
        more, less = ends[name]
        row |= {
            name: row[more] - row[less],
            f"{name}_ci_low": interval.low,
            f"{name}_ci_high": interval.high,
        }
        if name == "who":
            row |= {"p_value": interval.p_value, "_who": difference}
    return {**row, "n_users": influx.shape[0], "n_seeds": influx.shape[1]}


def power_of_world(per_user: pl.DataFrame, arms: tuple[str, ...]) -> pl.DataFrame:
    """What a study of this size could have seen of *who*, in the primary measures' headline.

    Args:
        per_user, arms: as for `drift_of_world`.

    Returns:
        recommender · mitigation · measure · who · detectable (an estimate of the smallest true who
        that 4 in 5 such studies would tell from 0, too large rather than too small: with the seeds'
        luck of `planning_interval`) · margin (a change that matters: .01 of drift, 1 % of what
        feeds are worth without the influx) · seeds_needed (to tell who from 0 in 4 of 5 studies if
        it is as large as the margin, by the same estimate; null if more than 200, and with fewer
        than `MIN_SEEDS_FOR_CLAIMS` seeds, which are too few to plan with) · n_users · n_seeds. No
        row without a placebo or with one seed.
    """
    rows: list[dict[str, Any]] = []
    for keys, measure, by_arm in drifts_by_arm(per_user, arms):
        if measure not in PRIMARY or not {"influx", "placebo"} <= by_arm.keys():
            continue
        y = by_arm["influx"].values[0] - by_arm["placebo"].values[0]
        y = y[~np.isnan(y).any(axis=1)]
        if min(y.shape) < 2:
            continue
        margin = _MARGIN if not is_level(measure) else _MARGIN * _level(per_user, keys, measure)
        interval = planning_interval(y)
        needed = float(seeds_needed(y, margin)) if y.shape[1] >= MIN_SEEDS_FOR_CLAIMS else np.inf
        rows.append(
            {
                **keys, "measure": measure, "who": interval.mean,
                "detectable": minimum_detectable_effect(interval), "margin": margin,
                "seeds_needed": needed if np.isfinite(needed) else None,
                "n_users": y.shape[0], "n_seeds": y.shape[1],
            }
        )  # fmt: skip
    columns = ("recommender", "mitigation", "measure", "who", "detectable", "margin",
               "seeds_needed", "n_users", "n_seeds")  # fmt: skip
    return _frame(rows, columns)


def _level(per_user: pl.DataFrame, keys: Mapping[str, str], measure: str) -> float:
    """Mean of a level over incumbents without the influx, summed in the order of rows."""
    rows = _incumbents(per_user).filter(pl.col("day").is_null(), **keys, arm="control")
    return float(np.nanmean(rows[measure].to_numpy()))


def _widen(rows: list[dict[str, Any]]) -> None:
    """Adds to the days' rows a band of who that all days lie in at once: Bonferroni's."""
    days = [row for row in rows if row["day"] is not None]
    for row in days:
        band = two_way_interval(row.pop("_who"), level=1 - 0.05 / len(days))
        row |= {"who_band_low": band.low, "who_band_high": band.high}
    for row in rows:
        row.pop("_who", None)


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
        "influx": influx, "placebo": centre, "retrain": retrain,
        "total": influx - retrain,
        "volume": centre - retrain,
        "volume_ci_low": low - retrain,
        "volume_ci_high": high - retrain,
        "who": influx - centre,
        "who_ci_low": influx - high,
        "who_ci_high": influx - low,
        "p_value": p_value,
        "n_users": max(rows.height for rows in arms.values()),
        "n_seeds": 1,
        "_groups": (influx, drawn, placebo),
    }  # fmt: skip


def _permutation_p(influx: float, draws: NDArray[np.float64], level: bool) -> float:
    """One-sided for distances; for levels, by how far from the middle of all groups."""
    if not level:
        return float(permutation_p(influx, draws))
    centre = np.mean([*draws, influx])
    return float(permutation_p(abs(influx - centre), np.abs(draws - centre)))


def _drift_frame(
    rows: list[dict[str, Any]], primary: tuple[str, ...], adjusted: _Adjust
) -> pl.DataFrame:
    columns = (
        "recommender", "mitigation", "day", "measure", "influx", "placebo", "retrain",
        *(f"{part}{edge}" for part in _PARTS for edge in ("", "_ci_low", "_ci_high")),
        "who_band_low", "who_band_high", "p_value", "p_adjusted", "saturated",
        "n_users", "n_seeds",
    )  # fmt: skip
    _adjust(rows, primary, adjusted)
    for row in rows:
        floor = max(row["placebo"], row["retrain"])
        row["saturated"] = bool(not is_level(row["measure"]) and floor >= SATURATED)
    return _frame(rows, columns)


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


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pl.DataFrame:
    types: dict[str, Any] = dict.fromkeys(columns, pl.Float64)
    types |= dict.fromkeys(("recommender", "mitigation", "arm", "cohort", "measure"), pl.String)
    types |= {"day": pl.Int32, "n_users": pl.Int64, "n_seeds": pl.Int64, "saturated": pl.Boolean}
    plain = [{name: _plain(row.get(name)) for name in columns} for row in rows]
    return pl.DataFrame(plain, schema={name: types[name] for name in columns})


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's; not-a-number as null."""
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return None if isinstance(value, float) and np.isnan(value) else value


def _measures_in(frame: pl.DataFrame) -> list[str]:
    return [name for name in frame.columns if name not in KEYS]


def _incumbents(per_user: pl.DataFrame) -> pl.DataFrame:
    return per_user.filter(pl.col("cohort") == "incumbent")


def _groups(
    frame: pl.DataFrame, by: tuple[str, ...]
) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Groups in the order in which they first appear."""
    for keys, group in frame.group_by(*by, maintain_order=True):
        yield dict(zip(by, keys, strict=True)), group


def cubes_of(group: pl.DataFrame) -> dict[str, Cube]:
    """Values of each measure that has any, by day, user and seed; NaN where a user has none.

    Placebo groups of a log share day, user and seed: their mean is taken, in the order of rows.
    """
    columns = (group["day"].fill_null(_HEADLINE), group["user_id"], group["seed"])
    axes = [np.unique(column.to_numpy(), return_inverse=True) for column in columns]
    shape = tuple(known.size for known, _ in axes)
    where = np.ravel_multi_index(tuple(index for _, index in axes), shape)
    days = [None if day == _HEADLINE else int(day) for day in axes[0][0]]
    cubes = {}
    for measure in _measures_in(group):
        values = group[measure].to_numpy()
        known = ~np.isnan(values)
        if not known.any():
            continue
        total = np.bincount(where[known], values[known], minlength=int(np.prod(shape)))
        count = np.bincount(where[known], minlength=total.size)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        cubes[measure] = Cube(days, mean.reshape(shape))
    return cubes


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


def _days_of(
    by_arm: Mapping[str, Cube],
) -> Iterator[tuple[int | None, dict[str, NDArray[np.float64]]]]:
    """Float64 (users, seeds) of each arm, day by day, the headline first."""
    if "influx" not in by_arm:
        return
    for place, day in enumerate(by_arm["influx"].days):
        yield day, {arm: cube.values[place] for arm, cube in by_arm.items()}


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
