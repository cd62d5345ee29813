"""The ranking that a model returns: items, scores and sources, a row for each user."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.logs.schema import SOURCES

PERSONAL, FALLBACK = (list(SOURCES.categories).index(name) for name in ("personal", "fallback"))
"""Codes in `Ranking.sources` of an item from the model itself and of one that filled a gap."""


class Slots(NamedTuple):
    """Rows of a ranking to write to; slots without an item are left as they are."""

    users: NDArray[np.integer[Any]]
    """(n_users,) dense id of the user of each row, -1 for a user who is not in the log."""
    rows: NDArray[np.int64]
    """(n,) the rows to write to."""
    ids: NDArray[np.int32]
    """(n_users, k), written: the best items."""
    scores: NDArray[np.float32]
    """(n_users, k), written: their scores."""


@dataclass(frozen=True)
class Ranking:
    """The best k items of each user, in dense ids.

    Attributes:
        item_ids: int32 (n_users, k), the best item first; -1 in an empty slot.
        scores: float32 (n_users, k); NaN in an empty slot.
        sources: uint8 (n_users, k), what filled each slot, as a position in
            `recsys.logs.schema.SOURCES`.
    """

    item_ids: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: NDArray[np.uint8]

    def frame(self, user_ids: pl.Series, item_ids: pl.Series) -> pl.DataFrame:
        """The ranking as a frame, under the ids of the log, a row for each filled slot.

        Args:
            user_ids: (n_users,) id of the user in each row of the ranking.
            item_ids: (n_items,) id of each item of the log.

        Returns:
            A frame user_id · rank (1 = top) · item_id · score · source.
        """
        row, column = np.nonzero(self.item_ids >= 0)
        return pl.DataFrame(
            {
                "user_id": user_ids.gather(row),
                "rank": (column + 1).astype(np.uint16),
                "item_id": item_ids.gather(self.item_ids[row, column]),
                "score": self.scores[row, column],
                "source": pl.Series(self.sources[row, column]).cat.to(SOURCES),
            }
        )
