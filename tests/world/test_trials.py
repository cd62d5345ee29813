"""Trials: who is kept from newcomers' posts is, and a trial that keeps nobody away is no trial."""

import numpy as np
import pytest

from recsys.config import Influx, World
from recsys.recommenders import ALS, ItemKNN, Trending
from recsys.study.arms.policy import RecommenderPolicy
from recsys.world.arms import ARMS, Arm, Audience
from recsys.world.simulate import Shared
from recsys.world.trials import Trial

WORLD = World(
    incumbents=200,
    days_before=3,
    days_after=4,
    burn_in_days=1,
    influx=Influx(newcomers=60, arrivals=(1.0,), reversal_day=None),
)
COLUMNS = ("user", "item", "kind", "rank", "timestamp")


@pytest.fixture(scope="module", params=[Trending(), ItemKNN(), None], ids=str)
def shared(request):
    policy = None if request.param is None else RecommenderPolicy(request.param)
    return Shared(WORLD, 1, policy)


def impressions(simulation, from_day=0):
    """User, item, day and part of the day of all that incumbents were shown from a day on."""
    parts = []
    for day in simulation.days:
        if day.day < from_day:
            continue
        rows = (day.kind == 0) & (day.user < WORLD.incumbents)
        tick = (day.timestamp[rows] % 86_400_000) * WORLD.ticks // 86_400_000
        number = np.full(rows.sum(), day.day)
        parts.append(np.stack([day.user[rows], day.item[rows], number, tick]))
    return np.concatenate(parts, axis=1)


def test_a_trial_that_keeps_nobody_away_changes_no_bit(shared):
    influx, trial = shared.run("influx"), shared.run("influx", Trial(held=0.0))
    for one, other in zip(influx.days, trial.days, strict=True):
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("diverted", [False, True])
def test_those_held_are_shown_nothing_by_newcomers(shared, diverted):
    trial = Trial(diverted=diverted)
    simulation = shared.run("influx", trial)
    user, item, _, _ = impressions(simulation)
    new = simulation.from_newcomers[item]
    held = trial.holds(1, simulation.people.address[: WORLD.incumbents])
    assert 0.3 < held.mean() < 0.7
    assert not new[held[user]].any()
    assert new[~held[user]].any()


def test_half_of_the_newcomers_are_shown(shared):
    trial = Trial(held=0.0, creators=0.5)
    simulation = shared.run("influx", trial)
    _, item, _, _ = impressions(simulation)
    creators = np.unique(simulation.posts.creator[item])
    shown = trial.shows(1, simulation.people.address)
    new = creators[creators >= WORLD.incumbents]
    assert new.size > 0
    assert shown[new].all()
    assert not shown[WORLD.incumbents :].all()


def test_parts_of_the_day_alternate(shared):
    trial = Trial(alternates=True)
    simulation = shared.run("influx", trial)
    _, item, day, tick = impressions(simulation)
    new = simulation.from_newcomers[item]
    on = np.array([trial.is_on(1, int(d), int(t)) for d, t in zip(day, tick, strict=True)])
    assert not new[~on].any()
    assert new[on].any()
    assert {trial.is_on(1, 2, tick) for tick in (0, 1)} == {True, False}


def test_where_all_are_held_and_diverted_nobody_learns_of_newcomers():
    """A fit to those held alone is then a fit to all incumbents, and lists hold their clicks."""
    policy = RecommenderPolicy(ALS(factors=4, iterations=2))
    shared = Shared(WORLD, 2, policy)
    trial = shared.run("influx", Trial(held=1.0, diverted=True))
    gated = shared.run(Arm("influx", gates=frozenset({"adaptation", "behaviour"})))
    for one, other in zip(trial.days, gated.days, strict=True):
        mine = one.user < WORLD.incumbents
        for name in COLUMNS:
            np.testing.assert_array_equal(
                getattr(one, name)[mine], getattr(other, name)[other.user < WORLD.incumbents]
            )


class Recorded(Trending):
    """Remembers whose events each fit learned from: dense ids of users."""

    def fit(self, log, seed=0, previous=None):
        LEARNED_FROM.append(np.unique(log.dense["user"].to_numpy()))
        return super().fit(log, seed, previous)


LEARNED_FROM = []


def test_each_side_of_a_diverted_trial_learns_from_itself_alone():
    """Each morning there are two fits: to those held, and to all others, newcomers among them."""
    shared = Shared(WORLD, 1, RecommenderPolicy(Recorded()))
    LEARNED_FROM.clear()
    trial = Trial(held=0.5, diverted=True)
    people = shared.run("influx", trial).people
    held = np.zeros(people.n, dtype=np.bool_)
    held[: WORLD.incumbents] = trial.holds(1, people.address[: WORLD.incumbents])
    assert len(LEARNED_FROM) == 2 * WORLD.days_after
    for of_held, of_others in zip(LEARNED_FROM[::2], LEARNED_FROM[1::2], strict=True):
        assert held[of_held].all()
        assert not held[of_others].any()
    assert (LEARNED_FROM[-1] >= WORLD.incumbents).any()
    LEARNED_FROM.clear()
    shared.run("influx", Trial(held=0.5))  # one fit for all
    assert len(LEARNED_FROM) == WORLD.days_after
    assert held[LEARNED_FROM[-1]].any()
    assert (LEARNED_FROM[-1] >= WORLD.incumbents).any()


@pytest.mark.parametrize("diverted", [False, True])
def test_a_trial_runs_where_feeds_without_newcomers_are_asked_for(diverted):
    """They are not made in it, as there may be two fits; nothing else is different."""
    policy, panel = RecommenderPolicy(Trending()), np.arange(20)
    runs = [
        Shared(WORLD, 1, policy, audience=audience).run("influx", Trial(diverted=diverted))
        for audience in (None, Audience(panel, (2,), 10, one_step=True))
    ]
    assert runs[1].morning(2).without is None
    for one, other in zip(*(run.days for run in runs), strict=True):
        np.testing.assert_array_equal(one.item, other.item)


def test_a_closed_gate_is_refused(shared):
    with pytest.raises(ValueError, match="all gates open"):
        shared.run(ARMS["influx"]._replace(gates=frozenset()), Trial())
