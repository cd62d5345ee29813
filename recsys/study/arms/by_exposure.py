"""The secondary view of a log: incumbents by how much of what they like became the newcomers'.

Windows of equal length lie before and after the day of arrival. Who was exposed is read from the
window just before it, what changed from that window, the one before and the one after. The same,
one window earlier, is the check: nobody had come yet, so nothing should differ.
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
"""Columns: `low` and `high` are mean changes in the least and most exposed third; `check` is true
where the windows end before anybody came. `n_low` and `n_high` are compared, `lost_low` and
`lost_high` are of the same thirds but did too little in the last window for a change to be told."""
CLICK_RATE = "click rate"
ASSUMPTION = (
    "It assumes that without newcomers the most and the least exposed third of incumbents would "
    "have changed alike (parallel trends); the check, the same before anybody came, should then "
    "have 0 inside. Incumbents count by what they did before; of a mix, only those can be compared "
    "who went on liking, and if newcomers changed who did, its difference is of those alone."
)
_MOST_DAYS = 28
_WEEK = 7
_BEFORE = 3
"""Windows before the arrival: two for the view, one more for its check."""
_MOST_LIKES = 50
_LEAST_UNLIKED = 0.05
"""Share of events without a like from which on a rate of clicks can be read."""


@dataclass(frozen=True)
class Exposed:
    """What the view found.

    Attributes:
        table: `EXPOSED`, a row for each outcome and check.
        notes: what a reader must know, or why there is no view.
    """

    table: pl.DataFrame
    notes: tuple[str, ...]


def exposed(
    own: DatedLog, attributes: Mapping[str, str], timezone: str, least: int, seed: int
) -> Exposed:
    """The view by exposure, where the log allows one.

    Args:
        own: the log, and when newcomers arrived.
        attributes: mixes to measure: the items' column of each.
        timezone: where days begin.
        least: likes that an incumbent needs in each of the two windows before; for a mix, in the
            one after too, and who has fewer is counted as lost. For a rate of clicks an event is
            enough.
        seed: draws as many likes from each window.
    """
    refusal = _refusal(own, attributes)
    if refusal:
        return _nothing(refusal)
    assert own.arrived is not None
    days = _days_before_and_after(own.log, own.arrived, timezone)
    width = min(*(days[0] // _BEFORE, days[1]), _MOST_DAYS)
    width = width // _WEEK * _WEEK or width
    if width < 1:
        return _nothing(
            f"the log has {days[0]} days before {own.arrived} and {days[1]} from it on; three "
            "windows before and one after are needed, of a day or more each"
        )
    view = _View(own, _windows(own.log, own.arrived, timezone, width), least, seed)
    rows = [
        {**found._asdict(), "outcome": outcome, "check": check, "window_days": width}
        for check in (False, True)
        for outcome, change in view.outcomes(attributes, check)
        if (found := by_exposure(change, view.exposure_of_measured(check))) is not None
    ]
    if not any(not row["check"] for row in rows):
        return _nothing(
            f"too few incumbents have {least} likes in each of two windows of {width} days before "
            f"(for a mix, in one after too), or their exposure does not differ ({FEWEST} in either "
            "third are needed)"
        )
    table = pl.DataFrame([{name: row[name] for name in EXPOSED} for row in rows], schema=EXPOSED)
    return Exposed(table, tuple(_words(table, width, own.arrived)))


def _nothing(reason: str) -> Exposed:
    return Exposed(pl.DataFrame(schema=EXPOSED), (f"No view by exposure: {reason}.",))


def _refusal(own: DatedLog, attributes: Mapping[str, str]) -> str:
    if not own.log.has_times:
        return "the log has no times"
    if own.arrived is None:
        return "it is not known when the newcomers of a condition arrived (log.arrived: DATE)"
    if not attributes and not _has_rates(own.log):
        return "the log has neither impressions nor log.attributes, so there is nothing to compare"
    return ""


def _words(table: pl.DataFrame, width: int, arrived: date) -> Iterator[str]:
    yield (
        f"View by exposure: windows of {width} days around {arrived}; exposed is who liked, in the "
        f"window before, what newcomers like now. {ASSUMPTION}"
    )
    for row in table.filter(~pl.col("check")).iter_rows(named=True):
        yield _lost(row)
    unchecked = set(table["outcome"]) - set(table.filter("check")["outcome"])
    if unchecked:
        yield f"View by exposure: no check of {', '.join(sorted(unchecked))}: too few users before."
    failed = table.filter("check", pl.col("p_value") <= 0.05)["outcome"].to_list()
    if failed:
        yield (
            f"View by exposure: the check fails for {', '.join(failed)}: the thirds differed "
            "before anybody came, so parallel trends are not credible there."
        )


def _lost(row: Mapping[str, Any]) -> str:
    """How many of either third are not in the comparison, in words."""
    shares = [
        100 * row[f"lost_{side}"] / (row[f"lost_{side}"] + row[f"n_{side}"])
        for side in ("low", "high")
    ]
    rate = row["outcome"] == CLICK_RATE
    what = "seen nothing" if rate else "too few likes"
    left = "who went on coming" if rate else "who went on liking"
    return (
        f"View by exposure, {row['outcome']}: after the arrival {shares[0]:.0f} % of the least and "
        f"{shares[1]:.0f} % of the most exposed have {what}; compared are those {left}."
    )


def _has_rates(log: InteractionLog) -> bool:
    return bool((log.dense["weight"] <= 0).mean() >= _LEAST_UNLIKED)  # type: ignore[operator]


def _days_before_and_after(log: InteractionLog, arrived: date, timezone: str) -> tuple[int, int]:
    days = log.dense["timestamp"].dt.convert_time_zone(timezone).dt.date()
    first, last = days[0], days[-1]
    return max((arrived - first).days, 0), max((last - arrived).days + 1, 0)


def _windows(log: InteractionLog, arrived: date, timezone: str, width: int) -> NDArray[np.int64]:
    """Window of each event: 0 from the arrival on, -1 before it, and so forth."""
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
        """Events of each user in a window."""
        chosen = which & (self.window == window)
        return np.bincount(self.user[chosen], minlength=self.own.log.n_users)

    def three(self, check: bool) -> tuple[int, int, int]:
        """The earlier, the base and the later window."""
        return (-3, -2, -1) if check else (-2, -1, 0)

    def measured(self, check: bool) -> NDArray[np.bool_]:
        """Incumbents who liked enough in the two windows before: what they do later is no matter.

        To ask for likes in the later window too would select on the outcome: who clicks less since
        newcomers came would be left out because he clicks less.
        """
        before = [self.per_window(self.liked, window) for window in self.three(check)[:2]]
        enough = np.min(before, axis=0) >= self.least
        return np.asarray(enough & ~self.own.log.newcomers & ~self.own.bystanders)

    def fewest(self, check: bool) -> NDArray[np.int64]:
        """Likes in the window with the fewest; 0 for who is not measured or has too few later."""
        counts = np.min([self.per_window(self.liked, w) for w in self.three(check)], axis=0)
        return np.where(self.measured(check) & (counts >= self.least), counts, 0)

    def exposure_of_measured(self, check: bool) -> NDArray[np.float64]:
        """Of each user who is measured; else NaN."""
        return np.where(self.measured(check), self.exposure(check), np.nan)

    def exposure(self, check: bool) -> NDArray[np.float64]:
        """Of each user, from the base window; what newcomers like is that of the arrival's."""
        log = self.own.log
        now = self.liked & (self.window == 0)
        theirs = now & log.newcomers[self.user]
        everybody = np.bincount(self.item[now], minlength=log.n_items)
        before = self.liked & (self.window == self.three(check)[1])
        pairs, own = np.unique(self._pair(now), return_counts=True)
        mine = self._pair(before)
        place = np.minimum(np.searchsorted(pairs, mine), max(pairs.size - 1, 0))
        known = pairs[place] == mine if pairs.size else np.zeros(mine.size, dtype=np.bool_)
        return exposure_of(
            self.user[before],
            self.item[before],
            np.bincount(self.item[theirs], minlength=log.n_items),
            everybody,
            np.where(known, own[place], 0) if pairs.size else np.zeros(mine.size, dtype=np.int64),
            log.n_users,
        )

    def _pair(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.asarray(self.user[which] * self.own.log.n_items + self.item[which])

    def outcomes(
        self, attributes: Mapping[str, str], check: bool
    ) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """What changed for each user: NaN where it cannot be told."""
        for name, column in attributes.items():
            yield name, self._mix_change(column, check)
        if _has_rates(self.own.log):
            earlier, _, later = self.three(check)
            yield CLICK_RATE, self._rate(later) - self._rate(earlier)

    def _rate(self, window: int) -> NDArray[np.float64]:
        """Likes an event; NaN for who has none."""
        everything = np.ones(self.user.size, dtype=np.bool_)
        events = self.per_window(everything, window)
        rate = self.per_window(self.liked, window) / np.maximum(events, 1)
        return np.where(events > 0, rate, np.nan)

    def _mix_change(self, column: str, check: bool) -> NDArray[np.float64]:
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
        """Rows of as many likes of each user in a window as `draw` says, by keyed lot."""
        rows = np.flatnonzero(self.liked & (self.window == window) & (draw[self.user] > 0))
        users, items = self.user[rows], self.item[rows]
        log = self.own.log
        user_key, item_key = (frame["key"].to_numpy() for frame in (log.users, log.items))
        lot = uniforms(
            self.seed,
            Stream.WINDOW_DRAW,
            user_key[users],
            item_key[items],
            window + _BEFORE,
        )[:, 0]
        order = np.lexsort((lot, users))
        ordered = users[order]
        place = np.arange(ordered.size) - np.searchsorted(ordered, ordered)
        return rows[order[place < draw[ordered]]]
