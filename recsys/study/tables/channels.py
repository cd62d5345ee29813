"""The table `channels`: through which channels newcomers change incumbents' feeds, and how much.

For each user and seed, v(W) is a measure in the influx less the same measure in the placebo, with
the set of gates W open. Shapley values are linear in v, so they are taken for each user alone. The
intervals are those of their means over users and seeds.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.statistics import holm, pairs_of, shapley, two_way_interval
from recsys.study.arms.gated import CHANNEL_ARMS, COALITIONS, RUNGS
from recsys.study.tables.cubes import day_of, days_as_numbers
from recsys.study.tables.table import Column, Columns, common, schema_of
from recsys.world.arms import GATES

COLUMNS: Columns = {
    **common("recommender", "mitigation", "day", "measure"),
    "part": Column(
        pl.String, "`total`, `shapley`, `first_in` (the channel alone), `last_in` or `interaction`"
    ),
    "channel": Column(
        pl.String, "name of the channel; `all` of the total, `a x b` of an interaction"
    ),
    **common("mean", "ci_low", "ci_high", "p_value"),
    "p_holm": Column(pl.Float64, "`p_value` adjusted for the number of channels of a measure"),
    **common("n_users", "n_seeds"),
}


def channels(games: pl.DataFrame) -> pl.DataFrame:
    """The part of *composition* that each channel has, by recommender, day and measure.

    Args:
        games: recommender · mitigation · arm · gates · seed · day · user_id · and a column for each
            measure. The arm is influx or placebo. Every set of gates must be there, except the
            empty one: with no gate open the two arms do not differ.

    Returns:
        The columns of `COLUMNS`. The means of the part `shapley` sum to the total.

    Raises:
        ValueError: a set of gates is missing.
    """
    rows: list[dict[str, Any]] = []
    for keys, group in games.group_by("recommender", "mitigation", maintain_order=True):
        named = dict(zip(("recommender", "mitigation"), keys, strict=True))
        days, values = _values(group)
        for measure, cube in values.items():
            for day, y in zip(days, cube, strict=True):
                rows += [{**named, "day": day, "measure": measure, **row} for row in _estimates(y)]
    return pl.DataFrame(rows, schema=schema_of(COLUMNS))


def _values(group: pl.DataFrame) -> tuple[list[int | None], dict[str, NDArray[np.float64]]]:
    """The days, and v of each measure: float64 (days, coalitions, users, seeds).

    v is NaN where a user has no value in one of the arms.
    """
    columns = (days_as_numbers(group), group["user_id"], group["seed"])
    (days, at_day), (users, at_user), (seeds, at_seed) = (
        np.unique(column.to_numpy(), return_inverse=True) for column in columns
    )
    at_arm = (group["arm"] == "placebo").to_numpy().astype(np.int64)
    coalition = group["gates"].to_physical().to_numpy()
    if np.unique(coalition).size != COALITIONS - 1:
        raise ValueError(f"games must hold all {COALITIONS - 1} sets of open gates, in both arms")
    shape = (days.size, len(CHANNEL_ARMS), COALITIONS, users.size, seeds.size)
    where = (at_day, at_arm, coalition, at_user, at_seed)
    v = {}
    for measure in (name for name in RUNGS if name in group.columns):
        cube = np.full(shape, np.nan)
        cube[where] = group[measure].to_numpy()
        cube[:, :, 0] = 0.0  # with no gate open, both arms are the twin
        v[measure] = cube[:, 0] - cube[:, 1]
    return [day_of(number) for number in days], v


def _estimates(v: NDArray[np.float64]) -> Iterator[dict[str, Any]]:
    """Rows of one measure and day.

    Args:
        v: float64 (coalitions, users, seeds). Only users with a value in every world count, so that
            the parts sum to the total.
    """
    v = v[:, ~np.isnan(v).any(axis=(0, 2))]
    shares, gates = shapley(v), list(GATES)
    pairs = [f"{gates[i]} x {gates[j]}" for i, j in pairs_of(len(gates))]
    parts: dict[str, tuple[Sequence[str], NDArray[np.float64]]] = {
        "total": (["all"], shares.total[None]),
        "shapley": (gates, shares.shapley),
        "first_in": (gates, shares.first_in),
        "last_in": (gates, shares.last_in),
        "interaction": (pairs, shares.interaction),
    }
    for part, (names, y) in parts.items():
        interval = two_way_interval(y)
        adjusted = holm(interval.p_value)
        for i, channel in enumerate(names):
            figures = {
                "mean": interval.mean[i],
                "ci_low": interval.low[i],
                "ci_high": interval.high[i],
                "p_value": interval.p_value[i],
                "p_holm": adjusted[i],
            }
            row = {name: None if np.isnan(x) else float(x) for name, x in figures.items()}
            counts = {"n_users": v.shape[1], "n_seeds": v.shape[2]}
            yield {"part": part, "channel": channel, **row, **counts}
