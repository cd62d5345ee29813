"""Everything that a study found, from the results of its cells."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import polars as pl

from recsys.config import Study
from recsys.logs.newcomers import ARRIVALS
from recsys.statistics.arrivals import Wave
from recsys.study.arms.by_exposure import EXPOSED
from recsys.study.arms.gated import RUNGS
from recsys.study.arms.result import REMOVALS, CellResult, feeds_in_one
from recsys.study.notes import _notes_on_log, _notes_on_removals, _notes_on_seeds
from recsys.study.sources import Sources
from recsys.study.tables.attention import exposure_summary
from recsys.study.tables.channels import channels
from recsys.study.tables.drift import drift_of_log, drift_of_world, primaries_of_log
from recsys.study.tables.front import dominated, front
from recsys.study.tables.glossary import measures_in
from recsys.study.tables.groups import groups_of
from recsys.study.tables.means import summarise
from recsys.study.tables.power import power_of_world
from recsys.study.tables.quantiles import quantiles
from recsys.study.tables.recovery import recovery
from recsys.study.tables.wins import wins_of


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
            Holm's in a world (`recsys.study.tables.drift.PRIMARY`), Westfall & Young's in a log
            (`recsys.study.tables.drift.primaries_of_log`).
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
            `recsys.measures.attention_rows`), one number for all measured feeds of a day.
        measures: measure · title · kind · unit · formula, of every measure in the other frames.
        life: recommender · mitigation · arm · seed · day · cohort and the rest of
            `recsys.world.life.LIFE`. In an open loop the house serves, and is the recommender; no
            row for a log.
        feeds: recommender · mitigation · arm · seed · day · cohort · user_id · rank (1 = top) ·
            item_id · source; no row unless `evaluation.snapshots` asks for them.
        timings: recommender · mitigation · seed · arm · day · fit_s · serve_s.
        arrived: of a log, the first day on which newcomers came, where it is known.
        arrivals: of a log whose newcomers are found by `auto`, `recsys.logs.newcomers.ARRIVALS`.
        wave: what was found in these.
        exposed: of a log with times, the view by exposure, `recsys.study.arms.by_exposure.EXPOSED`.
        removals: of a log, exact removal beside a new fit, `recsys.study.arms.result.REMOVALS`.
        notes: what a reader of the figures must know, a sentence each.
        front: of a world with mitigations, what `recsys.study.tables.front.front` gives.
        dominated: what `recsys.study.tables.front.dominated` gives.
        recovery: of a world with a reversal, what `recsys.study.tables.recovery.recovery` gives.
        power: of a world, what `recsys.study.tables.power.power_of_world` gives.
        channels: with `channels`, what `recsys.study.tables.channels.channels` gives.
        games: what it is made from: recommender · mitigation · arm · gates (those open) · seed ·
            day · user_id · and a column for each of `recsys.study.arms.gated.RUNGS`.
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


def combine(
    study: Study, results: Sequence[CellResult], sources: Sources | None = None
) -> StudyResult:
    """Estimates from the results of all cells, in the order of the plan.

    Args:
        study: from `load_study`.
        results: of its cells.
        sources: what the cells have shared, such as a log that was read; None reads it again.
    """
    sources = Sources(study) if sources is None else sources
    games = [result.games for result in results if result.games.width]
    results = [result for result in results if not result.games.width]
    per_user = pl.concat([result.per_user for result in results])
    timings = pl.concat([result.timings for result in results])
    removals = pl.concat([result.removals for result in results])
    of_log: dict[str, Any] = {}
    if study.log is None:
        drift_of, notes = partial(drift_of_world, arms=study.arms), _notes_on_seeds(study)
    else:
        arms = sources.log
        drift_of = partial(
            drift_of_log,
            crowding=arms.matching.crowding,
            primary=primaries_of_log(study.log.attributes),
        )
        notes = (*_notes_on_log(study, arms), *_notes_on_removals(study, removals))
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
        groups=groups_of(per_user, sources.users, study.evaluation.groups, drift_of),
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
