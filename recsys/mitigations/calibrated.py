"""Calibrated: a feed holds what its reader used to click, in about the same proportions."""
# mypy: disallow-untyped-decorators=False

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix

from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.mitigations.base import Dressed, Mitigation, Place
from recsys.recommenders.base import Model, Users
from recsys.recommenders.ranking import Ranking


class Calibrated(Mitigation):
    """Fills a feed slot by slot with what is best for score and calibration together.

        argmax_i (1 - λ) s(u, i) - λ KL(p_u, q(I + i)),   KL(p, q) = Σ_g p_g ln(p_g / q̃_g)

    with q̃ = (1-α)q + αp. I is the feed so far, q its mix over language × topic, p the mix of what
    the reader clicked before the influx, s the score between 0 and 1 over the reader's `pool` best.
    Greedy re-ranking of Steck 2018, "Calibrated recommendations". The history is taken from the log
    up to the first newcomer's event; once it spans `history_days` it is kept and passed on from
    model to model. In an open loop it is that of the morning of day 0 in every arm, if the world
    has as many days before; in a closed one each arm keeps its own. Newcomers have none, and are
    served as without. Acts on the rankings of any recommender. Use it where readers should keep
    their mix whatever becomes popular.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 2, 3, 3], "item_id": [7, 5, 8, 5, 6]},
    ...     items={"item_id": [5, 6, 7, 8], "topic": ["cars", "food", "food", "food"]})
    >>> calibrated = Calibrated(strength=0.9, attributes=("topic",))
    >>> mitigated(Trending(), [calibrated]).fit(log).rank(np.array([0]), 3).item_ids.tolist()
    [[1, 3, 0]]
    """

    strength: float = Field(default=0.5, ge=0, le=1)
    """λ: 0 is the plain ranking, 1 heeds the mix alone."""
    attributes: tuple[str, ...] = Field(default=("language", "topic"), min_length=1)
    """The items' columns whose combinations make the mix."""
    smoothing: float = Field(default=0.01, gt=0, lt=1)
    """α, so that no divergence is infinite."""
    pool: int = Field(default=150, ge=0, le=10_000)
    """How many notes beyond the feed's depth it can choose from."""
    history_days: int = Field(default=7, ge=1)
    """Days that a history must span before it is kept."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.RANKS

    @property
    def needs_previous(self) -> bool:
        """See `Mitigation`."""
        return True

    def dress(self, model: Model, seed: int, previous: Model | None) -> "_Calibrated":
        """See `Mitigation.dress`.

        Raises:
            LogError: the items lack an attribute.
        """
        history = previous.history if isinstance(previous, _Calibrated) else None
        if history is None or not history.kept:
            history = History.of(model.log, self.attributes, self.history_days)
        return _Calibrated(model.log, model, self, history)


class History(NamedTuple):
    """What people clicked before newcomers came."""

    keys: NDArray[np.uint64]
    """(n,) users' keys, sorted."""
    counts: csr_matrix
    """Float64 (n, bins): weights of what they clicked."""
    labels: tuple[str, ...]
    """What each bin stands for."""
    kept: bool
    """Whether it spans enough days to be kept."""

    @classmethod
    def of(cls, log: InteractionLog, attributes: tuple[str, ...], days: int) -> "History":
        """The history in a log, up to the first event of a newcomer.

        Args:
            log: the training log.
            attributes: columns of its items.
            days: how many it must span to be kept.
        """
        codes, labels = log.item_codes(*attributes)
        events = log.dense
        if log.has_times:
            theirs = pl.Series(log.newcomers[events["user"].to_numpy()])
            first = events.filter(theirs)["timestamp"].min()
            if first is not None:
                events = events.filter(pl.col("timestamp") < first)
        dates = events["timestamp"].dt.date()
        span = (dates.max() - dates.min()).days + 1 if dates.drop_nulls().len() else 0  # type: ignore[operator,union-attr]
        user = events["user"].to_numpy()
        weights = (events["weight"].to_numpy().astype(np.float64), (user, codes[events["item"]]))
        counts = csr_matrix(weights, shape=(log.n_users, len(labels)))
        keys = log.users["key"].to_numpy()
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], counts[order], tuple(labels), span >= days)

    def mix(self, keys: NDArray[np.uint64], labels: list[str]) -> NDArray[np.float64]:
        """Float64 (n, bins): shares of bins with these labels, then of any others; 0 for nobody's.

        Args:
            keys: users' keys.
            labels: of the bins wanted first.
        """
        place = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        known = self.keys[place] == keys
        counts = self.counts[place].toarray() * known[:, None]
        bins = {label: number for number, label in enumerate(labels)}
        columns = [bins.setdefault(label, len(bins)) for label in self.labels]
        shares = np.zeros((keys.size, len(bins)))
        shares[:, columns] = counts
        total = shares.sum(axis=1, keepdims=True)
        return np.asarray(shares / np.where(total > 0, total, 1.0))


@dataclass(frozen=True)
class _Calibrated(Dressed):
    """A model whose rankings keep their readers' mixes."""

    options: Calibrated
    history: History

    @lazy
    def codes(self) -> tuple[NDArray[np.int32], list[str]]:
        """The bin of each item, and what each bin stands for."""
        return self.log.item_codes(*self.options.attributes)

    def rank(
        self,
        users: Users,
        k: int = 20,
        candidates: NDArray[np.bool_] | None = None,
        exclude_seen: bool | Seen = True,
    ) -> Ranking:
        """See `Model.rank`."""
        deep = self.inner_rank(users, k, candidates, exclude_seen, self.options.pool)
        codes, labels = self.codes
        users = np.asarray(users, dtype=np.int64)
        keys = self.log.users["key"].to_numpy()[users]
        target = self.history.mix(keys, labels)
        target[users < 0] = 0
        places = np.full((users.size, k), -1, dtype=np.int64)
        bins = codes[deep.item_ids].astype(np.int64)
        _choose(
            deep.item_ids,
            deep.scores.astype(np.float64),
            bins,
            target,
            self.options.strength,
            self.options.smoothing,
            places,
        )
        rows, filled = np.arange(users.size)[:, None], places >= 0
        return Ranking(
            np.where(filled, deep.item_ids[rows, places], np.int32(-1)),
            np.where(filled, deep.scores[rows, places], np.float32(np.nan)),
            np.where(filled, deep.sources[rows, places], deep.sources[:, :1]),
        )


@njit(nogil=True, cache=True)
def _choose(ids, scores, bins, target, strength, alpha, places):  # type: ignore[no-untyped-def]
    """Fills `places` (n, k) with columns of `ids` (n, m): the greedy choice, -1 at the end.

    In a bin the first of the ranking is the best, so a slot compares one candidate a bin.
    """
    n, k = places.shape
    n_bins = target.shape[1]
    head = np.empty(n_bins, dtype=np.int64)
    following = np.empty(ids.shape[1], dtype=np.int64)
    count = np.empty(n_bins)
    for row in range(n):
        m = 0
        while m < ids.shape[1] and ids[row, m] >= 0:
            m += 1
        p = target[row]
        if p.sum() == 0:
            for slot in range(min(k, m)):
                places[row, slot] = slot
            continue
        low, high = np.inf, -np.inf
        for place in range(m):
            low, high = min(low, scores[row, place]), max(high, scores[row, place])
        head[:] = -1
        for place in range(m - 1, -1, -1):
            following[place] = head[bins[row, place]]
            head[bins[row, place]] = place
        count[:] = 0
        for slot in range(min(k, m)):
            part = (1 - alpha) / (slot + 1)
            as_it_is = 0.0  # Σ p ln q̃ if the next note were of no bin
            for b in range(n_bins):
                if p[b] > 0:
                    as_it_is += p[b] * np.log(part * count[b] + alpha * p[b])
            chosen, best = np.int64(-1), -np.inf
            for b in range(n_bins):
                place = head[b]
                if place < 0:
                    continue
                fit = as_it_is
                if p[b] > 0:
                    fit += p[b] * (
                        np.log(part * (count[b] + 1) + alpha * p[b])
                        - np.log(part * count[b] + alpha * p[b])
                    )
                score = (scores[row, place] - low) / (high - low) if high > low else 1.0
                value = (1 - strength) * score + strength * fit
                if value > best or (value == best and place < chosen):
                    chosen, best = place, value
            places[row, slot] = chosen
            b = bins[row, chosen]
            head[b] = following[chosen]
            count[b] += 1
