"""A platform that runs: each day people visit, are served and respond, and everything is counted.

Days before the influx hold incumbents only, so that the arms of one seed share them. On day 0 an
arm puts its newcomers and their notes behind everybody and everything else; no number changes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.core.noise import Stream, moment
from recsys.world.arms import INCUMBENTS, Arm, Audience, Twin
from recsys.world.day.calibration import Tally, corrected, first_intercept
from recsys.world.day.counts import Counts
from recsys.world.day.fits import Rankers, fit, fit_without_newcomers
from recsys.world.day.oracle import Oracle
from recsys.world.day.rounds import moods_of, request_of, respond
from recsys.world.day.serving import Ranked, rank_morning, serve, serve_audience
from recsys.world.day.views import View, views_of_both
from recsys.world.day.visits import Visits, draw_visits
from recsys.world.frames import Day, Morning, Round, Served, collect, day_of, in_time
from recsys.world.people.draws import draw
from recsys.world.people.notes import NoteTable, draw_follows, first_day
from recsys.world.people.population import LANGUAGES, People
from recsys.world.people.readers import Readers, State, leave
from recsys.world.platform.policy import Policy
from recsys.world.scene import Scene
from recsys.world.traffic import Traffic

_MOST_ASKED = 20_000
_NO_EVENTS = np.zeros((0, 5), dtype=np.int64)


@dataclass
class Run:
    """A platform that is running: everything that changes from day to day.

    Attributes:
        scene: who and what is there; changed by `fork` alone.
        readers: what changes about people.
        counts: clicks.
        threads: how many serve and respond; they change no bit.
        policy: the recommender or the oracle that serves; None for the house.
        audience: whose feeds are kept.
        impressions: whether days hold impressions.
        intercept: of the click logit; found during the burn-in.
        average: satisfaction of the incumbents when the burn-in was over.
        rankers: the fits that serve incumbents and newcomers.
        history: the last days' events, for training.
        twin: by day, what the twin did, if incumbents do the same.
        record: by day, what this run did, if somebody asks: a twin for others.
    """

    scene: Scene
    readers: Readers
    counts: Counts
    threads: int = 1
    policy: Policy | Oracle | None = None
    audience: Audience | None = None
    impressions: bool = True
    intercept: float = 0.0
    average: float = 0.0
    rankers: Rankers = (None, None)
    history: tuple[Day, ...] = ()
    twin: Mapping[int, Twin] | None = None
    record: dict[int, Twin] | None = None

    @classmethod
    def start(
        cls,
        world: World,
        seed: int,
        threads: int = 1,
        policy: Policy | Oracle | None = None,
        audience: Audience | None = None,
        *,
        impressions: bool = True,
    ) -> "Run":
        """A platform before its burn-in, with its incumbents alone."""
        scene = Scene.before(world, seed)
        buckets = len(world.population.incumbents.topics) * len(LANGUAGES)
        follows = draw_follows(world, scene.people)
        readers = Readers.fresh(scene.people, follows, world.platform.seen_memory, buckets)
        counts = Counts.none(scene.notes.n, buckets)
        return cls(scene, readers, counts, threads, policy, audience, impressions)

    def fork(self, arm: Arm, twin: Mapping[int, Twin] | None = None) -> "Run":
        """A copy in which the arm's newcomers and their notes stand behind everything else.

        Args:
            arm: which version of the world goes on from here.
            twin: what the control arm did, needed where the gate of behaviour is closed.

        Raises:
            ValueError: where it is needed and missing.
        """
        if twin is None and not arm.opens("behaviour", INCUMBENTS):
            raise ValueError("behaviour is closed: give the twin, whose behaviour incumbents have")
        scene, audience = self.scene.joined(arm), self.audience
        if audience is not None:
            audience = audience.joined_by(np.arange(self.world.incumbents, scene.people.n))
        return replace(
            self,
            scene=scene,
            readers=self.readers.with_newcomers(scene.newcomers),
            counts=self.counts.with_room_for(scene.notes.n),
            audience=audience,
            rankers=(None, None) if arm.retrained else self.rankers,
            twin=None if arm.opens("behaviour", INCUMBENTS) else twin,
            record=None,
        )

    @property
    def world(self) -> World:
        """The config of the world."""
        return self.scene.world

    @property
    def people(self) -> People:
        """Everybody so far, newcomers behind incumbents."""
        return self.scene.people

    @property
    def notes(self) -> NoteTable:
        """Everything that may be published, newcomers' notes behind the incumbents'."""
        return self.scene.notes

    def run_days(self, start: int, end: int) -> Iterator[Day]:
        """The days from start to before end, one by one."""
        for day in range(start, end):
            yield self._run_day(day)

    def _run_day(self, day: int) -> Day:
        self.readers.seen_today[:] = 0
        visits = draw_visits(self.scene, self.readers.gone, day, incumbents=self.twin is None)
        if day == first_day(self.world):
            self.intercept = self._first_intercept(day)
        views = self._views(day, 0)
        before = self.rankers
        ranked = self._rank(day, views, visits)
        morning = self._morning(day, views, ranked)
        if morning is not None and self._learns_from_newcomers():
            morning = morning._replace(without=self._without_newcomers(day, views, before))
        traffic, tally, events = Traffic.on(self.world, visits.number), Tally(), [_NO_EVENTS]
        for tick in range(self.world.ticks):
            if tick > 0:
                views = self._views(day, tick)
            rounds = list(self._rounds(day, tick, views, visits, ranked))
            for done in rounds:
                cohort = int(done.users[0] >= self.world.incumbents)
                traffic.add(cohort, self.scene.given[cohort].language, done.feeds, done.actions)
                tally = tally.plus(self.world.platform, done)
            theirs = collect(
                self.world, self.people, self.scene.seed, day, rounds, impressions=self.impressions
            )
            both = np.concatenate([theirs, self._twins_events(day, tick)])
            self.counts = self.counts.after(self.scene, both)
            events.append(both)
        whole = in_time(np.concatenate(events))
        gone = self.readers.gone.copy()
        self._evening(day, whole, tally)
        state = State.of(self.people, self.readers, self.world.incumbents, day, gone)
        today = day_of(self.world, day, whole, int(visits.number.sum()), morning, traffic, state)
        if self.policy is not None and not isinstance(self.policy, Oracle):
            self.history = (*self.history, today)[-self.policy.training_days :]
        return today

    # In the morning

    def _first_intercept(self, day: int) -> float:
        """From what people would be served if they all came first thing."""
        view, _ = self._views(day, 0)
        request = request_of(self.scene, np.arange(min(self.people.n, _MOST_ASKED)), day, 0, 0)
        feeds, _ = serve(self.scene, self.readers, view, request, None, self.threads)
        return first_intercept(self.scene, self.readers, view, request, feeds)

    def _views(self, day: int, tick: int) -> tuple[View, View]:
        return views_of_both(self.scene, self.counts, self.intercept, day, tick)

    def _rank(self, day: int, views: tuple[View, View], visits: Visits) -> Ranked | None:
        """The morning's fits, and their rankings of all who come today or are in the audience."""
        if self.policy is None:
            return None
        if day > -self.world.days_before:
            self.rankers = self._rankers(views)
        wanted = visits.number > 0
        if self.audience is not None and day in self.audience.days:
            wanted[self.audience.users] = True
        return rank_morning(self.scene, self.readers, views, self.rankers, np.flatnonzero(wanted))

    def _rankers(self, views: tuple[View, View]) -> Rankers:
        """This morning's fits; an oracle needs none, but begins when they would."""
        if isinstance(self.policy, Oracle):
            incumbents, newcomers = (self.policy.bound(self.scene, self.readers, v) for v in views)
            return incumbents, newcomers
        if self.policy is None or not self.history:
            return self.rankers
        return fit(self.scene, self.policy, self.history, self.rankers)

    def _morning(self, day: int, views: tuple[View, View], ranked: Ranked | None) -> Morning | None:
        """What the audience's feeds are made from, and in a closed loop the feeds."""
        if self.audience is None or day not in self.audience.days:
            return None
        served, readers = None, self.readers
        if ranked is not None:
            served = serve_audience(self.scene, readers, views, self.audience, day, ranked)
        return Morning(
            (views[0].shelves, views[1].shelves),
            readers.follows.copy(),
            readers.taste.copy(),
            readers.skill.copy(),
            served,
        )

    def _learns_from_newcomers(self) -> bool:
        """Whether it is asked for, and can be, that incumbents are served by another fit."""
        trained = self.policy is not None and not isinstance(self.policy, Oracle)
        return (
            self.audience is not None
            and self.audience.one_step
            and trained
            and bool(self.history)
            and self.people.n > self.world.incumbents
            and self.scene.arm.opens("training", INCUMBENTS)
        )

    def _without_newcomers(self, day: int, views: tuple[View, View], before: Rankers) -> Served:
        """Incumbents' feeds by a fit that goes on from the same one, without newcomers' events."""
        assert self.audience is not None
        assert self.policy is not None
        assert not isinstance(self.policy, Oracle)
        ranker = fit_without_newcomers(self.scene, self.policy, self.history, before)
        users = self.audience.users[self.audience.users < self.world.incumbents]
        ranked = rank_morning(self.scene, self.readers, views, (ranker, None), users)
        audience = self.audience._replace(users=users)
        return serve_audience(self.scene, self.readers, views, audience, day, ranked)

    # Through the day

    def _rounds(
        self,
        day: int,
        tick: int,
        views: tuple[View, View],
        visits: Visits,
        ranked: Ranked | None,
    ) -> Iterator[Round]:
        """All first visits of a tick, then all second ones; incumbents', then newcomers'."""
        for visit, coming in enumerate(visits.in_tick(tick)):
            for view, part in zip(views, self.scene.cohorts(coming), strict=True):
                if coming[part].size:
                    yield self._round(day, tick, visit, coming[part], view, ranked)

    def _round(
        self,
        day: int,
        tick: int,
        visit: int,
        users: NDArray[np.int64],
        view: View,
        ranked: Ranked | None,
    ) -> Round:
        """The visit number `visit` of people of one cohort: all are served, then all respond."""
        scene, readers = self.scene, self.readers
        request = request_of(scene, users, day, tick, visit)
        moods = moods_of(scene, request)
        feeds, _ = serve(scene, readers, view, request, ranked, self.threads)
        actions, rewards = respond(scene, readers, view, request, feeds, moods, self.threads)
        return Round(tick, visit, users, feeds, actions, rewards)

    def _twins_events(self, day: int, tick: int) -> NDArray[np.int64]:
        """What incumbents do by the twin's book, where the gate of behaviour is closed."""
        return _NO_EVENTS if self.twin is None else self.twin[day].events_in(tick, self.world.ticks)

    # In the evening

    def _evening(self, day: int, events: NDArray[np.int64], tally: Tally) -> None:
        """The burn-in sets what is typical; later people leave; the twin's book is kept or read."""
        world, readers, people = self.world, self.readers, self.people
        if day < -world.days_before:
            number = day - first_day(world)
            self.intercept = corrected(world.platform, self.intercept, tally, number)
            known = readers.satisfaction[~np.isnan(readers.satisfaction)]
            self.average = float(known.mean()) if known.size else 0.0
        else:
            u = draw(self.scene.seed, Stream.DISCONTENT, people.address, 0, int(moment(day)))
            here = (people.arrival <= day) & (day < people.departure)
            leave(readers, world.behaviour, self.average, here, u)
        if self.twin is not None:
            readers.overwrite_first(self.twin[day].readers)
        if self.record is not None:
            n = world.incumbents
            self.record[day] = Twin(events[events[:, 0] < n], readers.first(n))
