"""Makes the source of feeds of each cell, and keeps what several cells of a study share.

Worlds are simulated once, a log is read once, and the reference of a recommender is fitted once.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from recsys.config import OwnLog, RecommenderSpec, Study
from recsys.core.alike import foreign_code
from recsys.core.errors import EngineError
from recsys.core.jobs import groups_at_once
from recsys.core.kept import Kept
from recsys.core.lazy import lazy
from recsys.logs.files import content_digest
from recsys.mitigations.build import make_recommender
from recsys.study.arms.closed_loop import ClosedLoop, served_one_by_one
from recsys.study.arms.gated import GatedLoop, GatedSeed
from recsys.study.arms.measured_log import MeasuredLog
from recsys.study.arms.open_loop import OpenLoop, house_worlds
from recsys.study.arms.own_log import LogFeeds, Reference
from recsys.study.arms.rankings import Learned, make_rankings
from recsys.study.arms.shared_fits import SharedFits
from recsys.study.arms.worlds import Worlds
from recsys.study.cell import Cell
from recsys.world.people.population import LANGUAGES, draw_incumbents
from recsys.world.people.posts import is_creator


@dataclass(frozen=True)
class OpenSeed:
    """The worlds of one seed in an open loop, simulated when they are first asked for."""

    study: Study
    seed: int
    _fits: Kept[str, SharedFits] = field(default_factory=lambda: Kept(2), repr=False, compare=False)

    @lazy
    def worlds(self) -> Worlds:
        """The worlds, served by the house policy; simulated in as many threads as the study has."""
        study = self.study
        world = study.world
        return house_worlds(world, study.evaluation, study.arms, self.seed, study.threads)

    def fits(self, spec: RecommenderSpec) -> SharedFits:
        """The fits that a recommender's mitigations share; those of the last two are kept.

        Args:
            spec: a recommender of the study.
        """
        chains = self.study.chains_for(spec.name)
        make = (make_recommender(spec, chain, anew=True) for chain in chains)
        return self._fits(spec.name, lambda: SharedFits(make))


@dataclass(frozen=True)
class Sources:
    """Makes the source of feeds of each cell of a study.

    Cells that run in one process use the same `Sources`, so that they share what is costly to make.
    A cell that runs alone has a `Sources` of its own. Sent to another process, it is the study
    alone: a thread there makes one `Sources` for all cells of a study that come to it.

    Attributes:
        study: the study of the cells.
    """

    study: Study
    _gated: Kept[tuple[int, str, str], GatedSeed] = field(
        default_factory=lambda: Kept(2), repr=False, compare=False
    )
    _references: Kept[tuple[str, str], Reference] = field(
        default_factory=Kept, repr=False, compare=False
    )

    def __reduce__(self) -> tuple[Callable[..., "Sources"], tuple[Study, dict[str, str]]]:
        """How it is pickled: the study, and hashes of what it reads besides code of recsys."""
        return _in_this_thread, (self.study, _read_by(self.study))

    @lazy
    def _open(self) -> Kept[int, OpenSeed]:
        """The worlds of as many seeds as threads can be at."""
        study = self.study
        cells = sum(len(study.chains_for(spec.name)) for spec in study.recommenders)
        return Kept(groups_at_once(study.threads, cells))

    @lazy
    def log(self) -> MeasuredLog:
        """The log, in a study of a log."""
        study = self.study
        return MeasuredLog(study.log, study.evaluation, study.first_seed)

    @property
    def users(self) -> pl.DataFrame:
        """Users with the attributes that they can be grouped by."""
        if isinstance(self.study.source, OwnLog):
            return users_of_log(self.log)
        return users_of_world(self.study)

    def worlds(self, seed: int) -> Worlds:
        """The worlds of a seed in an open loop; those of the last seeds are kept.

        Args:
            seed: world seed, such as 0.
        """
        return self._seed(seed).worlds

    def _seed(self, seed: int) -> OpenSeed:
        return self._open(seed, lambda: OpenSeed(self.study, seed))

    def open_loop(self, cell: Cell) -> OpenLoop:
        """The feeds of a cell in a study with an open loop.

        Args:
            cell: from `plan`.
        """
        rankings = make_rankings(cell.recommender, cell.chain, anew=True)
        if isinstance(rankings, Learned):
            rankings = replace(rankings, fits=self._seed(cell.seed).fits(cell.recommender))
        return OpenLoop(self.worlds(cell.seed), self.study.arms, cell.variant, rankings)

    def closed_loop(self, cell: Cell) -> ClosedLoop:
        """The feeds of a cell in a study with a closed loop; the cell has worlds of its own.

        Args:
            cell: from `plan`.
        """
        study, rankings = self.study, make_rankings(cell.recommender, cell.chain)
        cells = study.seeds * sum(len(study.chains_for(spec.name)) for spec in study.recommenders)
        return served_one_by_one(
            study.world,
            study.evaluation,
            study.arms,
            cell.seed,
            rankings,
            cell.variant,
            threads=max(1, study.threads // cells),
        )

    def gated_loop(self, cell: Cell) -> GatedLoop:
        """The feeds of a cell with gates.

        Cells of the same recommender and seed share the days before the influx. These are kept for
        the last two recommenders and seeds.

        Args:
            cell: from `plan`, with coalitions.
        """
        study, rankings = self.study, make_rankings(cell.recommender, cell.chain)
        world = study.world
        common = self._gated(
            (cell.seed, *cell.variant),
            lambda: GatedSeed(world, study.evaluation, cell.seed, rankings),
        )
        return GatedLoop(common, cell.variant, cell.coalitions)

    def log_feeds(self, cell: Cell) -> LogFeeds:
        """The feeds of a cell in a study of a log.

        Cells of the same recommender share the fit of the whole log.

        Args:
            cell: from `plan`.
        """
        recommender = make_recommender(cell.recommender, cell.chain, anew=self.study.loop == "open")
        log, removals = self.log, self.log.removals
        reference = self._references(
            cell.variant,
            lambda: Reference(removals, recommender, {cell.variant: log.serve}, same_seed=True),
        )
        return LogFeeds(reference, log, cell.draws, with_influx=cell.draws.start == 1)


def together(cell: Cell) -> tuple[str, int]:
    """What a cell shares with others that is costly to make: worlds of an open loop.

    Cells with the same value of it had better run in one process.

    Args:
        cell: from `plan`.
    """
    if isinstance(cell.study.source, OwnLog) or cell.study.loop == "closed":
        return cell.name, cell.seed
    return "", cell.seed


_here = threading.local()
"""The `Sources` of a thread of a cluster's process, and the study and files it was made for."""


def _in_this_thread(study: Study, read: dict[str, str]) -> Sources:
    """The `Sources` of this thread for a study that was sent here.

    A thread of its own runs each group of cells, so that a study's `workers` make no more threads.

    Raises:
        EngineError: a file here is not that of the machine which sent the study.
    """
    sent = study.model_copy(update={"workers": 1})
    here = _read_by(sent)
    for name, digest in here.items():
        if digest != read[name]:
            raise EngineError(
                f"engine: {name} is another file on a worker than on this machine; put the same "
                "file there under the same path"
            )
    if getattr(_here, "made_for", None) != (sent, here):
        _here.made_for, _here.sources = (sent, here), Sources(sent)
    sources: Sources = _here.sources
    return sources


def _read_by(study: Study) -> dict[str, str]:
    """Hashes of a study's data files, and of classes from elsewhere, by what people call them."""
    parts = [part for chain in study.mitigations for part in chain.parts]
    kinds = {spec.kind for spec in study.recommenders} | {part.kind for part in parts}
    read = {kind: foreign_code(kind) for kind in sorted(kinds) if ":" in kind}
    if isinstance(study.source, OwnLog):
        paths = {name: getattr(study.source, name) for name in ("events", "users", "items")}
        read |= {f"log.{n}": content_digest(p, f"log.{n}") for n, p in paths.items() if p}
    return read


def users_of_world(study: Study) -> pl.DataFrame:
    """The incumbents of a world with attributes that they can be grouped by.

    All of these are fixed before the influx.

    Args:
        study: a study of a world.

    Returns:
        user_id · activity (visits per day) · skill (of reading, in the language that the user reads
        less well) · language (of the user's app) · main_topic · curious (whether newcomers' posts
        make the user curious) · posts (whether the user posts).
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
    """The users of a log with attributes that they can be grouped by.

    Args:
        log: the log as a study measures it.

    Returns:
        The log's users with all their columns. Unless they have columns of these names, there are
        also activity (positive events in the log to train on), tenure (a copy of `joined`) and
        main_topic (the topic liked most, if the config names the topic's column).
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
