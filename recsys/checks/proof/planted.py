"""Claim 2: a cause that was planted alone gets the largest part, and more newcomers do more.

Worlds are built so that newcomers can reach incumbents through one channel only. Behaviour cannot
be planted alone: it passes on what has come through another channel, and alone it changes nothing,
to the bit. What can be planted is a world in which behaviour is needed whichever other channel
brings the newcomers. If v is 1 where behaviour and at least one of two other channels are open, and
0 elsewhere, the Shapley value of behaviour is 2/3, and that of each of the two others is 1/6.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.checks.proof.claims import Figure
from recsys.checks.verdicts import mean_and_ends
from recsys.config import Evaluation, Influx, World
from recsys.config.world import INCUMBENTS, NEWCOMERS, Behaviour, Platform, Population, Posts, Slots
from recsys.recommenders import Content, ItemKNN, Random, Recommender
from recsys.statistics import nested_interval, shapley
from recsys.study.arms.closed_loop import ClosedLoop, served_worlds
from recsys.study.arms.gated import CHANNEL_ARMS, COALITIONS, GatedLoop, GatedSeed, values_of
from recsys.study.arms.measuring import measure
from recsys.study.arms.rankings import Learned
from recsys.study.tables.drift import drift_of_world
from recsys.world.arms import GATES

_ZH_ALONE = INCUMBENTS.model_copy(update={"outward": (0.0, 0.0), "bilingual_posts": 0.0})
"""Incumbents who neither post in the newcomers' language nor look for it."""
_QUIET = Population(incumbents=_ZH_ALONE, trend=(0.0, 0.0))
_BEFORE = Posts(per_creator_day=0.15, posted_across=0.0)
_PERSONAL = Slots(personal=1.0, following=0.0, trending=0.0, fresh=0.0)
_PLATFORM = Slots(personal=0.0, following=0.0, trending=0.5, fresh=0.5)
_EXPLORING = Slots(personal=0.9, following=0.0, trending=0.0, fresh=0.1)
_TIKTOK = Platform(formats=(0.9, 0.1, 0.0))
_SILENT = Influx(newcomers=60, arrivals=(1.0,), posts_a_head=0.0, reversal_day=None)


@dataclass(frozen=True)
class Plant:
    """A world in which newcomers reach incumbents through one channel alone, or mostly.

    Attributes:
        recommender: the recommender that serves.
        measure: name of the measure in which the planted channel must have the largest part.
        changes: fields of `World` in which it differs from the small world.
    """

    recommender: Recommender
    measure: str
    changes: Mapping[str, Any]


PLANTS: dict[str, Plant] = {
    # All slots are personal and filled by lot: nothing is learned, and no topic is in fashion.
    "supply": Plant(
        Random(),
        "language_format",
        {"population": _QUIET, "platform": Platform(slots=_PERSONAL)},
    ),
    # Newcomers post nothing. They click what they like, which is not what incumbents like.
    "training": Plant(
        ItemKNN(),
        "language_format",
        {
            "population": _QUIET,
            "platform": Platform(slots=_PERSONAL),
            "behaviour": Behaviour(language_penalty=0.0),
            "influx": Influx(
                newcomers=150, arrivals=(1.0,), posts_a_head=0.0, reversal_day=None, origin=_TIKTOK
            ),
        },
    ),
    # All slots hold trending or fresh posts; the few gaps are filled by lot from all posts.
    "exposure": Plant(
        Random(),
        "language_format",
        {"population": _QUIET, "platform": Platform(slots=_PLATFORM)},
    ),
    # Newcomers post nothing, and nothing is learned from them. Incumbents post in their language.
    "adaptation": Plant(
        Random(),
        "language_format",
        {
            "population": _QUIET,
            "platform": Platform(slots=_PERSONAL),
            "influx": _SILENT,
            "posts": Posts(
                per_creator_day=1.0, window_days=3, posted_across=0.8, adaptation_days=0.1
            ),
        },
    ),
    # Newcomers' posts are few and differ from others in their format alone. Many other posts have
    # this format, but nobody reads them. Incumbents who meet a newcomer's post, in a fresh slot or
    # by taste, click it out of curiosity, and more than they click else: this makes their profile.
    "behaviour": Plant(
        Content(shrinkage=1.0, features=30),
        "language_format",
        {
            "population": Population(
                incumbents=_ZH_ALONE,
                trend=(0.0, 0.0),
                curious=1.0,
                visits_per_day=3.0,
                newcomers=NEWCOMERS.model_copy(
                    update={"language": "zh", "formats": (1.0, 0.0, 0.0)}
                ),
            ),
            "platform": Platform(slots=_EXPLORING, formats=(0.1, 0.0, 0.9), click_rate=0.03),
            "behaviour": Behaviour(curiosity=12.0, curiosity_days=90.0),
            "influx": Influx(newcomers=20, arrivals=(1.0,), posts_a_head=2.4, reversal_day=None),
            "posts": Posts(per_creator_day=1.0, subtitled=0.0, posted_across=0.0),
        },
    ),
}
"""The worlds by the channel that is planted."""
MEDIATORS = ("behaviour",)
"""Channels that cannot act alone."""
DOSES = (10, 20, 40, 80)
"""Numbers of newcomers to 200 incumbents. A smaller number is a part of the same people."""
_GRADED = ("language_format", "newcomer_share")
_SMALL: dict[str, Any] = {
    "incumbents": 200,
    "days_before": 3,
    "days_after": 3,
    "burn_in_days": 1,
    "posts": _BEFORE,
    "influx": Influx(newcomers=60, arrivals=(1.0,), posts_a_head=2.4, reversal_day=None),
}
_EVALUATION = Evaluation(days=(2,), panel=60, k=10, training_days=3, one_step=True)


def run_plant(name: str, seed: int) -> pl.DataFrame:
    """The part of each channel in one seed of a planted world.

    Args:
        name: a key of `PLANTS`, such as "supply".
        seed: world seed, such as 0.

    Returns:
        plant · seed · channel · shapley · first_in · last_in: parts of *composition* in the plant's
        measure, as means over the panel.
    """
    shares = shapley([0.0, *composition_of_plant(name, seed, range(1, COALITIONS))])
    return pl.DataFrame(
        {
            "plant": name,
            "seed": seed,
            "channel": list(GATES),
            "shapley": shares.shapley,
            "first_in": shares.first_in,
            "last_in": shares.last_in,
        }
    )


def composition_of_plant(name: str, seed: int, coalitions: Sequence[int]) -> list[float]:
    """Mean *composition* of the panel in a plant's measure, for each set of open gates.

    Args:
        name: a key of `PLANTS`, such as "supply".
        seed: world seed, such as 0.
        coalitions: numbers of the sets, see `recsys.study.arms.gated.gates_of`. Only users with a
            value under all of them count.
    """
    plant = PLANTS[name]
    world = World(**{**_SMALL, **plant.changes})
    common = GatedSeed(world, _EVALUATION, seed, Learned(plant.recommender))
    rows = values_of(GatedLoop(common, (name, "none"), coalitions))
    rows = rows.filter(pl.col("day").is_null())
    influx, placebo = (
        rows.filter(arm=arm)[plant.measure].to_numpy().reshape(len(coalitions), -1)
        for arm in CHANNEL_ARMS
    )
    composition = influx - placebo
    complete = ~np.isnan(composition).any(axis=0)  # not so for users with an empty feed somewhere
    return [float(mean) for mean in composition[:, complete].mean(axis=1)]


def run_dose(newcomers: int, seed: int) -> pl.DataFrame:
    """Total drift in a small closed loop that item_knn serves.

    Args:
        newcomers: number of newcomers, such as 20.
        seed: world seed, such as 0.

    Returns:
        newcomers · seed · measure · total.
    """
    influx = _SMALL["influx"].model_copy(update={"newcomers": newcomers})
    names = ("control", "influx")
    world = World(**{**_SMALL, "influx": influx})
    worlds = served_worlds(world, _EVALUATION, names, seed, Learned(ItemKNN()))
    per_user = measure(ClosedLoop(worlds, ("item_knn", "none"))).per_user
    drift = drift_of_world(per_user, (*names, "retrain"))
    headline = drift.filter(pl.col("day").is_null(), pl.col("measure").is_in(_GRADED))
    return headline.select(
        pl.lit(newcomers).alias("newcomers"), pl.lit(seed).alias("seed"), "measure", "total"
    )


def planted(parts: pl.DataFrame) -> tuple[pl.DataFrame, list[Figure]]:
    """How large the planted channel's part is, compared with the others.

    Args:
        parts: rows of `run_plant`, of several seeds.

    Returns:
        plant · channel · part (`shapley`, `first_in`, `last_in`) · mean · ci_low · ci_high ·
        n_seeds; and the figures of claim 2 about planted causes.
    """
    rows, figures = [], []
    for name, group in parts.group_by("plant", maintain_order=True):
        plant, seeds = str(name[0]), group["seed"].n_unique()
        cubes = {
            part: group.sort("seed", maintain_order=True)[part].to_numpy().reshape(seeds, -1).T
            for part in ("shapley", "first_in", "last_in")
        }
        for part, values in cubes.items():
            for channel, y in zip(GATES, values, strict=True):
                rows.append((plant, channel, part, *_interval(y), seeds))
        place = list(GATES).index(plant)  # type: ignore[arg-type]
        sizes = np.abs(cubes["shapley"])
        lead = sizes[place] - np.delete(sizes, place, axis=0).max(axis=0)
        figures.append(
            Figure("planted part, less the next largest", plant, *_interval(lead), seeds)
        )
        if plant in MEDIATORS:
            figures.append(
                Figure(
                    "closing a planted mediator saves",
                    plant,
                    *_interval(cubes["last_in"][place]),
                    seeds,
                )
            )
    alone = parts.filter(pl.col("channel").is_in(MEDIATORS))["first_in"].abs().max()
    figures.append(
        Figure(
            "largest part of a mediator alone",
            "all plants",
            float(str(alone)),
            np.nan,
            np.nan,
            parts["seed"].n_unique(),
        )
    )
    columns = ("plant", "channel", "part", "mean", "ci_low", "ci_high", "n_seeds")
    return pl.DataFrame(rows, schema=columns, orient="row"), figures


def dose_response(doses: pl.DataFrame) -> tuple[pl.DataFrame, list[Figure]]:
    """How drift rises with the number of newcomers.

    Args:
        doses: rows of `run_dose`, of several seeds.

    Returns:
        measure · newcomers · mean · ci_low · ci_high · rise (from the number before) · rise_se ·
        n_seeds; and the figures of claim 2 about the number of newcomers.
    """
    rows, figures = [], []
    for name, group in doses.group_by("measure", maintain_order=True):
        sizes = sorted(group["newcomers"].unique())
        table = group.sort("newcomers", "seed")["total"].to_numpy().reshape(len(sizes), -1)
        rises = nested_interval(np.diff(table, axis=0)[:, None])
        errors = np.sqrt(rises.variance)
        for i, (size, y) in enumerate(zip(sizes, table, strict=True)):
            rise = (None, None) if i == 0 else (float(rises.mean[i - 1]), float(errors[i - 1]))
            rows.append((str(name[0]), size, *_interval(y), *rise, table.shape[1]))
        falls = -rises.mean / np.where(errors > 0, errors, 1.0)
        figures.append(
            Figure(
                "largest fall between sizes, in SE",
                str(name[0]),
                float(falls.max()),
                np.nan,
                np.nan,
                table.shape[1],
            )
        )
    columns = ("measure", "newcomers", "mean", "ci_low", "ci_high", "rise", "rise_se", "n_seeds")
    return pl.DataFrame(rows, schema=columns, orient="row"), figures


def _interval(y: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean and 95 % interval over seeds."""
    return mean_and_ends(nested_interval(y[None]))
