"""Arrivals, departures and posts: by the curve and the hazards, two-sided."""

import numpy as np
import pytest

from recsys.config import Influx, World
from recsys.world.people.influx import NEVER, draw_schedule, posts_by_day

N = 40_000
ADDRESS = np.arange(N, dtype=np.uint32) + 2**31


def world(**influx):
    given = {"newcomers": N, "arrivals": (0.14, 0.59, 0.20, 0.04, 0.03), **influx}
    return World(days_after=40, influx=Influx(**given))


def share_within(observed, expected, n=N):
    return abs(observed - expected) < 4.5 * np.sqrt(expected * (1 - expected) / n)


def test_arrivals_follow_the_curve():
    arrival = draw_schedule(world(), ADDRESS).arrival
    for day, share in enumerate((0.14, 0.59, 0.20, 0.04, 0.03)):
        assert share_within((arrival == day).mean(), share)


def test_leaving_follows_the_hazards():
    people = draw_schedule(world(), ADDRESS)
    straddles = people.presence == 0.5
    assert share_within(straddles.mean(), 0.5)
    assert (people.departure >= 8).all()
    assert (people.departure[straddles] > 8).all()
    stay = ~straddles
    assert share_within((people.departure[stay] == 8).mean(), 0.777, stay.sum())
    later = people.departure > 8
    for day in (9, 10, 15):
        there = later & (people.departure >= day)
        assert share_within((people.departure[there] == day).mean(), 0.071, there.sum())


def test_nobody_leaves_without_a_reversal():
    assert (draw_schedule(world(reversal_day=None), ADDRESS).departure == NEVER).all()


def test_posts_begin_on_arrival_and_stop_by_the_hazard():
    setting = world(reversal_day=None)
    people = draw_schedule(setting, ADDRESS)
    posts = posts_by_day(setting, ADDRESS, people, seed=1)
    posters = posts.sum(axis=1) > 0
    assert share_within(posters.mean(), 1 / 3)
    assert abs(posts.sum(axis=1).mean() - 1.0) < 4.5 * posts.sum(axis=1).std() / np.sqrt(N)
    first = posts[np.arange(N), people.arrival]
    for count in (1, 2, 3):
        assert share_within((first[posters] == count).mean(), 1 / 3, posters.sum())
    second = posts[np.arange(N), people.arrival + 1]
    assert set(second[posters].tolist()) == {0, 1}
    assert share_within(second[posters].mean(), 0.5, posters.sum())
    assert all(posts[n, : people.arrival[n]].sum() == 0 for n in range(200))


def test_nobody_posts_after_leaving():
    setting = world(posting_hazard=0.05)
    people = draw_schedule(setting, ADDRESS)
    posts = posts_by_day(setting, ADDRESS, people, seed=1)
    after = np.arange(40) >= people.departure[:, None]
    assert posts[after].sum() == 0
    assert posts[~after].sum() > 0


@pytest.mark.parametrize("hazard", [1.0])
def test_a_certain_hazard_ends_posting_at_once(hazard):
    setting = world(posting_hazard=hazard)
    people = draw_schedule(setting, ADDRESS)
    posts = posts_by_day(setting, ADDRESS, people, seed=1)
    days = (posts > 0).sum(axis=1)
    assert set(days.tolist()) == {0, 1}
