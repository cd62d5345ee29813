"""Matches placebo groups to the newcomers of a real log, in number of users and in volume.

A real log has no twin. The effect of the newcomers on feeds is measured by training without them.
To remove any group of users changes feeds. So the newcomers' removal is compared with the removal
of placebo groups: as many incumbents with as much activity. The rank of the newcomers among the
placebo groups gives a randomisation p-value (Phipson & Smyth 2010, "Permutation p-values should
never be zero").

**When the p-value holds.** Suppose newcomers were chosen by lot within strata. They would then be
like a placebo draw, with one difference: draws are taken from the pool of incumbents alone. Draws
that each take a share f of the pool overlap. The draws differ from each other in proportion to
sqrt(1 - f), while the newcomers differ from a draw in proportion to sqrt(1 + f). So the band of the
draws is too narrow, and p <= .05 occurs in more than 5 % of cases: 5.5 % at f = .02, 6.8 % at .1
and 17 % at .5. At f = 1 all draws are the same group.

Studies correct this with :func:`recsys.statistics.placebo.widened`, which stretches the draws about
their mean by the ratio of these two square roots. The correction is exact for sums over the users
of a group with the same f in all strata. Where f differs between strata, p <= .05 occurred in 4.5
to 7.3 % of simulated studies at f = .18 to .41, instead of 9 to 17 % without the correction.
:func:`recsys.statistics.placebo.false_alarm_rate` gives the rate without the correction, and
:attr:`Matching.crowding` is f.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Bools, Floats, Ints, Keys
from recsys.statistics.placebo import false_alarm_rate, spread_ratio

LEAST_EVENTS, LEAST_USERS = 0.8, 0.5
"""Least share of the newcomers' events, and of the newcomers, that must have a match for a test to
be about them. A placebo stands for one newcomer, so the effective sample size is the number of
newcomers who have a match."""
_SUBSAMPLE = -1
"""Number of the draw that selects newcomers; placebo draws are numbered from 0."""


class NoMatchError(ValueError):
    """The pool is too small, or too unlike the newcomers, for any placebo group."""


@dataclass(frozen=True, eq=False)
class Matching:
    """How many users a placebo group takes from each stratum; made by :func:`match_newcomers`.

    A stratum is a bin of events × active days. The pool holds the incumbents who may be drawn.

    Attributes:
        seed: seed of all draws.
        newcomer: (n_users,) bool, the selected newcomers; remove exactly these from the log.
        newcomer_users: number of selected newcomers.
        newcomer_events: events of the selected newcomers.
        newcomer_days: active days of the selected newcomers.
        newcomer_users_before: number of newcomers with events, before some were left out.
        newcomer_events_before: events of the newcomers, before some were left out.
        newcomer_days_before: active days of the newcomers, before some were left out.
        placebo_events: float, expected events of a draw.
        placebo_days: float, expected active days of a draw.
        borrowed: number of users of a draw who come from another stratum than their newcomer.
        pool_fraction: share of the users of the pool that a draw takes.
        pool_event_fraction: the same share, averaged over the events of a draw: each event counts
            with the share that a draw takes of the event's stratum. It is larger where the few
            heavy users of a log are in every draw.
        tolerance: relative difference of totals up to which a draw counts as matched.
        pool: (n_pool,) int64, dense ids of the pool.
        pool_keys: (n_pool,) uint64, stable keys of the pool.
        pool_stratum: (n_pool,) int64, stratum of each user of the pool.
        quota: (n_strata,) int64, number of users that a draw takes from each stratum.
        events: (n_users,) int64, events of each user, as passed to :func:`match_newcomers`.
        active_days: (n_users,) int64, active days of each user, likewise.
    """

    seed: int
    newcomer: Bools
    newcomer_users: int
    newcomer_events: int
    newcomer_days: int
    newcomer_users_before: int
    newcomer_events_before: int
    newcomer_days_before: int
    placebo_events: float
    placebo_days: float
    borrowed: int
    pool_fraction: float
    pool_event_fraction: float
    tolerance: float
    pool: Ints
    pool_keys: Keys
    pool_stratum: Ints
    quota: Ints
    events: Ints
    active_days: Ints

    @property
    def subsampled(self) -> bool:
        """Whether some newcomers were left out because the pool could not supply their volume."""
        return self.newcomer_users < self.newcomer_users_before

    @property
    def matched(self) -> bool:
        """Whether the events and days of draws equal the newcomers' within the tolerance."""
        newcomers = np.array([self.newcomer_events, self.newcomer_days], dtype=np.float64)
        placebo = np.array([self.placebo_events, self.placebo_days])
        return bool(_mismatch(newcomers, placebo) <= self.tolerance)

    @property
    def event_share(self) -> float:
        """Share of the newcomers' events that belongs to the selected newcomers."""
        return self.newcomer_events / self.newcomer_events_before

    @property
    def user_share(self) -> float:
        """Effective sample size over the number of newcomers: the share that has a match."""
        return self.newcomer_users / self.newcomer_users_before

    @property
    def testable(self) -> bool:
        """Whether a test with these groups is about the newcomers, and not about a part of them."""
        enough = self.event_share >= LEAST_EVENTS and self.user_share >= LEAST_USERS
        return self.matched and enough and self.crowding < 1

    @property
    def crowding(self) -> float:
        """The share f of the pool that a draw takes: by users or by events, whichever is larger."""
        return max(self.pool_fraction, self.pool_event_fraction)

    def describe(self) -> str:
        """A line for people: both groups, and what limits the p-value."""
        before, kept = self.newcomer_users_before, self.newcomer_users
        group = f"{kept:,} of {before:,} newcomers" if self.subsampled else f"{kept:,} newcomers"
        line = (
            f"{group} ({self.newcomer_events:,} events, {self.newcomer_days:,} active days); "
            f"a placebo draw: {kept:,} of {len(self.pool):,} pool users, "
            f"{self.placebo_events:,.0f} events, {self.placebo_days:,.0f} days"
        )
        if self.subsampled:
            line += (
                f"; the pool could not supply the rest (of {self.newcomer_events_before:,} events, "
                f"{self.newcomer_days_before:,} days)"
            )
        if not self.matched:
            line += f"; NOT MATCHED to {self.tolerance:.0%}, so volume explains part of it"
        if self.crowding >= 1:
            line += "; pool crowded: all draws are the same group, so there is no p-value"
        elif false_alarm_rate(self.crowding) > 0.06:
            line += (
                f"; pool crowded: draws share members, so their spread is widened by "
                f"{spread_ratio(self.crowding):.2f}"
            )
        return line + "."


def match_newcomers(
    events: ArrayLike,
    active_days: ArrayLike,
    newcomer: ArrayLike,
    pool: ArrayLike,
    user_keys: ArrayLike,
    seed: int,
    *,
    event_ratio: float = 1.5,
    day_ratio: float = 1.5,
    tolerance: float = 0.05,
    max_pool_fraction: float = 1.0,
) -> Matching:
    """Plans placebo groups: how many users to draw from each stratum of events × active days.

    Strata have equal widths in log events and log days, because activity has a heavy tail. Strata
    by quantiles would put most of the volume into a single top stratum. Each stratum gives as many
    users as it has newcomers. A stratum with too few users borrows from the nearest ones, in log
    events and log days. Newcomers are left out, by keyed lot within their stratum, if the pool has
    no users left or if borrowing would change total events or days by more than the tolerance.

    Args:
        events: (n_users,) int, number of events of each user.
        active_days: (n_users,) int, number of days with an event; all 1 or all 0 in a log without
            times.
        newcomer: (n_users,) bool, who is a newcomer. Newcomers without events are ignored.
        pool: (n_users,) bool, who may be drawn: incumbents outside the panel with events.
        user_keys: (n_users,) uint64, stable keys, different for each user.
        seed: seed of all draws, such as 0.
        event_ratio: ratio of the upper to the lower end of an event bin, > 1.
        day_ratio: the same for days.
        tolerance: relative difference of totals that is allowed, such as 0.05.
        max_pool_fraction: largest share of a stratum of the pool that a draw may take, in (0, 1].

    Raises:
        NoMatchError: no user of the pool can be drawn at all.
        ValueError: arrays differ in length, counts are negative, a user is both newcomer and in the
            pool, keys repeat, a user of the pool has no events, or there are no newcomers or no
            pool.

    Example:
        >>> events = [3, 40, 3, 3, 3, 38, 41, 5]
        >>> newcomer = [True, True, False, False, False, False, False, False]
        >>> pool = [False, False, True, True, True, True, True, False]
        >>> matching = match_newcomers(events, [1] * 8, newcomer, pool, range(8), seed=1)
        >>> matching.newcomer_users, matching.subsampled, matching.quota.sum()
        (2, False, np.int64(2))
    """
    table = _user_table(events, active_days, newcomer, pool, user_keys)
    _check_options(event_ratio, day_ratio, tolerance, max_pool_fraction)
    counts, is_newcomer, in_pool, keys = table
    stratum, position = _strata(counts, event_ratio, day_ratio)
    need = np.bincount(stratum[is_newcomer], minlength=len(position))
    supply = np.bincount(stratum[in_pool], minlength=len(position))
    available = np.floor(max_pool_fraction * supply + 1e-9).astype(np.int64)

    newcomer_means = _stratum_means(counts, is_newcomer, stratum, need)
    pool_means = _stratum_means(counts, in_pool, stratum, supply)
    direct = np.minimum(need, available)
    loans = _borrow(need, available, position)
    n_loans = _loans_worth_keeping(direct, loans, newcomer_means, pool_means, tolerance)
    loans = loans[:n_loans]
    kept = direct + np.bincount(loans[:, 0], minlength=len(need))
    quota = direct + np.bincount(loans[:, 1], minlength=len(need))
    if not quota.any():
        raise NoMatchError(
            f"no stratum of the pool ({in_pool.sum()} users) can give a single user at "
            f"max_pool_fraction={max_pool_fraction:g}; raise it, or enlarge the pool"
        )

    ids = np.flatnonzero(is_newcomer)
    chosen = ids[_lowest_hashes(stratum[ids], keys[ids], kept, seed, _SUBSAMPLE)]
    keeps = np.zeros(len(counts), dtype=np.bool_)
    keeps[chosen] = True
    share = quota / np.maximum(supply, 1)
    volume = quota * pool_means[:, 0]
    before, after = counts[is_newcomer].sum(0), counts[keeps].sum(0)
    expected = quota @ pool_means
    return Matching(
        seed=seed,
        newcomer=keeps,
        newcomer_users=len(chosen),
        newcomer_events=int(after[0]),
        newcomer_days=int(after[1]),
        newcomer_users_before=len(ids),
        newcomer_events_before=int(before[0]),
        newcomer_days_before=int(before[1]),
        placebo_events=float(expected[0]),
        placebo_days=float(expected[1]),
        borrowed=len(loans),
        pool_fraction=float(quota.sum() / supply.sum()),
        pool_event_fraction=float((volume * share).sum() / volume.sum()),
        tolerance=tolerance,
        pool=np.flatnonzero(in_pool),
        pool_keys=keys[in_pool],
        pool_stratum=stratum[in_pool],
        quota=quota,
        events=counts[:, 0],
        active_days=counts[:, 1],
    )


def draw_placebo(matching: Matching, draw: int) -> Ints:
    """The users of one placebo group, to be removed from the log in place of the newcomers.

    From each stratum of the pool the users with the lowest hash of (seed, draw, key) are taken.
    This is a draw without replacement that depends neither on other draws nor on the order of
    users.

    Args:
        matching: from :func:`match_newcomers`.
        draw: number of the draw, from 0.

    Returns:
        (matching.newcomer_users,) int64, dense ids, ascending.

    Raises:
        ValueError: ``draw`` is negative.

    Example:
        >>> mask = np.arange(6) < 2
        >>> matching = match_newcomers([3] * 6, [1] * 6, mask, ~mask, range(6), seed=1)
        >>> draw_placebo(matching, 0), draw_placebo(matching, 1)
        (array([2, 4]), array([2, 5]))
    """
    if draw < 0:
        raise ValueError(f"draws are numbered from 0, not {draw}")
    rows = _lowest_hashes(
        matching.pool_stratum, matching.pool_keys, matching.quota, matching.seed, draw
    )
    return np.sort(matching.pool[rows])


def draw_totals(matching: Matching, draw: int) -> tuple[int, int, int]:
    """Number of users, events and active days of one placebo group.

    Args:
        matching: from :func:`match_newcomers`.
        draw: number of the draw, from 0.

    Returns:
        (users, events, days) as ints.

    Raises:
        ValueError: ``draw`` is negative.

    Example:
        >>> mask = np.arange(6) < 2
        >>> matching = match_newcomers([3] * 6, [1] * 6, mask, ~mask, range(6), seed=1)
        >>> draw_totals(matching, 0)
        (2, 6, 2)
    """
    ids = draw_placebo(matching, draw)
    return len(ids), int(matching.events[ids].sum()), int(matching.active_days[ids].sum())


def _user_table(
    events: ArrayLike, days: ArrayLike, newcomer: ArrayLike, pool: ArrayLike, keys: ArrayLike
) -> tuple[Ints, Bools, Bools, Keys]:
    """Checked arrays: (n_users, 2) events and days, newcomers with events, pool, keys."""
    columns = {"events": events, "active_days": days, "newcomer": newcomer, "pool": pool}
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    arrays["user_keys"] = np.asarray(keys, dtype=np.uint64)
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) != 1 or arrays["events"].ndim != 1:
        raise ValueError(f"one value per user is needed in each array; shapes are {shapes}")
    for name, kinds in (("events", "iu"), ("active_days", "iu"), ("newcomer", "b"), ("pool", "b")):
        if arrays[name].dtype.kind not in kinds:
            raise ValueError(f"{name} has dtype {arrays[name].dtype}; expected int counts or bool")
    counts = np.stack([arrays["events"], arrays["active_days"]], axis=1).astype(np.int64)
    active = arrays["newcomer"] & (counts[:, 0] > 0)
    _check_users(counts, arrays["newcomer"], active, arrays["pool"], arrays["user_keys"])
    return counts, active, arrays["pool"], arrays["user_keys"]


def _check_users(counts: Ints, newcomer: Bools, active: Bools, pool: Bools, keys: Keys) -> None:
    if (counts < 0).any():
        raise ValueError(f"{(counts < 0).any(1).sum()} users have negative events or active_days")
    if (newcomer & pool).any():
        raise ValueError(f"{(newcomer & pool).sum()} users are both newcomers and in the pool")
    if (pool & (counts[:, 0] == 0)).any():
        raise ValueError(f"{(pool & (counts[:, 0] == 0)).sum()} pool users have no events")
    if not active.any() or not pool.any():
        raise ValueError(f"{active.sum()} newcomers with events and {pool.sum()} pool users")
    used_keys = keys[active | pool]
    if len(np.unique(used_keys)) < len(used_keys):
        raise ValueError("user_keys repeat; every newcomer and pool user needs a key of its own")


def _check_options(event_ratio: float, day_ratio: float, tolerance: float, fraction: float) -> None:
    if not (event_ratio > 1 and day_ratio > 1):
        raise ValueError(f"event_ratio {event_ratio} and day_ratio {day_ratio} must be above 1")
    if not (tolerance >= 0 and 0 < fraction <= 1):
        raise ValueError(
            f"tolerance {tolerance} must be >= 0, max_pool_fraction {fraction} in (0, 1]"
        )


def _strata(counts: Ints, event_ratio: float, day_ratio: float) -> tuple[Ints, Floats]:
    """Stratum of each user, and (n_strata, 2) log of the mean events and days of each stratum."""
    bins = np.floor(np.log(np.maximum(counts, 0.5)) / np.log([event_ratio, day_ratio]))
    _, stratum = np.unique(bins, axis=0, return_inverse=True)
    all_users = np.ones(len(counts), dtype=np.bool_)
    # Sums of whole numbers are exact, so the order of users cannot change which stratum lends.
    means = _stratum_means(counts, all_users, stratum, np.bincount(stratum))
    return stratum.astype(np.int64), np.log(np.maximum(means, 0.5))


def _stratum_means(counts: Ints, group: Bools, stratum: Ints, size: Ints) -> Floats:
    """(n_strata, 2) mean events and days of the users of a group; 0 in a stratum without them."""
    sums = [
        np.bincount(stratum[group], weights=column[group], minlength=len(size))
        for column in counts.T
    ]
    return np.stack(sums, axis=1) / np.maximum(size, 1)[:, None]


def _borrow(need: Ints, available: Ints, position: Floats) -> Ints:
    """(loans, 2): borrowing and lending stratum of each borrowed user, nearest loans first.

    Strata with the most events borrow first, because they have the fewest similar neighbours.
    """
    spare = np.maximum(available - need, 0)
    rows: list[tuple[int, int, int, float]] = []
    short_strata = np.flatnonzero(need > available)
    for borrower in short_strata[np.argsort(-position[short_strata, 0], kind="stable")]:
        missing = int(need[borrower] - available[borrower])
        distance = np.abs(position - position[borrower]).sum(1)
        for lender in np.argsort(distance, kind="stable"):
            lent = min(missing, int(spare[lender]))
            if lent > 0:
                rows.append((int(borrower), int(lender), lent, float(distance[lender])))
                spare[lender] -= lent
                missing -= lent
            if missing == 0:
                break
    rows.sort(key=lambda row: row[3])
    pairs = np.array([row[:2] for row in rows], dtype=np.int64).reshape(-1, 2)
    return np.repeat(pairs, [row[2] for row in rows], axis=0)


def _loans_worth_keeping(
    direct: Ints, loans: Ints, newcomer_means: Floats, pool_means: Floats, tolerance: float
) -> int:
    """Largest number of loans, nearest first, that keeps a draw within the tolerance.

    If no number of loans does, the number is the largest of those with the smallest mismatch.
    """
    start = np.zeros((1, 2))
    borrowers, lenders = newcomer_means[loans[:, 0]], pool_means[loans[:, 1]]
    wanted = direct @ newcomer_means + np.concatenate([start, borrowers.cumsum(0)])
    given = direct @ pool_means + np.concatenate([start, lenders.cumsum(0)])
    mismatch = _mismatch(wanted, given)
    if not direct.any():
        mismatch[0] = np.inf
    return int(np.flatnonzero(mismatch <= max(tolerance, mismatch.min()))[-1])


def _mismatch(wanted: Floats, given: Floats) -> Floats:
    """Largest relative difference over the last axis, (events, days); both may have 0 days."""
    difference = np.abs(given - wanted)
    return np.asarray((difference / np.where(wanted > 0, wanted, 1.0)).max(-1))


def _lowest_hashes(stratum: Ints, keys: Keys, quota: Ints, seed: int, draw: int) -> Ints:
    """Rows of the users with the lowest keyed hashes, ``quota[s]`` of each stratum s."""
    order = np.lexsort((_keyed_hash(seed, draw, keys), stratum))
    ordered = stratum[order]
    place = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return np.asarray(order[place < quota[ordered]], dtype=np.int64)


def _keyed_hash(seed: int, draw: int, keys: Keys) -> Keys:
    """64 random bits per key, addressed by (seed, draw, key)."""
    from recsys.core.noise import Stream, key_words, philox, wide_words

    return wide_words(philox(seed, Stream.PLACEBO_DRAW, *key_words(keys), draw))
