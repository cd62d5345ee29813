"""Speed of the world: pytest tests/benchmarks/bench_world.py --benchmark-only

Targets, on 2 cores: 15 M impressions/s in the response kernel; time that grows no faster than the
number of people to the power of 1.1, from 10,000 to a million of them, and than that of days. A
closed loop with als and as many posts a head grows no faster either, from 20,000 to 320,000 people,
by processor time of one thread. The same loop with ranker and with als is timed in turn.
"""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from recsys.config import Influx, Platform, World
from recsys.core.noise import moment
from recsys.core.threads import over_blocks
from recsys.recommenders import ALS, Ranker
from recsys.study.arms.policy import RecommenderPolicy
from recsys.world.arms import INCUMBENTS
from recsys.world.day.views import affinities_of_both, view_of
from recsys.world.people import behaviour
from recsys.world.people.posts import first_day
from recsys.world.run import Run
from recsys.world.simulate import simulate_days

THREADS = 2
DAYS = 14
RANKS = 40
SIZES = (10_000, 100_000)
WORLDS = ((10_000, 14), (10_000, 56), (100_000, 14), (1_000_000, 14))
"""Incumbents and days; a fourth as many newcomers on top."""
CLOSED = (20_000, 40_000, 80_000, 160_000, 320_000)
"""Incumbents of a closed loop: on a day they publish a post for ten of them, as by default."""
ARRIVALS = (0.14, 0.59, 0.20, 0.04, 0.03)


def a_world(incumbents: int, days: int = DAYS) -> World:
    return World(
        incumbents=incumbents,
        days_before=days // 2,
        days_after=days // 2,
        influx=Influx(newcomers=incumbents // 4, arrivals=ARRIVALS),
        platform=Platform(seen_memory=128),
    )


@pytest.fixture
def say(request, capsys):
    """Writes a line to the terminal."""

    def write(line: str) -> None:
        with capsys.disabled():
            request.config.get_terminal_writer().line(f"\n{line}")

    return write


@pytest.mark.parametrize("incumbents", SIZES)
def bench_respond(benchmark, say, incumbents) -> None:
    """The response kernel, on visits of 40 posts by lot: posts are spread more than feeds are."""
    run = Run.start(a_world(incumbents), 0)
    liking = affinities_of_both(run.scene, run.states)
    view = view_of(INCUMBENTS, run.scene, run.counts, liking, run.intercept, day=0, tick=0)
    random = np.random.default_rng(0)
    users = np.arange(incumbents)
    posts = np.flatnonzero(view.candidates).astype(np.int32)
    feeds = random.choice(posts, (incumbents, RANKS))
    actions, rewards = np.zeros(feeds.shape, np.uint16), np.zeros(incumbents, np.float32)
    conditions = view.conditions._replace(intercept=-3.0)
    examine, when = behaviour.examination(run.world.platform), int(moment(0))
    moods = behaviour.moods(1.5, 0, run.people.address, when)

    def respond(block: slice) -> None:
        behaviour.respond(
            run.people,
            run.states,
            view.posts,
            view.buzz,
            conditions,
            examine,
            moods[block],
            np.uint64(0),
            when,
            users[block],
            feeds[block],
            actions[block],
            rewards[block],
        )

    respond(slice(0, 1))
    benchmark.pedantic(over_blocks, args=(respond, incumbents, THREADS, 1024), rounds=10)
    speed = feeds.size / benchmark.stats.stats.min / 1e6
    benchmark.extra_info["million impressions a second"] = speed
    say(f"{incumbents:,} people, {posts.size:,} posts: {speed:.1f} M impressions/s")


_seconds: dict[tuple[int, int], float] = {}


@pytest.mark.parametrize(("incumbents", "days"), WORLDS)
def bench_simulate(benchmark, say, incumbents, days) -> None:
    """Whole worlds under the house policy, with burn-in; impressions are not kept."""
    world = a_world(incumbents, days)

    def run() -> None:
        for _ in simulate_days(world, "influx", 0, threads=THREADS, impressions=False):
            pass

    if not _seconds:
        for _ in simulate_days(a_world(200), "influx", 0, threads=THREADS, impressions=False):
            pass  # compiles
    benchmark.pedantic(run, rounds=1 if incumbents > max(SIZES) else 2)
    _seconds[incumbents, days] = benchmark.stats.stats.min
    speed = incumbents * days / _seconds[incumbents, days]
    benchmark.extra_info["user-days a second"] = speed
    line = f"{incumbents:,} incumbents, {days} days: {speed:,.0f} user-days/s"
    if len(_seconds) == len(WORLDS):
        powers = [_power(WORLDS[0], other) for other in (WORLDS[3], WORLDS[1])]
        benchmark.extra_info["powers of people and days"] = powers
        line += f"; time grows with people^{powers[0]:.2f} and days^{powers[1]:.2f}"
    say(line)


def _power(less: tuple[int, int], more: tuple[int, int]) -> float:
    """The power of the one size that differs."""
    (ratio,) = (b / a for a, b in zip(less, more, strict=True) if a != b)
    return math.log(_seconds[more] / _seconds[less]) / math.log(ratio)


_a_day: dict[int, float] = {}


@pytest.mark.parametrize("incumbents", CLOSED)
def bench_closed(benchmark, say, incumbents) -> None:
    """A day of a closed loop: a fit of als that goes on from yesterday's, and all visits."""
    als = ALS(
        factors=32, regularization=1, frequency=0, alpha=10, warm_iterations=1, retrieval="pruned"
    )
    run = Run.start(a_world(incumbents, 8), 0, 1, RecommenderPolicy(als, 7), impressions=False)
    looks = 0
    for _ in run.run_days(first_day(run.world), -2):
        pass

    def two_days() -> None:
        nonlocal looks
        start = time.process_time()
        looks = sum(int(day.traffic.impressions.sum()) for day in run.run_days(-2, 0))
        _a_day[incumbents] = (time.process_time() - start) / 2

    benchmark.pedantic(two_days, rounds=1)
    line = (
        f"{incumbents:,} people: {_a_day[incumbents]:.2f} s of processor time a day, "
        f"{looks / 2 / _a_day[incumbents]:,.0f} looks/s"
    )
    if len(_a_day) == len(CLOSED):
        power = float(np.polyfit(*np.log([list(_a_day), list(_a_day.values())]), 1)[0])
        benchmark.extra_info["power of people"] = power
        line += f"; time grows with people^{power:.2f}"
        say(line)
        assert power <= 1.1
        return
    say(line)


def bench_ranker(benchmark, say) -> None:
    """Ten days of a closed loop of 2,000 people, ranker and als in turn, by processor time."""

    def loop(kind: type[ALS] | type[Ranker], incumbents: int = 2_000) -> float:
        influx = Influx(newcomers=incumbents // 100, arrivals=ARRIVALS)
        world = World(incumbents=incumbents, days_before=5, days_after=5, influx=influx)
        policy = RecommenderPolicy(kind())
        start = time.process_time()
        for _ in simulate_days(
            world, "influx", 0, policy=policy, threads=1, impressions=policy.impressions
        ):
            pass
        return time.process_time() - start

    kinds = (ALS, Ranker)
    for kind in kinds:
        loop(kind, 200)  # compiles
    seconds: list[tuple[float, ...]] = []
    benchmark.pedantic(lambda: seconds.append(tuple(loop(kind) for kind in kinds)), rounds=3)
    als, ranker = np.array(seconds).min(axis=0)
    benchmark.extra_info["times als"] = ranker / als
    say(f"als {als:.2f} s, ranker {ranker:.2f} s: {ranker / als:.1f} times als")
