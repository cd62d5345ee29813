"""Claim 4: what others have published about real recommenders and data is also seen here."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.checks.proof.claims import CLAIMS, Figure
from recsys.checks.validation.feedback import measure_feedback
from recsys.checks.validation.training_seeds import measure_training_seeds
from recsys.checks.verdicts import mean_and_ends
from recsys.config import Evaluation, World
from recsys.recommenders import Recommender
from recsys.statistics import nested_interval
from recsys.study.arms.closed_loop import ClosedLoop, served_worlds
from recsys.study.arms.measuring import measure
from recsys.study.arms.rankings import Learned
from recsys.study.tables.drift import drifts_by_arm
from recsys.world.people.population import LANGUAGES

_MEASURES = {
    "language_format": "English users' mix drift, less others'",
    "newcomer_share": "newcomers' posts in English users' feeds",
}
_READS = 0.5
"""Least skill in the newcomers' language of an incumbent who counts as reading it."""


def run_facts(
    world: World, evaluation: Evaluation, recommender: Recommender, seed: int
) -> pl.DataFrame:
    """The figures of one recommender and seed.

    Args:
        world: the platform, with its influx.
        evaluation: how the platform is evaluated. Drift of those who read the newcomers' language
            is taken on the last of its days.
        recommender: the recommender that serves, or is trained.
        seed: world seed, such as 0.

    Returns:
        seed · quantity · value.
    """
    figures = measure_feedback(world, recommender, seed)
    if not recommender.deterministic:
        figures |= measure_training_seeds(world, recommender, seed)
    figures |= _minority(world, evaluation, recommender, seed)
    return pl.DataFrame(
        [(seed, name, value) for name, value in figures.items()],
        schema={"seed": pl.Int64, "quantity": pl.String, "value": pl.Float64},
        orient="row",
    )


def _minority(
    world: World, evaluation: Evaluation, recommender: Recommender, seed: int
) -> dict[str, float]:
    """Total drift of incumbents who read the newcomers' language, less that of the others.

    All incumbents are measured, not a panel, since few read that language.
    """
    names = ("control", "influx", "retrain")
    chosen = evaluation.model_copy(update={"days": evaluation.days[-1:], "panel": world.incumbents})
    worlds = served_worlds(world, chosen, names, seed, Learned(recommender))
    per_user = measure(ClosedLoop(worlds, ("x", "none"))).per_user
    language = LANGUAGES.index(world.population.newcomers.language)
    reads = worlds.twin.people.skill[worlds.panel, language] >= _READS
    gaps = {}
    for _, name, by_arm in drifts_by_arm(per_user, names):
        if name in _MEASURES:
            influx, retrain = (by_arm[arm].values[0, :, 0] for arm in ("influx", "retrain"))
            gaps[_MEASURES[name]] = _gap(influx - retrain, reads)
    return gaps


def _gap(y: NDArray[np.float64], reads: NDArray[np.bool_]) -> float:
    """Mean of those who read the newcomers' language, less the mean of those who do not."""
    return float(np.nanmean(y[reads]) - np.nanmean(y[~reads]))


def facts(figures: pl.DataFrame) -> tuple[pl.DataFrame, list[Figure]]:
    """Means over seeds.

    Args:
        figures: rows of `run_facts` with a column `recommender`.

    Returns:
        recommender · quantity · mean · ci_low · ci_high · n_seeds; and the figures of claim 4.
    """
    rows: list[tuple[Any, ...]] = []
    for keys, group in figures.group_by("recommender", "quantity", maintain_order=True):
        y = nested_interval(group.sort("seed")["value"].to_numpy()[None])
        rows.append((*keys, *mean_and_ends(y), group.height))
    columns = ("recommender", "quantity", "mean", "ci_low", "ci_high", "n_seeds")
    claimed = [
        Figure(name, recommender, *figures)
        for recommender, name, *figures in rows
        if name in CLAIMS
    ]
    return pl.DataFrame(rows, schema=columns, orient="row"), claimed
