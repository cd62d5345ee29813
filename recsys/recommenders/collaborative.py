"""What als, bpr, lmf, ease and item_knn share: they rank fresh items first.

Left to themselves they rank every item that anybody liked, and old items were liked most often.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.recommenders.base import Model, Recommender
from recsys.recommenders.fits import check_array, check_number
from recsys.recommenders.recency import Recency


class Collaborative(Recommender):
    """A recommender that learns from likes alone, whatever the items are."""

    candidate_days: float | None = Field(default=5.0, gt=0)
    """Items published within this many days before the end of the last like's day (UTC) are ranked
    first, and older ones follow only in slots that these leave empty (C). Null ranks all together,
    as is done where it is not known when items were published."""
    recency: Recency | None = None
    """Multiplies scores by popularity^power, with likes that decay; null leaves them as they are.
    Where scores are log odds, of bpr and lmf, power · log popularity is added."""


@dataclass(frozen=True)
class CollaborativeModel(Model):
    """A model of a `Collaborative` recommender.

    Attributes:
        candidate_days: see `Collaborative.candidate_days`.
        recency: float64 (n_items,), the `log_recency` of the log; None without the option.
    """

    candidate_days: float | None = field(kw_only=True)
    recency: NDArray[np.float64] | None = field(default=None, kw_only=True)

    def check(self) -> None:
        """See `Model.check`."""
        if self.candidate_days is not None:
            check_number("candidate_days", self.candidate_days, float, 0)
        if self.recency is not None:
            check_array("recency", self.recency, (self.log.n_items,), np.float64)

    def window(self) -> float | None:
        """See `Model.window`."""
        return self.candidate_days
