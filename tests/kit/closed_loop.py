"""One arm of a closed loop, simulated alone, and what differs between two of them."""

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from recsys.config import Influx, Posts, World
from recsys.recommenders import RECOMMENDERS
from recsys.study.arms.policy import RecommenderPolicy
from recsys.world.arms import GATES, Arm, Audience
from recsys.world.day.oracle import Oracle
from recsys.world.day.serving import serve_audience
from recsys.world.people.user_states import UserStates
from recsys.world.run import Run
from recsys.world.simulate import Simulation, simulate
from tests.kit.variants import VARIANTS

SMALL = {
    "als": {"factors": 4, "iterations": 3},
    "bpr": {"factors": 8, "iterations": 20},
    "lmf": {"factors": 4, "iterations": 5, "negatives": 5},
    "ranker": {"factors": 4, "candidates": 20, "iterations": 3},
    "two_tower": {"factors": 4, "iterations": 6},
}
NEVER_HERE = (0.0, 0.0, 0.0, 1.0)
IDLE = {"no newcomers": {"newcomers": 0}, "inert newcomers": {"arrivals": NEVER_HERE}}
AUDIENCE = Audience(np.arange(60), (0, 1, 2), 12)
SEED = 1
LONGER, LATER = {"days_after": 6}, Audience(np.arange(60), (0, 2, 5), 12)
NAMES = ["house", "oracle", *RECOMMENDERS, *VARIANTS]
BY_LANGUAGE = ["house", "oracle"]
"""Who ranks new posts by their language; others learn what it is worth, or never look at it."""
NEW_POSTS = ["house", "oracle", "random", "content", "two_tower"]
"""Who serves posts that nobody clicked; others recommend what somebody they learn from clicked."""
ALL, NONE = frozenset(GATES), frozenset()
ANSWERS = Posts(per_creator_day=0.4, posted_across=0.3, adaptation_days=0.1)
"""Newcomers who are there are answered in their language from their second day on."""


def a_world(**changes):
    """150 incumbents who answer 40 newcomers, most of whom post; 3 + 3 days."""
    influx = {
        "newcomers": 40,
        "arrivals": (0.5, 0.5),
        "posts_a_head": 2.4,
        **changes.pop("influx", {}),
    }
    sizes = {"incumbents": 150, "days_before": 3, "days_after": 3, "burn_in_days": 1}
    return World(**{**sizes, "influx": Influx(**influx), "posts": ANSWERS, **changes})


def policy_of(name):
    """The policy of a name in the dict, of the house or the oracle, or of a recommender."""
    if not isinstance(name, str):
        return RecommenderPolicy(name, training_days=7)
    if name in ("house", "oracle"):
        return {"house": None, "oracle": Oracle()}[name]
    recommender = VARIANTS.get(name) or RECOMMENDERS[name](**SMALL.get(name, {}))
    return RecommenderPolicy(recommender, training_days=7)


class Outcome(NamedTuple):
    """An arm that has run, and its users when it was over."""

    simulation: Simulation
    states: UserStates

    @property
    def n(self):
        """Number of incumbents."""
        return self.simulation.world.incumbents

    def served(self, day):
        """Feeds and sources of the incumbents in the audience, and those of the newcomers."""
        served = self.simulation.morning(day).served
        theirs = served.users < self.n
        return [(served.feeds[part], served.sources[part]) for part in (theirs, ~theirs)]


def alone(name, arm, world=None, *, seed=SEED, threads=1, audience=AUDIENCE):
    """Simulates one arm; the house's feeds of the audience are kept like a recommender's."""
    forks, fork, morning = [], Run.fork, Run._morning

    def forked(self, *args):
        forks.append(fork(self, *args))
        return forks[-1]

    def with_served(self, day, both, ranked):
        made = morning(self, day, both, ranked)
        if made is None or made.served:
            return made
        served = serve_audience(self.scene, self.states, both, self.audience, day, None)
        return made._replace(served=served)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "fork", forked)
        patch.setattr(Run, "_morning", with_served)
        simulation = simulate(
            world or a_world(), arm, seed, policy_of(name), audience=audience, threads=threads
        )
    return Outcome(simulation, forks[-1].states)


def differences(one, other, days=AUDIENCE.days):
    """What differs for incumbents, to the bit: events, feeds, and columns of their state."""
    events = [arm.simulation.log.dense.filter(pl.col("user") < arm.n) for arm in (one, other)]
    found = set() if events[0].equals(events[1]) else {"events"}
    for day in days:
        for mine, theirs in zip(one.served(day)[0], other.served(day)[0], strict=True):
            assert mine.size
            if not np.array_equal(mine, theirs):
                found.add("feeds")
    for field in UserStates._fields:
        mine, theirs = (getattr(arm.states, field)[: arm.n] for arm in (one, other))
        if not np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f"):
            found.add(field)
    return found


def plant(monkeypatch, gate):
    """Opens a gate behind the arm's back."""
    closed = Arm.opens
    monkeypatch.setattr(
        Arm, "opens", lambda self, asked, cohort: asked == gate or closed(self, asked, cohort)
    )
