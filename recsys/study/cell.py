"""A cell: the part of a study that can run alone."""

import json
from dataclasses import dataclass, field
from typing import Any

from recsys.config import Chain, RecommenderSpec, Study


@dataclass(frozen=True)
class Cell:
    """A part of a study that can run alone.

    Attributes:
        study: the study that the cell belongs to.
        recommender: the recommender, as the config names it.
        seed: number of the seed, such as 0.
        draws: numbers of a log's placebo groups, such as range(1, 26). The cell that
            has group 1 also reports the other arms. Empty for a world.
        chain: the mitigations around the recommender.
        coalitions: numbers of sets of open gates, as in `recsys.study.arms.gated`. A cell
            with such sets runs nothing else.
    """

    study: Study
    recommender: RecommenderSpec
    seed: int
    draws: range = range(0)
    chain: Chain = field(default_factory=Chain)
    coalitions: range = range(0)

    @property
    def name(self) -> str:
        """Name of the cell for people, unique in its study, such as "als-seed-0"."""
        if self.chain.parts:
            return f"{self.recommender.name} + {self.chain.name} seed {self.seed}{self._part}"
        return f"{self.recommender.name}-seed-{self.seed}{self._part}"

    @property
    def variant(self) -> tuple[str, str]:
        """Names of the recommender and of its mitigations in the rows, such as ("als", "none")."""
        return self.recommender.name, self.chain.name

    @property
    def _part(self) -> str:
        if self.coalitions:
            return f"-gates-{self.coalitions.start}-{self.coalitions.stop - 1}"
        return f"-draws-{self.draws.start}-{self.draws.stop - 1}" if self.draws else ""

    @property
    def identity(self) -> str:
        """JSON of everything that the cell's result depends on, except the code and data files."""
        study = self.study.model_dump(
            mode="json", include={"world_", "log_", "loop", "arms", "evaluation"}
        )
        del study["evaluation"]["groups"]  # groups are made from the same rows afterwards
        recommender = self.recommender.model_dump(mode="json")
        where = {"seed": self.seed, "draws": [self.draws.start, self.draws.stop]}
        parts = [part.model_dump(mode="json") for part in self.chain.parts]
        more: dict[str, Any] = {"mitigations": parts} if parts else {}
        if self.coalitions:
            more["gates"] = [self.coalitions.start, self.coalitions.stop]
        return json.dumps({**study, "recommender": recommender, **more, **where}, sort_keys=True)
