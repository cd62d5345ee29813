"""Every field of `population` does what it says, and what is switched off is off."""

import math

import numpy as np
import pytest
from scipy.stats import norm, poisson

from recsys.config.world import INCUMBENT_TOPICS, NEWCOMER_TOPICS
from recsys.world.people.posts import draw_follows, is_creator
from tests.kit.drawn import people, people_of, posts, posts_of
from tests.kit.events import (
    PLENTY,
    STRANGERS,
    clicked,
    inequality_of_posts,
    likeness_of_clicked,
    newcomers_short_clicks,
)
from tests.kit.fields import (
    EN,
    IMAGES,
    NEWCOMERS,
    SHORT,
    ZH,
    Effect,
    Law,
    Off,
    check_effect,
    check_law,
    check_nothing_is_left_out,
    check_off,
    squared,
)

# What is drawn or computed


def taste_for(topic, newcomers=False):
    place = list(INCUMBENT_TOPICS).index(topic)
    return people(lambda them: them.taste[:, place], newcomers)


def share_of(topic):
    return lambda topics: topics[topic] / sum(topics.values())


def concentrated(concentration):
    """E Σ taste² of a Dirichlet."""
    base = np.array(list(INCUMBENT_TOPICS.values())) / sum(INCUMBENT_TOPICS.values())
    return float((base * (1 - base)).sum() / (concentration + 1) + (base**2).sum())


def positive_part(law):
    """E max(μ + σz, 0) = μ Φ(μ/σ) + σ φ(μ/σ)."""
    mean, sd = law
    return mean * norm.cdf(mean / sd) + sd * norm.pdf(mean / sd) if sd else max(mean, 0.0)


def products(world, n=3000):
    """p·q of n pairs of a person and a post."""
    return (people_of(world).latent[:n] * posts_of(world).latent[:n]).sum(axis=1)


def dimensions(world):
    """The rank of a matrix of p·q."""
    p, q = people_of(world).latent[:80], posts_of(world).latent[:80]
    return int(np.linalg.matrix_rank((p @ q.T).astype(np.float64), tol=1e-4))


def followers(world):
    """(x - mean)²/mean - 1 of the creators' followers x: 0 in the mean if they are Poisson."""
    follows, creators = draw_follows(world, people_of(world)), is_creator(world, people_of(world))
    counts = np.bincount(follows[follows >= 0], minlength=creators.size)[creators]
    return (counts - counts.mean()) ** 2 / counts.mean() - 1


def follower_dispersion(sigma):
    """Of Poisson counts with lognormal means around 80: 8 follows, a tenth are creators."""
    return 80 * math.expm1(sigma**2)


def wrongly_declared(them):
    """Whether what each incumbent has declared is not what is true."""
    return (them.declared == EN) != (them.skill[:, EN] >= 0.6)


LAWS = {
    "population.incumbents.topics": Law(
        (INCUMBENT_TOPICS, INCUMBENT_TOPICS | {"food": 8.0}), taste_for("food"), share_of("food")
    ),
    "population.newcomers.topics": Law(
        (NEWCOMER_TOPICS, NEWCOMER_TOPICS | {"cat tax": 0.1}),
        taste_for("cat tax", NEWCOMERS),
        share_of("cat tax"),
    ),
    "population.incumbents.language": Law(
        ("zh", "en"),
        posts(lambda n: n.language == EN),
        lambda language: float(language == "en"),
        {"population.incumbents.bilingual_posts": 0.0},
    ),
    "population.newcomers.language": Law(
        ("zh", "en"), posts(lambda n: n.language == EN, NEWCOMERS), lambda v: float(v == "en")
    ),
    "population.incumbents.bilingual": Law(
        (0.0, 0.15, 1.0), people(lambda p: p.skill[:, EN] >= 0.6)
    ),
    "population.newcomers.bilingual": Law(
        (0.0, 0.5, 1.0), people(lambda p: p.skill[:, ZH] >= 0.6, NEWCOMERS)
    ),
    "population.incumbents.skill_bilingual": Law(
        (0.6, 0.9),
        people(lambda p: p.skill[:, EN]),
        lambda least: (1 + least) / 2,
        {"population.incumbents.bilingual": 1.0},
    ),
    "population.newcomers.skill_bilingual": Law(
        (0.6, 0.9),
        people(lambda p: p.skill[:, ZH], NEWCOMERS),
        lambda least: (1 + least) / 2,
        {"population.newcomers.bilingual": 1.0},
    ),
    "population.incumbents.skill_others": Law(
        (0.0, 0.2, 0.5),
        people(lambda p: p.skill[:, EN]),
        lambda most: most / 2,
        {"population.incumbents.bilingual": 0.0},
    ),
    "population.newcomers.skill_others": Law(
        (0.0, 0.05, 0.5), people(lambda p: p.skill[:, ZH], NEWCOMERS), lambda most: most / 2
    ),
    "population.incumbents.formats": Law(
        (None, (0.9, 0.1, 0.0)),
        posts(lambda n: n.format == SHORT),
        lambda formats: 0.30 if formats is None else formats[SHORT],
    ),
    "population.newcomers.formats": Law(
        (None, (0.65, 0.05, 0.30)),
        posts(lambda n: n.format == SHORT, NEWCOMERS),
        lambda formats: 0.30 if formats is None else formats[SHORT],
    ),
    "population.incumbents.outward": Law(
        ((0.0, 0.0), (1.0, 1.5), (2.0, 0.5)), people(lambda p: p.outward), positive_part
    ),
    "population.newcomers.outward": Law(
        ((0.0, 0.0), (1.0, 1.5)), people(lambda p: p.outward, NEWCOMERS), positive_part
    ),
    "population.incumbents.bilingual_posts": Law(
        (0.0, 0.3, 1.0),
        posts(lambda n: n.language == EN),
        given={"population.incumbents.bilingual": 1.0},
    ),
    "population.newcomers.bilingual_posts": Law(
        (0.0, 0.3, 1.0),
        posts(lambda n: n.language == ZH, NEWCOMERS),
        given={"population.newcomers.bilingual": 1.0},
    ),
    "population.incumbents.product_tags": Law((0.0, 0.12, 1.0), posts(lambda n: n.tagged)),
    "population.newcomers.product_tags": Law(
        (0.0, 0.01, 0.5), posts(lambda n: n.tagged, NEWCOMERS)
    ),
    "population.taste_concentration": Law(
        (10.0, 1000.0), people(lambda p: (p.taste**2).sum(axis=1)), concentrated
    ),
    "population.latent_factors": Law((0, 3, 16), dimensions),
    "population.latent_scale": Law((0.0, 0.8, 2.0), lambda w: products(w) ** 2, squared()),
    "population.visits_per_day": Law((0.6, 3.0), people(lambda p: p.visits)),
    "population.visits_sigma": Law(
        (0.0, 0.94, 0.3),
        people(lambda p: (np.log(p.visits) - np.log(p.visits).mean()) ** 2),
        squared(),
    ),
    "population.creators": Law((0.0, 0.1, 0.5), lambda w: is_creator(w, people_of(w))),
    "population.follows": Law(
        (0.0, 2.0, 8.0),
        lambda w: (draw_follows(w, people_of(w)) >= 0).sum(axis=1),
        lambda mean: sum(poisson.sf(n, mean) for n in range(16)),  # no more than 16
    ),
    "population.audience_sigma": Law(
        (0.0, 0.5), followers, follower_dispersion, {"population.taste_concentration": 1e6}
    ),
    "population.format_pull": Law(
        (0.0, 0.5, 2.0),
        people(lambda p: p.format_pull[:, IMAGES] - p.format_pull[:, SHORT]),
        lambda pull: pull * math.log(0.60 / 0.30),
        {"population.format_scale": 0.0},
    ),
    "population.format_scale": Law(
        (0.0, 0.5, 2.0),
        people(lambda p: p.format_pull[:, SHORT] ** 2),
        squared(),
        {"population.format_pull": 0.0},
    ),
    "population.trend": Law(
        ((0.0, 0.0), (0.2, 0.3), (2.0, 0.5)), people(lambda p: p.trend), positive_part
    ),
    "population.commerce": Law(
        ((0.0, 0.0), (0.1, 0.3), (2.0, 0.5)), people(lambda p: p.commerce), positive_part
    ),
    "population.curious": Law((0.0, 0.3, 1.0), people(lambda p: p.curious)),
    "population.undeclared": Law(
        (0.0, 0.4, 1.0), people(wrongly_declared), lambda share: 0.15 * share + 0.85 * share / 2
    ),
}


@pytest.mark.parametrize("path", LAWS)
def test_a_quantity_is_what_the_formula_says(path):
    check_law(LAWS[path], path)


# What is run

tagged_clicks = clicked(lambda it, user, post: it.run.posts.tagged[post], False)
clicks_on_newcomers = clicked(lambda it, user, post: it.run.posts.influx[post], False)


def spread_of_formats(it):
    """Deviation, over people with many clicks, of their share of clicks on images."""
    mine = it.did("click")
    n = np.bincount(it.user[mine], minlength=it.run.people.n)
    images = it.run.posts.format[it.item[mine]] == IMAGES
    return (np.bincount(it.user[mine], images, minlength=n.size)[n > 8] / n[n > 8]).std()


EFFECTS = {
    "population.newcomers.formats": Effect(
        ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0)), newcomers_short_clicks
    ),
    "population.latent_scale": Effect((0.1, 2.0), likeness_of_clicked),
    "population.format_pull": Effect((0.0, 2.0), newcomers_short_clicks, STRANGERS),
    "population.format_scale": Effect((0.0, 3.0), spread_of_formats),
    "population.trend": Effect(((0.0, 0.0), (2.0, 0.0)), inequality_of_posts),
    "population.commerce": Effect(((0.0, 0.0), (3.0, 0.0)), tagged_clicks),
    "population.curious": Effect((0.0, 1.0), clicks_on_newcomers, {"behaviour.curiosity": 4.0}),
}


@pytest.mark.parametrize("path", EFFECTS)
def test_a_world_answers_in_the_right_direction(path):
    check_effect(EFFECTS[path], path)


# What is off

UNSOLD = {"behaviour.actions.product_click": 0.0, "behaviour.actions.purchase": 0.0}

OFF = {
    "population.latent_factors": Off(0, "population.latent_scale", (0.5, 2.0)),
    "population.latent_scale": Off(0.0, "platform.drive.similarity", (0.5, 2.0)),
    "population.trend": Off((0.0, 0.0), "platform.drive.trend", (1.0, 5.0)),
    "population.commerce": Off(
        (0.0, 0.0), "population.incumbents.product_tags", (0.0, 1.0), UNSOLD
    ),
    "population.curious": Off(0.0, "behaviour.curiosity", (1.0, 5.0)),
    "population.incumbents.bilingual": Off(
        0.0, "population.incumbents.bilingual_posts", (0.0, 1.0), PLENTY
    ),
}


@pytest.mark.parametrize("path", OFF)
def test_off_is_off(path):
    check_off(OFF[path], path)


# Nothing is left out

SIZES = {
    "population.incumbents.formats",
    "population.incumbents.skill_bilingual",
    "population.incumbents.topics",
    "population.newcomers.formats",
    "population.newcomers.skill_bilingual",
    "population.newcomers.topics",
    "population.taste_concentration",
    "population.visits_per_day",
}
"""How many, how long, which: nothing that could be switched off."""


def test_nothing_is_left_out():
    check_nothing_is_left_out("population", LAWS, EFFECTS, OFF, SIZES)
