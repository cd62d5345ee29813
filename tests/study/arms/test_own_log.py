"""Studies of an own log: they find a planted cause, and nothing without one; real logs run."""

import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys import load_study, run
from recsys.config import OwnLog
from recsys.core.errors import ConfigError, LogError
from recsys.logs.read import read_own_log
from recsys.study.sources import Sources
from recsys.world.life import LIFE

SHARED = Path(__file__).parents[4] / "shared" / "data"
RECOMMENDERS = ["trending", "item_knn", {"kind": "ease", "regularization": 20.0}]


def write_log(folder, *, different, times=True, seed=0):
    """600 users, 80 items in two tastes; a tenth are newcomers, who may favour items of their own.

    Where they do, they like items 0 to 9 beside what incumbents of their taste like, which ties
    these items to everybody's.
    """
    rng = np.random.default_rng(seed)
    users = np.arange(600)
    newcomer = rng.random(600) < 0.1
    taste = rng.integers(0, 2, 600)
    rows = []
    for user in users:
        n = 8 + rng.geometric(0.15)
        liked = 40 * taste[user] + rng.permutation(40)[: min(n, 30)]
        if newcomer[user] and different:
            liked = np.concatenate([liked[: n // 2], rng.permutation(10)])
        rows.append(pl.DataFrame({"user_id": np.full(liked.size, user), "item_id": liked}))
    events = pl.concat(rows).unique(maintain_order=True)
    if times:
        seconds = 1_700_000_000 + rng.integers(0, 10 * 86_400, events.height)
        events = events.with_columns(timestamp=pl.Series(seconds))
    events.write_parquet(folder / "events.parquet")
    pl.DataFrame({"user_id": users, "days": np.where(newcomer, 5, 500)}).write_csv(
        folder / "users.csv"
    )
    formats = np.where(np.arange(80) % 2, "video", "image")
    pl.DataFrame({"item_id": np.arange(80), "format": formats}).write_parquet(
        folder / "items.parquet"
    )
    return {
        "name": "own",
        "log": {
            "events": str(folder / "events.parquet"),
            "users": str(folder / "users.csv"),
            "items": str(folder / "items.parquet"),
            "newcomers": "days <= 30",
            "attributes": {"format": "format"},
            "placebo_draws": 39,
            **({"holdout_days": 2} if times else {"holdout_share": 0.1}),
        },
        "recommenders": RECOMMENDERS,
        "evaluation": {"k": 8, "panel": 100},
        "seeds": 1,
    }


@pytest.mark.parametrize("times", [True, False])
def test_a_planted_cause_is_found(tmp_path, times):
    result = run(load_study(write_log(tmp_path, different=True, times=times)))
    posts = result.drift.filter(pl.col("measure") == "posts")
    assert (posts["p_value"] == 1 / 40).all()
    assert (posts["composition_ci_low"] > 0).all()
    np.testing.assert_allclose(posts["volume"] + posts["composition"], posts["total"], atol=1e-12)
    assert set(result.drift["measure"]) >= {"posts", "format", "format:video", "ndcg", "recall"}
    assert "newcomer_slots" not in result.drift["measure"].to_list()  # creators are not known
    assert result.summary.filter(pl.col("measure") == "ndcg")["mean"].is_between(0, 1).all()
    assert any("p cannot be below 0.025" in note for note in result.notes)


@pytest.mark.parametrize(("logs", "most"), [(5, 3), pytest.param(16, 4, marks=pytest.mark.slow)])
def test_newcomers_like_anybody_are_not_accused(tmp_path, logs, most):
    """Logs with newcomers drawn by lot: few have p <= .05 for one recommender.

    With 39 draws a fair test has p <= .05 with probability 5 %; widening allows up to 7.6 %. More
    than 3 of 5 then has probability 2e-4 at most, more than 4 of 16 5e-3.
    """
    small = 0
    for seed in range(logs):
        config = write_log(tmp_path, different=False, seed=seed)
        drift = run(load_study({**config, "recommenders": ["item_knn"]})).drift
        small += drift.filter(pl.col("measure") == "posts")["p_value"].item() <= 0.05
    assert small <= most


def test_chunks_of_draws_are_one_study(tmp_path, monkeypatch):
    study_module = sys.modules["recsys.study.plan"]

    config = write_log(tmp_path, different=True)
    whole = run(load_study(config))
    monkeypatch.setattr(study_module, "_DRAWS_PER_CELL", 7)
    chunked = run(load_study(config, ["workers=3"]))
    assert chunked.drift.equals(whole.drift)
    assert chunked.summary.equals(whole.summary)
    assert chunked.quantiles.equals(whole.quantiles)


def test_feeds_are_kept_if_asked_for_and_nobody_lives_in_a_log(tmp_path):
    config = write_log(tmp_path, different=True)
    result = run(load_study(config, ["evaluation.snapshots=true", "recommenders=[ease]"]))
    assert result.life.is_empty()
    assert result.life.columns == ["recommender", "mitigation", "arm", "seed", *LIFE]
    assert set(result.feeds["arm"].cast(pl.String)) == {"full", "influx"}
    assert result.feeds.height == 2 * 100 * 8
    full, influx = (result.feeds.filter(pl.col("arm") == arm) for arm in ("full", "influx"))
    same = full.join(influx, on=["user_id", "item_id"]).group_by("user_id").len()
    measured = result.per_user.filter(pl.col("arm") == "influx").join(same, on="user_id")
    np.testing.assert_allclose(measured["slots_changed"], 1 - measured["len"] / 8, atol=1e-12)


def test_placebo_summary_is_the_mean_over_draws(tmp_path):
    result = run(load_study(write_log(tmp_path, different=True)))
    cell = (pl.col("recommender") == "ease") & (pl.col("arm") == "placebo")
    rows = result.per_user.filter(cell)
    assert rows["draw"].n_unique() == 39
    mean = result.summary.filter(cell, pl.col("measure") == "posts")["mean"].item()
    assert mean == pytest.approx(rows["posts"].mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["evaluation.panel=5000"], r"evaluation\.panel: 5000 is more than the \d+ incumbents"),
        (["evaluation.k=81"], r"evaluation\.k: 81 is more than the 80 items"),
        (["log.events=nowhere.parquet"], r"log\.events: no file at .*nowhere\.parquet; put a"),
        (["log.holdout_days=99"], r"holdout_days: no event is left to train on"),
        (["log.attributes.genre=genre"], r"items: no column 'genre'"),
    ],
)
def test_what_cannot_run_is_refused_with_the_place(tmp_path, overrides, message):
    config = write_log(tmp_path, different=False)
    with pytest.raises(Exception, match=message):
        run(load_study(config, overrides))


def test_a_recommender_that_the_log_cannot_teach_is_refused_before_any_cell(tmp_path):
    config = write_log(tmp_path, different=False)
    config["recommenders"] = ["trending", "content"]
    config["log"] = {k: v for k, v in config["log"].items() if k not in ("items", "attributes")}
    done = []
    with pytest.raises(ConfigError, match=r"recommenders: content: content learns from attributes"):
        run(load_study(config), lambda *told: done.append(told))
    assert done == []


def test_holding_out_days_needs_times(tmp_path):
    config = write_log(tmp_path, different=False, times=False)
    del config["log"]["holdout_share"]
    config["log"]["holdout_days"] = 2
    with pytest.raises(ConfigError, match=r"has no times; use log\.holdout_share"):
        run(load_study(config))


@pytest.fixture(scope="module")
def wave(tmp_path_factory):
    """70 days, 600 incumbents in two tastes; from day 50 on 90 newcomers, who tie items 0 to 9
    to everybody's."""
    folder = tmp_path_factory.mktemp("wave")
    rng = np.random.default_rng(1)
    rows = []
    for user in range(690):
        taste, is_new = 40 * rng.integers(0, 2), user >= 600
        if is_new:
            days = np.append(rng.integers(50, 53), 53 + rng.choice(17, 15, replace=False))
            items = np.append(rng.permutation(10), taste + rng.choice(40, 6, replace=False))
        else:
            days = rng.choice(70, rng.integers(8, 45), replace=False)
            items = taste + rng.integers(0, 40, days.size)
        liked = is_new | (rng.random(days.size) < 0.7)
        rows += zip([user] * days.size, days, items, liked, strict=True)
    for user in range(690, 720):  # a few come at any time
        rows += [(user, 10 + 2 * (user - 690), rng.integers(0, 80), True) for _ in range(3)]
    rows = [(int(user), int(day), int(item), bool(liked)) for user, day, item, liked in rows]
    table = pl.DataFrame(rows, schema=["user_id", "day", "item_id", "liked"], orient="row")
    seconds = 1_735_689_600 + 86_400 * table["day"] + rng.integers(0, 86_400, table.height)
    table.select("user_id", "item_id", "liked", timestamp=seconds).write_parquet(
        folder / "events.parquet"
    )
    topics = [f"topic {item // 10}" for item in range(80)]
    pl.DataFrame({"item_id": range(80), "topic": topics}).write_parquet(folder / "items.parquet")
    return {
        "name": "wave",
        "log": {
            "events": str(folder / "events.parquet"),
            "items": str(folder / "items.parquet"),
            "kinds": {"click": "liked"},
            "newcomers": "auto",
            "attributes": {"topic": "topic"},
            "placebo_draws": 39,
            "panel_min_events": 3,
        },
        "recommenders": RECOMMENDERS,
        "evaluation": {"k": 8, "panel": 100},
        "seeds": 1,
    }


def test_a_wave_is_found_and_its_part_in_the_feeds(wave):
    result = run(load_study(wave))
    assert result.arrived == date(2025, 2, 20)  # day 50
    assert result.wave.found
    assert result.arrivals.filter("wave").height >= 2
    knn = result.drift.filter(pl.col("measure") == "posts", pl.col("recommender") == "item_knn")
    assert knn["p_value"].item() == 1 / 40
    assert result.notes[1].startswith("auto: arrivals rise on 2025-02-20. By the day, ")
    assert any("Newcomers: " in note for note in result.notes)
    assert set(result.exposed["outcome"]) == {"topic", "click rate"}
    assert result.exposed["check"].to_list().count(True) == 2
    assert any("parallel trends" in note for note in result.notes)


def test_users_who_came_later_are_not_measured_and_in_no_placebo(wave):
    log = {**wave["log"], "newcomers": {"first_seen": {"from": "2025-02-20", "to": "2025-02-22"}}}
    study = load_study({**wave, "log": log, "evaluation": {"k": 8, "panel": 280}})
    arms = Sources(study).log
    late = np.flatnonzero(arms.own.bystanders)
    assert late.size >= 3
    assert not np.isin(late, arms.panel).any()
    assert not np.isin(late, arms.matching.pool).any()
    assert not arms.whole.newcomers[late].any()
    result = run(study)
    assert result.wave is None
    assert result.arrivals.is_empty()
    assert result.arrived == date(2025, 2, 20)


@pytest.mark.parametrize("few", [0.0, 100.0])
def test_exact_removal_stands_beside_retraining(wave, few, monkeypatch):
    """Figures are the same whether placebo groups are removed exactly or by new fits."""
    from recsys.recommenders import ease

    monkeypatch.setattr(ease, "_FEW", few)
    result = run(load_study(wave))
    (row,) = result.removals.iter_rows(named=True)
    assert row["recommender"] == "ease"
    assert row["users"] >= 80
    assert row["items"] == 80
    assert row["largest_difference"] < 1e-12
    assert (row["slots"], row["slots_that_differ"]) == (800, 0)
    assert row["draws_by_removal"] == (few > 0)
    (note,) = (note for note in result.notes if "exactly agrees" in note)
    way = "removed exactly, too" if few else "left out by retraining, which costs less here"
    assert "agrees with retraining without them. The largest difference of a weight is " in note
    assert f"0 of 800 slots differ. Placebo groups are {way}." in note
    monkeypatch.setattr(ease, "_FEW", 100.0 - few)
    again = run(load_study(wave))
    assert_frame_equal(again.drift, result.drift, abs_tol=1e-9)


def test_two_models_that_memory_does_not_hold_are_not_compared(wave):
    small = {"kind": "ease", "memory_gb": 2e-4}  # 80 items take 1.4e-4
    result = run(load_study({**wave, "recommenders": [small]}))
    assert result.removals.is_empty()
    assert any("ease: exact removal was not checked" in note for note in result.notes)


def test_a_note_says_where_exact_removal_disagrees(wave, monkeypatch):
    from recsys.recommenders.ease import EASE

    real = EASE.removed
    monkeypatch.setattr(
        EASE, "removed", lambda self, m, log, users: real(self, m, m.log, users[:5])
    )
    result = run(load_study({**wave, "recommenders": ["ease"]}))
    (note,) = (note for note in result.notes if "does NOT agree with retraining" in note)
    assert "Raise its regularization." in note


def test_real_log_without_a_wave_is_refused():
    """KuaiRand's users are first seen because the log begins, a fortnight before it ends."""
    folder = SHARED / "kuairand_pure_slice"
    if not folder.is_dir():
        pytest.skip("the kuairand log is not here: put kuairand_pure_slice beside the checkout")
    source = OwnLog(
        events=str(folder / "interactions.parquet"), newcomers="auto", timezone="Asia/Shanghai"
    )
    with pytest.raises(LogError, match=r"auto needs 21 days after the first \d+, .* has 15 days"):
        read_own_log(source)


@pytest.mark.parametrize("name", ["kuairand", "bookcrossing"])
def test_real_logs(name):
    """Quick looks: fewer items, users and draws than the configs have."""
    folder = {"kuairand": "kuairand_pure_slice", "bookcrossing": "bookcrossing_no_time"}[name]
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the {name} log is not here: put it at {folder} beside the checkout")
    paths = [
        f"log.{n}={SHARED / folder / f}.parquet"
        for n, f in (("events", "interactions"), ("users", "users"), ("items", "items"))
    ]
    root = Path(__file__).parents[3]
    study = load_study(
        root / "configs" / f"{name}.yaml",
        [*paths, "log.placebo_draws=20", "log.min_item_events=40", "evaluation.panel=200"],
    )
    result = run(study)
    posts = result.drift.filter(pl.col("measure") == "posts")
    assert posts.height == 3
    assert posts["influx"].is_between(0, 1).all()
    assert (posts["p_value"] >= 1 / 21).all()
    # removing anybody's data moves feeds: the placebo is far from 0 where feeds are personal
    personal = posts.filter(pl.col("recommender") != "trending")
    assert (personal["placebo"] > 0.05).all()
    ndcg = result.summary.filter(pl.col("measure") == "ndcg", pl.col("arm") == "full")
    assert (ndcg["mean"] > 0.01).all()


def test_mitigations_of_a_log(tmp_path):
    config = write_log(tmp_path, different=True) | {
        "recommenders": ["item_knn", {"kind": "als", "factors": 8, "iterations": 3}],
        "mitigations": [
            ["offset"],
            {"parts": ["downweight"], "only": ["als"]},
            {"parts": [{"kind": "ensemble", "seeds": 2}], "only": ["als"]},
        ],
    }
    config["log"]["placebo_draws"] = 20
    result = run(load_study(config))
    pairs = result.drift.select("recommender", "mitigation").unique(maintain_order=True).rows()
    assert pairs == [
        ("item_knn", "none"),
        ("item_knn", "offset"),
        ("als", "none"),
        ("als", "offset"),
        ("als", "downweight"),
        ("als", "ensemble"),
    ]
    assert result.front.is_empty()  # a log has no utility to compare with drift
    posts = result.drift.filter(pl.col("measure") == "posts")
    assert posts.select("influx", "placebo", "retrain").null_count().sum_horizontal().item() == 0


@pytest.mark.parametrize("kind", ["warm_start", "anchor", "frozen", "calibrated"])
def test_a_log_has_no_earlier_model(tmp_path, kind):
    config = write_log(tmp_path, different=True)
    study = load_study({**config, "recommenders": ["als"], "mitigations": [[kind]]})
    with pytest.raises(ConfigError, match=f"als . {kind} goes on from the model of the day before"):
        run(study)
