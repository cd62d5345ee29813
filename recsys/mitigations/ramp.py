"""Ramp: newcomers' influence grows from nothing to all of it."""

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
    """`downweight`, or `cap`, by w(t) = min(1, (t - t_first) / days): 0 on the first day.

    t is the date of the log's last event. t_first is the date on which the first of the newcomers
    who are in the log joined or, where that is not known, of their first event. Gradual admission
    is how platforms roll out any change. With `of: weights` it acts on als, most_popular
    and trending, with `of: slots` on any recommender. Once it is over, `of: slots` is the plain
    recommender; `of: weights` fits als in the steps of `downweight` all the same, since another way
    of fitting would move feeds too. Use it where the influx is known to last, to spread one large
    change over days.

    >>> log = InteractionLog.from_frames(
    ...     {"user_id": [1, 2, 1], "item_id": [7, 7, 8],
    ...      "timestamp": ["2025-01-12", "2025-01-13", "2025-01-15"]},
    ...     {"user_id": [1, 2], "cohort": ["incumbent", "newcomer"]})
    >>> Ramp(days=4).share(log)
    0.5
    """

    days: float = Field(default=7.0, gt=0)
    """How long it takes."""
    of: Literal["weights", "slots"] = "weights"
    """What grows: what newcomers' events count, or the share of slots that their notes may take."""
    sweeps: int = Field(default=3, ge=1, le=100)
    """As of `downweight`."""

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
        """How much of their influence newcomers have by the end of a log; 0 before they come.

        Raises:
            LogError: the log has no times.
        """
        if not log.has_times:
            raise LogError(
                "ramp: the log has no times, so nobody knows how long newcomers are here"
            )
        theirs = log.dense.filter(pl.Series(log.newcomers[log.dense["user"].to_numpy()]))
        if theirs.is_empty():
            return 0.0
        first, last = theirs["timestamp"].min(), log.dense["timestamp"].max()
        if "joined" in log.users.columns and log.users["joined"].dtype.is_temporal():
            joined = (
                log.users["joined"].gather(theirs["user"].unique()).cast(pl.Datetime("ms")).min()
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
        makers = by_newcomers(model.log, "ramp of slots")
        return Capped(model.log, model, self.share(model.log), False, makers)
