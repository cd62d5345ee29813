"""A platform that runs: each day people visit, are served and respond, and everything is counted.

Days before the influx hold incumbents only, so that the arms of one seed share them. On day 0 an
arm puts its newcomers and their notes behind everybody and everything else; no number changes.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.errors import ConfigError
from recsys.feeds import Shelves, blend, slot_pattern
from recsys.noise import Stream, moment, uniforms
from recsys.schema import KINDS
from recsys.world import behaviour, house
from recsys.world.behaviour import CLICKED, Conditions
from recsys.world.frames import Day, Morning, Round, collect
from recsys.world.notes import (
    NoteTable,
    draw_follows,
    draw_incumbents_notes,
    draw_newcomers_notes,
)
from recsys.world.population import LANGUAGES, People, draw_incumbents, draw_newcomers
from recsys.world.readers import Readers, remember
from recsys.world.tables import stacked

__all__ = ["Arm", "Run"]

_BLOCK = 4096
_MAX_VISITS = 15
_FOLLOWED = np.uint16(1 << list(KINDS.categories).index("follow"))


class Arm(NamedTuple):
    """One version of a world."""

    newcomers: Literal["nobody", "influx", "placebo"]
    """Who arrives: nobody, the influx, or people like the incumbents."""
    variant: int = 0
    """Another number draws other newcomers from the same law."""


@dataclass
class Run:
    """A platform that is running: everything that changes from day to day.

    Attributes:
        world, seed, threads: what runs, whose luck, on how many threads.
        influx: whether the platform answers a real influx with translation and curiosity.
        people, notes: everybody and everything so far, newcomers behind incumbents.
        readers: what changes about people.
        last_clicks: float (n_notes,), clicks of the last day.
        trending_clicks: float (n_notes,), decayed clicks.
        bucket_clicks: float (languages, buckets), clicks by language of the app.
        intercept: of the click logit; solved during the burn-in.
    """

    world: World
    seed: int
    threads: int
    influx: bool
    people: People
    notes: NoteTable
    readers: Readers
    last_clicks: NDArray[np.float64]
    trending_clicks: NDArray[np.float64]
    bucket_clicks: NDArray[np.float64]
    intercept: float = 0.0

    @classmethod
    def start(cls, world: World, seed: int, threads: int) -> "Run":
        people = draw_incumbents(world)
        notes = draw_incumbents_notes(world, people, seed)
        topics = len(world.population.incumbents.topics)
        buckets = topics * len(LANGUAGES)
        readers = Readers.fresh(
            draw_follows(world, people), world.platform.seen_memory, topics, buckets
        )
        return cls(
            world, seed, threads, False, people, notes, readers,
            np.zeros(notes.n), np.zeros(notes.n), np.zeros((len(LANGUAGES), buckets)),
        )  # fmt: skip

    def fork(self, arm: Arm) -> "Run":
        """A copy in which the arm's newcomers and their notes stand behind everything else."""
        world, laws = self.world, self.world.population
        people, notes, influx = self.people, self.notes, arm.newcomers == "influx"
        if arm.newcomers != "nobody":
            law = laws.newcomers if influx else laws.incumbents
            people = stacked(people, draw_newcomers(world, law, arm.variant))
            if influx and world.influx.newcomers > 0:
                notes = draw_incumbents_notes(world, self.people, self.seed, adapting=True)
            notes = stacked(
                notes, draw_newcomers_notes(world, people, law, self.seed, influx=influx)
            )
        more = np.zeros(notes.n - self.notes.n)
        return Run(
            world, self.seed, self.threads, influx and world.influx.newcomers > 0, people, notes,
            self.readers.with_newcomers(people.n - self.people.n),
            np.concatenate([self.last_clicks, more]),
            np.concatenate([self.trending_clicks, more]),
            self.bucket_clicks.copy(),
            self.intercept,
        )  # fmt: skip

    def run_days(self, start: int, end: int) -> Iterator[Day]:
        for day in range(start, end):
            yield self._run_day(day)

    def _run_day(self, day: int) -> Day:
        live = self.notes.live(day, self.world.notes.window_days)
        shelves = house.shelve(
            self.notes, self.people.n, live, day, self.world.platform,
            self.trending_clicks, self.bucket_clicks,
        )  # fmt: skip
        follows = self.readers.follows.copy()
        buzz = np.log1p(self.last_clicks / max(self.last_clicks[live].mean(), 1e-9))
        self.readers.seen_today[:] = 0
        visits = self._visits(day)
        rounds = []
        for visit in range(int(visits.max(initial=0))):
            users = np.flatnonzero(visits > visit)
            rounds.append(self._round(day, visit, users, shelves, buzz.astype(np.float32)))
        morning = Morning(shelves, follows)
        events = collect(self.world, self.people, self.seed, day, rounds, morning)
        self._count(events)
        return events

    def _visits(self, day: int) -> NDArray[np.int64]:
        """How often each person comes; everybody who arrives comes at least once that day."""
        u = uniforms(self.seed, Stream.VISIT, self.people.address, 0, moment(day))[:, 0]
        visits = _poisson(self.people.visits.astype(np.float64), u)
        visits = np.where(self.people.arrival == day, np.maximum(visits, 1), visits)
        there = (self.people.arrival <= day) & (day < self.people.departure)
        return np.minimum(visits * there, _MAX_VISITS)

    def _round(
        self,
        day: int,
        visit: int,
        users: NDArray[np.int64],
        shelves: Shelves,
        buzz: NDArray[np.float32],
    ) -> "Round":
        """The visit number `visit` of everybody who comes that often, in blocks over threads."""
        world, platform = self.world, self.world.platform
        when = moment(day, visit=visit)
        depth = behaviour.scroll_depth(
            platform, world.behaviour.depth_rho, self.seed, self.people.address[users], when
        )
        feeds = np.empty((users.size, platform.visit_ranks), dtype=np.int32)
        sources = np.zeros(feeds.shape, dtype=np.uint8)
        actions = np.zeros(feeds.shape, dtype=np.uint16)
        examine = behaviour.examination(platform)
        seed, seen = np.uint64(self.seed), self.readers.shown()
        pattern = slot_pattern(platform.slots, platform.visit_ranks)

        def serve(block: slice) -> None:
            personal = np.empty((users[block].size, platform.visit_ranks), dtype=np.int32)
            house.rank(
                self.readers.clicks, seen, shelves, self.people.app_language,
                platform.affinity_prior, users[block], depth[block], personal,
            )  # fmt: skip
            blend(
                personal, np.zeros(personal.shape, dtype=np.uint8), self.readers.follows, seen,
                shelves, self.people.address, pattern, seed, int(when), users[block], depth[block],
                feeds[block], sources[block],
            )  # fmt: skip

        def respond(block: slice) -> None:
            behaviour.respond(
                self.people, self.notes, buzz, self._conditions(day), examine, seed, int(when),
                users[block], feeds[block], self.readers.seen_today, actions[block],
            )  # fmt: skip

        _over_blocks(serve, users.size, self.threads)
        if day < -world.days_before and visit == 0:
            self._solve_intercept(day, users, feeds, buzz, examine)
        _over_blocks(respond, users.size, self.threads)
        buckets = house.note_buckets(self.notes)
        _over_blocks(
            lambda block: remember(
                self.readers, users[block], feeds[block], actions[block], buckets,
                self.notes.creator, CLICKED, _FOLLOWED,
            ),
            users.size,
            self.threads,
        )  # fmt: skip
        return Round(visit, users, feeds, sources, actions)

    def _conditions(self, day: int) -> Conditions:
        return Conditions.on(self.world.behaviour, self.intercept, day, influx=self.influx)

    def _solve_intercept(
        self,
        day: int,
        users: NDArray[np.int64],
        feeds: NDArray[np.int32],
        buzz: NDArray[np.float32],
        examine: NDArray[np.float64],
    ) -> None:
        """Sets the intercept anew on a burn-in day's first visits; after the burn-in it stays."""
        plain = self._conditions(day)._replace(intercept=0.0)
        x = behaviour.logits(
            self.people, self.notes, buzz, plain, users, feeds, self.readers.seen_today
        )
        try:
            self.intercept = behaviour.solve_intercept(x, examine, self.world.behaviour.click_rate)
        except ValueError as error:
            raise ConfigError(f"world.behaviour: {error}") from error

    def _count(self, day: Day) -> None:
        """The day's clicks, for buzz, trending and the platform's average."""
        clicked = day.item[day.is_click]
        bucket = house.note_buckets(self.notes)[clicked]
        app = self.people.app_language[day.user[day.is_click]]
        self.last_clicks = np.bincount(clicked, minlength=self.notes.n).astype(np.float64)
        decay = 0.5 ** (1 / self.world.platform.trending_half_life_days)
        self.trending_clicks = decay * self.trending_clicks + self.last_clicks
        n_buckets = self.bucket_clicks.shape[1]
        counts = np.bincount(app * n_buckets + bucket, minlength=self.bucket_clicks.size)
        self.bucket_clicks = self.bucket_clicks + counts.reshape(self.bucket_clicks.shape)


def _over_blocks(work: Callable[[slice], None], n: int, threads: int) -> None:
    """Runs work on slices of fixed size; each writes to rows of its own."""
    blocks = [slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
    if threads == 1 or len(blocks) == 1:
        for block in blocks:
            work(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))


def _poisson(mean: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Poisson counts by inversion, up to the most visits that are counted."""
    probability = np.exp(-mean)
    cumulative, count = probability.copy(), np.zeros(mean.size, dtype=np.int64)
    for n in range(1, _MAX_VISITS + 1):
        count += u > cumulative
        probability *= mean / n
        cumulative += probability
    return count
