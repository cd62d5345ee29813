"""What each cohort is served from during a tick: here most gates are open or closed.

A closed gate hides newcomers' notes or clicks from incumbents. Newcomers see everything.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.world.arms import INCUMBENTS, NEWCOMERS, Gate
from recsys.world.day.counts import Counts
from recsys.world.people.behaviour import Conditions
from recsys.world.people.notes import NoteTable
from recsys.world.platform import house
from recsys.world.platform.blend import Shelves
from recsys.world.scene import Scene


class View(NamedTuple):
    """What one cohort is served from during a tick, and on what terms it responds."""

    shelves: Shelves
    buzz: NDArray[np.float32]
    """(n_notes,) log of 1 + clicks in the last tick, relative to the mean note's."""
    conditions: Conditions
    notes: NoteTable
    """As the cohort is given them."""
    order: house.Order
    """Of these notes."""
    candidates: NDArray[np.bool_]
    """(n_notes,) what personal slots may hold."""

    def with_intercept(self, intercept: float) -> "View":
        """The same, on another intercept of the click logit."""
        return self._replace(conditions=self.conditions._replace(intercept=intercept))


def views_of_both(
    scene: Scene, counts: Counts, intercept: float, day: int, tick: int
) -> tuple[View, View]:
    """The views of incumbents and of newcomers; one and the same if all gates are open."""
    newcomers = view_of(NEWCOMERS, scene, counts, intercept, day, tick)
    if scene.arm.all_open:
        return newcomers, newcomers
    return view_of(INCUMBENTS, scene, counts, intercept, day, tick), newcomers


def view_of(
    cohort: int, scene: Scene, counts: Counts, intercept: float, day: int, tick: int
) -> View:
    """What a cohort is served from.

    Args:
        cohort: incumbents or newcomers.
        scene: who and what is there.
        counts: clicks so far.
        intercept: of the click logit.
        day, tick: the time.
    """
    world, arm = scene.world, scene.arm
    notes, order = scene.given[cohort], scene.orders[cohort]
    now = day + tick / world.ticks
    live = notes.live(now, world.notes.window_days)
    by_incumbents = notes.creator < world.incumbents
    supplied = live if arm.opens("supply", cohort) else live & by_incumbents
    exposed = live if arm.opens("exposure", cohort) else live & by_incumbents
    last = clicks_seen(scene, counts.last, "exposure", cohort)
    mean = last[exposed].mean() if exposed.any() else 0.0
    return View(
        house.shelve(
            notes,
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
        notes,
        order,
        supplied,
    )


def clicks_seen(
    scene: Scene, counts: NDArray[np.float64], gate: Gate, cohort: int
) -> NDArray[np.float64]:
    """Everybody's clicks, or the incumbents' alone where a gate is closed to a cohort."""
    return np.asarray(counts.sum(axis=0) if scene.arm.opens(gate, cohort) else counts[INCUMBENTS])
