"""How users change, against a slow reference; who leaves; the parts of a day."""

import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from recsys.config import Behaviour, Influx, Platform, Population, Posts, World
from recsys.logs.schema import KINDS
from recsys.world import run as run_module
from recsys.world.arms import Arm
from recsys.world.people.behaviour import CLICKED, SHOWN
from recsys.world.people.population import MAX_FOLLOWS, draw_incumbents
from recsys.world.people.posts import draw_follows, draw_incumbents_posts, first_day
from recsys.world.people.user_states import Learning, UserStates, leave, remember
from recsys.world.platform import house
from recsys.world.run import Run
from recsys.world.simulate import simulate
from tests.kit.small_world import small_world

FOLLOWED = np.uint16(1 << list(KINDS.categories).index("follow"))
MEMORY, RANKS, ROUNDS = 64, 25, 6
OFF = {"language_learning": 0.0, "taste_drift": 0.0, "unfamiliarity": 0.0}
FAST = {"language_learning": 0.3, "taste_drift": 0.2, "unfamiliarity": 0.4}


@pytest.fixture(scope="module")
def community():
    """40 people, every other one from elsewhere, and posts in both languages."""
    world = World(
        incumbents=40,
        influx=Influx(newcomers=0, arrivals=(1.0,)),
        population=Population(creators=0.9),
    )
    people = draw_incumbents(world)
    people = people._replace(foreign=np.arange(40) % 2 == 1)
    posts = draw_incumbents_posts(world, people, 0)
    posts = posts._replace(language=np.arange(posts.n, dtype=np.int32) % 2)
    return world, people, posts


def fresh(community):
    world, people, _ = community
    buckets = 2 * len(world.population.incumbents.topics)
    return UserStates.fresh(people, draw_follows(world, people), MEMORY, buckets)


def rounds_of(community):
    """Visits of most people: feeds, actions and rewards, drawn at random."""
    _, people, posts = community
    rng = np.random.default_rng(7)
    for _ in range(ROUNDS):
        users = np.sort(rng.choice(people.n, 30, replace=False))
        feeds = rng.integers(0, posts.n, (30, RANKS)).astype(np.int32)
        feeds[np.arange(RANKS) >= rng.integers(0, RANKS + 1, (30, 1))] = -1
        actions = np.where(feeds >= 0, SHOWN, 0).astype(np.uint16)
        clicked = (feeds >= 0) & (rng.random(feeds.shape) < 0.4)
        actions[clicked] |= CLICKED
        actions[clicked & (rng.random(feeds.shape) < 0.5)] |= FOLLOWED
        yield users, feeds, actions, rng.random(30).astype(np.float32)


def play(community, behaviour, states=None):
    """Users after all rounds."""
    _, people, posts = community
    states = fresh(community) if states is None else states
    for users, feeds, actions, rewards in rounds_of(community):
        remember(
            states,
            people,
            posts,
            house.post_buckets(posts),
            Learning.of(behaviour),
            users,
            feeds,
            actions,
            rewards,
            CLICKED,
            FOLLOWED,
        )
    return states


def slow_play(community, behaviour):
    """The same, person by person and post by post, as the formulas are written."""
    _, people, posts = community
    start = fresh(community)
    seen = [[] for _ in range(people.n)]
    follows = [[int(c) for c in row if c >= 0] for row in start.follows]
    skill, taste = start.skill.copy(), start.taste.copy()
    satisfaction, visits = np.full(people.n, np.nan), np.zeros(people.n, dtype=int)
    clicks = np.zeros_like(start.clicks)
    for users, feeds, actions, rewards in rounds_of(community):
        for user, feed, done, reward in zip(users, feeds, actions, rewards, strict=True):
            for post, action in zip(feed, done, strict=True):
                if post < 0:
                    continue
                seen[user].append(int(post))
                if action & CLICKED:
                    topic, language = posts.topic[post], posts.language[post]
                    clicks[user, 2 * topic + language] += 1
                    s = float(skill[user, language])
                    skill[user, language] = s + behaviour.language_learning * (1 - s)
                    target = np.arange(taste.shape[1]) == topic
                    x = taste[user].astype(np.float64)
                    x = x + behaviour.taste_drift * (1 - x) * (target - x)
                    taste[user] = x / x.sum()
                if action & FOLLOWED:
                    creator = int(posts.creator[post])
                    if creator not in follows[user][-MAX_FOLLOWS:]:
                        follows[user].append(creator)
            utility = float(reward)
            if people.foreign[user]:
                fading = math.exp(-visits[user] / behaviour.familiar_visits)
                utility -= behaviour.unfamiliarity * fading
            before = utility if math.isnan(satisfaction[user]) else satisfaction[user]
            keep = behaviour.satisfaction_memory
            satisfaction[user] = keep * before + (1 - keep) * utility
            visits[user] += 1
    return seen, follows, skill, taste, satisfaction, visits, clicks


SETTINGS = [{}, FAST, OFF, {"satisfaction_memory": 0.0}, {"familiar_visits": 0.5}]


@pytest.mark.parametrize("settings", SETTINGS)
def test_users_change_as_the_slow_reference_does(community, settings):
    behaviour = Behaviour(**settings)
    states = play(community, behaviour)
    seen, follows, skill, taste, satisfaction, visits, clicks = slow_play(community, behaviour)
    np.testing.assert_array_equal(states.skill, skill)
    np.testing.assert_array_equal(states.visits, visits)
    np.testing.assert_array_equal(states.clicks, clicks)
    # single precision holds 2^-24 a step; some 60 clicks a user
    np.testing.assert_allclose(states.taste, taste, rtol=1e-5)
    np.testing.assert_allclose(states.satisfaction, satisfaction, atol=1e-6)
    for user in range(community[1].n):
        ring = [-1] * MEMORY
        for place, post in enumerate(seen[user]):
            ring[place % MEMORY] = post
        assert states.seen[user].tolist() == ring
        assert states.n_seen[user] == len(seen[user])
        ring = [-1] * MAX_FOLLOWS
        for place, creator in enumerate(follows[user]):
            ring[place % MAX_FOLLOWS] = creator
        assert states.follows[user].tolist() == ring
        assert states.n_follows[user] == len(follows[user])
    assert max(len(posts) for posts in seen) > MEMORY
    assert max(len(creators) for creators in follows) > MAX_FOLLOWS


def test_what_was_seen_is_what_the_ring_holds(community):
    states = play(community, Behaviour())
    shown = states.shown()
    for user in range(states.visits.size):
        held = shown.items[shown.start[user] : shown.end[user]]
        assert held.size == min(states.n_seen[user], MEMORY)
        assert sorted(held) == sorted(states.seen[user][states.seen[user] >= 0])


def test_switched_off_nothing_is_learned_and_nobody_is_a_stranger(community):
    before, states = fresh(community), play(community, Behaviour(**OFF))
    np.testing.assert_array_equal(states.skill, before.skill)
    np.testing.assert_array_equal(states.taste, before.taste)
    at_home = community[1]._replace(foreign=np.zeros(40, dtype=np.bool_))
    same = play((community[0], at_home, community[2]), Behaviour(**FAST))
    np.testing.assert_array_equal(same.satisfaction, states.satisfaction)


def test_taste_moves_toward_what_is_clicked(community):
    _, people, posts = community
    before, states = fresh(community), fresh(community)
    users = np.arange(40)
    liked = posts.topic[0]
    remember(
        states,
        people,
        posts,
        house.post_buckets(posts),
        Learning.of(Behaviour()),
        users,
        np.zeros((40, 1), np.int32),
        np.full((40, 1), SHOWN | CLICKED),
        np.ones(40, "f4"),
        CLICKED,
        FOLLOWED,
    )
    np.testing.assert_allclose(states.taste.sum(axis=1), 1, rtol=1e-6)
    moved = states.taste - before.taste
    assert (moved[:, liked] > 0).all()
    assert (np.delete(moved, liked, axis=1) <= 1e-7).all()


def test_only_strangers_miss_something_and_less_at_each_visit(community):
    """With no memory, satisfaction is what the last visit was worth: reward - .4·e^(-visits/6)."""
    _, people, posts = community
    states, behaviour = fresh(community), Behaviour(unfamiliarity=0.4, satisfaction_memory=0.0)
    users, nothing = np.arange(40), np.full((40, 1), -1, np.int32)
    lacking = []
    for visit in range(20):
        remember(
            states,
            people,
            posts,
            house.post_buckets(posts),
            Learning.of(behaviour),
            users,
            nothing,
            np.zeros((40, 1), np.uint16),
            np.full(40, 0.5, "f4"),
            CLICKED,
            FOLLOWED,
        )
        missed = 0.5 - states.satisfaction
        np.testing.assert_array_equal(missed[~people.foreign], 0)
        np.testing.assert_allclose(missed[people.foreign], 0.4 * math.exp(-visit / 6), atol=1e-6)
        lacking.append(missed[people.foreign].mean())
    assert all(later < sooner for sooner, later in pairwise(lacking))


# In a world


@pytest.fixture(scope="module")
def lived():
    """An influx of practising newcomers: the run when it is over, and its days."""
    world = small_world(behaviour=Behaviour(language_learning=0.05))
    run = Run.start(world, 3)
    days = list(run.run_days(first_day(world), 0))
    run = run.fork(Arm("influx"))
    return run, days + list(run.run_days(0, world.days_after))


def test_skill_is_what_the_log_taught(lived):
    """1 - s shrinks by 5 % with each post that was clicked, in its language."""
    run, days = lived
    clicks = np.zeros((run.people.n, 2))
    for day in days:
        language = run.posts.language[day.item[day.is_click]]
        np.add.at(clicks, (day.user[day.is_click], language), 1)
    expected = 1 - (1 - run.people.skill) * 0.95**clicks
    np.testing.assert_allclose(run.states.skill, expected, atol=1e-5)
    practised = run.states.skill[400:, 0] - run.people.skill[400:, 0]
    assert (practised > 0.05).any()


def test_newcomers_do_not_change_who_people_were(lived):
    """What a run changes is the users' state; people stay as they were drawn."""
    run, _ = lived
    fresh_people = draw_incumbents(run.world)
    np.testing.assert_array_equal(run.people.taste[:400], fresh_people.taste)
    np.testing.assert_array_equal(run.people.skill[:400], fresh_people.skill)


# Leaving


def hazards(satisfaction, behaviour, average=0.5):
    """The share of many people alike who leave in a night."""
    n = 40_000
    state = {name: np.zeros(n) for name in UserStates._fields}
    state["satisfaction"] = np.full(n, satisfaction, dtype=np.float32)
    state["gone"] = np.zeros(n, dtype=np.bool_)
    states = UserStates(**state)
    leave(states, behaviour, average, np.ones(n, dtype=bool), np.random.default_rng(1).random(n))
    return states.gone.mean()


@pytest.mark.parametrize("satisfaction", [0.0, 0.2, 0.5, 0.9, np.nan])
@pytest.mark.parametrize("slope", [0.0, 3.0])
def test_leaving_has_the_hazard_of_its_logit(satisfaction, slope):
    behaviour = Behaviour(leaving=-3.0, leaving_slope=slope)
    content = 0.5 if math.isnan(satisfaction) else satisfaction
    p = 1 / (1 + math.exp(3 + slope * (content - 0.5)))
    # binomial: 4 standard deviations, either side
    assert abs(hazards(satisfaction, behaviour) - p) < 4 * math.sqrt(p * (1 - p) / 40_000)


def test_the_dissatisfied_leave_more_often_unless_switched_off():
    behaviour = Behaviour(leaving=-3.0)
    by_satisfaction = [hazards(s, behaviour) for s in (0.0, 0.5, 1.0)]
    assert by_satisfaction == sorted(by_satisfaction, reverse=True)
    assert by_satisfaction[0] > 2 * by_satisfaction[2]
    flat = Behaviour(leaving=-3.0, leaving_slope=0.0)
    assert hazards(0.0, flat) == hazards(1.0, flat)


@pytest.mark.parametrize("leaving", [-30.0, -1000.0])
def test_leaving_can_be_switched_off(leaving):
    assert hazards(0.0, Behaviour(leaving=leaving)) == 0


def test_who_is_gone_does_not_come_back():
    world = small_world(behaviour=Behaviour(leaving=-1.5))
    run = Run.start(world, 3)
    list(run.run_days(first_day(world), 0))
    run = run.fork(Arm("influx"))
    gone = run.states.gone.copy()
    assert gone[:400].mean() > 0.3
    for day in range(world.days_after):
        (done,) = run.run_days(day, day + 1)
        assert not gone[done.user].any()
        assert run.states.gone[gone].all()
        gone = run.states.gone.copy()


def test_nobody_leaves_before_they_arrive():
    world = small_world(influx={"arrivals": (0.0, 0.0, 0.0, 1.0)}, behaviour=Behaviour(leaving=0.0))
    influx = simulate(world, "influx", seed=3)
    day = influx.days[-1]
    assert np.unique(day.user[day.user >= 400]).size == 120


# Parts of a day


def visits_by_tick(simulation):
    """Where visits begin: rows of people, and parts of the day."""
    tops = simulation.log.dense.filter(pl.col("kind") == "impression", pl.col("rank") == 1)
    fraction = tops["timestamp"].dt.epoch("ms").to_numpy() % 86_400_000 / 86_400_000
    return tops["user"].to_numpy(), (fraction * simulation.world.ticks).astype(int)


@pytest.mark.parametrize(("ticks", "home"), [(2, 0.8), (2, 0.0), (3, 0.8), (4, 0.5), (2, 1.0)])
def test_people_come_in_their_own_part_of_the_day(ticks, home):
    world = small_world(ticks=ticks, home_tick=home)
    user, tick = visits_by_tick(simulate(world, "influx", seed=3))
    shares = np.full(ticks, (1 - home) / (ticks - 1))
    for cohort, at_home in ((user < 400, 0), (user >= 400, ticks - 1)):
        n, expected = cohort.sum(), shares.copy()
        expected[at_home] = home
        assert n > 150
        got = np.bincount(tick[cohort], minlength=ticks) / n
        # binomial, 4 standard deviations; visits of one person are drawn apart
        assert (abs(got - expected) <= 4 * np.sqrt(expected * (1 - expected) / n) + 1e-12).all()


def test_one_tick_is_the_whole_day():
    user, tick = visits_by_tick(simulate(small_world(ticks=1), "influx", seed=3))
    assert (tick == 0).all()
    assert (user >= 400).any()


@pytest.mark.parametrize(("ticks", "ranks"), [(1, 100), (2, 100), (2, 200), (8, 100), (8, 200)])
def test_events_lie_in_their_tick(ticks, ranks, monkeypatch):
    """However long a visit, it ends in the part of the day in which it began."""
    world = small_world(
        ticks=ticks,
        platform=Platform(visit_ranks=ranks, per_creator=200),
        behaviour=Behaviour(depth_rho=0.1),
        incumbents=200,
        posts=Posts(per_creator_day=3.0),
    )
    collect, checked = run_module.collect, []

    def checks(world, people, seed, day, rounds, *, impressions):
        events = collect(world, people, seed, day, rounds, impressions=impressions)
        for tick in {done.tick for done in rounds}:
            part = events[:, 4] * world.ticks / 86_400_000 - tick
            checked.append((part.min(), part.max()))
        return events

    monkeypatch.setattr(run_module, "collect", checks)
    simulate(world, "influx", seed=3)
    low, high = np.array(checked).T
    assert len(checked) >= 9 * ticks
    assert low.min() >= 0
    assert high.max() < 1


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_visit_shows_more_of_a_creator_than_it_may(most):
    influx = simulate(small_world(platform=Platform(per_creator=most)), "influx", seed=3)
    shown = influx.log.dense.filter(pl.col("kind") == "impression")
    creator = influx.posts.creator[shown["item"].to_numpy()]
    # 8 s a rank: a visit is known by its person and when it began
    began = pl.col("timestamp").dt.epoch("ms") - 8000 * (pl.col("rank").cast(pl.Int64) - 1)
    visits = shown.with_columns(began=began, creator=pl.Series(creator))
    counts = visits.group_by("user", "began", "creator").len()["len"]
    assert counts.max() == most


def test_counts_end_at_what_two_bytes_hold(community):
    states, expected = fresh(community), play(community, Behaviour())
    states.looks[:], states.clicks[:] = 2**16 - 3, 2**16 - 2
    play(community, Behaviour(), states)
    for counted, added, most in (
        (states.looks, expected.looks, 2),
        (states.clicks, expected.clicks, 1),
    ):
        assert added.max() > most
        np.testing.assert_array_equal(counted, 2**16 - 1 - most + np.minimum(added, most))
