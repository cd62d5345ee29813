"""A study: plan its cells, run each alone, combine them. `run` does the three.

A cell is what can run on its own, anywhere and in any order: a recommender on one seed of a world,
or on a log without some of its placebo groups.
"""

import json
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from threading import Lock
from typing import Any, TypeVar

import polars as pl

from recsys.arms.channels import COALITIONS, RUNGS, ChannelArms
from recsys.arms.closed import ClosedArms
from recsys.arms.log import LogArms
from recsys.arms.result import REMOVALS, CellResult, feeds_in_one
from recsys.arms.world import WorldArms
from recsys.breakdown import (
    exposure_summary,
    groups_of,
    measures_in,
    users_of_log,
    users_of_world,
    wins_of,
)
from recsys.channels import channels
from recsys.config import Chain, RecommenderSpec, Study
from recsys.errors import ConfigError, LogError
from recsys.exposed import EXPOSED
from recsys.front import dominated, front
from recsys.groups import groups_of_users
from recsys.inference import MIN_SEEDS_FOR_CLAIMS
from recsys.inference.arrivals import Wave
from recsys.jobs import Progress, run_all
from recsys.load import make_recommender
from recsys.newcomers import ARRIVALS
from recsys.recommenders import Recommender
from recsys.recovery import recovery
from recsys.spread import quantiles
from recsys.summary import (
    drift_of_log,
    drift_of_world,
    power_of_world,
    primaries_of_log,
    summarise,
)
from recsys.threads import single_threaded_blas

__all__ = ["Cell", "CellResult", "StudyResult", "combine", "plan", "run", "run_cell"]

_DRAWS_PER_CELL = 25
_AGREES = 1e-8
"""Largest difference of weights that is numerical error."""
_COALITIONS_PER_CELL = 8

K = TypeVar("K")
V = TypeVar("V")


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
        coalitions: which sets of gates are open, as `recsys.arms.channels` numbers them; a cell
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
    def _part(self) -> str:
        if self.coalitions:
            return f"-gates-{self.coalitions.start}-{self.coalitions.stop - 1}"
        return f"-draws-{self.draws.start}-{self.draws.stop - 1}" if self.draws else ""

    @property
    def identity(self) -> str:
        """JSON of all that its result depends on, besides the code and the data files."""
        study = self.study.model_dump(
            mode="json", include={"world", "log", "loop", "arms", "evaluation"}
        )
        del study["evaluation"]["groups"]  # cut from the same rows afterwards
        recommender = self.recommender.model_dump(mode="json")
        where = {"seed": self.seed, "draws": [self.draws.start, self.draws.stop]}
        parts = [part.model_dump(mode="json") for part in self.chain.parts]
        more: dict[str, Any] = {"mitigations": parts} if parts else {}
        if self.coalitions:
            more["gates"] = [self.coalitions.start, self.coalitions.stop]
        return json.dumps({**study, "recommender": recommender, **more, **where}, sort_keys=True)


@dataclass(frozen=True)
class StudyResult:
    """Everything a study found.

    Attributes:
        study: the config it came from.
        per_user: recommender · mitigation · arm · seed · draw · day · cohort · user_id · and a
            column for each measure.
        summary: recommender · mitigation · arm · day · cohort · measure · mean · ci_low · ci_high ·
            n_users · n_seeds; day is null in the mean over days. Newcomers are others in each
            seed, and are counted over all.
        drift: recommender · mitigation · day · measure · influx · placebo · retrain · total ·
            volume · who, these three with _ci_low and _ci_high · who_band_low · who_band_high (of a
            day: who of all days lies within these at once, with 95 %) · p_value (of who) ·
            p_adjusted · saturated · n_users · n_seeds. p_adjusted, in headline rows, allows for the
            number of a recommender's measures other than the primaries, whose p it leaves as it is:
            Holm's in a world (`recsys.summary.PRIMARY`), Westfall & Young's in a log
            (`recsys.summary.primaries_of_log`).
        quantiles: recommender · mitigation · arm · day · cohort · measure · mean · p10 · p50 ·
            p90 · p99 · top_tenth · n_users · n_seeds: over the users of a seed, then the mean over
            seeds. top_tenth is the mean of the tenth of the users with the largest values, n_users
            how many had a value in the seed with the fewest.
        wins: recommender · mitigation · day · measure · against · wins · losses · ties (shares of
            incumbents) · balance (wins - losses) · balance_ci_low · balance_ci_high · n_users ·
            n_seeds: whether feeds are worth more in the influx arm than in another; in a log, with
            the newcomers than without.
        groups: recommender · mitigation · attribute · group · measure · level (of the reference
            arm, where the measure is one) and the columns of `drift` from influx on, without
            p_adjusted; over all days. No row unless `evaluation.groups` asks for them.
        exposure: recommender · mitigation · arm · day · cohort · measure · mean · ci_low ·
            ci_high · n_users (whose feeds were measured, in the seed with the fewest) · n_seeds:
            how attention falls on notes and creators (`EXPOSURE_FORMULAS` in
            `recsys.arms.exposure`), one number for all measured feeds of a day.
        measures: measure · title · kind · unit · formula, of every measure in the other frames.
        life: recommender · mitigation · arm · seed · day · cohort and the rest of
            `recsys.world.life.LIFE`. In an open loop the house serves, and is the recommender; no
            row for a log.
        feeds: recommender · mitigation · arm · seed · day · cohort · user_id · rank (1 = top) ·
            item_id · source; no row unless `evaluation.snapshots` asks for them.
        timings: recommender · mitigation · seed · arm · day · fit_s · serve_s.
        arrived: of a log, the first day on which newcomers came, where it is known.
        arrivals: of a log whose newcomers are found by `auto`, `recsys.newcomers.ARRIVALS`.
        wave: what was found in these.
        exposed: of a log with times, the view by exposure, `recsys.exposed.EXPOSED`.
        removals: of a log, exact removal beside a new fit, `recsys.arms.result.REMOVALS`.
        notes: what a reader of the figures must know, a sentence each.
        front: of a world with mitigations, what `recsys.front.front` gives.
        dominated: what `recsys.front.dominated` gives.
        recovery: of a world with a reversal, what `recsys.recovery.recovery` gives.
        power: of a world, what `recsys.summary.power_of_world` gives.
        channels: with `channels`, what `recsys.channels.channels` gives.
        games: what it is made from: recommender · mitigation · arm · gates (those open) · seed ·
            day · user_id · and a column for each of `recsys.arms.channels.RUNGS`.
    """

    study: Study
    per_user: pl.DataFrame
    summary: pl.DataFrame
    drift: pl.DataFrame
    quantiles: pl.DataFrame
    wins: pl.DataFrame
    groups: pl.DataFrame
    exposure: pl.DataFrame
    measures: pl.DataFrame
    life: pl.DataFrame
    feeds: pl.DataFrame
    timings: pl.DataFrame
    notes: tuple[str, ...] = field(default=())
    arrived: date | None = None
    wave: Wave | None = None
    arrivals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ARRIVALS))
    exposed: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EXPOSED))
    removals: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REMOVALS))
    front: pl.DataFrame = field(default_factory=pl.DataFrame)
    dominated: pl.DataFrame = field(default_factory=pl.DataFrame)
    recovery: pl.DataFrame = field(default_factory=pl.DataFrame)
    power: pl.DataFrame = field(default_factory=pl.DataFrame)
    channels: pl.DataFrame = field(default_factory=pl.DataFrame)
    games: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def front_variants(self) -> list[tuple[str, str]]:
        """Recommender and mitigation of each that the front compares, in the order of the config.

        Empty without mitigations.
        """
        if self.front.is_empty():
            return []
        rows = self.front.select("recommender", "mitigation").unique(maintain_order=True)
        return [(str(recommender), str(mitigation)) for recommender, mitigation in rows.iter_rows()]


def _users(study: Study) -> pl.DataFrame:
    """What users can be grouped by."""
    return users_of_world(study) if study.log is None else users_of_log(log_arms(study))


def plan(study: Study) -> list[Cell]:
    """The cells of a study, after checking what can be checked before the work starts.

    Raises:
        ConfigError, LogError: what would otherwise fail later.
    """
    pairs = [(spec, chain) for spec in study.recommenders for chain in study.chains_for(spec.name)]
    for spec, chain in pairs:
        recommender = make_recommender(spec, chain)
        if study.log is not None and recommender.needs_previous:
            raise ConfigError(
                f"mitigations: {spec.name} + {chain.name} goes on from the model of the day before "
                "the influx, which a study of a log does not have"
            )
    if study.log is not None:
        log_arms(study).check()
        for spec in study.recommenders:
            try:
                make_recommender(spec).check(log_arms(study).train)
            except LogError as error:
                raise ConfigError(f"recommenders: {spec.name}: {error}") from error
        groups_of_users(_users(study), study.evaluation.groups, "evaluation.groups")
        draws = range(1, study.log.placebo_draws + 1)
        chunks = [draws[i : i + _DRAWS_PER_CELL] for i in range(0, len(draws), _DRAWS_PER_CELL)]
        return [
            Cell(study, spec, study.first_seed, chunk, chain)
            for spec, chain in pairs
            for chunk in chunks
        ]
    _check_pool(study)
    groups_of_users(_users(study), study.evaluation.groups, "evaluation.groups")
    every = range(1, COALITIONS)
    parts = [
        every[i : i + _COALITIONS_PER_CELL] for i in range(0, len(every), _COALITIONS_PER_CELL)
    ]
    return [
        Cell(study, spec, seed, chain=chain, coalitions=part)
        for seed in study.seed_range()
        for spec, chain in pairs
        for part in (range(0), *(parts if study.channels else ()))
    ]


def run_cell(cell: Cell) -> CellResult:
    """Runs one cell."""
    anew = cell.study.loop == "open"
    recommender = make_recommender(cell.recommender, cell.chain, anew=anew)
    name = (cell.recommender.name, cell.chain.name)
    with single_threaded_blas():
        if cell.study.log is not None:
            first = cell.draws.start == 1
            arms = log_arms(cell.study)
            return arms.measure(name, recommender, cell.draws, with_influx=first)
        if cell.coalitions:
            games = _channel_arms(cell, recommender).values(name, cell.coalitions)
            return CellResult.of_games(games)
        if cell.study.loop == "closed":
            return _closed_arms(cell, recommender).measure(name, recommender)
        return world_arms(cell.study, cell.seed).measure(name, recommender)


def combine(study: Study, results: Sequence[CellResult]) -> StudyResult:
    """Estimates from the results of all cells, in the order of the plan."""
    games = [result.games for result in results if result.games.width]
    results = [result for result in results if not result.games.width]
    per_user = pl.concat([result.per_user for result in results])
    timings = pl.concat([result.timings for result in results])
    removals = pl.concat([result.removals for result in results])
    of_log: dict[str, Any] = {}
    if study.log is None:
        drift_of, notes = partial(drift_of_world, arms=study.arms), _notes_on_seeds(study)
    else:
        arms = log_arms(study)
        drift_of = partial(
            drift_of_log,
            crowding=arms.matching.crowding,
            primary=primaries_of_log(study.log.attributes),
        )
        notes = (*_notes_on_log(study), *_notes_on_removals(study, removals))
        of_log = {
            "arrived": arms.own.arrived,
            "wave": arms.own.wave,
            "arrivals": arms.own.arrivals,
            "exposed": arms.exposed.table,
            "removals": removals,
        }
    keys = ("recommender", "mitigation", "arm", "seed", "day", "cohort")
    life = pl.concat([result.life for result in results])
    return StudyResult(
        study=study,
        per_user=per_user,
        summary=summarise(per_user),
        drift=drift_of(per_user),
        quantiles=quantiles(per_user),
        wins=wins_of(per_user),
        groups=groups_of(per_user, _users(study), study.evaluation.groups, drift_of),
        exposure=exposure_summary(pl.concat([result.exposure for result in results])),
        measures=measures_in(
            per_user, {} if study.log is None else study.log.attributes, RUNGS if games else ()
        ),
        life=life.unique(keys, keep="first", maintain_order=True),
        feeds=feeds_in_one([result.feeds for result in results]),
        timings=timings,
        notes=notes,
        **_of_world(study, per_user),
        **_split(games),
        **of_log,
    )


def _split(games: Sequence[pl.DataFrame]) -> dict[str, Any]:
    """The channels' parts, where their worlds were run."""
    if not games:
        return {}
    every = pl.concat(games)
    return {"channels": channels(every), "games": every}


def _of_world(study: Study, per_user: pl.DataFrame) -> dict[str, Any]:
    """What only a world tells: power, recovery, and the front if there are mitigations."""
    if study.world is None:
        return {}
    found = {"power": power_of_world(per_user, study.arms)}
    if study.world.influx.reversal_day is not None:
        found["recovery"] = recovery(per_user, study.arms, study.world.influx.reversal_day)
    if any(chain.parts for chain in study.mitigations):
        found |= {"front": front(per_user), "dominated": dominated(per_user)}
    return found


def run(
    study: Study,
    progress: Progress | None = None,
    store: MutableMapping[str, CellResult] | None = None,
) -> StudyResult:
    """Runs a whole study in `study.workers` threads.

    Args:
        study: from `load_study`.
        progress: called with cells done, cells in all, and the name of the cell just done.
        store: results by `Cell.identity`; what it holds already is not run again.

    Raises:
        ConfigError, LogError: before any cell runs, where possible.
    """
    finished = run_all(plan(study), run_cell, study.workers, progress, store)
    return combine(study, finished)


def world_arms(study: Study, seed: int) -> WorldArms:
    """The arms of one seed of a study's world; the last two asked for are kept."""
    world = study.world
    assert world is not None
    key = (study.model_dump_json(include={"world", "evaluation", "arms"}), seed, study.workers)
    return _kept(
        _world_arms, 2, key, lambda: WorldArms(world, study.evaluation, study.arms, *key[1:])
    )


def _closed_arms(cell: Cell, recommender: Recommender) -> ClosedArms:
    world = cell.study.world
    assert world is not None
    return ClosedArms(
        world, cell.study.evaluation, cell.study.arms, cell.seed, recommender=recommender
    )


def _channel_arms(cell: Cell, recommender: Recommender) -> ChannelArms:
    """One seed's worlds by gates; the last two asked for are kept, with the days they share."""
    world, evaluation = cell.study.world, cell.study.evaluation
    assert world is not None
    return _kept(
        _channels, 2, replace(cell, coalitions=range(0)).identity,
        lambda: ChannelArms(
            world, evaluation.model_copy(update={"one_step": True}), cell.study.arms, cell.seed,
            recommender=recommender,
        ),
    )  # fmt: skip


def log_arms(study: Study) -> LogArms:
    """The arms of a study's log; the last one asked for is kept."""
    source = study.log
    assert source is not None
    key = (study.model_dump_json(include={"log", "evaluation"}), study.first_seed)
    return _kept(_log_arms, 1, key, lambda: LogArms(source, study.evaluation, study.first_seed))


_memo = Lock()
_world_arms: dict[tuple[str, int, int], WorldArms] = {}
_log_arms: dict[tuple[str, int], LogArms] = {}
_channels: dict[str, ChannelArms] = {}


def _kept(memo: dict[K, V], size: int, key: K, make: Callable[[], V]) -> V:
    """The value of a key, made once; beyond `size`, the one made first is forgotten."""
    with _memo:
        if key not in memo:
            while len(memo) >= size:
                del memo[next(iter(memo))]
            memo[key] = make()
        return memo[key]


def _check_pool(study: Study) -> None:
    """Raises if a feed is deeper than the notes that can be served."""
    from recsys.world.notes import draw_incumbents_notes
    from recsys.world.population import draw_incumbents

    assert study.world is not None
    people = draw_incumbents(study.world)
    for seed in study.seed_range():
        notes = draw_incumbents_notes(study.world, people, seed)
        for day in study.evaluation.days:
            pool = int(notes.live(day, study.world.notes.window_days).sum())
            if study.evaluation.k > pool:
                raise ConfigError(
                    f"evaluation.k: {study.evaluation.k} is more than the {pool} notes that can be "
                    f"served on day {day} (seed {seed}); lower k, or let more be posted"
                )


def _notes_on_seeds(study: Study) -> tuple[str, ...]:
    if study.seeds == 1:
        return ("One seed: no interval can be given. Run with seeds=8 or more before you act.",)
    if study.seeds < MIN_SEEDS_FOR_CLAIMS:
        return (
            f"{study.seeds} seeds: intervals are rough. Claims want "
            f"seeds={MIN_SEEDS_FOR_CLAIMS} or more.",
        )
    return ()


def _notes_on_log(study: Study) -> tuple[str, ...]:
    assert study.log is not None
    arms = log_arms(study)
    counts = dict(arms.whole.cleaning)
    used = f"{counts.pop('rows kept'):,} of {counts.pop('rows'):,} rows used"
    cleaned = "; ".join([used, *(f"{count:,} {what}" for what, count in counts.items() if count)])
    smallest = 1 / (study.log.placebo_draws + 1)
    return (
        f"Log: {cleaned}.",
        *arms.own.notes,
        arms.matching.describe(),
        f"{study.log.placebo_draws} placebo groups: p cannot be below {smallest:.3g}.",
        *arms.exposed.notes,
    )


def _notes_on_removals(study: Study, removals: pl.DataFrame) -> Iterator[str]:
    for row in removals.iter_rows(named=True):
        agrees = row["largest_difference"] <= _AGREES
        slots, other = row["slots"], row["slots_that_differ"]
        way = "exact removal" if row["draws_by_removal"] else "retraining, which costs less here"
        yield (
            f"{row['recommender']}: exact removal of {row['users']:,} newcomers "
            f"{'agrees' if agrees else 'does NOT agree'} with retraining: largest |ΔB| "
            f"{row['largest_difference']:.1e}, {other:,} of {slots:,} slots differ. Placebo groups "
            f"by {way}{'' if agrees else '; raise regularization'}."
        )
    for spec in study.recommenders:
        if spec.kind == "ease" and spec.name not in removals["recommender"]:
            yield (
                f"{spec.name}: exact removal is not checked, since the matrices of two models are "
                "more than memory_gb."
            )
