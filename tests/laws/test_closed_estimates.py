"""The closed loop under the laws on numbers of rows and on intervals."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from recsys.config import Evaluation, Influx, World
from recsys.logs.log import InteractionLog, Seen
from recsys.recommenders import RECOMMENDERS
from recsys.statistics import two_way_interval
from recsys.study.arms import measuring
from recsys.study.arms.closed_loop import ClosedLoop
from recsys.study.arms.policy import RecommenderPolicy
from recsys.study.arms.worlds import Worlds, panel_of
from recsys.world.arms import ARMS, Audience
from recsys.world.simulate import simulate, simulate_arms

OPTIONS = {
    "als": {"factors": 4, "iterations": 3},
    "bpr": {"factors": 8, "iterations": 20},
    "lmf": {"factors": 4, "iterations": 5, "negatives": 5},
    "ranker": {"factors": 4, "candidates": 20, "iterations": 3},
    "two_tower": {"factors": 4, "iterations": 2},
}
RENUMBERED = [name for name in RECOMMENDERS if name != "random"]


def make(name):
    return RECOMMENDERS[name](**OPTIONS.get(name, {}))


def a_world(**changes):
    """150 incumbents, 40 newcomers most of whom post, 3 + 3 days."""
    influx = Influx(newcomers=40, arrivals=(0.5, 0.5), posts_a_head=2.4)
    sizes = {"incumbents": 150, "days_before": 3, "days_after": 3, "burn_in_days": 1}
    return World(**{**sizes, "influx": influx, **changes})


# Numbers of rows


@dataclass(frozen=True)
class Renumbered:
    """A policy that is shown everybody and every post under another row number."""

    policy: RecommenderPolicy
    incumbents: int

    @property
    def training_days(self):
        return self.policy.training_days

    @property
    def impressions(self):
        return self.policy.impressions

    @property
    def by_need(self):
        return self.policy.by_need

    def fit(self, log, seed, previous):
        rng = np.random.default_rng(5)
        n, cut = log.n_users, self.incumbents
        users = np.concatenate([rng.permutation(cut), cut + rng.permutation(n - cut)])
        items = rng.permutation(log.n_items)
        events = log.dense.with_columns(
            pl.Series("user", np.argsort(users)[log.dense["user"]].astype(np.uint32)),
            pl.Series("item", np.argsort(items)[log.dense["item"]].astype(np.uint32)),
        )
        shuffled = InteractionLog(log.users[users], log.items[items], events)
        before = previous.ranker if isinstance(previous, RenumberedRanker) else None
        return RenumberedRanker(self.policy.fit(shuffled, seed, before), users, items)


@dataclass(frozen=True)
class RenumberedRanker:
    ranker: object
    users: np.ndarray
    items: np.ndarray

    def rank(self, users, k, candidates, seen):
        to_new = np.append(np.argsort(self.items), -1).astype(np.int32)  # -1 stays -1
        theirs = Seen(seen.start[self.users], seen.end[self.users], to_new[seen.items])
        rows = np.argsort(self.users)[users]
        ids, sources = self.ranker.rank(rows, k, candidates[self.items], theirs)
        return np.append(self.items, -1).astype(np.int32)[ids], sources


@pytest.mark.parametrize("name", RENUMBERED)
def test_numbers_of_rows_mean_nothing(name):
    """Relabelled users and posts get the same feeds, and so the same platform, to the bit."""
    world, audience = a_world(), Audience(np.arange(60), (0, 1, 2), 12)
    policy = RecommenderPolicy(make(name), training_days=7)
    plain, other = (
        simulate(world, "influx", 1, served_by, audience=audience)
        for served_by in (policy, Renumbered(policy, world.incumbents))
    )
    assert plain.log.dense.equals(other.log.dense)
    for day in audience.days:
        np.testing.assert_array_equal(
            plain.morning(day).served.feeds, other.morning(day).served.feeds
        )


# Intervals


SEEDS = range(4)


def covered(name, repetitions, measures):
    """How many of the repetitions' 95 % intervals of composition cover 0, by measure."""
    counts = dict.fromkeys(measures, 0)
    arms = {
        "control": ARMS["control"],
        "influx": ARMS["placebo_2"]._replace(retrained=True),
        "placebo": ARMS["placebo"]._replace(retrained=True),
    }
    evaluation = Evaluation(days=(1, 2), k=10, panel=60)
    for repetition in range(repetitions):
        world = a_world(population_seed=100 + repetition)
        per_user = []
        for seed in SEEDS:
            panel = panel_of(world, evaluation)
            audience = Audience(panel, evaluation.days, evaluation.k)
            policy = RecommenderPolicy(make(name), 7)
            worlds = simulate_arms(world, list(arms.values()), seed, policy, audience=audience)
            named = Worlds({arm: worlds[of] for arm, of in arms.items()}, panel, evaluation)
            per_user.append(measuring.measure(ClosedLoop(named, (name, "none"))).per_user)
        headline = pl.concat(per_user).filter(
            pl.col("day").is_null(), pl.col("cohort") == "incumbent"
        )
        for measure in measures:
            y = [
                headline.filter(pl.col("arm") == arm)[measure].to_numpy().reshape(len(SEEDS), -1).T
                for arm in ("influx", "placebo")
            ]
            composition = two_way_interval(y[0] - y[1])
            counts[measure] += bool(composition.low <= 0 <= composition.high)
    return counts


@pytest.mark.parametrize("name", ["trending", "als"])
def test_a_second_placebo_is_no_influx_where_recommenders_serve(held_measures, name):
    """A few repetitions of the slow test, which holds the bound more tightly.

    Of 4, fewer than 2 have a chance of 5e-4 if each has .95.
    """
    counts = covered(name, 4, held_measures)
    assert min(counts.values()) >= 2, counts


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trending", "als"])
def test_a_second_placebo_is_no_influx_in_many_repetitions(held_measures, name):
    """The 95 % interval of composition covers 0 in about 95 % of repetitions.

    Of 16, fewer than 12 have a chance below 1 in 1,000 if each has .95.
    """
    counts = covered(name, 16, held_measures)
    assert min(counts.values()) >= 12, counts
