"""The people and posts of an arm: all that stays the same from day to day while the arm runs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.world.arms import INCUMBENTS, NEWCOMERS, Arm
from recsys.world.people.draws import stacked
from recsys.world.people.population import People, draw_incumbents, draw_newcomers
from recsys.world.people.posts import (
    PostTable,
    adapted,
    draw_incumbents_posts,
    draw_newcomers_posts,
)
from recsys.world.platform import house


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
    adaptation is closed. Then incumbents get the posts with the twin's languages and subtitles."""
    orders: tuple[house.Order, house.Order]
    """The same two tables of posts, sorted."""

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
        if arm.newcomers == "nobody":
            nobody = world.influx.model_copy(update={"newcomers": 0})
            world = world.model_copy(update={"influx": nobody})
        law, origin = laws.incumbents, None
        if arm.newcomers == "influx":
            law, origin = laws.newcomers, world.influx.origin
        newcomers = draw_newcomers(world, law, seed, arm.variant, origin=origin)
        scene = self._replace(arm=arm, people=stacked(self.people, newcomers))
        by_newcomers = draw_newcomers_posts(world, scene.people, law, seed, influx=scene.has_influx)
        unadapted = posts = stacked(self.posts, by_newcomers)
        if scene.has_influx:
            by_incumbents = adapted(world, self.posts, newcomers, seed)
            posts = posts._replace(
                language=np.concatenate([by_incumbents.language, by_newcomers.language]),
                subtitled=np.concatenate([by_incumbents.subtitled, by_newcomers.subtitled]),
            )
        for_incumbents = posts if arm.opens("adaptation", INCUMBENTS) else unadapted
        posts_for, orders = _posts_for(for_incumbents, posts)
        return scene._replace(posts_for=posts_for, orders=orders)

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

    def cohorts(self, users: NDArray[np.int64]) -> tuple[slice, slice]:
        """Splits sorted rows of people into two slices: the incumbents, then the newcomers."""
        edge = int(np.searchsorted(users, self.world.incumbents))
        return slice(0, edge), slice(edge, users.size)


def _posts_for(
    incumbents: PostTable, newcomers: PostTable
) -> tuple[tuple[PostTable, PostTable], tuple[house.Order, house.Order]]:
    """`Scene.posts_for` and `Scene.orders`; tables with the same languages are sorted only once."""
    order = house.Order.of(newcomers)
    same = np.array_equal(incumbents.language, newcomers.language)
    return (incumbents, newcomers), (order if same else house.Order.of(incumbents), order)
