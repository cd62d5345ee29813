"""Designs: trials that a platform could run when newcomers come, tested where the truth is known.

Each trial is run in a simulated platform, and its estimate is held against the truth: the same days
of the same people, with newcomers and without them. The truth is averaged as the trial averages:
over people where people are compared, each with the same weight however much they are shown; over
periods, each a mean over all that everybody was shown in it, where periods are compared. So the
difference is what interference does: those who are kept away share creators, models and lists with
those who are not. Sources: Brennan et al.
(2023), "Reducing symbiosis bias through better A/B tests of recommendation algorithms", arXiv
2309.07107, for trials that divert users and what they are served from; Bajari et al. (2021),
"Multiple randomization designs", arXiv 2112.13495, for trials with lots on both sides.
"""

import json
import math
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.checks.candidates import KEPT, told_by_choices
from recsys.checks.shown import CLICKS, Shown, rates_of, shown_to_incumbents
from recsys.config import Evaluation, OwnLog, RecommenderSpec, Study
from recsys.core.errors import ConfigError
from recsys.core.jobs import Progress, run_all
from recsys.core.threads import single_threaded_blas
from recsys.engines import engine_of
from recsys.estimates import Told, between_people, between_periods, needed
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
OUTCOMES = ("displaced", "english", "short video", CLICKS)
"""What is estimated: newcomers' share of what incumbents are shown, and what changes of the share
in the newcomers' language, of short videos, and of clicks per look."""
ROWS = {
    "design": pl.String,
    "outcome": pl.String,
    "recommender": pl.String,
    "seed": pl.Int64,
    "truth": pl.Float64,
    "told": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "se": pl.Float64,
    "variance": pl.Float64,
}
"""Columns of a part: an estimate in one seed. `low` and `high` are its 95 % interval, and
`variance` is that between people or periods."""


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
        study: a study of a world. All its incumbents are in the trials, whatever its panel is.

    Raises:
        ConfigError: the study is of a log, has no newcomers, serves by the oracle, measures days
            before the influx, or asks for what no design does; the message names all of these.
    """
    if isinstance(study.source, OwnLog):
        raise ConfigError(f"{study.name}: designs are tested in a world; this is a study of a log")
    if mistakes := list(_mistakes(study)):
        raise ConfigError("\n".join(mistakes))
    seeds = study.seed_range()
    return [Part(study, spec, seed) for seed in seeds for spec in study.recommenders]


def _mistakes(study: Study) -> Iterator[str]:
    """What a study has that designs cannot be tested with, or would not look at."""
    default = Evaluation()
    if study.world.influx.newcomers < 2:
        yield "world.influx.newcomers: a design needs two or more newcomers"
    if any(spec.kind == ORACLE for spec in study.recommenders):
        yield "recommenders: the oracle learns from nobody, so no design can test it"
    if study.evaluation.days[0] < 1:
        yield "evaluation.days: designs are measured from day 1 on, after arrivals"
    if study.loop != "closed":
        yield "loop: in a trial each recommender serves the platform itself; give loop: closed"
    if any(chain.parts for chain in study.mitigations):
        yield "mitigations: designs are tested without; leave them out, or give mitigations=[]"
    if study.channels:
        yield "channels: a trial needs all gates open; leave it out, or give channels=false"
    if study.arms != Study.model_fields["arms"].default:
        yield "arms: a trial is held against control and influx alone; leave arms out"
    for name in ("nudges", "one_step", "groups", "snapshots"):
        if getattr(study.evaluation, name) != getattr(default, name):
            yield f"evaluation.{name}: designs do not measure it; leave it out"


def run_part(part: Part) -> pl.DataFrame:
    """The estimate of each design and outcome, and the truth; columns of `ROWS`."""
    with single_threaded_blas():
        return _run(part)


def _run(part: Part) -> pl.DataFrame:
    study, rankings = part.study, make_rankings(part.recommender)
    world, evaluation = study.world, study.evaluation
    shared = days_before(
        world, evaluation, part.seed, rankings, impressions=True, kept=KEPT * evaluation.k
    )
    arm = arm_for(rankings, "influx")

    def shown(simulation: Simulation) -> Shown:
        return shown_to_incumbents(simulation, evaluation.k, last=evaluation.days[-1])

    days, twin = evaluation.days, shown(shared.run(arm._replace(newcomers="nobody")))
    joined = shown(shared.run(arm))
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for trial in dict.fromkeys(design.trial for design in DESIGNS.values()):
        simulation = shared.run(arm, trial)
        seen = shown(simulation)
        for name, design in DESIGNS.items():
            if design.trial != trial:
                continue
            chosen = _chosen(trial, simulation, part.study) if design.by_choice else {}
            rows[name] = []
            for outcome in OUTCOMES:
                true = truth(trial, joined, twin, outcome, days)
                told, variance = chosen.get(outcome) or _estimate(
                    trial, simulation, seen, outcome, days
                )
                keys = (name, outcome, part.recommender.name, part.seed)
                rows[name].append((*keys, true, told.value, told.low, told.high, told.se, variance))
    in_order = [row for name in DESIGNS for row in rows[name]]
    return pl.DataFrame(in_order, schema=ROWS, orient="row")


def truth(trial: Trial, joined: Shown, twin: Shown, outcome: str, days: Sequence[int]) -> float:
    """What newcomers change, averaged as a trial averages.

    Args:
        trial: the trial.
        joined, twin: what incumbents are shown with newcomers, and without.
        outcome: one of `OUTCOMES`.
        days: the days that count.

    Returns:
        With newcomers less without: of the mean over people who came; or, where the trial
        alternates, of the mean over parts of the day of the mean over days.
    """
    means = []
    for shown in (joined, twin):
        if not trial.alternates:
            means.append(float(np.nanmean(_people(shown, outcome, days))))
            continue
        values, parts = _periods(shown, outcome, days)
        of_parts = [values[parts == part] for part in np.unique(parts[~np.isnan(values)])]
        means.append(float(np.mean([np.nanmean(of_part) for of_part in of_parts])))
    return means[0] - means[1]


def _people(shown: Shown, outcome: str, days: Sequence[int]) -> Floats:
    """Float64 (n,): the mean of each incumbent over the days; NaN for who did not come."""
    return shown.rates(*_counted(shown, outcome), days)


def _periods(shown: Shown, outcome: str, days: Sequence[int]) -> tuple[Floats, NDArray[np.int64]]:
    """The mean of each period over all that was shown in it, NaN if nothing was; and its part of
    the day. Periods are in the order of days, then parts."""
    n, period = len(days) * shown.ticks, np.searchsorted(days, shown.day) * shown.ticks + shown.tick
    rates = rates_of(period, *_counted(shown, outcome), np.isin(shown.day, days), n)
    return rates, np.arange(n) % shown.ticks


def _counted(shown: Shown, outcome: str) -> tuple[NDArray[np.bool_], Floats]:
    """What is counted of each post that was shown, and per what."""
    values = shown.by_newcomers if outcome == "displaced" else shown.of[outcome]
    return values, shown.per(outcome)


def _estimate(
    trial: Trial, simulation: Simulation, shown: Shown, outcome: str, days: Sequence[int]
) -> tuple[Told, float]:
    """The estimate of a trial, and the variance between its people or periods."""
    seed = simulation.seed
    if not trial.alternates:
        held = trial.holds(seed, simulation.people.address[: shown.n])
        return between_people(_people(shown, outcome, days), held, trial.creators)
    values, parts = _periods(shown, outcome, days)
    on = [trial.is_on(seed, day, tick) for day in days for tick in range(shown.ticks)]
    return between_periods(values, np.array(on), parts)


def _chosen(trial: Trial, simulation: Simulation, study: Study) -> dict[str, tuple[Told, float]]:
    """What a choice model tells of each outcome, from the panel's mornings, and its variance."""
    people = panel_of(study.world, study.evaluation)
    people = people[~trial.holds(simulation.seed, simulation.people.address[people])]
    told = told_by_choices(simulation, study.evaluation.days, people, study.evaluation.k)
    estimates = {}
    for name, one in told.items():
        whole = one._replace(value=one.value / trial.creators, se=one.se / trial.creators)
        estimates[name] = whole, whole.se**2 * people.size / 2
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
    names = ("truth", "told", "low", "high", "se")
    truth, told, low, high, se = (part[name].to_numpy() for name in names)
    unit = DESIGNS[part["design"][0]].unit if part.height else ""
    if not part.height:
        return {"seeds": 0, "unit": unit}
    error = told - truth
    gap = nested_interval(error[None])
    return {
        "seeds": part.height,
        "truth": float(truth.mean()),
        "told": float(told.mean()),
        "bias": float(error.mean()),
        "bias_ci_low": float(gap.low),
        "bias_ci_high": float(gap.high),
        "covered": float(((low <= truth) & (truth <= high)).mean()),
        "seen": float(((low > 0) | (high < 0)).mean()),
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
    """Runs all designs on the study's engine; the figures are the same on any, to the bit.

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
