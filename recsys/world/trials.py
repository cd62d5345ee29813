"""Trials on a platform that newcomers join: some incumbents, or all for some time, are kept from
newcomers' posts.

A trial is what a platform can run itself. It shares creators, models and lists between those who
are kept away and those who are not, unless it diverts them: so it need not tell what would happen
without newcomers. A simulation can say how far off it is, as it also runs without them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.noise import Stream, uniforms
from recsys.world.arms import INCUMBENTS, NEWCOMERS
from recsys.world.day.fits import Rankers, fit_to
from recsys.world.day.oracle import Oracle
from recsys.world.day.serving import Ranked
from recsys.world.day.values import Round
from recsys.world.day.views import Affinities, View, affinities_of_both, view_of
from recsys.world.day.visits import Visits
from recsys.world.run import Run

_USERS, _CREATORS, _PARTS = 0, 1, 2
"""What is drawn by lot."""


class Trial(NamedTuple):
    """Who is kept from newcomers' posts, and when."""

    held: float = 0.5
    """Share of incumbents who are kept from newcomers' posts, by lot."""
    diverted: bool = False
    """Whether held incumbents are served by a fit to their own events, and others by a fit to all
    other events; trending lists and rates then hold no clicks of newcomers for those held. Else
    all are served by one fit."""
    creators: float = 1.0
    """Share of newcomers, by lot, whose posts other incumbents are shown."""
    alternates: bool = False
    """Whether instead all incumbents are kept from newcomers' posts for every other part of the
    day, so that each part of the day is on and off in turn; `held` then does not count."""

    def holds(self, seed: int, address: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Bool (n,): which incumbents are held.

        Args:
            seed: world seed, such as 0.
            address: uint32 (n,), addresses of the incumbents' draws.

        >>> Trial(held=1.0).holds(0, np.arange(3, dtype=np.uint32)).tolist()
        [True, True, True]
        """
        share = 0.0 if self.alternates else self.held
        return np.asarray(uniforms(seed, Stream.TRIAL, address, _USERS)[:, 0] < share)

    def shows(self, seed: int, address: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Bool (n,): whose posts are shown to incumbents who are not held.

        Args:
            seed: world seed, such as 0.
            address: uint32 (n,), addresses of the newcomers' draws.
        """
        return np.asarray(uniforms(seed, Stream.TRIAL, address, _CREATORS)[:, 0] < self.creators)

    def is_on(self, seed: int, day: int, tick: int) -> bool:
        """Whether incumbents who are not held are shown newcomers' posts in a part of a day.

        >>> trial = Trial(alternates=True)
        >>> trial.is_on(0, 3, 0) != trial.is_on(0, 3, 1) == trial.is_on(0, 4, 0)
        True
        """
        if not self.alternates:
            return True
        first = uniforms(seed, Stream.TRIAL, np.zeros(1, dtype=np.uint32), _PARTS)[0, 0] < 0.5
        return bool((day + tick) % 2 == int(first))


@dataclass
class TrialRun(Run):
    """A platform that runs a trial; see `Trial`.

    Attributes:
        trial: the trial.
        morning_affinities: how much people like topics and languages without what newcomers
            clicked, for those held in a trial that diverts.
    """

    trial: Trial = field(default_factory=Trial)
    morning_affinities: Affinities | None = None

    @classmethod
    def of(cls, run: Run, trial: Trial) -> "TrialRun":
        """A run that goes on as a trial; no feeds without newcomers are made in it.

        Args:
            run: a run that has been forked for an arm with all gates open.
            trial: the trial.

        Raises:
            ValueError: a gate of the arm is closed.
        """
        if not run.scene.arm.all_open:
            raise ValueError("a trial needs an arm with all gates open")
        scene, n = run.scene, run.world.incumbents
        held = np.zeros(scene.people.n, dtype=np.bool_)
        held[:n] = trial.holds(scene.seed, scene.people.address[:n])
        audience = run.audience and run.audience._replace(one_step=False)
        fields = vars(run) | {
            "scene": scene._replace(held=held),
            "audience": audience,
            "trial": trial,
        }
        incumbents, newcomers = run.rankers
        return cls(**fields | {"rankers": (incumbents, incumbents, newcomers)})

    @property
    def by_newcomers(self) -> NDArray[np.bool_]:
        """Bool (n_posts,): which posts are by newcomers."""
        return np.asarray(self.posts.creator >= self.world.incumbents)

    def _views(self, day: int, tick: int) -> tuple[View, ...]:
        """What those held, other incumbents, and newcomers are served from."""
        hidden = self.by_newcomers
        if self.trial.is_on(self.scene.seed, day, tick):
            shown = self.trial.shows(self.scene.seed, self.people.address)
            hidden = hidden & ~shown[self.posts.creator]
        return (
            self._held_view(day, tick),
            self._view(day, tick, hidden),
            self._view(day, tick, None),
        )

    def _view(self, day: int, tick: int, hidden: NDArray[np.bool_] | None) -> View:
        scene, counts = self.scene, self.counts
        return view_of(NEWCOMERS, scene, counts, self.affinities, self.intercept, day, tick, hidden)

    def _held_view(self, day: int, tick: int) -> View:
        if not self.trial.diverted:
            return self._view(day, tick, self.by_newcomers)
        arm = self.scene.arm._replace(gates=self.scene.arm.gates - {"exposure", "training"})
        scene, hidden = self.scene._replace(arm=arm), self.by_newcomers
        if tick == 0 or self.morning_affinities is None:
            self.morning_affinities = affinities_of_both(scene, self.states)
        affinities, intercept = self.morning_affinities, self.intercept
        return view_of(INCUMBENTS, scene, self.counts, affinities, intercept, day, tick, hidden)

    def _rank(self, day: int, views: tuple[View, ...], visits: Visits) -> Ranked | None:
        """Rankings for the whole day: where the trial alternates, newcomers' posts are in them."""
        if self.trial.alternates:
            views = (views[0], views[-1], views[-1])
        return super()._rank(day, views, visits)

    def _shown(self, day: int, visits: Visits) -> None:
        """None: rankings are full, since newcomers' posts may be passed over."""

    def _rankers(self, views: tuple[View, ...], day: int) -> Rankers:
        """One fit for all, or one for those held and one for all others."""
        if self.policy is None or isinstance(self.policy, Oracle) or not self.history:
            return super()._rankers(views, day)
        held = self.scene.held
        assert held is not None
        scene, policy, history, before = self.scene, self.policy, self.history, self.rankers
        everybody = np.ones_like(held)
        of_held, reached = held[: self.world.incumbents].any(), ~held
        if not (self.trial.diverted and of_held):
            both = fit_to(scene, policy, history, before[1], everybody)
            return both, both, both
        if not reached[: self.world.incumbents].any():
            reached = everybody  # there is nobody to divert from: newcomers get a fit to all
        own, others = (
            fit_to(scene, policy, history, previous, people)
            for previous, people in ((before[0], held), (before[1], reached))
        )
        return own, others, others

    def _rounds(
        self,
        day: int,
        tick: int,
        views: tuple[View, ...],
        visits: Visits,
        ranked: Ranked | None,
    ) -> Iterator[Round]:
        """As in `Run`; in a part of the day that is off, newcomers' posts are passed over."""
        if ranked is not None and not self.trial.is_on(self.scene.seed, day, tick):
            ranked = self._passed_over(ranked)
        return super()._rounds(day, tick, views, visits, ranked)

    def _passed_over(self, ranked: Ranked) -> Ranked:
        """The incumbents' rankings without newcomers' posts, the rest moved up."""
        people = np.flatnonzero(ranked.row >= 0)
        lengths = np.diff(ranked.start)
        of_incumbent = np.repeat(people < self.world.incumbents, lengths)
        out = of_incumbent & ((ranked.posts < 0) | self.by_newcomers[ranked.posts])
        order = np.lexsort((out, np.repeat(np.arange(people.size), lengths)))
        posts = np.where(out[order], np.int32(-1), ranked.posts[order])
        sources = ranked.sources[order]
        return ranked._replace(posts=posts, sources=sources)
