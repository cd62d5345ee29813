"""Every measure of every user's feeds: in A, in B, and on the floor, by day and over all days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.measures.pair import FeedPair, Measure
from recsys.served.days import Plan
from recsys.served.read import Served

FEEDS = ("a", "b", "floor")
"""Rows of per-user values: of A, of B beside A, and of what moves without B."""
EXCESS = "excess"
"""What B moves beyond turnover, over the days on which a user has both; over all days only."""


@dataclass(frozen=True, eq=False)
class Items:
    """What is known of the items, each (n_items,) or (n_items, d), as `FeedPair` takes it."""

    attributes: Mapping[str, NDArray[np.int32]]
    from_newcomers: NDArray[np.bool_] | None = None
    creators: NDArray[np.int32] | None = None
    popularity: NDArray[np.float64] | None = None
    vectors: NDArray[np.float32] | None = None


class Rows(NamedTuple):
    """Values of some users, each once.

    Attributes:
        users: int32 (n,), ascending.
        values: float64 (n,) by measure; of the floor, a level is the difference of two.
    """

    users: NDArray[np.int32]
    values: dict[str, NDArray[np.float64]]


Values = dict[tuple[str, int | None], Rows]
"""By feeds (`FEEDS`, `EXCESS`) and day, None being the mean over days."""


class _Pair(NamedTuple):
    """Feeds of one frame on one day, beside those of another.

    `before` is the day since when the second's turnover is counted, with who is counted; None if
    there is no such day.
    """

    first: Served
    second: Served
    days: tuple[int, int]
    before: tuple[int, NDArray[np.int32]] | None = None


def measured(
    feeds: Mapping[str, Served], plan: Plan, items: Items, measures: Mapping[str, Measure]
) -> tuple[Values, dict[str, int]]:
    """Values of all users by feeds and day, and over the days; and how many are left out.

    A user counts on a day with a feed in every frame.

    Args:
        feeds: of "a", "b" and, if there is one, "reference".
        plan: which days are set beside one another.
        items: what is known of the items.
        measures: what to compute.

    Returns:
        The values, and the feeds of B's and of A's side that stand alone, by frame.
    """
    values: Values = {}
    alone = dict.fromkeys(feeds, 0)
    members: dict[int, NDArray[np.int32]] = {}

    def since(day: int) -> tuple[int, NDArray[np.int32]] | None:
        before = plan.before.get(day)
        return None if before is None else (before, members[before])

    levels = {name: measure for name, measure in measures.items() if measure.kind == "level"}
    for pair in plan.pairs:
        there = _there(feeds, plan, pair)
        users = _in_all(list(there.values()))
        for name, own in there.items():
            alone[name] += own.size - users.size
        day = pair[1]
        members[day] = users
        both = _Pair(feeds["a"], feeds["b"], pair, since(day))
        alone_a = _Pair(feeds["a"], feeds["a"], (pair[0],) * 2, since(pair[0]))
        values["b", day] = _rows(both, users, items, measures)
        values["a", day] = _rows(alone_a, users, items, levels)
        other = feeds["reference"] if plan.floor == "reference" else feeds["a"]
        floor = [
            _floor_rows(
                _Pair(feeds["a"], other, days, since(days[1])),
                _Pair(feeds["a"], feeds["a"], (days[0],) * 2, since(days[0])),
                users,
                items,
                measures,
            )
            for days in plan.floors.get(day, ())
        ]
        if floor:
            values["floor", day] = _mean_of(floor)
    days = [day for _, day in plan.pairs]
    for name in FEEDS:
        found = [values[name, day] for day in days if (name, day) in values]
        if found:
            values[name, None] = _mean_of(found)
    beyond = [_excess(values, day, measures) for day in days if ("floor", day) in values]
    if plan.floor == "turnover" and beyond:
        values[EXCESS, None] = _mean_of(beyond)
    elif len(days) > 1:
        _pool(values, feeds, plan, members, items, measures)
    return values, alone


def _there(
    feeds: Mapping[str, Served], plan: Plan, pair: tuple[int, int]
) -> dict[str, NDArray[np.int32]]:
    """The users that have feeds, by frame, on the days of a comparison."""
    there = {name: feeds[name].user[feeds[name].on(d)] for name, d in zip("ab", pair, strict=True)}
    if plan.floor == "reference":
        ((_, day),) = plan.floors[pair[1]]
        there["reference"] = feeds["reference"].user[feeds["reference"].on(day)]
    return there


def _excess(values: Values, day: int, measures: Mapping[str, Measure]) -> Rows:
    """Drift less the floor of one day, of the users who have a floor."""
    floor, after, before = (values[name, day] for name in ("floor", "b", "a"))
    own = {}
    for name, measure in measures.items():
        drift = after.values[name]
        if measure.kind == "level":
            drift = drift - before.values[name]
        own[name] = drift[np.searchsorted(after.users, floor.users)] - floor.values[name]
    return Rows(floor.users, own)


def _in_all(users: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    common = users[0]
    for others in users[1:]:
        common = np.intersect1d(common, others, assume_unique=True)
    return common


def _floor_rows(
    pair: _Pair,
    first: _Pair,
    users: NDArray[np.int32],
    items: Items,
    measures: Mapping[str, Measure],
) -> Rows:
    """Drift of the second feeds from the first; of a level, the difference. `first` is the first
    beside itself."""
    users = _in_all([users, *(s.user[s.on(d)] for s, d in zip(pair[:2], pair.days, strict=True))])
    rows = _rows(pair, users, items, measures)
    levels = {name: measure for name, measure in measures.items() if measure.kind == "level"}
    before = _rows(first, users, items, levels)
    differences = {name: rows.values[name] - before.values[name] for name in levels}
    return Rows(users, {**rows.values, **differences})


def _rows(
    pair: _Pair, users: NDArray[np.int32], items: Items, measures: Mapping[str, Measure]
) -> Rows:
    """The measures of users who have feeds on both sides."""
    if not users.size:
        return Rows(users, {name: np.empty(0) for name in measures})
    sides = []
    for served, day in zip(pair[:2], pair.days, strict=True):
        rows = served.on(day)
        at = rows.start + np.searchsorted(served.user[rows], users)
        sides.append((served.ids[at], None if served.scores is None else served.scores[at]))
    (reference, reference_scores), (ids, scores) = sides
    feeds = _feed_pair(reference, ids, items, reference_scores, scores)
    changes = "turnover" in measures
    previous, known = _previous(pair, users) if changes else (None, users)
    if changes:
        feeds = replace(feeds, previous=previous)
    values = {name: measure(feeds) for name, measure in measures.items()}
    if changes:
        values["turnover"] = np.where(np.isin(users, known), values["turnover"], np.nan)
    return Rows(users, values)


def _previous(pair: _Pair, users: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The second's feeds of the day before, of the users who counted on that day, and these."""
    previous = np.full((users.size, pair.second.ids.shape[1]), -1, dtype=np.int32)
    if pair.before is None:
        return previous, users[:0]
    day, counted = pair.before
    known, rows = np.intersect1d(users, counted, assume_unique=True), pair.second.on(day)
    at = rows.start + np.searchsorted(pair.second.user[rows], known)
    previous[np.searchsorted(users, known)] = pair.second.ids[at]
    return previous, known


def _feed_pair(
    reference: NDArray[np.int32],
    ids: NDArray[np.int32],
    items: Items,
    reference_scores: NDArray[np.float64] | None = None,
    scores: NDArray[np.float64] | None = None,
    days: int = 1,
) -> FeedPair:
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


def _mean_of(found: Sequence[Rows]) -> Rows:
    """Each user's mean over the rows that have a value, summed in their order."""
    users = np.unique(np.concatenate([rows.users for rows in found]))
    values = {}
    for name in found[0].values:
        total, count = np.zeros(users.size), np.zeros(users.size)
        for rows in found:
            known = ~np.isnan(rows.values[name])
            at = np.searchsorted(users, rows.users[known])
            total[at] += rows.values[name][known]
            count[at] += 1
        values[name] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return Rows(users, values)


def _pool(
    values: Values,
    feeds: Mapping[str, Served],
    plan: Plan,
    members: Mapping[int, NDArray[np.int32]],
    items: Items,
    measures: Mapping[str, Measure],
) -> None:
    """Measures mixes anew on the days' feeds laid end to end, as distances of few slots are biased.

    Not where the floor is turnover: the two ends of that would share all days but one.
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
            for (*both, days), there in zip(pairs, members.values(), strict=True):
                ids = np.full((users.size, both[side].ids.shape[1]), -1, dtype=np.int32)
                rows = both[side].on(days[side])
                at = rows.start + np.searchsorted(both[side].user[rows], there)
                ids[np.searchsorted(users, there)] = both[side].ids[at]
                parts.append(ids)
            ends.append(np.concatenate(parts, axis=1))
        long = _feed_pair(ends[0], ends[1], items, days=len(pairs))
        own = {key: measure(long) for key, measure in pooled.items() if measure.kind == "drift"}
        values[name, None].values.update(own)
