"""Claim 3: how near each estimator comes to the truth, over all platforms and sizes.

A sign can only be right where the truth has one. So changes that may go either way are judged on
the worlds (a recommender and a size) whose mean truth over seeds is beyond 0, and against a guess
that looks at no log: the sign that is commonest in the other worlds. With fewer than two worlds
there are no others, so there is no guess and no margin over it.
"""

from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from recsys.checks.proof.claims import Figure
from recsys.checks.proof.offline import seed_means, spearman, within
from recsys.checks.proof.told import SHARES
from recsys.statistics import nested_interval

_FEWEST_WORLDS = 2
"""Fewest worlds with a sign in which the commonest sign of the others can be guessed."""
_WORLD = ("recommender", "size")
_COMPOSITION = {"posts": "composition, posts", "language_format": "composition, mix"}
"""Estimand by level of a cell's composition."""


def composition_of(cells: pl.DataFrame) -> pl.DataFrame:
    """The composition that leaving newcomers out tells, as rows of estimates.

    Args:
        cells: rows of `recsys.checks.proof.offline.run_cell`, with a column `recommender`.
    """
    return cells.filter(pl.col("level").is_in(_COMPOSITION)).select(
        "recommender",
        pl.format("leave out {}", "way").alias("estimator"),
        pl.col("level").replace_strict(_COMPOSITION).alias("estimand"),
        "size",
        "seed",
        pl.col("true_composition").alias("truth"),
        pl.col("composition").alias("told"),
        pl.lit(None, pl.Float64).alias("low"),
        pl.lit(None, pl.Float64).alias("high"),
    )


def compare_estimators(estimates: pl.DataFrame) -> tuple[pl.DataFrame, list[Figure]]:
    """How near estimators are to the truth.

    Args:
        estimates: a column `recommender` and those of `ROW`; several seeds of each size.

    Returns:
        A frame and figures of claim 3. The frame has a row for each estimand · estimator, with
        cells (all that the estimator answers, of `asked`) · truth and told (means) · bias (told
        less truth) with bias_ci_low and bias_ci_high over seeds · spearman (over all cells) ·
        within (over the seeds of one world, on average) · intervals (cells that have an interval
        over users) · coverage (share of these that hold the truth) · points (share of these that
        are points, because all users have the same value; such an interval holds the truth only if
        it is the truth). Shares of slots have median_error, the median of |told - truth| / truth
        over cells whose truth is above 0. Other estimands have worlds (those whose truth has a
        sign) · sign_right (share of their cells whose estimate has it; an estimate of 0, or none,
        has not) · guess (the same of the commonest sign of the other worlds; null if there are
        fewer than two worlds, and then the margin's figure is NaN).
    """
    known = estimates.with_columns(recommender_=pl.col("recommender"))
    signs = _signs(estimates)
    table, figures = [], []
    for (estimand,), group in known.group_by("estimand", maintain_order=True):
        cells = group.select("recommender", "size", "seed").n_unique()
        for (estimator,), part in group.group_by("estimator", maintain_order=True):
            row = {"estimand": estimand, "estimator": estimator, "asked": cells, **_near(part)}
            if estimand in SHARES:
                row["median_error"] = _median_error(part)
            else:
                row |= _sign_right(part, group, signs[str(estimand)])
            table.append(row)
            figures += _figures(row, estimates["seed"].n_unique())
    return pl.DataFrame(table, infer_schema_length=None), figures


def _near(part: pl.DataFrame) -> dict[str, Any]:
    truth, told = part["truth"].to_numpy(), part["told"].to_numpy()
    gap = nested_interval(seed_means(part.with_columns(gap=pl.Series(told - truth)), "gap"))
    varied = np.ptp(truth) > 0 and np.ptp(told) > 0
    held = part.filter(pl.col("low").is_not_null())
    inside = ((held["low"] <= held["truth"]) & (held["truth"] <= held["high"])).to_numpy()
    return {
        "cells": part.height,
        "truth": truth.mean(),
        "told": told.mean(),
        "bias": float(gap.mean),
        "bias_ci_low": float(gap.low),
        "bias_ci_high": float(gap.high),
        "spearman": spearman(truth, told) if varied else None,
        "within": within(part, "truth", "told"),
        "intervals": held.height,
        "coverage": float(inside.mean()) if inside.size else None,
        "points": float((held["low"] == held["high"]).to_numpy().mean()) if inside.size else None,
    }


def _median_error(part: pl.DataFrame) -> float | None:
    there = part.filter(pl.col("truth") > 0)
    truth, told = there["truth"].to_numpy(), there["told"].to_numpy()
    return float(np.median(np.abs(told - truth) / truth)) if truth.size else None


def _signs(estimates: pl.DataFrame) -> dict[str, dict[tuple[Any, ...], int]]:
    """By estimand, the sign of each world whose mean truth over seeds is beyond 0."""
    signs: dict[str, dict[tuple[Any, ...], int]] = {}
    once = estimates.unique(["estimand", *_WORLD, "seed"], maintain_order=True)
    for (estimand, *world), part in once.group_by("estimand", *_WORLD, maintain_order=True):
        of = signs.setdefault(str(estimand), {})
        mean = nested_interval(seed_means(part, "truth"))
        if float(mean.low) > 0 or float(mean.high) < 0:
            of[tuple(world)] = int(np.sign(float(mean.mean)))
    return signs


def _sign_right(
    part: pl.DataFrame, everything: pl.DataFrame, signs: dict[tuple[Any, ...], int]
) -> dict[str, Any]:
    """How often an estimator has the sign of a world, and how often the guess has."""
    right, asked, guessed = 0, 0, 0.0
    for world, sign in signs.items():
        cells = {"recommender": world[0], "size": world[1]}
        seeds = everything.filter(**cells)["seed"].n_unique()
        told = part.filter(**cells)["told"].to_numpy()
        right += int((np.sign(told) == sign).sum())
        asked += seeds
        guessed += seeds * _guess(signs, world)
    return {
        "worlds": len(signs),
        "sign_right": right / asked if asked else None,
        "guess": guessed / asked if len(signs) >= _FEWEST_WORLDS else None,
    }


def _guess(signs: dict[tuple[Any, ...], int], world: tuple[Any, ...]) -> float:
    """Whether the commonest sign of the other worlds is right; one half if none is commonest."""
    votes = Counter(sign for other, sign in signs.items() if other != world)
    if votes[1] == votes[-1]:
        return 0.5
    return float((1 if votes[1] > votes[-1] else -1) == signs[world])


def _figures(row: dict[str, Any], seeds: int) -> list[Figure]:
    """The figures of claim 3 of one estimator."""
    margin = None
    if "guess" in row:
        margin = np.nan if row["guess"] is None else row["sign_right"] - row["guess"]
    named = {
        "sign right, less the commonest sign's": margin,
        "median relative error": row.get("median_error"),
        "rank correlation at one size: estimator": row["within"],
        "95 % intervals over users that hold it": row["coverage"],
    }
    of = f"{row['estimand']}, {row['estimator']}"
    return [
        Figure(name, of, value, np.nan, np.nan, seeds)
        for name, value in named.items()
        if value is not None
    ]
