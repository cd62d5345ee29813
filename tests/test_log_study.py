"""Studies of an own log: a planted cause is found, its absence is said, real logs run."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys import load_study, run
from recsys.errors import ConfigError
from recsys.world.life import LIFE

SHARED = Path(__file__).parents[2] / "shared" / "data"
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
    notes = result.drift.filter(pl.col("measure") == "notes")
    assert (notes["p_value"] == 1 / 40).all()
    assert (notes["who_ci_low"] > 0).all()
    np.testing.assert_allclose(notes["volume"] + notes["who"], notes["total"], atol=1e-12)
    assert set(result.drift["measure"]) >= {"notes", "format", "format:video", "ndcg", "recall"}
    assert "newcomer_slots" not in result.drift["measure"].to_list()  # creators are not known
    assert result.summary.filter(pl.col("measure") == "ndcg")["mean"].is_between(0, 1).all()
    assert any("p cannot be below 0.025" in note for note in result.notes)


def test_newcomers_like_anybody_are_not_accused(tmp_path):
    """16 logs with newcomers drawn by lot: p <= .05 for one recommender in at most 4 of them.

    With 39 draws a fair test has p <= .05 with probability 5 %; widening allows up to 7.6 %. More
    than 4 of 16 then has probability 5e-3 at most.
    """
    small = 0
    for seed in range(16):
        config = write_log(tmp_path, different=False, seed=seed)
        drift = run(load_study({**config, "recommenders": ["item_knn"]})).drift
        small += drift.filter(pl.col("measure") == "notes")["p_value"].item() <= 0.05
    assert small <= 4


def test_chunks_of_draws_are_one_study(tmp_path, monkeypatch):
    from recsys import study as study_module

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
    assert result.life.columns == ["recommender", "arm", "seed", *LIFE]
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
    mean = result.summary.filter(cell, pl.col("measure") == "notes")["mean"].item()
    assert mean == pytest.approx(rows["notes"].mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["evaluation.panel=5000"], r"evaluation\.panel: 5000 is more than the \d+ incumbents"),
        (["evaluation.k=81"], r"evaluation\.k: 81 is more than the 80 items"),
        (["log.events=nowhere.parquet"], r"log\.events: no file at .*nowhere\.parquet; put it"),
        (["log.holdout_days=99"], r"holdout_days: no event is left to train on"),
        (["log.attributes.genre=genre"], r"items: no column 'genre'"),
    ],
)
def test_what_cannot_run_is_refused_with_the_place(tmp_path, overrides, message):
    config = write_log(tmp_path, different=False)
    with pytest.raises(Exception, match=message):
        run(load_study(config, overrides))


def test_holding_out_days_needs_times(tmp_path):
    config = write_log(tmp_path, different=False, times=False)
    del config["log"]["holdout_share"]
    config["log"]["holdout_days"] = 2
    with pytest.raises(ConfigError, match=r"has no times; use log\.holdout_share"):
        run(load_study(config))


@pytest.mark.parametrize("name", ["kuairand", "bookcrossing"])
def test_real_logs(name):
    """Quick looks: fewer items, users and draws than the configs have."""
    folder = {"kuairand": "kuairand_pure_slice", "bookcrossing": "bookcrossing_no_time"}[name]
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the {name} log is not here: put it at {folder} beside the checkout")
    paths = [f"log.{n}={SHARED / folder / f}.parquet" for n, f in
             (("events", "interactions"), ("users", "users"), ("items", "items"))]  # fmt: skip
    root = Path(__file__).parents[1]
    study = load_study(
        root / "configs" / f"{name}.yaml",
        [*paths, "log.placebo_draws=20", "log.min_item_events=40", "evaluation.panel=200"],
    )
    result = run(study)
    notes = result.drift.filter(pl.col("measure") == "notes")
    assert notes.height == 3
    assert notes["influx"].is_between(0, 1).all()
    assert (notes["p_value"] >= 1 / 21).all()
    # removing anybody's data moves feeds: the placebo is far from 0 where feeds are personal
    personal = notes.filter(pl.col("recommender") != "trending")
    assert (personal["placebo"] > 0.05).all()
    ndcg = result.summary.filter(pl.col("measure") == "ndcg", pl.col("arm") == "full")
    assert (ndcg["mean"] > 0.01).all()
