"""People and posts as they are drawn, for tests of a world's config."""

from functools import cache

import numpy as np

from recsys.config import World
from recsys.world.people.draws import stacked
from recsys.world.people.population import draw_incumbents, draw_newcomers
from recsys.world.people.posts import draw_incumbents_posts, draw_newcomers_posts, is_creator
from tests.kit.fields import NEWCOMERS, SEED


@cache
def _people(config, newcomers):
    world = World.model_validate_json(config)
    if newcomers:
        return draw_newcomers(world, world.population.newcomers, SEED, origin=world.influx.origin)
    return draw_incumbents(world)


def people_of(world, newcomers=False):
    return _people(world.model_dump_json(), newcomers)


def posts_of(world, newcomers=False):
    people = people_of(world)
    if not newcomers:
        return draw_incumbents_posts(world, people, SEED)
    everybody = stacked(people, people_of(world, NEWCOMERS))
    return draw_newcomers_posts(world, everybody, world.population.newcomers, SEED, influx=True)


def people(read, newcomers=False):
    """Something about each incumbent, or newcomer."""
    return lambda world: read(people_of(world, newcomers))


def posts(read, newcomers=False):
    """Something about each post by an incumbent, or newcomer."""
    return lambda world: read(posts_of(world, newcomers))


def posts_a_creator(world, wanted=slice(None)):
    """How many of the wanted posts each creator has."""
    creators = is_creator(world, people_of(world))
    return np.bincount(posts_of(world).creator[wanted], minlength=creators.size)[creators]
