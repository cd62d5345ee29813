"""What each cohort is served from during a tick. Most gates act here.

A closed gate hides newcomers' posts or clicks from incumbents; newcomers see everything.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import Platform
from recsys.statistics import click_rates
from recsys.world.arms import INCUMBENTS, NEWCOMERS, Gate
from recsys.world.day.counts import Counts
from recsys.world.people.behaviour import Conditions
from recsys.world.people.population import LANGUAGES
from recsys.world.people.posts import PostTable
from recsys.world.people.user_states import UserStates
from recsys.world.platform import house
from recsys.world.platform.blend import Shelves
from recsys.world.scene import Scene


class View(NamedTuple):
    """What one cohort is served from during a tick, and the coefficients of its responses."""

    shelves: Shelves
    """Sorted lists of posts for each source."""
    affinity: NDArray[np.float32]
    """(n_people, buckets) how much each person likes each topic × language, as the platform knew it
    in the morning."""
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


Affinities = tuple[NDArray[np.float32], NDArray[np.float32]]
"""`View.affinity` for incumbents and for newcomers; one array for both if all gates are open."""


def affinities_of_both(scene: Scene, states: UserStates) -> Affinities:
    """How much people like topics and languages, from all counts so far.

    Everybody's own counts are their own. The counts of groups pass the gate of training.
    """
    newcomers = _affinities(NEWCOMERS, scene, states)
    if scene.arm.all_open:
        return newcomers, newcomers
    return _affinities(INCUMBENTS, scene, states), newcomers


def _affinities(cohort: int, scene: Scene, states: UserStates) -> NDArray[np.float32]:
    platform, app = scene.world.platform, scene.people.app_language
    learned = slice(None if scene.arm.opens("training", cohort) else scene.world.incumbents)
    rates = click_rates.group_rates(
        states.clicks[learned],
        states.looks[learned],
        app[learned],
        len(LANGUAGES),
        len(scene.world.population.incumbents.topics),
        platform.group_prior,
        platform.most_looks,
    )
    return click_rates.affinities(
        states.clicks, states.looks, app, rates, platform.user_prior, platform.language_weight
    )


def views_of_both(
    scene: Scene, counts: Counts, affinities: Affinities, intercept: float, day: int, tick: int
) -> tuple[View, View]:
    """The views of incumbents and of newcomers; one view for both if all gates are open."""
    newcomers = view_of(NEWCOMERS, scene, counts, affinities, intercept, day, tick)
    if scene.arm.all_open:
        return newcomers, newcomers
    return view_of(INCUMBENTS, scene, counts, affinities, intercept, day, tick), newcomers


def view_of(
    cohort: int,
    scene: Scene,
    counts: Counts,
    affinities: Affinities,
    intercept: float,
    day: int,
    tick: int,
    hidden: NDArray[np.bool_] | None = None,
) -> View:
    """What a cohort is served from during a tick.

    Args:
        cohort: `INCUMBENTS` or `NEWCOMERS`.
        scene: the people and posts.
        counts: clicks and looks so far.
        affinities: the morning's affinities.
        intercept: intercept of the click logit, such as -2.5.
        day, tick: the time, such as 1 and 0.
        hidden: bool (n_posts,), posts that no source may hold; None for no post.
    """
    world, arm = scene.world, scene.arm
    posts, order = scene.posts_for[cohort], scene.orders[cohort]
    now = day + tick / world.ticks
    live = posts.live(now, world.posts.window_days)
    if hidden is not None:
        live &= ~hidden
    by_incumbents = posts.creator < world.incumbents
    supplied = live if arm.opens("supply", cohort) else live & by_incumbents
    exposed = live if arm.opens("exposure", cohort) else live & by_incumbents
    last = clicks_seen(scene, counts.last, "exposure", cohort)
    mean = last[exposed].mean() if exposed.any() else 0.0
    of_influx = last[exposed & posts.influx].sum()

    def seen(of: NDArray[np.float64], gate: Gate) -> NDArray[np.float64]:
        return clicks_seen(scene, of, gate, cohort)

    early = click_rates.early_rates(
        seen(counts.clicks, "training"),
        seen(counts.looks, "training"),
        _expected(cohort, scene, counts)[order.buckets],
        world.platform.post_prior,
    )
    passed = passes(world.platform, seen(counts.clicks, "exposure"), seen(counts.looks, "exposure"))
    return View(
        house.shelve(
            posts,
            order,
            scene.people.n,
            supplied,
            exposed,
            now,
            world.platform,
            affinities[cohort].shape[1],
            early,
            seen(counts.trending, "exposure"),
            passed,
        ),
        affinities[cohort],
        np.log1p(last / max(mean, 1e-9)).astype(np.float32),
        Conditions.on(
            world,
            intercept,
            day,
            influx=scene.has_influx,
            adapted=arm.opens("adaptation", cohort),
            talked_of=float(of_influx / max(last[exposed].sum(), 1e-9)),
        ),
        posts,
        order,
        supplied,
    )


def _expected(cohort: int, scene: Scene, counts: Counts) -> NDArray[np.float64]:
    """Float64 (buckets,): clicks per look at posts of each topic and language."""
    topics = len(scene.world.population.incumbents.topics)
    clicks, looks = (
        np.bincount(
            scene.orders[cohort].buckets,
            clicks_seen(scene, counted, "training", cohort),
            minlength=topics * len(LANGUAGES),
        )
        for counted in (counts.clicks, counts.looks)
    )
    prior = scene.world.platform.group_prior
    return click_rates.bucket_rates(clicks.astype(float), looks.astype(float), topics, prior)


def passes(
    platform: Platform, clicks: NDArray[np.float64], looks: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which posts have passed all pools of traffic that they have used up.

    Args:
        platform: its `stages` are the pools.
        clicks, looks: float (n_posts,), those of each post so far.

    >>> from recsys.config.world import Stage
    >>> strict = Platform(stages=(Stage(looks=100, click_rate=0.1),))
    >>> passes(strict, np.array([0.0, 5.0, 15.0]), np.array([99.0, 100.0, 100.0])).tolist()
    [True, False, True]
    """
    passed = np.ones(looks.size, dtype=np.bool_)
    for stage in platform.stages:
        passed &= (looks < stage.looks) | (clicks >= stage.click_rate * looks)
    return passed


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
