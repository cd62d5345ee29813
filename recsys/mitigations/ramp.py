"""Ramp: lets the influence of newcomers grow from nothing to full over some days."""

from datetime import datetime
from typing import Literal

import polars as pl
from pydantic import Field

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.mitigations.base import Mitigation, Place
from recsys.mitigations.cap import Capped, by_newcomers
from recsys.mitigations.downweight import check_weighted, weighted_fit
from recsys.recommenders.base import Model, Recommender


class Ramp(Mitigation):
    """Applies `downweight` or `cap` with w(t) = min(1, (t - t_first) / days), which is 0 at first.

    t is the date of the last event of the log. t_first is the date on which the first newcomer with
    events joined, or the date of the first event of a newcomer where joining dates are not known.
    Platforms roll out many changes gradually in this way. `of: weights` acts on als, most_popular
    and trending; `of: slots` acts on any recommender. After the ramp, `of: slots` is the plain
    recommender. `of: weights` goes on fitting als in the steps of `downweight`, because a switch to
    another way of fitting would itself change feeds. Use it where the influx is known to last, to
    spread one large change over days.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 2, 1], "item_id": [7, 7, 8],
    ...      "timestamp": ["2025-01-12", "2025-01-13", "2025-01-15"]},
    ...     {"user_id": [1, 2], "cohort": ["incumbent", "newcomer"]})
    >>> Ramp(days=4).share(log)
    0.5
    """

    days: float = Field(default=7.0, gt=0)
    """Days until newcomers have full influence."""
    of: Literal["weights", "slots"] = "weights"
    """What grows: the weight of newcomers' events, or the share of slots for their posts."""
    sweeps: int = Field(default=3, ge=1, le=100)
    """See `Downweight.sweeps`."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.WEIGHTS if self.of == "weights" else Place.RANKS

    def check(self, recommender: Recommender) -> None:
        """See `Mitigation.check`."""
        if self.of == "weights":
            check_weighted(recommender, "ramp of weights")

    def weigh(self, log: InteractionLog) -> float:
        """See `Mitigation.weigh`."""
        return self.share(log) if self.of == "weights" else 1.0

    def share(self, log: InteractionLog) -> float:
        """w(t) at the end of a log, 0 to 1; 0 before the first newcomer comes.

        Raises:
            LogError: the log has no times.
        """
        if not log.has_times:
            raise LogError(
                "ramp: the log has no times, so it does not say how long newcomers have been here"
            )
        newcomers_events = log.dense.filter(pl.Series(log.newcomers[log.dense["user"].to_numpy()]))
        if newcomers_events.is_empty():
            return 0.0
        first, last = newcomers_events["timestamp"].min(), log.dense["timestamp"].max()
        joined_kind = log.users.schema.get("joined")
        if isinstance(joined_kind, pl.Date | pl.Datetime):
            joined = (
                log.users["joined"]
                .gather(newcomers_events["user"].unique())
                .cast(pl.Datetime("ms"))
                .min()
            )
            first = first if joined is None else joined
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        return max(0.0, min(1.0, (last.date() - first.date()).days / self.days))

    def fit(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Model:
        """See `Mitigation.fit`."""
        if self.of == "slots":
            return super().fit(recommender, log, seed, previous)
        return weighted_fit(recommender, log, seed, previous, self.share(log), self.sweeps)

    def dress(self, model: Model, seed: int, previous: Model | None) -> Model:
        """See `Mitigation.dress`."""
        posts = by_newcomers(model.log, "ramp of slots")
        return Capped(model.log, model, self.share(model.log), False, posts)
