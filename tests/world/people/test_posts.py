"""Notes: rates, addresses that survive other horizons and more people, follows by taste."""

import numpy as np
import pytest

from recsys.config import Influx, Posts, World
from recsys.world.people.draws import stacked
from recsys.world.people.population import draw_incumbents, draw_newcomers
from recsys.world.people.posts import (
    MOST_ENGAGED,
    adaptation,
    answering,
    answers,
    draw_follows,
    draw_incumbents_posts,
    draw_newcomers_posts,
    is_creator,
    subtitled,
)

WORLD = World(
    incumbents=20_000,
    influx=Influx(newcomers=3_000, arrivals=(1.0,)),
    posts=Posts(per_creator_day=0.15),
)


@pytest.fixture(scope="module")
def people():
    return draw_incumbents(WORLD)


@pytest.fixture(scope="module")
def posts(people):
    return draw_incumbents_posts(WORLD, people, seed=0)


def test_posting_rate_and_attributes(people, posts):
    creators = is_creator(WORLD, people)
    assert abs(creators.mean() - 0.10) < 4.5 * np.sqrt(0.09 / 20_000)
    days = WORLD.days_after + WORLD.days_before + WORLD.burn_in_days + WORLD.posts.window_days
    expected = creators.sum() * days * 0.15
    assert abs(posts.n - expected) < 4.5 * np.sqrt(expected)
    for code, share in enumerate(WORLD.platform.formats):
        assert abs((posts.format == code).mean() - share) < 4.5 * np.sqrt(0.25 / posts.n)
    assert abs(posts.tagged.mean() - 0.12) < 4.5 * np.sqrt(0.1056 / posts.n)
    assert abs(posts.quality.std() - 0.5) < 4.5 * 0.5 / np.sqrt(2 * posts.n)
    assert not posts.influx.any()
    assert creators[posts.creator].all()


def test_topics_follow_the_creators_taste(people, posts):
    expected = people.taste[posts.creator].mean(axis=0)
    observed = np.bincount(posts.topic, minlength=24) / posts.n
    assert np.abs(observed - expected).max() < 4.5 * np.sqrt(0.25 * 0.25 / posts.n)


def test_subtitles_follow_the_audience_and_go_back(people, posts):
    assert not posts.subtitled.any()
    influx = WORLD.influx.model_copy(update={"newcomers": 3_000, "reversal_day": None})
    settled = WORLD.model_copy(update={"influx": influx})
    newcomers = draw_newcomers(settled, WORLD.population.newcomers, 0)
    with_subtitles = subtitled(settled, posts, newcomers, 0)
    assert not with_subtitles[posts.published < 0].any()
    late = posts.published > 8  # a_inf = .10, times 1 - exp(-4) and more
    assert abs(with_subtitles[late].mean() - 0.0993) < 4.5 * np.sqrt(0.09 / late.sum())


def test_bilingual_creators_post_in_both_languages(people, posts):
    bilingual = people.skill[posts.creator, 1] >= 0.6
    assert not posts.language[~bilingual].any()
    share = posts.language[bilingual].mean()
    assert abs(share - 0.3) < 4.5 * np.sqrt(0.21 / bilingual.sum())


def test_creators_answer_those_who_click_them(posts):
    day = 9
    today = np.flatnonzero(np.floor(posts.published) == day)
    u, creator = np.random.default_rng(0).random(posts.n), posts.creator
    clicked = np.where(creator % 3 == 0, 1.0, 0.0) * (u < 0.5)
    share = 0.2
    rows = answers(posts, day, share, clicked, 0)
    assert set(rows) <= set(today)
    earned = np.bincount(creator, clicked)
    mean = earned[np.bincount(creator) > 0].mean()
    expected = share * np.minimum((earned / mean + 1) / 2, MOST_ENGAGED)[creator[today]]
    error = np.sqrt((expected * (1 - expected)).sum())
    assert abs(rows.size - expected.sum()) < 4.5 * error
    mine = earned[creator[rows]] > 0
    assert mine.mean() > 1.5 * (earned[creator[today]] > 0).mean()


def test_nobody_answers_before_newcomers_click_or_without_them(posts):
    assert answers(posts, 3, 1.0, np.zeros(posts.n), 0).size == 0
    assert answers(posts, 3, 0.0, np.ones(posts.n), 0).size == 0


def test_the_answer_grows_and_goes_back(people):
    influx = WORLD.influx.model_copy(update={"newcomers": 3_000, "reversal_day": 5})
    world = WORLD.model_copy(update={"influx": influx})
    shares = answering(world, draw_newcomers(world, WORLD.population.newcomers, 0), 0.05)
    assert shares[0] == 0
    assert shares.argmax() in (5, 6)
    assert shares[-1] < 0.7 * shares.max() < 0.05


def test_adaptation_has_its_lag():
    days = np.arange(10)
    shares = adaptation(np.ones(10), 0.10, 2.0)
    np.testing.assert_allclose(shares, 0.10 * -np.expm1(-days / 2), rtol=1e-12)
    gone = adaptation(np.where(days < 5, 1.0, 0.0), 0.10, 2.0)
    np.testing.assert_allclose(gone[5:], gone[5] * np.exp(-(days[5:] - 5) / 2), rtol=1e-12)


def test_a_longer_run_keeps_the_posts_of_a_shorter_one(people, posts):
    shorter = draw_incumbents_posts(WORLD.model_copy(update={"days_after": 3}), people, 0)
    both = np.isin(posts.key, shorter.key)
    assert both.sum() == shorter.n
    for name in ("key", "creator", "published", "topic", "quality"):
        np.testing.assert_array_equal(getattr(posts, name)[both], getattr(shorter, name))


def test_newcomers_posts_are_nested_and_as_many_in_a_placebo(people):
    def drawn(count, law, influx):
        world = WORLD.model_copy(
            update={"influx": WORLD.influx.model_copy(update={"newcomers": count})}
        )
        everybody = stacked(people, draw_newcomers(world, law, 0))
        return draw_newcomers_posts(world, everybody, law, 0, influx=influx)

    laws = WORLD.population
    all_of_them = drawn(3_000, laws.newcomers, True)
    some = drawn(500, laws.newcomers, True)
    np.testing.assert_array_equal(some.key, all_of_them.key[: some.n])
    np.testing.assert_array_equal(some.topic, all_of_them.topic[: some.n])
    placebo = drawn(3_000, laws.incumbents, False)
    np.testing.assert_array_equal(placebo.key, all_of_them.key)
    np.testing.assert_array_equal(placebo.published, all_of_them.published)
    assert set(all_of_them.language) == {1}
    assert all_of_them.influx.all()
    assert 0 < placebo.language.mean() < 0.15  # some locals are bilingual
    assert not placebo.influx.any()


def test_follows(people):
    follows = draw_follows(WORLD, people)
    count = (follows >= 0).sum(axis=1)
    # Poisson(8) cut at 16: mean 7.99
    assert abs(count.mean() - 7.99) < 4.5 * np.sqrt(8 / 20_000)
    creators = is_creator(WORLD, people)
    assert creators[follows[follows >= 0]].all()
    # users with a pronounced topic follow creators who have more of it
    topic = people.taste.argmax(axis=1)
    followed = people.taste[follows[:, 0], topic][follows[:, 0] >= 0].mean()
    assert followed > 1.3 * people.taste[np.flatnonzero(creators)][:, topic].mean()


def test_nobody_follows_where_nobody_posts(people):
    quiet = WORLD.model_copy(
        update={"population": WORLD.population.model_copy(update={"creators": 0.0})}
    )
    assert (draw_follows(quiet, people) == -1).all()


def test_live_posts(posts):
    live = posts.live(3, window_days=10)
    assert (posts.published[live] < 3).all()
    assert (posts.published[live] > -7).all()
    assert live.sum() == ((posts.published < 3) & (posts.published > -7)).sum()
