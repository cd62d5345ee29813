"""Runs a validation: does a synthetic platform reproduce published figures of real ones?

A validation consists of parts that can run alone. There is a part for the log of the platform when
the house feed serves it, and one for each recommender that serves it. Two more parts for each
recommender measure what feedback and what training seeds do to its feeds.
"""

import json
from collections.abc import MutableMapping
from dataclasses import dataclass

import polars as pl

from recsys.checks.validation.feedback import measure_feedback
from recsys.checks.validation.platform import measure_platform
from recsys.checks.validation.training_seeds import measure_training_seeds
from recsys.checks.verdicts import Measured, judge
from recsys.config import OwnLog, RecommenderSpec, Study, World
from recsys.core.errors import ConfigError
from recsys.core.jobs import Progress, run_all
from recsys.core.threads import single_threaded_blas
from recsys.engines import engine_of
from recsys.mitigations.build import make_recommender
from recsys.study.arms.policy import RecommenderPolicy

_MINORITY_WORLD = {"incumbents": 2000, "days_after": 14}
_MINORITY = {"newcomers": 400, "reversal_day": None, "posting_hazard": 0.1, "posts_a_head": 3.3}
"""The platform of check 5, on which newcomers stay and go on posting."""
_TRAINED_ON = 5000
"""Largest number of incumbents on the platform of check 7."""


@dataclass(frozen=True)
class Part:
    """A part of a validation that can run alone.

    Attributes:
        study: the study with the world, recommenders and seeds.
        kind: `platform` (checks 1 to 4 and 6), `feedback` (check 5) or `training` (check 7).
        recommender: the recommender that serves; None for the house feed.
        seed: world seed.
    """

    study: Study
    kind: str
    recommender: RecommenderSpec | None
    seed: int

    @property
    def served_by(self) -> str:
        """Name of what serves, as in the verdicts: "house" or a recommender."""
        return "house" if self.recommender is None else self.recommender.name

    @property
    def name(self) -> str:
        """Name of the part for people, unique in its validation."""
        return f"{self.kind}-{self.served_by}-seed-{self.seed}"

    @property
    def identity(self) -> str:
        """JSON of everything that the figures of the part depend on, apart from the code."""
        world = self.study.model_dump(mode="json", include={"world_"})
        spec = None if self.recommender is None else self.recommender.model_dump(mode="json")
        where = {"kind": self.kind, "recommender": spec, "seed": self.seed}
        return json.dumps({**world, **where}, sort_keys=True)


def plan(study: Study) -> list[Part]:
    """The parts of a validation.

    Args:
        study: a study of a world; the house feed and each of its recommenders are validated.

    Raises:
        ConfigError: the study is of a log, or its world ends less than a week after the reversal.
    """
    if isinstance(study.source, OwnLog):
        raise ConfigError(f"{study.name}: only a world can be validated; this is a study of a log")
    world = study.world
    reversal = world.influx.reversal_day
    if reversal is not None and world.days_after < reversal + 8:
        raise ConfigError(
            f"world.days_after: {world.days_after} days end before the week after the reversal; "
            f"give {reversal + 8} or more"
        )
    parts = []
    for seed in study.seed_range():
        parts.append(Part(study, "platform", None, seed))
        for spec in study.recommenders:
            recommender = make_recommender(spec)
            kinds = ["platform", "feedback", *["training"][: not recommender.deterministic]]
            parts += [Part(study, kind, spec, seed) for kind in kinds]
    return parts


def run_part(part: Part) -> dict[str, float]:
    """The figures of one part, by name of the quantity."""
    world = part.study.world
    with single_threaded_blas():
        if part.recommender is None:
            return measure_platform(world, part.seed)
        recommender = make_recommender(part.recommender)
        if part.kind == "feedback":
            return measure_feedback(_with_a_minority(world), recommender, part.seed)
        if part.kind == "training":
            smaller = min(world.incumbents, _TRAINED_ON)
            smaller_world = world.model_copy(update={"incumbents": smaller})
            return measure_training_seeds(smaller_world, recommender, part.seed)
        return measure_platform(world, part.seed, RecommenderPolicy(recommender))


def validate(
    study: Study,
    progress: Progress | None = None,
    store: MutableMapping[str, dict[str, float]] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Runs all checks on the study's engine.

    Args:
        study: a study of a world; the house feed and each of its recommenders are validated.
        progress: function that is called after each part with the number of finished parts, the
            number of all parts and the name of the part.
        store: figures by `Part.identity`; parts that it holds are not run again.

    Returns:
        The verdicts, see `judge`; and the figures behind them, quantity · served_by · seed · value.

    Raises:
        ConfigError: the study cannot be validated; raised before any part runs.
    """
    parts = plan(study)
    figures = run_all(parts, run_part, engine_of(study), progress, store)
    measured = [
        Measured(quantity, part.served_by, part.seed, value)
        for part, values in zip(parts, figures, strict=True)
        for quantity, value in values.items()
    ]
    return judge(measured), pl.DataFrame(measured, schema=Measured._fields, orient="row")


def _with_a_minority(world: World) -> World:
    """The platform of check 5."""
    influx = world.influx.model_copy(update=_MINORITY)
    return world.model_copy(update={**_MINORITY_WORLD, "influx": influx})
