"""Synthetic logs: runs a world in one arm or several, day by day or to its end.

Open loop: the house policy serves. Closed loop: a recommender under study serves, and each morning
it is trained again on what its own feeds have led to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.config.world import World
from recsys.core.errors import ConfigError
from recsys.core.lazy import lazy
from recsys.core.noise import moment
from recsys.logs.log import InteractionLog, Seen
from recsys.logs.pairs import Pairs, distinct_pairs
from recsys.world.arms import ARMS, INCUMBENTS, NEWCOMERS, Arm, Audience, Twin
from recsys.world.day.oracle import Oracle
from recsys.world.day.values import Day, Liked, Morning
from recsys.world.frames import events_frame, items_frame, users_frame
from recsys.world.life import LIFE, life_frame
from recsys.world.parked import Parked
from recsys.world.people import behaviour
from recsys.world.people.behaviour import Conditions
from recsys.world.people.population import People
from recsys.world.people.posts import PostTable, first_day
from recsys.world.platform.blend import Lists, blend, slot_pattern
from recsys.world.platform.policy import Policy
from recsys.world.run import Run
from recsys.world.trials import Trial, TrialRun


@dataclass(frozen=True)
class Simulation:
    """One arm of one seed, run to its end: the people, the posts, and the days.

    Attributes:
        world: the config.
        arm: the arm.
        seed: world seed.
        people: all people.
        posts_for: all posts as incumbents and as newcomers get them; see `Scene.posts_for`.
        intercept: intercept of the click logit.
        days: the days after the burn-in.
    """

    world: World
    arm: Arm
    seed: int
    people: People
    posts_for: tuple[PostTable, PostTable]
    intercept: float
    days: tuple[Day, ...]

    @property
    def posts(self) -> PostTable:
        """All posts as they are published."""
        return self.posts_for[NEWCOMERS]

    @lazy
    def users(self) -> pl.DataFrame:
        """The users of the log."""
        return users_frame(self.world, self.people)

    @lazy
    def items(self) -> pl.DataFrame:
        """The items of the log: all posts that may be published, as incumbents get them."""
        return items_frame(self.world, self.posts_for[INCUMBENTS])

    @property
    def from_newcomers(self) -> NDArray[np.bool_]:
        """Bool (n_posts,): which posts are by newcomers."""
        return np.asarray(self.posts.creator >= self.world.incumbents)

    @lazy
    def log(self) -> InteractionLog:
        """The log of all days after the burn-in."""
        return InteractionLog(self.users, self.items, events_frame(self.days))

    @lazy
    def life(self) -> pl.DataFrame:
        """Visits, clicks, satisfaction and more: a row per day and cohort, columns as in `LIFE`."""
        if self.days and self.days[0].life:
            return pl.DataFrame([row for day in self.days for row in day.life], schema=LIFE)
        return life_frame(self.world, self.seed, self.days, self.people, self.posts_for)

    def log_before(self, day: int, training_days: int | None = None) -> InteractionLog:
        """The log up to the start of a day, to train on.

        Nothing but keys and cohorts is known of posts that are not published when the day begins,
        and of people who join on a later day.

        Args:
            day: the day on which feeds will be served, such as 6.
            training_days: events more than this many days old get weight 0: they count as seen and
                are not learned from. None to learn from all.
        """
        sizes = {past.day: past.user.size for past in self.days if past.day < day}
        events = self.log.dense.head(sum(sizes.values()))
        if training_days is not None:
            old = sum(size for past, size in sizes.items() if past < day - training_days)
            weight = events["weight"].to_numpy().copy()
            weight[:old] = 0
            events = events.with_columns(weight=pl.Series(weight))
        users = users_frame(self.world, self.people, day)
        items = items_frame(self.world, self.posts_for[INCUMBENTS], day)
        log = InteractionLog(users, items, events)
        log.__dict__["seen"] = self._pairs.among_first(events.height, log.n_items)
        return log

    @lazy
    def _pairs(self) -> Pairs:
        """Who was shown what, and at which event first; `seen` of any morning follows from it."""
        events = self.log.dense
        user, item = events["user"].to_numpy(), events["item"].to_numpy()
        anything = np.ones(user.size, dtype=np.bool_)
        return distinct_pairs(user, item, anything, self.log.n_users, self.log.n_items)

    def candidates(self, day: int) -> NDArray[np.bool_]:
        """Bool (n_posts,): posts that can be served at the start of a day."""
        return self.posts.live(day, self.world.posts.window_days)

    def morning(self, day: int) -> Morning:
        """What feeds are made from at the start of a day.

        Raises:
            ValueError: the day is none of the audience's days.
        """
        for past in self.days:
            if past.day == day and past.morning is not None:
                return past.morning
        raise ValueError(f"the morning of day {day} was not kept: add it to the audience's days")

    def liked(self, day: int) -> Liked | None:
        """What was liked before a morning; None where all events are kept, and tell it."""
        mornings = (past.morning for past in self.days if past.day == day)
        return next((morning.liked for morning in mornings if morning is not None), None)

    def feeds(
        self,
        personal: NDArray[np.int32],
        personal_sources: NDArray[np.uint8],
        users: NDArray[np.integer[Any]],
        seen: csr_matrix,
        day: int,
        k: int,
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Feeds of a day's first visit: personal rankings, blended with the platform's own slots.

        Args:
            personal: int32 (n, p), rows of posts that were not seen, -1 at the end; p >= k.
            personal_sources: uint8 (n, p), positions in `recsys.logs.schema.SOURCES`.
            users: int (n,), rows of people of one cohort.
            seen: bool (n_people, n_posts), which posts each person was shown before that day.
            day: a day of the audience, such as 6.
            k: depth, such as 20.

        Returns:
            int32 (n, k) rows of posts, -1 where nothing is left, and uint8 (n, k) sources.
        """
        morning, rows = self.morning(day), np.asarray(users, dtype=np.int64)
        newcomers = bool(rows.size) and rows[0] >= self.world.incumbents
        feeds = np.empty((rows.size, k), dtype=np.int32)
        sources = np.zeros(feeds.shape, dtype=np.uint8)
        platform = self.world.platform
        blend(
            Lists.of_rows(personal, personal_sources),
            morning.follows,
            morning.affinities[int(newcomers)],
            Seen.from_matrix(seen),
            morning.shelves[int(newcomers)],
            self.posts.creator,
            platform.per_creator,
            platform.look_alike,
            self.people.address,
            slot_pattern(platform.slots, k),
            np.uint64(self.seed),
            int(moment(day)),
            rows,
            np.full(rows.size, k, dtype=np.int32),
            feeds,
            sources,
        )
        return feeds, sources

    def click_probability(
        self,
        users: NDArray[np.integer[Any]],
        feeds: NDArray[np.int32],
        day: int,
        state: "Simulation | None" = None,
    ) -> NDArray[np.float32]:
        """The true probability that a user clicks a post when looking at it.

        Args:
            users: int (n,), rows of people.
            feeds: int32 (n, k), rows of this arm's posts, -1 where empty.
            day: a day of the audience, such as 6.
            state: the arm from which the users' state is taken, such as the twin. If it is given,
                there is no translation and no curiosity. None takes the users' state in this arm on
                that day.

        Returns:
            float32 (n, k), NaN where empty.
        """
        rows = np.asarray(users, dtype=np.int64)
        morning, own = (state or self).morning(day), self.morning(day)
        probability = np.empty(feeds.shape, dtype=np.float32)
        for cohort, mask in enumerate(
            (rows < self.world.incumbents, rows >= self.world.incumbents)
        ):
            conditions = own.conditions[cohort]
            if state is not None:
                conditions = Conditions.on(self.world, self.intercept, day, influx=False)
            members = rows[mask]
            probability[mask] = behaviour.click_probability(
                self.people,
                morning.taste[morning.rows_of(members)],
                morning.skill[morning.rows_of(members)],
                self.posts_for[cohort],
                conditions,
                members,
                feeds[mask],
            )
        return probability


def simulate(
    world: World,
    arm: str | Arm = "influx",
    seed: int = 0,
    policy: Policy | Oracle | None = None,
    *,
    audience: Audience | None = None,
    threads: int = 1,
) -> Simulation:
    """Runs one arm of a world.

    Args:
        world: the platform and the influx, such as World(influx=Influx(newcomers=20, …)).
        arm: a key of `ARMS` such as "placebo", or an `Arm` of your own.
        seed: draws what happens to people, such as 0; the people themselves are drawn by
            `world.population_seed`.
        policy: the recommender or the oracle that serves (closed loop); None for the house policy
            (open loop).
        audience: the people whose feeds are kept, and the days; None to keep none.
        threads: number of threads that serve and respond, such as 2; it changes no bit of the
            result.

    Raises:
        ConfigError: the arm is unknown, or the people of the world look at too little to reach its
            click rate.

    >>> from recsys.config import Influx, World
    >>> small = World(incumbents=200, days_before=2, days_after=1, influx=Influx(
    ...     newcomers=20, arrivals=(1.0,)))
    >>> simulate(small, "influx", seed=1).log.n_users
    220
    """
    return simulate_arms(world, (arm,), seed, policy, audience=audience, threads=threads)[arm]


def simulate_arms(
    world: World,
    arms: Sequence[str | Arm],
    seed: int = 0,
    policy: Policy | Oracle | None = None,
    *,
    audience: Audience | None = None,
    threads: int = 1,
    impressions: bool = True,
) -> dict[str | Arm, Simulation]:
    """Runs several arms of one seed; the days before the influx are run once for all.

    Arguments and errors are as in `simulate`. Without `impressions` the log holds no impressions.
    """
    shared = Shared(
        world, seed, policy, audience=audience, threads=threads, impressions=impressions
    )
    return {name: shared.run(name) for name in arms}


class Shared:
    """The days of one seed before the influx, run once; any number of arms go on from them."""

    def __init__(
        self,
        world: World,
        seed: int = 0,
        policy: Policy | Oracle | None = None,
        *,
        audience: Audience | None = None,
        threads: int = 1,
        impressions: bool = True,
    ) -> None:
        """Runs the days before the influx; arguments as in `simulate_arms`."""
        run = Run.start(world, seed, threads, policy, audience, impressions=impressions)
        days = run.run_days(first_day(world), 0)
        self._before = tuple(day for day in days if day.day >= -world.days_before)
        self._parked: Parked | None = Parked(run.states)
        self._run: Run | None = run.without_people()
        self._twins, self._lock = dict[bool, dict[int, Twin]](), Lock()

    def run(self, arm: str | Arm, trial: Trial | None = None, *, last: bool = False) -> Simulation:
        """Runs an arm to its end; several threads may call this at once.

        Args:
            arm: a key of `ARMS`, or an `Arm` of your own.
            trial: a trial that the platform runs from day 0 on; None for no trial.
            last: whether no other arm is run afterwards, so that the memory of the state before the
                influx is given back. Running another arm then fails.

        Raises:
            ConfigError: there is no such arm.
            ValueError: a trial is run in an arm with a closed gate, or the last arm was run before.
        """
        chosen = _arm(arm)
        twin = None if chosen.all_open else self._twin(retrained=chosen.retrained)
        run = self.before.fork(chosen, twin)
        if last:
            self._run, self._parked = None, None
        if trial is not None:
            run = TrialRun.of(run, trial)
        days = (*self._before, *run.run_days(0, run.world.days_after))
        return Simulation(
            run.world,
            chosen,
            run.scene.seed,
            run.people,
            run.scene.posts_for,
            run.intercept,
            days,
        )

    @property
    def before(self) -> Run:
        """The platform on the morning of day 0, to be forked and let go of; see `Parked`.

        Raises:
            ValueError: the last arm was run before.
        """
        if self._run is None or self._parked is None:
            raise ValueError("the state before the influx was given back when the last arm was run")
        return replace(self._run, states=self._parked.states)

    def _twin(self, *, retrained: bool) -> dict[int, Twin]:
        with self._lock:
            if retrained not in self._twins:
                run = self.before
                self._twins[retrained] = _recorded(run, run.world, retrained=retrained)
            return self._twins[retrained]


def simulate_days(
    world: World,
    arm: str | Arm = "influx",
    seed: int = 0,
    policy: Policy | Oracle | None = None,
    *,
    threads: int = 1,
    impressions: bool = True,
) -> Iterator[Day]:
    """Yields the days of `simulate` one by one, so that memory does not grow with their number.

    Arguments and errors are as in `simulate_arms`. If a gate is closed, the twin is run first and
    held in memory.
    """
    run, chosen = Run.start(world, seed, threads, policy, impressions=impressions), _arm(arm)
    for day in run.run_days(first_day(world), 0):
        if day.day >= -world.days_before:
            yield day
    twin = None if chosen.all_open else _recorded(run, world, retrained=chosen.retrained)
    yield from run.fork(chosen, twin).run_days(0, world.days_after)


def _arm(name: str | Arm) -> Arm:
    if isinstance(name, Arm):
        return name
    if name not in ARMS:
        raise ConfigError(f"no arm {name!r}; known: {', '.join(ARMS)}")
    return ARMS[name]


def _recorded(shared: Run, world: World, *, retrained: bool) -> dict[int, Twin]:
    """The days of the twin, which nobody joins; `retrained` is that of the arm that needs it."""
    run = shared.fork(Arm("nobody", retrained=retrained))
    run.record = {}
    for _ in run.run_days(0, world.days_after):
        pass
    return run.record
