"""The tables `front` and `dominated`: what mitigations do to drift, and what they cost both sides.

Mitigations of the same recommender are compared by 95 % intervals of paired differences: same
users, same seeds. One dominates another if it is better in some quantity, by more than the margin
with an interval above 0, and if in every quantity the interval rules out that it is worse by more
than the margin.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.statistics import nested_interval, net_values, two_way_interval
from recsys.study.tables.drift import SATURATED
from recsys.study.tables.headline import FLOOR
from recsys.study.tables.table import Column, Columns, common, schema_of

Values = NDArray[np.float64]
Variant = tuple[str, str]


@dataclass(frozen=True)
class Quantity:
    """A quantity that a mitigation may make better or worse.

    Attributes:
        measure: a column of the per-user rows, such as "slots_changed".
        cohort: the users whose values are taken, "incumbent" or "newcomer".
        net: whether the floor is taken out, as in `recsys.study.tables.headline`.
        less: the arm whose value is subtracted from the influx's; None if none is.
        sign: 1 if more is better, -1 if less is better; 0 if neither is, so that the quantity has
            no say in what dominates what.
        margin: largest difference that does not matter: in shares of slots, or as a share of the
            value that the recommender has without a mitigation.
        exposed: whether only the tenth of the users counts whose feeds hold most newcomers' posts
            under the recommender without a mitigation; they are others in each seed.
    """

    measure: str
    cohort: str = "incumbent"
    net: bool = False
    less: str | None = None
    sign: int = 1
    margin: float = 0.05
    exposed: bool = False

    @property
    def differs(self) -> bool:
        """Whether each seed has other users."""
        return self.exposed or self.cohort == "newcomer"


_EXPOSURE, _EXPOSED = "displaced", 0.1
"""The measure by which users are the most exposed, and the share of users who are."""

QUANTITIES: dict[str, Quantity] = {
    "net": Quantity("slots_changed", net=True, sign=-1, margin=0.01),
    "net_of_exposed": Quantity("slots_changed", net=True, sign=-1, margin=0.02, exposed=True),
    "changed": Quantity("slots_changed", sign=-1, margin=0.01),
    "utility_of_exposed": Quantity("utility", margin=0.02, exposed=True),
    "utility_change": Quantity("utility", less="control", sign=0),
    "utility": Quantity("utility", margin=0.01),
    "newcomers_utility": Quantity("utility", cohort="newcomer"),
    "newcomers_exposure": Quantity("newcomer_share"),
}
"""The quantities by name.

`changed` is what users see, chance included. A feed that chance changes less has a lower floor, so
a mitigation may raise `net` although users see less change. The mean hides who is hit;
`net_of_exposed` and `utility_of_exposed` are of the tenth with most newcomers' posts.

`utility_change` has no better side: a mitigation that lowers utility as much with the influx as
without it has no `utility_change`. Its cost shows in `utility`.
"""

COLUMNS: Columns = {
    **common("recommender", "mitigation"),
    "quantity": Column(pl.String, "what is compared, such as `net`"),
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
    """Each quantity under each mitigation, and its paired difference to no mitigation.

    Args:
        per_user: as in `StudyResult.per_user`, of a world.

    Returns:
        The columns of `COLUMNS`, over all days. Only incumbents with a value in every seed count.
        Newcomers are other people in each seed; `n_users` is their number in all seeds.
    """
    by_variant, rows = _by_variant(per_user), []
    for variant, values in by_variant.items():
        plain = by_variant[variant[0], "none"]
        for name, value in values.items():
            estimate = _interval(name, value)
            difference = _interval(name, value - plain[name]) if variant[1] != "none" else _NOTHING
            row = (*variant, name, *estimate, *difference, *_counts(name, value))
            rows.append(dict(zip(COLUMNS, row, strict=True)))
    return pl.DataFrame(rows, schema=schema_of(COLUMNS))


def dominated(per_user: pl.DataFrame) -> pl.DataFrame:
    """Which mitigations are dominated by which others.

    Args:
        per_user: as in `StudyResult.per_user`, of a world.

    Returns:
        The columns of `DOMINATED`, a row for each such pair; no row with one seed, which gives no
        intervals.
    """
    by_variant = _by_variant(per_user)
    rows = []
    for (recommender, mitigation), values in by_variant.items():
        plain = by_variant[recommender, "none"]
        for (other, by), values_by in by_variant.items():
            if other != recommender or by == mitigation:
                continue
            better = _better_in(values_by, values, plain)
            if better:
                rows.append((recommender, mitigation, by, ", ".join(better)))
    return pl.DataFrame(rows, schema=schema_of(DOMINATED), orient="row")


def _better_in(
    one: Mapping[str, Values], other: Mapping[str, Values], plain: Mapping[str, Values]
) -> list[str]:
    """Quantities in which one mitigation is clearly better than another.

    Empty if the interval of any quantity leaves room for it to be worse by more than the margin.

    Args:
        one: float64 (users, seeds) of each quantity.
        other: the same under the other mitigation.
        plain: the same without a mitigation.
    """
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
    """Mean of a quantity and the ends of its 95 % interval; None where there is none."""
    estimate = nested_interval if QUANTITIES[name].differs else two_way_interval
    if not _counted(name, values).any():
        return _NOTHING
    interval = estimate(values)
    if np.isnan(interval.low):
        return float(interval.mean), None, None
    return float(interval.mean), float(interval.low), float(interval.high)


def _counts(name: str, values: Values) -> tuple[int, int]:
    """Number of users and number of seeds that a mean rests on."""
    return int(_counted(name, values).sum()), int((~np.isnan(values)).any(axis=0).sum())


def _counted(name: str, values: Values) -> NDArray[np.bool_]:
    """Whose values count: bool (users, seeds), or (users,) where each seed must have a value."""
    has_value = ~np.isnan(values)
    return np.asarray(has_value if QUANTITIES[name].differs else has_value.all(axis=1))


def _by_variant(per_user: pl.DataFrame) -> dict[Variant, dict[str, Values]]:
    """Each quantity of each recommender and mitigation: float64 (users, seeds), NaN for no value.

    Users and seeds have the same order in all of them.
    """
    cubes = _Cubes(per_user.filter(pl.col("day").is_null()))
    whole = cubes.whole
    variants = list(whole.select("recommender", "mitigation").unique(maintain_order=True).rows())
    measured = dict(_measured(whole))
    return {
        variant: {name: cubes.measured(variant, quantity) for name, quantity in measured.items()}
        for variant in variants
    }


class _Cubes:
    """The values of per-user rows: by recommender, mitigation, arm and measure.

    Attributes:
        whole: rows over all days.
    """

    def __init__(self, whole: pl.DataFrame) -> None:
        self.whole = whole
        self._seeds = np.unique(whole["seed"].to_numpy())
        self._users = {
            cohort: np.unique(whole.filter(pl.col("cohort") == cohort)["user_id"].to_numpy())
            for cohort in ("incumbent", "newcomer")
        }
        keys = ("recommender", "mitigation", "arm", "cohort")
        self._rows: dict[tuple[Any, ...], pl.DataFrame] = dict(
            iter(whole.group_by(*keys, maintain_order=True))
        )
        arms = set(whole["arm"].unique())
        self._floor = FLOOR if FLOOR in arms else "retrain"

    def measured(self, variant: Variant, quantity: Quantity) -> Values:
        """A quantity of a recommender and mitigation.

        Args:
            variant: recommender and mitigation.
            quantity: what is measured.
        """
        values = self._of(variant, "influx", quantity)
        if quantity.less is not None:
            values = values - self._of(variant, quantity.less, quantity)
        chosen = self._exposed(variant[0]) if quantity.exposed else ~np.isnan(values)
        values = np.where(chosen, values, np.nan)
        if not quantity.net:
            return values
        floor = np.where(chosen, self._of(variant, self._floor, quantity), np.nan)
        return _net(values, floor)

    def _of(self, variant: Variant, arm: str, quantity: Quantity) -> Values:
        rows = self._rows.get((*variant, arm, quantity.cohort))
        users, seeds = self._users[quantity.cohort], self._seeds
        values = np.full((users.size, seeds.size), np.nan)
        if rows is None:
            # A recommender that a training seed does not change has no arm retrain.
            return np.zeros_like(values) if arm == "retrain" else values
        draws = rows["draw"].n_unique()
        sums = np.zeros_like(values)
        place = np.searchsorted(users, rows["user_id"].to_numpy())
        at = (place, np.searchsorted(seeds, rows["seed"].to_numpy()))
        np.add.at(sums, at, rows[quantity.measure].to_numpy())
        values[at] = sums[at] / draws
        return values

    def _exposed(self, recommender: str) -> NDArray[np.bool_]:
        """Bool (users, seeds): the most exposed tenth of the incumbents of each seed."""
        taken = self._of((recommender, "none"), "influx", Quantity(_EXPOSURE))
        most = max(round(_EXPOSED * taken.shape[0]), 1)
        order = np.argsort(-np.nan_to_num(taken, nan=-1.0), axis=0, kind="stable")[:most]
        chosen = np.zeros(taken.shape, dtype=np.bool_)
        np.put_along_axis(chosen, order, True, axis=0)
        return chosen


def _net(changed: Values, floor: Values) -> Values:
    """Net of the floor, as `net_values`; all NaN where the floor leaves too little room."""
    by_seed = np.nanmean(floor, axis=0) if np.isfinite(floor).any(axis=0).all() else np.ones(1)
    if by_seed.mean() >= SATURATED or by_seed.max() >= 1:
        return np.full(changed.shape, np.nan)
    return net_values(changed, floor)


def _measured(whole: pl.DataFrame) -> Iterator[tuple[str, Quantity]]:
    """The quantities of which the rows hold the measure, the arms and the cohort."""
    cohorts = set(whole["cohort"].cast(pl.String).unique())
    arms = set(whole["arm"].unique())
    for name, quantity in QUANTITIES.items():
        has_arm = quantity.less is None or quantity.less in arms
        known = _EXPOSURE in whole.columns or not quantity.exposed
        if quantity.measure in whole.columns and has_arm and known and quantity.cohort in cohorts:
            yield name, quantity
