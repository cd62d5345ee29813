"""A platform that runs: each day people visit, are served and respond, and everything is counted.

The days before the influx hold incumbents only, so all arms of one seed share them. On day 0 an arm
appends its newcomers and their posts behind all others, so that no row changes its number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.core.noise import Stream, moment
from recsys.core.steps import SIMULATING, step
from recsys.core.threads import spare_threads
from recsys.world.arms import INCUMBENTS, NEWCOMERS, Arm, Audience, Twin
from recsys.world.day.calibration import Tally, corrected, first_intercept
from recsys.world.day.counts import Counts
from recsys.world.day.events import collect, day_of, in_time
from recsys.world.day.fits import Rankers, fit, fit_without_newcomers
from recsys.world.day.oracle import Oracle
from recsys.world.day.rounds import moods_of, request_of, respond
from recsys.world.day.serving import Ranked, rank_morning, serve, serve_audience
from recsys.world.day.values import Day, Liked, Morning, Round, Served
from recsys.world.day.views import Affinities, View, affinities_of_both, views_of_both
from recsys.world.day.visits import Visits, draw_visits
from recsys.world.life import Acts, life_rows
from recsys.world.people.draws import draw
from recsys.world.people.population import LANGUAGES, People
from recsys.world.people.posts import PostTable, draw_follows, first_day
from recsys.world.people.user_states import State, UserStates, leave
from recsys.world.platform.policy import Policy
from recsys.world.scene import Scene
from recsys.world.traffic import Traffic

_INTERCEPT_SAMPLE = 20_000
"""Most people whose feeds are made to solve the first intercept."""

_NO_EVENTS = np.zeros((0, 5), dtype=np.int64)
_NOBODY = np.zeros((0, 0), dtype=np.float32)


@dataclass
class Run:
    """A platform that is running: all that changes from day to day.

    Attributes:
        scene: the people and posts; `fork` changes them, and creators adapt new posts each day.
        states: the state of people.
        counts: clicks so far.
        threads: number of threads that serve and respond; it changes no bit of the result.
        policy: the recommender or the oracle that serves; None for the house.
        audience: people whose feeds are kept; None to keep none.
        impressions: whether the events of days hold impressions.
        intercept: intercept of the click logit; set during the burn-in.
        average: mean satisfaction of incumbents at the end of the burn-in.
        affinities: how much people like topics and languages, as the platform knew it this morning.
        rankers: the fits that serve incumbents and newcomers; see `Rankers`.
        history: the last days, from which a policy learns.
        twin: the twin's days, if incumbents do what the twin's incumbents did; else None.
        record: the days of this run by number, kept so that this run can be the twin of other arms;
            None to record nothing.
        liked: what was liked before this morning, where `audience.alone` asks for it.
    """

    scene: Scene
    states: UserStates
    counts: Counts
    threads: int = 1
    policy: Policy | Oracle | None = None
    audience: Audience | None = None
    impressions: bool = True
    intercept: float = 0.0
    average: float = 0.0
    affinities: Affinities = (_NOBODY, _NOBODY)
    rankers: Rankers = (None, None)
    history: tuple[Day, ...] = ()
    twin: Mapping[int, Twin] | None = None
    record: dict[int, Twin] | None = None
    liked: Liked | None = None

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
        """A platform before its burn-in, with incumbents alone; arguments as the attributes."""
        scene = Scene.before(world, seed)
        buckets = len(world.population.incumbents.topics) * len(LANGUAGES)
        follows = draw_follows(world, scene.people)
        states = UserStates.fresh(scene.people, follows, world.platform.seen_memory, buckets)
        counts = Counts.none(scene.posts.n)
        return cls(scene, states, counts, threads, policy, audience, impressions)

    def fork(self, arm: Arm, twin: Mapping[int, Twin] | None = None) -> "Run":
        """A copy of this run that goes on as an arm, with the arm's newcomers and their posts.

        Args:
            arm: the arm.
            twin: what the control arm did by day; needed if the gate of behaviour is closed.

        Raises:
            ValueError: the twin is needed and missing.
        """
        if twin is None and not arm.opens("behaviour", INCUMBENTS):
            raise ValueError(
                "the gate of behaviour is closed: give the twin that incumbents follow"
            )
        scene, audience = self.scene.joined(arm), self.audience
        if audience is not None and arm.newcomers == "nudge":
            audience = audience._replace(one_step=False)
        elif audience is not None:
            audience = audience.joined_by(np.arange(self.world.incumbents, scene.people.n))
        return replace(
            self,
            scene=scene,
            states=self.states.with_newcomers(scene.newcomers),
            counts=self.counts.with_room_for(scene.posts.n),
            audience=audience,
            rankers=(None, None) if arm.retrained else self.rankers,
            twin=None if arm.opens("behaviour", INCUMBENTS) else twin,
            record=None,
        )

    def without_people(self) -> "Run":
        """This run without what it knows of people; what it takes to fork it, but their state."""
        return replace(self, states=self.states.first(0), affinities=(_NOBODY, _NOBODY))

    @property
    def world(self) -> World:
        """The config of the world."""
        return self.scene.world

    @property
    def people(self) -> People:
        """All people so far, newcomers behind incumbents."""
        return self.scene.people

    @property
    def posts(self) -> PostTable:
        """All posts that may be published, newcomers' behind incumbents'."""
        return self.scene.posts

    def run_days(self, start: int, end: int) -> Iterator[Day]:
        """Runs the days from `start` on and before `end`, one by one."""
        for day in range(start, end):
            step(SIMULATING, f"seed {self.scene.seed}, {self.scene.arm.newcomers}, day {day}")
            today = self._run_day(day)
            audience = self.audience
            if audience is not None and audience.alone:
                acts = Acts.of(
                    self.world, self.scene.seed, today, self.people, self.scene.posts_for
                )
                rows = tuple(life_rows(self.world, today, acts))
                today = today.of_users(audience.users, rows)
            yield today

    def _run_day(self, day: int) -> Day:
        self.states.seen_today[:] = 0
        self.scene.adapt(day, self.counts.clicks[NEWCOMERS])
        visits = draw_visits(self.scene, self.states.gone, day, incumbents=self.twin is None)
        self.affinities = affinities_of_both(self.scene, self.states)
        if day == first_day(self.world):
            self.intercept = self._first_intercept(day)
        views = self._views(day, 0)
        previous = self.rankers
        ranked = self._rank(day, views, visits)
        morning = self._morning(day, views, ranked)
        if morning is not None and self._wants_feeds_without_newcomers():
            morning = morning._replace(without=self._without_newcomers(day, views, previous))
        traffic, tally, events = Traffic.on(self.world, visits.number), Tally(), [_NO_EVENTS]
        looks_of_ticks: list[NDArray[np.float64]] = []
        for tick in range(self.world.ticks):
            if tick > 0:
                views = self._views(day, tick)
            rounds = list(self._rounds(day, tick, views, visits, ranked))
            looks = np.zeros((2, self.posts.n))
            for done in rounds:
                cohort = int(done.users[0] >= self.world.incumbents)
                language = self.scene.posts_for[cohort].language
                traffic.add(cohort, language, done.feeds, done.actions, looks[cohort])
                tally = tally.plus(self.world.platform, done)
            drawn = collect(
                self.world, self.people, self.scene.seed, day, rounds, impressions=self.impressions
            )
            events_of_tick = np.concatenate([drawn, self._twins_events(day, tick)])
            if self.twin is not None:
                of_twin = self.twin[day].looks[tick]
                looks[INCUMBENTS, : of_twin.size] += of_twin
            looks_of_ticks.append(looks[INCUMBENTS])
            self.counts = self.counts.after(self.scene, events_of_tick, looks)
            events.append(events_of_tick)
        all_events = in_time(np.concatenate(events))
        gone = self.states.gone.copy()
        self._evening(day, all_events, looks_of_ticks, tally)
        state = State.of(self.people, self.states, self.world.incumbents, day, gone)
        n_visits = int(visits.number.sum())
        today = day_of(self.world, day, all_events, n_visits, morning, traffic, state)
        if self.policy is not None and not isinstance(self.policy, Oracle):
            self.history = (*self.history, today)[-self.policy.training_days :]
        return today

    # In the morning

    def _first_intercept(self, day: int) -> float:
        """The first intercept, from the feeds that people would get if all came in the morning."""
        view = self._views(day, 0)[0]
        sample = np.arange(min(self.people.n, _INTERCEPT_SAMPLE))
        request = request_of(self.scene, sample, day, 0, 0)
        feeds, _ = serve(self.scene, self.states, view, request, None, self.threads)
        return first_intercept(self.scene, self.states, view, request, feeds)

    def _views(self, day: int, tick: int) -> tuple[View, ...]:
        counts, intercept = self.counts, self.intercept
        return views_of_both(self.scene, counts, self.affinities, intercept, day, tick)

    def _rank(self, day: int, views: tuple[View, ...], visits: Visits) -> Ranked | None:
        """Rankings, by the morning's fits, for all who come today or are in the audience."""
        if self.policy is None:
            return None
        self.liked = None
        if day > -self.world.days_before:
            self.rankers = self._rankers(views, day)
        audience = self.audience
        wanted, shown = visits.number > 0, self._shown(day, visits)
        if audience is not None and day in audience.days:
            wanted[audience.users] = True
            if shown is not None:
                shown[audience.users] = np.maximum(shown[audience.users], audience.k)
        users = np.flatnonzero(wanted)
        return rank_morning(
            self.scene,
            self.states.shown(),
            views,
            self.rankers,
            users,
            None if shown is None else shown[users],
            self.threads,
        )

    def _shown(self, day: int, visits: Visits) -> NDArray[np.int64] | None:
        """Number of posts that each person is shown that day, int64 (n_people,).

        None where a policy ranks all alike deep.
        """
        if self.policy is None or not self.policy.by_need:
            return None
        shown = np.zeros(self.people.n, dtype=np.int64)
        for tick in range(self.world.ticks):
            for visit, users in enumerate(visits.in_tick(tick)):
                shown[users] += request_of(self.scene, users, day, tick, visit).depth
        return shown

    def _rankers(self, views: tuple[View, ...], day: int) -> Rankers:
        """This morning's fits.

        An oracle needs no fit. It begins to serve on the day on which a fit would begin to serve.
        """
        if isinstance(self.policy, Oracle):
            return tuple(self.policy.bound(self.scene, self.states, view) for view in views)
        if self.policy is None or not self.history:
            return self.rankers
        described, audience = None, self.audience
        if audience is not None and audience.alone and day in audience.days:
            described = audience.users
        with spare_threads(self.threads):
            fits = fit(self.scene, self.policy, self.history, self.rankers, described)
        rankers, self.liked = fits
        return rankers

    def _morning(self, day: int, views: tuple[View, ...], ranked: Ranked | None) -> Morning | None:
        """What the audience's feeds are made from, and the feeds that it is served."""
        if self.audience is None or day not in self.audience.days:
            return None
        states = self.states
        served = serve_audience(self.scene, states, views, self.audience, day, ranked)
        if self.audience.alone:
            users = self.audience.users
            return Morning(
                (),
                (),
                np.zeros((0, 0), dtype=np.int32),
                states.taste[users],
                states.skill[users],
                (views[0].conditions, views[-1].conditions),
                served,
                people=users,
                liked=self.liked,
            )
        return Morning(
            (views[0].shelves, views[-1].shelves),
            (views[0].affinity, views[-1].affinity),
            states.follows.copy(),
            states.taste.copy(),
            states.skill.copy(),
            (views[0].conditions, views[-1].conditions),
            served,
        )

    def _wants_feeds_without_newcomers(self) -> bool:
        """Whether `Morning.without` is asked for, and newcomers' events can make a difference."""
        trained = self.policy is not None and not isinstance(self.policy, Oracle)
        return (
            self.audience is not None
            and self.audience.one_step
            and trained
            and bool(self.history)
            and self.people.n > self.world.incumbents
            and self.scene.arm.opens("training", INCUMBENTS)
        )

    def _without_newcomers(self, day: int, views: tuple[View, ...], previous: Rankers) -> Served:
        """Incumbents' feeds by a fit that goes on from yesterday's, without newcomers' events."""
        assert self.audience is not None
        assert self.policy is not None
        assert not isinstance(self.policy, Oracle)
        ranker = fit_without_newcomers(self.scene, self.policy, self.history, previous)
        users = self.audience.users[self.audience.users < self.world.incumbents]
        ranked = rank_morning(self.scene, self.states.shown(), views, (ranker, None), users)
        audience = self.audience._replace(users=users)
        return serve_audience(self.scene, self.states, views, audience, day, ranked)

    # Through the day

    def _rounds(
        self,
        day: int,
        tick: int,
        views: tuple[View, ...],
        visits: Visits,
        ranked: Ranked | None,
    ) -> Iterator[Round]:
        """All first visits of a tick, then all second visits, and so on.

        Of the visits with one number, those of incumbents come before those of newcomers.
        """
        for visit, users in enumerate(visits.in_tick(tick)):
            for view, part in zip(views, self.scene.cohorts(users), strict=True):
                if users[part].size:
                    yield self._round(day, tick, visit, users[part], view, ranked)

    def _round(
        self,
        day: int,
        tick: int,
        visit: int,
        users: NDArray[np.int64],
        view: View,
        ranked: Ranked | None,
    ) -> Round:
        """One round: all are served, then all respond."""
        scene, states = self.scene, self.states
        request = request_of(scene, users, day, tick, visit)
        moods = moods_of(scene, request)
        feeds, _ = serve(scene, states, view, request, ranked, self.threads)
        actions, rewards = respond(scene, states, view, request, feeds, moods, self.threads)
        return Round(tick, visit, users, feeds, actions, rewards)

    def _twins_events(self, day: int, tick: int) -> NDArray[np.int64]:
        """The events of the twin's incumbents, where the gate of behaviour is closed."""
        return _NO_EVENTS if self.twin is None else self.twin[day].events_in(tick, self.world.ticks)

    # In the evening

    def _evening(
        self,
        day: int,
        events: NDArray[np.int64],
        looks: list[NDArray[np.float64]],
        tally: Tally,
    ) -> None:
        """Ends a day.

        A day of the burn-in sets the intercept and the average. On later days people may leave.
        Where the gate of behaviour is closed, incumbents get the state of the twin's incumbents.
        """
        world, states, people = self.world, self.states, self.people
        if day < -world.days_before:
            number = day - first_day(world)
            self.intercept = corrected(world.platform, self.intercept, tally, number)
            rated = states.satisfaction[~np.isnan(states.satisfaction)]
            self.average = float(rated.mean()) if rated.size else 0.0
        else:
            u = draw(self.scene.seed, Stream.DISCONTENT, people.address, 0, int(moment(day)))
            here = (people.arrival <= day) & (day < people.departure)
            leave(states, world.behaviour, self.average, here, u)
        if self.twin is not None:
            states.overwrite_first(self.twin[day].states)
        if self.record is not None:
            n = world.incumbents
            self.record[day] = Twin(events[events[:, 0] < n], states.first(n), tuple(looks))
