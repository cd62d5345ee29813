"""Training runs: what is tested, on whom, and that the figures are those of the feeds."""

import gc
import math
import weakref
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.config import Training
from recsys.core.errors import ConfigError, LogError
from recsys.logs.holdout import split_days, split_log
from recsys.logs.log import InteractionLog
from recsys.measures.metrics import METRICS
from recsys.mitigations.build import make_recommender
from recsys.recommenders import RECOMMENDERS
from recsys.training.evaluate import evaluate, truth_of
from recsys.training.load import load_training
from recsys.training.train import log_of, source_of, split_for_test, split_for_tuning, train

SMALL = {"als": {"factors": 8}}
CONFIG = {
    "name": "small",
    "world": {
        "incumbents": 200,
        "influx": {"kind": "rednote_2025", "newcomers": 60},
        "days_before": 4,
        "days_after": 3,
    },
    "recommender": {"kind": "item_knn"},
    "k": 10,
    "test_days": 1.0,
}


@pytest.fixture(scope="module")
def source():
    return source_of(load_training(CONFIG))


@pytest.fixture(scope="module")
def world_log(source):
    return source[0]


@pytest.fixture(scope="module")
def result(source):
    training = load_training(CONFIG)
    log, simulation = source
    split = split_for_test(training, log)
    truth = truth_of(training, simulation, split)
    return evaluate(training, make_recommender(training.recommender), split, truth)


@pytest.fixture
def log_config(tmp_path):
    """A log of 120 users in two tastes, in files; without times."""
    rng = np.random.default_rng(0)
    user = rng.integers(0, 120, 3000)
    item = (user % 2) * 20 + rng.integers(0, 20, 3000)
    events = pl.DataFrame({"user_id": user, "item_id": item}).unique(maintain_order=True)
    events.write_csv(tmp_path / "events.csv")
    users = {"user_id": range(120), "days": [10 * (u % 10) for u in range(120)]}
    pl.DataFrame(users).write_csv(tmp_path / "users.csv")
    return {
        "name": "own",
        "log": {
            "events": str(tmp_path / "events.csv"),
            "users": str(tmp_path / "users.csv"),
            "newcomers": "days < 10",
        },
        "recommender": {"kind": "item_knn"},
        "k": 5,
    }


# A world


def test_a_worlds_last_days_are_held_out(world_log):
    training = load_training(CONFIG)
    split = split_for_test(training, world_log)
    assert split.cut == datetime(2025, 1, 14, tzinfo=UTC)  # day 2: the last of three
    assert split.train.dense["timestamp"].max() < split.cut <= split.test.dense["timestamp"][0]
    published = world_log.items["published"]
    live = (published < split.cut).to_numpy()
    age = (pl.Series([split.cut]).dt.cast_time_unit("ms") - published).dt.total_seconds() / 86_400
    live &= (age < training.world.posts.window_days).to_numpy()
    np.testing.assert_array_equal(split.candidates, live)


def test_validation_is_a_part_of_what_is_trained_on(world_log):
    training = load_training(CONFIG)
    whole, inner = split_for_test(training, world_log), split_for_tuning(training, world_log)
    assert inner.cut == datetime(2025, 1, 13, tzinfo=UTC)
    both = inner.train.dense.height + inner.test.dense.height
    assert both == whole.train.dense.height


def test_figures_are_means_over_the_users_of_a_group(result):
    groups = result.summary.select("by", "group").unique(maintain_order=True).rows()
    assert groups[:3] == [("all", "all"), ("cohort", "incumbent"), ("cohort", "newcomer")]
    assert ("status", "hot") in groups
    for by, group in groups:
        theirs = result.per_user if by == "all" else result.per_user.filter(pl.col(by) == group)
        for name, metric in METRICS.items():
            row = result.summary.row(
                by_predicate=(pl.col("by") == by)
                & (pl.col("group") == group)
                & (pl.col("metric") == name),
                named=True,
            )
            if metric.kind == "user":
                assert row["value"] == pytest.approx(theirs[name].mean(), rel=1e-12)
                assert row["n_users"] == theirs.height - theirs[name].null_count()
            if row["n_users"]:
                assert result.figure(name, by, group) == row["value"]
            else:
                assert row["value"] is None
                assert math.isnan(result.figure(name, by, group))
    assert math.isnan(result.figure("ndcg", "status", "nobody"))


def test_recall_is_that_of_the_feeds(result, world_log):
    split = split_for_test(load_training(CONFIG), world_log)
    user, item = split.relevant.nonzero()
    truth = pl.DataFrame({"user_id": user, "item_id": item}).cast(pl.Int64)
    found = result.feeds.join(truth, on=["user_id", "item_id"]).group_by("user_id").len()
    counted = (
        truth.group_by("user_id")
        .len("relevant")
        .join(found, on="user_id", how="left")
        .select("user_id", recall=pl.col("len").fill_null(0) / pl.col("relevant"))
        .sort("user_id")
    )
    theirs = result.per_user.select("user_id", "recall").sort("user_id")
    np.testing.assert_allclose(theirs["recall"], counted["recall"], rtol=1e-12)
    assert theirs["user_id"].to_list() == counted["user_id"].to_list()


def test_feeds_hold_candidates_that_were_not_seen(result, world_log):
    split = split_for_test(load_training(CONFIG), world_log)
    user, item = (result.feeds[name].to_numpy() for name in ("user_id", "item_id"))
    assert split.candidates[item].all()
    assert not np.asarray(split.train.seen[user, item]).any()
    per_user = result.feeds.group_by("user_id").len()["len"]
    assert per_user.min() == per_user.max() == 10


def test_who_cannot_be_served_is_marked(result):
    cold = result.per_user.filter(pl.col("status") != "hot")["user_id"]
    assert len(cold)
    sources = result.feeds.filter(pl.col("user_id").is_in(cold.implode()))["source"]
    assert sources.unique().to_list() == ["fallback"]


def test_timings_and_notes(result):
    timings = result.timings.row(0, named=True)
    assert timings["users"] == result.per_user.height
    assert timings["users_per_s"] == pytest.approx(timings["users"] / timings["serve_s"])
    assert result.notes[0].startswith("Tested on ")
    assert "2025-01-14 00:00 UTC" in result.notes[0]


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_every_recommender_trains_to_the_same_bits(name, world_log):
    training = load_training({**CONFIG, "recommender": {"kind": name, **SMALL.get(name, {})}})
    split = split_for_test(training, world_log)
    first, second = (
        evaluate(training, make_recommender(training.recommender), split) for _ in range(2)
    )
    assert first.summary.equals(second.summary)
    assert first.feeds.equals(second.feeds)


def test_a_chosen_few_metrics(world_log):
    training = load_training({**CONFIG, "metrics": ["recall", "coverage"]})
    split = split_for_test(training, world_log)
    got = evaluate(training, make_recommender(training.recommender), split)
    assert got.summary["metric"].unique(maintain_order=True).to_list() == ["recall", "coverage"]
    assert got.per_user.columns == ["user_id", "cohort", "status", "n_relevant", "recall"]


def test_what_nobody_could_find_is_said(world_log, result):
    split = split_for_test(load_training(CONFIG), world_log)
    later = split.out_of_reach["of items published later"]
    assert later > 0
    assert f"{later:,} of items published later" in result.notes[1]
    assert f"{split.likes[0]:,} of the {split.likes[1]:,} likes" in result.notes[0]


@pytest.mark.parametrize("cut", [split_for_test, split_for_tuning])
def test_utility_is_the_truth_on_the_day_of_the_cut(cut):
    training = load_training(CONFIG)
    log, simulation = source_of(training)
    split = cut(training, log)
    truth = truth_of(training, simulation, split)
    recommender = make_recommender(training.recommender)
    got = evaluate(training, recommender, split, truth)
    ids = got.feeds["item_id"].to_numpy().reshape(-1, training.k).astype(np.int32)
    users = got.per_user["user_id"].to_numpy()
    day = (split.cut - datetime(2025, 1, 12, tzinfo=UTC)).days
    chance = simulation.click_probability(users, ids, day)
    looks = (np.arange(training.k) // 2 + 1) ** -0.4
    expected = 100 * (chance * looks).sum(axis=1) / looks.sum()
    np.testing.assert_allclose(got.per_user["utility"], expected, rtol=1e-6)
    assert got.figure("utility") == pytest.approx(expected.mean())
    blind = evaluate(training, recommender, split)
    assert blind.figure("ndcg") == got.figure("ndcg")
    assert math.isnan(blind.figure("utility"))


def test_the_oracles_list_is_worth_most():
    training = load_training({**CONFIG, "recommender": "random"})
    log, simulation = source_of(training)
    split = split_for_test(training, log)
    truth = truth_of(training, simulation, split)
    got = evaluate(training, RECOMMENDERS["random"](), split, truth)
    items = np.flatnonzero(split.candidates).astype(np.int32)
    users = got.per_user["user_id"].to_numpy()
    chance = truth.utility(users, np.tile(items, (users.size, 1)))
    best = -np.sort(-chance, axis=1)[:, : training.k]
    most = 100 * (best * truth.looks).sum(axis=1) / truth.looks.sum()
    assert (got.per_user["utility"] < most).all()
    assert got.figure("utility") == pytest.approx(100 * chance.mean(), rel=0.05)  # by lot


def test_without_whole_days_there_is_no_truth():
    training = load_training({**CONFIG, "test_days": None, "test_share": 0.3})
    log, simulation = source_of(training)
    assert truth_of(training, simulation, split_for_test(training, log)) is None
    assert "utility" not in training.metrics


# A log


def test_a_log_without_times(log_config):
    got = train(load_training(log_config))
    assert got.figure("hit_rate") > 0.9  # half of the items are of a user's taste, most are known
    assert got.figure("recall") > train(
        load_training({**log_config, "recommender": "random"})
    ).figure("recall")
    assert got.notes[0].endswith("could be recommended.")
    assert "drawn by lot" in got.notes[0]
    assert got.figure("ndcg", "cohort", "newcomer") > 0


def test_validation_lots_are_drawn_anew_within_the_training_part(log_config):
    training = load_training(log_config)
    log = log_of(training)
    whole, inner = split_for_test(training, log), split_for_tuning(training, log)
    assert inner.train.dense.height + inner.test.dense.height == whole.train.dense.height
    share = inner.test.dense.height / whole.train.dense.height
    n = whole.train.dense.height  # pairs are distinct in this log
    assert abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / n)  # 4 standard errors
    assert evaluate(training, make_recommender(training.recommender), inner).figure("recall") > 0


def test_a_perfect_recommender_has_perfect_figures():
    """What everybody likes next is what the most like: found by trending, in its order."""
    start = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
    rows = [(f"old {n}", item, 0) for item in range(5) for n in range(10 - item)]
    rows += [(f"new {n}", item, 3) for n in range(4) for item in range(5)]
    user, item, day = zip(*rows, strict=True)
    log = InteractionLog.from_frames(
        {"user_id": user, "item_id": item, "timestamp": [start + 86_400 * d for d in day]}
    )
    training = Training.model_construct(**load_training({**CONFIG, "k": 5}).__dict__)
    got = evaluate(training, RECOMMENDERS["trending"](), split_log(log, days=1))
    for name in ("ndcg", "recall", "precision", "hit_rate", "mrr", "map", "coverage"):
        assert got.figure(name) == 1.0, name
    assert got.per_user["status"].unique().to_list() == ["cold"]


# Mistakes


def test_nobody_to_test(world_log):
    training = load_training(CONFIG)
    split = split_log(world_log.only(np.arange(world_log.dense.height) < 3), share=0.5)
    with pytest.raises((ConfigError, LogError), match=r"k: 10 is more than|no user can be tested"):
        evaluate(training, make_recommender(training.recommender), split)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recomender": "als"}, "recomender: unknown key; did you mean 'recommender'?"),
        ({"recommender": "alss"}, "recommenders: no kind 'alss'; did you mean 'als'?"),
        ({"recommender": {"kind": "als", "factor": 8}}, "factor: unknown key; did you mean 'fact"),
        ({"recommender": {"name": "x"}}, "recommender.kind"),
        ({"metrics": ["ndgc"]}, "metrics: there is no 'ndgc'; did you mean 'ndcg'?"),
        (
            {"metrics": ["utility"], "test_days": None},
            "metrics: utility needs a world whose last days are held out; give",
        ),
        ({"k": 0}, "k: input should be greater than or equal to 1"),
        ({"test_share": 0.5}, "test_days and test_share: give one of them, not both"),
        ({"test_days": 7}, "test_days: 7.0 leaves nothing of the 7 days"),
        (
            {"evaluation": {"rolling": {"days": 2}}},
            "evaluation.rolling: leave out test_days and test_share beside it",
        ),
        (
            {"test_days": None, "evaluation": {"rolling": {"days": 7}}},
            "evaluation.rolling.days: 7.0 leaves nothing of the 7 days",
        ),
        ({"evaluation": {"rolling": {"days": 0}}}, "evaluation.rolling.days: input should be"),
        ({"evaluation": {"roling": {}}}, "evaluation.roling: unknown key; did you mean 'rolling'?"),
        ({"variants": {"a": {}}}, "variants: a training run has none"),
        ({"arm": "infulx"}, "arm: input should be"),
        ({"seeds": 3}, "seeds: unknown key; did you mean 'seed'?"),
        ({"world": None}, "give one source: either world or log"),
        ({"tune": {"space": {}}}, "tune.space"),
        ({"tune": {"space": {"neighbour": [1]}}}, "tune.space.neighbour: no option of item_knn; d"),
        ({"tune": {"space": {"neighbours": [0]}}}, "tune.space.neighbours: recommender item_knn: "),
        ({"tune": {"space": {"neighbours": []}}}, "tune.space.neighbours"),
        ({"tune": {"space": {"recency.powers": [0.5]}}}, "tune.space.recency.powers: recommender"),
        ({"tune": {"space": {"recency.power": [0.0]}}}, "tune.space.recency.power: recommender"),
        ({"tune": {"space": {"neighbours.few": [3]}}}, "tune.space.neighbours.few: recommender"),
        (
            {"tune": {"space": {"shrinkage": {"low": 0, "high": 1, "log": True}}}},
            "low must be above 0 where log is true",
        ),
        (
            {"tune": {"space": {"shrinkage": {"low": 3, "high": 1}}}},
            "low must be less than high, but they are 3 and 1",
        ),
        (
            {"tune": {"space": {"shrinkage": [1]}, "metric": "coverage"}},
            "tune.metric: there is no 'coverage'",
        ),
    ],
)
def test_bad_configs(change, message):
    with pytest.raises(ConfigError) as caught:
        load_training({**CONFIG, **change})
    assert str(caught.value).startswith("config: ")
    assert message in str(caught.value)


def test_a_logs_own_way_to_hold_out_is_refused(log_config):
    log_config["log"]["holdout_days"] = 2.0
    with pytest.raises(ConfigError, match=r"holdout_days: a training run holds out by test_day"):
        load_training(log_config)


def test_what_is_left_out_is_filled_in(log_config):
    training = load_training(log_config)
    assert training.test_share == 0.2
    assert training.metrics == tuple(name for name in METRICS if name != "utility")
    options = training.recommender.options
    assert options == RECOMMENDERS["item_knn"]().model_dump()
    assert options["neighbours"] == 100
    again = training.model_dump(mode="json", exclude_none=True)
    assert load_training(again) == training


def test_public_names():
    assert recsys.load_training is load_training
    assert recsys.train is train


ROLLING = {**CONFIG, "k": 60, "test_days": None, "evaluation": {"rolling": {"days": 3}}}


@pytest.fixture(scope="module")
def rolled():
    return {
        kind: train(load_training({**ROLLING, "recommender": kind})) for kind in ("als", "content")
    }


def test_each_day_has_a_model_of_the_days_before(rolled):
    """Figures of a day are those of a test on that day alone, from yesterday's model."""
    result = rolled["als"]
    training = result.training
    log, simulation = source_of(training)
    end = datetime.combine(training.world.start, datetime.min.time(), UTC)
    end += timedelta(days=training.world.days_after)
    window = training.world.posts.window_days
    previous = None
    splits = split_days(log, days=3, end=end, window_days=window)
    for day, split in enumerate(splits, start=1):
        alone = evaluate(
            training,
            make_recommender(training.recommender),
            split,
            truth_of(training, simulation, split),
            previous,
        )
        previous = alone.model
        mine = result.days.series.filter(day=day, posts="all").sort("metric")
        theirs = alone.summary.filter(by="all").sort("metric")
        assert mine["value"].to_list() == theirs["value"].to_list()
        assert mine["begins"].unique().to_list() == [split.cut]
        assert result.feeds.filter(day=day).drop("day").equals(alone.feeds)
    assert day == 3
    np.testing.assert_array_equal(result.model.item_factors, previous.item_factors)


def test_means_are_over_days(rolled):
    for result in rolled.values():
        series = result.days.series
        for row in result.days.means.iter_rows(named=True):
            days = series.filter(posts="all", metric=row["metric"])
            assert row["n_days"] == 3
            assert row["value"] == pytest.approx(days["value"].mean())
            assert row["value"] == pytest.approx(result.figure(row["metric"]))
            assert row["difference"] == pytest.approx((days["value"] - days["trending"]).mean())
            assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert set(result.days.means["metric"]) == set(result.per_user.columns) & set(METRICS)
        assert result.per_user["day"].unique().to_list() == [1, 2, 3]
        assert result.figure("utility") > 0


def test_posts_of_the_day_count_and_are_served_by_those_who_can(rolled):
    als, content = rolled["als"], rolled["content"]
    assert als.figure("recall", "posts", "new") == 0
    assert content.figure("recall", "posts", "new") > 0
    n_new = als.summary.filter(by="posts", group="new", metric="recall")["n_users"].item()
    assert n_new == content.summary.filter(by="posts", group="new", metric="recall")["n_users"][0]
    assert 0 < n_new < als.per_user.height
    assert any("als cannot serve them" in note for note in als.notes)
    assert any("content can serve them" in note for note in content.notes)
    recalls = [als.figure("recall", "posts", group) for group in ("known", "new")]
    assert recalls[0] > als.figure("recall") > recalls[1]


def test_a_single_day_has_no_interval():
    result = train(load_training({**ROLLING, "evaluation": {"rolling": {"days": 1}}}))
    assert result.days.means["ci_low"].null_count() == result.days.means.height
    assert result.days.means["value"].null_count() == 0
    assert any("A single day has no interval" in note for note in result.notes)


def test_a_rolling_test_keeps_one_model_and_one_log_at_a_time(monkeypatch):
    kind, models, logs, there = RECOMMENDERS["item_knn"], [], [], []
    fit = kind.fit

    def alive(made):
        gc.collect()
        return sum(reference() is not None for reference in made)

    def counted(self, log, seed=0, previous=None):
        there.append((alive(models), alive(logs)))
        model = fit(self, log, seed, previous)
        models.append(weakref.ref(model))
        logs.append(weakref.ref(log))
        return model

    monkeypatch.setattr(kind, "fit", counted)
    result = train(load_training(ROLLING))
    assert there == [(0, 0), (1, 1), (1, 1)]  # yesterday's, from which a fit may start
    assert (alive(models), alive(logs)) == (1, 1)
    assert models[-1]() is result.model


def test_a_search_before_a_rolling_test_is_judged_on_as_many_days():
    training = load_training(ROLLING)
    log = log_of(training)
    for_test, for_tuning = split_for_test(training, log), split_for_tuning(training, log)
    assert for_test.cut - for_tuning.cut == timedelta(days=3)


def test_what_holds_too_little_out_is_named_as_the_config_has_it():
    """A search cuts once, in a rolling evaluation too."""
    for held_out in (
        {"test_days": 1},
        {"test_share": 0.1},
        {"evaluation": {"rolling": {"days": 2}}},
    ):
        training = load_training({**CONFIG, "test_days": None, **held_out})
        split = split_for_tuning(training, log_of(training))
        nobody = replace(split, test=split.test.only(np.zeros(split.test.dense.height, bool)))
        key = next(iter(held_out)).replace("evaluation", "evaluation.rolling.days")
        with pytest.raises(ConfigError, match=f"^{key}: none of the"):
            evaluate(training, RECOMMENDERS["trending"](), nobody)


def test_known_posts_have_a_figure_on_each_day(log_config, tmp_path):
    """On days when no post is new it is that of all posts."""
    events = pl.read_csv(log_config["log"]["events"])
    hours = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=h / 10) for h in range(len(events))]
    events.with_columns(timestamp=pl.Series(hours)).write_csv(log_config["log"]["events"])
    result = train(load_training({**log_config, "evaluation": {"rolling": {"days": 2}}}))
    of_all, of_known = (result.days.series.filter(posts=name) for name in ("all", "known"))
    assert of_known.drop("posts").equals(of_all.drop("posts"))
    assert result.days.series.filter(posts="new").is_empty()
    assert not any("on the day itself" in note for note in result.notes)
