"""The protocol by which a recommender serves a world (closed loop).

Each morning the world asks a policy for a fit, and the fit for the day's personal rankings. The
world itself blends in the platform's own slots.
"""

from typing import Any, Protocol

from numpy.typing import NDArray

from recsys.logs.log import InteractionLog, Seen


class Ranker(Protocol):
    """A fit, which makes the personal rankings of one day."""

    def rank(
        self, users: NDArray[Any], k: int, candidates: NDArray[Any], seen: Seen
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Ranks posts for some users.

        Args:
            users: int (n,), rows of people.
            k: depth, such as 148.
            candidates: bool (n_posts,), which posts can be ranked.
            seen: what each person was shown; it is not ranked again.

        Returns:
            int32 (n, k) rows of posts, -1 where nothing is left, and uint8 (n, k) their positions
            in `recsys.logs.schema.SOURCES`.
        """


class Policy(Protocol):
    """A recommender that serves the platform and is trained again each morning."""

    @property
    def training_days(self) -> int:
        """Number of days from whose events it learns."""

    @property
    def impressions(self) -> bool:
        """Whether it learns from posts that were shown and not clicked."""

    @property
    def by_need(self) -> bool:
        """Whether rankings are only as long as the visits of the day need them."""

    def fit(self, log: InteractionLog, seed: int, previous: Ranker | None) -> Ranker:
        """Fits the recommender.

        Args:
            log: the events of the last days.
            seed: training seed.
            previous: yesterday's fit, from which training may go on; None for the first.
        """
