"""Who ranks: the house, or somebody's recommender behind this protocol (closed loop).

The world asks a policy for a fit each morning and for personal rankings through the day; the
platform's own slots are blended in by the world, whoever ranks.
"""

from typing import Any, Protocol

from numpy.typing import NDArray

from recsys.logs.log import InteractionLog, Seen


class Ranker(Protocol):
    """A fit: personal rankings for one day."""

    def rank(
        self, users: NDArray[Any], k: int, candidates: NDArray[Any], seen: Seen
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rankings int32 (n, k), -1 at the end, without what was seen; sources uint8 (n, k)."""


class Policy(Protocol):
    """A recommender that serves the platform and is trained anew each morning."""

    @property
    def training_days(self) -> int:
        """How many days back it learns from."""

    @property
    def impressions(self) -> bool:
        """Whether it learns from what was shown and not clicked."""

    def fit(self, log: InteractionLog, seed: int, previous: Ranker | None) -> Ranker:
        """A fit to the last days' events, from the last fit on where it can."""
