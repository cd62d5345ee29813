"""One user and one post, for tests of how people act."""

from functools import cache

import numpy as np

from recsys.core.noise import moment
from recsys.world.people import behaviour
from recsys.world.people.behaviour import Conditions
from recsys.world.people.population import draw_incumbents
from recsys.world.people.posts import PostTable
from recsys.world.people.user_states import UserStates
from tests.kit.fields import EN, SEED, SMALL, change


def a_post(n=1, **columns):
    """English posts by a newcomer, on the first topic."""
    zeros = np.zeros(n, np.int32)
    table = PostTable(
        key=np.arange(n, dtype=np.uint64),
        creator=zeros,
        published=np.zeros(n),
        topic=zeros,
        format=zeros,
        language=zeros + EN,
        subtitled=np.zeros(n, bool),
        tagged=np.zeros(n, bool),
        quality=np.zeros(n, np.float32),
        latent=np.zeros((n, 1), np.float32),
        influx=np.ones(n, bool),
    )
    return table._replace(**columns)


@cache
def a_person():
    return draw_incumbents(change(SMALL, "incumbents", 1))


def blank(them):
    """Users who follow nobody."""
    return UserStates.fresh(them, np.full((them.n, 16), -1, np.int32), 64, 48)


def logit(
    world,
    day=0,
    *,
    taste=0.0,
    likeness=0.0,
    trend=0.0,
    skill=1.0,
    curious=False,
    seen=0,
    outward=0.0,
    talked_of=0.0,
):
    """x of one user and one English post by a newcomer that has buzz 1; b is 0."""
    person = a_person()._replace(
        taste=np.array([[taste] + [0] * 23], np.float32),
        latent=np.ones((1, 1), np.float32),
        format_pull=np.zeros((1, 3), np.float32),
        skill=np.array([[1, skill]], np.float32),
        trend=np.array([trend], np.float32),
        curious=np.array([curious]),
        outward=np.array([outward], np.float32),
    )
    states = blank(person)
    states.seen_today[:] = seen
    post = a_post(latent=np.full((1, 1), likeness, np.float32))
    x = behaviour.logits(
        person,
        states,
        post,
        np.ones(1, np.float32),
        Conditions.on(world, 0.0, day, influx=True, talked_of=talked_of),
        np.zeros(1, np.int64),
        np.zeros((1, 1), np.int32),
    )
    return float(x[0, 0])


def gain(day=0, **differs):
    """What x gains where something is not 0."""
    return lambda world: logit(world, day, **differs) - logit(world, day)


def depths(world):
    address, when = np.arange(20_000, dtype=np.uint32), int(moment(3))
    return behaviour.scroll_depth(world.platform, world.behaviour.depth_rho, SEED, address, when)
