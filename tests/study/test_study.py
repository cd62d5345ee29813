"""Studies: figures do not depend on workers, order or other seeds, and add up."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import recsys
from recsys import load_study, run
from recsys.core.errors import ConfigError
from recsys.study import plan
from recsys.study.notes import notes_on_floor
from recsys.study.result import combine
from recsys.study.run import run_cell
from recsys.study.sources import Sources
from recsys.world.life import LIFE

CONFIG = {
    "name": "small",
    "world": {
        "incumbents": 250,
        "days_before": 4,
        "days_after": 4,
        "influx": {"kind": "rednote_2025", "newcomers": 80},
    },
    "recommenders": ["trending", "random", {"kind": "als", "factors": 4, "iterations": 3}],
    "evaluation": {"days": [1, 2, 3], "k": 8, "panel": 60, "nudges": 2},
    "seeds": 2,
}


FEEDS = [
    "recommender",
    "mitigation",
    "arm",
    "seed",
    "day",
    "cohort",
    "user_id",
    "rank",
    "item_id",
    "source",
]


@pytest.fixture(scope="module")
def study():
    return load_study(CONFIG)


@pytest.fixture(scope="module")
def result(study):
    return run(study)


def test_frames_have_the_columns_of_the_contract(result):
    keys = ["recommender", "mitigation", "arm", "seed", "draw", "day", "cohort", "user_id"]
    assert result.per_user.columns[:8] == keys
    parts = [
        f"{part}{edge}"
        for part in ("total", "volume", "composition")
        for edge in ("", "_ci_low", "_ci_high")
    ]
    assert result.drift.columns == [
        "recommender",
        "mitigation",
        "day",
        "measure",
        "influx",
        "placebo",
        "retrain",
        *parts,
        "composition_band_low",
        "composition_band_high",
        "p_value",
        "p_adjusted",
        "saturated",
        "n_users",
        "n_seeds",
    ]
    assert result.summary.columns == [
        "recommender",
        "mitigation",
        "arm",
        "day",
        "cohort",
        "measure",
        "mean",
        "ci_low",
        "ci_high",
        "n_users",
        "n_seeds",
    ]
    assert set(result.drift["day"].to_list()) == {None, 1, 2, 3}
    assert result.quantiles.columns == [
        "recommender",
        "mitigation",
        "arm",
        "day",
        "cohort",
        "measure",
        "mean",
        "p10",
        "p50",
        "p90",
        "p99",
        "top_tenth",
        "n_users",
        "n_seeds",
    ]
    assert result.life.columns == ["recommender", "mitigation", "arm", "seed", *LIFE]
    assert result.feeds.columns == FEEDS


def test_parts_add_up(result):
    drift = result.drift
    np.testing.assert_allclose(drift["total"], drift["influx"] - drift["retrain"], atol=1e-12)
    np.testing.assert_allclose(drift["volume"], drift["placebo"] - drift["retrain"], atol=1e-12)
    np.testing.assert_allclose(drift["composition"] + drift["volume"], drift["total"], atol=1e-12)
    assert (drift["composition_ci_low"] <= drift["composition"]).all()
    assert (drift["composition"] <= drift["composition_ci_high"]).all()


def test_drift_is_the_mean_of_the_users(result):
    cell = pl.col("recommender") == "trending"
    users = result.per_user.filter(cell, pl.col("arm") == "influx", pl.col("day") == 2)
    incumbents = users.filter(pl.col("cohort") == "incumbent")
    row = result.drift.filter(cell, pl.col("day") == 2)
    posts = row.filter(pl.col("measure") == "posts")
    assert posts["influx"].item() == pytest.approx(incumbents["posts"].mean(), abs=1e-12)
    assert posts["n_users"].item() == 60
    # a level counts by its difference to the control arm
    control = result.per_user.filter(
        cell, pl.col("arm") == "control", pl.col("day") == 2, pl.col("cohort") == "incumbent"
    )
    utility = row.filter(pl.col("measure") == "utility")["influx"].item()
    expected = incumbents["utility"].mean() - control["utility"].mean()
    assert utility == pytest.approx(expected, abs=1e-12)


def test_headline_is_the_mean_over_days_and_pools_mixes(result):
    rows = result.per_user.filter(
        pl.col("arm") == "influx", pl.col("cohort") == "incumbent", pl.col("seed") == 0
    ).filter(pl.col("recommender") == "trending")
    headline = rows.filter(pl.col("day").is_null()).sort("user_id")
    days = rows.filter(pl.col("day").is_not_null()).sort("user_id", "day")
    for measure in ("posts", "utility", "language:en"):
        # a user who has seen every post has an empty feed on that day, and no value
        mean = np.nanmean(days[measure].to_numpy().reshape(-1, 3), axis=1)
        np.testing.assert_allclose(headline[measure].to_numpy(), mean, atol=1e-12)
    daily = np.nanmean(days["topic"].to_numpy().reshape(-1, 3), axis=1)
    assert (headline["topic"].to_numpy() <= daily + 1e-12).all()  # distances are convex
    assert headline["topic"].mean() < daily.mean()


@pytest.mark.parametrize("workers", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_workers_change_no_figure(result, workers):
    other = run(load_study(CONFIG, [f"workers={workers}"]))
    assert_frame_equal(other.per_user, result.per_user)
    assert_frame_equal(other.drift, result.drift)
    assert_frame_equal(other.summary, result.summary)
    assert_frame_equal(other.quantiles, result.quantiles)
    assert_frame_equal(other.life, result.life)


def test_more_seeds_change_no_figure_of_the_others(result):
    more = run(load_study(CONFIG, ["seeds=3"]))
    assert_frame_equal(more.per_user.filter(pl.col("seed") < 2), result.per_user)


def test_quantiles_of_means_are_those_of_the_summary(result):
    """Where every user has a value, the two frames' means agree."""
    keys = ["recommender", "mitigation", "arm", "day", "cohort", "measure"]
    both = result.summary.join(result.quantiles, on=keys, suffix="_q", nulls_equal=True)
    full = both.filter(pl.col("cohort") == "incumbent", pl.col("n_users_q") == 60)
    assert full.height > 500
    np.testing.assert_allclose(full["mean"], full["mean_q"], atol=1e-12)
    ordered = result.quantiles.select(
        (pl.col("p10") <= pl.col("p50")) & (pl.col("p90") <= pl.col("p99"))
    )
    assert ordered.to_series().all()


def test_the_house_is_lived_with_once_an_arm_and_seed(study, result):
    life = result.life
    assert life["recommender"].unique().to_list() == ["house"]
    assert life.select("arm", "seed").unique(maintain_order=True).rows() == [
        (arm, seed) for seed in (0, 1) for arm in ("control", "influx", "placebo", "locals")
    ]
    mine = life.filter(pl.col("arm") == "placebo", pl.col("seed") == 1).select(*LIFE)
    assert_frame_equal(mine, Sources(study).worlds(1).simulations["placebo"].life)


def test_snapshots_are_the_feeds_that_are_measured(study, result):
    """Slots that changed, counted again from the rows."""
    kept = run(load_study(CONFIG, ["evaluation.snapshots=true", "recommenders=[trending]"]))
    feeds = kept.feeds
    assert feeds.columns == FEEDS
    assert feeds.estimated_size() <= 40 * feeds.height
    assert_frame_equal(kept.per_user, result.per_user.filter(pl.col("recommender") == "trending"))
    key = ["seed", "day", "user_id"]
    incumbents = feeds.filter(pl.col("cohort") == "incumbent")
    assert incumbents.select("seed", "day", "arm", "user_id").n_unique() == 60 * 2 * 3 * 4
    control, influx = (
        incumbents.filter(pl.col("arm") == arm).select(*key, "item_id")
        for arm in ("control", "influx")
    )
    both = influx.join(control, on=[*key, "item_id"]).group_by(key).len("same")
    depth = control.group_by(key).len("k")
    measured = kept.per_user.filter(pl.col("arm") == "influx", pl.col("day").is_not_null())
    found = measured.join(depth, on=key).join(both, on=key).filter(pl.col("k") == 8)
    assert found.height > 200
    np.testing.assert_allclose(found["slots_changed"], 1 - found["same"] / 8, atol=1e-12)
    newcomers = feeds.filter(pl.col("cohort") == "newcomer")
    assert set(newcomers["arm"].cast(pl.String)) == {"influx", "placebo", "locals"}
    assert newcomers["user_id"].is_between(250, 329).all()
    ranks = feeds.group_by("arm", *key).agg(
        pl.col("rank").sort().eq(pl.int_range(1, pl.len() + 1)).all()
    )
    assert ranks["rank"].all()


def test_without_snapshots_the_feeds_of_a_dozen_users_are_kept(result):
    """Those of the first seed, in the arms that are shown; no figure depends on them."""
    feeds, users = result.feeds, result.shown_users
    assert set(feeds["seed"]) == {0}
    assert set(feeds["arm"].cast(pl.String)) <= {"control", "influx", "retrain"}
    for name in users["recommender"].unique():
        shown = set(feeds.filter(pl.col("recommender") == name)["user_id"])
        assert shown == set(users.filter(recommender=name)["user_id"])
        assert 10 <= len(shown) <= 12
    kept = run(load_study(CONFIG, ["evaluation.snapshots=true"]))
    assert_frame_equal(kept.shown_users, users)
    keys = ["recommender", "mitigation", "arm", "seed", "day", "user_id"]
    same = [pl.col(keys[:3]).cast(pl.String), *keys[3:], "rank", "item_id", "source"]
    assert_frame_equal(
        feeds.select(same),
        kept.feeds.select(same).join(feeds.select(same[:-3]), on=keys, how="semi"),
    )
    assert_frame_equal(kept.drift, result.drift)


def test_the_posts_of_shown_feeds_are_known(result):
    keys = ["recommender", "mitigation", "arm", "seed", "item_id"]
    slots = result.feeds.with_columns(pl.col(keys[:3]).cast(pl.String))
    posts = result.shown_posts
    assert slots.join(posts, on=keys, how="anti").is_empty()
    assert posts.select(keys).is_duplicated().sum() == 0
    assert set(posts["creator"].unique()) <= {"small", "large", "newcomer"}
    made = posts.filter(arm="control")["creator"]
    assert not (made == "newcomer").any()
    whole = result.per_user.filter(pl.col("day").is_null(), arm="influx", seed=0)
    for row in result.shown_users.iter_rows(named=True):
        one = whole.filter(recommender=row["recommender"], user_id=row["user_id"])
        assert one["slots_changed"].item() == row["changed"]


def test_cells_run_alone_in_any_order(study, result):
    cells = plan(study)
    assert [cell.name for cell in cells][:2] == ["trending-seed-0", "random-seed-0"]
    results = {cell.name: run_cell(cell) for cell in reversed(cells)}
    combined = combine(study, [results[cell.name] for cell in cells])
    assert_frame_equal(combined.drift, result.drift)


def test_identities_differ_and_ignore_what_changes_no_figure(study):
    identities = [cell.identity for cell in plan(study)]
    assert len(set(identities)) == len(identities)
    same = plan(load_study(CONFIG, ["workers=7", "seeds=4", "tracking.enabled=false"]))
    assert {cell.identity for cell in same} >= set(identities)
    other = plan(load_study(CONFIG, ["evaluation.k=7"]))
    assert not {cell.identity for cell in other} & set(identities)


def test_store_and_progress(study, result):
    seen, store = [], {}
    run(study, lambda done, total, name: seen.append((done, total, name)), store)
    assert [done for done, _, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert {total for _, total, _ in seen} == {6}
    assert len(store) == 6
    dropped = next(iter(store))
    del store[dropped]
    again = run(study, store=store)
    assert len(store) == 6
    assert_frame_equal(again.drift, result.drift)


def test_deterministic_recommenders_do_not_drift_by_retraining(result):
    drift = result.drift
    assert (drift.filter(pl.col("recommender") == "trending")["retrain"] == 0).all()
    als = drift.filter(pl.col("recommender") == "als", pl.col("measure") == "posts")
    assert (als["retrain"] > 0).all()


def test_random_feeds_are_saturated_where_their_floor_is_high(result):
    posts = result.drift.filter(pl.col("measure") == "posts", pl.col("day").is_null())
    floor = posts.select(pl.max_horizontal("placebo", "retrain")).to_series()
    assert posts["saturated"].to_list() == (floor >= 0.8).to_list()
    # seven tenths of the slots are drawn anew; the platform's own slots stay
    assert posts.filter(pl.col("recommender") == "random")["retrain"].item() > 0.5


def test_arms_may_be_left_out():
    bare = run(load_study(CONFIG, ["arms=[control,influx]", "seeds=1"]))
    assert bare.drift["composition"].null_count() == bare.drift.height
    assert bare.drift["influx"].null_count() == 0
    assert "With one seed" in bare.notes[0]
    assert "no arm nudge, so the floor of its headline is missing" in bare.notes[1]
    assert bare.headline["net"].null_count() == bare.headline.height


def test_a_missing_nudge_is_told(result):
    assert not any("nudge" in note for note in result.notes)
    study = load_study(CONFIG, ["arms=[control,influx,retrain]", "seeds=8"])
    (note,) = notes_on_floor(study)
    assert "is training noise alone" in note


def test_newcomers_are_served_too(result):
    newcomers = result.summary.filter(pl.col("cohort") == "newcomer", pl.col("arm") == "influx")
    assert newcomers.filter(pl.col("measure") == "utility")["mean"].is_between(0, 1).all()
    assert "posts" not in newcomers["measure"].to_list()  # there is no twin to drift from


def test_a_depth_beyond_the_pool_is_refused_before_anything_runs():
    with pytest.raises(ConfigError, match=r"evaluation\.k: 200 is more than the \d+ posts"):
        plan(load_study(CONFIG, ["evaluation.k=200", "world.posts.window_days=2"]))


def test_public_names():
    assert recsys.run is run
    assert recsys.load_study is load_study
