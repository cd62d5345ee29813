"""User-steps a second of recsys: a user-step is one visit, its feed ranked and every look answered.

Arguments: people, live posts. The days before the first timed one make the history that is ranked
from; code is compiled in them. Visits are as by default, and then one a day from each person of
about ten posts, as in the other simulators.
"""

import sys
import time
from pathlib import Path

from said import say

import recsys
from recsys.config import Influx, World
from recsys.mitigations.build import make_recommender
from recsys.study.arms.policy import RecommenderPolicy
from recsys.world.simulate import simulate_days

WARM, TIMED = 10, 6
NOBODY = Influx(newcomers=0, arrivals=(1.0,))
VISITS = {"": {}, ", visits of ten posts": {"depth_rho": 0.9, "visits_per_day": 1.0}}
"""What is changed of the world: the exponent of the scroll depth, and visits a person and day."""
FULL_SIZE = Path(__file__).parents[3] / "configs/full_size.yaml"
"""Names the als that is compared: a sweep each morning from yesterday's vectors on, and pruning."""


def world_of(people: int, posts: int, changed: dict[str, float]) -> World:
    """A world of so many people and live posts, whom nobody joins."""
    world = World(incumbents=people, days_before=WARM, days_after=TIMED + 1, influx=NOBODY)
    rate = posts / (world.population.creators * people * world.posts.window_days)
    parts = {"posts": {"per_creator_day": rate}, "population": {}, "behaviour": {}}
    for name, value in changed.items():
        parts["population" if name == "visits_per_day" else "behaviour"][name] = value
    parts_of_world = {
        part: getattr(world, part).model_copy(update=update) for part, update in parts.items()
    }
    return world.model_copy(update=parts_of_world)


def main(people: int, posts: int) -> None:
    (als,) = recsys.load_study(FULL_SIZE).recommenders
    policies = {"house": None, "closed als": RecommenderPolicy(make_recommender(als))}
    for words, changed in VISITS.items():
        world = world_of(people, posts, changed)
        for name, policy in policies.items():
            visits, looks, began = 0, 0, 0.0
            for day in simulate_days(world, "control", policy=policy, impressions=False):
                if day.day > 0:
                    visits += day.visits
                    looks += int(day.traffic.impressions.sum())
                if day.day == 0:  # the arm has begun, with its copy of the state
                    began = time.process_time()
            seconds = time.process_time() - began
            say(f"recsys, {name}{words}", visits, seconds, slate=looks / visits, steps=TIMED)


main(*map(int, sys.argv[1:]))
