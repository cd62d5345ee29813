"""Checks 1 to 4 and 6: figures of the log of a platform, before and during an influx."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recsys.checks.validation.tail import measure_tail
from recsys.config import World
from recsys.logs.schema import KINDS
from recsys.measures.exposure import gini
from recsys.world.arms import ARMS
from recsys.world.day.values import Day
from recsys.world.people.posts import first_day
from recsys.world.platform.policy import Policy
from recsys.world.run import Run

_IMPRESSION, _CLICK = (list(KINDS.categories).index(kind) for kind in ("impression", "click"))
_HEAD = 1000
"""Number of the most clicked posts to which the Zipf slope is fitted."""
_SMALL = 0.8
"""A creator up to this quantile of followers is small."""
_SEGMENT, _SURGE = 0.03, 0.25
"""Newcomers per incumbent who is active on a day, in check 4 and in checks 3 and 6."""
_ACTIVE = 0.4
"""Share of incumbents who are active on a day."""
_WEEK = 7


def measure_platform(
    world: World, seed: int, policy: Policy | None = None, threads: int = 1
) -> dict[str, float]:
    """Figures of one seed, by name of the quantity.

    Args:
        world: the platform. Its influx is simulated in two sizes, .03 and .25 newcomers per
            incumbent who is active on a day.
        seed: world seed, such as 0.
        policy: the policy that serves; None for the house feed.
        threads: number of threads that simulate.

    >>> from recsys.config import Influx, World
    >>> small = World(incumbents=300, days_before=2, days_after=16, influx=Influx(
    ...     newcomers=9, arrivals=(1.0,)))
    >>> measure_platform(small, seed=0)["clicks per visit with a click: median"]
    2.0
    """
    run = Run.start(world, seed, threads, policy)
    log = [day for day in run.run_days(first_day(world), 0) if day.day >= -world.days_before]
    return {
        **_popularity(run, log),
        **_visits(log),
        **measure_tail(_joined(run, _SEGMENT)),
        **_surge(_joined(run, _SURGE), run.fork(ARMS["control"])),
    }


def _joined(run: Run, size: float) -> Run:
    """The platform with an influx of some size, in newcomers per active incumbent."""
    newcomers = round(size * _ACTIVE * run.world.incumbents)
    influx = run.world.influx.model_copy(update={"newcomers": newcomers})
    world = run.world.model_copy(update={"influx": influx})
    return replace(run, scene=run.scene._replace(world=world)).fork(ARMS["influx"])


def _popularity(run: Run, days: list[Day]) -> dict[str, float]:
    """Check 1."""
    clicks, shown = (_per_post(days, kind, run.posts.n) for kind in (_CLICK, _IMPRESSION))
    descending = np.sort(clicks[clicks > 0])[::-1]
    head = descending[:_HEAD]
    slope = np.polyfit(np.log(np.arange(1, head.size + 1)), np.log(head), 1)[0]
    follows = run.states.follows
    followers = np.bincount(follows[follows >= 0], minlength=run.people.n)
    creators = np.unique(run.posts.creator)
    small = followers <= np.quantile(followers[creators], _SMALL)
    return {
        "Zipf slope of clicks, top 1,000": float(slope),
        "Gini of clicks over clicked posts": float(gini(descending)),
        "impressions to small creators": float(shown[small[run.posts.creator]].sum() / shown.sum()),
    }


def _visits(days: list[Day]) -> dict[str, float]:
    """Check 2."""
    visits = np.sum([day.traffic.visits_by_clicks.sum(axis=0) for day in days], axis=0)[1:]
    clicks, below = np.arange(1, visits.size + 1), np.cumsum(visits)
    name = "clicks per visit with a click"
    return {
        f"{name}: median": float(clicks[np.searchsorted(below, 0.5 * below[-1])]),
        f"{name}: mean": float(visits @ clicks / visits.sum()),
        f"{name}: p90": float(clicks[np.searchsorted(below, 0.9 * below[-1])]),
    }


def _surge(influx: Run, control: Run) -> dict[str, float]:
    """Check 3: newcomers active after the reversal. Check 6: inequality of attention."""
    reversal = influx.world.influx.reversal_day
    end = influx.world.days_after if reversal is None else reversal + _WEEK + 1
    days = list(influx.run_days(0, end))
    figures = {
        "Gini of exposure of fresh posts": _fresh_gini(influx, days)
        - _fresh_gini(control, control.run_days(0, _WEEK))
    }
    if reversal is None:
        return figures
    active = [int(day.traffic.people[1]) for day in days]
    day_before, same_day, week_later = (active[reversal + days] for days in (-1, 0, _WEEK))
    return {
        **figures,
        "newcomers active, reversal day": same_day / day_before - 1,
        "newcomers active, a week later": week_later / day_before - 1,
    }


def _fresh_gini(run: Run, days: Iterable[Day]) -> float:
    """Gini of incumbents' impressions in the first week, over the posts that were fresh then."""
    shown = np.zeros(run.posts.n)
    for day in days:
        if day.day < _WEEK:
            counted = (day.kind == _IMPRESSION) & (day.user < run.world.incumbents)
            age = day.day + 1 - run.posts.published[day.item]
            fresh = counted & (age <= run.world.platform.fresh_days)
            shown += np.bincount(day.item[fresh], minlength=run.posts.n)
    published = run.posts.published
    candidates = (published > -run.world.platform.fresh_days) & (published < _WEEK)
    return float(gini(shown[candidates]))


def _per_post(days: list[Day], kind: int, n: int) -> NDArray[np.int64]:
    """Int64 (n,): number of events of a kind on each post."""
    counts = [np.bincount(day.item[day.kind == kind], minlength=n) for day in days]
    return np.asarray(np.sum(counts, axis=0))
