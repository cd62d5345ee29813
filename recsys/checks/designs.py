"""Designs: trials that a platform could run when newcomers come, tested where the truth is known.

Each trial is run in a simulated platform, and its estimate is held against the truth: the same days
of the same people, with newcomers and without them. The difference is what interference does: those
who are kept away share creators, models and lists with those who are not. Sources: Brennan et al.
(2023), "Reducing symbiosis bias through better A/B tests of recommendation algorithms", arXiv
2309.07107, for trials that divert users and what they are served from; Bajari et al. (2021),
"Multiple randomization designs", arXiv 2112.13495, for trials with lots on both sides.
"""

import json
import math
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.checks.candidates import KEPT, candidates_of
from recsys.checks.shown import Shown, shown_to_incumbents
from recsys.config import OwnLog, RecommenderSpec, Study
from recsys.core.errors import ConfigError
from recsys.core.jobs import Progress, run_all
from recsys.engines import engine_of
from recsys.estimates import Told, between_people, between_periods, needed, refilled
from recsys.mitigations.build import ORACLE
from recsys.statistics import nested_interval
from recsys.statistics.arrays import Floats
from recsys.study.arms.closed_loop import arm_for, days_before
from recsys.study.arms.rankings import make_rankings
from recsys.study.arms.worlds import panel_of
from recsys.world.simulate import Simulation
from recsys.world.trials import Trial


class Design(NamedTuple):
    """A trial, and what is compared in it.

    Attributes:
        trial: who is kept from newcomers' posts, and when.
        estimator: what the estimate is, in words.
        unit: of what it takes more to see smaller effects.
        by_choice: whether nothing is compared: a choice model tells it from the candidates of those
            who are reached.
    """

    trial: Trial
    estimator: str
    unit: str = "people a group"
    by_choice: bool = False


DESIGNS: dict[str, Design] = {
    "holdout": Design(
        Trial(), "incumbents reached, less incumbents held; all are served by one fit"
    ),
    "co-diverted": Design(
        Trial(diverted=True),
        "incumbents reached, less incumbents held; either side has a fit to its own events, and "
        "the lists of those held are made without newcomers' clicks",
    ),
    "double-sided": Design(
        Trial(creators=0.5),
        "twice the difference between incumbents who are shown the posts of half of the newcomers, "
        "and incumbents who are shown none",
    ),
    "switchback": Design(
        Trial(alternates=True),
        "parts of the day with newcomers' posts, less the same parts of other days without",
        "periods of either kind",
    ),
    "choice model": Design(
        Trial(creators=0.5),
        "the double-sided trial, but nobody is compared: twice what a choice model tells from the "
        "candidates of incumbents who are reached",
        "people",
        by_choice=True,
    ),
}
"""The designs by name."""
OUTCOMES = ("displaced", "english", "short video", "clicks")
"""What is estimated: newcomers' share of what incumbents are shown, and what changes of the share
in the newcomers' language, of short videos, and of what is clicked."""
ROWS = {
    "design": pl.String,
    "outcome": pl.String,
    "recommender": pl.String,
    "seed": pl.Int64,
    "truth": pl.Float64,
    "told": pl.Float64,
    "se": pl.Float64,
    "variance": pl.Float64,
}
"""Columns of a part: an estimate in one seed. `variance` is that between people or periods."""


@dataclass(frozen=True)
class Part:
    """All designs on one platform and seed.

    Attributes:
        study: the study that has the world.
        recommender: the recommender that serves.
        seed: world seed.
    """

    study: Study
    recommender: RecommenderSpec
    seed: int

    @property
    def name(self) -> str:
        """Name of the part for people."""
        return f"{self.recommender.name}, seed {self.seed}"

    @property
    def identity(self) -> str:
        """JSON of everything that the part's rows depend on, apart from the code."""
        where = self.study.model_dump(mode="json", include={"world_", "evaluation"})
        recommender = self.recommender.model_dump(mode="json")
        return json.dumps({**where, "recommender": recommender, "seed": self.seed}, sort_keys=True)


def plan(study: Study) -> list[Part]:
    """The parts of a test of designs: one for each recommender and seed.

    Args:
        study: a study of a world.

    Raises:
        ConfigError: the study is of a log, has no newcomers, serves by the oracle, or measures days
            before the influx.
    """
    if isinstance(study.source, OwnLog):
        raise ConfigError(f"{study.name}: designs are tested in a world; this is a study of a log")
    if study.world.influx.newcomers < 2:
        raise ConfigError("world.influx.newcomers: a design needs two or more newcomers")
    if any(spec.kind == ORACLE for spec in study.recommenders):
        raise ConfigError("recommenders: the oracle learns from nobody, so no design can test it")
    if study.evaluation.days[0] < 1:
        raise ConfigError("evaluation.days: designs are measured from day 1 on, after arrivals")
    seeds = study.seed_range()
    return [Part(study, spec, seed) for seed in seeds for spec in study.recommenders]


def run_part(part: Part) -> pl.DataFrame:
    """The estimate of each design and outcome, and the truth; columns of `ROWS`."""
    study, rankings = part.study, make_rankings(part.recommender)
    world, evaluation = study.world, study.evaluation
    shared = days_before(
        world, evaluation, part.seed, rankings, impressions=True, kept=KEPT * evaluation.k
    )
    arm = arm_for(rankings, "influx")
    window = (evaluation.days[0], evaluation.days[-1])

    def shown(simulation: Simulation) -> Shown:
        return shown_to_incumbents(simulation, evaluation.k, last=window[1])

    twin = shown(shared.run(arm._replace(newcomers="nobody")))
    joined = shown(shared.run(arm))
    truth = {
        outcome: float(np.nanmean(_people(joined, outcome, window, world.incumbents)))
        - float(np.nanmean(_people(twin, outcome, window, world.incumbents)))
        for outcome in OUTCOMES
    }
    rows = []
    trials = {design.trial: shared.run(arm, design.trial) for design in DESIGNS.values()}
    for name, design in DESIGNS.items():
        simulation = trials[design.trial]
        seen = shown(simulation)
        chosen = _chosen(design.trial, simulation, part.study) if design.by_choice else {}
        for outcome in OUTCOMES:
            told, variance = chosen.get(outcome) or _estimate(
                design.trial, simulation, seen, outcome, window
            )
            keys = (name, outcome, part.recommender.name, part.seed)
            rows.append((*keys, truth[outcome], told.value, told.se, variance))
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def _values(shown: Shown, outcome: str) -> NDArray[np.bool_]:
    return shown.by_newcomers if outcome == "displaced" else shown.of[outcome]


def _people(shown: Shown, outcome: str, window: tuple[int, int], n: int) -> Floats:
    """Float64 (n,): the mean of each incumbent over the window; NaN for who did not come."""
    return shown.rates(_values(shown, outcome), window, n)


def _estimate(
    trial: Trial, simulation: Simulation, shown: Shown, outcome: str, window: tuple[int, int]
) -> tuple[Told, float]:
    """The estimate of a trial, and the variance between its people or periods."""
    n, seed = simulation.world.incumbents, simulation.seed
    if not trial.alternates:
        held = trial.holds(seed, simulation.people.address[:n])
        return between_people(_people(shown, outcome, window, n), held, trial.creators)
    ticks = simulation.world.ticks
    rows = (shown.day >= window[0]) & (shown.day <= window[1])
    period = (shown.day[rows] - window[0]) * ticks + shown.tick[rows]
    periods = (window[1] - window[0] + 1) * ticks
    count = np.bincount(period, minlength=periods)
    hits = np.bincount(period, _values(shown, outcome)[rows].astype(float), minlength=periods)
    values = np.where(count > 0, hits / np.maximum(count, 1), np.nan)
    days, parts = np.divmod(np.arange(periods), ticks)
    on = [
        trial.is_on(seed, window[0] + int(day), int(tick))
        for day, tick in zip(days, parts, strict=True)
    ]
    return between_periods(values, np.array(on), parts)


def _chosen(trial: Trial, simulation: Simulation, study: Study) -> dict[str, tuple[Told, float]]:
    """What a choice model tells of each outcome, from the panel's mornings, and its variance."""
    people = panel_of(study.world, study.evaluation)
    people = people[~trial.holds(simulation.seed, simulation.people.address[people])]
    sets, of = candidates_of(simulation, study.evaluation.days, people, study.evaluation.k)
    estimates = {}
    for name, found in zip(of, refilled(sets, list(of.values())), strict=True):
        told = Told(found.told.value / trial.creators, found.told.se / trial.creators)
        estimates[name] = told, told.se**2 * people.size / 2
    return estimates


def tested(rows: pl.DataFrame, effect: float) -> pl.DataFrame:
    """How good each design is.

    Args:
        rows: columns of `ROWS`, several seeds.
        effect: the effect to see, as a change of a share, such as 0.01.

    Returns:
        A row for each recommender · outcome · design: seeds · truth and told (means over seeds) ·
        bias (told less truth: what interference does) with bias_ci_low and bias_ci_high · covered
        (share of seeds whose 95 % interval holds the truth) · seen (share of seeds whose interval
        excludes 0) · se (mean) · luck (deviation of told less truth over seeds; where it is far
        above se, more people do not help) · needed (people or periods in each group to see `effect`
        with 80 % power at the 5 % level, by what differs between people or periods alone) · unit.
    """
    table = []
    keys = ("recommender", "outcome", "design")
    for key, part in rows.group_by(*keys, maintain_order=True):
        known = part.filter(pl.col("told").is_not_nan())
        table.append({**dict(zip(keys, key, strict=True)), **_quality(known, effect)})
    names = list(OUTCOMES)
    return pl.DataFrame(table, infer_schema_length=None).sort(
        "recommender",
        pl.col("outcome").replace_strict(names, range(len(names))),
        maintain_order=True,
    )


def _quality(part: pl.DataFrame, effect: float) -> dict[str, Any]:
    truth, told, se = (part[name].to_numpy() for name in ("truth", "told", "se"))
    unit = DESIGNS[part["design"][0]].unit if part.height else ""
    if not part.height:
        return {"seeds": 0, "unit": unit}
    error = told - truth
    gap, half = nested_interval(error[None]), 1.96 * se
    return {
        "seeds": part.height,
        "truth": float(truth.mean()),
        "told": float(told.mean()),
        "bias": float(error.mean()),
        "bias_ci_low": float(gap.low),
        "bias_ci_high": float(gap.high),
        "covered": float((np.abs(error) <= half).mean()),
        "seen": float((np.abs(told) > half).mean()),
        "se": float(se.mean()),
        "luck": float(error.std(ddof=1)) if error.size > 1 else math.nan,
        "needed": needed(float(part["variance"].to_numpy().mean()), effect),
        "unit": unit,
    }


def run_designs(
    study: Study,
    effect: float = 0.01,
    progress: Progress | None = None,
    store: MutableMapping[str, pl.DataFrame] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Runs all designs in `study.workers` threads.

    Args:
        study: a study of a world; each of its recommenders serves.
        effect: the effect to see, as a change of a share, such as 0.01.
        progress: called after each part, as in `recsys.core.jobs.run_all`.
        store: rows by `Part.identity`; parts that it holds are not run again.

    Returns:
        The table of `tested`, and the rows of all parts.

    Raises:
        ConfigError: see `plan`; or the effect is 0.
    """
    if not (math.isfinite(effect) and effect != 0):
        raise ConfigError(
            f"--effect {effect:g}: give a change of a share that is not 0, such as 0.01"
        )
    parts: Sequence[Part] = plan(study)
    rows = pl.concat(run_all(parts, run_part, engine_of(study), progress, store))
    return tested(rows, effect), rows
