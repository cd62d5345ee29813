"""Each estimator beside the truth: what is measured on a platform, and how it is judged."""

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.checks.proof.claims import CLAIMS, judge
from recsys.checks.proof.estimators import compare_estimators, composition_of
from recsys.checks.proof.joined import platform_of, worlds_of
from recsys.checks.proof.run import Effort, plan, prove
from recsys.checks.proof.told import ROW, SHARES, SIGNED, held_against_twin, levels_of
from recsys.config import Evaluation, Influx, World
from recsys.recommenders import ALS, Trending

WORLD = World(
    incumbents=200,
    days_before=6,
    days_after=4,
    burn_in_days=1,
    influx=Influx(newcomers=40, arrivals=(1.0,), reversal_day=None),
)
EVALUATION = Evaluation(days=(3,), panel=60, k=10, training_days=7, nudges=2)


@pytest.fixture(scope="module")
def worlds():
    return worlds_of(WORLD, EVALUATION, Trending(), 0.4, 1)


@pytest.fixture(scope="module")
def told(worlds):
    return held_against_twin(worlds, Trending(), 0.4)


def value(rows, estimator, estimand):
    return rows.filter(estimator=estimator, estimand=estimand).row(0, named=True)


def test_rows_hold_truth_and_estimate(told):
    assert told.schema == ROW
    assert set(told["estimand"]) == {*SHARES, *SIGNED}
    assert told.select("estimator", "estimand").is_duplicated().sum() == 0
    assert told.group_by("estimand").agg(pl.col("truth").n_unique())["truth"].to_list() == [1] * 5


def test_what_was_served_tells_exactly_what_was_displaced(told):
    """Skip and promote starts from the feeds that the truth counts."""
    row = value(told, "skip and promote", "displaced")
    assert row["truth"] > 0.01
    assert row["told"] == pytest.approx(row["truth"])


def test_a_count_is_of_all_that_incumbents_were_shown_on_the_day(told, worlds):
    """In the first slots of all visits: not only in the morning, and not only to the panel."""
    simulation = worlds.simulations["influx"]
    (day,) = (day for day in simulation.days if day.day == 3)
    shown = (day.kind == 0) & (day.user < WORLD.incumbents) & (day.rank <= EVALUATION.k)
    new = simulation.posts.creator[day.item[shown]] >= WORLD.incumbents
    row = value(told, "count", "displaced")
    assert row["told"] == pytest.approx(new.mean())
    assert row["low"] < row["told"] < row["high"]


def test_the_choice_model_tells_the_direct_effect(told):
    """Slots are filled from their own source, as in skip and promote; some sets have nothing to."""
    exact = value(told, "skip and promote", "displaced")["told"]
    for estimand in ("displaced", "net"):
        assert value(told, "choice model", estimand)["told"] == pytest.approx(exact, rel=0.05)
    model, exact = (value(told, who, "english") for who in ("choice model", "skip and promote"))
    assert model["low"] < exact["told"] < model["high"]
    assert value(told, "choice model", "clicks")["low"] < 0.05


def test_direct_effects_change_no_more_than_was_displaced(told):
    displaced = value(told, "skip and promote", "displaced")["told"]
    assert value(told, "skip and promote", "net")["told"] == pytest.approx(displaced)
    assert 0 <= value(told, "skip and promote", "english")["told"] <= displaced + 1e-12


@pytest.mark.parametrize("recommender", [Trending(), ALS(factors=4, iterations=2)])
def test_where_newcomers_leave_no_trace_nothing_is_told(recommender):
    """They click but never post: all that is left of them is what a fit learned from clicks."""
    influx = WORLD.influx.model_copy(update={"posts_a_head": 0.0})
    worlds = worlds_of(
        WORLD.model_copy(update={"influx": influx}), EVALUATION, recommender, 0.4, 2, placebos=False
    )
    assert platform_of(worlds) is not None
    rows = held_against_twin(worlds, recommender, 0.4)
    for estimator in (
        "count",
        "skip and promote",
        "choice model",
        "leave out events and posts",
        "roll forward",
    ):
        assert value(rows, estimator, "displaced")["told"] == 0
    assert value(rows, "skip and promote", "net")["told"] == 0
    for estimator in ("skip and promote", "choice model"):
        assert value(rows, estimator, "english")["told"] == 0


def test_shares_of_a_feed(worlds):
    simulation = worlds.simulations["influx"]
    posts = simulation.posts_for[0]
    english, other = (np.flatnonzero(posts.language == code)[0] for code in (1, 0))
    feeds = np.array([[english, other, -1, -1], [-1, -1, -1, -1]], dtype=np.int32)
    found = levels_of(simulation, feeds)
    assert found["english"][0] == 0.5
    assert all(np.isnan(values[1]) for values in found.values())


def test_where_no_newcomer_has_clicked_nothing_is_told():
    world = WORLD.model_copy(
        update={"influx": WORLD.influx.model_copy(update={"arrivals": (0, 0, 0, 1)})}
    )
    worlds = worlds_of(world, EVALUATION, Trending(), 0.1, 1)
    assert held_against_twin(worlds, Trending(), 0.1).height == 0


# How estimators are judged


def made_up(estimators, truths=(-0.02, -0.02, 0.02), seeds=8, luck=0.001, estimand="english"):
    """Three worlds; an estimator is a function of the truth and the world's number."""
    rng = np.random.default_rng(3)
    rows = []
    for seed in range(seeds):
        for world, mean in enumerate(truths):
            truth = mean + luck * rng.normal()
            for name, estimate in estimators.items():
                told = estimate(truth, world)
                if told is not None:
                    rows.append(
                        {
                            "recommender": f"model {world}",
                            "estimator": name,
                            "estimand": estimand,
                            "size": 0.1,
                            "seed": seed,
                            "truth": truth,
                            "told": told,
                            "low": told - 0.005,
                            "high": told + 0.005,
                        }
                    )
    return pl.DataFrame(rows)


def rows_by_estimator(estimates):
    table, figures = compare_estimators(estimates)
    verdicts = judge(figures)
    return {row["estimator"]: row for row in table.iter_rows(named=True)}, verdicts


def test_a_sign_must_beat_the_guess():
    """The commonest sign of other worlds is wrong in the world that differs, and tied elsewhere."""
    found, verdicts = rows_by_estimator(
        made_up(
            {
                "right": lambda truth, world: truth,
                "constant": lambda truth, world: -0.01,
                "silent": lambda truth, world: 0.0,
                "half": lambda truth, world: 0.5 * truth if world else None,
            }
        )
    )
    assert {row["worlds"] for row in found.values()} == {3}
    assert {row["guess"] for row in found.values()} == {(0.5 + 0.5 + 0.0) / 3}
    shares = {name: row["sign_right"] for name, row in found.items()}
    assert shares == {"right": 1.0, "constant": 2 / 3, "silent": 0.0, "half": 2 / 3}
    assert found["half"]["cells"] == 16
    assert found["half"]["asked"] == 24
    assert found["right"]["coverage"] == 1.0
    assert found["constant"]["coverage"] == 0.0
    assert found["constant"]["bias"] == pytest.approx(-0.01 + 0.02 / 3, abs=1e-3)
    margin = verdicts.filter(quantity="sign right, less the commonest sign's")
    by_estimator = dict(margin.select("served_by", "verdict").iter_rows())
    assert by_estimator["english, right"] == "holds"
    assert by_estimator["english, silent"] == "fails"


def test_worlds_without_a_sign_do_not_count():
    found, _ = rows_by_estimator(
        made_up({"right": lambda t, w: t}, truths=(0.0, 0.02, 0.02), luck=0.004, seeds=12)
    )
    assert found["right"]["worlds"] == 2
    assert found["right"]["guess"] == 1.0


def test_shares_are_judged_by_their_error():
    estimates = made_up(
        {"near": lambda t, w: 1.1 * t, "far": lambda t, w: 2 * t},
        truths=(0.01, 0.02, 0.05),
        estimand="displaced",
    )
    found, verdicts = rows_by_estimator(estimates)
    assert found["near"]["median_error"] == pytest.approx(0.1)
    assert found["far"]["median_error"] == pytest.approx(1.0)
    errors = verdicts.filter(quantity="median relative error")
    assert dict(errors.select("served_by", "verdict").iter_rows()) == {
        "displaced, near": "holds",
        "displaced, far": "fails",
    }


def test_a_proof_without_groups_holds_estimators_alone():
    study = recsys.load_study(
        {
            "name": "small",
            "loop": "closed",
            "workers": 1,
            "world": WORLD.model_dump(mode="json"),
            "recommenders": ["trending"],
            "evaluation": EVALUATION.model_dump(mode="json"),
        }
    )
    effort = Effort(seeds=1, sizes=(0.4,), draws=0)
    assert [part.size for part in plan(study, effort, ("offline",))] == [0.4]
    proof = prove(study, effort, ("offline",))
    assert set(proof.tables) == {"estimates", "estimators"}
    assert proof.tables["estimates"].columns == ["recommender", *ROW]
    assert set(proof.verdicts["quantity"]) <= set(CLAIMS)


def test_composition_of_cells_is_an_estimate_too():
    cells = pl.DataFrame(
        {
            "recommender": ["als"] * 2,
            "way": ["events"] * 2,
            "size": [0.1] * 2,
            "seed": [0] * 2,
            "level": ["posts", "newcomer_share"],
            "true_composition": [0.1, 0.2],
            "composition": [0.3, 0.4],
        }
    )
    (row,) = composition_of(cells).iter_rows(named=True)
    assert row["estimator"] == "leave out events"
    assert (row["estimand"], row["truth"], row["told"]) == ("composition, posts", 0.1, 0.3)
