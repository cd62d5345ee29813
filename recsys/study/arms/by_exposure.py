"""A second view of a log: do incumbents who were more exposed to newcomers change more?

Windows of equal length lie before and after the day of arrival. An incumbent is exposed if
newcomers later like the posts that the incumbent liked in the window just before the arrival. What
changed is read from that window, the one before it and the one after it. The check is the same
comparison one window earlier: nobody had come yet, so the exposed should not differ from others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.lazy import lazy
from recsys.core.noise import Stream, uniforms
from recsys.logs.log import InteractionLog, item_codes
from recsys.logs.newcomers import DatedLog
from recsys.statistics.by_exposure import FEWEST, by_exposure, changes, exposure_of

EXPOSED = {
    "outcome": pl.String,
    "check": pl.Boolean,
    "window_days": pl.Int32,
    "exposure_low": pl.Float64,
    "exposure_high": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "difference": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "p_value": pl.Float64,
    "n_low": pl.Int64,
    "n_high": pl.Int64,
    "lost_low": pl.Int64,
    "lost_high": pl.Int64,
}
"""Columns of the view. `low` and `high` are mean changes in the least and the most exposed third of
incumbents. `check` is true where all windows end before anybody came. `n_low` and `n_high` count
the users compared. `lost_low` and `lost_high` count users of the same thirds who are left out,
since they did too little in the last window to measure a change."""
CLICK_RATE = "click rate"
ASSUMPTION = (
    "It assumes that without newcomers the most and the least exposed third of incumbents would "
    "have changed alike (parallel trends). The check makes the same comparison before anybody "
    "came: its interval should then hold 0. Incumbents are chosen by what they did before the "
    "arrival. The mix of what they like can only be compared for those who went on liking; if "
    "newcomers changed who went on, its difference is about those alone."
)
_MOST_DAYS = 28
"""Longest window, in days."""
_WEEK = 7
BEFORE = 3
"""Windows before the arrival: two for the view, one more for its check."""
_MOST_LIKES = 50
"""Most likes of a user that are drawn from a window to measure a mix."""
_LEAST_UNLIKED = 0.05
"""Least share of events without a like for which a click rate says something."""


@dataclass(frozen=True)
class Exposed:
    """The view of a log.

    Attributes:
        table: columns of `EXPOSED`, a row for each outcome and one for its check.
        notes: sentences on how to read the table, or on why it is empty.
    """

    table: pl.DataFrame
    notes: tuple[str, ...]


def exposed(
    own: DatedLog, attributes: Mapping[str, str], timezone: str, least: int, seed: int
) -> Exposed:
    """The view by exposure; empty, with a note that says why, where the log does not allow one.

    Args:
        own: the log, and the day on which newcomers arrived.
        attributes: the mixes to measure, such as `{"topic": "category"}`: name of the mix, and the
            column of the items.
        timezone: the time zone in which days begin, such as "Asia/Shanghai".
        least: fewest likes that an incumbent must have in each of the two windows before, such as
            5. For a mix, a user must have as many in the window after, or is counted as lost; for
            the click rate, one event in it is enough.
        seed: seed of the draws, such as 0. Of each user equally many likes are drawn from each
            window.
    """
    refusal = _refusal(own, attributes)
    if refusal:
        return _nothing(refusal)
    assert own.arrived is not None
    days = _days_before_and_after(own.log, own.arrived, timezone)
    width = min(*(days[0] // BEFORE, days[1]), _MOST_DAYS)
    width = width // _WEEK * _WEEK or width
    if width < 1:
        return _nothing(
            f"the log has {days[0]} days before {own.arrived} and {days[1]} from it on; it needs "
            "three windows before and one after, of a day or more each"
        )
    view = _View(own, _windows(own.log, own.arrived, timezone, width), least, seed)
    rows = [
        {**comparison._asdict(), "outcome": outcome, "check": check, "window_days": width}
        for check in (False, True)
        for outcome, change in view.outcomes(attributes, check)
        if (comparison := by_exposure(change, view.exposure_of_measured(check))) is not None
    ]
    if not any(not row["check"] for row in rows):
        return _nothing(
            f"too few incumbents have {least} likes in each of the two windows of {width} days "
            "before (for a mix, in the one after, too), or their exposure does not differ "
            f"({FEWEST} are needed in each third)"
        )
    table = pl.DataFrame([{name: row[name] for name in EXPOSED} for row in rows], schema=EXPOSED)
    return Exposed(table, tuple(_words(table, width, own.arrived)))


def _nothing(reason: str) -> Exposed:
    return Exposed(pl.DataFrame(schema=EXPOSED), (f"No view by exposure: {reason}.",))


def _refusal(own: DatedLog, attributes: Mapping[str, str]) -> str:
    if not own.log.has_times:
        return "the log has no times"
    if own.arrived is None:
        return (
            "it is not known when the newcomers arrived; where log.newcomers is a condition, "
            "log.arrived: DATE says it"
        )
    if not attributes and not _has_rates(own.log):
        return "the log has neither impressions nor log.attributes, so there is nothing to compare"
    return ""


def _words(table: pl.DataFrame, width: int, arrived: date) -> Iterator[str]:
    yield (
        f"View by exposure: windows of {width} days around {arrived}. Incumbents are exposed if "
        f"they liked, in the window before, what newcomers like now. {ASSUMPTION}"
    )
    for row in table.filter(~pl.col("check")).iter_rows(named=True):
        yield _lost(row)
    unchecked = set(table["outcome"]) - set(table.filter("check")["outcome"])
    if unchecked:
        names = ", ".join(sorted(unchecked))
        yield f"View by exposure: {names} cannot be checked, since too few users came before."
    failed = table.filter("check", pl.col("p_value") <= 0.05)["outcome"].to_list()
    if failed:
        yield (
            f"View by exposure: the check fails for {', '.join(failed)}: the thirds differed "
            "before anybody came, so parallel trends are not credible there."
        )


def _lost(row: Mapping[str, Any]) -> str:
    """A sentence that says how many users of each third are not in the comparison."""
    shares = [
        100 * row[f"lost_{side}"] / (row[f"lost_{side}"] + row[f"n_{side}"])
        for side in ("low", "high")
    ]
    rate = row["outcome"] == CLICK_RATE
    what = "seen nothing" if rate else "too few likes"
    left = "who went on coming" if rate else "who went on liking"
    return (
        f"View by exposure, {row['outcome']}: after the arrival {shares[0]:.0f} % of the least and "
        f"{shares[1]:.0f} % of the most exposed have {what}. The comparison is of those {left}."
    )


def _has_rates(log: InteractionLog) -> bool:
    """Whether enough events are no likes, such as impressions, for click rates to be measured."""
    return bool((log.dense["weight"] <= 0).mean() >= _LEAST_UNLIKED)  # type: ignore[operator]


def _days_before_and_after(log: InteractionLog, arrived: date, timezone: str) -> tuple[int, int]:
    """Days of the log before the day of arrival, and days from it on."""
    days = log.dense["timestamp"].dt.convert_time_zone(timezone).dt.date()
    first, last = days[0], days[-1]
    return max((arrived - first).days, 0), max((last - arrived).days + 1, 0)


def _windows(log: InteractionLog, arrived: date, timezone: str, width: int) -> NDArray[np.int64]:
    """Int64 (events,): window of each event; 0 begins with the arrival, -1 is the one before."""
    days = log.dense["timestamp"].dt.convert_time_zone(timezone).dt.date()
    since = (days - pl.Series([arrived])).dt.total_days().to_numpy()
    return np.asarray(since // width, dtype=np.int64)


@dataclass(frozen=True)
class _View:
    """The events of incumbents by window."""

    own: DatedLog
    window: NDArray[np.int64]
    least: int
    seed: int

    @lazy
    def user(self) -> NDArray[np.int64]:
        return self.own.log.dense["user"].to_numpy().astype(np.int64)

    @lazy
    def item(self) -> NDArray[np.int64]:
        return self.own.log.dense["item"].to_numpy().astype(np.int64)

    @lazy
    def liked(self) -> NDArray[np.bool_]:
        return self.own.log.dense["weight"].to_numpy() > 0

    def per_window(self, which: NDArray[np.bool_], window: int) -> NDArray[np.int64]:
        """Int64 (n_users,): how many of the chosen events each user has in a window."""
        chosen = which & (self.window == window)
        return np.bincount(self.user[chosen], minlength=self.own.log.n_users)

    def three(self, check: bool) -> tuple[int, int, int]:
        """The three windows of the view or of its check: the earlier, the base, and the later."""
        return (-3, -2, -1) if check else (-2, -1, 0)

    def measured(self, check: bool) -> NDArray[np.bool_]:
        """Bool (n_users,): incumbents who liked enough in the earlier and in the base window.

        What they do in the later window must not matter. If likes were asked for there, too, users
        who click less since newcomers came would be left out because they click less.
        """
        before = [self.per_window(self.liked, window) for window in self.three(check)[:2]]
        enough = np.min(before, axis=0) >= self.least
        return np.asarray(enough & ~self.own.log.newcomers & ~self.own.bystanders)

    def fewest(self, check: bool) -> NDArray[np.int64]:
        """Int64 (n_users,): a user's likes in the window with the fewest of the three.

        0 for users who are not measured, or who have too few likes in the later window.
        """
        counts = np.min([self.per_window(self.liked, w) for w in self.three(check)], axis=0)
        return np.where(self.measured(check) & (counts >= self.least), counts, 0)

    def exposure_of_measured(self, check: bool) -> NDArray[np.float64]:
        """Float64 (n_users,): exposure of each user who is measured; NaN for the others."""
        return np.where(self.measured(check), self.exposure(check), np.nan)

    def exposure(self, check: bool) -> NDArray[np.float64]:
        """Float64 (n_users,): how much of what a user liked in the base window newcomers like.

        The newcomers' likes are always those of the window that begins with the arrival.
        """
        log = self.own.log
        now = self.liked & (self.window == 0)
        by_newcomers = now & log.newcomers[self.user]
        before = self.liked & (self.window == self.three(check)[1])
        # How often each user likes the same item again now: these likes are taken out.
        pairs_now, counts_now = np.unique(self._pair(now), return_counts=True)
        pairs_before = self._pair(before)
        again = np.zeros(pairs_before.size, dtype=np.int64)
        if pairs_now.size:
            row = np.minimum(np.searchsorted(pairs_now, pairs_before), pairs_now.size - 1)
            again = np.where(pairs_now[row] == pairs_before, counts_now[row], 0)
        return exposure_of(
            self.user[before],
            self.item[before],
            np.bincount(self.item[by_newcomers], minlength=log.n_items),
            np.bincount(self.item[now], minlength=log.n_items),
            again,
            log.n_users,
        )

    def _pair(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """A number for each pair of user and item among the chosen events."""
        return np.asarray(self.user[which] * self.own.log.n_items + self.item[which])

    def outcomes(
        self, attributes: Mapping[str, str], check: bool
    ) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Name of each outcome and float64 (n_users,), its change; NaN where it is not known."""
        for name, column in attributes.items():
            yield name, self._mix_change(column, check)
        if _has_rates(self.own.log):
            earlier, _, later = self.three(check)
            yield CLICK_RATE, self._rate(later) - self._rate(earlier)

    def _rate(self, window: int) -> NDArray[np.float64]:
        """Float64 (n_users,): likes per event in a window; NaN for users without an event."""
        everything = np.ones(self.user.size, dtype=np.bool_)
        events = self.per_window(everything, window)
        rate = self.per_window(self.liked, window) / np.maximum(events, 1)
        return np.where(events > 0, rate, np.nan)

    def _mix_change(self, column: str, check: bool) -> NDArray[np.float64]:
        """Float64 (n_users,): how far the mix of what a user likes has moved; see `changes`."""
        log = self.own.log
        codes, labels = item_codes(log.items, column)
        draw = np.minimum(self.fewest(check), _MOST_LIKES)
        people = np.flatnonzero(draw)
        row = np.full(log.n_users, -1)
        row[people] = np.arange(people.size)
        counts = []
        for window in self.three(check):
            chosen = self._lot(window, draw)
            flat = row[self.user[chosen]] * len(labels) + codes[self.item[chosen]]
            table = np.bincount(flat, minlength=people.size * len(labels)).astype(np.float64)
            counts.append(table.reshape(people.size, len(labels)))
        out = np.full(log.n_users, np.nan)
        out[people] = changes(*counts)
        return out

    def _lot(self, window: int, draw: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the likes that are drawn from a window by keyed lot, `draw` of each user."""
        rows = np.flatnonzero(self.liked & (self.window == window) & (draw[self.user] > 0))
        users, items = self.user[rows], self.item[rows]
        log = self.own.log
        user_key, item_key = (frame["key"].to_numpy() for frame in (log.users, log.items))
        lot = uniforms(
            self.seed,
            Stream.WINDOW_DRAW,
            user_key[users],
            item_key[items],
            window + BEFORE,
        )[:, 0]
        order = np.lexsort((lot, users))
        ordered = users[order]
        place = np.arange(ordered.size) - np.searchsorted(ordered, ordered)
        return rows[order[place < draw[ordered]]]
