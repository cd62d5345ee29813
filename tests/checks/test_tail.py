"""Check 4: what it counts, and that it fails where the world lacks what it looks for."""

import numpy as np
import pytest
from scipy.stats import binom

from recsys.checks.validation.platform import _joined
from recsys.checks.validation.tail import WEEK, K, measure_tail, tail_figures, taken_slots
from recsys.checks.verdicts import QUANTITIES
from recsys.core.noise import uniforms
from recsys.study import load_study
from recsys.world.day.values import Served
from recsys.world.people.posts import first_day
from recsys.world.run import Run
from tests.kit.fields import changed

OFF = {
    "outward interest": {"population.incumbents.outward": (0.0, 0.0)},
    "English before day 0": {"population.incumbents.bilingual_posts": 0.0},
    "the ranker's language term": {"platform.language_weight": 0.0},
}
JUDGED = [
    "feeds: most exposed 1 %, times the mean",
    "feeds: most exposed 1 %, times chance",
    "feeds: bilinguals, times others",
    "most exposed 1 %: share of bilinguals",
    "most exposed 1 %: looks, times the mean",
]


def held(figures):
    """The judged figures that are within their tolerance."""
    return {
        name for name in JUDGED if QUANTITIES[name].low <= figures[name] <= QUANTITIES[name].high
    }


def test_slots_are_counted_by_user():
    feeds = np.array([[3, 4, -1], [4, 5, 6], [3, 5, 6]], np.int32)
    days = [Served(np.array([0, 2, 9]), feeds, np.zeros((3, 3), np.uint8))] * 2
    by_newcomers = np.arange(8) >= 5
    taken, slots = taken_slots(days, by_newcomers, 4)
    assert taken.tolist() == [0, 0, 4, 0]
    assert slots.tolist() == [4, 0, 6, 0]


def chance(mean, n=20_000, slots=WEEK * K):
    """Slots of users if each slot is a newcomer's with one probability."""
    u = uniforms(0, 40, np.arange(n))[:, 0]
    return binom.ppf(u, slots, mean).astype(np.int64), np.full(n, slots)


def test_chance_alone_is_once_chance():
    taken, slots = chance(0.02)
    bilingual, activity = np.arange(taken.size) % 7 == 0, np.ones(taken.size, np.int64)
    figures = tail_figures(taken, slots, bilingual, activity)
    assert figures["feeds: most exposed 1 %, times chance"] == pytest.approx(1, abs=0.03)
    assert figures["feeds: newcomers' share"] == pytest.approx(0.02, abs=0.0005)
    assert held(figures) == {"most exposed 1 %: looks, times the mean"}


def test_nobody_exposed_is_no_tail():
    nothing, slots = np.zeros(500, np.int64), np.full(500, 140)
    figures = tail_figures(nothing, slots, np.arange(500) < 70, np.ones(500, np.int64))
    assert figures["feeds: newcomers' share"] == 0
    assert not held(figures) - {"most exposed 1 %: looks, times the mean"}


def seen_in(changes, seeds):
    """The figures of a small platform, means over seeds."""
    study = load_study(
        "configs/validate.yaml",
        ["world.incumbents=3000", "world.days_after=8", "world.influx.reversal_day=null"],
    )
    world = changed(study.world, changes)
    runs = [Run.start(world, seed, impressions=False) for seed in seeds]
    for run in runs:
        list(run.run_days(first_day(world), 0))
    figures = [measure_tail(_joined(run, 0.03)) for run in runs]
    return {name: float(np.mean([of[name] for of in figures])) for name in figures[0]}


@pytest.mark.slow
def test_it_holds_with_all_and_fails_without_any_one():
    """With four seeds; a world without one of three mechanisms, or thinned, must fail."""
    with_all = seen_in({}, range(4))
    assert held(with_all) == set(JUDGED)
    for name, changes in OFF.items():
        assert held(seen_in(changes, range(2))) < set(JUDGED), name
    taken, slots = chance(with_all["feeds: newcomers' share"], 3000)
    bilingual, activity = np.arange(3000) % 7 == 0, np.ones(3000, np.int64)
    assert held(tail_figures(taken, slots, bilingual, activity)) < set(JUDGED)


def test_a_ranker_that_knows_no_languages_fails():
    """The fast one of these: bilinguals get no more than others."""
    figures = seen_in({**OFF["the ranker's language term"]}, [0])
    assert "feeds: bilinguals, times others" not in held(figures)
    assert "most exposed 1 %: share of bilinguals" not in held(figures)
