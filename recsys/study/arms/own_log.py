"""The arms of a platform's own log: fits with the events of all users, and fits without some.

full      the reference: a fit of the whole log
influx    a fit without the newcomers' events
placebo   a fit without the events of one group of incumbents outside the panel, who are as many as
          the newcomers and as active; a study has many such groups, numbered by `draw`
joined    a fit in which such a group has come in the newcomers' place: without what the group did
          before the newcomers' first day, and without the newcomers. Where that day is known, the
          group's arm `placebo`, which then leaves the newcomers out too, is compared with it in
          place of `full`
before    a fit of the log as it was before that day; it is compared with nothing
retrain   a fit of the whole log again, with another training seed
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.lazy import lazy
from recsys.core.noise import training_seed
from recsys.logs.log import InteractionLog
from recsys.measures.attention_rows import Pool
from recsys.measures.pair import FeedPair, Measure
from recsys.recommenders import Model, Ranking, Recommender
from recsys.statistics.matching import Matching, draw_placebo
from recsys.study.arms.measuring import ArmFeeds, Group, Served
from recsys.study.arms.result import REMOVALS, life_of
from recsys.study.arms.snapshots import INCUMBENT


@dataclass(frozen=True)
class LogFeeds:
    """The feeds that one recommender gives in each arm of a log.

    Attributes:
        reference: the fit of the whole log, from which all arms start.
        about: describes feeds of this log for the measures.
        draws: numbers of placebo groups, from 1, such as range(1, 26).
        with_influx: whether the arms full, influx and retrain are reported beside the placebo
            groups. A log's placebo groups are spread over several cells; the first cell
            reports the other arms.
    """

    reference: "Reference"
    about: "AboutLog"
    draws: Sequence[int]
    with_influx: bool = True

    @property
    def days(self) -> tuple[None]:
        """A log has no days: each arm is measured once."""
        return (None,)

    @property
    def measures(self) -> Mapping[str, Measure]:
        """The measures of this log's feeds, by name."""
        return self.about.measures

    def arms(self) -> Iterator[ArmFeeds]:
        """The arms, `full` first; where a fit is served in several ways, each way has all arms."""
        reference = self.reference
        yield from self._ways("full", 0, reference.feeds)
        for arm in self._once if self.with_influx else ():
            yield from self._ways(arm, 0, reference.of(arm))
        for draw in self.draws:
            joined = None
            if reference.removals.since is not None:
                joined = reference.of("joined", draw)
                yield from self._ways("joined", draw, joined)
            yield from self._ways("placebo", draw, reference.of("placebo", draw), joined)

    @property
    def _once(self) -> Iterator[str]:
        """The arms beside `full` that a log has once."""
        yield "influx"
        if self.reference.removals.has_before:
            yield "before"
        if not self.reference.recommender.deterministic:
            yield "retrain"

    def _ways(
        self, arm: str, draw: int, served: Served, against: Served | None = None
    ) -> Iterator[ArmFeeds]:
        removals = self.reference.removals
        others = [None] * len(served.groups) if against is None else against.groups
        for name, group, other in zip(self.reference.ways, served.groups, others, strict=True):
            keys = {
                "recommender": name[0],
                "mitigation": name[1],
                "arm": arm,
                "seed": removals.seed,
                "draw": draw,
            }
            reference = None if other is None else other.feeds
            day = LogDay(served._replace(groups=[group]), self.about, reference)
            yield ArmFeeds(
                keys,
                day.on,
                removals.log.users["user_id"],
                removals.log.items,
                self.about.columns,
                compared=arm not in ("full", "joined", "before"),
                reported=arm != "full" or self.with_influx,
            )

    def life(self) -> pl.DataFrame:
        """No row: a log does not say how satisfied its users are, or who has left."""
        return life_of({}, next(iter(self.reference.ways)), self.reference.removals.seed)

    def exact_removals(self) -> pl.DataFrame:
        """Compares a model from which newcomers are removed exactly with a new fit without them.

        The frame has the columns of `REMOVALS`. It has no row where the recommender cannot remove
        users, or where two models do not fit into memory.
        """
        reference, removals = self.reference, self.reference.removals
        log = removals.log.without_users(removals.newcomers)
        removal = reference.recommender.removal(reference.model, log, removals.newcomers)
        if removal is None:
            return pl.DataFrame(schema=REMOVALS)
        name, serve = next(iter(reference.ways.items()))
        models = (removal.removed, removal.fitted)
        feeds = [serve(model, log, removals.newcomers, "influx").item_ids for model in models]
        row = {
            "recommender": name[0],
            "seed": removals.seed,
            "users": removals.newcomers.size,
            "items": removal.items,
            "largest_difference": removal.largest_difference,
            "slots": feeds[0].size,
            "slots_that_differ": int((feeds[0] != feeds[1]).sum()),
            "draws_by_removal": removal.preferred,
        }
        return pl.DataFrame([row], schema=REMOVALS)


@dataclass(frozen=True)
class LogDay:
    """The feeds of one arm of a log.

    Attributes:
        served: the feeds.
        about: describes feeds of this log for the measures.
        against: the feeds that these are compared with; None for those of the arm `full`.
    """

    served: Served
    about: "AboutLog"
    against: Ranking | None = None

    def on(self, day: None) -> "LogDay":
        """This object, since a log has no days."""
        return self

    def feeds(self) -> Served:
        """See `ArmDay`."""
        return self.served

    def without_newcomers(self, feeds: Ranking) -> None:
        """None: in a log the influx arm itself leaves the newcomers' events out."""

    def pair(
        self,
        group: Group,
        reference: Ranking,
        previous: Ranking | None,
        without: NDArray[np.int32] | None,
    ) -> FeedPair:
        """See `ArmDay`."""
        return self.about.pair(group, self.against or reference)

    def pool(self, group: Group) -> Pool | None:
        """See `ArmDay`."""
        return self.about.pool()


class AboutLog(Protocol):
    """Describes feeds of a log for the measures."""

    @property
    def measures(self) -> Mapping[str, Measure]:
        """The measures of this log's feeds, by name."""

    @property
    def columns(self) -> Mapping[str, str]:
        """By attribute of the items, the column that holds it."""

    def pair(self, group: Group, reference: Ranking) -> FeedPair:
        """The panel's feeds of an arm beside those of `full`, with all that the measures need.

        Args:
            group: the panel and its feeds of the arm (n, k).
            reference: the panel's feeds of the whole log (n, k).
        """

    def pool(self) -> Pool | None:
        """The items that can be served; None leaves attention unmeasured."""


Serve = Callable[[Model, InteractionLog, NDArray[np.int64], str], Ranking]
"""Function that gives the panel's feeds. It takes a model, the log that the model was fitted to,
the dense ids of the users who are left out of this log, and the name of the arm."""


@dataclass(frozen=True)
class Reference:
    """The fit of the whole log and its feeds, made once for all cells of a recommender.

    Attributes:
        removals: the log, and who is left out of it in each arm.
        recommender: the recommender that is fitted.
        ways: how a fit is served, by recommender and mitigation as the rows name them; a study has
            one way, such as `{("als", "none"): log.serve}`.
        same_seed: whether all arms but `retrain` are trained with the seed of `full`. Then nothing
            but the events left out moves feeds; else training noise does, too.
    """

    removals: "Removals"
    recommender: Recommender
    ways: Mapping[tuple[str, str], Serve]
    same_seed: bool = False

    @lazy
    def model(self) -> Model:
        """The fit of the whole log."""
        seed = training_seed(self.removals.seed, "full")
        return self.recommender.fit(self.removals.log, seed=seed)

    @lazy
    def feeds(self) -> Served:
        """The panel's feeds of the arm `full`, with a `Group` for each entry of `ways`."""
        return self.of("full")

    def of(self, arm: str, draw: int = 0) -> Served:
        """The panel's feeds of an arm, with a `Group` for each entry of `ways`.

        Args:
            arm: "full", "influx", "placebo", "joined", "before" or "retrain".
            draw: number of the placebo group, from 1; 0 for the other arms.
        """
        removals, start = self.removals, time.perf_counter()
        left_out, log = removals.left_out(arm, draw), removals.log_of(arm, draw)
        # A group's two fits differ in seed as those of the newcomers do.
        as_full = arm in ("joined", "before") or (self.same_seed and arm != "retrain")
        seed = training_seed(removals.seed, "full" if as_full else arm)
        if arm == "full":
            model = self.model
        elif arm in ("retrain", "joined", "before"):
            model = self.recommender.fit(log, seed=seed)
        else:
            model = self.recommender.fit_without(self.model, log, left_out, seed)
        fitted = time.perf_counter()
        feeds = [serve(model, log, left_out, arm) for serve in self.ways.values()]
        groups = [Group(INCUMBENT, removals.panel, ranking) for ranking in feeds]
        return Served(groups, fitted - start, time.perf_counter() - fitted)


@dataclass(frozen=True)
class Removals:
    """A log to train on, and the users whose events each arm leaves out of this log.

    Attributes:
        log: the whole log, to which the reference is fitted.
        panel: dense ids of the incumbents that are measured; their events are never left out.
        matching: the matching from which the placebo groups are drawn.
        newcomers: dense ids of the newcomers whose events are left out.
        seed: training seed; each arm derives its own from it.
        since: the moment at which placebos would have joined, which is that at which the newcomers'
            first day begins; None for placebos who are whole users.
        arrival: that moment, whichever sort placebos are; None if it is not known.
        replaced: dense ids of the users in whose place placebos would have joined, who are in
            neither of the two fits that are compared for these.
    """

    log: InteractionLog
    panel: NDArray[np.int64]
    matching: Matching
    newcomers: NDArray[np.int64]
    seed: int
    since: datetime | None = None
    arrival: datetime | None = None
    replaced: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @lazy
    def has_before(self) -> bool:
        """Whether anything was liked before the newcomers' first day."""
        if self.arrival is None:
            return False
        early = self.log.dense.filter(pl.col("timestamp") < self.arrival, pl.col("weight") > 0)
        return early.height > 0

    def log_of(self, arm: str, draw: int) -> InteractionLog:
        """The log that an arm is fitted to.

        Args:
            arm: an arm of `Reference.of`.
            draw: number of the placebo group, from 1.
        """
        if arm == "joined":
            log = self.log.without_users(self.replaced)
            past = log.dense.select(pl.col("timestamp") < self.since).to_series().to_numpy()
            group = np.isin(log.dense["user"].to_numpy(), draw_placebo(self.matching, draw))
            return log.only(~(group & past))
        if arm == "before":
            assert self.arrival is not None
            return self.log.before(self.arrival)
        left_out = self.left_out(arm, draw)
        return self.log.without_users(left_out) if left_out.size else self.log

    def left_out(self, arm: str, draw: int) -> NDArray[np.int64]:
        """Dense ids of the users all of whose events an arm leaves out.

        Args:
            arm: an arm of `Reference.of`.
            draw: number of the placebo group, from 1.
        """
        if arm == "placebo":
            return np.union1d(self.replaced, draw_placebo(self.matching, draw))
        if arm == "joined":
            return self.replaced
        return self.newcomers if arm == "influx" else np.zeros(0, dtype=np.int64)
