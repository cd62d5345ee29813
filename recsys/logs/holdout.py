"""What is held out of a log to test on: its last days, or where it has no times events by lot."""

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
    """A log cut in two, and what of the later part could have been recommended.

    Attributes:
        train, test: the parts; users and items keep their numbers.
        cut: where the test part begins; None in a log without times.
        candidates: bool (n_items,), what can be recommended at the cut.
    """

    train: InteractionLog
    test: InteractionLog
    cut: datetime | None
    candidates: NDArray[np.bool_]

    @lazy
    def relevant(self) -> csr_matrix:
        """Bool CSR (n_users, n_items): candidates liked later, not seen before, not one's own."""
        pairs = self._liked_later[self._could_be_recommended]
        return _matrix(pairs, self.train)

    @lazy
    def liked(self) -> csr_matrix:
        """Bool CSR (n_users, n_items): what was liked in the training part."""
        return _matrix(_pairs(self.train, liked=True), self.train)

    @lazy
    def users(self) -> NDArray[np.int64]:
        """Dense ids of the users who can be tested: something is relevant to them."""
        return np.flatnonzero(np.diff(self.relevant.indptr))

    @property
    def likes(self) -> tuple[int, int]:
        """User-item pairs that are tested on, and how many were liked in the test part in all."""
        return int(self._could_be_recommended.sum()), int(self._liked_later.size)

    @property
    def out_of_reach(self) -> dict[str, int]:
        """Likes of the test part that no recommender could have found, by the reason, in words."""
        pairs, item = self._liked_later, self._items
        mine = _among(pairs, self.train.own)
        seen = ~mine & _among(pairs, self.train.seen)
        left = ~mine & ~seen & ~self.candidates[item]
        later, known = np.zeros((2, self.train.n_items), dtype=np.bool_)
        published = _published(self.train.items)
        if published is not None and self.cut is not None:
            later = (published >= self.cut).fill_null(False).to_numpy()
            known = published.is_not_null().to_numpy()
        return {
            "seen before": int(seen.sum()),
            "of items published later": int((left & later[item]).sum()),
            "of items too old to be served": int((left & known[item] & ~later[item]).sum()),
            "of items that nobody knew of": int((left & ~known[item]).sum()),
            "of one's own items": int(mine.sum()),
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
    """Cuts a log at one moment for all users, so that nobody learns from the future.

    Candidates are items published before the cut, or where that is not known, those that occur in
    the training part; in a log without times, anywhere in the log.

    Args:
        log: the whole log.
        days: hold out the events of the last so many days …
        share: … or the last so large a share of the events; without times it is drawn by lot.
        end: where the last day ends (UTC); None for the moment of the last event.
        window_days: items published longer before the cut cannot be recommended; None for no limit.
        seed: draws the lots.

    Raises:
        ConfigError: days of a log without times, or one of the parts is empty.

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
        late, cut = by_lot(log, share, seed), None
    else:
        cut = _cut(log, days, share, end)
        late = (log.dense["timestamp"] >= cut).to_numpy()
    for part, name, advice in ((~late, "train", "less"), (late, "test", "more")):
        if not part.any():
            raise ConfigError(
                f"{'test_share' if days is None else 'test_days'}: no event is left to {name} on; "
                f"hold out {advice}"
            )
    train, test = log.only(~late), log.only(late)
    return Split(train, test, cut, _candidates(log if cut is None else train, cut, window_days))


def by_lot(log: InteractionLog, share: float, seed: int) -> NDArray[np.bool_]:
    """Draws a share of the user-item pairs of a log; events of the same pair go together.

    Args:
        log: the log.
        share: between 0 and 1.
        seed: another seed draws others.

    Returns:
        Bool (n_events,), in the order of `dense`.
    """
    users = log.users["key"].to_numpy()[log.dense["user"].to_numpy()]
    items = log.items["key"].to_numpy()[log.dense["item"].to_numpy()]
    lot = uniforms(seed, Stream.HOLDOUT, users, *key_words(items))[:, 0]
    return np.asarray(lot < share)


def _cut(
    log: InteractionLog, days: float | None, share: float | None, end: datetime | None
) -> datetime:
    times = log.dense["timestamp"]
    if days is None:
        assert share is not None
        place = min(int((1 - share) * times.len()), times.len() - 1)
        moment = times[place]
    else:
        moment = (end or times[-1]) - timedelta(days=days)
    assert isinstance(moment, datetime)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _candidates(
    log: InteractionLog, cut: datetime | None, window_days: float | None
) -> NDArray[np.bool_]:
    """What can be recommended at the cut of a log that ends there, or has no times."""
    known = np.zeros(log.n_items, dtype=np.bool_)
    known[log.dense["item"].to_numpy()] = True
    published = _published(log.items)
    if published is None or cut is None:
        return known
    oldest = pl.lit(True)
    if window_days is not None:
        oldest = pl.col("published") > cut - timedelta(days=window_days)
    fresh = published.to_frame().select((pl.col("published") < cut) & oldest).to_series()
    return np.where(published.is_null().to_numpy(), known, fresh.fill_null(False).to_numpy())


def _published(items: pl.DataFrame) -> pl.Series | None:
    """When items were published, if that is known as times."""
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
    """The user-item pairs of a log, or of its positive events, each once: user · n_items + item."""
    dense = log.dense.filter(pl.col("weight") > 0) if liked else log.dense
    users = dense["user"].to_numpy().astype(np.int64)
    return np.unique(users * log.n_items + dense["item"].to_numpy())


def _among(pairs: NDArray[np.int64], matrix: csr_matrix) -> NDArray[np.bool_]:
    """Bool (n,): which pairs, numbered as in `_pairs`, a Boolean matrix holds."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return np.isin(pairs, row * matrix.shape[1] + matrix.indices)


def _matrix(pairs: NDArray[np.int64], log: InteractionLog) -> csr_matrix:
    user, item = np.divmod(pairs, log.n_items)
    ones = np.ones(pairs.size, dtype=np.bool_)
    return csr_matrix((ones, (user, item)), shape=(log.n_users, log.n_items))
