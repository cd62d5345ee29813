"""The table `headline`: how many slots the influx changed, net of those that change anyway.

A slot that holds a newcomer's post is displaced; that is exact, since there is none in control.
Other slots that changed are reshuffled. Some of these change anyway: the floor, which is the mean
of the arm nudge. With c the share of slots that changed, d of those displaced, n the floor, and
r = (c - d)/(1 - d), all as means of a seed,

    net = (c - n)/(1 - n) = d + (1 - d)(r - n)/(1 - n)

which assumes that chance hits all slots alike. Means over seeds follow.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Study
from recsys.measures.registry import SLOT_SOURCES
from recsys.statistics import (
    Interval,
    nested_interval,
    net_values,
    ratio_interval,
    two_way_interval,
)
from recsys.study.tables.cubes import cubes_of, frame_of, groups_by, incumbents_in
from recsys.study.tables.drift import SATURATED
from recsys.study.tables.table import Column, Columns, Rows, common

Values = NDArray[np.float64]
"""Float64 (users, seeds)."""
FLOOR = "nudge"
"""The arm whose mean is the floor; in a study without it, the floor is training noise."""
_NUDGES = ("nudge", "nudge_3", "nudge_10")
TOP = {"top 1 %": 0.01, "top 10 %": 0.1}
"""The most affected users by `displaced` over all days, within each seed, and their share of the
panel. Nothing random is in `displaced`; users chosen by what changed would be those whom chance hit
most, and their net would be too large."""
BILINGUAL, OTHERS = "bilingual", "others"

_ENDS = {
    "_ci_low": "lower end of the 95 % interval of `{}`; empty where there is none",
    "_ci_high": "upper end of it",
}


def _with_ends(name: str, meaning: str) -> dict[str, Column]:
    ends = {f"{name}{end}": Column(pl.Float64, words.format(name)) for end, words in _ENDS.items()}
    return {name: Column(pl.Float64, meaning), **ends}


COLUMNS: Columns = {
    **common("recommender", "mitigation", "day"),
    "group": Column(
        pl.String,
        "the incumbents: `all`, `top 1 %` and `top 10 %` by `displaced` over all days, `bilingual` "
        "and `others`; or the slots of a source, such as `trending slots`, of all incumbents",
    ),
    "changed": Column(pl.Float64, "share of slots with another post than in `control`"),
    "floor": Column(pl.Float64, "the same in the arm `nudge`, the mean of its draws"),
    "nudge_3": Column(pl.Float64, "the same with three people in the nudge; empty without the arm"),
    "nudge_10": Column(pl.Float64, "the same with ten"),
    "retrain": Column(pl.Float64, "the same with another training seed alone"),
    "displaced": Column(pl.Float64, "d, share of slots that newcomers' posts took"),
    "reshuffled": Column(pl.Float64, "(1 - d)(r - floor)/(1 - floor): the rest of `net`"),
    **_with_ends(
        "net",
        "(changed - floor)/(1 - floor), from means of a seed; empty where the floor is .8 or more",
    ),
    **_with_ends("plain", "changed - floor"),
    **_with_ends("placebo", "net of the arm `placebo`"),
    **_with_ends("locals", "net of the arm `locals`"),
    **_with_ends(
        "over_placebo",
        "net / placebo, over all days and slots; empty where the interval of `placebo` covers 0",
    ),
    **_with_ends(
        "over_locals",
        "net / locals, over all days and slots; empty where the interval of `locals` covers 0",
    ),
    **_with_ends(
        "english", "share of slots in the newcomers' language, influx - control, in all slots"
    ),
    **_with_ends("utility", "(influx - control) / control, of the mean utility"),
    **common("n_users", "n_seeds"),
}
"""Columns of the table. Ratios have the intervals of `recsys.statistics.ratio_interval`."""


def headline(rows: Rows) -> pl.DataFrame:
    """What the influx changed in incumbents' feeds: by recommender, day, and group of users.

    Args:
        rows: of a study of a world.

    Returns:
        The columns of `COLUMNS`. The day is null in the mean over all days.
    """
    law = rows.study.world.population.incumbents
    reads_both = rows.users.filter(pl.col("skill") >= law.skill_bilingual)["user_id"].to_numpy()
    found = []
    for keys, group in groups_by(incumbents_in(rows.per_user), ("recommender", "mitigation")):
        arms = Arms.of(group, rows.study)
        for place, day in enumerate(arms.days):
            for name, values in _rows_of_day(arms, place, reads_both):
                found.append({**keys, "day": day, "group": name, **values})
    return frame_of(found, COLUMNS)


@dataclass(frozen=True)
class Arms:
    """One recommender's values in every arm.

    Attributes:
        days: the days; None, for all days together, comes first.
        users: ids of the users.
        values: by arm and measure, float64 (days, users, seeds).
        study: the study.
    """

    days: Sequence[int | None]
    users: NDArray[np.int64]
    values: Mapping[tuple[str, str], NDArray[np.float64]]
    study: Study

    @classmethod
    def of(cls, group: pl.DataFrame, study: Study) -> "Arms":
        """The values in per-user rows.

        Args:
            group: rows of incumbents and of one recommender and mitigation.
            study: the study that the rows are from.
        """
        values: dict[tuple[str, str], NDArray[np.float64]] = {}
        days: Sequence[int | None] = ()
        for keys, rows in groups_by(group, ("arm",)):
            draws = [cubes_of(part) for _, part in groups_by(rows, ("draw",))]
            for measure, cube in draws[0].items():
                # By differences to the first draw: the mean of equal draws is exactly their value.
                more = sum(draw[measure].values - cube.values for draw in draws) / len(draws)
                values[keys["arm"], measure] = cube.values + more
                days = cube.days
        return cls(days, np.unique(group["user_id"].to_numpy()), values, study)

    def at(self, place: int, arm: str, measure: str) -> Values | None:
        """Values on a day; None if they were not measured.

        A recommender that a training seed does not change has no arm retrain, and no training
        noise.

        Args:
            place: position of the day in `days`.
            arm: such as "nudge".
            measure: such as "slots_changed".
        """
        found = self.values.get((arm, measure))
        if found is None and arm == "retrain" and arm in self.study.arms:
            influx = self.values.get(("influx", measure))
            return None if influx is None else np.zeros_like(influx[place])
        return None if found is None else found[place]


def _rows_of_day(
    arms: Arms, place: int, reads_both: NDArray[np.int64]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The values of each group of users, then of the slots of each source."""
    measured = _measured(arms, place, "slots_changed", "displaced")
    if measured is None:
        return
    whole, complete = measured
    ever = _measured(arms, 0, "slots_changed", "displaced")
    both = np.isin(arms.users, reads_both)
    everybody = np.ones((arms.users.size, 1), dtype=np.bool_)
    groups: dict[str, NDArray[np.bool_]] = {"all": everybody}
    if ever is not None:
        displaced = np.where(complete[:, None], ever[0]["displaced"], -1.0)
        groups |= {name: _top(displaced, share, complete.sum()) for name, share in TOP.items()}
    groups |= {BILINGUAL: both[:, None], OTHERS: ~both[:, None]}
    for name, chosen in groups.items():
        chosen = chosen & complete[:, None]
        if chosen.any():
            values = {key: _of(y, chosen) for key, y in whole.items()}
            yield name, _row(values, differ=name in TOP, ratios=place == 0)
    for source in SLOT_SOURCES:
        by_source = _measured(arms, place, f"changed_{source}", f"displaced_{source}")
        if by_source is not None and by_source[1].any():
            values = {key: y[by_source[1]] for key, y in by_source[0].items()}
            yield f"{source} slots", _row(values, differ=False, ratios=False)


def _measured(
    arms: Arms, place: int, changed: str, displaced: str
) -> tuple[dict[str, Values], NDArray[np.bool_]] | None:
    """The values that a row is made from, by name, and which users have all of them.

    None if the influx was not measured by these measures.
    """
    wanted = {
        "changed": ("influx", changed),
        **{arm: (arm, changed) for arm in (*_NUDGES, "retrain", "placebo", "locals")},
        "displaced": ("influx", displaced),
    }
    if changed == "slots_changed":
        language = f"language:{arms.study.world.population.newcomers.language}"
        for name, measure in (("english", language), ("utility", "utility")):
            wanted |= {f"{name} {arm}": (arm, measure) for arm in ("influx", "control")}
    found = {name: arms.at(place, *where) for name, where in wanted.items()}
    values = {name: y for name, y in found.items() if y is not None}
    if not {"changed", "displaced"} <= values.keys():
        return None
    return values, ~np.any([np.isnan(y).any(axis=1) for y in values.values()], axis=0)


def _top(displaced: Values, share: float, n_users: int) -> NDArray[np.bool_]:
    """Bool (users, seeds): the users of each seed with the most displaced slots, at least one."""
    number = max(round(share * n_users), 1)
    order = np.argsort(-displaced, axis=0, kind="stable")[:number]
    chosen = np.zeros(displaced.shape, dtype=np.bool_)
    np.put_along_axis(chosen, order, True, axis=0)
    return chosen


def _of(values: Values, chosen: NDArray[np.bool_]) -> Values:
    """The chosen users' values, float64 (m, seeds); there may be other users in each seed."""
    chosen = np.broadcast_to(chosen, values.shape)
    return values.T[chosen.T].reshape(values.shape[1], -1).T


def _row(values: Mapping[str, Values], *, differ: bool, ratios: bool) -> dict[str, Any]:
    """The columns of a row, from the values of a group of users.

    Args:
        values: float64 (users, seeds) by name.
        differ: whether each seed has other users.
        ratios: whether the ratios to both placebos are wanted; their intervals cost most.
    """
    estimate = nested_interval if differ else two_way_interval
    changed, displaced = values["changed"], values["displaced"]
    shares = {name: float(y.mean()) for name, y in values.items() if " " not in name}
    row: dict[str, Any] = {name: shares.get(name) for name in ("changed", "displaced", "retrain")}
    row |= {name: shares.get(name) for name in ("nudge_3", "nudge_10")}
    row |= {"n_users": changed.size if differ else changed.shape[0], "n_seeds": changed.shape[1]}
    floor = values.get(FLOOR, values.get("retrain"))
    wanted: dict[str, Values] = {}
    if floor is not None:
        row["floor"] = float(floor.mean())
        wanted |= {"plain": changed - floor, **_nets(values, floor)}
    if {"english control", "english influx"} <= values.keys():
        wanted["english"] = values["english influx"] - values["english control"]
    before, after = (values.get(f"utility {arm}") for arm in ("control", "influx"))
    if before is not None and after is not None and before.mean():
        wanted["utility"] = (after - before) / before.mean()
    if not wanted:
        return row
    intervals = estimate(np.stack(list(wanted.values())))
    for place, name in enumerate(wanted):
        row |= _ends(name, intervals.at(place))
    if "net" in wanted:
        row["reshuffled"] = row["net"] - displaced.mean()
    for arm in ("placebo", "locals"):
        if ratios and "net" in wanted and arm in wanted:
            names = (f"over_{arm}", f"over_{arm}_ci_low", f"over_{arm}_ci_high")
            over = ratio_interval(wanted["net"], wanted[arm], estimate)
            row |= dict(zip(names, over, strict=True))
    return row


def _nets(values: Mapping[str, Values], floor: Values) -> dict[str, Values]:
    """Net and that of both placebos; nothing where the floor leaves too little room."""
    by_seed = floor.mean(axis=0)
    if by_seed.mean() >= SATURATED or by_seed.max() >= 1:
        return {}
    others = {arm: net_values(values[arm], floor) for arm in ("placebo", "locals") if arm in values}
    return {"net": net_values(values["changed"], floor), **others}


def _ends(name: str, interval: Interval) -> dict[str, Any]:
    return {
        name: interval.mean,
        f"{name}_ci_low": interval.low,
        f"{name}_ci_high": interval.high,
    }
