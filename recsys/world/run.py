"""A platform that runs: each day people visit, are served and respond, and everything is counted.

Days before the influx hold incumbents only, so that the arms of one seed share them. On day 0 an
arm puts its newcomers and their notes behind everybody and everything else; no number changes.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.errors import ConfigError
from recsys.feeds import Shelves, blend, slot_pattern
from recsys.log import InteractionLog, Seen
from recsys.noise import Stream, integer_seed, moment
from recsys.schema import KINDS
from recsys.world import behaviour, house
from recsys.world.behaviour import CLICKED, Conditions
from recsys.world.draws import draw, draw_two
from recsys.world.frames import (
    Day,
    Morning,
    Round,
    Served,
    collect,
    day_of,
    events_frame,
    in_time,
    items_frame,
    users_frame,
)
from recsys.world.gates import GATES
from recsys.world.notes import (
    NoteTable,
    draw_follows,
    draw_incumbents_notes,
    draw_newcomers_notes,
    first_day,
    with_subtitles,
)
from recsys.world.policy import Policy, Ranker
from recsys.world.population import LANGUAGES, People, draw_incumbents, draw_newcomers
from recsys.world.readers import Learning, Readers, leave, remember
from recsys.world.tables import stacked
from recsys.world.traffic import Traffic

__all__ = ["Arm", "Audience", "Run", "Twin"]

_BLOCK = 4096
_MAX_VISITS = 15
_SPARE = 48
"""Ranked beyond what a visit shows: some may be taken by other slots or by the cap per creator."""
_FOLLOWED = np.uint16(1 << list(KINDS.categories).index("follow"))
_INCUMBENTS, _NEWCOMERS = 0, 1
_Visitors = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows of the people who come so often, and the tick in which each does."""


class Arm(NamedTuple):
    """One version of a world."""

    newcomers: Literal["nobody", "influx", "placebo"]
    """Who arrives: nobody, the influx, or people like the incumbents."""
    variant: int = 0
    """Another number draws other newcomers from the same law."""
    retrained: bool = False
    """Whether the serving recommender is trained with another seed from day 0 on."""
    gates: frozenset[str] = frozenset(GATES)
    """Gates that are open."""


class Audience(NamedTuple):
    """Whose feeds are kept, on which days, how deep."""

    users: NDArray[np.int64]
    """Incumbents; newcomers are added up to the same number."""
    days: tuple[int, ...]
    k: int


class Twin(NamedTuple):
    """What the twin did on each day: events of `collect`, and the readers when it was over."""

    events: NDArray[np.int64]
    readers: Readers


class View(NamedTuple):
    """What one cohort is served from during a tick."""

    shelves: Shelves
    buzz: NDArray[np.float32]
    conditions: Conditions
    subtitled: NDArray[np.bool_]
    candidates: NDArray[np.bool_]
    """Bool (n_notes,), what personal slots may hold."""


@dataclass
class Counts:
    """Clicks by who made them, incumbents or newcomers, on the first axis."""

    last: NDArray[np.float64]
    """(2, n_notes) in the last tick."""
    trending: NDArray[np.float64]
    """(2, n_notes) decayed."""
    buckets: NDArray[np.float64]
    """(2, languages, buckets) by language of the app and topic × language, so far."""

    def copy(self, n_notes: int) -> "Counts":
        """A copy with room for more notes."""
        more = ((0, 0), (0, n_notes - self.last.shape[1]))
        return Counts(np.pad(self.last, more), np.pad(self.trending, more), self.buckets.copy())


@dataclass
class Run:
    """A platform that is running: everything that changes from day to day.

    Attributes:
        world, seed, threads: what runs, whose luck, on how many threads.
        arm: which version of the world.
        people, notes: everybody and everything so far, newcomers behind incumbents.
        readers: what changes about people.
        counts: clicks.
        policy: the recommender that serves; None for the house.
        audience: whose feeds are kept.
        impressions: whether days hold impressions.
        intercept: of the click logit; solved during the burn-in.
        average: satisfaction of the incumbents when the burn-in was over.
        rankers: the fits that serve incumbents and newcomers.
        history: the last days' events, for training.
        twin: by day, what the twin did, if a gate is closed; record: what this run did, if asked.
        order: the notes, sorted.
    """

    world: World
    seed: int
    threads: int
    arm: Arm
    people: People
    notes: NoteTable
    readers: Readers
    counts: Counts
    policy: Policy | None = None
    audience: Audience | None = None
    impressions: bool = True
    intercept: float = 0.0
    average: float = 0.0
    rankers: tuple[Ranker | None, Ranker | None] = (None, None)
    history: list[Day] = field(default_factory=list)
    twin: Mapping[int, Twin] | None = None
    record: dict[int, Twin] | None = None
    order: house.Order = field(init=False)

    def __post_init__(self) -> None:
        self.order = house.Order.of(self.notes)

    @classmethod
    def start(
        cls,
        world: World,
        seed: int,
        threads: int = 1,
        policy: Policy | None = None,
        audience: Audience | None = None,
        *,
        impressions: bool = True,
    ) -> "Run":
        """A platform before its burn-in, with its incumbents alone."""
        people = draw_incumbents(world)
        notes = draw_incumbents_notes(world, people, seed)
        buckets = len(world.population.incumbents.topics) * len(LANGUAGES)
        readers = Readers.fresh(
            people, draw_follows(world, people), world.platform.seen_memory, buckets
        )
        counts = Counts(
            np.zeros((2, notes.n)), np.zeros((2, notes.n)), np.zeros((2, len(LANGUAGES), buckets))
        )
        return cls(
            world, seed, threads, Arm("nobody"), people, notes, readers, counts, policy, audience,
            impressions,
        )  # fmt: skip

    def fork(self, arm: Arm, twin: Mapping[int, Twin] | None = None) -> "Run":
        """A copy in which the arm's newcomers and their notes stand behind everything else.

        Args:
            arm: which version of the world goes on from here.
            twin: what the control arm did, needed where a gate is closed.
        """
        world, laws, notes = self.world, self.world.population, self.notes
        law = laws.newcomers if arm.newcomers == "influx" else laws.incumbents
        nobody = world.model_copy(
            update={"influx": world.influx.model_copy(update={"newcomers": 0})}
        )
        who = nobody if arm.newcomers == "nobody" else world
        newcomers = draw_newcomers(who, law, self.seed, arm.variant)
        people = stacked(self.people, newcomers)
        real = arm.newcomers == "influx" and newcomers.n > 0
        if real:
            notes = with_subtitles(world, notes, newcomers, self.seed)
        notes = stacked(notes, draw_newcomers_notes(who, people, law, self.seed, influx=real))
        audience = self.audience
        if audience is not None:
            more = np.arange(world.incumbents, people.n)[: audience.users.size]
            audience = audience._replace(users=np.concatenate([audience.users, more]))
        return replace(
            self,
            arm=arm,
            people=people,
            notes=notes,
            readers=self.readers.with_newcomers(newcomers),
            counts=self.counts.copy(notes.n),
            audience=audience,
            rankers=(None, None) if arm.retrained else self.rankers,
            history=list(self.history),
            twin=twin,
            record=None,
        )

    def run_days(self, start: int, end: int) -> Iterator[Day]:
        """The days from start to before end, one by one."""
        for day in range(start, end):
            yield self._run_day(day)

    def _run_day(self, day: int) -> Day:
        self.readers.seen_today[:] = 0
        visits, visitors = self._visits(day)
        ranked = self._rank_morning(day, visits) if self.policy is not None else None
        morning = self._morning(day, ranked)
        events = [np.zeros((0, 5), dtype=np.int64)]
        traffic = Traffic.on(self.world, visits)
        expected, shown = 0.0, 0
        looks = np.cumsum([0.0, *behaviour.examination(self.world.platform)])
        for tick in range(self.world.ticks):
            rounds = self._tick(day, tick, visitors, ranked)
            for done in rounds:
                cohort = int(done.users[0] >= self.world.incumbents)
                traffic.add(cohort, self.notes.language, done.feeds, done.actions)
                ranks = (done.feeds >= 0).sum(axis=1)
                expected += float(done.rewards @ looks[ranks])
                shown += int(ranks.sum())
            events.append(
                collect(
                    self.world, self.people, self.seed, day, rounds, impressions=self.impressions
                )
            )
            theirs = self._twins_events(day, tick)
            self._count(np.concatenate([events[-1], theirs]))
            events.append(theirs)
        if day < -self.world.days_before:
            self._calibrate(day, expected, shown)
        whole = in_time(np.concatenate(events))
        self._evening(day, whole)
        today = day_of(self.world, day, whole, int(visits.sum()), morning, traffic)
        if self.policy is not None:
            self.history = [*self.history, today][-self.policy.training_days :]
        return today

    # Who comes

    def _visits(self, day: int) -> tuple[NDArray[np.int64], list[_Visitors]]:
        """How often each person comes, int (n,), and who comes for each visit in which tick."""
        u = draw(self.seed, Stream.VISIT, self.people.address, 0, int(moment(day)))
        visits = _poisson(self.people.visits.astype(np.float64), u)
        elsewhere = draw(self.seed, Stream.VISIT, self.people.address, 2, int(moment(day)))
        visits = np.where(elsewhere < self.people.presence, visits, 0)
        visits = np.where(self.people.arrival == day, np.maximum(visits, 1), visits)
        there = (self.people.arrival <= day) & (day < self.people.departure) & ~self.readers.gone
        visits = np.minimum(visits * there, _MAX_VISITS)
        if self._twins_behaviour:
            visits[: self.world.incumbents] = 0
        coming, number, visitors = np.flatnonzero(visits), 0, []
        while coming.size:
            visitors.append((coming, self._ticks(day, coming, number)))
            number += 1
            coming = coming[visits[coming] > number]
        return visits, visitors

    def _ticks(self, day: int, users: NDArray[np.int64], visit: int) -> NDArray[np.int64]:
        """The tick of a visit: mostly the person's own part of the day."""
        ticks = self.world.ticks
        if ticks == 1:
            return np.zeros(users.size, dtype=np.int64)
        address = self.people.address[users]
        at_home, where = draw_two(self.seed, Stream.TICK, address, visit, int(moment(day)))
        home = np.where(users >= self.world.incumbents, ticks - 1, 0)
        other = (home + 1 + np.floor(where * (ticks - 1)).astype(np.int64)) % ticks
        return np.where(at_home < self.world.home_tick, home, other)

    # What they are served from

    def _open(self, gate: str, cohort: int) -> bool:
        return cohort == _NEWCOMERS or gate in self.arm.gates

    @property
    def _twins_behaviour(self) -> bool:
        return self.twin is not None and "behaviour" not in self.arm.gates

    def _views(self, day: int, tick: int) -> tuple[View, View]:
        """What incumbents and newcomers are served from; one and the same if gates are open."""
        newcomers = self._view(day, tick, _NEWCOMERS)
        if self.arm.gates >= set(GATES):
            return newcomers, newcomers
        return self._view(day, tick, _INCUMBENTS), newcomers

    def _view(self, day: int, tick: int, cohort: int) -> View:
        now = day + tick / self.world.ticks
        live = self.notes.live(now, self.world.notes.window_days)
        by_incumbents = self.notes.creator < self.world.incumbents
        supplied = live if self._open("supply", cohort) else live & by_incumbents
        exposed = live if self._open("exposure", cohort) else live & by_incumbents
        last = self._of_all(self.counts.last, "exposure", cohort)
        shelves = house.shelve(
            self.notes, self.order, self.people.n, supplied, exposed, now, self.world.platform,
            self._of_all(self.counts.trending, "exposure", cohort),
            self._of_all(self.counts.buckets, "training", cohort),
        )  # fmt: skip
        mean = last[exposed].mean() if exposed.any() else 0.0
        adapted = self._open("adaptation", cohort)
        real = self.arm.newcomers == "influx" and self.people.n > self.world.incumbents
        return View(
            shelves,
            np.log1p(last / max(mean, 1e-9)).astype(np.float32),
            Conditions.on(self.world, self.intercept, day, influx=real, adapted=adapted),
            self.notes.subtitled if adapted else np.zeros_like(self.notes.subtitled),
            supplied,
        )

    def _of_all(self, counts: NDArray[np.float64], gate: str, cohort: int) -> NDArray[np.float64]:
        """Everybody's clicks, or the incumbents' alone where the gate is closed."""
        return np.asarray(counts.sum(axis=0) if self._open(gate, cohort) else counts[0])

    # The serving recommender

    def _rank_morning(
        self, day: int, visits: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]]:
        """Personal rankings of all who come today or are in the audience, and where each is."""
        assert self.policy is not None
        wanted = visits > 0
        if self.audience is not None and day in self.audience.days:
            wanted[self.audience.users] = True
        users = np.flatnonzero(wanted)
        place = np.full(self.people.n, -1, dtype=np.int64)
        place[users] = np.arange(users.size)
        width = self.world.platform.visit_ranks + _SPARE
        ranking = np.full((users.size, width), -1, dtype=np.int32)
        sources = np.zeros(ranking.shape, dtype=np.uint8)
        views, seen = self._views(day, 0), self.readers.shown()
        if day >= -self.world.days_before + 1 and self.history:
            self.rankers = self._fit(day)
        for cohort, part in enumerate(self._cohorts(users)):
            ranker = self.rankers[cohort]
            if users[part].size == 0:
                continue
            if ranker is None:
                depth = np.full(users[part].size, width, dtype=np.int32)
                self._house_rank(views[cohort], seen, users[part], depth, ranking[part])
                continue
            candidates = views[cohort].candidates
            k = min(width, int(candidates.sum()))
            got = ranker.rank(users[part], k, candidates, seen)
            ranking[part, :k], sources[part, :k] = got
        return place, ranking, sources

    def _fit(self, day: int) -> tuple[Ranker, Ranker]:
        """This morning's fits for incumbents and newcomers: one, if the log that both see is."""
        assert self.policy is not None
        seed = integer_seed(self.seed, 1 if self.arm.retrained else 0)
        users = users_frame(self.world, self.people)
        events = events_frame(self.history, positive=True)
        log = InteractionLog(users, items_frame(self.world, self.notes), events)
        full = self.policy.fit(log, seed, self.rankers[_NEWCOMERS])
        if self._open("training", _INCUMBENTS) and self._open("adaptation", _INCUMBENTS):
            return full, full
        if not self._open("training", _INCUMBENTS):
            events = events.filter(events["user"] < self.world.incumbents)
        own = InteractionLog(users, items_frame(self.world, self._notes_of(_INCUMBENTS)), events)
        return self.policy.fit(own, seed, self.rankers[_INCUMBENTS]), full

    def _notes_of(self, cohort: int) -> NoteTable:
        """The notes as a cohort sees them: without subtitles where adaptation is closed."""
        if self._open("adaptation", cohort):
            return self.notes
        return self.notes._replace(subtitled=np.zeros_like(self.notes.subtitled))

    def _house_rank(
        self,
        view: View,
        seen: Seen,
        users: NDArray[np.int64],
        depth: NDArray[np.int32],
        ranking: NDArray[np.int32],
    ) -> None:
        house.rank(
            self.readers.clicks, seen, view.shelves, self.people.app_language,
            self.world.platform.affinity_prior, users, depth, ranking,
        )  # fmt: skip

    # The day

    def _cohorts(self, users: NDArray[np.int64]) -> tuple[slice, slice]:
        """Incumbents and newcomers among sorted rows of people."""
        edge = int(np.searchsorted(users, self.world.incumbents))
        return slice(0, edge), slice(edge, users.size)

    def _tick(
        self,
        day: int,
        tick: int,
        visitors: list[_Visitors],
        ranked: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]] | None,
    ) -> list[Round]:
        views = self._views(day, tick)
        rounds = []
        for visit, (coming, ticks) in enumerate(visitors):
            users = coming[ticks == tick]
            for view, part in zip(views, self._cohorts(users), strict=True):
                if users[part].size:
                    rounds.append(self._round(day, tick, visit, users[part], view, ranked))
        return rounds

    def _round(
        self,
        day: int,
        tick: int,
        visit: int,
        users: NDArray[np.int64],
        view: View,
        ranked: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]] | None,
    ) -> Round:
        """The visit number `visit` of people of one cohort, in blocks over threads."""
        platform = self.world.platform
        when = int(moment(day, tick=tick, visit=visit))
        depth = behaviour.scroll_depth(
            platform, self.world.behaviour.depth_rho, self.seed, self.people.address[users], when
        )
        feeds = np.empty((users.size, platform.visit_ranks), dtype=np.int32)
        actions = np.zeros(feeds.shape, dtype=np.uint16)
        rewards = np.zeros(users.size, dtype=np.float32)
        moods = behaviour.moods(
            self.world.behaviour.mood, self.seed, self.people.address[users], when
        )
        seen, examine = self.readers.shown(), behaviour.examination(platform)
        buckets = self.order.buckets

        def serve(block: slice) -> None:
            feeds[block], _ = self._serve(view, seen, users[block], depth[block], when, ranked)

        def respond(block: slice) -> None:
            behaviour.respond(
                self.people, self.readers, self.notes, view.subtitled, view.buzz, view.conditions,
                examine, moods[block], np.uint64(self.seed), when, users[block], feeds[block],
                actions[block], rewards[block],
            )  # fmt: skip
            remember(
                self.readers, self.people, self.notes, buckets, Learning.of(self.world.behaviour),
                users[block], feeds[block], actions[block], rewards[block], CLICKED, _FOLLOWED,
            )  # fmt: skip

        block = max(_BLOCK, self.notes.n // 128)  # each makes arrays of a row a note
        _over_blocks(serve, users.size, self.threads, block)
        if day == first_day(self.world) and tick == 0 and visit == 0:
            view = view._replace(
                conditions=self._solve_intercept(view, users, feeds, examine, moods)
            )
        _over_blocks(respond, users.size, self.threads, block)
        return Round(tick, visit, users, feeds, actions, rewards)

    def _serve(
        self,
        view: View,
        seen: Seen,
        users: NDArray[np.int64],
        depth: NDArray[np.int32],
        when: int,
        ranked: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]] | None,
        ranks: int | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Feeds (n, ranks) and their sources."""
        platform = self.world.platform
        ranks = platform.visit_ranks if ranks is None else ranks
        if ranked is None:
            personal = np.empty((users.size, ranks + _SPARE), dtype=np.int32)
            sources = np.zeros(personal.shape, dtype=np.uint8)
            self._house_rank(view, seen, users, depth + np.int32(_SPARE), personal)
        else:
            place, ranking, ranking_sources = ranked
            personal, sources = ranking[place[users]], ranking_sources[place[users]]
        feeds = np.empty((users.size, ranks), dtype=np.int32)
        feeds_sources = np.zeros(feeds.shape, dtype=np.uint8)
        blend(
            personal, sources, self.readers.follows, seen, view.shelves, self.notes.creator,
            platform.per_creator, self.people.address, slot_pattern(platform.slots, ranks),
            np.uint64(self.seed), when, users, depth, feeds, feeds_sources,
        )  # fmt: skip
        return feeds, feeds_sources

    def _morning(
        self,
        day: int,
        ranked: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]] | None,
    ) -> Morning | None:
        """What the audience is served first thing, whether they come or not."""
        if self.audience is None or day not in self.audience.days:
            return None
        views = self._views(day, 0)
        served = None
        if self.policy is not None:
            users, k = self.audience.users, self.audience.k
            feeds = np.empty((users.size, k), dtype=np.int32)
            sources = np.zeros(feeds.shape, dtype=np.uint8)
            seen, when = self.readers.shown(), int(moment(day))
            for view, part in zip(views, self._cohorts(users), strict=True):
                depth = np.full(users[part].size, k, dtype=np.int32)
                got = self._serve(view, seen, users[part], depth, when, ranked, k)
                feeds[part], sources[part] = got
            served = Served(users, feeds, sources)
        readers = self.readers
        return Morning(
            (views[0].shelves, views[1].shelves), readers.follows.copy(), readers.taste.copy(),
            readers.skill.copy(), served,
        )  # fmt: skip

    def _solve_intercept(
        self,
        view: View,
        users: NDArray[np.int64],
        feeds: NDArray[np.int32],
        examine: NDArray[np.float64],
        moods: NDArray[np.float64],
    ) -> Conditions:
        """A first intercept, from the first visits; `_calibrate` mends it through the burn-in."""
        plain = view.conditions._replace(intercept=0.0)
        x = behaviour.logits(
            self.people, self.readers, self.notes, view.subtitled, view.buzz, plain, users, feeds
        )
        x += moods[:, None].astype(np.float32)
        try:
            self.intercept = behaviour.solve_intercept(x, examine, self.world.platform.click_rate)
        except ValueError as error:
            raise ConfigError(f"world.platform: {error}") from error
        return plain._replace(intercept=self.intercept)

    def _calibrate(self, day: int, expected: float, shown: int) -> None:
        """Moves the intercept by what a burn-in day's click rate, in log-odds, was off.

        A day's rate hangs on the few notes at the top that day, so later steps are averaged.
        """
        rate, target = (expected + 0.5) / (shown + 1), self.world.platform.click_rate
        off = math.log(target / (1 - target)) - math.log(rate / (1 - rate))
        self.intercept += off / max(day - first_day(self.world), 1)

    # What is counted, and how the day ends

    def _twins_events(self, day: int, tick: int) -> NDArray[np.int64]:
        """The incumbents' events of the twin in a tick, where the gate of behaviour is closed."""
        if not self._twins_behaviour or self.twin is None:
            return np.zeros((0, 5), dtype=np.int64)
        events = self.twin[day].events
        span = 86_400_000 / self.world.ticks
        return events[(events[:, 4] >= tick * span) & (events[:, 4] < (tick + 1) * span)]

    def _count(self, events: NDArray[np.int64]) -> None:
        """A tick's clicks, for buzz, trending and the averages."""
        clicks = events[events[:, 2] == _CLICK_KIND]
        bucket = self.order.buckets[clicks[:, 1]]
        cohort = (clicks[:, 0] >= self.world.incumbents).astype(np.int64)
        app = self.people.app_language[clicks[:, 0]].astype(np.int64)
        n_notes, (_, languages, buckets) = self.notes.n, self.counts.buckets.shape
        per_note = np.bincount(cohort * n_notes + clicks[:, 1], minlength=2 * n_notes)
        self.counts.last = per_note.reshape(2, n_notes).astype(np.float64)
        half_life = self.world.platform.trending_half_life_days * self.world.ticks
        self.counts.trending = 0.5 ** (1 / half_life) * self.counts.trending + self.counts.last
        where = (cohort * languages + app) * buckets + bucket
        per_bucket = np.bincount(where, minlength=self.counts.buckets.size)
        self.counts.buckets = self.counts.buckets + per_bucket.reshape(self.counts.buckets.shape)

    def _evening(self, day: int, events: NDArray[np.int64]) -> None:
        """Who leaves; what the twin's behaviour is, or what a twin must know of this day."""
        u = draw(self.seed, Stream.DISCONTENT, self.people.address, 0, int(moment(day)))
        if day >= -self.world.days_before:
            leave(self.readers, self.world.behaviour, self.average, self.people.arrival <= day, u)
        else:
            content = self.readers.satisfaction
            known = content[~np.isnan(content)]
            self.average = float(known.mean()) if known.size else 0.0
        if self._twins_behaviour and self.twin is not None:
            self.readers.overwrite_first(self.twin[day].readers)
        if self.record is not None:
            n = self.world.incumbents
            self.record[day] = Twin(events[events[:, 0] < n], self.readers.first(n))


_CLICK_KIND = list(KINDS.categories).index("click")


def _over_blocks(work: Callable[[slice], None], n: int, threads: int, size: int) -> None:
    """Runs work on slices of fixed size; each writes to rows of its own."""
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
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
