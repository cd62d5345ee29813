"""Claim 3: what a platform can compute from its log alone, against what the newcomers did.

A platform that newcomers have joined trains on today's log with and without the newcomers' events,
and without matched groups of incumbents. That figure is compared with the truth, which only a
simulation knows: the same platform, day by day served by the same recommender, joined by nobody.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import pearsonr, spearmanr

from recsys.checks.proof.claims import Found
from recsys.config import Evaluation, World
from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.registry import MEASURES
from recsys.measures.rows import is_level
from recsys.recommenders import Model, Ranking, Recommender, Trending, with_fallback
from recsys.statistics import Matching, nested_interval
from recsys.study.arms.closed_loop import ClosedLoop, served_worlds
from recsys.study.arms.measured_log import matching_of
from recsys.study.arms.measuring import Group, measure
from recsys.study.arms.open_loop import SPARE
from recsys.study.arms.own_log import LogFeeds, Reference, Removals
from recsys.study.arms.rankings import Learned
from recsys.study.arms.worlds import MeasuredDay
from recsys.study.tables.drift import drift_of_log, drift_of_world

SIZES = (0.01, 0.03, 0.1, 0.25, 0.4)
"""Newcomers for each incumbent who comes on a day."""
DRAWS = 20
"""Matched groups left out: a quick look, whose p cannot be below .048."""
LEVELS = {
    "posts": "posts",
    "one_step": "posts",
    "language_format": "language_format",
    "newcomer_share": "newcomer_share",
}
"""What is measured in truth, and what stands for it in the log."""
WAYS = ("events", "events and posts")
"""What is left out of the log: what people did, or that and what they posted."""
_LEVEL = 0.05
"""Largest p of an alarm."""
_DAILY = 0.4
"""Share of incumbents who come on a day."""
_NAME = ("x", "none")
_FIGURES = ("total", "composition")
_CELL: dict[str, Any] = {
    "way": pl.String,
    "size": pl.Float64,
    "seed": pl.Int64,
    "level": pl.String,
    **dict.fromkeys(
        ("true_total", "true_composition", "total", "composition", "band", "p_value"), pl.Float64
    ),
    "newcomers": pl.Int64,
    "matched": pl.Float64,
}


@dataclass(frozen=True)
class _Platform:
    """What measures and fits must know of the platform that newcomers have joined.

    It serves a fit without some people's events as it would any other: what people were shown, and
    the platform's own slots, are as they were.

    Attributes:
        day: the day on which everything is measured, in the influx.
    """

    day: MeasuredDay

    @lazy
    def matching(self) -> Matching:
        """The newcomers of the log, and like groups of incumbents outside the panel."""
        log = self.day.log
        return matching_of(
            log,
            self.day.panel,
            ~log.newcomers,
            self.day.world.beside.seed,
            timezone="UTC",
            max_pool_fraction=0.5,
        )

    @property
    def removals(self) -> Removals:
        """The log, and whose events are left out of it."""
        log, matching = self.day.log, self.matching
        silent = log.newcomers & (matching.events == 0)  # they may have posted
        newcomers = np.flatnonzero(matching.newcomer | silent)
        return Removals(log, self.day.panel, matching, newcomers, self.day.world.beside.seed)

    @property
    def has_trace(self) -> bool:
        """Whether any newcomer has done anything that is learned from."""
        events = self.day.log.dense
        user = events["user"].to_numpy()[events["weight"].to_numpy() > 0]
        return bool(self.day.log.newcomers[user].any())

    @property
    def measures(self) -> dict[str, Measure]:
        """What stands for the truth in the log."""
        return {name: MEASURES[name] for name in dict.fromkeys(LEVELS.values())}

    def pair(self, group: Group, reference: Ranking) -> FeedPair:
        """See `recsys.study.arms.own_log.AboutLog`."""
        return self.day.pair(group, reference, None, None, scored=False)

    def pool(self) -> None:
        """Attention is not compared."""

    def serve(
        self, model: Model, log: InteractionLog, left_out: NDArray[np.int64], arm: str
    ) -> Ranking:
        """The panel's feeds by a fit without some people's events."""
        return self._served(model, log, self.day.log.seen)

    def serve_without_posts(
        self, model: Model, log: InteractionLog, left_out: NDArray[np.int64], arm: str
    ) -> Ranking:
        """The same, without these people's posts too."""
        return self._served(model, log, self._hidden(left_out))

    def _served(self, model: Model, log: InteractionLog, seen: csr_matrix) -> Ranking:
        simulation, panel, k = (
            self.day.world.simulation,
            self.day.panel,
            self.day.world.beside.evaluation.k,
        )
        candidates = simulation.candidates(self.day.day)
        depth, known = min(k + SPARE, int(candidates.sum())), Seen.from_matrix(seen)
        own = model.rank(panel, depth, candidates, known)
        own = with_fallback(own, Trending().fit(log), panel, candidates, known)
        ids, sources = simulation.feeds(own.item_ids, own.sources, panel, seen, self.day.day, k)
        return Ranking(ids, np.full(ids.shape, np.nan, dtype=np.float32), sources)

    def _hidden(self, gone: NDArray[np.int64]) -> csr_matrix:
        """What people were shown, and for the panel these people's posts: so they cannot come."""
        shown = self.day.log.seen
        theirs = np.flatnonzero(np.isin(self.day.world.simulation.posts.creator, gone))
        user, post = (axis.ravel() for axis in np.meshgrid(self.day.panel, theirs))
        more = csr_matrix((np.ones(user.size, np.bool_), (user, post)), shape=shown.shape)
        return csr_matrix(shown.astype(np.bool_) + more)

    def drift(self, recommender: Recommender) -> pl.DataFrame:
        """The drift of a study of this log, as `recsys.study.tables.drift.drift_of_log` gives it.

        The name of the recommender says in which of `WAYS` people were left out.
        """
        serve = (self.serve, self.serve_without_posts)
        ways = {(way, "none"): served for way, served in zip(WAYS, serve, strict=True)}
        reference = Reference(self.removals, recommender, ways)
        found = measure(LogFeeds(reference, self, range(1, DRAWS + 1)))
        return drift_of_log(found.per_user, self.matching.crowding)


def run_cell(
    world: World, evaluation: Evaluation, recommender: Recommender, size: float, seed: int
) -> pl.DataFrame:
    """One influx of one size on a platform served by a recommender: the truth, and the log's tale.

    Args:
        world: the platform; the number of newcomers is set by the size.
        evaluation: of its days the last counts.
        recommender: who serves, and is studied.
        size: newcomers for each incumbent who comes on a day.
        seed: world seed.

    Returns:
        A row for each of `WAYS` and `LEVELS`: way · size · seed · level · true_total ·
        true_composition · total · composition · band (upper edge of the placebos' band, above
        their mean) · p_value ·
        newcomers · matched (of those who did anything, which share has its like among the
        incumbents; the others stay in the log). No row where no newcomer has clicked yet.
    """
    newcomers = max(2, round(size * _DAILY * world.incumbents))
    influx = world.influx.model_copy(update={"newcomers": newcomers})
    arms = ("control", "influx", "placebo", "retrain")
    worlds = served_worlds(
        world.model_copy(update={"influx": influx}),
        evaluation.model_copy(update={"one_step": True, "days": evaluation.days[-1:]}),
        arms,
        seed,
        Learned(recommender),
        impressions=True,  # a platform's own log tells what was shown
    )
    platform = _Platform(worlds.measured["influx"].days[evaluation.days[-1]])
    if not platform.has_trace:
        return pl.DataFrame(schema=_CELL)
    per_user = measure(ClosedLoop(worlds, _NAME)).per_user
    truth = {r["measure"]: r for r in _headline(drift_of_world(per_user, arms))}
    drift = platform.drift(recommender)
    tale = {(r["recommender"], r["measure"]): r for r in _headline(drift)}
    rows, matching = [], platform.matching
    for way, (level, stands_in) in product(WAYS, LEVELS.items()):
        true, told = truth[level], tale[way, stands_in]
        # Of a level, what leaving them out takes away is what the newcomers have brought.
        sign = -1 if is_level(stands_in) else 1
        edge = told["composition_ci_low"] if sign > 0 else told["composition_ci_high"]
        rows.append(
            {
                "way": way,
                "size": size,
                "seed": seed,
                "level": level,
                "true_total": true["total"],
                "true_composition": true["composition"],
                "total": sign * told["total"],
                "composition": sign * told["composition"],
                "band": sign * (told["composition"] - edge),
                "p_value": told["p_value"],
                "newcomers": newcomers,
                "matched": matching.newcomer_users / matching.newcomer_users_before,
            }
        )
    return pl.DataFrame(rows, schema=_CELL)


def _headline(drift: pl.DataFrame) -> list[dict[str, Any]]:
    return list(drift.filter(pl.col("day").is_null()).iter_rows(named=True))


def compare(cells: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, list[Found]]:
    """How far the log's tale is from the truth, over cells.

    Args:
        cells: rows of `run_cell`, with a column `recommender`; several seeds of each size.

    Returns:
        Two frames, and the figures that are claimed.

        The first, by recommender (`all` too) · way · level · figure (`total`, `composition`):
        cells ·
        truth · told (means) · bias (told less truth) with bias_ci_low, bias_ci_high · pearson ·
        spearman · within (mean of spearman over seeds, within each recommender and size); and for
        composition, over
        cells: alarms (told above 0, with p <= .05) · alarms_right (of these, where the
        truth is above 0) · silent (of the cells whose truth is above 0, those without an alarm) ·
        disagree (an alarm where the truth is not above 0, or none where it is).

        The second, by recommender · way · level · size: means with intervals over seeds of
        true_total, true_composition, total and composition, and the share of alarms.
    """
    keyed = cells.with_columns(alarm=(pl.col("composition") > 0) & (pl.col("p_value") <= _LEVEL))
    keyed = keyed.with_columns(recommender_=pl.col("recommender"))
    both = pl.concat([keyed, keyed.with_columns(recommender=pl.lit("all"))])
    keys = ("recommender", "way", "level")
    over_all, by_size = [], []
    for key, group in both.group_by(*keys, maintain_order=True):
        named = dict(zip(keys, key, strict=True))
        over_all += [
            {**named, "figure": figure, **_agreement(group, figure)} for figure in _FIGURES
        ]
        if named["recommender"] != "all":
            by_size += [
                {**named, "size": size[0], **_means(part)}
                for size, part in group.sort("size").group_by("size", maintain_order=True)
            ]
    agreement = pl.DataFrame(over_all, infer_schema_length=None)
    return agreement, pl.DataFrame(by_size), _claimed(cells, agreement)


def _agreement(group: pl.DataFrame, figure: str) -> dict[str, Any]:
    truth, told = (group[name].to_numpy() for name in (f"true_{figure}", figure))
    gap = nested_interval(_by_seed(group.with_columns(gap=pl.Series(told - truth)), "gap"))
    varied = np.ptp(truth) > 0 and np.ptp(told) > 0
    row: dict[str, Any] = {
        "cells": group.height,
        "truth": truth.mean(),
        "told": told.mean(),
        "bias": float(gap.mean),
        "bias_ci_low": float(gap.low),
        "bias_ci_high": float(gap.high),
        "pearson": float(pearsonr(truth, told).statistic) if varied else None,
        "spearman": float(spearmanr(truth, told).statistic) if varied else None,
        "within": _within(group, figure),
    }
    if figure == "composition":
        alarm, real = group["alarm"].to_numpy(), truth > 0
        row |= {
            "alarms": alarm.mean(),
            "alarms_right": real[alarm].mean() if alarm.any() else None,
            "silent": (~alarm)[real].mean() if real.any() else None,
            "disagree": (alarm != real).mean(),
        }
    return row


def _within(group: pl.DataFrame, figure: str) -> float | None:
    """Whether seeds of one recommender and one size are in the right order: mean rank correlation.

    Over sizes the order is hard to miss. Cells in which nothing varies are left out.
    """
    found = []
    for _, cell in group.group_by("recommender_", "size", maintain_order=True):
        truth, told = cell[f"true_{figure}"].to_numpy(), cell[figure].to_numpy()
        if np.ptp(truth) > 0 and np.ptp(told) > 0:
            found.append(float(spearmanr(truth, told).statistic))
    return float(np.mean(found)) if found else None


def _jackknife(cells: pl.DataFrame) -> NDArray[np.float64]:
    """(1, seeds) pseudo-values of `_within` for the total: what each seed adds to it."""
    seeds = cells["seed"].unique(maintain_order=True).to_list()
    whole = _within(cells, "total")
    without = [_within(cells.filter(pl.col("seed") != seed), "total") for seed in seeds]
    if whole is None or None in without:
        return np.full((1, len(seeds)), np.nan)
    n = len(seeds)
    return n * whole - (n - 1) * np.array([without], dtype=np.float64)


def _by_seed(group: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """(1, seeds) means: the cells of a seed share its luck."""
    means = group.group_by("seed", maintain_order=True).agg(pl.col(name).mean())
    return means.sort("seed")[name].to_numpy()[None]


def _means(part: pl.DataFrame) -> dict[str, Any]:
    row: dict[str, Any] = {"newcomers": part["newcomers"][0], "seeds": part.height}
    for name in ("true_total", "true_composition", "total", "composition"):
        y = nested_interval(_by_seed(part, name))
        row |= {
            name: float(y.mean),
            f"{name}_ci_low": float(y.low),
            f"{name}_ci_high": float(y.high),
        }
    return {
        **row,
        "alarms": float(np.mean(part["alarm"].to_numpy())),
        "matched": float(np.mean(part["matched"].to_numpy())),
    }


def _claimed(cells: pl.DataFrame, agreement: pl.DataFrame) -> list[Found]:
    """What one would wish of the log's tale about the mix, by what is left out."""
    found, seeds = [], cells["seed"].n_unique()
    for way in WAYS:
        of = f"mix, {way}"
        mix = cells.filter(way=way, level="language_format")
        by_seed = [
            (
                float(spearmanr(part["true_total"], part["total"]).statistic),
                float(part["total"].to_numpy().sum() / part["true_total"].to_numpy().sum()),
            )
            for _, part in mix.group_by("seed", maintain_order=True)
        ]
        names = ("rank correlation over cells: total", "told of the true total, share")
        for name, values in zip(names, zip(*by_seed, strict=True), strict=True):
            y = nested_interval(np.array([values]))
            found.append(Found(name, of, float(y.mean), float(y.low), float(y.high), seeds))
        y = nested_interval(_jackknife(mix.with_columns(recommender_=pl.col("recommender"))))
        found.append(
            Found(
                "rank correlation at one size: total",
                of,
                float(y.mean),
                float(y.low),
                float(y.high),
                seeds,
            )
        )
        composition = agreement.filter(
            recommender="all", way=way, level="language_format", figure="composition"
        )
        for name, column in (
            ("alarms where the truth is above 0", "alarms_right"),
            ("truth above 0 without an alarm", "silent"),
        ):
            value = composition[column].item()
            if value is not None:
                found.append(Found(name, of, float(value), np.nan, np.nan, seeds))
    return found
