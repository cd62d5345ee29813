"""Who and what is there in an arm: all that does not change from day to day while it runs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import World
from recsys.world import house
from recsys.world.arms import Arm
from recsys.world.notes import (
    NoteTable,
    draw_incumbents_notes,
    draw_newcomers_notes,
    with_subtitles,
)
from recsys.world.population import People, draw_incumbents, draw_newcomers
from recsys.world.tables import stacked

__all__ = ["Scene"]


class Scene(NamedTuple):
    """People and notes of one arm of a world, newcomers behind incumbents; and whose luck."""

    world: World
    seed: int
    arm: Arm
    people: People
    notes: NoteTable
    """Every note that may be published before the end."""
    order: house.Order
    """The notes, sorted."""

    @classmethod
    def before(cls, world: World, seed: int) -> "Scene":
        """The incumbents alone, as every arm begins."""
        people = draw_incumbents(world)
        notes = draw_incumbents_notes(world, people, seed)
        return cls(world, seed, Arm("nobody"), people, notes, house.Order.of(notes))

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
        real, notes = scene.has_influx, self.notes
        if real:
            notes = with_subtitles(world, notes, newcomers, seed)
        theirs = draw_newcomers_notes(world, scene.people, law, seed, influx=real)
        notes = stacked(notes, theirs)
        return scene._replace(notes=notes, order=house.Order.of(notes))

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

    def notes_of(self, cohort: int) -> NoteTable:
        """The notes as a cohort is given them: subtitles pass the gate of adaptation."""
        if self.arm.opens("adaptation", cohort):
            return self.notes
        return self.notes._replace(subtitled=np.zeros_like(self.notes.subtitled))
