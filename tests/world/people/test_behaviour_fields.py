"""Every field of `behaviour` does what it says, and what is switched off is off."""

import math

import numpy as np
import pytest

from recsys.config.world import Actions
from recsys.core.noise import moment
from recsys.world.people import behaviour
from recsys.world.people.behaviour import CLICKED, Conditions
from recsys.world.people.user_states import Learning, remember
from tests.kit.drawn import people_of, posts_of
from tests.kit.events import HASTY, STRANGERS, clicked, content_of_newcomers, taste_for_clicked
from tests.kit.fields import (
    EN,
    KIND,
    SEED,
    ZH,
    Effect,
    Law,
    Off,
    check_effect,
    check_law,
    check_nothing_is_left_out,
    check_off,
)
from tests.kit.one_user import a_person, a_post, blank, depths, gain, logit

# What is drawn or computed


def satisfaction_after(*rewards, foreign=False):
    """Satisfaction of somebody whose visits were worth so much."""

    def quantity(world):
        person = a_person()._replace(foreign=np.array([foreign]))
        states = blank(person)
        for reward in rewards:
            remember(
                states,
                person,
                a_post(),
                np.zeros(1, np.int32),
                Learning.of(world.behaviour),
                np.zeros(1, np.int64),
                np.full((1, 1), -1, np.int32),
                np.zeros((1, 1), np.uint16),
                np.array([reward], np.float32),
                CLICKED,
                CLICKED,
            )
        return float(states.satisfaction[0])

    return quantity


def translated(world, day=99):
    """What translation gives, as a share of what one who reads no English lacks."""
    before, after = (logit(world, on, skill=0.0) for on in (-1, day))
    return (after - before) / world.behaviour.language_penalty


def first_translated_day(world):
    return next(day for day in range(100) if translated(world, day) > 0)


def follow_up(kind, language=ZH):
    """Whether each of many clicks by incumbents on tagged posts was followed by an action."""

    def quantity(world):
        them, table = people_of(world), posts_of(world)
        spoken = np.full(table.n, language, np.int32)
        table = table._replace(tagged=np.ones(table.n, bool), language=spoken)
        feeds = np.tile(np.arange(50, dtype=np.int32), (them.n, 1))
        actions, rewards = np.zeros(feeds.shape, np.uint16), np.zeros(them.n, np.float32)
        behaviour.respond(
            them,
            blank(them),
            table,
            np.zeros(table.n, np.float32),
            Conditions.on(world, 99.0, 0, influx=False),
            np.ones(50),
            np.zeros(them.n),
            np.uint64(SEED),
            int(moment(0)),
            np.arange(them.n),
            feeds,
            actions,
            rewards,
        )
        assert (actions & CLICKED).all()
        return actions.ravel() >> KIND.index(kind) & 1

    return quantity


KUAIRAND = {"like": 0.032, "comment": 0.0056, "share": 0.0018, "follow": 0.0025, "hide": 0.0008}
ASSUMED = {"save": 0.03, "product_click": 0.04, "purchase": 0.004}
"""Actions per click."""

LAWS = {
    # the click logit, on day 0 unless another is named
    "behaviour.taste": Law((0.0, 4.0, 9.0), gain(taste=1.0)),
    "behaviour.language_penalty": Law((0.0, 2.0, 3.0), gain(skill=0.0), lambda penalty: -penalty),
    "behaviour.translation": Law((0.0, 0.45, 1.0), translated),
    "behaviour.translation_day": Law((0, 6, 9), first_translated_day),
    "behaviour.curiosity": Law((0.0, 1.0, 3.0), gain(curious=True)),
    "behaviour.curiosity_days": Law(
        (0.5, 4.0, 90.0), gain(day=2, curious=True), lambda days: math.exp(-2 / days)
    ),
    "behaviour.curiosity_social": Law(
        (0.0, 0.3, 2.0),
        lambda w: logit(w, curious=True, talked_of=0.05) - logit(w, curious=True),
        lambda social: social * math.log(6),
    ),
    "behaviour.fatigue": Law((0.0, 0.15, 1.0), gain(seen=3), lambda fatigue: -3 * fatigue),
    **{
        f"behaviour.actions.{kind}": Law((0.0, rate, 0.5), follow_up(kind))
        for kind, rate in {**KUAIRAND, **ASSUMED}.items()
    },
    "behaviour.actions.comment_across": Law((0.0, 0.025, 0.5), follow_up("comment", EN)),
    # visits
    "behaviour.depth_rho": Law((0.5, 2.3), lambda w: depths(w) > 2, lambda rho: 1 / (1 + rho)),
    "behaviour.satisfaction_memory": Law((0.0, 0.7, 0.9), satisfaction_after(1.0, 0.0)),
    "behaviour.unfamiliarity": Law(
        (0.0, 0.1, 0.4), satisfaction_after(0.5, foreign=True), lambda lack: 0.5 - lack
    ),
    "behaviour.familiar_visits": Law(
        (0.5, 6.0),
        satisfaction_after(0.5, 0.5, foreign=True),
        lambda visits: 0.5 - 0.1 * math.exp(-1 / visits),
        {"behaviour.satisfaction_memory": 0.0},
    ),
}


@pytest.mark.parametrize("path", LAWS)
def test_a_quantity_is_what_the_formula_says(path):
    check_law(LAWS[path], path)


def test_rates_after_a_click_are_those_of_their_source():
    assert Actions().model_dump(include=set(KUAIRAND)) == KUAIRAND


# What is run

english_clicks = clicked(lambda it, user, post: it.run.posts.language[post] == EN, False)
taste_learned = clicked(
    lambda it, user, post: (it.run.states.taste - it.run.people.taste)[
        user, it.run.posts.topic[post]
    ]
)


def later_clicks_on_newcomers(it):
    return it.run.posts.influx[it.item[it.did("click", False) & (it.day >= 2)]].mean()


def clicks_of_the_curious(it):
    """Share of them on newcomers' posts."""
    curious = it.run.people.curious[it.user]
    return it.run.posts.influx[it.item[it.did("click", False) & curious]].mean()


def repeated_topics(it):
    """Of pairs of clicks by one person on one day, share on one topic."""
    mine = it.did("click")
    own = it.user[mine].astype(np.int64) * 100 + it.day[mine] + 50
    _, n = np.unique(own, return_counts=True)
    _, same = np.unique(own * 100 + it.run.posts.topic[it.item[mine]], return_counts=True)
    return (same * (same - 1)).sum() / (n * (n - 1)).sum()


def english_learned(it):
    return (it.run.states.skill - it.run.people.skill)[: it.run.world.incumbents, EN].mean()


def gone(it):
    return it.run.states.gone[: it.run.world.incumbents].mean()


def content_of_the_gone(it):
    """Satisfaction of those who left, over that of those who stayed."""
    satisfaction, left = it.run.states.satisfaction, it.run.states.gone
    return np.nanmean(satisfaction[left]) - np.nanmean(satisfaction[~left])


def inequality_of_visits(it):
    """Variance of the number of clicks over visits, by its mean."""
    visits = sum(day.traffic.visits_by_clicks.sum(axis=0) for day in it.days)
    clicks = np.arange(visits.size)
    mean = np.average(clicks, weights=visits)
    return np.average((clicks - mean) ** 2, weights=visits) / mean


def ranks_a_visit(it):
    shown = it.did("impression")
    return shown.sum() / (it.rank[shown] == 1).sum()


EFFECTS = {
    "behaviour.taste": Effect((0.0, 12.0), taste_for_clicked),
    "behaviour.language_penalty": Effect((0.0, 6.0), english_clicks, rises=False),
    "behaviour.translation": Effect((0.0, 1.0), english_clicks, {"behaviour.translation_day": 0}),
    "behaviour.translation_day": Effect(
        (0, 99), english_clicks, {"behaviour.translation": 1.0}, rises=False
    ),
    "behaviour.curiosity": Effect((0.0, 4.0), clicks_of_the_curious),
    "behaviour.curiosity_days": Effect(
        (0.1, 90.0), later_clicks_on_newcomers, {"behaviour.curiosity": 4.0}
    ),
    "behaviour.fatigue": Effect((0.0, 2.0), repeated_topics, rises=False),
    "behaviour.language_learning": Effect((0.0, 0.1), english_learned),
    "behaviour.taste_drift": Effect((0.0, 0.1), taste_learned),
    "behaviour.unfamiliarity": Effect((0.0, 0.3), content_of_newcomers, STRANGERS, rises=False),
    "behaviour.familiar_visits": Effect(
        (0.5, 50.0),
        content_of_newcomers,
        {**STRANGERS, "behaviour.unfamiliarity": 0.3},
        rises=False,
    ),
    "behaviour.leaving": Effect((-5.0, -2.0), gone),
    "behaviour.leaving_slope": Effect((0.0, 30.0), content_of_the_gone, HASTY, rises=False),
    "behaviour.mood": Effect((0.0, 3.0), inequality_of_visits),
    "behaviour.depth_rho": Effect((0.5, 2.3), ranks_a_visit, rises=False),
}


@pytest.mark.parametrize("path", EFFECTS)
def test_a_world_answers_in_the_right_direction(path):
    check_effect(EFFECTS[path], path)


# What is off


OFF = {
    "behaviour.taste": Off(0.0, "behaviour.taste_drift", (0.0, 0.3)),
    "behaviour.language_penalty": Off(
        0.0,
        "population.incumbents.bilingual",
        (0.0, 1.0),
        {
            "population.incumbents.outward": (0.0, 0.0),
            "population.incumbents.bilingual_posts": 0.0,
        },
    ),
    "behaviour.translation": Off(0.0, "behaviour.translation_day", (0, 99)),
    "behaviour.translation_day": Off(99, "behaviour.translation", (0.1, 1.0), usual=1),
    "behaviour.curiosity": Off(
        0.0, "population.curious", (0.0, 1.0), {"behaviour.curiosity_social": 0.0}
    ),
    "behaviour.unfamiliarity": Off(
        0.0, "behaviour.familiar_visits", (0.5, 50.0), {**STRANGERS, **HASTY}, usual=0.3
    ),
    "behaviour.leaving": Off(-1000.0, "behaviour.leaving_slope", (0.0, 30.0), usual=-3.0),
    "behaviour.leaving_slope": Off(0.0, "behaviour.satisfaction_memory", (0.0, 0.9), HASTY),
}


@pytest.mark.parametrize("path", OFF)
def test_off_is_off(path):
    check_off(OFF[path], path)


# Nothing is left out

MOODS = "tests/world/people/test_behaviour.py::test_moods_are_normal_and_one_a_visit"
UNCHANGED = (
    "tests/world/people/test_user_states.py::"
    "test_switched_off_nothing_is_learned_and_nobody_is_a_stranger"
)
OFF_ELSEWHERE = {
    "behaviour.actions.reply": "tests/world/test_life.py::test_creators_answer_comments",
    "behaviour.mood": MOODS,
    "behaviour.language_learning": UNCHANGED,
    "behaviour.taste_drift": UNCHANGED,
}
SIZES = {
    "behaviour.curiosity_days",
    "behaviour.depth_rho",
    "behaviour.familiar_visits",
}
"""How many, how long, which: nothing that could be switched off."""


def test_nothing_is_left_out():
    check_nothing_is_left_out(
        "behaviour",
        LAWS,
        EFFECTS,
        OFF,
        SIZES,
        {"behaviour.actions.reply": OFF_ELSEWHERE["behaviour.actions.reply"]},
        OFF_ELSEWHERE,
    )
