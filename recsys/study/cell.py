"""A cell: the part of a study that can run alone."""

import json
from dataclasses import dataclass, field
from typing import Any

from recsys.config import Chain, RecommenderSpec, Study


@dataclass(frozen=True)
class Cell:
    """A part of a study that can run alone.

    Attributes:
        study: the study it belongs to.
        recommender: which recommender.
        seed: which seed.
        draws: of a log, which placebo groups; the first cell of each recommender has the other
            arms too.
        chain: the mitigations that the recommender is under.
        coalitions: which sets of gates are open, as `recsys.study.arms.gated` numbers them; a cell
            that has any holds no other arms.
    """

    study: Study
    recommender: RecommenderSpec
    seed: int
    draws: range = range(0)
    chain: Chain = field(default_factory=Chain)
    coalitions: range = range(0)

    @property
    def name(self) -> str:
        """What people call it, unique in its study."""
        if self.chain.parts:
            return f"{self.recommender.name} + {self.chain.name} seed {self.seed}{self._part}"
        return f"{self.recommender.name}-seed-{self.seed}{self._part}"

    @property
    def variant(self) -> tuple[str, str]:
        """Names of the recommender and of its mitigations, as rows call them."""
        return self.recommender.name, self.chain.name

    @property
    def _part(self) -> str:
        if self.coalitions:
            return f"-gates-{self.coalitions.start}-{self.coalitions.stop - 1}"
        return f"-draws-{self.draws.start}-{self.draws.stop - 1}" if self.draws else ""

    @property
    def identity(self) -> str:
        """JSON of all that its result depends on, besides the code and the data files."""
        study = self.study.model_dump(
            mode="json", include={"world_", "log_", "loop", "arms", "evaluation"}
        )
        del study["evaluation"]["groups"]  # cut from the same rows afterwards
        recommender = self.recommender.model_dump(mode="json")
        where = {"seed": self.seed, "draws": [self.draws.start, self.draws.stop]}
        parts = [part.model_dump(mode="json") for part in self.chain.parts]
        more: dict[str, Any] = {"mitigations": parts} if parts else {}
        if self.coalitions:
            more["gates"] = [self.coalitions.start, self.coalitions.stop]
        return json.dumps({**study, "recommender": recommender, **more, **where}, sort_keys=True)
