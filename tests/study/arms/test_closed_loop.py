"""Studies in a closed loop: each recommender serves worlds of its own."""

import tempfile
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys import load_study, run
from recsys.recommenders import ALS, RECOMMENDERS, Ranker, Trending, with_fallback
from recsys.study import plan
from recsys.study.arms.closed_loop import (
    ClosedDay,
    ClosedLoop,
    days_before,
    served_one_by_one,
    served_worlds,
)
from recsys.study.arms.measuring import measure
from recsys.study.arms.policy import RecommenderPolicy
from recsys.study.arms.rankings import make_rankings
from recsys.study.result import combine
from recsys.study.run import run_cell
from recsys.world import parked
from recsys.world.arms import GATES, Arm
from recsys.world.life import LIFE
from recsys.world.simulate import simulate

CONFIG = {
    "name": "closed",
    "world": {
        "incumbents": 200,
        "days_before": 3,
        "days_after": 3,
        "influx": {"kind": "rednote_2025", "newcomers": 50},
    },
    "recommenders": ["trending", {"kind": "als", "factors": 4, "iterations": 3}],
    "loop": "closed",
    "evaluation": {"days": [1, 2], "k": 8, "panel": 60, "nudges": 2},
    "seeds": 2,
}
NAMES = ["trending", "als"]


@pytest.fixture(scope="module")
def study():
    return load_study(CONFIG)


@pytest.fixture(scope="module")
def result(study):
    return run(study)


@pytest.fixture(scope="module")
def opened():
    return run(load_study(CONFIG, ["loop=open"]))


def worlds_of(study, name, threads=1):
    spec = next(spec for spec in study.recommenders if spec.name == name)
    rankings, seed = make_rankings(spec), 0
    return served_worlds(study.world, study.evaluation, study.arms, seed, rankings, threads=threads)


def measured(worlds, name):
    return measure(ClosedLoop(worlds, (name, "none")))


def test_a_study_runs_from_config_to_estimates(result):
    assert result.study.loop == "closed"
    assert result.drift["recommender"].unique(maintain_order=True).to_list() == NAMES
    assert set(result.drift["day"].to_list()) == {None, 1, 2}
    for column in (
        "influx",
        "placebo",
        "total",
        "volume",
        "composition",
        "composition_ci_low",
        "composition_ci_high",
    ):
        assert result.drift[column].null_count() == 0
    drift = result.drift
    np.testing.assert_allclose(drift["total"], drift["influx"] - drift["retrain"], atol=1e-12)
    np.testing.assert_allclose(drift["volume"] + drift["composition"], drift["total"], atol=1e-12)
    assert (result.timings["serve_s"] >= 0).all()


def test_a_closed_loop_drifts(result):
    posts = result.drift.filter(pl.col("measure") == "posts", pl.col("day").is_null())
    assert posts["influx"].is_between(0.01, 1).all()


def test_each_recommender_has_a_life_of_its_own(study, result):
    assert result.life["recommender"].unique(maintain_order=True).to_list() == NAMES
    arms = worlds_of(study, "als")
    mine = result.life.filter(pl.col("recommender") == "als", pl.col("seed") == 0)
    lived = [arm for arm in arms.simulations if not arm.startswith("nudge")]
    assert mine["arm"].unique(maintain_order=True).to_list() == lived
    for arm in lived:
        life = arms.simulations[arm].life
        assert_frame_equal(mine.filter(pl.col("arm") == arm).select(*LIFE), life)


@pytest.mark.parametrize("name", NAMES)
def test_snapshots_are_the_feeds_that_were_served(study, name):
    spec = next(entry for entry in CONFIG["recommenders"] if name in str(entry))
    config = {**CONFIG, "recommenders": [spec]}
    kept = run(load_study(config, ["seeds=1", "evaluation.snapshots=true"])).feeds
    served = worlds_of(study, name).simulations["influx"].morning(2).served
    mine = kept.filter(pl.col("arm") == "influx", pl.col("day") == 2)
    rows = np.searchsorted(served.users, mine["user_id"].to_numpy())
    slots = mine["rank"].to_numpy().astype(int) - 1
    np.testing.assert_array_equal(served.feeds[rows, slots], mine["item_id"])
    np.testing.assert_array_equal(served.sources[rows, slots], mine["source"].to_physical())
    assert {"incumbent", "newcomer"} == set(mine["cohort"].cast(pl.String))


@pytest.mark.parametrize("name", NAMES)
def test_retrain_is_an_arm_only_where_a_seed_trains(result, name):
    rows = result.per_user.filter(pl.col("recommender") == name)
    arms = {"control", "influx", "placebo", "locals", "nudge"}
    assert set(rows["arm"].unique()) == arms | ({"retrain"} if name == "als" else set())
    retrain = result.drift.filter(pl.col("recommender") == name, pl.col("measure") == "posts")
    if name == "als":
        assert (retrain["retrain"] > 0).all()
    else:
        assert (retrain["retrain"] == 0).all()


def test_newcomers_are_measured(result):
    newcomers = result.per_user.filter(pl.col("cohort") == "newcomer")
    assert set(newcomers["arm"].unique()) == {"influx", "placebo", "locals"}
    assert newcomers["user_id"].is_between(200, 249).all()
    assert set(newcomers["recommender"].unique()) == set(NAMES)
    daily = newcomers.filter(pl.col("day") == 2)
    assert daily["utility"].drop_nans().is_between(0, 1).all()
    assert daily.filter(pl.col("arm") == "influx")["user_id"].n_unique() > 20
    summary = result.summary.filter(pl.col("cohort") == "newcomer", pl.col("measure") == "utility")
    assert summary["mean"].is_between(0, 1).all()


def test_newcomers_beyond_the_panel_are_measured_too():
    """More newcomers than the panel holds, and the first to come are not the first by number."""
    study = load_study(CONFIG, ["evaluation.panel=20", "seeds=1"])
    newcomers = run(study).per_user.filter(pl.col("cohort") == "newcomer", pl.col("day") == 1)
    assert newcomers.filter(pl.col("arm") == "influx").height > 0


@pytest.mark.parametrize("name", NAMES)
def test_newcomers_rows_are_their_own(study, name):
    """What is measured for each newcomer is the feed that this newcomer was served."""
    arms = worlds_of(study, name)
    rows = measured(arms, name).per_user
    simulation = arms.simulations["influx"]
    theirs = rows.filter(
        pl.col("cohort") == "newcomer", pl.col("arm") == "influx", pl.col("day") == 2
    ).sort("user_id")
    there = np.flatnonzero((simulation.people.arrival < 2) & (simulation.people.departure > 2))
    users = there[there >= 200]
    assert theirs["user_id"].to_list() == users.tolist()
    served = simulation.morning(2).served
    feeds = served.feeds[[np.flatnonzero(served.users == user)[0] for user in users]]
    english = ((simulation.posts.language[feeds] == 1) & (feeds >= 0)).sum(axis=1)
    shares = english / np.maximum((feeds >= 0).sum(axis=1), 1)
    filled = (feeds >= 0).any(axis=1)
    np.testing.assert_allclose(theirs["language:en"].to_numpy()[filled], shares[filled])


@pytest.mark.parametrize("name", NAMES)
def test_measured_feeds_are_the_feeds_that_were_served(study, name):
    arms = worlds_of(study, name)
    for arm in ("control", "influx"):
        feeds = ClosedDay.of(arms.measured[arm], 2).feeds().groups[0].feeds
        served = arms.simulations[arm].morning(2).served
        np.testing.assert_array_equal(served.users[:60], arms.panel)
        np.testing.assert_array_equal(feeds.item_ids, served.feeds[:60])
        np.testing.assert_array_equal(feeds.sources, served.sources[:60])


@pytest.mark.parametrize("seed", [0, 1])
def test_without_newcomers_the_total_is_exactly_nothing(seed):
    overrides = ["world.influx.newcomers=0", "seeds=1", f"first_seed={seed}"]
    result = run(load_study(CONFIG, overrides))
    assert result.drift["total"].to_list() == [0.0] * result.drift.height
    trending = result.drift.filter(pl.col("recommender") == "trending")
    assert trending["influx"].to_list() == [0.0] * trending.height
    assert result.per_user.filter(pl.col("cohort") == "newcomer").is_empty()


def test_newcomers_who_never_come_make_a_total_of_exactly_nothing():
    result = run(load_study(CONFIG, ["world.influx.arrivals=[0,0,0,1]", "seeds=1"]))
    for part in ("total", "volume", "composition"):
        assert result.drift[part].to_list() == [0.0] * result.drift.height


@pytest.mark.slow  # the same promise in an open loop: tests/study/test_study.py
def test_workers_change_no_figure(study, result):
    for workers in (1, 3):
        other = run(load_study(CONFIG, [f"workers={workers}"]))
        assert_frame_equal(other.per_user, result.per_user)
        assert_frame_equal(other.drift, result.drift)
        assert_frame_equal(other.life, result.life)
    cells = plan(study)
    alone = {cell.name: run_cell(cell) for cell in reversed(cells)}
    combined = combine(study, [alone[cell.name] for cell in cells])
    assert_frame_equal(combined.summary, result.summary)


@pytest.mark.parametrize("name", NAMES)
def test_threads_that_simulate_change_no_figure(study, name):
    one, other = (measured(worlds_of(study, name, threads), name) for threads in (1, 3))
    assert_frame_equal(other.per_user, one.per_user)
    assert_frame_equal(other.life, one.life)


@pytest.mark.parametrize("name", NAMES)
def test_another_recommender_beside_it_changes_nothing(result, name):
    """Each has worlds of its own."""
    spec = next(entry for entry in CONFIG["recommenders"] if name in str(entry))
    alone = run(load_study({**CONFIG, "recommenders": [spec]}))
    assert_frame_equal(alone.per_user, result.per_user.filter(pl.col("recommender") == name))


def test_open_and_closed_loops_differ(study, result, opened):
    keys = ["recommender", "arm", "seed", "day", "cohort", "user_id"]
    both = result.per_user.join(opened.per_user, on=keys, suffix="_open").filter(
        pl.col("cohort") == "incumbent", pl.col("arm") == "influx"
    )
    for name in NAMES:
        rows = both.filter(pl.col("recommender") == name)
        assert rows.height > 0
        assert (rows["utility"] != rows["utility_open"]).mean() > 0.2
    identities = {cell.identity for cell in plan(study)}
    assert not identities & {cell.identity for cell in plan(load_study(CONFIG, ["loop=open"]))}


def test_recommenders_make_different_logs(study):
    events = [worlds_of(study, name).simulations["control"].log.dense for name in NAMES]
    before = pl.col("timestamp") < pl.datetime(2025, 1, 10, time_zone="UTC")
    # the house serves the first day; from then on each learns from what it served
    assert_frame_equal(*(log.filter(before) for log in events))
    assert not events[0].equals(events[1])


def test_a_recommender_that_learns_from_impressions_is_given_them(monkeypatch):
    """The ranker's log holds what was shown and not clicked; that of als does not."""
    held = {}
    for kind in (Ranker, ALS):

        def fit(self, log, seed=0, previous=None, *, kind=kind, plain=kind.fit):
            held.setdefault(kind, set()).update(log.dense["kind"].unique())
            return plain(self, log, seed, previous)

        monkeypatch.setattr(kind, "fit", fit)
    trees = {"kind": "ranker", "factors": 4, "candidates": 20, "iterations": 3}
    for recommender in (trees, {"kind": "als", "factors": 4}):
        config = {**CONFIG, "recommenders": [recommender]}
        result = run(load_study(config, ["seeds=1", "evaluation.days=[1]"]))
        assert result.drift["influx"].null_count() == 0
        assert ("impression" in held[ALS]) == (recommender is trees)
        held[ALS].clear()
    assert "impression" in held[Ranker]


def test_the_oracle_serves_beside_mitigated_recommenders():
    chain = {"parts": ["cap"], "only": ["trending"]}
    config = {**CONFIG, "recommenders": ["trending", "oracle"], "mitigations": [chain]}
    result = run(load_study(config, ["seeds=1", "evaluation.days=[1]"]))
    headline = result.summary.filter(
        pl.col("day").is_null(),
        pl.col("measure") == "utility",
        pl.col("arm") == "influx",
        pl.col("cohort") == "incumbent",
    )
    utility = {
        (row["recommender"], row["mitigation"]): row["mean"]
        for row in headline.iter_rows(named=True)
    }
    assert set(utility) == {("trending", "none"), ("trending", "cap"), ("oracle", "none")}
    assert utility["oracle", "none"] > 1.5 * utility["trending", "none"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("days", [2, None])
def test_arms_one_by_one_are_measured_like_arms_at_once(name, days):
    """Of whole days or, where that is enough, of days that hold the audience's events alone."""
    more = [f"evaluation.training_days={'null' if days is None else days}", "seeds=1"]
    study = load_study(CONFIG, [*more, "evaluation.one_step=true"])
    spec = next(spec for spec in study.recommenders if spec.name == name)
    asked = study.world, study.evaluation, study.arms, 0, make_rankings(spec)
    at_once = measured(served_worlds(*asked), name)
    one_by_one = served_one_by_one(*asked, (name, "none"), threads=2)
    seen = []

    def watched(run):
        def simulated():
            seen.append(run())
            return seen[-1]

        return simulated

    later = {arm: watched(run) for arm, run in one_by_one.later.items()}
    got = measure(replace(one_by_one, later=later))
    for field in ("per_user", "life", "exposure"):
        assert_frame_equal(getattr(got, field), getattr(at_once, field))
    users = np.unique(np.concatenate([day.user for day in seen[0].days]))
    audience = seen[0].morning(2).served.users
    assert np.isin(users, audience).all() == (days is not None)


def test_the_last_arm_takes_the_state_before_the_influx_with_it(study):
    rankings = make_rankings(study.recommenders[0])
    shared = days_before(study.world, study.evaluation, 0, rankings)
    kept, gone = shared.run("influx"), shared.run("influx", last=True)
    for one, other in zip(kept.days, gone.days, strict=True):
        np.testing.assert_array_equal(one.item, other.item)
    assert shared._run is None
    with pytest.raises(ValueError, match="given back when the last arm was run"):
        shared.run("placebo")


def test_a_large_state_before_the_influx_is_on_disk_and_arms_are_the_same(study, monkeypatch):
    rankings = make_rankings(study.recommenders[0])
    asked = study.world, study.evaluation, 0, rankings
    in_memory = days_before(*asked)
    monkeypatch.setattr(parked, "_LARGE", 0)
    on_disk = days_before(*asked)
    assert in_memory._parked._file is None
    assert on_disk._parked._states is None
    for arm in ("influx", "placebo", Arm("influx", gates=frozenset(GATES) - {"behaviour"})):
        one, other = in_memory.run(arm), on_disk.run(arm)
        for day, same in zip(one.days, other.days, strict=True):
            np.testing.assert_array_equal(day.item, same.item)
            np.testing.assert_array_equal(day.user, same.user)


def test_a_state_that_does_not_fit_on_disk_stays_in_memory(study, monkeypatch):
    monkeypatch.setattr(parked, "_LARGE", 0)
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/nowhere")
    shared = days_before(study.world, study.evaluation, 0, make_rankings(study.recommenders[0]))
    assert shared._parked._file is None
    assert shared.run("influx").days


@pytest.mark.parametrize("name", ["als", "most_popular", "content"])
def test_a_policy_ranks_like_its_model_and_lets_go_of_events_it_can_do_without(study, name):
    log = simulate(study.world, "influx", seed=0).log
    recommender = RECOMMENDERS[name]()
    fit = RecommenderPolicy(recommender).fit(log, 3, None)
    users, seen = np.arange(log.n_users), log.withheld_by_user
    candidates = np.ones(log.n_items, dtype=np.bool_)
    own = recommender.fit(log, 3).rank(users, 9, candidates, seen)
    expected = with_fallback(own, Trending().fit(log), users, candidates, seen)
    posts, sources = fit.rank(users, 9, candidates, seen)
    np.testing.assert_array_equal(posts, expected.item_ids)
    np.testing.assert_array_equal(sources, expected.sources)
    assert fit.fallback.log.dense.is_empty()
    assert fit.model.log.dense.is_empty() == (name != "content")
    if name == "als":  # the next morning's fit goes on from its vectors
        again, direct = (
            recommender.fit(log, 3, model) for model in (fit.model, recommender.fit(log, 3))
        )
        np.testing.assert_array_equal(again.user_factors, direct.user_factors)
