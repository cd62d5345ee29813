"""The front: what each mitigation does to drift, and what it costs both sides.

A mitigation is dominated by another of the same recommender if that is better in one respect, by
more than a margin and beyond doubt, and beyond doubt worse in none by more than the margin; both by
intervals of paired differences: same users, same seeds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.statistics import nested_interval, two_way_interval
from recsys.study.tables.table import Column, Columns, common, schema_of

Values = NDArray[np.float64]
Variant = tuple[str, str]


@dataclass(frozen=True)
class Quantity:
    """Something that a mitigation may make better or worse.

    Attributes:
        measure: a column of per-user values.
        cohort: whose.
        arm: the arm in which it is taken.
        less: the arm whose value is subtracted; None for a level.
        sign: 1 if more is better, -1 if less is; 0 if neither, so that it decides nothing.
        margin: how much is no matter: of drift as it is, else of the plain recommender's.
    """

    measure: str
    cohort: str = "incumbent"
    arm: str = "influx"
    less: str | None = None
    sign: int = 1
    margin: float = 0.05


QUANTITIES: dict[str, Quantity] = {
    "drift_total": Quantity("posts", less="retrain", sign=-1, margin=0.01),
    "drift_with_noise": Quantity("posts", sign=-1, margin=0.01),
    "drift_composition": Quantity("posts", less="placebo", sign=0),
    "utility_change": Quantity("utility", less="control", sign=0),
    "utility": Quantity("utility", margin=0.01),
    "newcomers_utility": Quantity("utility", cohort="newcomer"),
    "newcomers_exposure": Quantity("newcomer_share"),
}
"""By name. A list that changes by training anyway has less room left to change, so taking the noise
away may raise `drift_total` while users see less change: `drift_with_noise` is what they see.
Neither side of `drift_composition` is the better one, and `utility` holds what its change leaves: a
mitigation that lowers utility with and without the influx changes nothing."""

COLUMNS: Columns = {
    **common("recommender", "mitigation"),
    "quantity": Column(pl.String, "what is compared, such as `drift_total`"),
    **common("mean", "ci_low", "ci_high"),
    "less_none": Column(
        pl.Float64, "paired difference to the same recommender without a mitigation"
    ),
    "less_none_ci_low": Column(pl.Float64, "lower end of its 95 % interval"),
    "less_none_ci_high": Column(pl.Float64, "upper end of it"),
    **common("n_users", "n_seeds"),
}
DOMINATED: Columns = {
    **common("recommender", "mitigation"),
    "by": Column(pl.String, "the mitigation that dominates it; `none` is the plain recommender"),
    "better_in": Column(pl.String, "quantities in which that one is better, joined by a comma"),
}


def front(per_user: pl.DataFrame) -> pl.DataFrame:
    """Each quantity under each mitigation, and its paired difference to the plain recommender's.

    Args:
        per_user: as in `StudyResult.per_user`, of a world.

    Returns:
        The columns of `COLUMNS`, over all days. Users count who have a value in every seed;
        newcomers are others in each seed, and are counted over all.
    """
    every, rows = _by_variant(per_user), []
    for variant, values in every.items():
        none = every[variant[0], "none"]
        for name, value in values.items():
            found = _interval(name, value)
            against = _interval(name, value - none[name]) if variant[1] != "none" else _NOTHING
            row = (*variant, name, *found, *against, *_counts(name, value))
            rows.append(dict(zip(COLUMNS, row, strict=True)))
    return pl.DataFrame(rows, schema=schema_of(COLUMNS))


def dominated(per_user: pl.DataFrame) -> pl.DataFrame:
    """Who is dominated by whom, where the intervals say so.

    Args:
        per_user: as in `StudyResult.per_user`, of a world.

    Returns:
        The columns of `DOMINATED`; a row for each pair, none where seeds are too few for intervals.
    """
    every = _by_variant(per_user)
    rows = []
    for (recommender, mitigation), values in every.items():
        plain = every[recommender, "none"]
        for (other, by), theirs in every.items():
            if other != recommender or by == mitigation:
                continue
            better = _better_in(theirs, values, plain)
            if better:
                rows.append((recommender, mitigation, by, ", ".join(better)))
    return pl.DataFrame(rows, schema=schema_of(DOMINATED), orient="row")


def _better_in(
    one: Mapping[str, Values], other: Mapping[str, Values], plain: Mapping[str, Values]
) -> list[str]:
    """In what one is clearly better than the other; nothing if it may be worse in anything."""
    better = []
    for name, values in one.items():
        quantity = QUANTITIES[name]
        if quantity.sign == 0:
            continue
        mean, low, _ = _interval(name, quantity.sign * (values - other[name]))
        if mean is None or low is None:
            return []
        scale = 1.0 if quantity.sign < 0 else abs(float(np.nanmean(plain[name])))
        if low < -quantity.margin * scale:
            return []
        if low > 0 and mean > quantity.margin * scale:
            better.append(name)
    return better


_NOTHING = (None, None, None)


def _interval(name: str, values: Values) -> tuple[float | None, float | None, float | None]:
    """Mean and 95 % interval; newcomers are other people in each seed."""
    estimate = nested_interval if QUANTITIES[name].cohort == "newcomer" else two_way_interval
    if np.isnan(values).all():
        return _NOTHING
    found = estimate(values)
    if np.isnan(found.low):
        return float(found.mean), None, None
    return float(found.mean), float(found.low), float(found.high)


def _counts(name: str, values: Values) -> tuple[int, int]:
    """Over how many users and seeds a mean is taken."""
    known = ~np.isnan(values)
    whose = known if QUANTITIES[name].cohort == "newcomer" else known.all(axis=1)
    return int(whose.sum()), int(known.any(axis=0).sum())


def _by_variant(per_user: pl.DataFrame) -> dict[Variant, dict[str, Values]]:
    """Each quantity's float64 (users, seeds), NaN where somebody has none; in the same order of
    users and seeds for all."""
    whole = per_user.filter(pl.col("day").is_null())
    seeds = np.unique(whole["seed"].to_numpy())
    users = {
        cohort: np.unique(whole.filter(pl.col("cohort") == cohort)["user_id"].to_numpy())
        for cohort in ("incumbent", "newcomer")
    }
    keys = ("recommender", "mitigation", "arm", "cohort")
    tables: dict[tuple[Any, ...], pl.DataFrame] = dict(
        iter(whole.group_by(*keys, maintain_order=True))
    )

    def of(variant: Variant, arm: str, quantity: Quantity) -> Values:
        rows = tables.get((*variant, arm, quantity.cohort))
        known = users[quantity.cohort]
        values = np.full((known.size, seeds.size), np.nan)
        if rows is None or quantity.measure not in rows.columns:
            # a recommender without a training seed has no retrain arm: there nothing drifts
            return np.zeros_like(values) if arm == "retrain" else values
        place = np.searchsorted(known, rows["user_id"].to_numpy())
        values[place, np.searchsorted(seeds, rows["seed"].to_numpy())] = rows[
            quantity.measure
        ].to_numpy()
        return values

    variants = list(whole.select("recommender", "mitigation").unique(maintain_order=True).rows())
    arms = set(whole["arm"].unique()) | {"retrain"}
    return {
        variant: {
            name: of(variant, quantity.arm, quantity)
            - (0.0 if quantity.less is None else of(variant, quantity.less, quantity))
            for name, quantity in _known(whole, arms)
        }
        for variant in variants
    }


def _known(whole: pl.DataFrame, arms: set[str]) -> Iterator[tuple[str, Quantity]]:
    """The quantities whose measures and arms are there, and of somebody."""
    cohorts = set(whole["cohort"].cast(pl.String).unique())
    for name, quantity in QUANTITIES.items():
        there = quantity.less is None or quantity.less in arms
        if quantity.measure in whole.columns and there and quantity.cohort in cohorts:
            yield name, quantity
