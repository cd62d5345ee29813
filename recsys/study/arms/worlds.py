"""What measures must know of simulated worlds: posts' attributes, popularity, utility, history.

Every loop holds a `Worlds` and asks it; who makes the feeds is no matter here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
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
from recsys.study.arms.measuring import INCUMBENT, NEWCOMER, ArmDay, ArmFeeds, Group
from recsys.world.day.oracle import best_of
from recsys.world.people.behaviour import examination
from recsys.world.people.posts import draw_follows
from recsys.world.platform.blend import PERSONAL
from recsys.world.simulate import Simulation

_ATTRIBUTES = ("language", "format", "topic", "product_tag")
_IN_SPACE = ("language", "format", "topic")
"""Attributes that are axes of the posts' places."""
_MEASURED = ("from_newcomers", "creators", "popularity", "vectors", "history", "relevance")
"""Fields of a `FeedPair` that a world always knows."""


def panel_of(world: World, evaluation: Evaluation) -> NDArray[np.int64]:
    """Dense ids of the incumbents that are measured, the same for every seed and arm.

    Args:
        world: whose incumbents; the lot is drawn by `world.population_seed`.
        evaluation: `evaluation.panel` says how many.

    >>> panel_of(World(incumbents=500), Evaluation(panel=3)).size
    3
    """
    lot = uniforms(world.population_seed, Stream.PANEL, np.arange(world.incumbents))[:, 0]
    return np.sort(np.argsort(lot, kind="stable")[: evaluation.panel])


@dataclass(frozen=True)
class Worlds:
    """The worlds of one seed, run to their ends.

    Attributes:
        simulations: by arm; `control`, the twin, is among them.
        panel: dense ids of the incumbents that are measured; see `panel_of`.
        evaluation: what is measured, and how.
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
        """Each world with what measures must know of it, by arm."""
        return {arm: self.beside_twin(made) for arm, made in self.simulations.items()}

    def beside_twin(self, simulation: Simulation) -> "MeasuredWorld":
        """Another world of the same seed with what measures must know of it."""
        return MeasuredWorld(simulation, self)

    def measures(self, *more: str) -> dict[str, Measure]:
        """The measures of a world's feeds.

        Args:
            more: further fields of `FeedPair` that the feeds come with, such as "scores".
        """
        several = ("previous",) if len(self.evaluation.days) > 1 else ()
        one_step = ("without",) if self.evaluation.one_step else ()
        attributes = self.measured["control"].attributes
        return measures_of([*_MEASURED, *more, *several, *one_step], attributes)

    @lazy
    def examine(self) -> NDArray[np.float64]:
        """Float64 (k,): probability that a user looks at the slot."""
        return examination(self.twin.world.platform, self.evaluation.k)

    @lazy
    def followers(self) -> NDArray[np.float64]:
        """Followers of each incumbent at the start, float64 (incumbents,)."""
        world = self.twin.world
        follows = draw_follows(world, self.twin.people)
        counts = np.bincount(follows[follows >= 0], minlength=world.incumbents)
        return counts.astype(np.float64)

    @lazy
    def history(self) -> NDArray[np.float64]:
        """Topics of what the panel liked before the influx, float64 (n, topics)."""
        codes, labels = item_codes(self.twin.items, "topic")  # a world's lock is never waited for
        return history_of(self.twin.log_before(0), self.panel, codes, len(labels))


@dataclass(frozen=True)
class MeasuredWorld:
    """One world, and what measures must know of its posts and people.

    Attributes:
        simulation: the world, run to its end.
        beside: the worlds of the same seed, the twin among them.
    """

    simulation: Simulation
    beside: Worlds

    @lazy
    def days(self) -> dict[int, "MeasuredDay"]:
        """Day 0 and the evaluated days, for recommenders that are trained on the same logs."""
        days = {0, *self.beside.evaluation.days}
        return {day: MeasuredDay(self, day) for day in sorted(days)}

    @lazy
    def attributes(self) -> Attributes:
        """Codes and labels of the posts."""
        return attributes_of(self.simulation.items, {name: name for name in _ATTRIBUTES})

    @lazy
    def vectors(self) -> NDArray[np.float32]:
        """The posts' true places: topic, language and format (a one each) and hidden factors, which
        weigh as much as one of these."""
        posts = self.simulation.posts
        codes = (self.attributes[name][0] for name in _IN_SPACE)
        ones = [np.eye(int(c.max(initial=0)) + 1, dtype=np.float32)[c] for c in codes]
        spread = float(np.sqrt((posts.latent**2).sum(axis=1).mean())) or 1.0
        return np.concatenate([*ones, posts.latent / spread], axis=1)

    @lazy
    def followers(self) -> NDArray[np.float64]:
        """Followers of everybody at the start; NaN for newcomers, who have had no time."""
        more = self.simulation.people.n - self.simulation.world.incumbents
        return np.pad(self.beside.followers, (0, more), constant_values=np.nan)

    def arm(
        self, name: tuple[str, str], arm: str, on: Callable[[int], ArmDay], *, reported: bool = True
    ) -> ArmFeeds:
        """An arm that looks at this world.

        Args:
            name: recommender and mitigation, such as ("als", "none").
            arm: what the rows call it, such as "influx".
            on: its feeds of a day.
            reported: whether its rows are wanted.
        """
        keys = {
            "recommender": name[0],
            "mitigation": name[1],
            "arm": arm,
            "seed": self.beside.seed,
            "draw": 0,
        }
        return ArmFeeds(
            keys,
            on,
            self.simulation.users["user_id"],
            self.simulation.items["item_id"],
            compared=arm != "control",
            reported=reported,
            kept=self.beside.evaluation.snapshots,
        )

    def newcomers(self, day: int) -> NDArray[np.int64]:
        """Newcomers of the audience, the first so many by number, who are there on a day."""
        people, first = self.simulation.people, self.simulation.world.incumbents
        audience = np.arange(first, people.n)[: self.beside.evaluation.panel]
        there = (people.arrival[audience] < day) & (day < people.departure[audience])
        return audience[there]


@dataclass(frozen=True)
class MeasuredDay:
    """One day of a world: the log of its morning, and what measures must know of its feeds.

    Attributes:
        world: whose day.
        day: an evaluated day, such as 1, the day after the first arrivals.
    """

    world: MeasuredWorld
    day: int

    @property
    def panel(self) -> NDArray[np.int64]:
        """The incumbents that are measured."""
        return self.world.beside.panel

    @lazy
    def log(self) -> InteractionLog:
        """The log up to this day."""
        days = self.world.beside.evaluation.training_days
        return self.world.simulation.log_before(self.day, days)

    @lazy
    def fallback(self) -> Model:
        """The trending list that fills gaps."""
        return Trending().fit(self.log)

    @lazy
    def newcomers(self) -> NDArray[np.int64]:
        """The newcomers that are measured."""
        return self.world.newcomers(self.day)

    @lazy
    def popularity(self) -> NDArray[np.float64]:
        """Share of the users who liked each post before, float64 (n_posts,)."""
        return popularity_of(self.log)

    @lazy
    def pool_of_panel(self) -> Pool:
        """What can be served to the panel."""
        return self._pool(self.panel)

    @lazy
    def pool_of_newcomers(self) -> Pool:
        """What can be served to the newcomers that are measured."""
        return self._pool(self.newcomers)

    def pool(self, group: Group) -> Pool:
        """What can be served to a group, and how many liked it before."""
        return self.pool_of_panel if group.cohort == INCUMBENT else self.pool_of_newcomers

    def _pool(self, users: NDArray[np.int64]) -> Pool:
        simulation = self.world.simulation
        return Pool(
            simulation.candidates(self.day),
            simulation.posts.creator,
            self.popularity,
            liked_popularity(self.log, users, self.popularity),
            self.world.followers,
        )

    def groups(self, feeds: Sequence[Ranking]) -> list[Group]:
        """The panel's feeds, and the newcomers' where any are there.

        Args:
            feeds: of the panel and of the newcomers, as `audience` orders them.
        """
        cohorts = (INCUMBENT, NEWCOMER)
        both = zip(cohorts, self.audience, feeds, strict=True)
        return [Group(*group) for group in both if group[0] == INCUMBENT or group[1].size]

    @property
    def audience(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Whose feeds are measured: the panel and the newcomers."""
        return self.panel, self.newcomers

    def utility(self, users: NDArray[np.int64], feeds: NDArray[np.int32]) -> NDArray[np.float32]:
        """Click probabilities: incumbents as they are in the twin, newcomers as they are.

        Args:
            users: dense ids (n,) of one cohort.
            feeds: int32 (n, k) posts.
        """
        newcomers = bool(users.size) and users[0] >= self.world.simulation.world.incumbents
        state = None if newcomers else self.world.beside.twin
        return self.world.simulation.click_probability(users, feeds, self.day, state)

    def best(self, users: NDArray[np.int64], depth: int, candidates: NDArray[np.bool_]) -> Ranking:
        """What users would click most likely, in the state in which utility is measured.

        Args:
            users: dense ids (n,) of one cohort.
            depth: how many posts each, such as 68.
            candidates: bool (n_posts,), what may be served.
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
        """A group's feeds beside the reference's; posts are described as in this world.

        Args:
            group: users of one cohort and their feeds.
            reference: feeds of the same users in the reference arm (n, k).
            previous: the group's feeds one measured day before, or None.
            without: the group's feeds by a fit without newcomers, or None.
            scored: whether feeds come with what they were ranked by.
        """
        world, feeds = self.world, group.feeds
        return FeedPair(
            reference=reference.item_ids,
            feeds=feeds.item_ids,
            attributes={name: codes for name, (codes, _) in world.attributes.items()},
            from_newcomers=world.simulation.from_newcomers,
            examine=world.beside.examine,
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
