"""A platform that newcomers have joined and that a recommender serves, for claim 3.

`worlds_of` simulates it with newcomers, without them, and with placebos of theirs. `Platform` is
what the platform itself has on one morning: a log, a recommender, and candidates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.checks.candidates import KEPT
from recsys.config import Evaluation, World
from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.registry import MEASURES
from recsys.recommenders import Model, Ranking, Recommender, Trending, with_fallback
from recsys.statistics import Matching
from recsys.study.arms.closed_loop import served_worlds
from recsys.study.arms.measuring import Group, measure
from recsys.study.arms.open_loop import SPARE
from recsys.study.arms.own_log import LogFeeds, Reference, Removals
from recsys.study.arms.placebos import matching_of
from recsys.study.arms.rankings import Learned
from recsys.study.arms.worlds import MeasuredDay, Worlds
from recsys.study.tables.drift import drift_of_log
from recsys.study.tables.headline import FLOOR

LEVELS = {
    "posts": "posts",
    "one_step": "posts",
    "language_format": "language_format",
    "newcomer_share": "newcomer_share",
}
"""The measure of the truth, and the measure of the log that estimates it."""
WAYS = ("events", "events and posts")
"""What of the newcomers is left out of the log: their events, or their events and their posts."""
ARMS = ("control", "influx", "placebo", "retrain", FLOOR)
"""The arms that are simulated."""
_DAILY = 0.4
"""Share of incumbents who come on a day."""


@dataclass(frozen=True)
class Platform:
    """The platform that newcomers have joined, as the offline estimate uses it; see `AboutLog`.

    A fit without some people's events is served like any other: what people have seen, and the
    platform's own slots, stay as they were.

    Attributes:
        day: the day of the influx arm on which feeds are measured.
    """

    day: MeasuredDay

    @lazy
    def matching(self) -> Matching:
        """The newcomers of the log, and the incumbents from whom matched groups are drawn."""
        log = self.day.log
        return matching_of(
            log,
            self.day.panel,
            ~log.newcomers,
            self.day.world.beside.seed,
            timezone="UTC",
            max_pool_fraction=0.5,
        )

    @property
    def removals(self) -> Removals:
        """The log, and whose events each arm leaves out of it."""
        log, matching = self.day.log, self.matching
        silent = log.newcomers & (matching.events == 0)  # no events, but they may have posted
        newcomers = np.flatnonzero(matching.newcomer | silent)
        return Removals(log, self.day.panel, matching, newcomers, self.day.world.beside.seed)

    @property
    def has_trace(self) -> bool:
        """Whether any newcomer has liked anything."""
        events = self.day.log.dense
        user = events["user"].to_numpy()[events["weight"].to_numpy() > 0]
        return bool(self.day.log.newcomers[user].any())

    @property
    def measures(self) -> dict[str, Measure]:
        """The measures of the log that estimate the truth, by name."""
        return {name: MEASURES[name] for name in dict.fromkeys(LEVELS.values())}

    def pair(self, group: Group, reference: Ranking) -> FeedPair:
        """See `AboutLog`."""
        return self.day.pair(group, reference, None, None, scored=False)

    def pool(self) -> None:
        """None: attention is not compared."""

    def serve(
        self, model: Model, log: InteractionLog, left_out: NDArray[np.int64], arm: str
    ) -> Ranking:
        """The panel's feeds from a fit without some people's events; see `Serve`."""
        return self._served(model, log, self.day.log.seen)

    def serve_without_posts(
        self, model: Model, log: InteractionLog, left_out: NDArray[np.int64], arm: str
    ) -> Ranking:
        """The panel's feeds from the same fit, without the posts of these people; see `Serve`."""
        return self._served(model, log, self._hidden(left_out))

    def _served(self, model: Model, log: InteractionLog, seen: csr_matrix) -> Ranking:
        simulation, panel, k = (
            self.day.world.simulation,
            self.day.panel,
            self.day.world.beside.evaluation.k,
        )
        candidates = simulation.candidates(self.day.day)
        depth, excluded = min(k + SPARE, int(candidates.sum())), Seen.from_matrix(seen)
        own = model.rank(panel, depth, candidates, excluded)
        own = with_fallback(own, Trending().fit(log), panel, candidates, excluded)
        ids, sources = simulation.feeds(own.item_ids, own.sources, panel, seen, self.day.day, k)
        return Ranking(ids, np.full(ids.shape, np.nan, dtype=np.float32), sources)

    def _hidden(self, left_out: NDArray[np.int64]) -> csr_matrix:
        """What users have seen, as if the panel had seen all posts of the people who are left out.

        What a user has seen is not served, so these posts come in no feed of the panel.
        """
        shown = self.day.log.seen
        hidden = np.flatnonzero(np.isin(self.day.world.simulation.posts.creator, left_out))
        user, post = (axis.ravel() for axis in np.meshgrid(self.day.panel, hidden))
        more = csr_matrix((np.ones(user.size, np.bool_), (user, post)), shape=shown.shape)
        return csr_matrix(shown.astype(np.bool_) + more)

    @property
    def columns(self) -> Mapping[str, str]:
        """No attribute: these feeds are not shown."""
        return {}

    def drift(self, recommender: Recommender, draws: int) -> pl.DataFrame:
        """The table `drift` of a study of this log with so many matched groups.

        The column `recommender` holds the way in which people are left out, one of `WAYS`.
        """
        serve = (self.serve, self.serve_without_posts)
        ways = {(way, "none"): served for way, served in zip(WAYS, serve, strict=True)}
        reference = Reference(self.removals, recommender, ways)
        result = measure(LogFeeds(reference, self, range(1, draws + 1)))
        return drift_of_log(result.per_user, self.matching.crowding)


def worlds_of(
    world: World,
    evaluation: Evaluation,
    recommender: Recommender,
    size: float,
    seed: int,
    *,
    placebos: bool = True,
) -> Worlds:
    """A platform that a recommender serves, with one influx and without.

    The panel's feeds are kept `KEPT` times as deep as they are measured.

    Args:
        world: the platform; its number of newcomers is replaced.
        evaluation: how the platform is evaluated; only the last of its days counts.
        recommender: the recommender that serves and is studied.
        size: newcomers for each incumbent who comes on a day, such as 0.1.
        seed: world seed, such as 0.
        placebos: whether the arms placebo and retrain are run, and one-step drift is measured, as
            `recsys.checks.proof.offline.run_cell` needs it; else the influx, its twin and nudges.
    """
    newcomers = max(2, round(size * _DAILY * world.incumbents))
    influx = world.influx.model_copy(update={"newcomers": newcomers})
    return served_worlds(
        world.model_copy(update={"influx": influx}),
        evaluation.model_copy(update={"one_step": placebos, "days": evaluation.days[-1:]}),
        ARMS if placebos else ("control", "influx", FLOOR),
        seed,
        Learned(recommender),
        impressions=True,  # a platform's own log tells what was shown
        kept=KEPT * evaluation.k,
    )


def platform_of(worlds: Worlds) -> Platform | None:
    """The platform that newcomers have joined; None if no newcomer has liked anything yet.

    Args:
        worlds: from `worlds_of`.
    """
    platform = Platform(worlds.measured["influx"].days[worlds.evaluation.days[-1]])
    return platform if platform.has_trace else None
