"""Through which channels newcomers change incumbents' feeds: estimates of each channel's part.

For each user and seed, v(W) is a measure in the influx less the same in the placebo, with the
gates W open. Its Shapley values, which are linear in v, are taken user by user; intervals are
those of their means over users and seeds.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.statistics import holm, pairs_of, shapley, two_way_interval
from recsys.study.arms.gated import CHANNEL_ARMS, COALITIONS, RUNGS
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
_HEADLINE = -1


def channels(games: pl.DataFrame) -> pl.DataFrame:
    """Each channel's part of *composition*, by recommender, day and measure.

    Args:
        games: recommender · mitigation · arm · gates · seed · day · user_id · and a column for each
            measure; the arm is influx or placebo, and every set of gates but the empty one is
            there. With no gate open the two do not differ.

    Returns:
        The columns of `COLUMNS`; the five means of `shapley` sum to the total.

    Raises:
        ValueError: a set of gates is missing.
    """
    rows: list[dict[str, Any]] = []
    for keys, group in games.group_by("recommender", "mitigation", maintain_order=True):
        named = dict(zip(("recommender", "mitigation"), keys, strict=True))
        days, values = _values(group)
        for measure, cube in values.items():
            for day, y in zip(days, cube, strict=True):
                found = list(_estimates(y))
                rows += [{**named, "day": day, "measure": measure, **row} for row in found]
    return pl.DataFrame(rows, schema=schema_of(COLUMNS))


def _values(group: pl.DataFrame) -> tuple[list[int | None], dict[str, NDArray[np.float64]]]:
    """v, float64 (days, coalitions, users, seeds), of each measure; NaN where it is not known."""
    columns = (group["day"].fill_null(_HEADLINE), group["user_id"], group["seed"])
    (days, at_day), (users, at_user), (seeds, at_seed) = (
        np.unique(column.to_numpy(), return_inverse=True) for column in columns
    )
    at_arm = (group["arm"] == "placebo").to_numpy().astype(np.int64)
    coalition = group["gates"].to_physical().to_numpy()
    if np.unique(coalition).size != COALITIONS - 1:
        raise ValueError(f"games must hold all {COALITIONS - 1} sets of open gates, in both arms")
    shape = (days.size, len(CHANNEL_ARMS), COALITIONS, users.size, seeds.size)
    where = (at_day, at_arm, coalition, at_user, at_seed)
    found = {}
    for measure in (name for name in RUNGS if name in group.columns):
        cube = np.full(shape, np.nan)
        cube[where] = group[measure].to_numpy()
        cube[:, :, 0] = 0.0
        found[measure] = cube[:, 0] - cube[:, 1]
    return [None if day == _HEADLINE else int(day) for day in days], found


def _estimates(v: NDArray[np.float64]) -> Iterator[dict[str, Any]]:
    """Rows of one measure and day from float64 (coalitions, users, seeds).

    Users count who have a value in every world, so that parts sum to the total.
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
            known = {name: None if np.isnan(x) else float(x) for name, x in figures.items()}
            counts = {"n_users": v.shape[1], "n_seeds": v.shape[2]}
            yield {"part": part, "channel": channel, **known, **counts}
