"""Claim 5: random groups of incumbents of a real log are seldom accused, whatever the audit prints.

A group of incumbents takes the newcomers' place, and goes through all that a study of a log does.
It is drawn by lot within strata of activity, so whatever is found is a false alarm. Many groups
share their fits: a batch divides the incumbents outside the panel into two halves, draws groups
from each, and holds some groups of each half against all groups of the other. So an accused group
has no member in common with its placebos, as newcomers have not. The groups of a batch share panel,
halves and placebos, and their alarms come together; batches differ in all three.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.checks.proof.claims import Figure
from recsys.checks.verdicts import mean_and_ends
from recsys.config import Study
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, key_words, uniforms
from recsys.measures.pair import FeedPair, Measure
from recsys.mitigations.build import make_recommender
from recsys.recommenders import Ranking
from recsys.statistics import nested_interval
from recsys.statistics.matching import Matching, draw_placebo
from recsys.study.arms.measured_log import MeasuredLog
from recsys.study.arms.measuring import Group, measure
from recsys.study.arms.own_log import LogFeeds, Reference
from recsys.study.arms.placebos import matching_of
from recsys.study.tables.drift import drift_of_log, primaries_of_log
from recsys.study.tables.mix import mix_of
from recsys.study.verdicts.log import LEVEL, TESTED

SHARE = 0.2
"""Share of a half that a group takes, by number of users."""
FEEDS, MIX, QUALITY = "feeds", "mix", "quality"
_QUALITIES = ("ndcg",)
_ALARMS = {
    "batch": pl.Int64,
    "group": pl.Int64,
    "verdict": pl.String,
    "recommender": pl.String,
    "p_value": pl.Float64,
    "alarm": pl.Boolean,
}
"""Columns of the rows of a batch. `recommender` is empty where all of a study are judged at once.
"""
_CLAIM = "random groups of long-time users accused"


@dataclass(frozen=True)
class _Half:
    """Half of the incumbents outside the panel.

    Attributes:
        matching: what groups of this half are made of.
        per_user: rows of the arms of each group, by number of the group.
    """

    matching: Matching
    per_user: Mapping[int, pl.DataFrame]


@dataclass(frozen=True)
class _Tested:
    """The log of a study, of which only what verdicts rest on is measured; see `AboutLog`."""

    log: MeasuredLog

    @lazy
    def measures(self) -> dict[str, Measure]:
        """The measures that verdicts rest on, by name."""
        tested = {TESTED, *_QUALITIES, *self.log.source.attributes}
        measures = self.log.measures.items()
        return {name: m for name, m in measures if name.partition(":")[0] in tested}

    def pair(self, group: Group, reference: Ranking) -> FeedPair:
        """See `AboutLog`."""
        return self.log.pair(group, reference)

    def pool(self) -> None:
        """None: attention is not judged."""

    @property
    def columns(self) -> Mapping[str, str]:
        """No attribute: these feeds are not shown."""
        return {}


def run_alarms(study: Study, batch: int, groups: int, draws: int) -> pl.DataFrame:
    """The alarms of one batch.

    Args:
        study: a study of a log. Its newcomers stay in the log, and are in no group.
        batch: number of the batch, from 0.
        groups: number of groups that are accused, an even number such as 20.
        draws: number of placebo groups of each, such as 39.

    Returns:
        A row for each accused group and verdict, in the columns of `_ALARMS`.

    Raises:
        ConfigError, LogError: the log cannot be used.
    """
    log = MeasuredLog(study.log, study.evaluation, study.first_seed + batch)
    log.check()
    matchings, tested = _halves(log), _Tested(log)
    frames: list[dict[int, list[pl.DataFrame]]] = [{}, {}]
    full = []
    for spec in study.recommenders:
        recommender, name = make_recommender(spec), (spec.name, "none")
        for half, matching in enumerate(matchings):
            removals = replace(log.removals, matching=matching, newcomers=draw_placebo(matching, 0))
            reference = Reference(removals, recommender, {name: log.serve}, same_seed=True)
            feeds = LogFeeds(reference, tested, range(1, draws + 1), with_influx=half == 0)
            per_user = measure(feeds).per_user
            if half == 0:
                full.append(per_user.filter(pl.col("arm") == "full"))
            of_groups = per_user.filter(pl.col("arm").is_in(["placebo", "joined"]))
            for draw in range(1, draws + 1):
                frames[half].setdefault(draw, []).append(of_groups.filter(draw=draw))
    halves = [
        _Half(matching, {draw: pl.concat(parts) for draw, parts in of_half.items()})
        for matching, of_half in zip(matchings, frames, strict=True)
    ]
    rows = [
        {"batch": batch, "group": 2 * draw + half, **row}
        for half in (0, 1)
        for draw in range(1, groups // 2 + 1)
        for row in _judged(study, pl.concat(full), halves[half].per_user[draw], halves[1 - half])
    ]
    return pl.DataFrame(rows, schema=_ALARMS)


def _halves(log: MeasuredLog) -> tuple[Matching, Matching]:
    """What the groups of each half are made of: as many users of each stratum in both."""
    train, seed = log.train, log.seed
    free = log.incumbents & (log.activity > 0)
    free[log.panel] = False
    lot = uniforms(seed, Stream.HALF, *key_words(train.users["key"].to_numpy()))[:, 0]
    halves = [free & (lot < 0.5), free & (lot >= 0.5)]
    taken = np.flatnonzero(halves[1] & (lot >= 1 - SHARE / 2))
    first = _matched(log, halves[0], taken)
    return first, _matched(log, halves[1], draw_placebo(first, 0))


def _matched(log: MeasuredLog, half: NDArray[np.bool_], group: NDArray[np.int64]) -> Matching:
    """Matches groups of a half with a group of the other."""
    cohort = np.full(log.train.n_users, "incumbent", dtype=object)
    cohort[group] = "newcomer"
    users = log.train.users.with_columns(
        cohort=pl.Series(cohort.tolist(), dtype=log.train.users["cohort"].dtype)
    )
    return matching_of(
        replace(log.train, users=users),
        np.zeros(0, dtype=np.int64),
        half,
        log.seed,
        timezone=log.source.timezone,
        max_pool_fraction=log.source.max_pool_fraction,
        since=log.placebos.since,
    )


def _judged(
    study: Study, full: pl.DataFrame, accused: pl.DataFrame, others: _Half
) -> Iterator[dict[str, Any]]:
    """Each verdict on an accused group: its kind, recommender, p-value, and whether it is one."""
    as_influx = pl.when(pl.col("arm") == "placebo").then(pl.lit("influx")).otherwise(pl.lit("full"))
    relabelled = accused.with_columns(arm=as_influx, draw=pl.lit(0, dtype=pl.Int32))
    if "joined" not in accused["arm"]:
        relabelled = pl.concat([full, relabelled])
    per_user = pl.concat([relabelled, *others.per_user.values()])
    crowding, attributes = others.matching.crowding, study.log.attributes
    drift = drift_of_log(per_user, crowding, primaries_of_log(attributes), same_seed=True)
    for row in drift.filter(measure=TESTED).iter_rows(named=True):
        yield _row(FEEDS, row["recommender"], row["p_value"])
    for verdict, names in ((FEEDS, (TESTED,)), (QUALITY, _QUALITIES)):
        of_measure = drift.filter(pl.col("measure").is_in(names))["p_adjusted"].drop_nulls()
        if of_measure.len():
            yield _row(verdict, None, float(of_measure.min()))  # type: ignore[arg-type]
    mix = mix_of(per_user, attributes, crowding)["p_adjusted"].drop_nulls()
    if mix.len():
        yield _row(MIX, None, float(mix.min()))  # type: ignore[arg-type]


def _row(verdict: str, recommender: str | None, p: float) -> dict[str, Any]:
    return {"verdict": verdict, "recommender": recommender, "p_value": p, "alarm": p <= LEVEL}


def alarms(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[Figure]]:
    """How often each verdict accused a group.

    Args:
        rows: of `run_alarms`, of all batches.

    Returns:
        verdict · recommender · alarms · groups · share; and the figures of claim 5, whose intervals
        are over batches.
    """
    table, figures = [], []
    for (verdict, recommender), part in rows.group_by(
        "verdict", "recommender", maintain_order=True
    ):
        by_batch = part.group_by("batch", maintain_order=True).agg(pl.col("alarm").mean())
        interval = mean_and_ends(nested_interval(by_batch["alarm"].to_numpy()[None]))
        table.append((verdict, recommender, int(part["alarm"].sum()), part.height, interval[0]))
        of = f"{verdict}, {recommender or 'all recommenders'}"
        figures.append(Figure(_CLAIM, of, *interval, part.height))
    columns = ("verdict", "recommender", "alarms", "groups", "share")
    return pl.DataFrame(table, schema=columns, orient="row"), figures
