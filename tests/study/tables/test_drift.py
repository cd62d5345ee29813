"""Bands over days, the power of a study, and p-values of many measures."""

import numpy as np
import polars as pl
import pytest

from recsys.measures import MEASURES
from recsys.statistics import holm, seeds_needed, two_way_interval
from recsys.study.tables.drift import drift_of_log, drift_of_world, primaries_of_log
from recsys.study.tables.power import power_of_world
from recsys.study.tables.summary import summarise

ARMS = ("control", "influx", "placebo")
DAYS = (1, 2, 4, 8, 13)


def per_user(influx, placebo, measure="posts"):
    """Rows of a measure from float (days, users, seeds); the headline is the mean over days."""
    frames = []
    for arm, y in {
        "control": np.full_like(influx, 0.2),
        "influx": influx,
        "placebo": placebo,
    }.items():
        for day, values in zip((None, *DAYS), (y.mean(axis=0), *y), strict=True):
            users, seeds = np.indices(values.shape)
            drift = arm == "control" and measure == "posts"
            frames.append(
                pl.DataFrame(
                    {
                        "seed": seeds.ravel(),
                        "user_id": users.ravel(),
                        measure: np.full(users.size, np.nan) if drift else values.ravel(),
                    }
                ).select(
                    pl.lit("als").alias("recommender"),
                    pl.lit("none").alias("mitigation"),
                    pl.lit(arm).alias("arm"),
                    "seed",
                    pl.lit(0).alias("draw"),
                    pl.lit(day, pl.Int32).alias("day"),
                    pl.lit("incumbent").alias("cohort"),
                    "user_id",
                    measure,
                )
            )
    return pl.concat(frames)


def drawn(rng, effect=0.0):
    """Two arms whose days are alike, as a world's are: (days, users, seeds) each."""
    shape = (len(DAYS), 15, 8)
    arms = []
    for _ in range(2):
        luck = rng.normal(0, 0.03, 8) + rng.normal(0, 0.01, (len(DAYS), 1, 8))
        arms.append(0.4 + luck + rng.normal(0, 0.05, (15, 1)) + rng.normal(0, 0.05, shape))
    return arms[0] + effect, arms[1]


def test_bands_hold_on_all_days_at_once():
    """Of 150 studies without an effect, those whose band leaves out 0 on some day are few.

    Days' own intervals leave it out on some day more often: that is why there is a band.
    """
    rng = np.random.default_rng(0)
    banded, single = 0, 0
    for _ in range(150):
        days = drift_of_world(per_user(*drawn(rng)), ARMS).filter(pl.col("day").is_not_null())
        banded += ((days["composition_band_low"] > 0) | (days["composition_band_high"] < 0)).any()
        single += ((days["composition_ci_low"] > 0) | (days["composition_ci_high"] < 0)).any()
    assert banded <= 14  # 5 % of 150 are 7.5; more than 14 has a chance below 1 %
    assert single > banded


def test_bands_are_of_days_alone_and_wider():
    drift = drift_of_world(per_user(*drawn(np.random.default_rng(1))), ARMS)
    headline, days = drift.filter(pl.col("day").is_null()), drift.filter(pl.col("day") > 0)
    assert headline["composition_band_low"].item() is None
    assert (days["composition_band_low"] < days["composition_ci_low"]).all()
    assert (days["composition_band_high"] > days["composition_ci_high"]).all()


def test_power_is_that_of_the_headline():
    influx, placebo = (y / 14 for y in drawn(np.random.default_rng(2), effect=0.05))
    row = power_of_world(per_user(influx, placebo), ARMS).row(0, named=True)
    y = (influx - placebo).mean(axis=0)
    assert row["composition"] == pytest.approx(y.mean())
    assert row["margin"] == 0.01
    needed = float(seeds_needed(y, 0.01))
    assert np.isfinite(needed)
    assert row["seeds_needed"] == needed
    many = power_of_world(per_user(14 * influx, 14 * placebo), ARMS)["seeds_needed"].item()
    assert many is None
    assert (row["n_users"], row["n_seeds"]) == (15, 8)


def test_few_seeds_do_not_plan():
    influx, placebo = (y[..., :7] / 9 for y in drawn(np.random.default_rng(2)))
    row = power_of_world(per_user(influx, placebo), ARMS).row(0, named=True)
    assert row["seeds_needed"] is None
    assert row["detectable"] > 0


def test_a_study_detects_effects_of_the_size_that_it_says():
    """Effects of the sizes that 60 studies say they could detect: 4 in 5 are found in 4 of 5 or
    more, by 400 other studies."""
    rng = np.random.default_rng(3)
    told = [power_of_world(per_user(*drawn(rng)), ARMS)["detectable"].item() for _ in range(60)]
    pairs = (drawn(rng) for _ in range(400))
    others = np.stack([(influx - placebo).mean(axis=0) for influx, placebo in pairs])
    power = np.array([np.mean(two_way_interval(others + size).p_value < 0.05) for size in told])
    assert 0.65 < (power >= 0.78).mean() < 0.95  # .8, three standard errors of 60; 2 points of 400


def test_the_margin_of_a_level_is_relative():
    influx, placebo = drawn(np.random.default_rng(4))
    row = power_of_world(per_user(influx, placebo, "utility"), ARMS).row(0, named=True)
    assert row["margin"] == pytest.approx(0.01 * 0.2)


def test_without_a_placebo_or_a_second_seed_there_is_no_power():
    influx, placebo = drawn(np.random.default_rng(5))
    assert power_of_world(per_user(influx[..., :1], placebo[..., :1]), ARMS).is_empty()
    rows = per_user(influx, placebo).filter(pl.col("arm") != "placebo")
    assert power_of_world(rows, ARMS[:2]).is_empty()


def test_newcomers_are_others_in_each_seed():
    """Newcomers count even if those with the same ids in other seeds have no value; all seeds have
    the same weight."""
    y = np.array([[0.1, 0.4], [0.3, np.nan], [np.nan, np.nan]])
    rows = per_user(np.stack([y] * len(DAYS)), np.zeros((len(DAYS), 3, 2)), "utility")
    found = {
        cohort: summarise(rows.with_columns(cohort=pl.lit(cohort))).row(
            by_predicate=pl.col("day").is_null() & (pl.col("arm") == "influx"), named=True
        )
        for cohort in ("incumbent", "newcomer")
    }
    assert found["newcomer"]["mean"] == pytest.approx((0.2 + 0.4) / 2)
    assert (found["newcomer"]["n_users"], found["newcomer"]["n_seeds"]) == (3, 2)
    # seeds' means .2 and .4: t over two, 12.7062 · .1
    assert found["newcomer"]["ci_high"] == pytest.approx(0.3 + 12.7062 * 0.1, abs=1e-4)
    assert found["incumbent"]["mean"] == pytest.approx(0.25)  # the one who has both
    assert found["incumbent"]["n_users"] == 1


def test_a_share_that_few_make_is_no_point():
    """0 of 15 users has the interval 0 to 3.7 / 15, but 0 to 0 in arms without newcomers; a share
    of many users has a t interval."""
    nobody = np.zeros((len(DAYS), 15, 3))
    many = np.random.default_rng(7).random((len(DAYS), 15, 3)).round()
    found = summarise(per_user(many, nobody, "noticeable4")).filter(pl.col("day").is_null())
    rows = {row["arm"]: row for row in found.iter_rows(named=True)}
    assert (rows["placebo"]["mean"], rows["placebo"]["ci_low"]) == (0, 0)
    assert rows["placebo"]["ci_high"] == pytest.approx(1 - 0.025 ** (1 / 15))
    assert rows["control"]["ci_low"] == rows["control"]["ci_high"] == rows["control"]["mean"]
    assert rows["influx"]["ci_low"] == pytest.approx(two_way_interval(many.mean(axis=0)).low)
    other = summarise(per_user(many, nobody, "utility")).filter(
        pl.col("day").is_null(), arm="placebo"
    )
    assert other["ci_high"].item() == 0
    newcomers = per_user(many, nobody, "noticeable4").with_columns(cohort=pl.lit("newcomer"))
    row = summarise(newcomers).filter(pl.col("day").is_null(), arm="placebo")
    assert row["ci_high"].item() == pytest.approx(1 - 0.025 ** (1 / 45))


def of_log(rng, measures, *, draws=199, users=10):
    """Rows of a log whose measures share most of what differs between groups."""
    arms = [("full", 0), ("influx", 0), *(("placebo", draw) for draw in range(1, draws + 1))]
    frames = []
    for arm, draw in arms:
        luck = rng.normal()
        level = {name: 0.5 + 0.01 * (luck + rng.normal()) for name in measures}
        frames.append(
            pl.DataFrame({"user_id": range(users)}).with_columns(
                pl.lit("als").alias("recommender"),
                pl.lit("none").alias("mitigation"),
                pl.lit(arm).alias("arm"),
                pl.lit(0).alias("seed"),
                pl.lit(draw).alias("draw"),
                pl.lit(None, pl.Int32).alias("day"),
                pl.lit("incumbent").alias("cohort"),
                **{name: pl.lit(value) for name, value in level.items()},
            )
        )
    return pl.concat(frames)


def test_one_measure_of_a_log_is_found_among_many():
    """One large effect is significant among many measures of 199 groups; primary measures are not
    adjusted."""
    names = [name for name, measure in MEASURES.items() if measure.kind == "drift"]
    rows = of_log(np.random.default_rng(6), [*names, "ndcg"])
    planted = pl.when(pl.col("arm") == "influx").then(0.1).otherwise(0.0)
    rows = rows.with_columns(pl.col("creators", "ndcg") + planted)
    drift = drift_of_log(rows, 0.1, primaries_of_log(["topic"]))
    rest = drift.filter(~pl.col("measure").is_in(["posts", "topic", "ndcg"]))
    assert rest.height == len(names) - 2 >= 11
    by_holm = dict(zip(rest["measure"], holm(rest["p_value"]), strict=True))
    found = {row["measure"]: row for row in drift.iter_rows(named=True)}
    assert found["creators"]["p_value"] == found["creators"]["p_adjusted"] == 1 / 200
    assert by_holm["creators"] > 0.05
    assert (rest["p_adjusted"] >= rest["p_value"]).all()
    assert rest.filter(pl.col("measure") != "creators")["p_adjusted"].min() > 0.05
    for name in ("posts", "topic", "ndcg"):
        assert found[name]["p_adjusted"] == found[name]["p_value"]
    assert found["ndcg"]["p_value"] == 1 / 200


def test_what_ties_with_all_placebos_is_not_found():
    """Widening must not break ties in favour of the claim, for many measures either."""
    rows = of_log(np.random.default_rng(7), ["posts", "creators", "jaccard"], draws=39)
    same = pl.when(pl.col("arm") == "placebo", pl.col("draw") > 2).then(0.0)
    rows = rows.with_columns(same.otherwise("creators").alias("creators"))
    rows = rows.with_columns(
        pl.when(pl.col("arm") == "influx").then(0.0).otherwise("creators").alias("creators")
    )
    drift = drift_of_log(rows, 0.5).filter(measure="creators")
    assert drift["p_adjusted"].item() == drift["p_value"].item() == 1.0


def test_drift_of_nobody_has_columns():
    rows = of_log(np.random.default_rng(8), ["posts"], draws=2)
    assert drift_of_log(rows.clear(), 0.1).columns == drift_of_log(rows, 0.1).columns
