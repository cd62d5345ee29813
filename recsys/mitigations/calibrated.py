"""Calibrated: keeps the mix of a feed near the mix of what its user used to click."""
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
    """Fills a feed slot by slot with the post that is best for score and calibration together.

        argmax_i (1 - λ) s(u, i) - λ KL(p_u, q(I + i)),   KL(p, q) = Σ_g p_g ln(p_g / q̃_g)

    with q̃ = (1-α)q + αp. I is the feed so far and q its mix over language × topic. p is the mix of
    what the user clicked before the influx. s is the score, scaled to 0 to 1 over the posts that
    can be chosen: the first k of the ranking and `pool` more. Greedy re-ranking of Steck 2018,
    "Calibrated recommendations".

    The history p is taken from the log up to the first event of a newcomer. Once it spans
    `history_days` days it is final, and every later model takes it over. In an open loop it is that
    of the morning of day 0 in every arm, if the world has that many days before day 0. In a closed
    loop each arm has a history of its own. Newcomers have no history, and their rankings are not
    changed. Acts on the rankings of any recommender. Use it where users should keep their mix
    whatever becomes popular.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 2, 3, 3], "item_id": [7, 5, 8, 5, 6]},
    ...     items={"item_id": [5, 6, 7, 8], "topic": ["cars", "food", "food", "food"]})
    >>> calibrated = Calibrated(strength=0.9, attributes=("topic",))
    >>> mitigated(Trending(), [calibrated]).fit(log).rank(np.array([0]), 3).item_ids.tolist()
    [[1, 3, 0]]
    """

    strength: float = Field(default=0.5, ge=0, le=1)
    """λ: 0 keeps the plain ranking, 1 looks at the mix alone."""
    attributes: tuple[str, ...] = Field(default=("language", "topic"), min_length=1)
    """Columns of the items; each combination of their values is one bin of the mix."""
    smoothing: float = Field(default=0.01, gt=0, lt=1)
    """α, a share of p mixed into q so that no divergence is infinite."""
    pool: int = Field(default=150, ge=0, le=10_000)
    """Number of posts beyond the first k of the ranking that can be chosen."""
    history_days: int = Field(default=7, ge=1)
    """Days that a history must span to be final."""

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
            LogError: the items lack one of `attributes`.
        """
        history = previous.history if isinstance(previous, _Calibrated) else None
        if history is None or not history.kept:
            history = History.of(model.log, self.attributes, self.history_days)
        return _Calibrated(model.log, model, self, history)


class History(NamedTuple):
    """What users clicked before the first newcomer came."""

    keys: NDArray[np.uint64]
    """(n_users,) keys of the users, sorted."""
    counts: csr_matrix
    """Float64 CSR (n_users, bins): sum of the event weights of each user in each bin."""
    labels: tuple[str, ...]
    """Name of each bin, such as "zh · food"."""
    kept: bool
    """Whether the history spans enough days to be final."""

    @classmethod
    def of(cls, log: InteractionLog, attributes: tuple[str, ...], days: int) -> "History":
        """The history in a log, up to the first event of a newcomer.

        Args:
            log: the training log.
            attributes: columns of its items, such as `("language", "topic")`.
            days: days that the history must span to be final, such as 7.
        """
        codes, labels = log.item_codes(*attributes)
        events = log.dense
        if log.has_times:
            by_newcomers = pl.Series(log.newcomers[events["user"].to_numpy()])
            first_arrival = events.filter(by_newcomers)["timestamp"].min()
            if first_arrival is not None:
                events = events.filter(pl.col("timestamp") < first_arrival)
        dates = events["timestamp"].dt.date()
        span = (dates.max() - dates.min()).days + 1 if dates.drop_nulls().len() else 0  # type: ignore[operator,union-attr]
        user = events["user"].to_numpy()
        weights = (events["weight"].to_numpy().astype(np.float64), (user, codes[events["item"]]))
        counts = csr_matrix(weights, shape=(log.n_users, len(labels)))
        keys = log.users["key"].to_numpy()
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], counts[order], tuple(labels), span >= days)

    def mix(self, keys: NDArray[np.uint64], labels: list[str]) -> NDArray[np.float64]:
        """Float64 (n, bins): share of each bin in what users clicked; 0 for users without history.

        Args:
            keys: uint64 (n,), keys of users.
            labels: names of the first bins of the result, in this order; the other bins of the
                history follow.
        """
        place = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        has_history = self.keys[place] == keys
        counts = self.counts[place].toarray() * has_history[:, None]
        bins = {label: number for number, label in enumerate(labels)}
        columns = [bins.setdefault(label, len(bins)) for label in self.labels]
        shares = np.zeros((keys.size, len(bins)))
        shares[:, columns] = counts
        total = shares.sum(axis=1, keepdims=True)
        return np.asarray(shares / np.where(total > 0, total, 1.0))


@dataclass(frozen=True)
class _Calibrated(Dressed):
    """A model whose rankings are calibrated to the history of each user."""

    options: Calibrated
    history: History

    @lazy
    def codes(self) -> tuple[NDArray[np.int32], list[str]]:
        """Bin of each item, int32 (n_items,), and the name of each bin."""
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
    """Writes the greedy choice to `places` (n, k) as columns of `ids` (n, m); -1 in empty slots.

    Of the posts of one bin the first in the ranking is the best, so for each slot it is enough to
    compare one post per bin: `head[b]` is the first post of bin b that was not chosen yet, and
    `following[place]` the next post of the same bin.
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
            base_fit = 0.0  # Σ p ln q̃ if the next post belonged to no bin
            for b in range(n_bins):
                if p[b] > 0:
                    base_fit += p[b] * np.log(part * count[b] + alpha * p[b])
            chosen, best = np.int64(-1), -np.inf
            for b in range(n_bins):
                place = head[b]
                if place < 0:
                    continue
                fit = base_fit
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
