"""Random groups of a log's incumbents are put in the newcomers' place."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from recsys import load_study
from recsys.checks.proof import lots
from recsys.checks.proof.alarms import EXPOSURE, alarms, run_alarms
from recsys.checks.proof.claims import judge
from recsys.checks.proof.lots import JOINED, WHOLE, Way, arrived_of, joined_users, whole_users
from recsys.checks.proof.run import OF_LOG, OF_WORLD, Effort, plan, prove
from recsys.core.errors import ConfigError
from recsys.statistics.matching import draw_placebo
from recsys.study.arms.measured_log import MeasuredLog
from recsys.study.verdicts import exposure as exposure_verdict
from recsys.study.verdicts import log as log_verdict


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


DAYS, SINCE = 28, datetime(2025, 1, 27, tzinfo=UTC)
"""Days of the log with times, which begins on 6 January 2025; the day on which groups join."""


def dated(folder, seed=0, people=500, newcomers="days < 10", **more):
    """Users in two tastes who like 20 of 60 items in four weeks, and are shown 20 more.

    Returns:
        A study of a log with times, in which nothing is known of when newcomers came.
    """
    rng = np.random.default_rng(seed)
    begin = int((SINCE - timedelta(days=21)).timestamp())
    rows = []
    for user in range(people):
        own = 30 * (user % 2) + rng.permutation(30)
        other = 30 * (1 - user % 2) + rng.permutation(30)
        items = np.concatenate([own[:18], other[:2], own[18:], other[2:10]])
        when = begin + rng.integers(0, 86_400 * DAYS, items.size)
        rows += zip([user] * items.size, items, when, [1] * 20 + [0] * 20, strict=True)
    rows += [(0, 0, begin, 0), (0, 0, begin + 86_400 * DAYS - 1, 0)]
    columns = ["user_id", "item_id", "timestamp", "liked"]
    events = pl.DataFrame([tuple(map(int, row)) for row in rows], schema=columns, orient="row")
    events.write_parquet(folder / "events.parquet")
    users = pl.DataFrame({"user_id": range(people), "days": rng.integers(0, 100, people)})
    users.write_parquet(folder / "users.parquet")
    items = {"item_id": range(60), "format": ["short", "long"] * 30}
    pl.DataFrame(items).write_parquet(folder / "items.parquet")
    paths = {name: str(folder / f"{name}.parquet") for name in ("events", "users", "items")}
    of_log = {
        "newcomers": newcomers,
        "kinds": {"click": "liked = 1"},
        "attributes": {"format": "format"},
        "panel_min_events": 3,
    }
    return load_study(
        {
            "name": "dated",
            "log": {**paths, **of_log},
            "recommenders": ["trending"],
            "evaluation": {"k": 5, "panel": 60},
            "seeds": 1,
            "workers": 1,
            **more,
        }
    )


def test_groups_join_on_the_day_in_the_place_of_the_newcomers(tmp_path, monkeypatch):
    """What is trained on in an audit of a wave of incumbents, and in the fits of its placebos."""
    log = MeasuredLog((study := dated(tmp_path)).log, study.evaluation, 0)
    joined = joined_users(log)
    assert arrived_of(log) == SINCE.date()
    assert joined.sort == JOINED
    assert all(half.since == SINCE and half.matching.testable for half in joined.halves)
    removed = []
    monkeypatch.setattr(lots, "LogFeeds", lambda reference, *_, **__: reference.removals)

    def measured(removals):
        removed.append(removals)
        return SimpleNamespace(per_user=pl.DataFrame())

    monkeypatch.setattr(lots, "measure", measured)
    list(joined.audits(Way(None, ("trending", "none"), None), [1], [1, 2]))
    theirs, first, others, second = removed
    for half, (accused, placebos) in enumerate(((theirs, first), (others, second))):
        wave, stand_in = joined.group(half, 1), joined.group(1 - half, 0)
        events = accused.log_of("full", 0)
        assert set(accused.left_out("influx", 0)) == set(wave)
        assert_users(events, log.train.newcomers, begin=None)
        assert_users(events, wave, begin=SINCE)
        assert_users(events, stand_in, begin=SINCE - timedelta(days=21))
        group = joined.group(half, 2)
        events = placebos.log_of("joined", 2)
        assert_users(events, log.train.newcomers, begin=None)
        assert_users(events, stand_in, begin=None)
        assert_users(events, group, begin=SINCE)
        assert_users(placebos.log_of("placebo", 2), group, begin=None)
        assert not set(group) & set(stand_in)
        # Without the stand-in's absence it would be a wave of its own beside the placebos.
        assert_users(placebos.log, stand_in, begin=SINCE)


def assert_users(log, users, begin):
    """These users' events begin on the day of `begin`; they have none if it is None."""
    mine = np.zeros(log.n_users, dtype=np.bool_)
    mine[users] = True
    times = log.dense.filter(pl.Series(mine[log.dense["user"].to_numpy()]))["timestamp"]
    if begin is None:
        assert times.is_empty()
    else:
        assert begin <= times.min() < begin + timedelta(days=1)


def test_groups_join_on_the_day_that_is_known(tmp_path):
    study = dated(tmp_path, newcomers={"first_seen": {"from": "2025-01-06", "to": "2025-01-06"}})
    log = MeasuredLog(study.log, study.evaluation, 0)
    assert arrived_of(log) == date(2025, 1, 6)


def test_verdicts_on_groups_that_joined(tmp_path):
    rows = run_alarms(dated(tmp_path), 0, groups=4, draws=20)
    counted = rows.group_by("verdict", "placebos", "recommender").len().rows()
    assert set(counted) == {
        *(
            (verdict, sort, "trending", 4)
            for verdict in ("feeds", "mix")
            for sort in (WHOLE, JOINED)
        ),
        (EXPOSURE, None, None, 4),
    }
    assert rows["alarm"].null_count() == 0
    view = rows.filter(verdict=EXPOSURE)
    assert view["p_value"].n_unique() > 2
    assert (view["alarm"] == (view["p_value"] <= 0.05)).all()


def shares(study, **more):
    """Share of groups that each verdict accuses, by verdict and sort."""
    rows = [run_alarms(study, batch, groups=20, draws=19) for batch in range(2)]
    table = alarms(pl.concat(rows))[0]
    assert (table["groups"] == 40).all()
    return {row[:2]: row[2] for row in table.select("verdict", "placebos", "alarms").rows()}


def test_a_verdict_that_accuses_too_often_fails(tmp_path, monkeypatch):
    """Of 40 groups at most 6 are accused (binomial, 99 %); at a level of .2, 8 are expected.

    Of waves fewer are expected, since a group is a larger part of its placebos' smaller log.
    """
    study = dated(tmp_path)
    assert max(shares(study).values()) <= 6
    monkeypatch.setattr(log_verdict, "LEVEL", 0.2)
    monkeypatch.setattr(exposure_verdict, "LEVEL", 0.2)
    found = shares(study)
    assert min(found["feeds", WHOLE], found["mix", WHOLE], found[EXPOSURE, None]) > 6


def test_a_wave_without_which_all_changes_is_accused(tmp_path, monkeypatch):
    """Planted: whatever is measured when a wave leaves, all slots of all feeds are others."""
    measure = lots.measure

    def planted(feeds):
        rows = measure(feeds).per_user
        theirs = (pl.col("arm") == "influx") & (not feeds.draws)
        changed = [
            pl.when(theirs).then(1.0).otherwise(name).alias(name) for name in ("posts", "format")
        ]
        return SimpleNamespace(per_user=rows.with_columns(changed))

    monkeypatch.setattr(lots, "measure", planted)
    rows = run_alarms(dated(tmp_path), 0, groups=4, draws=20)
    found = rows.filter(pl.col("verdict").is_in(["feeds", "mix"]), placebos=JOINED)
    assert found.filter(verdict="feeds")["p_value"].to_list() == pytest.approx([1 / 21] * 4)
    assert found["alarm"].all()
    whole = rows.filter(verdict="feeds", placebos=WHOLE)
    assert whole["p_value"].n_unique() > 2


def test_a_wave_that_nobody_can_be_held_against_is_not_judged(tmp_path):
    """Nobody is left outside the panel who did anything since the day."""
    study = dated(tmp_path, people=100, evaluation={"k": 5, "panel": 60})
    late = pl.read_parquet(study.log.events)
    keep = (pl.col("timestamp") < int(SINCE.timestamp())) | (pl.col("user_id") == 0)
    late.filter(keep).write_parquet(study.log.events)
    rows = run_alarms(study, 0, groups=4, draws=20).filter(pl.col("placebos").ne_missing(WHOLE))
    assert rows.select("verdict", "alarm").rows() == [("feeds", None), (EXPOSURE, None)]


def test_alarms_that_cannot_be_judged_are_unclear():
    row = {"batch": 0, "group": 0, "verdict": EXPOSURE, "placebos": None, "recommender": None}
    table, figures = alarms(
        pl.DataFrame([{**row, "alarm": None}], schema_overrides={"alarm": pl.Boolean})
    )
    assert table.select("alarms", "groups").row(0) == (0, 0)
    assert judge(figures)["verdict"].to_list() == ["unclear"]


def test_an_accused_group_shares_nobody_with_its_placebos(study):
    log = MeasuredLog(study.log, study.evaluation, 0)
    halves = [half.matching for half in whole_users(log).halves]
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
    counted = rows.group_by("verdict", "placebos", "recommender").len().rows()
    everybody = ("trending", "item_knn", None)
    assert set(counted) == {
        (verdict, WHOLE, name, 4) for verdict in ("feeds", "mix", "quality") for name in everybody
    }
    assert rows["p_value"].is_between(1 / 21, 1).all()
    assert (rows["alarm"] == (rows["p_value"] <= 0.05)).all()
    assert run_alarms(study, 0, groups=4, draws=20).equals(rows)


def test_a_group_without_which_all_changes_is_accused(study, monkeypatch):
    """Planted: whatever is measured when group 2 leaves, all slots of all feeds are others."""
    measure = lots.measure

    def planted(feeds):
        rows = measure(feeds).per_user
        theirs = (pl.col("arm") == "placebo") & (pl.col("draw") == 1) & feeds.with_influx
        changed = [
            pl.when(theirs).then(1.0).otherwise(name).alias(name) for name in ("posts", "format")
        ]
        return SimpleNamespace(per_user=rows.with_columns(changed))

    monkeypatch.setattr(lots, "measure", planted)
    rows = run_alarms(study, 0, groups=4, draws=20)
    feeds = rows.filter(pl.col("verdict") == "feeds")
    accused, others = feeds.filter(group=2), feeds.filter(pl.col("group") != 2)
    assert set(accused["recommender"]) == {"trending", "item_knn", None}
    assert accused["p_value"].to_list() == pytest.approx([1 / 21] * 3)
    assert accused["alarm"].all()
    assert (others["p_value"] > 1.5 / 21).all()  # half of them have group 2 among their placebos
    assert others["p_value"].n_unique() > 2
    assert alarms(rows)[0].filter(verdict="feeds")["alarms"].to_list() == [1] * 3


def test_alarms_are_counted_and_judged():
    row = {"verdict": "feeds", "placebos": WHOLE, "recommender": None, "p_value": 0.5, "group": 0}
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
    assert proof.tables["alarms"]["groups"].to_list() == [4] * 9
    assert proof.verdicts["check"].unique().to_list() == [5]


def test_mitigations_are_judged_beside_recommenders(tmp_path):
    study = dated(tmp_path, mitigations=[["downweight"]])
    rows = run_alarms(study, 0, groups=2, draws=20)
    assert set(rows["recommender"]) == {"trending", "trending with downweight", None}
