"""The arms of an open loop on simulations that share nothing."""

from recsys.config import Evaluation, Influx, Notes, World
from recsys.recommenders import RECOMMENDERS
from recsys.study.arms.open_loop import WorldArms
from recsys.world.arms import Audience
from recsys.world.simulate import simulate

SMALL = {
    "als": {"factors": 8, "iterations": 5},
    "bpr": {"factors": 8, "iterations": 20},
    "lmf": {"factors": 4, "iterations": 5, "negatives": 5},
    "ranker": {"factors": 4, "candidates": 20, "iterations": 3},
}
EVALUATION = Evaluation(days=(1, 2), k=10, panel=80, training_days=6)
NEVER_HERE = (0.0,) * 3 + (1.0,)
ANSWERS = Notes(posted_across=0.3, adaptation_days=0.1)
"""Newcomers who are there are answered in their language from their second day on."""


def make(name):
    return RECOMMENDERS[name](**SMALL.get(name, {}))


def a_world(**influx):
    given = {"newcomers": 60, "arrivals": (0.3, 0.7), **influx}
    return World(incumbents=300, days_before=5, days_after=3, influx=Influx(**given), notes=ANSWERS)


def arms_of(world, seed, simulations, names=("control", "influx")):
    """Arms on simulations made elsewhere: nothing is shared unless the caller shares it."""
    arms = WorldArms(world, EVALUATION, names, seed)
    arms.__dict__["simulations"] = simulations
    return arms


def alone(world, seed, names=("control", "influx")):
    audience = audience_of(world)
    worlds = {name: simulate(world, name, seed, audience=audience) for name in names}
    return arms_of(world, seed, worlds, names)


def audience_of(world):
    panel = WorldArms(world, EVALUATION, ("control",), 0).panel
    return Audience(panel, EVALUATION.days, EVALUATION.k)


def feeds_of(arms, name, arm, day):
    return arms._feeds(make(name), arm, day, (arms.panel,))[0][0]
