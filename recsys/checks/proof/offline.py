"""Claim 3: what a platform can estimate from its log alone, compared with what newcomers changed.

A platform that newcomers have joined can train on its log with and without the newcomers' events,
and without matched groups of incumbents. This *offline estimate* is compared with the truth, which
only a simulation knows: the same platform, served day by day by the same recommender, which nobody
joins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import pearsonr, spearmanr

from recsys.checks.proof.claims import Figure
from recsys.checks.verdicts import mean_and_ends
from recsys.config import Evaluation, World
from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.registry import MEASURES
from recsys.measures.rows import is_level
from recsys.recommenders import Model, Ranking, Recommender, Trending, with_fallback
from recsys.statistics import Matching, nested_interval
from recsys.study.arms.closed_loop import ClosedLoop, served_worlds
from recsys.study.arms.measuring import Group, measure
from recsys.study.arms.open_loop import SPARE
from recsys.study.arms.own_log import LogFeeds, Reference, Removals
from recsys.study.arms.placebos import matching_of
from recsys.study.arms.rankings import Learned
from recsys.study.arms.worlds import MeasuredDay
from recsys.study.tables.drift import drift_of_log, drift_of_world
from recsys.study.tables.headline import FLOOR

SIZES = (0.01, 0.03, 0.1, 0.25, 0.4)
"""Sizes of the influx: newcomers for each incumbent who comes on a day."""
DRAWS = 20
"""Number of matched groups. With 20 of them, p cannot be below .048."""
LEVELS = {
    "posts": "posts",
    "one_step": "posts",
    "language_format": "language_format",
    "newcomer_share": "newcomer_share",
}
"""The measure of the truth, and the measure of the log that estimates it."""
WAYS = ("events", "events and posts")
"""What of the newcomers is left out of the log: their events, or their events and their posts."""
_LEVEL = 0.05
"""Largest p-value of an alarm."""
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
    """The platform that newcomers have joined, as the offline estimate uses it; see `AboutLog`.

    A fit without some people's events is served like any other: what people have seen, and the
    platform's own slots, stay as they were.

    Attributes:
        day: the day of the influx arm on which feeds are measured.
    """

    day: MeasuredDay

    @lazy
    def matching(self) -> Matching:
        """The newcomers of the log, and the incumbents from whom matched groups are drawn."""
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
        """The log, and whose events each arm leaves out of it."""
        log, matching = self.day.log, self.matching
        silent = log.newcomers & (matching.events == 0)  # no events, but they may have posted
        newcomers = np.flatnonzero(matching.newcomer | silent)
        return Removals(log, self.day.panel, matching, newcomers, self.day.world.beside.seed)

    @property
    def has_trace(self) -> bool:
        """Whether any newcomer has liked anything."""
        events = self.day.log.dense
        user = events["user"].to_numpy()[events["weight"].to_numpy() > 0]
        return bool(self.day.log.newcomers[user].any())

    @property
    def measures(self) -> dict[str, Measure]:
        """The measures of the log that estimate the truth, by name."""
        return {name: MEASURES[name] for name in dict.fromkeys(LEVELS.values())}

    def pair(self, group: Group, reference: Ranking) -> FeedPair:
        """See `AboutLog`."""
        return self.day.pair(group, reference, None, None, scored=False)

    def pool(self) -> None:
        """None: attention is not compared."""

    def serve(
        self, model: Model, log: InteractionLog, left_out: NDArray[np.int64], arm: str
    ) -> Ranking:
        """The panel's feeds from a fit without some people's events; see `Serve`."""
        return self._served(model, log, self.day.log.seen)

    def serve_without_posts(
        self, model: Model, log: InteractionLog, left_out: NDArray[np.int64], arm: str
    ) -> Ranking:
        """The panel's feeds from the same fit, without the posts of these people; see `Serve`."""
        return self._served(model, log, self._hidden(left_out))

    def _served(self, model: Model, log: InteractionLog, seen: csr_matrix) -> Ranking:
        simulation, panel, k = (
            self.day.world.simulation,
            self.day.panel,
            self.day.world.beside.evaluation.k,
        )
        candidates = simulation.candidates(self.day.day)
        depth, excluded = min(k + SPARE, int(candidates.sum())), Seen.from_matrix(seen)
        own = model.rank(panel, depth, candidates, excluded)
        own = with_fallback(own, Trending().fit(log), panel, candidates, excluded)
        ids, sources = simulation.feeds(own.item_ids, own.sources, panel, seen, self.day.day, k)
        return Ranking(ids, np.full(ids.shape, np.nan, dtype=np.float32), sources)

    def _hidden(self, left_out: NDArray[np.int64]) -> csr_matrix:
        """What users have seen, as if the panel had seen all posts of the people who are left out.

        What a user has seen is not served, so these posts come in no feed of the panel.
        """
        shown = self.day.log.seen
        hidden = np.flatnonzero(np.isin(self.day.world.simulation.posts.creator, left_out))
        user, post = (axis.ravel() for axis in np.meshgrid(self.day.panel, hidden))
        more = csr_matrix((np.ones(user.size, np.bool_), (user, post)), shape=shown.shape)
        return csr_matrix(shown.astype(np.bool_) + more)

    @property
    def columns(self) -> Mapping[str, str]:
        """No attribute: these feeds are not shown."""
        return {}

    def drift(self, recommender: Recommender) -> pl.DataFrame:
        """The table `drift` of a study of this log.

        The column `recommender` holds the way in which people are left out, one of `WAYS`.
        """
        serve = (self.serve, self.serve_without_posts)
        ways = {(way, "none"): served for way, served in zip(WAYS, serve, strict=True)}
        reference = Reference(self.removals, recommender, ways)
        result = measure(LogFeeds(reference, self, range(1, DRAWS + 1)))
        return drift_of_log(result.per_user, self.matching.crowding)


def run_cell(
    world: World, evaluation: Evaluation, recommender: Recommender, size: float, seed: int
) -> pl.DataFrame:
    """The truth and the offline estimate of one influx on a platform that a recommender serves.

    Args:
        world: the platform; its number of newcomers is replaced.
        evaluation: how the platform is evaluated; only the last of its days counts.
        recommender: the recommender that serves and is studied.
        size: newcomers for each incumbent who comes on a day, such as 0.1.
        seed: world seed, such as 0.

    Returns:
        A row for each of `WAYS` and `LEVELS`: way · size · seed · level · true_total (drift in the
        influx arm less the floor, the mean of the nudges; of one-step drift, which a nudge does
        not have, less training noise) · true_composition · total · composition · band (upper end
        of the placebos' band, less their mean) · p_value · newcomers · matched (share of the
        newcomers with events who have a match among the incumbents; the others stay in the log).
        The columns total, composition, band and p_value are the offline estimate. No row if no
        newcomer has liked anything yet.
    """
    newcomers = max(2, round(size * _DAILY * world.incumbents))
    influx = world.influx.model_copy(update={"newcomers": newcomers})
    arms = ("control", "influx", "placebo", "retrain", FLOOR)
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
    floor = _floor(per_user)
    drift = platform.drift(recommender)
    offline = {(r["recommender"], r["measure"]): r for r in _headline(drift)}
    rows, matching = [], platform.matching
    for way, (level, stands_in) in product(WAYS, LEVELS.items()):
        true, estimate = truth[level], offline[way, stands_in]
        # If leaving newcomers out lowers a level, the newcomers have raised it: the sign turns.
        sign = -1 if is_level(stands_in) else 1
        edge = estimate["composition_ci_low"] if sign > 0 else estimate["composition_ci_high"]
        rows.append(
            {
                "way": way,
                "size": size,
                "seed": seed,
                "level": level,
                "true_total": true["influx"] - floor.get(level, true["retrain"]),
                "true_composition": true["composition"],
                "total": sign * estimate["total"],
                "composition": sign * estimate["composition"],
                "band": sign * (estimate["composition"] - edge),
                "p_value": estimate["p_value"],
                "newcomers": newcomers,
                "matched": matching.newcomer_users / matching.newcomer_users_before,
            }
        )
    return pl.DataFrame(rows, schema=_CELL)


def _floor(per_user: pl.DataFrame) -> dict[str, float]:
    """The mean of each measure of drift in the draws of the nudge, over all days."""
    nudges = per_user.filter(pl.col("day").is_null(), arm=FLOOR)
    measured = (name for name in LEVELS if nudges[name].null_count() < nudges.height)
    return {name: float(nudges[name].drop_nulls().to_numpy().mean()) for name in measured}


def _headline(drift: pl.DataFrame) -> list[dict[str, Any]]:
    return list(drift.filter(pl.col("day").is_null()).iter_rows(named=True))


def compare(cells: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, list[Figure]]:
    """How far the offline estimates are from the truth.

    Args:
        cells: rows of `run_cell`, with a column `recommender`; several seeds of each size.

    Returns:
        Two frames, and the figures of claim 3.

        The first has a row for each recommender (and `all`) · way · level · figure (`total`,
        `composition`). Its columns are cells (number of them) · truth and told (mean truth and mean
        estimate) · bias (estimate less truth) · bias_ci_low · bias_ci_high · pearson · spearman ·
        within (rank correlation over seeds, within each recommender and size, on average). For
        composition there are also alarms (share of cells with an estimate above 0 and p ≤ .05) ·
        alarms_right (share of the alarms where the truth is above 0) · silent (share without an
        alarm of the cells where the truth is above 0) · disagree (share of cells with an alarm
        where the truth is not above 0, or without one where it is). Here the truth is the mean
        over the seeds of a recommender and size, since one seed's own luck may turn its sign.

        The second has a row for each recommender · way · level · size: means and intervals over
        seeds of true_total, true_composition, total and composition, and the share of alarms.
    """
    keyed = cells.with_columns(alarm=(pl.col("composition") > 0) & (pl.col("p_value") <= _LEVEL))
    keyed = keyed.with_columns(
        recommender_=pl.col("recommender"),
        real=pl.col("true_composition").mean().over("recommender", "way", "level", "size") > 0,
    )
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
    """A row of the first frame of `compare`, without its keys."""
    truth, estimate = (group[name].to_numpy() for name in (f"true_{figure}", figure))
    gap = nested_interval(_by_seed(group.with_columns(gap=pl.Series(estimate - truth)), "gap"))
    varied = np.ptp(truth) > 0 and np.ptp(estimate) > 0
    row: dict[str, Any] = {
        "cells": group.height,
        "truth": truth.mean(),
        "told": estimate.mean(),
        "bias": float(gap.mean),
        "bias_ci_low": float(gap.low),
        "bias_ci_high": float(gap.high),
        "pearson": float(pearsonr(truth, estimate).statistic) if varied else None,
        "spearman": float(spearmanr(truth, estimate).statistic) if varied else None,
        "within": _within(group, figure),
    }
    if figure == "composition":
        alarm, real = group["alarm"].to_numpy(), group["real"].to_numpy()
        row |= {
            "alarms": alarm.mean(),
            "alarms_right": real[alarm].mean() if alarm.any() else None,
            "silent": (~alarm)[real].mean() if real.any() else None,
            "disagree": (alarm != real).mean(),
        }
    return row


def _within(group: pl.DataFrame, figure: str) -> float | None:
    """Mean rank correlation of truth and estimate over the seeds of one recommender and one size.

    It asks more than the correlation over all cells, since estimates easily tell a large influx
    from a small one. Sizes at which nothing varies are left out.
    """
    correlations = []
    for _, cell in group.group_by("recommender_", "size", maintain_order=True):
        truth, estimate = cell[f"true_{figure}"].to_numpy(), cell[figure].to_numpy()
        if np.ptp(truth) > 0 and np.ptp(estimate) > 0:
            correlations.append(float(spearmanr(truth, estimate).statistic))
    return float(np.mean(correlations)) if correlations else None


def _jackknife(cells: pl.DataFrame) -> NDArray[np.float64]:
    """Float64 (1, seeds): the jackknife's pseudo-values of `_within` for the total."""
    seeds = cells["seed"].unique(maintain_order=True).to_list()
    whole = _within(cells, "total")
    without = [_within(cells.filter(pl.col("seed") != seed), "total") for seed in seeds]
    if whole is None or None in without:
        return np.full((1, len(seeds)), np.nan)
    n = len(seeds)
    return n * whole - (n - 1) * np.array([without], dtype=np.float64)


def _by_seed(group: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Float64 (1, seeds): means of the cells of each seed, which are not independent."""
    means = group.group_by("seed", maintain_order=True).agg(pl.col(name).mean())
    return means.sort("seed")[name].to_numpy()[None]


def _means(part: pl.DataFrame) -> dict[str, Any]:
    """A row of the second frame of `compare`, without its keys."""
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


def _claimed(cells: pl.DataFrame, agreement: pl.DataFrame) -> list[Figure]:
    """The figures of claim 3: how well the mix is estimated, by what is left out."""
    figures, seeds = [], cells["seed"].n_unique()
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
            figures.append(Figure(name, of, *mean_and_ends(y), seeds))
        y = nested_interval(_jackknife(mix.with_columns(recommender_=pl.col("recommender"))))
        name = "rank correlation at one size: total"
        figures.append(Figure(name, of, *mean_and_ends(y), seeds))
        composition = agreement.filter(
            recommender="all", way=way, level="language_format", figure="composition"
        )
        for name, column in (
            ("alarms where the truth is above 0", "alarms_right"),
            ("truth above 0 without an alarm", "silent"),
        ):
            value = composition[column].item()
            if value is not None:
                figures.append(Figure(name, of, float(value), np.nan, np.nan, seeds))
    return figures
