"""The people and posts of an arm. They stay the same while the arm runs, but for one thing.

Each morning `Scene.adapt` writes the languages of the day's new posts: creators answer newcomers.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.world.arms import INCUMBENTS, NEWCOMERS, Arm
from recsys.world.people.draws import stacked
from recsys.world.people.influx import NEVER
from recsys.world.people.population import LANGUAGES, People, draw_incumbents, draw_newcomers
from recsys.world.people.posts import (
    Posting,
    PostTable,
    answering,
    answers,
    draw_incumbents_posts,
    draw_newcomers_posts,
    subtitled,
)
from recsys.world.platform import house

Places = slice | NDArray[np.intp]
"""Positions of some people in sorted rows of people."""


class Scene(NamedTuple):
    """The people and posts of one arm and seed; newcomers stand behind incumbents."""

    world: World
    seed: int
    """World seed."""
    arm: Arm
    people: People
    posts_for: tuple[PostTable, PostTable]
    """All posts that may be published before the end: a table of the posts as incumbents get them,
    and one of the posts as newcomers get them. Both are the same table unless the gate of
    adaptation is closed. Then incumbents get the posts with the twin's languages and subtitles. The
    languages of posts to come change from day to day; see `adapt`."""
    orders: tuple[house.Order, house.Order]
    """The same two tables of posts, sorted."""
    answer: NDArray[np.float64] = np.zeros(0)
    """(days_after,) share of the incumbents' new posts that are in the newcomers' language, by day,
    at mean engagement; empty before the influx."""
    held: NDArray[np.bool_] | None = None
    """(n_people,) incumbents whom a trial keeps from newcomers' posts; None where there is no
    trial."""

    @classmethod
    def before(cls, world: World, seed: int) -> "Scene":
        """The scene before the influx, the same for all arms: incumbents and their posts alone."""
        people = draw_incumbents(world)
        posts = draw_incumbents_posts(world, people, seed)
        return cls(world, seed, Arm("nobody"), people, *_posts_for(posts, posts))

    def joined(self, arm: Arm) -> "Scene":
        """The scene of an arm: its newcomers and their posts stand behind all others.

        No person and no post moves to another row, so that arms can go on from the same state.
        """
        world, seed, laws = self.world, self.seed, self.world.population
        law, origin = laws.incumbents, None
        if arm.newcomers == "influx":
            law, origin = laws.newcomers, world.influx.origin
        if arm.newcomers == "nudge":
            newcomers = _draw_nudge(world, seed, arm)
        else:
            few = _with_newcomers(world, arm.size(world.influx.newcomers))
            newcomers = draw_newcomers(few, law, seed, arm.variant, origin=origin)
        scene = self._replace(arm=arm, people=stacked(self.people, newcomers))
        by_newcomers = draw_newcomers_posts(
            world,
            scene.people,
            law,
            seed,
            influx=scene.has_influx,
            posting=_POSTING.get(arm.newcomers, "influx"),
        )
        unadapted = posts = stacked(self.posts, by_newcomers)
        if scene.has_influx:
            with_subtitles = subtitled(world, self.posts, newcomers, seed)
            posts = posts._replace(
                language=posts.language.copy(),
                subtitled=np.concatenate([with_subtitles, by_newcomers.subtitled]),
            )
        for_incumbents = posts if arm.opens("adaptation", INCUMBENTS) else unadapted
        posts_for, orders = _posts_for(for_incumbents, posts)
        most = world.posts.posted_across if scene.has_influx else 0.0
        answer = answering(world, newcomers, most)
        return scene._replace(posts_for=posts_for, orders=orders, answer=answer)

    def adapt(self, day: int, clicks: NDArray[np.float64]) -> None:
        """Writes into the tables which of a day's posts creators publish in newcomers' language.

        Args:
            day: the day that begins, such as 3.
            clicks: float64 (n_posts,), newcomers' clicks on each post so far.
        """
        if not 0 <= day < self.answer.size or self.answer[day] == 0:
            return
        n = int((self.posts.creator < self.world.incumbents).sum())
        table = PostTable._make(column[:n] for column in self.posts)
        rows = answers(table, day, float(self.answer[day]), clicks[:n], self.seed)
        language = LANGUAGES.index(self.world.population.newcomers.language)
        posts, order = self.posts, self.orders[NEWCOMERS]
        posts.language[rows] = language
        order.buckets[rows] = posts.topic[rows] * len(LANGUAGES) + language

    @property
    def posts(self) -> PostTable:
        """All posts as they are published; newcomers always get this table."""
        return self.posts_for[NEWCOMERS]

    @property
    def newcomers(self) -> People:
        """The newcomers alone."""
        return People._make(column[self.world.incumbents :] for column in self.people)

    @property
    def has_influx(self) -> bool:
        """Whether a real influx comes: creators adapt to it, and people are curious about it."""
        return self.arm.newcomers == "influx" and self.people.n > self.world.incumbents

    def cohorts(self, users: NDArray[np.int64]) -> tuple[Places, ...]:
        """Splits sorted rows of people into two parts: the incumbents, then the newcomers.

        In a trial there are three: incumbents who are held, the other incumbents, the newcomers.
        """
        edge = int(np.searchsorted(users, self.world.incumbents))
        newcomers = slice(edge, users.size)
        if self.held is None:
            return slice(0, edge), newcomers
        held = self.held[users[:edge]]
        return np.flatnonzero(held), np.flatnonzero(~held), newcomers


_POSTING: dict[str, Posting] = {"locals": "incumbents", "nudge": "never"}
"""How often newcomers of an arm post; in all other arms as often as those of an influx."""


def _draw_nudge(world: World, seed: int, arm: Arm) -> People:
    """The people of a nudge: of the incumbents' law, there from day 0 on and on every day.

    Each variant has people at other addresses, so that not even their visits are the same.
    """
    n = arm.size(world.influx.newcomers)
    first = arm.variant * n
    drawn = draw_newcomers(
        _with_newcomers(world, first + n), world.population.incumbents, seed, arm.variant
    )
    people = People._make(column[first:] for column in drawn)
    return people._replace(
        arrival=np.zeros_like(people.arrival),
        departure=np.full_like(people.departure, NEVER),
        presence=np.ones_like(people.presence),
    )


def _with_newcomers(world: World, number: int) -> World:
    influx = world.influx.model_copy(update={"newcomers": number})
    return world.model_copy(update={"influx": influx})


def _posts_for(
    incumbents: PostTable, newcomers: PostTable
) -> tuple[tuple[PostTable, PostTable], tuple[house.Order, house.Order]]:
    """`Scene.posts_for` and `Scene.orders`; nothing is shared between two different tables."""
    order = house.Order.of(newcomers)
    if incumbents is newcomers:
        return (incumbents, newcomers), (order, order)
    return (incumbents, newcomers), (house.Order.of(incumbents), order)
