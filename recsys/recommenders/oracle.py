"""The oracle as a row of a study: the most that feeds could be worth to their readers."""

from typing import ClassVar

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.recommenders import Model, Recommender

ORACLE = "oracle"
"""Its kind in a config; it is no recommender, since it knows what none can know."""


class OracleRow(Recommender):
    """Stands for `recsys.world.day.oracle` where a study names its recommenders.

    In an open loop it ranks by the true utility that feeds are measured by: no other row can be
    worth more in the slots that a recommender fills. In a closed loop it serves the platform.
    """

    deterministic: ClassVar[bool] = True

    def fit(self, log: InteractionLog, seed: int = 0, previous: Model | None = None) -> Model:
        """Never fitted.

        Raises:
            LogError: always.
        """
        raise LogError("the oracle knows worlds, and learns nothing from a log")
