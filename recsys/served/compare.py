"""Compares two frames of feeds that were served, without training and without a world.

A holds the reference feeds, such as those of a control group or of the time before a change. B
holds the feeds under test. The floor is the drift that occurs anyway: between two realisations of
A, or from one day of A to the next. Only drift beyond the floor is an effect of B.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import ConfigError, LogError, nearest
from recsys.logs.columns import texts
from recsys.logs.frames import renamed
from recsys.logs.schema import to_polars
from recsys.measures.pair import Measure
from recsys.measures.rows import Attributes, described, measures_of
from recsys.served.days import Plan, plan_days
from recsys.served.estimates import (
    EVERYBODY,
    drift_of,
    groups_of,
    per_user_of,
    quantiles_of,
    summary_of,
)
from recsys.served.items import items_of
from recsys.served.read import Numbers, Served, read_feeds, rows_of_ids
from recsys.served.values import Items, measured
from recsys.study.tables.groups import UNKNOWN, groups_of_users, in_order


@dataclass(frozen=True)
class FeedComparison:
    """The differences between two frames of feeds.

    A user is measured on the days on which every frame holds a feed of the user. In each table a
    null day stands for the mean over all days.

    Attributes:
        k: number of ranks that were compared.
        floor: what the floor is: "reference" (drift of the third frame from A), "turnover" (drift
            of A from one day to the next) or None.
        per_user: feeds · day · cohort · user_id · a column for each measure. In rows with feeds "a"
            there are levels of A. In rows with "b" there are levels of B, and drift of B from A. In
            rows with "floor" there is the drift of the floor, and for a level the difference.
        summary: feeds · day · cohort · measure · mean · ci_low · ci_high · n_users.
        drift: day · cohort · measure · a · b · drift · floor · excess · saturated · n_users, where
            drift, floor and excess have columns _ci_low and _ci_high too. a and b are the levels of
            A and B, null for a measure of drift. drift is the drift of B from A, or b - a for a
            level. excess is drift - floor, taken user by user. Where the floor is turnover, drift
            over all days uses every day, and excess only a user's days with a floor.
        quantiles: feeds · day · cohort · measure · mean · p10 · p50 · p90 · p99 · top_tenth ·
            n_users.
        groups: attribute · group · measure and the columns of `drift` from a on; over all days.
        measures: measure · title · kind · unit · formula.
        notes: sentences that say how to read the figures.
    """

    k: int
    floor: str | None
    per_user: pl.DataFrame
    summary: pl.DataFrame
    drift: pl.DataFrame
    quantiles: pl.DataFrame
    groups: pl.DataFrame
    measures: pl.DataFrame
    notes: tuple[str, ...] = ()


def compare_feeds(
    a: Any,
    b: Any,
    reference: Any = None,
    users: Any = None,
    items: Any = None,
    *,
    k: int | None = None,
    columns: Mapping[str, str] | None = None,
    cohort: str = "cohort",
    attributes: Sequence[str] | Mapping[str, str] | None = None,
    groups: Sequence[str] = (),
) -> FeedComparison:
    """Measures the drift of feeds B from feeds A, and how far it exceeds the floor.

    Frames may be polars, pandas, Arrow or dicts of columns. A frame of feeds has one row per slot,
    with user_id, rank (1 = top), item_id and, if known, day (integer or date) and score. If A and B
    share days, feeds of the same day are compared. If all days of A are earlier than those of B,
    each day of B is compared with the last day of A.

    Args:
        a: the reference feeds, such as those of the control group.
        b: the feeds under test.
        reference: a second realisation of A, such as the other half of an A/A test or the feeds of
            the same model trained with another seed. The floor is its drift from A. Without it the
            floor is the turnover of A: its drift from one day to the next or, where the days of A
            come before those of B, to a day as far away as the day of B.
        users: user_id · a column of cohorts · attributes to group by.
        items: item_id · attributes · creator_id (an item is a newcomer's if its creator is in the
            cohort "newcomer") or creator_cohort · popularity (share of users) · embedding (lists).
        k: number of ranks to compare, such as 20; None for those of the deepest feed.
        columns: names of columns in your frames by the names used here, such as
            `{"item_id": "video"}`; they apply to each frame that has them.
        cohort: column of `users`; figures are given for each of its values and for all users. Rows
            of all users have the cohort "all"; a cohort of yours with this name is called "'all'".
        attributes: columns of `items` whose mixes are measured, such as `("language", "topic")`, or
            {name: column}. None takes those of language, format, topic and product_tag that exist.
            An attribute that has the name of a measure is called "'posts'", in quotation marks.
        groups: columns of `users` for figures by group, such as `("age",)`; numbers are cut into
            thirds.

    Raises:
        LogError: a frame holds no feeds, or frames do not match.
        ConfigError: a named column does not exist.

    Example:
        >>> a = {"user_id": [1, 1, 2, 2], "rank": [1, 2, 1, 2], "item_id": [7, 8, 7, 9]}
        >>> b = {"user_id": [1, 1, 2, 2], "rank": [1, 2, 1, 2], "item_id": [7, 5, 7, 9]}
        >>> changed = compare_feeds(a, b).drift.filter(measure="slots_changed")
        >>> changed["drift"].to_list(), changed["n_users"].to_list()
        ([0.25], [2])
    """
    if k is not None and k < 1:
        raise ConfigError(f"k: {k} is no depth of a feed; give at least 1")
    frames = {"a": a, "b": b, "reference": reference, "users": users, "items": items}
    tables = {name: to_polars(frame, name) for name, frame in frames.items() if frame is not None}
    tables = renamed(tables, columns or {})
    others = {name: tables.pop(name) for name in ("users", "items") if name in tables}
    feeds, numbers = read_feeds(tables, k)
    plan = plan_days(feeds, numbers)
    people = _people(numbers, others.get("users"))
    cohorts = _cohorts(people, cohort, named="users" in others)
    item_data, labels, n_missing = items_of(
        numbers, others.get("items"), others.get("users"), cohort, attributes
    )
    measures = _measures(item_data, labels, feeds, plan)
    values, left_out = measured(feeds, plan, item_data, measures)
    if not numbers.has_days:
        values = {(name, day): rows for (name, day), rows in values.items() if day is None}
    if not values["b", None].users.size:
        raise LogError(_no_users(plan, numbers))
    per_user = per_user_of(values, numbers, cohorts, measures)
    masks = _masks(cohorts)
    cut = groups_of_users(people, groups, "groups")
    grouped = {name: _by_value(cut[name]) for name in cut.columns if name != "user_id"}
    return FeedComparison(
        k=feeds["a"].ids.shape[1],
        floor=plan.floor,
        per_user=per_user,
        summary=summary_of(values, numbers, masks),
        drift=drift_of(values, numbers, masks, measures),
        quantiles=quantiles_of(per_user, several=len(masks) > 1),
        groups=groups_of(values, numbers, grouped, measures),
        measures=described(measures),
        notes=tuple(_notes(plan, numbers, left_out, n_missing)),
    )


def _people(numbers: Numbers, users: pl.DataFrame | None) -> pl.DataFrame:
    """A row of `users` for each user of the feeds, in the order of their numbers."""
    ids = numbers.users.alias("user_id")
    return ids.to_frame() if users is None else rows_of_ids(ids, users, "users")


def _cohorts(people: pl.DataFrame, column: str, *, named: bool) -> pl.Series:
    """Cohort of each user as text; "all" for every user if there is no column "cohort"."""
    if column not in people.columns:
        if column != "cohort":
            where = f"users have no {column!r}" if named else "there is no users frame"
            raise ConfigError(f"cohort: {where}; {nearest(column, people.columns)}")
        return pl.Series("cohort", [EVERYBODY]).new_from_index(0, people.height)
    names = texts(people[column], "users", "a cohort").fill_null(UNKNOWN)
    return names.replace(_quoted(names)).alias("cohort")


def _quoted(names: pl.Series) -> dict[str, str]:
    """Quotation marks for a cohort that has the name of all users, so that both have their rows."""
    distinct = names.unique().to_list()
    return {name: f"'{name}'" for name in distinct if name.strip("'") == EVERYBODY}


def _measures(
    items: Items, labels: Attributes, feeds: Mapping[str, Served], plan: Plan
) -> dict[str, Measure]:
    """The measures that can be computed from what the frames hold."""
    provides = [
        name
        for name in ("from_newcomers", "creators", "popularity", "vectors")
        if getattr(items, name) is not None
    ]
    if all(served.scores is not None for served in feeds.values()):
        provides += ["reference_scores", "scores"]
    if plan.before:
        provides.append("previous")
    return measures_of(provides, labels)


def _masks(cohorts: pl.Series) -> dict[str, NDArray[np.bool_]]:
    """Bool (n_users,) for each cohort and, if there are several, for all users."""
    masks = _by_value(cohorts)
    return masks if len(masks) == 1 else {**masks, EVERYBODY: np.ones(len(cohorts), dtype=np.bool_)}


def _by_value(names: pl.Series) -> dict[str, NDArray[np.bool_]]:
    return {name: (names == name).to_numpy() for name in in_order(names)}


def _no_users(plan: Plan, numbers: Numbers) -> str:
    """The error if no user can be compared."""
    when = " on a day that they share" if numbers.has_days and plan.kind == "same day" else ""
    return f"user_id: no user has a feed in every frame{when}; do the ids mean the same users?"


def _notes(plan: Plan, numbers: Numbers, left_out: Mapping[str, int], n_missing: int) -> list[str]:
    notes = [
        "Intervals are over users alone. They do not cover what changes for all users at once, "
        "such as another training run or another week."
    ]
    if plan.floor == "reference":
        notes.append("Floor: drift of the reference feeds from A. excess = drift - floor.")
    elif plan.floor == "turnover":
        n_with_floor = sum(day in plan.floors for _, day in plan.pairs)
        notes.append(
            "Floor: turnover, the drift of A's feeds between two of its days, as far apart as the "
            "days that are compared. It includes the new items of each day, so excess may be "
            "negative. Mixes are compared day by day, not pooled."
            if plan.kind == "before and after"
            else "Floor: turnover, the drift of A's feeds from the day before. It includes the new "
            "items of each day, which A and B share, so excess may be negative. Mixes are compared "
            "day by day, not pooled. A second realisation of A (reference) makes a better floor."
        )
        if n_with_floor < len(plan.pairs):
            notes.append(
                f"Over all days, excess is a mean over the {n_with_floor} of {len(plan.pairs)} "
                "days with a floor. Drift is a mean over all days, so excess is not drift - floor."
            )
    else:
        notes.append(
            "No floor: drift includes what changes feeds anyway, such as another training run. "
            "Give a second realisation of A (reference), or several days."
        )
    if plan.kind == "before and after":
        last = numbers.days[plan.pairs[0][0]]
        notes.append(f"Before and after: each day of B is compared with A's last day ({last}).")
    counts = [f"{count:,} of {name}" for name, count in left_out.items() if count]
    if counts:
        notes.append(
            f"Feeds left out, because not every frame has a feed of the user on the day: "
            f"{', '.join(counts)}."
        )
    unused = len(numbers.days) - len({day for pair in plan.pairs for day in pair})
    if plan.kind == "same day" and unused:
        notes.append(f"Days left out, because not all frames have them: {unused}.")
    if n_missing:
        notes.append(
            f"{n_missing:,} items have no row in the items frame; their attributes are 'unknown'."
        )
    return notes
