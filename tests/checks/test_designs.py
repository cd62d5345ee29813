"""Designs: what a test of trials measures, and what it says of them."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import recsys
from recsys.checks import designs as module
from recsys.checks.designs import (
    DESIGNS,
    OUTCOMES,
    ROWS,
    plan,
    run_designs,
    run_part,
    tested,
    truth,
)
from recsys.checks.shown import CLICKS, Shown
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
        "evaluation": {"days": [2, 3, 4, 5], "panel": 50, "k": 10, "training_days": 7},
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
    people = rows.filter(pl.col("design") != "switchback")
    assert people.group_by("outcome").agg(pl.col("truth").n_unique())["truth"].to_list() == [1] * 4
    assert (rows["low"] < rows["told"]).all()
    assert (rows["told"] < rows["high"]).all()


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
                "told": (told := 0.02 + bias + luck * rng.normal()),
                "low": told - 0.002,
                "high": told + 0.002,
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
    assert table["needed"].to_list() == [1571.0] * len(DESIGNS)


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
        ("loop=open", "give loop: closed"),
        ("mitigations=[[cap]]", "give mitigations="),
        ("channels=true", "channels: a trial needs all gates open"),
        ("arms=[control,influx,nudge]", "leave arms out"),
        ("evaluation.nudges=2", "evaluation.nudges: designs do not measure it"),
        ("evaluation.one_step=true", "evaluation.one_step: designs do not measure it"),
        ("evaluation.groups=[skill]", "evaluation.groups: designs do not measure it"),
        ("evaluation.snapshots=true", "evaluation.snapshots: designs do not measure it"),
    ],
)
def test_what_cannot_be_tested_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        plan(a_study(change))


def test_all_that_is_refused_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        plan(a_study("evaluation.snapshots=true", "mitigations=[[cap]]", "evaluation.days=[0]"))
    assert len(str(caught.value).splitlines()) == 3


def test_an_effect_must_be_one():
    with pytest.raises(ConfigError, match="--effect 0: give a change"):
        run_designs(a_study(), effect=0.0)


# What is compared, on made-up logs


def made_up_log(share, seed=0, people=40, days=(3, 4, 5, 6)):
    """Most people come in the morning and are shown little, a quarter in the evening and much.

    Args:
        share: probability that a post is by a newcomer, by person, day and tick.
    """
    rng = np.random.default_rng(seed)
    rows = [
        (person, day, int(person % 4 == 0))
        for person in range(people)
        for day in days
        for _ in range(30 if person % 4 == 0 else 2)
    ]
    user, day, tick = np.array(rows).T
    new = np.array([rng.random() < share(*row) for row in rows])
    of = {"english": new, "short video": ~new, CLICKS: new}
    return Shown(people, 2, user, day, tick, tick == 1, new, of, np.full(user.size, 0.5))


def world_of(seed=0, people=40):
    address = SimpleNamespace(address=np.arange(people, dtype=np.uint32))
    return SimpleNamespace(seed=seed, people=address)


def by_lot(shown, rows):
    """A log of the chosen rows alone."""
    of = {name: values[rows] for name, values in shown.of.items()}
    fields = ("user", "day", "tick", "night", "by_newcomers", "look")
    return shown._replace(of=of, **{name: getattr(shown, name)[rows] for name in fields})


def joined_log(share):
    """Newcomers take this share of the evening's posts, and half of it of the morning's."""
    return made_up_log(lambda user, day, tick: share * (1 + tick) / 2)


def test_without_interference_a_switchback_tells_the_truth_of_periods():
    """Over both of its lots, the parts that are on are those of the platform with newcomers."""
    trial, days = DESIGNS["switchback"].trial, (3, 4, 5, 6)
    joined, twin = joined_log(0.4), joined_log(0.0)
    first = [
        next(s for s in range(20) if trial.is_on(s, 3, 0) == morning) for morning in (False, True)
    ]
    told = []
    for seed in first:
        on = np.array(
            [trial.is_on(seed, d, t) for d, t in zip(joined.day, joined.tick, strict=True)]
        )
        both = joined._replace(by_newcomers=np.where(on, joined.by_newcomers, twin.by_newcomers))
        told.append(module._estimate(trial, world_of(seed), both, "displaced", days)[0].value)
    true = truth(trial, joined, twin, "displaced", days)
    assert np.mean(told) == pytest.approx(true, abs=1e-12)
    assert true == pytest.approx((0.2 + 0.4) / 2, abs=0.03)
    of_people = truth(DESIGNS["holdout"].trial, joined, twin, "displaced", days)
    assert of_people == pytest.approx((3 * 0.2 + 0.4) / 4, abs=0.03)


def test_people_count_alike_however_much_they_are_shown():
    joined, twin = joined_log(0.4), joined_log(0.0)
    true = truth(DESIGNS["holdout"].trial, joined, twin, "displaced", (3, 4, 5, 6))
    by_person = [joined.by_newcomers[joined.user == person].mean() for person in range(40)]
    assert true == pytest.approx(np.mean(by_person))


def test_half_of_the_newcomers_count_twice():
    """Whoever is reached is shown half of the newcomers: the effect of all is twice as large."""
    trial, log = DESIGNS["double-sided"].trial, joined_log(0.4)
    held = trial.holds(0, np.arange(40, dtype=np.uint32))
    shown = log._replace(by_newcomers=log.by_newcomers & ~held[log.user])
    told, _ = module._estimate(trial, world_of(), shown, "displaced", (3, 4, 5, 6))
    mean = [shown.by_newcomers[shown.user == person].mean() for person in range(40)]
    assert told.value == pytest.approx(2 * np.mean(np.array(mean)[~held]))


@pytest.mark.parametrize("design", DESIGNS)
def test_only_the_days_that_are_asked_for_count(design):
    trial = DESIGNS[design].trial
    joined, twin = joined_log(0.4), joined_log(0.0)
    fewer = by_lot(joined, joined.day != 4)
    days = (3, 5, 6)
    for outcome in OUTCOMES:
        assert module._estimate(trial, world_of(), joined, outcome, days) == module._estimate(
            trial, world_of(), fewer, outcome, days
        )
        expected = truth(trial, fewer, by_lot(twin, twin.day != 4), outcome, days)
        assert truth(trial, joined, twin, outcome, days) == expected


def test_clicks_are_counted_per_look():
    trial, log, twin = DESIGNS["holdout"].trial, joined_log(0.4), joined_log(0.0)
    slots = truth(trial, log, twin, "english", (3, 4))
    assert truth(trial, log, twin, CLICKS, (3, 4)) == pytest.approx(slots / 0.5)


# The same bits, however it is run


SMALLER = (
    "world.incumbents=80",
    "world.influx.newcomers=20",
    "world.days_after=4",
    "evaluation.days=[2,3]",
    "recommenders=[{kind: als, factors: 4, iterations: 2}]",
    "seeds=3",
)


@pytest.fixture(scope="module")
def alone():
    return run_designs(a_study(*SMALLER))


def test_workers_change_no_bit(alone):
    table, rows = run_designs(a_study(*SMALLER, "workers=3"))
    assert rows.equals(alone[1])
    assert table.equals(alone[0])


def test_order_and_a_resumed_run_change_no_bit(alone):
    study, (table, rows) = a_study(*SMALLER), alone
    parts = plan(study)
    store = {part.identity: run_part(part) for part in reversed(parts[1:])}
    again = run_designs(study, store=store)
    assert again[1].equals(rows)
    assert again[0].equals(table)
    truths = [rows.filter(seed=seed)["truth"] for seed in (0, 1)]
    assert not truths[0].equals(truths[1])


def test_a_part_has_one_thread_of_blas_whatever_runs_it(monkeypatch):
    found = []

    def recorded(spec):
        found.extend(
            each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"
        )
        raise RuntimeError("seen")

    monkeypatch.setattr(module, "make_rankings", recorded)
    with threadpool_limits(2, user_api="blas"), pytest.raises(RuntimeError, match="seen"):
        run_part(plan(a_study())[0])
    assert set(found) == {1}
