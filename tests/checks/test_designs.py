"""Designs: what a test of trials measures, and what it says of them."""

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.checks.designs import DESIGNS, OUTCOMES, ROWS, plan, run_designs, run_part, tested
from recsys.core.errors import ConfigError
from recsys.study.arms.closed_loop import arm_for, days_before
from recsys.study.arms.rankings import make_rankings
from recsys.study.arms.worlds import panel_of


def a_study(*overrides):
    config = {
        "name": "small",
        "loop": "closed",
        "workers": 1,
        "world": {
            "incumbents": 200,
            "days_before": 3,
            "days_after": 6,
            "burn_in_days": 1,
            "influx": {"newcomers": 60, "arrivals": [1.0], "reversal_day": None},
        },
        "recommenders": ["trending"],
        "evaluation": {"days": [2, 5], "panel": 50, "k": 10, "training_days": 7},
        "seeds": 1,
    }
    return recsys.load_study(config, overrides)


@pytest.fixture(scope="module")
def rows():
    (part,) = plan(a_study())
    return run_part(part)


def test_each_design_tells_each_outcome(rows):
    assert rows.schema == ROWS
    found = rows.select("design", "outcome").rows()
    assert found == [(design, outcome) for design in DESIGNS for outcome in OUTCOMES]
    assert rows.group_by("outcome").agg(pl.col("truth").n_unique())["truth"].to_list() == [1] * 4


def test_reached_people_are_shown_newcomers_posts(rows):
    """Nothing by newcomers is shown without them, so the share and all estimates are above 0."""
    displaced = rows.filter(outcome="displaced")
    assert displaced["truth"].min() > 0.005
    assert displaced["told"].min() > 0


def test_the_choice_model_tells_it_of_those_who_are_reached(rows):
    """Twice newcomers' share of their mornings' feeds, in the double-sided trial."""
    study = a_study()
    world, evaluation, trial = study.world, study.evaluation, DESIGNS["choice model"].trial
    rankings = make_rankings(study.recommenders[0])
    shared = days_before(world, evaluation, 0, rankings, impressions=True)
    simulation = shared.run(arm_for(rankings, "influx"), trial)
    panel = panel_of(world, evaluation)
    reached = panel[~trial.holds(0, simulation.people.address[panel])]
    feeds = []
    for day in evaluation.days:
        served = simulation.morning(day).served
        feeds.append(served.feeds[np.searchsorted(served.users, reached), : evaluation.k])
    share = simulation.from_newcomers[np.concatenate(feeds)].mean()
    row = rows.filter(design="choice model", outcome="displaced").row(0, named=True)
    assert 0 < reached.size < panel.size
    assert row["told"] == pytest.approx(2 * share, rel=0.05)  # some sets have nothing to fill from
    assert row["variance"] == pytest.approx(row["se"] ** 2 * reached.size / 2)
    assert trial == DESIGNS["double-sided"].trial


def made_up(bias=0.0, luck=0.001, seeds=8):
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        [
            {
                "design": design,
                "outcome": "english",
                "recommender": "als",
                "seed": seed,
                "truth": 0.02,
                "told": 0.02 + bias + luck * rng.normal(),
                "se": 0.001,
                "variance": 0.04,
            }
            for design in DESIGNS
            for seed in range(seeds)
        ],
        schema=ROWS,
    )


def test_bias_is_seen():
    table = tested(made_up(bias=-0.01), effect=0.02)
    assert table["design"].to_list() == list(DESIGNS)
    assert table["bias_ci_high"].max() < 0
    assert table["covered"].max() == 0
    assert table["seen"].min() == 1
    assert table["needed"].to_list() == [1570.0] * len(DESIGNS)


def test_luck_that_all_share_is_told():
    table = tested(made_up(luck=0.01), effect=0.02)
    assert table["luck"].min() > 3 * table["se"].max()
    assert table["covered"].max() < 0.9


def test_what_was_never_told_has_no_figures():
    rows = made_up().with_columns(told=pl.lit(float("nan")))
    assert tested(rows, 0.01)["seeds"].to_list() == [0] * len(DESIGNS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("world.influx.newcomers=1", "two or more newcomers"),
        ("recommenders=[oracle]", "the oracle"),
        ("evaluation.days=[0]", "from day 1 on"),
    ],
)
def test_what_cannot_be_tested_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        plan(a_study(change))


def test_an_effect_must_be_one():
    with pytest.raises(ConfigError, match="--effect 0: give a change"):
        run_designs(a_study(), effect=0.0)
