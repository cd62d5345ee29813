"""Per-user values of all measures: of A, of B and of the floor, by day and over all days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.measures.pair import FeedPair, Measure
from recsys.served.days import Plan
from recsys.served.read import Served

FEEDS = ("a", "b", "floor")
"""Kinds of per-user values: levels of A; levels of B and its drift from A; drift of the floor."""
EXCESS = "excess"
"""Kind of the values drift - turnover: a user's mean over the days with both. It exists over all
days only."""


@dataclass(frozen=True, eq=False)
class Items:
    """Data of the items, each (n_items,) or (n_items, d), as in `FeedPair`; None if not known."""

    attributes: Mapping[str, NDArray[np.int32]]
    from_newcomers: NDArray[np.bool_] | None = None
    creators: NDArray[np.int32] | None = None
    popularity: NDArray[np.float64] | None = None
    vectors: NDArray[np.float32] | None = None


class Rows(NamedTuple):
    """Values of some users.

    Attributes:
        users: int32 (n,), numbers of the users, ascending.
        values: float64 (n,) by name of the measure. In rows of the floor the value of a level is
            the difference between the two feeds that give the floor.
    """

    users: NDArray[np.int32]
    values: dict[str, NDArray[np.float64]]


Values = dict[tuple[str, int | None], Rows]
"""Rows by kind (`FEEDS`, `EXCESS`) and day; day None is the mean over days."""


class _Pair(NamedTuple):
    """Two sets of feeds to compare, each of one frame and one day."""

    first: Served
    second: Served
    days: tuple[int, int]
    """Day of the first and of the second feeds."""
    before: tuple[int, NDArray[np.int32]] | None = None
    """Earlier day from which the turnover of the second feeds is measured, and the users who were
    measured on that day; None if there is no such day."""


def measured(
    feeds: Mapping[str, Served], plan: Plan, items: Items, measures: Mapping[str, Measure]
) -> tuple[Values, dict[str, int]]:
    """Values of all users, by day and over all days; and the number of feeds that were left out.

    A user is measured on a day if every frame holds a feed of the user.

    Args:
        feeds: feeds by frame: "a", "b" and, if given, "reference".
        plan: the days to compare.
        items: data of the items.
        measures: the measures, by name.

    Returns:
        The values; and for each frame the number of feeds of users who were not measured.
    """
    values: Values = {}
    left_out = dict.fromkeys(feeds, 0)
    measured_users: dict[int, NDArray[np.int32]] = {}

    def before(day: int) -> tuple[int, NDArray[np.int32]] | None:
        earlier = plan.before.get(day)
        return None if earlier is None else (earlier, measured_users[earlier])

    levels = {name: measure for name, measure in measures.items() if measure.kind == "level"}
    for pair in plan.pairs:
        by_frame = _users_by_frame(feeds, plan, pair)
        users = _in_all(list(by_frame.values()))
        for name, of_frame in by_frame.items():
            left_out[name] += of_frame.size - users.size
        day = pair[1]
        measured_users[day] = users
        b_beside_a = _Pair(feeds["a"], feeds["b"], pair, before(day))
        a_beside_itself = _Pair(feeds["a"], feeds["a"], (pair[0],) * 2, before(pair[0]))
        values["b", day] = _rows(b_beside_a, users, items, measures)
        values["a", day] = _rows(a_beside_itself, users, items, levels)
        other = feeds["reference"] if plan.floor == "reference" else feeds["a"]
        floors = [
            _floor_rows(
                _Pair(feeds["a"], other, days, before(days[1])),
                _Pair(feeds["a"], feeds["a"], (days[0],) * 2, before(days[0])),
                users,
                items,
                measures,
            )
            for days in plan.floors.get(day, ())
        ]
        if floors:
            values["floor", day] = _mean_of(floors)
    days = [day for _, day in plan.pairs]
    for name in FEEDS:
        by_day = [values[name, day] for day in days if (name, day) in values]
        if by_day:
            values[name, None] = _mean_of(by_day)
    excess = [_excess(values, day, measures) for day in days if ("floor", day) in values]
    if plan.floor == "turnover" and excess:
        values[EXCESS, None] = _mean_of(excess)
    elif len(days) > 1:
        _pool_mixes(values, feeds, plan, measured_users, items, measures)
    return values, left_out


def _users_by_frame(
    feeds: Mapping[str, Served], plan: Plan, pair: tuple[int, int]
) -> dict[str, NDArray[np.int32]]:
    """The users with feeds on the days of a comparison, by frame."""
    users = {name: feeds[name].user[feeds[name].on(d)] for name, d in zip("ab", pair, strict=True)}
    if plan.floor == "reference":
        ((_, day),) = plan.floors[pair[1]]
        users["reference"] = feeds["reference"].user[feeds["reference"].on(day)]
    return users


def _excess(values: Values, day: int, measures: Mapping[str, Measure]) -> Rows:
    """drift - floor on one day, for the users with a floor."""
    floor, b, a = (values[name, day] for name in ("floor", "b", "a"))
    excess = {}
    for name, measure in measures.items():
        drift = b.values[name]
        if measure.kind == "level":
            drift = drift - a.values[name]
        excess[name] = drift[np.searchsorted(b.users, floor.users)] - floor.values[name]
    return Rows(floor.users, excess)


def _in_all(users: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """The users who are in each of some arrays, ascending."""
    common = users[0]
    for others in users[1:]:
        common = np.intersect1d(common, others, assume_unique=True)
    return common


def _floor_rows(
    pair: _Pair,
    first_beside_itself: _Pair,
    users: NDArray[np.int32],
    items: Items,
    measures: Mapping[str, Measure],
) -> Rows:
    """Drift of the second feeds of a pair from the first, and differences of levels."""
    users = _in_all([users, *(s.user[s.on(d)] for s, d in zip(pair[:2], pair.days, strict=True))])
    rows = _rows(pair, users, items, measures)
    levels = {name: measure for name, measure in measures.items() if measure.kind == "level"}
    before = _rows(first_beside_itself, users, items, levels)
    differences = {name: rows.values[name] - before.values[name] for name in levels}
    return Rows(users, {**rows.values, **differences})


def _rows(
    pair: _Pair, users: NDArray[np.int32], items: Items, measures: Mapping[str, Measure]
) -> Rows:
    """Values of all measures for users with feeds on both sides of a pair."""
    if not users.size:
        return Rows(users, {name: np.empty(0) for name in measures})
    sides = []
    for served, day in zip(pair[:2], pair.days, strict=True):
        rows = served.on(day)
        at = rows.start + np.searchsorted(served.user[rows], users)
        sides.append((served.ids[at], None if served.scores is None else served.scores[at]))
    (reference, reference_scores), (ids, scores) = sides
    feeds = _feed_pair(reference, ids, items, reference_scores, scores)
    if "turnover" not in measures:
        return Rows(users, {name: measure(feeds) for name, measure in measures.items()})
    previous, with_previous = _previous(pair, users)
    feeds = replace(feeds, previous=previous)
    values = {name: measure(feeds) for name, measure in measures.items()}
    values["turnover"] = np.where(np.isin(users, with_previous), values["turnover"], np.nan)
    return Rows(users, values)


def _previous(pair: _Pair, users: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Feeds of the second frame on the earlier day of a pair, (n, k); and the users who have one.

    A user has one if the user was measured on that day; the rows of other users hold -1.
    """
    previous = np.full((users.size, pair.second.ids.shape[1]), -1, dtype=np.int32)
    if pair.before is None:
        return previous, users[:0]
    day, measured_then = pair.before
    with_previous = np.intersect1d(users, measured_then, assume_unique=True)
    rows = pair.second.on(day)
    at = rows.start + np.searchsorted(pair.second.user[rows], with_previous)
    previous[np.searchsorted(users, with_previous)] = pair.second.ids[at]
    return previous, with_previous


def _feed_pair(
    reference: NDArray[np.int32],
    ids: NDArray[np.int32],
    items: Items,
    reference_scores: NDArray[np.float64] | None = None,
    scores: NDArray[np.float64] | None = None,
    days: int = 1,
) -> FeedPair:
    """A pair for measures; with several days the feeds of the days stand end to end in a row."""
    examine = 1 / np.log2(np.arange(2, ids.shape[1] // days + 2))
    return FeedPair(
        reference=reference,
        feeds=ids,
        attributes=items.attributes,
        from_newcomers=items.from_newcomers,
        examine=np.tile(examine, days),
        creators=items.creators,
        popularity=items.popularity,
        vectors=items.vectors,
        reference_scores=reference_scores,
        scores=scores,
    )


def _mean_of(several: Sequence[Rows]) -> Rows:
    """Mean of each user over the rows with a value, summed in the order of the rows."""
    users = np.unique(np.concatenate([rows.users for rows in several]))
    values = {}
    for name in several[0].values:
        total, count = np.zeros(users.size), np.zeros(users.size)
        for rows in several:
            has_value = ~np.isnan(rows.values[name])
            at = np.searchsorted(users, rows.users[has_value])
            total[at] += rows.values[name][has_value]
            count[at] += 1
        values[name] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return Rows(users, values)


def _pool_mixes(
    values: Values,
    feeds: Mapping[str, Served],
    plan: Plan,
    measured_users: Mapping[int, NDArray[np.int32]],
    items: Items,
    measures: Mapping[str, Measure],
) -> None:
    """Replaces the means over days of mix distances by distances of mixes pooled over all days.

    Distances between mixes of few slots are biased upwards, so the feeds of all days are put end to
    end. This is not done where the floor is turnover, because the two sides of the floor would then
    share all days but one.
    """
    pooled = {name: measure for name, measure in measures.items() if measure.pooled}
    users = values["b", None].users
    if not pooled or not users.size:
        return
    sides = {"b": [(feeds["a"], feeds["b"], days) for days in plan.pairs]}
    if plan.floor == "reference":
        floors = [plan.floors[day][0] for _, day in plan.pairs]
        sides["floor"] = [(feeds["a"], feeds["reference"], days) for days in floors]
    for name, pairs in sides.items():
        ends = []
        for side in (0, 1):
            parts = []
            for (*both, days), of_day in zip(pairs, measured_users.values(), strict=True):
                served = both[side]
                ids = np.full((users.size, served.ids.shape[1]), -1, dtype=np.int32)
                rows = served.on(days[side])
                at = rows.start + np.searchsorted(served.user[rows], of_day)
                ids[np.searchsorted(users, of_day)] = served.ids[at]
                parts.append(ids)
            ends.append(np.concatenate(parts, axis=1))
        all_days = _feed_pair(ends[0], ends[1], items, days=len(pairs))
        distances = {key: each(all_days) for key, each in pooled.items() if each.kind == "drift"}
        values[name, None].values.update(distances)
