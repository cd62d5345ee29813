"""Synthetic logs: a world run in one arm or several, day by day or to its end."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.config.world import World
from recsys.errors import ConfigError
from recsys.feeds import Seen, blend, slot_pattern
from recsys.log import InteractionLog
from recsys.noise import moment
from recsys.world import behaviour
from recsys.world.behaviour import Conditions
from recsys.world.frames import Day, events_frame, items_frame, users_frame
from recsys.world.notes import NoteTable, first_day
from recsys.world.population import People
from recsys.world.run import Arm, Run

__all__ = ["ARMS", "Simulation", "simulate", "simulate_arms", "simulate_days"]

ARMS: dict[str, Arm] = {
    "control": Arm("nobody"),
    "influx": Arm("influx"),
    "placebo": Arm("placebo"),
    "placebo_2": Arm("placebo", variant=1),
}
"""The worlds that `simulate` knows. `retrain` is the control world under another training seed."""


@dataclass(frozen=True)
class Simulation:
    """One arm of one seed, run to its end: the people, the notes, and the log they made."""

    world: World
    arm: str
    seed: int
    people: People
    notes: NoteTable
    intercept: float
    days: tuple[Day, ...]

    @cached_property
    def log(self) -> InteractionLog:
        """The log from the first day after the burn-in on."""
        return InteractionLog(
            users=users_frame(self.world, self.people),
            items=items_frame(self.world, self.notes),
            dense=events_frame(self.days),
        )

    def log_before(self, day: int, training_days: int | None = None) -> InteractionLog:
        """The log up to the start of a day, to train on.

        Args:
            day: the day on which feeds will be served.
            training_days: events older than this many days get weight 0: seen, but not learned
                from; None to learn from all.
        """
        sizes = {past.day: past.user.size for past in self.days if past.day < day}
        events = self.log.dense.head(sum(sizes.values()))
        if training_days is not None:
            old = sum(size for past, size in sizes.items() if past < day - training_days)
            weight = events["weight"].to_numpy().copy()
            weight[:old] = 0
            events = events.with_columns(weight=pl.Series(weight))
        return InteractionLog(self.log.users, self.log.items, events)

    def candidates(self, day: int) -> NDArray[np.bool_]:
        """Bool (n_notes,): notes that can be served on a day."""
        return self.notes.live(day, self.world.notes.window_days)

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
            personal: int32 (n, p), rows of notes without what was seen, -1 at the end, p >= k.
            personal_sources: uint8 (n, p), positions in `recsys.schema.SOURCES`.
            users: int (n,), rows of people.
            seen: bool (n_people, n_notes), what each was shown before that day.
            day: one of the days after the influx.
            k: depth.

        Returns:
            int32 (n, k) rows of notes, -1 where nothing is left, and uint8 (n, k) sources.
        """
        morning = next(past for past in self.days if past.day == day).morning
        feeds = np.empty((len(users), k), dtype=np.int32)
        sources = np.zeros(feeds.shape, dtype=np.uint8)
        blend(
            personal, personal_sources, morning.follows, Seen.from_matrix(seen), morning.shelves,
            self.people.address, slot_pattern(self.world.platform.slots, k), np.uint64(self.seed),
            int(moment(day)), np.asarray(users, dtype=np.int64),
            np.full(len(users), k, dtype=np.int32), feeds, sources,
        )  # fmt: skip
        return feeds, sources

    def click_probability(
        self, users: NDArray[np.integer[Any]], feeds: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Ground truth: would a reader click this note when looking at it?

        In the state that readers have without an influx: no translation, no curiosity.

        Args:
            users: int (n,), rows of people.
            feeds: int32 (n, k), rows of notes, -1 where empty.

        Returns:
            float32 (n, k), NaN where empty.
        """
        calm = Conditions.on(self.world.behaviour, self.intercept, 0, influx=False)
        rows = np.asarray(users, dtype=np.int64)
        return np.asarray(behaviour.click_probability(self.people, self.notes, calm, rows, feeds))


def simulate(world: World, arm: str = "influx", seed: int = 0, *, threads: int = 1) -> Simulation:
    """Runs one arm of a world.

    Args:
        world: the platform and the event.
        arm: a key of `ARMS`.
        seed: draws everybody's luck; the people are drawn by `world.population_seed`.
        threads: how many threads serve and respond; they change no bit.

    Raises:
        ConfigError: an unknown arm, or a world in which nobody can click often enough.

    >>> from recsys.config import Influx, World
    >>> small = World(incumbents=200, days_before=2, days_after=1, influx=Influx(
    ...     newcomers=20, arrivals=(1.0,)))
    >>> simulate(small, "influx", seed=1).log.n_users
    220
    """
    return simulate_arms(world, (arm,), seed, threads=threads)[arm]


def simulate_arms(
    world: World, arms: tuple[str, ...], seed: int = 0, *, threads: int = 1
) -> dict[str, Simulation]:
    """Runs several arms of one seed; the days before the influx are run once for all.

    Args, Raises: as in `simulate`.
    """
    shared = Run.start(world, seed, threads)
    before = [day for day in shared.run_days(first_day(world), 0) if day.day >= -world.days_before]
    simulations = {}
    for name in arms:
        run = shared.fork(_arm(name))
        days = (*before, *run.run_days(0, world.days_after))
        simulations[name] = Simulation(
            world, name, seed, run.people, run.notes, run.intercept, days
        )
    return simulations


def simulate_days(
    world: World, arm: str = "influx", seed: int = 0, *, threads: int = 1
) -> Iterator[Day]:
    """The days of `simulate` one by one, so that memory need not grow with their number."""
    run = Run.start(world, seed, threads)
    for day in run.run_days(first_day(world), 0):
        if day.day >= -world.days_before:
            yield day
    yield from run.fork(_arm(arm)).run_days(0, world.days_after)


def _arm(name: str) -> Arm:
    if name not in ARMS:
        raise ConfigError(f"no arm {name!r}; known: {', '.join(ARMS)}")
    return ARMS[name]
