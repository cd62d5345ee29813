"""What the cells of a study share: simulated worlds, a log that was read, their users."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from recsys.config import OwnLog, Study
from recsys.core.kept import Kept
from recsys.core.lazy import lazy
from recsys.mitigations.build import make_recommender
from recsys.study.arms.closed_loop import ClosedLoop, served_worlds
from recsys.study.arms.gated import GatedLoop, GatedSeed
from recsys.study.arms.measured_log import MeasuredLog
from recsys.study.arms.open_loop import OpenLoop, house_worlds
from recsys.study.arms.own_log import LogFeeds, Reference
from recsys.study.arms.rankings import make_rankings
from recsys.study.arms.worlds import Worlds
from recsys.study.cell import Cell
from recsys.world.people.population import LANGUAGES, draw_incumbents
from recsys.world.people.posts import is_creator


@dataclass(frozen=True)
class OpenSeed:
    """The worlds of one seed in an open loop, run when they are first asked for."""

    study: Study
    seed: int

    @lazy
    def worlds(self) -> Worlds:
        """Served by the house policy, in as many threads as the study has."""
        study = self.study
        world = study.world
        return house_worlds(world, study.evaluation, study.arms, self.seed, study.workers)


@dataclass(frozen=True)
class Sources:
    """The feeds of a study's cells, and what is costly and shared by several of them.

    Whoever runs several cells of a study holds one of these; a cell that runs alone has its own.

    Attributes:
        study: whose cells.
    """

    study: Study
    _open: Kept[int, OpenSeed] = field(default_factory=lambda: Kept(2), repr=False, compare=False)
    _gated: Kept[tuple[int, str, str], GatedSeed] = field(
        default_factory=lambda: Kept(2), repr=False, compare=False
    )
    _references: Kept[tuple[str, str], Reference] = field(
        default_factory=Kept, repr=False, compare=False
    )

    @lazy
    def log(self) -> MeasuredLog:
        """The log of a study of one."""
        study = self.study
        return MeasuredLog(study.log, study.evaluation, study.first_seed)

    @property
    def users(self) -> pl.DataFrame:
        """What users can be grouped by."""
        if isinstance(self.study.source, OwnLog):
            return users_of_log(self.log)
        return users_of_world(self.study)

    def worlds(self, seed: int) -> Worlds:
        """The worlds of a seed in an open loop; those of the last two seeds are kept."""
        return self._open(seed, lambda: OpenSeed(self.study, seed)).worlds

    def open_loop(self, cell: Cell) -> OpenLoop:
        """The feeds of a cell of an open loop."""
        rankings = make_rankings(cell.recommender, cell.chain, anew=True)
        return OpenLoop(self.worlds(cell.seed), self.study.arms, cell.variant, rankings)

    def closed_loop(self, cell: Cell) -> ClosedLoop:
        """The feeds of a cell of a closed loop, which has worlds of its own."""
        study, rankings = self.study, make_rankings(cell.recommender, cell.chain)
        world = study.world
        worlds = served_worlds(world, study.evaluation, study.arms, cell.seed, rankings)
        return ClosedLoop(worlds, cell.variant)

    def gated_loop(self, cell: Cell) -> GatedLoop:
        """The feeds of a cell with gates; the days that cells share are kept for the last two
        recommenders and seeds."""
        study, rankings = self.study, make_rankings(cell.recommender, cell.chain)
        world = study.world
        common = self._gated(
            (cell.seed, *cell.variant),
            lambda: GatedSeed(world, study.evaluation, cell.seed, rankings),
        )
        return GatedLoop(common, cell.variant, cell.coalitions)

    def log_feeds(self, cell: Cell) -> LogFeeds:
        """The feeds of a cell of a log; the fit of the whole log is shared by a recommender's."""
        recommender = make_recommender(cell.recommender, cell.chain, anew=self.study.loop == "open")
        log, removals = self.log, self.log.removals
        reference = self._references(
            cell.variant, lambda: Reference(removals, recommender, {cell.variant: log.serve})
        )
        first, snapshots = cell.draws.start == 1, self.study.evaluation.snapshots
        return LogFeeds(reference, log, cell.draws, first, snapshots)


def users_of_world(study: Study) -> pl.DataFrame:
    """What incumbents of a world can be grouped by, known before the influx.

    Args:
        study: of a world.

    Returns:
        user_id · activity (visits a day) · skill (reading, in the language they know less) ·
        language (of their app) · main_topic · curious · posts.
    """
    world = study.world
    people = draw_incumbents(world)
    topics = list(world.population.incumbents.topics)
    return pl.DataFrame(
        {
            "user_id": np.arange(people.n, dtype=np.int64),
            "activity": people.visits * people.presence,
            "skill": people.skill.min(axis=1),
            "language": [LANGUAGES[code] for code in people.app_language],
            "main_topic": [topics[place] for place in people.taste.argmax(axis=1)],
            "curious": people.curious,
            "posts": is_creator(world, people),
        }
    )


def users_of_log(log: MeasuredLog) -> pl.DataFrame:
    """What users of a log can be grouped by.

    Args:
        log: as a study measures it.

    Returns:
        The columns of its users, and, unless there are such: activity (positive events in the
        training part), tenure (`joined`) and main_topic (the one liked most, if topics are known).
    """
    users, extra = log.train.users, {}
    extra["activity"] = pl.Series(log.activity)
    if "joined" in users.columns:
        extra["tenure"] = users["joined"]
    topics = log.main_topic()
    if topics is not None:
        extra["main_topic"] = topics
    return users.with_columns(
        **{name: column for name, column in extra.items() if name not in users.columns}
    )
