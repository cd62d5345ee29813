"""The mix of a log's feeds: its p-values and bands hold in worlds where the truth is known.

A group's feeds have shares of three formats, which add up to 1, in two recommenders. Without an
effect newcomers are a group like any other: `false alarms` are then few, and the band of the
placebos holds the newcomers as often as it says. Groups that take a share f of one pool overlap:
they differ by sqrt(1 - f) of what separate groups differ by, the newcomers from them by
sqrt(1 + f) (`recsys.statistics.placebo.widened`).
"""

from math import sqrt

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from recsys.study.tables.mix import mix_of

FORMATS = ("long", "short", "text")
RECOMMENDERS = ("als", "ease")
DRAWS = 39
SPREAD = 0.02
"""Standard deviation of a share between groups."""


def a_log(rng, *, effect=0.0, crowding=0.0, joined=False):
    """Rows of a log, as in `StudyResult.per_user`; `als` moves the share of `short` by the effect.

    Where placebos joined, each is compared with a fit of its own, which is as far from `full` as
    ten groups are.
    """
    arms = [("full", 0), ("influx", 0), *(("placebo", draw) for draw in range(1, DRAWS + 1))]
    luck = rng.normal(size=(len(arms), len(RECOMMENDERS), len(FORMATS))) * SPREAD
    luck -= luck.mean(axis=2, keepdims=True)
    luck[0] = 0
    luck[1] *= sqrt(1 + crowding)
    luck[2:] *= sqrt(1 - crowding)
    luck[1, 0] -= effect * np.array([-0.5, 1.0, -0.5])  # removal takes the newcomers' share away
    base = np.array([0.5, 0.3, 0.2])
    shares, own = base + luck, np.zeros_like(luck)
    if joined:
        own[2:] = rng.normal(size=own[2:].shape) * 10 * SPREAD
        own[2:] -= own[2:].mean(axis=2, keepdims=True)
        arms += [("joined", draw) for draw in range(1, DRAWS + 1)]
        shares = np.concatenate([shares + own, base + own[2:]])
        luck = np.concatenate([luck, np.zeros_like(own[2:])])
    rows = [
        (name, "none", arm, draw, 0, np.abs(luck[place, at]).sum() / 2, *shares[place, at])
        for place, (arm, draw) in enumerate(arms)
        for at, name in enumerate(RECOMMENDERS)
    ]
    names = ["recommender", "mitigation", "arm", "draw", "user_id", "format"]
    schema = [*names, *(f"format:{value}" for value in FORMATS)]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        day=pl.lit(None, pl.Int32), cohort=pl.lit("incumbent"), seed=pl.lit(0)
    )


def mixes(n, seed, **world):
    rng = np.random.default_rng(seed)
    return [mix_of(a_log(rng, **world), ["format"], world.get("crowding", 0.0)) for _ in range(n)]


@pytest.mark.parametrize("world", [{"joined": True}, {"crowding": 0.3}], ids=["joined", "crowded"])
def test_without_an_effect_hardly_anything_is_found(world):
    """In 100 logs: what all 8 rows of a log find, what one of them finds, and what bands hold.

    Each bound holds with probability .999 or more. Were p not adjusted, more logs than that would
    find something; were bands of overlapping groups not widened, they would hold fewer newcomers.
    """
    n = 100
    found = mixes(n, seed=len(world), **world)
    anything = sum(mix["p_adjusted"].min() <= 0.05 for mix in found)
    assert anything <= binom.ppf(0.999, n, 0.05)
    rows = [mix.filter(recommender="als", value="short").row(0, named=True) for mix in found]
    alone = sum(row["p_value"] <= 0.05 for row in rows)
    assert binom.ppf(0.0005, n, 0.05) <= alone <= binom.ppf(0.9995, n, 0.05)
    held = sum(row["band_low"] <= row["moved"] <= row["band_high"] for row in rows)
    assert binom.ppf(0.0005, n, 0.95) <= held <= binom.ppf(0.9995, n, 0.95)


def test_an_effect_is_found_where_it_is_and_nowhere_else():
    """Newcomers add 5 standard deviations to the share of one format in one recommender.

    With 39 draws the largest of 8 rows of a group rarely exceeds 4; without the effect it is found
    in 5 of 100 logs.
    """
    n, effect = 50, 5 * SPREAD * sqrt(2 / 3)  # shares that add up to 1 vary by 2/3 as much
    found = mixes(n, seed=7, effect=effect, joined=True)
    rows = [mix.filter(recommender="als", value="short").row(0, named=True) for mix in found]
    assert sum(row["p_adjusted"] <= 0.05 for row in rows) >= 0.8 * n
    moved = np.array([row["moved"] for row in rows])
    assert abs(moved.mean() - effect) < 3.3 * SPREAD * sqrt(2 / 3) / sqrt(n)
    of_ease = sum(mix.filter(recommender="ease")["p_adjusted"].min() <= 0.05 for mix in found)
    assert of_ease <= binom.ppf(0.999, n, 0.05)


def test_a_row_by_hand():
    """Two placebos that joined: what removal takes away is what they had added."""
    rows = [
        ("full", 0, 0.50),
        ("before", 0, 0.40),
        ("influx", 0, 0.35),
        ("joined", 1, 0.30),
        ("placebo", 1, 0.28),
        ("joined", 2, 0.60),
        ("placebo", 2, 0.64),
    ]
    frame = pl.DataFrame(rows, schema=["arm", "draw", "format:short"], orient="row").with_columns(
        recommender=pl.lit("als"),
        mitigation=pl.lit("none"),
        user_id=pl.lit(0),
        day=pl.lit(None, pl.Int32),
        cohort=pl.lit("incumbent"),
        seed=pl.lit(0),
    )
    (row,) = mix_of(frame, ["format"], 0.0).iter_rows(named=True)
    names = ("before", "with", "without", "moved", "placebo", "band_low", "band_high", "p_value")
    expected = (0.4, 0.5, 0.35, 0.15, (0.02 - 0.04) / 2, -0.04, 0.02, 1 / 3)
    assert tuple(row[name] for name in names) == pytest.approx(expected)
