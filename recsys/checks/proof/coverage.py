"""Claim 1: intervals hold the truth as often as they say; a second placebo is seldom significant.

A small study is repeated many times: a tiny world in the open loop, 8 seeds, and a panel of 30 of
its 300 incumbents. Each seed is simulated once, for all incumbents, and used by many studies.
Studies that share seeds are not independent, so seeds are divided into blocks. A study draws its
seeds from one block. The truth that its interval should hold is the mean over all incumbents and
over all seeds of the other blocks. The blocks' differences give the standard error of the share.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.checks.proof.claims import Figure
from recsys.checks.verdicts import mean_and_ends
from recsys.config import Evaluation, Influx, World
from recsys.config.world import Posts
from recsys.core.noise import Stream, uniforms
from recsys.measures.registry import MEASURES
from recsys.recommenders import ALS, Recommender, Trending
from recsys.statistics import nested_interval, two_way_interval
from recsys.study.arms.open_loop import OpenLoop, house_worlds
from recsys.study.arms.rankings import Learned
from recsys.study.tables.drift import PRIMARY

RECOMMENDERS: Mapping[str, Recommender] = {
    "trending": Trending(),
    "als": ALS(factors=4, iterations=3),
}
"""The recommenders that are studied. A training seed changes the feeds of `als` alone."""
CONTRASTS = ("composition", "second placebo")
"""Influx less placebo; and second placebo less placebo, whose true value is 0. The second placebo
is drawn from another stream."""
_ARMS = ("control", "influx", "placebo", "placebo_2")
_SEEDS, _PANEL = 8, 30
_DAY, _K = 1, 10
_TINY: dict[str, Any] = {
    "incumbents": 300,
    "days_before": 2,
    "days_after": 2,
    "burn_in_days": 1,
    "ticks": 1,
    "influx": Influx(newcomers=60, arrivals=(1.0,), reversal_day=None),
    "posts": Posts(
        per_creator_day=0.5
    ),  # with fewer posts, frequent visitors would have seen them all
}
_KEYS = ("recommender", "measure", "contrast")


def drifts(source: OpenLoop) -> NDArray[np.float64]:
    """Drift by the three primary measures, as a study's headline has it.

    Args:
        source: the feeds of the tiny world.

    Returns:
        float64 (measures, arms but control, incumbents).
    """
    by_arm: list[list[NDArray[np.float64]]] = []
    reference = None
    for arm in source.arms():
        day = source.on(arm.keys["arm"], _DAY)
        panel = day.feeds().groups[0]
        reference = panel.feeds if reference is None else reference
        pair = day.pair(panel, reference, None, None)
        by_arm.append([MEASURES[name](pair) for name in PRIMARY])
    values = np.array(by_arm).swapaxes(0, 1)
    levels = [MEASURES[name].kind == "level" for name in PRIMARY]
    values[levels] -= values[levels, :1]
    return values[:, 1:]


def composition_of_seed(seed: int) -> NDArray[np.float32]:
    """Each incumbent's value of the two contrasts in one seed of the tiny world.

    Args:
        seed: world seed, such as 0; the people are the same for all seeds.

    Returns:
        float32 (recommenders, measures, contrasts, incumbents).
    """
    world = World(**_TINY)
    evaluation = Evaluation(days=(_DAY,), k=_K, panel=world.incumbents)
    worlds = house_worlds(world, evaluation, _ARMS, seed)
    contrasts = []
    for name, recommender in RECOMMENDERS.items():
        source = OpenLoop(worlds, _ARMS, (name, "none"), Learned(recommender))
        influx, placebo, second = drifts(source).swapaxes(0, 1)
        contrasts.append(np.stack([influx - placebo, second - placebo], axis=1))
    return np.array(contrasts, dtype=np.float32)


def run_block(first: int, seeds: int, studies: int) -> pl.DataFrame:
    """Estimates of all studies that draw their seeds from one block.

    Args:
        first: first seed of the block, such as 0.
        seeds: number of seeds in the block, at least 8.
        studies: number of studies; each draws 8 of the seeds and 30 of the users by lot.

    Returns:
        recommender · measure · contrast · study · mean · ci_low · ci_high · p_value · seeds. Study
        -1 is the mean over all incumbents and seeds of the block.
    """
    pool = np.stack([composition_of_seed(seed) for seed in range(first, first + seeds)], axis=-1)
    frames = [_rows(-1, np.nanmean(pool, axis=-2, dtype=np.float64).mean(axis=-1))]
    for study in range(studies):
        chosen = _lot(first, study, 0, seeds)[:_SEEDS]
        panel = _lot(first, study, 1, pool.shape[-2])[:_PANEL]
        y = two_way_interval(pool[..., panel, :][..., chosen])
        frames.append(_rows(study, y.mean, y.low, y.high, y.p_value))
    return pl.concat(frames).with_columns(seeds=pl.lit(seeds))


def _lot(block: int, study: int, what: int, n: int) -> NDArray[np.int64]:
    """Int64 (n,): 0 to n - 1 in an order that is drawn for this block, study and purpose."""
    return np.argsort(uniforms(block, Stream.RESAMPLE, np.arange(n), study, what)[:, 0])


def _rows(study: int, mean: NDArray[np.float64], *more: NDArray[np.float64]) -> pl.DataFrame:
    axes = np.meshgrid(list(RECOMMENDERS), PRIMARY, CONTRASTS, indexing="ij")
    ends = more or (np.full_like(mean, np.nan),) * 3
    figures = dict(zip(("mean", "ci_low", "ci_high", "p_value"), (mean, *ends), strict=True))
    keys = {name: axis.ravel() for name, axis in zip(_KEYS, axes, strict=True)}
    return pl.DataFrame(
        {
            **keys,
            "study": np.full(mean.size, study),
            **{name: values.ravel() for name, values in figures.items()},
        }
    )


def coverage(blocks: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, list[Figure]]:
    """How often the studies' intervals hold the truth.

    Args:
        blocks: frames from `run_block`, at least two, of different seeds.

    Returns:
        A frame, and the figures of claim 1. The columns of the frame are recommender · measure ·
        contrast · truth · truth_se · covered (share of the intervals that hold the truth) ·
        covered_se · truth_below (share of the intervals that lie above the truth) · truth_above ·
        significant (share with p ≤ .05) · significant_se · width (mean width of an interval) ·
        studies · seeds. Standard errors are over blocks.
    """
    all_blocks = pl.concat([frame.with_columns(block=pl.lit(i)) for i, frame in enumerate(blocks)])
    rows, figures = [], []
    for keys, group in all_blocks.group_by(*_KEYS, maintain_order=True):
        named = dict(zip(_KEYS, map(str, keys), strict=True))
        row, covered, significant = _judged(group)
        rows.append({**named, **row})
        if named["contrast"] == CONTRASTS[0]:
            claim, interval = "95 % intervals of composition that hold it", covered
        else:
            claim, interval = "second placebo called significant", significant
        of = f"{named['recommender']}, {named['measure']}"
        figures.append(Figure(claim, of, *interval, n_seeds=row["seeds"]))
    return pl.DataFrame(rows), figures


def _judged(
    group: pl.DataFrame,
) -> tuple[dict[str, Any], tuple[float, float, float], tuple[float, float, float]]:
    """A row of the frame, and means and 95 % intervals of the shares covered and significant."""
    whole = group.filter(pl.col("study") < 0).sort("block")
    means, seeds = whole["mean"].to_numpy(), whole["seeds"].to_numpy()
    others = (means @ seeds - means * seeds) / (seeds.sum() - seeds)
    studies = group.filter(pl.col("study") >= 0).with_columns(
        truth=pl.col("block").replace_strict(whole["block"], others, return_dtype=pl.Float64)
    )
    shares = studies.group_by("block").agg(
        covered=pl.col("truth").is_between("ci_low", "ci_high").mean(),
        truth_below=(pl.col("truth") < pl.col("ci_low")).mean(),
        truth_above=(pl.col("truth") > pl.col("ci_high")).mean(),
        significant=(pl.col("p_value") <= 0.05).mean(),
    )
    intervals = {
        name: nested_interval(shares.sort("block")[name].to_numpy()[None])
        for name in ("covered", "significant")
    }
    row: dict[str, Any] = {
        "truth": float(means @ seeds / seeds.sum()),
        "truth_se": float(np.std(means, ddof=1) / np.sqrt(means.size)),
        **{
            name: float(np.mean(shares[name].to_numpy())) for name in ("truth_below", "truth_above")
        },
        "width": float(np.mean((studies["ci_high"] - studies["ci_low"]).to_numpy())),
        "studies": studies.height,
        "seeds": int(seeds.sum()),
    }
    for name, y in intervals.items():
        row |= {name: float(y.mean), f"{name}_se": float(np.sqrt(y.variance))}
    return row, mean_and_ends(intervals["covered"]), mean_and_ends(intervals["significant"])
