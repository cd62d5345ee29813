"""Checks 1 to 4 and 6: what a platform's log looks like, before the influx and through it."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recsys.config import World
from recsys.logs.schema import KINDS
from recsys.measures.exposure import gini
from recsys.world.arms import ARMS
from recsys.world.frames import Day
from recsys.world.people.notes import first_day
from recsys.world.platform.policy import Policy
from recsys.world.run import Run

_IMPRESSION, _CLICK = (list(KINDS.categories).index(kind) for kind in ("impression", "click"))
_HEAD = 1000
_SMALL = 0.8
"""Creators are small below this quantile of followers."""
_SEGMENT, _SURGE = 0.03, 0.25
"""Newcomers per incumbent active on a day: the size of check 4, and of checks 3 and 6."""
_ACTIVE = 0.4
"""Share of incumbents active on a day."""
_WEEK = 7


def measure_platform(
    world: World, seed: int, policy: Policy | None = None, threads: int = 1
) -> dict[str, float]:
    """Figures of one seed, by name of the quantity.

    Args:
        world: the platform; its influx is taken in two sizes, .03 and .25 of the incumbents'
            daily actives.
        seed: world seed.
        policy: who serves; None for the house.
        threads: threads that simulate.

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
        **_heavy_tail(_joined(run, _SEGMENT)),
        **_surge(_joined(run, _SURGE), run.fork(ARMS["control"])),
    }


def _joined(run: Run, size: float) -> Run:
    """The platform, joined by an influx of a size."""
    newcomers = round(size * _ACTIVE * run.world.incumbents)
    influx = run.world.influx.model_copy(update={"newcomers": newcomers})
    world = run.world.model_copy(update={"influx": influx})
    return replace(run, scene=run.scene._replace(world=world)).fork(ARMS["influx"])


def _popularity(run: Run, days: list[Day]) -> dict[str, float]:
    """Check 1."""
    clicks, shown = (_per_note(days, kind, run.notes.n) for kind in (_CLICK, _IMPRESSION))
    falling = np.sort(clicks[clicks > 0])[::-1]
    head = falling[:_HEAD]
    slope = np.polyfit(np.log(np.arange(1, head.size + 1)), np.log(head), 1)[0]
    follows = run.readers.follows
    followers = np.bincount(follows[follows >= 0], minlength=run.people.n)
    creators = np.unique(run.notes.creator)
    small = followers <= np.quantile(followers[creators], _SMALL)
    return {
        "Zipf slope of clicks, top 1,000": float(slope),
        "Gini of clicks over clicked notes": float(gini(falling)),
        "impressions to small creators": float(shown[small[run.notes.creator]].sum() / shown.sum()),
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


def _heavy_tail(run: Run) -> dict[str, float]:
    """Check 4: whose impressions the newcomers' notes were, in the first week."""
    n = run.world.incumbents
    shown, theirs = np.zeros(n), np.zeros(n)
    for day in run.run_days(0, _WEEK):
        mine = (day.kind == _IMPRESSION) & (day.user < n)
        shown += np.bincount(day.user[mine], minlength=n)
        theirs += np.bincount(day.user[mine & run.notes.influx[day.item]], minlength=n)
    falling = np.sort(theirs)[::-1]
    return {
        "influx in incumbents' impressions": float(theirs.sum() / shown.sum()),
        "most exposed 1 %, times the mean": float(falling[: n // 100].mean() / theirs.mean()),
        "share of the most exposed tenth": float(falling[: n // 10].sum() / theirs.sum()),
    }


def _surge(influx: Run, control: Run) -> dict[str, float]:
    """Check 3: newcomers' daily actives after the reversal. Check 6: how unequal attention is."""
    reversal = influx.world.influx.reversal_day
    end = influx.world.days_after if reversal is None else reversal + _WEEK + 1
    days = list(influx.run_days(0, end))
    figures = {
        "Gini of exposure of fresh notes": _fresh_gini(influx, days)
        - _fresh_gini(control, control.run_days(0, _WEEK))
    }
    if reversal is None:
        return figures
    active = [int(day.traffic.people[1]) for day in days]
    eve, at_once, later = (active[reversal + since] for since in (-1, 0, _WEEK))
    return {
        **figures,
        "newcomers active, reversal day": at_once / eve - 1,
        "newcomers active, a week later": later / eve - 1,
    }


def _fresh_gini(run: Run, days: Iterable[Day]) -> float:
    """Gini of what incumbents were shown in the first week, over the notes fresh in it."""
    shown = np.zeros(run.notes.n)
    for day in days:
        if day.day < _WEEK:
            mine = (day.kind == _IMPRESSION) & (day.user < run.world.incumbents)
            age = day.day + 1 - run.notes.published[day.item]
            fresh = mine & (age <= run.world.platform.fresh_days)
            shown += np.bincount(day.item[fresh], minlength=run.notes.n)
    published = run.notes.published
    candidates = (published > -run.world.platform.fresh_days) & (published < _WEEK)
    return float(gini(shown[candidates]))


def _per_note(days: list[Day], kind: int, n: int) -> NDArray[np.int64]:
    parts = [np.bincount(day.item[day.kind == kind], minlength=n) for day in days]
    return np.asarray(np.sum(parts, axis=0))
