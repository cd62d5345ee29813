"""Feeds you have served: two frames of feeds, compared. No training, no world.

A is the reference (before, control), B the feed under test. What two realisations of A differ by,
or what A changes from day to day, is the floor: only what B changes beyond it is B's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import ConfigError, LogError, nearest
from recsys.logs.read import renamed
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
from recsys.served.items import known_items
from recsys.served.read import Numbers, Served, read_feeds, rows_of_ids
from recsys.served.values import Items, measured
from recsys.study.tables.groups import UNKNOWN, groups_of_users, in_order


@dataclass(frozen=True)
class FeedComparison:
    """What two frames of feeds differ by.

    A user counts on a day with a feed in every frame given.

    Attributes:
        k: depth of the feeds that were compared.
        floor: what the floor is: "reference" (drift of the third frame from A), "turnover" (A's own
            change from day to day) or None.
        per_user: feeds · day · cohort · user_id · a column for each measure. feeds is "a" (levels
            only), "b" (drift of B from A; levels of B) or "floor" (drift; of a level, the
            difference). day is null over all days.
        summary: feeds · day · cohort · measure · mean · ci_low · ci_high · n_users.
        drift: day · cohort · measure · a · b (levels; null for drift) · drift · floor · excess,
            these three with _ci_low and _ci_high · saturated · n_users. drift is B's drift from A,
            of a level b - a; excess = drift - floor, user by user. Where the floor is turnover, the
            headline's drift is over all days, its excess over each user's days that have both.
        quantiles: feeds · day · cohort · measure · mean · p10 · p50 · p90 · p99 · top_tenth ·
            n_users.
        groups: attribute · group · measure and the columns of `drift` from a on; over all days.
        measures: measure · title · kind · unit · formula.
        notes: what a reader of the figures must know, a sentence each.
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
    """Compares feeds that were served: how far B's are from A's, beyond what moves anyway.

    Frames may be polars, pandas, Arrow or dicts of columns. Feeds have a row a slot: user_id, rank
    (1 = top), item_id and, where there are any, day (integer or date) and score. On days that A and
    B share, the same day is compared; where all of A is earlier, A's last day with each of B's.

    Args:
        a: the reference feeds: before, or control.
        b: the feeds under test.
        reference: a second realisation of A, such as the other half of an A/A test or the same
            model trained with another seed; the floor is its drift from A. Without it the floor is
            A's turnover: its drift from one of its days to the next (or as far as B is).
        users: user_id · a column of cohorts · attributes to group by.
        items: item_id · attributes · creator_id (items by users of the cohort "newcomer" are
            newcomers' items) or creator_cohort · popularity (share of readers) · embedding (lists).
        k: ranks to compare; None for the deepest feed.
        columns: your names, as `{ours: theirs}`, in whichever frames have them.
        cohort: column of `users`; figures are given for each of its values and for all.
        attributes: columns of `items` to measure mixes by, or {name: column}. None takes
            those of language, format, topic and product_tag that are there.
        groups: columns of `users` to break the headline down by; numbers are cut into thirds.

    Raises:
        LogError: frames that hold no feeds, or do not match.
        ConfigError: a column named that is not there.

    Example:
        >>> a = {"user_id": [1, 1, 2, 2], "rank": [1, 2, 1, 2], "item_id": [7, 8, 7, 9]}
        >>> b = {"user_id": [1, 1, 2, 2], "rank": [1, 2, 1, 2], "item_id": [7, 5, 7, 9]}
        >>> moved = compare_feeds(a, b).drift.filter(measure="slots_changed")
        >>> moved["drift"].to_list(), moved["n_users"].to_list()
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
    known, labels, missing = known_items(
        numbers, others.get("items"), others.get("users"), cohort, attributes
    )
    measures = _measures(known, labels, feeds, plan)
    values, alone = measured(feeds, plan, known, measures)
    if not numbers.has_days:
        values = {(name, day): rows for (name, day), rows in values.items() if day is None}
    if not values["b", None].users.size:
        raise LogError(_nobody(plan, numbers))
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
        notes=tuple(_notes(plan, numbers, alone, missing)),
    )


def _people(numbers: Numbers, users: pl.DataFrame | None) -> pl.DataFrame:
    """A row for each user of the feeds, in the order of their numbers."""
    ids = numbers.users.alias("user_id")
    return ids.to_frame() if users is None else rows_of_ids(ids, users, "users")


def _cohorts(people: pl.DataFrame, column: str, *, named: bool) -> pl.Series:
    """Text, one a user."""
    if column not in people.columns:
        if column != "cohort":
            where = f"users have no {column!r}" if named else "there is no users frame"
            raise ConfigError(f"cohort: {where}; {nearest(column, people.columns)}")
        return pl.Series("cohort", [EVERYBODY]).new_from_index(0, people.height)
    return people[column].cast(pl.String).fill_null(UNKNOWN).alias("cohort")


def _measures(
    items: Items, labels: Attributes, feeds: Mapping[str, Served], plan: Plan
) -> dict[str, Measure]:
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
    """Who is in each cohort; and everybody, if there are several."""
    masks = _by_value(cohorts)
    return masks if len(masks) == 1 else {**masks, EVERYBODY: np.ones(len(cohorts), dtype=np.bool_)}


def _by_value(names: pl.Series) -> dict[str, NDArray[np.bool_]]:
    return {name: (names == name).to_numpy() for name in in_order(names)}


def _nobody(plan: Plan, numbers: Numbers) -> str:
    when = " on a day that they share" if numbers.has_days and plan.kind == "same day" else ""
    return f"user_id: no user has a feed in every frame{when}; are the ids the same people's?"


def _notes(plan: Plan, numbers: Numbers, alone: Mapping[str, int], missing: int) -> list[str]:
    notes = [
        "Intervals are over users alone. They do not cover what would change for everybody at "
        "once: another training run, another week."
    ]
    if plan.floor == "reference":
        notes.append("Floor: drift of the reference feeds from A. excess = drift - floor.")
    elif plan.floor == "turnover":
        counted = sum(day in plan.floors for _, day in plan.pairs)
        notes.append(
            "Floor: turnover, the drift of A's feeds from one day to the next (as far apart as "
            "what is compared). It holds what is new every day, so excess may be negative; mixes "
            "are day by day, not pooled."
            if plan.kind == "before and after"
            else "Floor: turnover, the drift of A's feeds from the day before. It holds what is "
            "new every day, which A and B share, so excess may be negative; mixes are day by day, "
            "not pooled. A second realisation of A (reference) makes a better floor."
        )
        if counted < len(plan.pairs):
            notes.append(
                f"Over all days, excess rests on {counted} of {len(plan.pairs)} days: those with a "
                "floor, user by user. Drift is over all, so drift - floor is another figure."
            )
    else:
        notes.append(
            "No floor: drift holds whatever moves feeds anyway, such as training again. Give a "
            "second realisation of A (reference), or several days."
        )
    if plan.kind == "before and after":
        last = numbers.days[plan.pairs[0][0]]
        notes.append(f"Before and after: A's last day ({last}) beside each day of B.")
    left = [f"{count:,} of {name}" for name, count in alone.items() if count]
    if left:
        notes.append(
            f"Left out, as the user has no feed in every frame that day: feeds {', '.join(left)}."
        )
    unused = len(numbers.days) - len({day for pair in plan.pairs for day in pair})
    if plan.kind == "same day" and unused:
        notes.append(f"Days that not all frames have, left out: {unused}.")
    if missing:
        notes.append(f"Items without a row in the items frame: {missing:,}; attributes 'unknown'.")
    return notes
