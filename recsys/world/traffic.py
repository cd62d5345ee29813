"""What a day's visits came to, counted where they happen: impressions need not be kept for it."""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.world.people.behaviour import CLICKED
from recsys.world.people.population import LANGUAGES


class Traffic(NamedTuple):
    """Counts by cohort on the first axis: incumbents, then newcomers."""

    people: NDArray[np.int64]
    """(2,) how many came."""
    impressions: NDArray[np.int64]
    """(2, languages) notes shown, by their language."""
    visits_by_clicks: NDArray[np.int64]
    """(2, ranks + 1) visits, by their number of clicks."""

    @classmethod
    def on(cls, world: World, visits: NDArray[np.int64]) -> Self:
        """A day's traffic before anything is shown; `visits` (n_people,) are each person's."""
        came, n = visits > 0, world.incumbents
        return cls(
            np.array([came[:n].sum(), came[n:].sum()]),
            np.zeros((2, len(LANGUAGES)), dtype=np.int64),
            np.zeros((2, world.platform.visit_ranks + 1), dtype=np.int64),
        )

    def add(
        self,
        cohort: int,
        language: NDArray[np.int32],
        feeds: NDArray[np.int32],
        actions: NDArray[np.uint16],
    ) -> None:
        """Adds visits of one cohort.

        Args:
            cohort: 0 incumbents, 1 newcomers.
            language: int32 (n_notes,).
            feeds: int32 (n, ranks), -1 from the end of a visit on.
            actions: uint16 (n, ranks), as the response kernel writes them.
        """
        _count(
            self.impressions[cohort],
            self.visits_by_clicks[cohort],
            language,
            feeds,
            actions,
            CLICKED,
        )


@njit(nogil=True, cache=True)
def _count(impressions, visits, language, feeds, actions, clicked):  # type: ignore[no-untyped-def]
    for visit in range(feeds.shape[0]):
        clicks = 0
        for rank in range(feeds.shape[1]):
            note = feeds[visit, rank]
            if note < 0:
                break
            impressions[language[note]] += 1
            if actions[visit, rank] & clicked:
                clicks += 1
        visits[clicks] += 1
