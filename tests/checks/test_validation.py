"""Checks measure what they say, and verdicts follow from targets."""

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.checks.validation.feedback import measure_feedback
from recsys.checks.validation.platform import measure_platform
from recsys.checks.validation.run import plan, run_part, validate
from recsys.checks.validation.training_seeds import measure_training_seeds
from recsys.checks.verdicts import CHECKS, QUANTITIES, Measured, judge
from recsys.core.errors import ConfigError
from recsys.measures import gini
from recsys.recommenders import ALS, Random, Trending

ZIPF = "Zipf slope of clicks, top 1,000"
ALIKE = "homogeneity of what people are shown"
FEWER = "distinct posts recommended"


def a_study(*overrides):
    config = {
        "name": "small",
        "loop": "closed",
        "world": {
            "incumbents": 300,
            "influx": {"kind": "rednote_2025", "newcomers": 30},
            "days_before": 3,
            "days_after": 16,
            "burn_in_days": 2,
        },
        "recommenders": ["trending", {"kind": "als", "factors": 4, "iterations": 2}],
        "evaluation": {"days": [1], "panel": 50},
        "seeds": 1,
    }
    return recsys.load_study(config, overrides)


def verdict(name, *values):
    measured = [Measured(name, "house", seed, value) for seed, value in enumerate(values)]
    return judge(measured)["verdict"].item()


# Verdicts


@pytest.mark.parametrize(
    ("value", "expected"), [(-0.61, "holds"), (-0.5, "fails"), (-1.2, "fails")]
)
def test_a_tolerance_is_held_by_the_mean(value, expected):
    assert verdict(ZIPF, value, value) == expected
    assert verdict(ZIPF, value) == expected


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        (ALIKE, (0.2, 0.21, 0.19), "holds"),
        (ALIKE, (-0.2, -0.21, -0.19), "fails"),
        (ALIKE, (0.2, -0.3, 0.4), "unclear"),
        (ALIKE, (0.2,), "unclear"),
        (FEWER, (-0.2, -0.21, -0.19), "holds"),
        (FEWER, (0.2, 0.21, 0.19), "fails"),
    ],
)
def test_a_direction_needs_an_interval_on_its_side(name, values, expected):
    assert verdict(name, *values) == expected


def test_verdicts_stand_in_the_order_of_the_checks():
    measured = [Measured(name, by, 0, 1.0) for by in ("b", "a") for name in reversed(QUANTITIES)]
    verdicts = judge(measured)
    assert verdicts["quantity"].unique(maintain_order=True).to_list() == list(QUANTITIES)
    assert verdicts["check"].is_sorted()
    assert set(verdicts["check"]) == set(CHECKS)
    assert verdicts["served_by"].to_list()[:2] == ["b", "a"]


# What is measured


def test_figures_of_a_platform_are_those_of_its_log():
    """Popularity, visits and comments, counted again from the log's frames."""
    world = a_study().world
    figures = measure_platform(world, seed=2)
    small = world.influx.model_copy(update={"newcomers": round(0.03 * 0.4 * 300)})
    arm = recsys.simulate(world.model_copy(update={"influx": small}), "influx", seed=2)
    events = arm.log.events.join(
        arm.log.items.select("item_id", "creator_id"), on="item_id"
    ).with_columns(day=(pl.col("timestamp") - world.start).dt.total_days())
    before = events.filter(pl.col("timestamp") < world.start)
    clicks = before.filter(pl.col("kind") == "click").group_by("item_id").len()["len"].to_numpy()
    assert figures["Gini of clicks over clicked posts"] == pytest.approx(gini(clicks))
    on_newcomers = events.filter(
        pl.col("timestamp") >= world.start, pl.col("day") < 8, pl.col("creator_id") >= 300
    )
    comments, opened = (
        on_newcomers.filter(pl.col("kind") == kind).height for kind in ("comment", "click")
    )
    assert figures["comments per opened post of newcomers"] == pytest.approx(comments / opened)
    visits = np.concatenate(
        [
            np.repeat(np.arange(101), day.traffic.visits_by_clicks.sum(axis=0))
            for day in arm.days
            if day.day < 0
        ]
    )
    clicked = visits[visits > 0]
    assert figures["clicks per visit with a click: mean"] == pytest.approx(clicked.mean())
    assert figures["clicks per visit with a click: median"] == np.median(clicked)


def test_newcomers_who_hear_of_no_reversal_do_not_leave():
    world = a_study("world.influx.reversal_day=null").world
    assert not [name for name in measure_platform(world, 0) if name.startswith("newcomers active")]


def test_feedback_means_nothing_to_a_recommender_that_does_not_learn():
    """Random never looks at a log, so both worlds are the same to the bit."""
    figures = measure_feedback(a_study().world, Random(), seed=1)
    assert set(figures.values()) == {0.0}


def test_feedback_makes_the_popular_more_popular():
    """Trending on its own feeds, against trending on the clicks of feeds by lot."""
    world = a_study("world.incumbents=600", "world.influx.newcomers=60").world
    changes = [
        measure_feedback(world, Trending(), seed)["popularity of what is recommended"]
        for seed in range(3)
    ]
    assert np.mean(changes) > 0


def test_training_seeds_of_a_deterministic_recommender_agree():
    world = a_study().world
    assert set(measure_training_seeds(world, Trending(), 0).values()) == {0.0}
    noisy = measure_training_seeds(world, ALS(factors=4, iterations=2), 0)
    assert noisy["lists of two training seeds, 1 - FRBO"] > 0.1


# The whole


def test_parts_measure_every_quantity():
    """Training seeds are compared only where they change anything."""
    study = a_study()
    parts = plan(study)
    assert [part.name for part in parts] == [
        "platform-house-seed-0",
        "platform-trending-seed-0",
        "feedback-trending-seed-0",
        "platform-als-seed-0",
        "feedback-als-seed-0",
        "training-als-seed-0",
    ]
    assert len({part.identity for part in parts}) == len(parts)
    small = [part for part in parts if part.kind != "feedback"]
    found = {name for part in small for name in run_part(part)}
    of_large_worlds = {"newcomers' posts in the most exposed feed"}
    expected = {name for name, quantity in QUANTITIES.items() if quantity.check != 5}
    assert found == expected - of_large_worlds


def test_what_is_stored_is_not_measured_again():
    study, seen = a_study("recommenders=[trending]"), []
    store = {part.identity: {ZIPF: float(part.seed)} for part in plan(study)}
    verdicts, measured = validate(study, lambda *done: seen.append(done), store)
    assert [done[:2] for done in seen] == [(1, 3), (2, 3), (3, 3)]
    assert measured["value"].to_list() == [0.0, 0.0, 0.0]
    assert verdicts["served_by"].to_list() == ["house", "trending"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["world.days_after=10"], r"world\.days_after: 10 days end before .* give 16 or more"),
    ],
)
def test_what_cannot_be_validated_is_refused_before_it_starts(overrides, message):
    with pytest.raises(ConfigError, match=message):
        plan(a_study(*overrides))
