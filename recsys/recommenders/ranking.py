"""Rankings: what a model serves, one row a user."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.logs.schema import SOURCES

_PERSONAL, _FALLBACK = (list(SOURCES.categories).index(name) for name in ("personal", "fallback"))


@dataclass(frozen=True)
class Ranking:
    """Feeds in dense ids.

    Attributes:
        item_ids: int32 (n_users, k), best first, -1 where there is none.
        scores: float32 (n_users, k), NaN where there is none.
        sources: uint8 (n_users, k), positions in `recsys.logs.schema.SOURCES`.
    """

    item_ids: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: NDArray[np.uint8]

    def frame(self, user_ids: pl.Series, item_ids: pl.Series) -> pl.DataFrame:
        """Feeds under people's own ids, a row per filled slot.

        Args:
            user_ids: (n_users,) ids of the rows.
            item_ids: (n_items,) ids of the items.

        Returns:
            user_id · rank (1 = top) · item_id · score · source.
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
