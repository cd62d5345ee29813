"""Claim 3: what a platform can estimate from its log alone, compared with what newcomers changed.

A platform that newcomers have joined can train on its log with and without the newcomers' events,
and without matched groups of incumbents. This *offline estimate* is compared with the truth, which
only a simulation knows: the same platform, served day by day by the same recommender, which nobody
joins.
"""

from itertools import product
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from recsys.checks.proof.claims import Figure
from recsys.checks.proof.joined import ARMS, LEVELS, WAYS, platform_of
from recsys.checks.verdicts import mean_and_ends
from recsys.measures.rows import is_level
from recsys.recommenders import Recommender
from recsys.statistics import nested_interval
from recsys.study.arms.closed_loop import ClosedLoop
from recsys.study.arms.measuring import measure
from recsys.study.arms.worlds import Worlds
from recsys.study.tables.drift import drift_of_world
from recsys.study.tables.headline import FLOOR

SIZES = (0.01, 0.03, 0.1, 0.25, 0.4)
"""Sizes of the influx: newcomers for each incumbent who comes on a day."""
DRAWS = 20
"""Number of matched groups. With 20 of them, p cannot be below .048."""
_LEVEL = 0.05
"""Largest p-value of an alarm."""
_NAME = ("x", "none")
_FIGURES = ("total", "composition")
CELL: dict[str, Any] = {
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
"""Columns of a cell."""


def run_cell(
    worlds: Worlds, recommender: Recommender, size: float, draws: int = DRAWS
) -> pl.DataFrame:
    """The truth and the offline estimate of one influx on a platform that a recommender serves.

    Args:
        worlds: from `recsys.checks.proof.joined.worlds_of`.
        recommender, size: as given there.
        draws: number of matched groups.

    Returns:
        A row for each of `WAYS` and `LEVELS`: way · size · seed · level · true_total (drift in the
        influx arm less the floor, the mean of the nudges; of one-step drift, which a nudge does
        not have, less training noise) · true_composition · total · composition · band (upper end
        of the placebos' band, less their mean) · p_value · newcomers · matched (share of the
        newcomers with events who have a match among the incumbents; the others stay in the log).
        The columns total, composition, band and p_value are the offline estimate. No row if no
        newcomer has liked anything yet.
    """
    platform = platform_of(worlds)
    if platform is None:
        return pl.DataFrame(schema=CELL)
    per_user = measure(ClosedLoop(worlds, _NAME)).per_user
    truth = {r["measure"]: r for r in _headline(drift_of_world(per_user, ARMS))}
    floor = _floor(per_user)
    drift = platform.drift(recommender, draws)
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
                "seed": worlds.seed,
                "level": level,
                "true_total": true["influx"] - floor.get(level, true["retrain"]),
                "true_composition": true["composition"],
                "total": sign * estimate["total"],
                "composition": sign * estimate["composition"],
                "band": sign * (estimate["composition"] - edge),
                "p_value": estimate["p_value"],
                "newcomers": worlds.twin.world.influx.newcomers,
                "matched": matching.newcomer_users / matching.newcomer_users_before,
            }
        )
    return pl.DataFrame(rows, schema=CELL)


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
    from scipy.stats import pearsonr  # slow to load

    truth, estimate = (group[name].to_numpy() for name in (f"true_{figure}", figure))
    gap = nested_interval(seed_means(group.with_columns(gap=pl.Series(estimate - truth)), "gap"))
    varied = np.ptp(truth) > 0 and np.ptp(estimate) > 0
    row: dict[str, Any] = {
        "cells": group.height,
        "truth": truth.mean(),
        "told": estimate.mean(),
        "bias": float(gap.mean),
        "bias_ci_low": float(gap.low),
        "bias_ci_high": float(gap.high),
        "pearson": float(pearsonr(truth, estimate).statistic) if varied else None,
        "spearman": spearman(truth, estimate) if varied else None,
        "within": within(group, f"true_{figure}", figure),
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


def spearman(one: ArrayLike, other: ArrayLike) -> float:
    """Spearman's rank correlation; ties have their mean rank.

    Args:
        one, other: (n,) values that are not all equal.

    >>> spearman([1, 2, 3, 4], [1, 4, 9, 16])
    1.0
    """
    from scipy.stats import spearmanr  # slow to load

    return float(spearmanr(one, other).statistic)


def within(group: pl.DataFrame, truth: str, estimate: str) -> float | None:
    """Mean rank correlation of truth and estimate over the seeds of one recommender and one size.

    It asks more than the correlation over all cells, since estimates easily tell a large influx
    from a small one. Sizes at which nothing varies are left out.

    Args:
        group: cells, with the columns recommender_ and size.
        truth, estimate: names of the columns that are compared.
    """
    correlations = []
    for _, cell in group.group_by("recommender_", "size", maintain_order=True):
        true, told = cell[truth].to_numpy(), cell[estimate].to_numpy()
        if np.ptp(true) > 0 and np.ptp(told) > 0:
            correlations.append(spearman(true, told))
    return float(np.mean(correlations)) if correlations else None


def _jackknife(cells: pl.DataFrame) -> NDArray[np.float64]:
    """Float64 (1, seeds): the jackknife's pseudo-values of `within` for the total."""
    seeds = cells["seed"].unique(maintain_order=True).to_list()
    whole = within(cells, "true_total", "total")
    without = [
        within(cells.filter(pl.col("seed") != seed), "true_total", "total") for seed in seeds
    ]
    if whole is None or None in without:
        return np.full((1, len(seeds)), np.nan)
    n = len(seeds)
    return n * whole - (n - 1) * np.array([without], dtype=np.float64)


def seed_means(group: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Float64 (1, seeds): means of the cells of each seed, which are not independent."""
    means = group.group_by("seed", maintain_order=True).agg(pl.col(name).mean())
    return means.sort("seed")[name].to_numpy()[None]


def _means(part: pl.DataFrame) -> dict[str, Any]:
    """A row of the second frame of `compare`, without its keys."""
    row: dict[str, Any] = {"newcomers": part["newcomers"][0], "seeds": part.height}
    for name in ("true_total", "true_composition", "total", "composition"):
        y = nested_interval(seed_means(part, name))
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
                spearman(part["true_total"], part["total"]),
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
