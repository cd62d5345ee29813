"""Check 4: a small influx is a small share of the mean feed, and a large share of some feeds.

What counts is the feed that a user would get in the morning, not what a user has seen: people who
read more see more of everything, so a heavy tail of impressions proves nothing.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from recsys.logs.schema import KIND_CODES
from recsys.world.arms import Audience
from recsys.world.day.values import Day, Served
from recsys.world.people.population import LANGUAGES
from recsys.world.run import Run

K = 20
"""Slots of a feed that count."""
WEEK = 7
TOP = 0.01
"""Share of the incumbents who are the most exposed."""
LARGE = 10_000
"""Incumbents from which on a world is large enough to hold an extreme user."""


def measure_tail(run: Run) -> dict[str, float]:
    """Figures of the incumbents' feeds on days 1 to 7, by name of the quantity.

    Args:
        run: a platform with newcomers, on the morning of day 0.

    Returns:
        The figures of check 4 in `recsys.checks.verdicts.QUANTITIES`. One needs a large world: see
        `LARGE`.
    """
    n = run.world.incumbents
    watched = replace(run, audience=Audience(np.arange(n), tuple(range(1, WEEK + 1)), K))
    before = watched.states.n_seen[:n].copy()
    days = list(watched.run_days(0, WEEK + 1))
    looks = watched.states.n_seen[:n] - before
    law, skill = run.world.population.incumbents, run.people.skill[:n]
    bilingual = skill.min(axis=1) >= law.skill_bilingual
    feeds = [day.morning.served for day in days if day.morning is not None]
    by_newcomers = run.posts.influx
    taken, slots = taken_slots(feeds, by_newcomers, n)
    figures = tail_figures(taken, slots, bilingual, looks)
    if n < LARGE:
        del figures["newcomers' posts in the most exposed feed"]
    return {**figures, **_answer(watched), **_comments(days, by_newcomers)}


def taken_slots(
    feeds: list[Served], by_newcomers: NDArray[np.bool_], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Slots with newcomers' posts and filled slots, int64 (n,) each, of the first n users.

    Args:
        feeds: the feeds of some days.
        by_newcomers: bool (n_posts,), which posts are by newcomers.
        n: number of incumbents.
    """
    taken, slots = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for served in feeds:
        mine = served.users < n
        users, posts = served.users[mine], served.feeds[mine]
        filled = posts >= 0
        slots[users] += filled.sum(axis=1)
        taken[users] += (filled & by_newcomers[np.maximum(posts, 0)]).sum(axis=1)
    return taken, slots


def tail_figures(
    taken: NDArray[np.int64],
    slots: NDArray[np.int64],
    bilingual: NDArray[np.bool_],
    looks: NDArray[np.int64],
) -> dict[str, float]:
    """How unequally newcomers' posts fall on incumbents' feeds, by name of the quantity.

    Args:
        taken: int (n,), slots with newcomers' posts in each user's feeds of a week.
        slots: int (n,), filled slots in these feeds.
        bilingual: bool (n,), who reads the newcomers' language well.
        looks: int (n,), posts that each user was shown in the week.

    >>> taken, bilingual = np.zeros(1000, np.int64), np.arange(1000) < 100
    >>> taken[:10] = 14
    >>> figures = tail_figures(taken, np.full(1000, 140), bilingual, np.ones(1000, np.int64))
    >>> round(figures["feeds: most exposed 1 %, times the mean"], 3)
    100.0
    """
    share = taken / np.maximum(slots, 1)
    most = np.argsort(-share, kind="stable")[: max(round(TOP * share.size), 1)]
    mean, top = share.mean(), share[most].mean()
    thinned = _top_of_chance(mean, int(np.median(slots)))
    reached, others = share[bilingual].mean(), share[~bilingual].mean()
    usual = max(looks.mean(), 1e-9)
    return {
        "feeds: newcomers' share": float(mean),
        "feeds: most exposed 1 %, times the mean": float(top / mean) if mean else 0.0,
        "feeds: most exposed 1 %, times chance": float(top / thinned) if mean else 0.0,
        "most exposed 1 %: share of bilinguals": float(bilingual[most].mean()) if mean else 0.0,
        "feeds: bilinguals, times others": float(reached / others) if others else 0.0,
        "most exposed 1 %: looks, times the mean": float(looks[most].mean() / usual),
        "newcomers' posts in the most exposed feed": float(share.max()),
    }


def _top_of_chance(mean: float, slots: int) -> float:
    """Mean share of the most exposed 1 % if each slot were taken with the same probability.

    The number of taken slots is then binomial, and its upper hundredth has this mean.
    """
    counts = np.arange(slots + 1)
    chance = binom.pmf(counts, slots, mean)
    above = np.cumsum(chance[::-1])[::-1]
    within = np.minimum(above, TOP) - np.minimum(np.append(above[1:], 0.0), TOP)
    return float(within @ counts / TOP / slots)


def _answer(run: Run) -> dict[str, float]:
    """How much newcomers' language has gained among incumbents' posts by the end of the week."""
    posts, language = run.posts, LANGUAGES.index(run.world.population.newcomers.language)
    own = posts.creator < run.world.incumbents
    before = own & (posts.published < 0)
    after = own & (posts.published >= WEEK - 3) & (posts.published < WEEK)
    shares = [(posts.language[chosen] == language).mean() for chosen in (before, after)]
    return {"incumbents' posts in newcomers' language": float(shares[1] - shares[0])}


def _comments(days: list[Day], by_newcomers: NDArray[np.bool_]) -> dict[str, float]:
    """Comments on newcomers' posts for each time that one was opened."""
    counts = {
        kind: sum(int((by_newcomers[day.item[day.kind == KIND_CODES[kind]]]).sum()) for day in days)
        for kind in ("comment", "click")
    }
    return {"comments per opened post of newcomers": counts["comment"] / max(counts["click"], 1)}
