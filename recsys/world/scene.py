"""Who and what is there in an arm: all that does not change from day to day while it runs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.world.arms import INCUMBENTS, NEWCOMERS, Arm
from recsys.world.people.draws import stacked
from recsys.world.people.notes import (
    NoteTable,
    adapted,
    draw_incumbents_notes,
    draw_newcomers_notes,
)
from recsys.world.people.population import People, draw_incumbents, draw_newcomers
from recsys.world.platform import house


class Scene(NamedTuple):
    """People and notes of one arm of a world, newcomers behind incumbents; and whose luck."""

    world: World
    seed: int
    arm: Arm
    people: People
    given: tuple[NoteTable, NoteTable]
    """Every note that may be published before the end, as incumbents and as newcomers are given it:
    one table, unless the gate of adaptation is closed. Incumbents then have the twin's notes."""
    orders: tuple[house.Order, house.Order]
    """The same notes, sorted."""

    @classmethod
    def before(cls, world: World, seed: int) -> "Scene":
        """The incumbents alone, as every arm begins."""
        people = draw_incumbents(world)
        notes = draw_incumbents_notes(world, people, seed)
        return cls(world, seed, Arm("nobody"), people, *_given(notes, notes))

    def joined(self, arm: Arm) -> "Scene":
        """With the arm's newcomers and their notes behind everybody and everything else."""
        world, seed, laws = self.world, self.seed, self.world.population
        if arm.newcomers == "nobody":
            nobody = world.influx.model_copy(update={"newcomers": 0})
            world = world.model_copy(update={"influx": nobody})
        law, origin = laws.incumbents, None
        if arm.newcomers == "influx":
            law, origin = laws.newcomers, world.influx.origin
        newcomers = draw_newcomers(world, law, seed, arm.variant, origin=origin)
        scene = self._replace(arm=arm, people=stacked(self.people, newcomers))
        theirs = draw_newcomers_notes(world, scene.people, law, seed, influx=scene.has_influx)
        notes = mine = stacked(self.notes, theirs)
        if scene.has_influx:
            answers = adapted(world, self.notes, newcomers, seed)
            notes = notes._replace(
                language=np.concatenate([answers.language, theirs.language]),
                subtitled=np.concatenate([answers.subtitled, theirs.subtitled]),
            )
        if arm.opens("adaptation", INCUMBENTS):
            mine = notes
        given, orders = _given(mine, notes)
        return scene._replace(given=given, orders=orders)

    @property
    def notes(self) -> NoteTable:
        """Every note as it is posted."""
        return self.given[NEWCOMERS]

    @property
    def newcomers(self) -> People:
        """The rows of those who arrive."""
        return People._make(column[self.world.incumbents :] for column in self.people)

    @property
    def has_influx(self) -> bool:
        """Whether a real influx is there, to be answered and to be curious about."""
        return self.arm.newcomers == "influx" and self.people.n > self.world.incumbents

    def cohorts(self, users: NDArray[np.int64]) -> tuple[slice, slice]:
        """Incumbents and newcomers among sorted rows of people."""
        edge = int(np.searchsorted(users, self.world.incumbents))
        return slice(0, edge), slice(edge, users.size)


def _given(
    incumbents: NoteTable, newcomers: NoteTable
) -> tuple[tuple[NoteTable, NoteTable], tuple[house.Order, house.Order]]:
    """`Scene.given` and `Scene.orders`; notes in the same languages are sorted once."""
    order = house.Order.of(newcomers)
    same = np.array_equal(incumbents.language, newcomers.language)
    return (incumbents, newcomers), (order if same else house.Order.of(incumbents), order)
