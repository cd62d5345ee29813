"""What each cohort is served from during a tick. Most gates act here.

A closed gate hides newcomers' posts or clicks from incumbents; newcomers see everything.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.world.arms import INCUMBENTS, NEWCOMERS, Gate
from recsys.world.day.counts import Counts
from recsys.world.people.behaviour import Conditions
from recsys.world.people.posts import PostTable
from recsys.world.platform import house
from recsys.world.platform.blend import Shelves
from recsys.world.scene import Scene


class View(NamedTuple):
    """What one cohort is served from during a tick, and the coefficients of its responses."""

    shelves: Shelves
    """Sorted lists of posts for each source."""
    buzz: NDArray[np.float32]
    """(n_posts,) log(1 + clicks in the last tick / mean clicks of a post)."""
    conditions: Conditions
    """Coefficients of the click logit on that day."""
    posts: PostTable
    """The posts as this cohort gets them; see `Scene.posts_for`."""
    order: house.Order
    """The `Order` of these posts."""
    candidates: NDArray[np.bool_]
    """(n_posts,) posts that personal slots may hold."""

    def with_intercept(self, intercept: float) -> "View":
        """The same view with another intercept of the click logit, such as -2.5."""
        return self._replace(conditions=self.conditions._replace(intercept=intercept))


def views_of_both(
    scene: Scene, counts: Counts, intercept: float, day: int, tick: int
) -> tuple[View, View]:
    """The views of incumbents and of newcomers; one view for both if all gates are open."""
    newcomers = view_of(NEWCOMERS, scene, counts, intercept, day, tick)
    if scene.arm.all_open:
        return newcomers, newcomers
    return view_of(INCUMBENTS, scene, counts, intercept, day, tick), newcomers


def view_of(
    cohort: int, scene: Scene, counts: Counts, intercept: float, day: int, tick: int
) -> View:
    """What a cohort is served from during a tick.

    Args:
        cohort: `INCUMBENTS` or `NEWCOMERS`.
        scene: the people and posts.
        counts: clicks so far.
        intercept: intercept of the click logit, such as -2.5.
        day, tick: the time, such as 1 and 0.
    """
    world, arm = scene.world, scene.arm
    posts, order = scene.posts_for[cohort], scene.orders[cohort]
    now = day + tick / world.ticks
    live = posts.live(now, world.posts.window_days)
    by_incumbents = posts.creator < world.incumbents
    supplied = live if arm.opens("supply", cohort) else live & by_incumbents
    exposed = live if arm.opens("exposure", cohort) else live & by_incumbents
    last = clicks_seen(scene, counts.last, "exposure", cohort)
    mean = last[exposed].mean() if exposed.any() else 0.0
    return View(
        house.shelve(
            posts,
            order,
            scene.people.n,
            supplied,
            exposed,
            now,
            world.platform,
            clicks_seen(scene, counts.trending, "exposure", cohort),
            clicks_seen(scene, counts.buckets[cohort], "training", cohort),
        ),
        np.log1p(last / max(mean, 1e-9)).astype(np.float32),
        Conditions.on(
            world,
            intercept,
            day,
            influx=scene.has_influx,
            adapted=arm.opens("adaptation", cohort),
        ),
        posts,
        order,
        supplied,
    )


def clicks_seen(
    scene: Scene, counts: NDArray[np.float64], gate: Gate, cohort: int
) -> NDArray[np.float64]:
    """The clicks that a cohort's feeds may depend on: all, or the incumbents' if a gate is closed.

    Args:
        scene: its arm says which gates are open.
        counts: float (2, …), clicks of incumbents and of newcomers.
        gate: the gate that the clicks pass, such as "exposure".
        cohort: `INCUMBENTS` or `NEWCOMERS`.
    """
    return np.asarray(counts.sum(axis=0) if scene.arm.opens(gate, cohort) else counts[INCUMBENTS])
