"""User-steps a second of recsys: a user-step is one visit, its feed ranked and every look answered.

Arguments: people, live posts. The days before the first timed one make the history that is ranked
from; code is compiled in them.
"""

import sys
import time

from said import say

from recsys.config import Influx, World
from recsys.recommenders import RECOMMENDERS
from recsys.study.arms.policy import RecommenderPolicy
from recsys.world.simulate import simulate_days

WARM, TIMED = 10, 4


def main(people: int, posts: int) -> None:
    nobody = Influx(newcomers=0, arrivals=(1.0,))
    world = World(incumbents=people, days_before=WARM, days_after=TIMED, influx=nobody)
    creators, days = world.population.creators * people, world.posts.window_days
    rate = posts / (creators * days)
    world = world.model_copy(
        update={"posts": world.posts.model_copy(update={"per_creator_day": rate})}
    )
    als = RecommenderPolicy(RECOMMENDERS["als"](factors=32))
    for name, policy in {"house": None, "closed als": als}.items():
        visits, looks, began = 0, 0, 0.0
        for day in simulate_days(world, "control", policy=policy):
            if day.day >= 0:
                visits += day.visits
                looks += int(day.traffic.impressions.sum())
            if day.day == -1:
                began = time.process_time()
        seconds = time.process_time() - began
        say(f"recsys, {name}", visits, seconds, slate=looks / visits, steps=TIMED)


main(*map(int, sys.argv[1:]))
