"""Random groups of a log's incumbents are put in the newcomers' place."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from recsys import load_study
from recsys.checks.proof import alarms as module
from recsys.checks.proof.alarms import alarms, run_alarms
from recsys.checks.proof.claims import judge
from recsys.checks.proof.run import OF_LOG, OF_WORLD, Effort, plan, prove
from recsys.core.errors import ConfigError
from recsys.statistics.matching import draw_placebo
from recsys.study.arms.measured_log import MeasuredLog


@pytest.fixture
def study(tmp_path):
    """400 users in two tastes, a tenth of them new, who like 6 to 12 of 60 items."""
    rng = np.random.default_rng(0)
    rows = [
        (user, 30 * (user % 2) + int(item))
        for user in range(400)
        for item in rng.permutation(30)[: rng.integers(6, 13)]
    ]
    pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row").write_parquet(
        tmp_path / "events.parquet"
    )
    pl.DataFrame({"user_id": range(400), "days": rng.integers(0, 100, 400)}).write_parquet(
        tmp_path / "users.parquet"
    )
    items = {"item_id": range(60), "format": ["short", "long"] * 30}
    pl.DataFrame(items).write_parquet(tmp_path / "items.parquet")
    paths = {name: str(tmp_path / f"{name}.parquet") for name in ("events", "users", "items")}
    more = {"newcomers": "days < 10", "attributes": {"format": "format"}, "holdout_share": 0.1}
    return load_study(
        {
            "name": "log",
            "log": {**paths, **more},
            "recommenders": ["trending", "item_knn"],
            "evaluation": {"k": 5, "panel": 60},
            "seeds": 1,
            "workers": 1,
        }
    )


def test_an_accused_group_shares_nobody_with_its_placebos(study):
    log = MeasuredLog(study.log, study.evaluation, 0)
    halves = module._halves(log)
    members = [
        set(np.concatenate([draw_placebo(half, draw) for draw in range(20)])) for half in halves
    ]
    assert not members[0] & members[1]
    assert not (members[0] | members[1]) & set(log.panel)
    assert not log.train.newcomers[list(members[0] | members[1])].any()
    np.testing.assert_array_equal(*(half.quota.sum() for half in halves))
    assert all(half.testable for half in halves)


def test_every_verdict_is_judged_of_every_group(study):
    rows = run_alarms(study, 0, groups=4, draws=20)
    assert rows["group"].n_unique() == 4
    names = rows.group_by("verdict", "recommender").len().sort("verdict", "recommender").rows()
    assert names == [
        ("feeds", None, 4),
        ("feeds", "item_knn", 4),
        ("feeds", "trending", 4),
        ("mix", None, 4),
        ("quality", None, 4),
    ]
    assert rows["p_value"].is_between(1 / 21, 1).all()
    assert (rows["alarm"] == (rows["p_value"] <= 0.05)).all()
    assert run_alarms(study, 0, groups=4, draws=20).equals(rows)


def test_a_group_without_which_all_changes_is_accused(study, monkeypatch):
    """Planted: whatever is measured when group 2 leaves, all slots of all feeds are others."""
    measure = module.measure

    def planted(feeds):
        rows = measure(feeds).per_user
        theirs = (pl.col("arm") == "placebo") & (pl.col("draw") == 1) & feeds.with_influx
        changed = [
            pl.when(theirs).then(1.0).otherwise(name).alias(name) for name in ("posts", "format")
        ]
        return SimpleNamespace(per_user=rows.with_columns(changed))

    monkeypatch.setattr(module, "measure", planted)
    rows = run_alarms(study, 0, groups=4, draws=20)
    feeds = rows.filter(pl.col("verdict") == "feeds")
    accused, others = feeds.filter(group=2), feeds.filter(pl.col("group") != 2)
    assert accused["p_value"].to_list() == pytest.approx([1 / 21] * 3)
    assert accused["alarm"].all()
    assert (others["p_value"] > 1.5 / 21).all()  # half of them have group 2 among their placebos
    assert others["p_value"].n_unique() > 2
    assert alarms(rows)[0].filter(verdict="feeds")["alarms"].to_list() == [1] * 3


def test_alarms_are_counted_and_judged():
    row = {"verdict": "feeds", "recommender": None, "p_value": 0.5, "group": 0}
    few = [{**row, "batch": n % 10, "alarm": n < 18} for n in range(200)]
    table, figures = alarms(pl.DataFrame(few))
    assert table.select("alarms", "groups").row(0) == (18, 200)
    assert judge(figures)["verdict"].to_list() == ["holds"]
    many = pl.DataFrame([{**each, "alarm": n < 19} for n, each in enumerate(few)])
    assert judge(alarms(many)[1])["verdict"].to_list() == ["fails"]


def test_a_log_has_this_part_of_the_proof_alone(study):
    effort = Effort(batches=2, batch_groups=2, batch_draws=20)
    parts = plan(study, effort)
    assert [part.kind for part in parts] == [*OF_LOG] * 2
    assert len({part.identity for part in parts}) == 2
    with pytest.raises(ConfigError, match="needs a world"):
        plan(study, effort, ("dose",))
    world = load_study(
        {
            "name": "world",
            "world": {"incumbents": 100, "influx": {"kind": "step", "newcomers": 10}},
            "recommenders": ["trending"],
            "evaluation": {"panel": 50},
        }
    )
    with pytest.raises(ConfigError, match="needs a log"):
        plan(world, effort, OF_LOG)
    assert {part.kind for part in plan(world, effort)} == set(OF_WORLD)
    proof = prove(study, effort)
    assert proof.tables["alarms"]["groups"].to_list() == [4] * 5
    assert proof.verdicts["check"].unique().to_list() == [5]
