"""Describes the worlds of one seed for the measures: their posts, popularity, utility and history.

`Worlds` holds the simulated world of each arm, `MeasuredWorld` describes one of these worlds, and
`MeasuredDay` describes one day of a world. All loops share these classes, since nothing in the
classes depends on how feeds are made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Evaluation, World
from recsys.core.lazy import lazy
from recsys.core.noise import Stream, uniforms
from recsys.logs.log import InteractionLog, Seen, item_codes
from recsys.measures.attention_rows import Pool
from recsys.measures.items import history_of, liked_popularity, popularity_of
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.rows import Attributes, attributes_of, measures_of
from recsys.recommenders import Model, Ranking, Trending
from recsys.study.arms.measuring import ArmDay, ArmFeeds, Group
from recsys.study.arms.snapshots import INCUMBENT, NEWCOMER
from recsys.world.day.oracle import best_of
from recsys.world.day.values import Liked
from recsys.world.people.behaviour import examination
from recsys.world.people.posts import draw_follows
from recsys.world.platform.blend import PERSONAL
from recsys.world.simulate import Simulation

_ATTRIBUTES = ("language", "format", "topic", "product_tag")
_IN_SPACE = ("language", "format", "topic")
"""Attributes that are part of the posts' vectors."""
_MEASURED = (
    "from_newcomers",
    "creators",
    "popularity",
    "vectors",
    "history",
    "relevance",
    "sources",
)
"""Fields of a `FeedPair` that every world provides."""


def panel_of(world: World, evaluation: Evaluation) -> NDArray[np.int64]:
    """Dense ids of the incumbents that are measured; they are the same for every seed and arm.

    Args:
        world: the world, such as `World(incumbents=500)`. The panel is drawn from its incumbents
            by `world.population_seed`.
        evaluation: `evaluation.panel` is the size of the panel, such as 300.

    >>> from recsys.config import Influx
    >>> world = World(incumbents=500, influx=Influx(newcomers=20, arrivals=(1.0,)))
    >>> panel_of(world, Evaluation(panel=3)).size
    3
    """
    lot = uniforms(world.population_seed, Stream.PANEL, np.arange(world.incumbents))[:, 0]
    return np.sort(np.argsort(lot, kind="stable")[: evaluation.panel])


@dataclass(frozen=True)
class Worlds:
    """The worlds of one seed, each simulated to its last day.

    Attributes:
        simulations: the simulated worlds by arm. `control`, the twin, is always among them. Each
            draw of a nudge has a world; see `recsys.world.arms.draws_of`.
        panel: dense ids of the incumbents that are measured; see `panel_of`.
        evaluation: the part `evaluation` of the study's config.
    """

    simulations: Mapping[str, Simulation]
    panel: NDArray[np.int64]
    evaluation: Evaluation

    @property
    def twin(self) -> Simulation:
        """The world that nobody joins."""
        return self.simulations["control"]

    @property
    def seed(self) -> int:
        """The seed of the worlds."""
        return self.twin.seed

    @lazy
    def measured(self) -> dict[str, "MeasuredWorld"]:
        """Each world, described for the measures, by arm."""
        return {arm: self.beside_twin(world) for arm, world in self.simulations.items()}

    @property
    def lives(self) -> dict[str, pl.DataFrame]:
        """What people lived through in each world, by arm; worlds of nudges are left out."""
        return {name: world.life for name, world in self.simulations.items() if " " not in name}

    def beside_twin(self, simulation: Simulation) -> "MeasuredWorld":
        """Describes a world of the same seed, in `simulations` or not, for the measures.

        Args:
            simulation: the world.
        """
        return MeasuredWorld(simulation, self)

    def measures(self, *more: str) -> dict[str, Measure]:
        """The measures that can be taken of a world's feeds, by name.

        They are the measures for which the worlds and the feeds provide all that is needed.

        Args:
            more: further fields of `FeedPair` that these feeds provide, such as "scores".
        """
        previous = ("previous",) if len(self.evaluation.days) > 1 else ()
        without = ("without",) if self.evaluation.one_step else ()
        attributes = self.measured["control"].attributes
        return measures_of([*_MEASURED, *more, *previous, *without], attributes)

    @lazy
    def examine(self) -> NDArray[np.float64]:
        """Float64 (k,): probability that a user looks at each slot of a feed."""
        return examination(self.twin.world.platform, self.evaluation.k)

    @lazy
    def followers(self) -> NDArray[np.float64]:
        """Float64 (incumbents,): followers of each incumbent on the first day."""
        world = self.twin.world
        follows = draw_follows(world, self.twin.people)
        counts = np.bincount(follows[follows >= 0], minlength=world.incumbents)
        return counts.astype(np.float64)

    @lazy
    def history(self) -> NDArray[np.float64]:
        """Float64 (n, topics): the mix of topics that each panel user liked before the influx."""
        # `self.measured["control"].attributes` is not used here: another thread may hold the lock
        # of that world while it waits for the lock of this object.
        codes, labels = item_codes(self.twin.items, "topic")
        return history_of(self.twin.log_before(0), self.panel, codes, len(labels))


@dataclass(frozen=True)
class MeasuredWorld:
    """One world, described for the measures.

    Attributes:
        simulation: the world, simulated to its last day.
        beside: the worlds of the same seed, among them the twin.
    """

    simulation: Simulation
    beside: Worlds

    @property
    def slots_only(self) -> bool:
        """Whether only the panel's posts and their mix are compared: all that a floor needs.

        So it is in the worlds of nudges, of which a study has several.
        """
        return self.simulation.arm.newcomers == "nudge"

    @lazy
    def days(self) -> dict[int, "MeasuredDay"]:
        """Day 0 and the evaluated days.

        They are kept, since all recommenders of an open loop are trained on the same logs.
        """
        days = {0, *self.beside.evaluation.days}
        return {day: MeasuredDay(self, day) for day in sorted(days)}

    @lazy
    def attributes(self) -> Attributes:
        """Codes and labels of the posts' attributes, such as language and format."""
        return attributes_of(self.simulation.items, {name: name for name in _ATTRIBUTES})

    @lazy
    def vectors(self) -> NDArray[np.float32]:
        """Float32 (n_posts, dimensions): the vectors between which distances of posts are measured.

        Topic, language and format are one-hot. The hidden factors are scaled so that their mean
        squared length is 1. Each one-hot attribute has this length, too.
        """
        posts = self.simulation.posts
        codes = (self.attributes[name][0] for name in _IN_SPACE)
        ones = [np.eye(int(c.max(initial=0)) + 1, dtype=np.float32)[c] for c in codes]
        spread = float(np.sqrt((posts.latent**2).sum(axis=1).mean())) or 1.0
        return np.concatenate([*ones, posts.latent / spread], axis=1)

    @lazy
    def followers(self) -> NDArray[np.float64]:
        """Float64 (people,): followers on the first day; NaN for newcomers, who have none yet."""
        more = self.simulation.people.n - self.simulation.world.incumbents
        return np.pad(self.beside.followers, (0, more), constant_values=np.nan)

    def arm(
        self, name: tuple[str, str], arm: str, on: Callable[[int], ArmDay], *, reported: bool = True
    ) -> ArmFeeds:
        """An arm whose feeds come from this world.

        Args:
            name: recommender and mitigation, such as ("als", "none").
            arm: name of the arm, such as "influx"; "nudge 2" is draw 2 of the arm "nudge".
            on: gives the arm on a day.
            reported: see `ArmFeeds`.
        """
        arm_in_rows, _, draw = arm.partition(" ") if self.slots_only else (arm, "", "")
        keys = {
            "recommender": name[0],
            "mitigation": name[1],
            "arm": arm_in_rows,
            "seed": self.beside.seed,
            "draw": int(draw or 0),
        }
        return ArmFeeds(
            keys,
            on,
            self.simulation.users["user_id"],
            self.simulation.items,
            {name: name for name in _ATTRIBUTES},
            compared=arm != "control",
            reported=reported,
        )

    def newcomers(self, day: int) -> NDArray[np.int64]:
        """Dense ids of the newcomers that are measured on a day.

        Only the first newcomers can be measured, as many as the panel has users. Of these, the
        newcomers who have arrived and not yet departed are measured. None of a nudge is.

        Args:
            day: such as 1, the day after the first arrivals.
        """
        people, first = self.simulation.people, self.simulation.world.incumbents
        if self.slots_only:
            return np.zeros(0, dtype=np.int64)
        audience = np.arange(first, people.n)[: self.beside.evaluation.panel]
        there = (people.arrival[audience] < day) & (day < people.departure[audience])
        return audience[there]


@dataclass(frozen=True)
class MeasuredDay:
    """One day of a world: the log of that morning, and what the measures need of the day.

    Attributes:
        world: the world.
        day: day 0 or an evaluated day, such as 1, the day after the first arrivals.
    """

    world: MeasuredWorld
    day: int

    @property
    def panel(self) -> NDArray[np.int64]:
        """Dense ids of the incumbents that are measured."""
        return self.world.beside.panel

    @lazy
    def log(self) -> InteractionLog:
        """The log of the days before this one, as many as `evaluation.training_days` says."""
        days = self.world.beside.evaluation.training_days
        return self.world.simulation.log_before(self.day, days)

    @lazy
    def log_of_incumbents(self) -> InteractionLog:
        """`log` without the events of newcomers."""
        log, first_newcomer = self.log, self.world.simulation.world.incumbents
        events = log.dense.filter(log.dense["user"] < first_newcomer)
        return InteractionLog(log.users, log.items, events)

    @lazy
    def fallback(self) -> Model:
        """The trending list that fills gaps."""
        return Trending().fit(self.log)

    @lazy
    def newcomers(self) -> NDArray[np.int64]:
        """Dense ids of the newcomers that are measured."""
        return self.world.newcomers(self.day)

    @lazy
    def popularity(self) -> NDArray[np.float64]:
        """Float64 (n_posts,): share of the users who liked each post in the log."""
        if self._liked is not None:
            return self._liked.popularity
        return popularity_of(self.log)

    @property
    def _liked(self) -> Liked | None:
        """What was liked before that morning, where not all events of the world are kept."""
        return self.world.simulation.liked(self.day)

    def _liked_popularity(self, users: NDArray[np.int64]) -> NDArray[np.float64]:
        if self._liked is None:
            return liked_popularity(self.log, users, self.popularity)
        return self._liked.by_user[self.world.simulation.morning(self.day).rows_of(users)]

    @lazy
    def pool_of_panel(self) -> Pool:
        """The posts that can be served to the panel."""
        return self._pool(self.panel)

    @lazy
    def pool_of_newcomers(self) -> Pool:
        """The posts that can be served to the newcomers that are measured."""
        return self._pool(self.newcomers)

    def pool(self, group: Group) -> Pool | None:
        """The posts that can be served to a group, and how popular they are. See `ArmDay`."""
        if self.world.slots_only:
            return None
        return self.pool_of_panel if group.cohort == INCUMBENT else self.pool_of_newcomers

    def _pool(self, users: NDArray[np.int64]) -> Pool:
        simulation = self.world.simulation
        return Pool(
            simulation.candidates(self.day),
            simulation.posts.creator,
            self.popularity,
            self._liked_popularity(users),
            self.world.followers,
        )

    def groups(self, feeds: Sequence[Ranking]) -> list[Group]:
        """The panel with its feeds, then the newcomers with theirs if there are any.

        Args:
            feeds: feeds of the panel and feeds of the newcomers, the order of `audience`.
        """
        cohorts = (INCUMBENT, NEWCOMER)
        both = zip(cohorts, self.audience, feeds, strict=True)
        return [Group(*group) for group in both if group[0] == INCUMBENT or group[1].size]

    @property
    def audience(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Dense ids of all users who are measured: the panel, and the newcomers."""
        return self.panel, self.newcomers

    def utility(self, users: NDArray[np.int64], feeds: NDArray[np.int32]) -> NDArray[np.float32]:
        """Float32 (n, k): probability that a user who looks at a post of the feed clicks it.

        For incumbents, the probability is computed from the state that they have in the twin,
        without translation and curiosity, so that arms differ by their feeds alone. For newcomers,
        it is computed from their own state.

        Args:
            users: dense ids (n,) of one cohort.
            feeds: int32 (n, k) posts.
        """
        newcomers = bool(users.size) and users[0] >= self.world.simulation.world.incumbents
        state = None if newcomers else self.world.beside.twin
        return self.world.simulation.click_probability(users, feeds, self.day, state)

    def best(self, users: NDArray[np.int64], depth: int, candidates: NDArray[np.bool_]) -> Ranking:
        """The posts that each user would most probably click, by the probabilities of `utility`.

        Args:
            users: dense ids (n,) of one cohort.
            depth: number of posts for each user, such as 68.
            candidates: bool (n_posts,), which posts may be served.
        """
        ids, scores = best_of(
            self.utility,
            users,
            depth,
            candidates,
            Seen.from_matrix(self.log.seen),
            self.world.simulation.posts.key,
        )
        return Ranking(ids, scores, np.full(ids.shape, PERSONAL, dtype=np.uint8))

    def pair(
        self,
        group: Group,
        reference: Ranking,
        previous: Ranking | None,
        without: NDArray[np.int32] | None,
        *,
        scored: bool,
    ) -> FeedPair:
        """A group's feeds beside the reference's, with all that the measures need. See `ArmDay`.

        Posts have the attributes and the popularity that they have in this world.

        Args:
            group: users of one cohort and their feeds (n, k).
            reference: feeds of the same users in the reference arm (n, k).
            previous: feeds of the same users on the measured day before (n, k), or None.
            without: int32 (n, k), feeds from a fit without newcomers' events, or None.
            scored: whether the feeds have the scores by which they were ranked.
        """
        world, feeds = self.world, group.feeds
        slots = FeedPair(
            reference=reference.item_ids,
            feeds=feeds.item_ids,
            attributes={name: codes for name, (codes, _) in world.attributes.items()},
            from_newcomers=world.simulation.from_newcomers,
            examine=world.beside.examine,
            sources=feeds.sources,
        )
        if world.slots_only:
            return slots
        return replace(
            slots,
            creators=world.simulation.posts.creator,
            popularity=self.popularity,
            vectors=world.vectors,
            reference_scores=reference.scores.astype(np.float64) if scored else None,
            scores=feeds.scores.astype(np.float64) if scored else None,
            previous=None if previous is None else previous.item_ids,
            history={"topic": world.beside.history} if group.cohort == INCUMBENT else None,
            relevance=self.utility(group.users, feeds.item_ids),
            without=without,
        )
