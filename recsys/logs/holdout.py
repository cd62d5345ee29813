"""Holding out part of a log to test on: its last days, or at random in a log without times."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.errors import ConfigError
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, key_words, uniforms
from recsys.logs.log import InteractionLog
from recsys.logs.times import TIME


@dataclass(frozen=True)
class Split:
    """A log cut in two, and the items of the test part that could have been recommended.

    Attributes:
        train, test: the two parts; users and items keep their dense ids.
        cut: when the test part begins; None in a log without times.
        candidates: bool (n_items,), which items can be recommended at the cut, or while the test
            part lasts.
        new: bool (n_items,), the candidates that were first seen after the cut.
    """

    train: InteractionLog
    test: InteractionLog
    cut: datetime | None
    candidates: NDArray[np.bool_]
    new: NDArray[np.bool_]

    @lazy
    def relevant(self) -> csr_matrix:
        """Bool CSR (n_users, n_items): candidates that the user liked in the test part.

        Items that the user has seen before or has made are left out.
        """
        pairs = self._liked_later[self._could_be_recommended]
        return _matrix(pairs, self.train)

    @lazy
    def liked(self) -> csr_matrix:
        """Bool CSR (n_users, n_items): items that the user liked in the training part."""
        return _matrix(_pairs(self.train, liked=True), self.train)

    @lazy
    def users(self) -> NDArray[np.int64]:
        """Dense ids of the users who can be tested: at least one item is relevant to them."""
        return np.flatnonzero(np.diff(self.relevant.indptr))

    @property
    def likes(self) -> tuple[int, int]:
        """Number of user-item pairs to test on, and number of all likes in the test part."""
        return int(self._could_be_recommended.sum()), int(self._liked_later.size)

    @property
    def out_of_reach(self) -> dict[str, int]:
        """Number of likes in the test part that no recommender could have served, by the reason."""
        pairs, item = self._liked_later, self._items
        is_own = _among(pairs, self.train.own)
        is_seen = ~is_own & _among(pairs, self.train.seen)
        no_candidate = ~is_own & ~is_seen & ~self.candidates[item]
        later, has_date = np.zeros((2, self.train.n_items), dtype=np.bool_)
        published = _published(self.train.items)
        if published is not None and self.cut is not None:
            later = (published >= self.cut).fill_null(False).to_numpy()
            has_date = published.is_not_null().to_numpy()
        too_old = has_date & ~later
        return {
            "seen before": int(is_seen.sum()),
            "of items published later": int((no_candidate & later[item]).sum()),
            "of items too old to be served": int((no_candidate & too_old[item]).sum()),
            "of items without events before": int((no_candidate & ~has_date[item]).sum()),
            "of one's own items": int(is_own.sum()),
        }

    @lazy
    def _liked_later(self) -> NDArray[np.int64]:
        return _pairs(self.test, liked=True)

    @lazy
    def _could_be_recommended(self) -> NDArray[np.bool_]:
        pairs = self._liked_later
        return np.asarray(~_among(pairs, self.train.withheld) & self.candidates[self._items])

    @property
    def _items(self) -> NDArray[np.int64]:
        return self._liked_later % self.train.n_items


def split_log(
    log: InteractionLog,
    *,
    days: float | None = None,
    share: float | None = None,
    end: datetime | None = None,
    window_days: float | None = None,
    seed: int = 0,
) -> Split:
    """Cuts a log at one moment for all users, so that nothing is learned from the future.

    An item is a candidate if it was published before the cut. An item whose date of publication is
    not known is a candidate if it has events in the training part. In a log without times every
    item with events is one.

    Args:
        log: the whole log.
        days: number of days at the end of the log whose events are held out, such as 7. Give
            either `days` or `share`.
        share: share of the events that is held out, such as .2: the last ones, or in a log
            without times a random part.
        end: when the last day ends (UTC), such as datetime(2025, 1, 31); None for the time of the
            last event.
        window_days: items published more than so many days before the cut, such as 14, cannot be
            recommended; None for no limit.
        seed: draws the random part, such as 0.

    Raises:
        ConfigError: `days` for a log without times, or a part without events.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 1], "item_id": [7, 7, 8],
    ...     "timestamp": ["2025-01-01", "2025-01-02", "2025-01-04"]})
    >>> split_log(log, days=1.5).test.events["item_id"].to_list()
    [8]
    """
    if (days is None) == (share is None):
        raise ConfigError("test_days and test_share: give one of them")
    if not log.has_times:
        if share is None:
            raise ConfigError("test_days: the log has no times; use test_share instead")
        held_out, cut = by_lot(log, share, seed), None
    else:
        cut = _cut(log, days, share, end)
        held_out = (log.dense["timestamp"] >= cut).to_numpy()
    for part, name, advice in ((~held_out, "train", "less"), (held_out, "test", "more")):
        if not part.any():
            raise ConfigError(
                f"{'test_share' if days is None else 'test_days'}: no event is left to {name} on; "
                f"hold out {advice}"
            )
    train, test = log.only(~held_out), log.only(held_out)
    candidates = _candidates(log if cut is None else train, cut, window_days)
    return Split(train, test, cut, candidates, np.zeros_like(candidates))


def split_days(
    log: InteractionLog,
    *,
    days: int,
    end: datetime | None = None,
    window_days: float | None = None,
) -> Iterator[Split]:
    """Cuts a log at each of its last days, of 24 hours each: the day is tested, all before learned.

    Candidates are those of `split_log`, and the items that are first seen on the day itself: they
    were published on it or, where this is not known, have their first event on it. Days on which
    nobody liked anything are left out.

    Args:
        log: the whole log.
        days: number of days at the end of the log, such as 7.
        end: as in `split_log`.
        window_days: as in `split_log`.

    Raises:
        ConfigError: a log without times, or too short a one.

    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 1], "item_id": [7, 7, 8],
    ...     "timestamp": ["2025-01-01", "2025-01-02", "2025-01-04"]})
    >>> [(split.test.events["item_id"].to_list(), split.new.tolist())
    ...     for split in split_days(log, days=2)]
    [([7], [False, False]), ([8], [False, True])]
    """
    key = "evaluation.rolling.days"
    if not log.has_times:
        raise ConfigError(f"{key}: the log has no times; use test_share instead")
    first = _cut(log, float(days), None, end)
    times = log.dense["timestamp"]
    liked = (log.dense["weight"] > 0).to_numpy()
    if not (times < first).any():
        raise ConfigError(f"{key}: no event is left to train on; test fewer days")
    for number in range(days):
        cut, until = (first + timedelta(days=number + later) for later in (0, 1))
        on_the_day = times >= cut if number == days - 1 else (times >= cut) & (times < until)
        held_out = on_the_day.to_numpy()
        if (held_out & liked).any():
            train, test = log.only((times < cut).to_numpy()), log.only(held_out)
            known = _candidates(train, cut, window_days)
            new = _first_seen(train, test, cut, until) & ~known
            yield Split(train, test, cut, known | new, new)


def _first_seen(
    train: InteractionLog, test: InteractionLog, cut: datetime, until: datetime
) -> NDArray[np.bool_]:
    """Bool (n_items,): items that are first seen from `cut` on, before `until`."""
    without = np.zeros(train.n_items, dtype=np.bool_)
    without[test.dense["item"].to_numpy()] = True
    without[train.dense["item"].to_numpy()] = False
    published = _published(train.items)
    if published is None:
        return without
    on_the_day = ((published >= cut) & (published < until)).fill_null(False).to_numpy()
    return np.where(published.is_null().to_numpy(), without, on_the_day)


def by_lot(log: InteractionLog, share: float, seed: int) -> NDArray[np.bool_]:
    """Draws a random share of a log's user-item pairs; all events of a pair go together.

    Args:
        log: the log.
        share: share of the pairs, between 0 and 1, such as .2.
        seed: addresses the draws, such as 0; another seed draws other pairs.

    Returns:
        Bool (n_events,): which events are drawn, in the order of `dense`.
    """
    users = log.users["key"].to_numpy()[log.dense["user"].to_numpy()]
    items = log.items["key"].to_numpy()[log.dense["item"].to_numpy()]
    lot = uniforms(seed, Stream.HOLDOUT, users, *key_words(items))[:, 0]
    return np.asarray(lot < share)


def _cut(
    log: InteractionLog, days: float | None, share: float | None, end: datetime | None
) -> datetime:
    """The moment from which on events are held out."""
    times = log.dense["timestamp"]
    if days is None:
        assert share is not None
        moment = times[min(int((1 - share) * times.len()), times.len() - 1)]
    else:
        moment = (end or times[-1]) - timedelta(days=days)
    assert isinstance(moment, datetime)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _candidates(
    log: InteractionLog, cut: datetime | None, window_days: float | None
) -> NDArray[np.bool_]:
    """Bool (n_items,): which items can be recommended at the cut.

    `log` is the training part, or, where there are no times and `cut` is None, the whole log.
    """
    has_events = np.zeros(log.n_items, dtype=np.bool_)
    has_events[log.dense["item"].to_numpy()] = True
    published = _published(log.items)
    if published is None or cut is None:
        return has_events
    oldest = pl.lit(True)
    if window_days is not None:
        oldest = pl.col("published") > cut - timedelta(days=window_days)
    fresh = published.to_frame().select((pl.col("published") < cut) & oldest).to_series()
    return np.where(published.is_null().to_numpy(), has_events, fresh.fill_null(False).to_numpy())


def _published(items: pl.DataFrame) -> pl.Series | None:
    """Times (UTC) at which items were published; None if `items` has no such dates or times."""
    if "published" not in items.columns:
        return None
    column = items["published"]
    if isinstance(column.dtype, pl.Date):
        column = column.cast(pl.Datetime("ms"))
    if not isinstance(column.dtype, pl.Datetime):
        return None
    if column.dtype.time_zone is None:
        return column.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    return column.dt.convert_time_zone("UTC").cast(TIME)


def _pairs(log: InteractionLog, *, liked: bool = False) -> NDArray[np.int64]:
    """The distinct user-item pairs of a log as numbers, user · n_items + item, sorted.

    With `liked` only the pairs that have a positive event.
    """
    dense = log.dense.filter(pl.col("weight") > 0) if liked else log.dense
    users = dense["user"].to_numpy().astype(np.int64)
    return np.unique(users * log.n_items + dense["item"].to_numpy())


def _among(pairs: NDArray[np.int64], matrix: csr_matrix) -> NDArray[np.bool_]:
    """Bool (n,): which pairs, numbered as in `_pairs`, are true in a Boolean matrix."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return np.isin(pairs, row * matrix.shape[1] + matrix.indices)


def _matrix(pairs: NDArray[np.int64], log: InteractionLog) -> csr_matrix:
    """Pairs, numbered as in `_pairs`, as a Boolean CSR (n_users, n_items)."""
    user, item = np.divmod(pairs, log.n_items)
    ones = np.ones(pairs.size, dtype=np.bool_)
    return csr_matrix((ones, (user, item)), shape=(log.n_users, log.n_items))
