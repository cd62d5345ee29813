"""January 2025: what is known of those days holds in a world on the terms of `rednote_2025`."""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from recsys import load_study
from recsys.world.arms import Arm
from recsys.world.people.posts import first_day
from recsys.world.run import Run
from tests.kit.fields import EN, NOTHING, SEED, ZH


def january(influx=NOTHING, **world):
    """A platform of 3,000 that meets a quarter as many from tiktok, on a preset's terms."""
    sizes = {"incumbents": 3000, "days_before": 2, "days_after": 16, "burn_in_days": 3}
    influx = {"kind": "rednote_2025", "newcomers": 750, **influx}
    study = {"name": "january", "recommenders": ["trending"], "evaluation": {"days": [1]}}
    return load_study({**study, "world": {**sizes, "influx": influx, **world}}).world


def evenings(world, arm="influx", seed=SEED):
    """The run on the evening of each day of the influx, and the day."""
    run = Run.start(world, seed, impressions=False)
    list(run.run_days(first_day(world), 0))
    run = run.fork(Arm(arm))
    for day in run.run_days(0, world.days_after):
        yield run, day


class Story(NamedTuple):
    """What became of people where nobody is called back."""

    run: Run
    clicks: np.ndarray
    """(n_people, languages) clicks from day 1 on."""
    learned: np.ndarray
    """(n_people, languages) skill gained from day 1 on."""
    content: np.ndarray
    """(days, n_people) satisfaction, over the incumbents' mean of the day."""
    visits: np.ndarray
    """(days, n_people) visits so far."""


@cache
def story(place, arm, seed=SEED):
    clicks, content, visits, skill = np.zeros((3750, 2), dtype=int), [], [], None
    for run, day in evenings(january({"reversal_day": None}, platform=place), arm, seed):
        if skill is None:
            skill = run.states.skill.copy()
        else:
            language = run.posts.language[day.item[day.is_click]]
            np.add.at(clicks, (day.user[day.is_click], language), 1)
        satisfaction = run.states.satisfaction
        content.append(satisfaction / np.nanmean(satisfaction[:3000]))
        visits.append(run.states.visits.copy())
    learned = run.states.skill - skill
    return Story(run, clicks, learned, np.array(content), np.array(visits))


def test_newcomers_leave_as_they_did():
    """Daily actives fell by 54 % on the day of the reversal, and by 70 % within a week.

    Straddlers, half of all, come on half of the days, and .777 of the others leave: a fall of
    .777 · 2/3 = 51.8 %, and 71.2 % in a week. So many people that 4.5 standard errors, .027 and
    .018, stay inside the bands; few ranks, since it is only counted who comes.
    """
    many = {"newcomers": 40_000, "posts_a_head": 0.0}
    world = january(many, incumbents=1000, platform={"visit_ranks": 4})
    there = [int(day.traffic.people[1]) for _, day in evenings(world)]
    assert 0.49 < 1 - there[8] / there[7] < 0.59
    assert 0.62 < 1 - there[15] / there[7] < 0.78
    assert np.argmax(there) == 1


def test_four_in_ten_incumbents_come_on_a_day():
    """.40 is 120 of 300 million; of the rates' law, ∫(1 - e^-λ) dF(λ) = .371, as many come."""
    world = january(incumbents=8000, platform={"visit_ranks": 4}, days_after=6)
    came = [int(day.traffic.people[0]) / 8000 for _, day in evenings(world, "nobody")]
    # a day is a sample of 8,000; some come again, so six days are worth at least one
    assert abs(np.mean(came) - 0.371) < 4.5 * math.sqrt(0.371 * 0.629 / 8000)
    assert abs(np.mean(came) - 0.40) < 0.05


def test_people_learn_the_language_that_they_click():
    """The more posts clicked in the other language, the more of it is known, on either side."""
    _, clicks, learned, *_ = story("rednote", "influx")
    for them, other, least in ((slice(3000), EN, 0.0005), (slice(3000, None), ZH, 0.005)):
        gained, n = learned[them, other], clicks[them, other]
        assert (n > 0).sum() > 100
        assert gained.mean() > least
        assert gained[n == 0].max() == 0
        assert gained[n >= 5].mean() > 3 * gained[n == 1].mean()


def test_newcomers_are_less_content_than_at_home():
    """Than tiktok's people on tiktok are, each beside the natives of the same place."""
    abroad, at_home = (
        np.nanmean(there.content[:, 3000:], axis=1)
        for there in (story("rednote", "influx"), story("tiktok", "placebo"))
    )
    assert (at_home > 0.7).all()
    assert (abroad < at_home - 0.15).all()


def test_newcomers_recover_with_their_visits():
    """Those who come often: at their first visits, and when they have come ten times.

    What is at the top when they arrive is luck, and one for all of them: two seeds.
    """
    gained = []
    for seed in (SEED, SEED + 10):
        _, _, _, content, visits = story("rednote", "influx", seed)
        often = 3000 + np.flatnonzero(visits[-1, 3000:] >= 10)
        first, tenth = ((visits[:, often] >= n).argmax(axis=0) for n in (1, 10))
        assert often.size > 50
        gained.append((content[tenth, often] - content[first, often]).mean())
    assert np.mean(gained) > 0.05
