"""People: laws, nesting, and that nobody depends on who else is there."""

import numpy as np
import pytest

from recsys.config import Influx, Platform, World
from recsys.config.world import Drive
from recsys.world.arms import Arm
from recsys.world.people.population import (
    LANGUAGES,
    draw_incumbents,
    draw_newcomers,
    sample_by_weight,
)
from recsys.world.scene import Scene

BIG = World(incumbents=20_000, influx=Influx(newcomers=20_000, arrivals=(1.0, 3.0)))


@pytest.fixture(scope="module")
def incumbents():
    return draw_incumbents(BIG)


@pytest.fixture(scope="module")
def newcomers():
    return draw_newcomers(BIG, BIG.population.newcomers, seed=0)


def within(sample, mean, sd, errors=4.5):
    """|sample mean - mean| below 4.5 standard errors, two-sided: missed once in 150,000 draws."""
    return abs(np.mean(sample) - mean) < errors * sd / np.sqrt(np.size(sample))


def test_tastes_are_dirichlet_around_the_cohorts_interests(incumbents):
    interest = np.array(list(BIG.population.incumbents.topics.values()))
    base = interest / interest.sum()
    np.testing.assert_allclose(incumbents.taste.sum(axis=1), 1, rtol=1e-5)
    for topic, share in enumerate(base):
        variance = share * (1 - share) / (10 + 1)  # Dirichlet with concentration 10
        assert within(incumbents.taste[:, topic], share, np.sqrt(variance))
        # the variance of a variance of n draws is about 2 to 20 times variance²/n here
        assert abs(incumbents.taste[:, topic].var() / variance - 1) < 4.5 * np.sqrt(20 / 20_000)


def test_visits_are_lognormal_with_the_configured_mean(incumbents):
    sigma = BIG.population.visits_sigma
    sd = 0.6 * np.sqrt(np.expm1(sigma**2))
    assert within(incumbents.visits, 0.6, sd)
    assert within(np.log(incumbents.visits), np.log(0.6) - sigma**2 / 2, sigma)


def test_languages(incumbents, newcomers):
    assert (incumbents.skill[:, 0] == 1).all()
    assert (newcomers.skill[:, 1] == 1).all()
    english = incumbents.skill[:, 1]
    assert ((english >= 0.6) | (english <= 0.2)).all()
    assert within(english >= 0.6, 0.15, np.sqrt(0.15 * 0.85))
    assert newcomers.skill[:, 0].max() <= 0.05
    assert set(incumbents.app_language) == {0}
    assert set(newcomers.app_language) == {1}


def test_latent_products_have_the_configured_deviation(incumbents):
    product = (incumbents.latent[:10_000] * incumbents.latent[10_000:]).sum(axis=1)
    assert abs(product.std() / BIG.population.latent_scale - 1) < 0.05
    assert within(product, 0, 0.8)


def test_positive_parts(incumbents):
    # E max(mu + sd z, 0) = mu Phi(mu/sd) + sd phi(mu/sd) with (.2, .3): .2470
    assert within(incumbents.trend, 0.2470, 0.24)
    assert incumbents.trend.min() == 0
    assert within(incumbents.curious, 0.3, np.sqrt(0.21))


def test_people_do_not_depend_on_who_else_is_there(incumbents):
    fewer = World(incumbents=50, influx=Influx(newcomers=7, arrivals=(1.0, 3.0)))
    for mine, theirs in zip(draw_incumbents(fewer), incumbents, strict=True):
        np.testing.assert_array_equal(mine, theirs[:50])
    some = draw_newcomers(fewer, fewer.population.newcomers, seed=0)
    for mine, theirs in zip(
        some, draw_newcomers(BIG, BIG.population.newcomers, seed=0), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs[:7])


def test_placebo_newcomers_come_and_go_like_the_influx(newcomers):
    placebo = draw_newcomers(BIG, BIG.population.incumbents, seed=0)
    for name in ("arrival", "departure", "visits", "key"):
        np.testing.assert_array_equal(getattr(placebo, name), getattr(newcomers, name))
    assert (placebo.skill[:, 0] == 1).all()
    second = draw_newcomers(BIG, BIG.population.incumbents, seed=0, variant=1)
    np.testing.assert_array_equal(second.visits, placebo.visits)
    assert abs(np.corrcoef(second.taste[:, 0], placebo.taste[:, 0])[0, 1]) < 4.5 / np.sqrt(20_000)


def test_another_seed_brings_other_newcomers(newcomers):
    other = draw_newcomers(BIG, BIG.population.newcomers, seed=1)
    assert (other.taste != newcomers.taste).any(axis=1).all()
    np.testing.assert_array_equal(other.key, newcomers.key)


def test_newcomers_like_the_formats_of_the_platform_that_formed_them():
    video = Platform(kind="elsewhere", formats=(0.9, 0.05, 0.05))
    influx = BIG.influx.model_copy(update={"origin": video})
    formed = BIG.model_copy(update={"influx": influx})
    people = draw_newcomers(formed, BIG.population.newcomers, seed=0, origin=video)
    assert people.foreign.all()
    # .5 logits per log of the share's ratio to a third, and a mean of 0 for a person's own part
    expected = 0.5 * np.log(3 * np.array(video.formats))
    assert np.abs(people.format_pull.mean(axis=0) - expected).max() < 4.5 * 0.5 / np.sqrt(20_000)
    assert not draw_newcomers(formed, BIG.population.newcomers, seed=0).foreign.any()


def test_newcomers_seek_trends_as_the_platform_that_formed_them_does():
    tiktok = Platform(kind="elsewhere", drive=Drive(trend=2.0))
    formed, native = (
        draw_newcomers(BIG, BIG.population.newcomers, seed=0, origin=origin)
        for origin in (tiktok, None)
    )
    np.testing.assert_array_equal(formed.trend, 2 * native.trend)


def test_a_placebo_is_at_home_whatever_its_law():
    """Even where newcomers are drawn from the incumbents' own law, only those of the influx are
    strangers."""
    laws = BIG.population.model_copy(update={"newcomers": BIG.population.incumbents})
    influx = BIG.influx.model_copy(update={"newcomers": 5, "origin": Platform()})
    world = BIG.model_copy(update={"population": laws, "influx": influx, "incumbents": 20})
    scene = Scene.before(world, 0)
    assert scene.joined(Arm("influx")).newcomers.foreign.all()
    assert not scene.joined(Arm("placebo")).newcomers.foreign.any()


def test_another_population_seed_draws_other_people(incumbents):
    other = draw_incumbents(BIG.model_copy(update={"population_seed": 1}))
    assert (other.taste != incumbents.taste).any(axis=1).all()


def test_sample_by_weight_never_takes_a_weightless_entry():
    u = np.linspace(0, 1, 1001)[:-1]
    drawn = sample_by_weight(np.cumsum([0.0, 2.0, 0.0, 1.0]), u)
    assert set(drawn.tolist()) == {1, 3}
    assert (drawn == 1).mean() == pytest.approx(2 / 3, abs=0.001)


def test_what_people_declare(incumbents, newcomers):
    """Of bilingual people the share declares nothing; of others half of it declares too much."""
    zh, en = (LANGUAGES.index(name) for name in ("zh", "en"))
    bilingual = incumbents.skill[:, en] >= 0.6
    declares = incumbents.declared == en
    assert set(incumbents.declared) == {-1, en}
    assert within(declares[bilingual], 0.6, 0.49)
    assert within(declares[~bilingual], 0.2, 0.4)
    assert set(newcomers.declared) == {-1, zh}
    assert within(newcomers.declared == zh, 0.2, 0.4)
    laws = BIG.population.model_copy(update={"undeclared": 0.0})
    honest = draw_incumbents(BIG.model_copy(update={"population": laws}))
    assert ((honest.declared == en) == bilingual).all()
