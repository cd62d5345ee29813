"""Counts of a day's visits and impressions, so that the impressions need not be kept."""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.world.people.behaviour import CLICKED
from recsys.world.people.population import LANGUAGES


class Traffic(NamedTuple):
    """Counts of a day; the first axis is the cohort: incumbents, then newcomers."""

    people: NDArray[np.int64]
    """(2,) people who came."""
    impressions: NDArray[np.int64]
    """(2, languages) posts shown, by the language of the post."""
    visits_by_clicks: NDArray[np.int64]
    """(2, ranks + 1) visits, by their number of clicks."""

    @classmethod
    def on(cls, world: World, visits: NDArray[np.int64]) -> Self:
        """A day's counts before anything is shown.

        Args:
            world: the config.
            visits: int64 (n_people,), number of visits of each person.
        """
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
        looks: NDArray[np.float64],
    ) -> None:
        """Adds visits of one cohort to the counts, in place.

        Args:
            cohort: 0 for incumbents, 1 for newcomers.
            language: int32 (n_posts,), language of each post.
            feeds: int32 (n, ranks), rows of posts, -1 from the end of a visit on.
            actions: uint16 (n, ranks), a bit for each kind of event.
            looks: float64 (n_posts,), looks at each post; changed too.
        """
        _count(
            self.impressions[cohort],
            self.visits_by_clicks[cohort],
            language,
            feeds,
            actions,
            CLICKED,
            looks,
        )


@njit(nogil=True, cache=True)
def _count(impressions, visits, language, feeds, actions, clicked, looks):  # type: ignore[no-untyped-def]
    for visit in range(feeds.shape[0]):
        clicks = 0
        for rank in range(feeds.shape[1]):
            post = feeds[visit, rank]
            if post < 0:
                break
            impressions[language[post]] += 1
            looks[post] += 1
            if actions[visit, rank] & clicked:
                clicks += 1
        visits[clicks] += 1
