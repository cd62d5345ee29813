"""The arms of an open loop on simulations that share nothing."""

from recsys.config import Evaluation, Influx, Posts, World
from recsys.recommenders import RECOMMENDERS
from recsys.study.arms import measuring
from recsys.study.arms.open_loop import OpenLoop
from recsys.study.arms.rankings import Learned
from recsys.study.arms.worlds import Worlds, panel_of
from recsys.world.arms import Audience
from recsys.world.simulate import simulate
from tests.kit.variants import VARIANTS

SMALL = {
    "als": {"factors": 8, "iterations": 5},
    "bpr": {"factors": 8, "iterations": 20},
    "lmf": {"factors": 4, "iterations": 5, "negatives": 5},
    "ranker": {"factors": 4, "candidates": 20, "iterations": 3},
    "two_tower": {"factors": 4, "iterations": 2},
}
EVALUATION = Evaluation(days=(1, 2), k=10, panel=80, training_days=6)
NEVER_HERE = (0.0,) * 3 + (1.0,)
ANSWERS = Posts(posted_across=0.3, adaptation_days=0.1)
"""Newcomers who are there are answered in their language from their second day on."""


def make(name):
    return VARIANTS.get(name) or RECOMMENDERS[name](**SMALL.get(name, {}))


def a_world(**influx):
    given = {"newcomers": 60, "arrivals": (0.3, 0.7), **influx}
    return World(incumbents=300, days_before=5, days_after=3, influx=Influx(**given), posts=ANSWERS)


def worlds_of(world, simulations):
    """Worlds run elsewhere: nothing is shared unless the caller shares it."""
    return Worlds(simulations, panel_of(world, EVALUATION), EVALUATION)


def alone(world, seed, names=("control", "influx")):
    audience = audience_of(world)
    return worlds_of(
        world, {name: simulate(world, name, seed, audience=audience) for name in names}
    )


def audience_of(world):
    return Audience(panel_of(world, EVALUATION), EVALUATION.days, EVALUATION.k)


def loop_of(worlds, recommender, names=("control", "influx")):
    return OpenLoop(worlds, names, ("x", "none"), Learned(recommender))


def rows_of(worlds, name, names=("control", "influx")):
    return measuring.measure(loop_of(worlds, make(name), names)).per_user


def feeds_of(worlds, name, arm, day):
    return loop_of(worlds, make(name)).on(arm, day).feeds().groups[0].feeds
