"""Claim 3: what a platform can compute from its log alone, against what the newcomers did.

A platform that newcomers have joined trains on today's log with and without the newcomers' events,
and without matched groups of incumbents. That figure is compared with the truth, which only a
simulation knows: the same platform, day by day served by the same recommender, joined by nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.arms.closed import ClosedArms
from recsys.arms.measure import is_level, rows_of
from recsys.arms.policy import RecommenderPolicy
from recsys.arms.world import training_seed
from recsys.config import Evaluation, World
from recsys.drift import MEASURES
from recsys.inference import Matching, draw_placebo, match_newcomers, nested_interval
from recsys.lazy import lazy
from recsys.log import InteractionLog, Seen
from recsys.proof.claims import Found
from recsys.recommenders import Ranking, Recommender, Trending, with_fallback
from recsys.summary import drift_of_log, drift_of_world
from recsys.world.simulate import Audience, Shared

__all__ = ["DRAWS", "LEVELS", "SIZES", "WAYS", "compare", "run_cell"]

SIZES = (0.01, 0.03, 0.1, 0.25, 0.4)
"""Newcomers for each incumbent who comes on a day."""
DRAWS = 20
"""Matched groups left out: a quick look, whose p cannot be below .048."""
LEVELS = {
    "notes": "notes",
    "one_step": "notes",
    "language_format": "language_format",
    "newcomer_share": "newcomer_share",
}
"""What is measured in truth, and what stands for it in the log."""
WAYS = ("events", "events and notes")
"""What is left out of the log: what people did, or that and what they posted."""
_DAILY = 0.4
"""Share of incumbents who come on a day."""
_SPARE = 48
_NAME = ("x", "none")
_FIGURES = ("total", "who")


@dataclass(frozen=True)
class _Loop(ClosedArms):
    """A closed loop whose log tells what people were shown, as a platform's own does."""

    @lazy
    def shared(self) -> Shared:
        assert self.recommender is not None
        audience = Audience(self.panel, self.evaluation.days, self.evaluation.k, one_step=True)
        policy = RecommenderPolicy(self.recommender, self.evaluation.training_days or 14)
        return Shared(self.world, self.seed, policy, audience=audience, impressions=True)

    @lazy
    def day(self) -> int:
        """The day on which everything is measured."""
        return self.evaluation.days[-1]

    @lazy
    def log(self) -> InteractionLog:
        """F: what the platform that newcomers have joined has logged up to that day."""
        return self.simulations["influx"].log_before(self.day, self.evaluation.training_days)

    @lazy
    def matching(self) -> Matching:
        """The newcomers in it, and like groups of incumbents outside the panel."""
        events, liked = self.log.dense, self.log.dense["weight"].to_numpy() > 0
        user = events["user"].to_numpy()[liked]
        when = events["timestamp"].to_numpy()[liked].astype("datetime64[D]").astype(np.int64)
        pairs = np.unique(np.stack([user, when], axis=1), axis=0)
        count, days = (np.bincount(of, minlength=self.log.n_users) for of in (user, pairs[:, 0]))
        pool = ~self.log.newcomers & (count > 0)
        pool[self.panel] = False
        keys = self.log.users["key"].to_numpy()
        return match_newcomers(
            count, days, self.log.newcomers, pool, keys, self.seed, max_pool_fraction=0.5
        )

    def without(self, gone: NDArray[np.integer[Any]], arm: str) -> list[Ranking]:
        """The panel's feeds of that day from a fresh fit without some people's events.

        All else is as the platform has it: what people were shown, and its own slots.

        Returns:
            A ranking for each of `WAYS`.
        """
        assert self.recommender is not None
        log = self.log.without_users(gone)
        simulation, k = self.simulations["influx"], self.evaluation.k
        candidates = simulation.candidates(self.day)
        depth = min(k + _SPARE, int(candidates.sum()))
        model = self.recommender.fit(log, training_seed(self.seed, arm))
        fallback, feeds = Trending().fit(log), []
        for seen in (self.log.seen, self._hidden(gone)):
            known = Seen.from_matrix(seen)
            own = model.rank(self.panel, depth, candidates, known)
            own = with_fallback(own, fallback, self.panel, candidates, known)
            ids, sources = simulation.feeds(
                own.item_ids, own.sources, self.panel, seen, self.day, k
            )
            feeds.append(Ranking(ids, np.full(ids.shape, np.nan, dtype=np.float32), sources))
        return feeds

    def _hidden(self, gone: NDArray[np.integer[Any]]) -> csr_matrix:
        """What people were shown, and for the panel these people's notes: so they cannot come."""
        theirs = np.flatnonzero(np.isin(self.simulations["influx"].notes.creator, gone))
        user, note = (axis.ravel() for axis in np.meshgrid(self.panel, theirs))
        more = csr_matrix((np.ones(user.size, np.bool_), (user, note)), shape=self.log.seen.shape)
        return csr_matrix(self.log.seen.astype(np.bool_) + more)

    def offline(self) -> pl.DataFrame:
        """The drift of a study of this log, as `recsys.summary.drift_of_log` gives it.

        The name of the recommender says in which of `WAYS` people were left out.
        """
        assert self.recommender is not None
        nobody = np.zeros(0, dtype=np.int64)
        silent = self.log.newcomers & (self.matching.events == 0)  # they may have posted
        newcomers = np.flatnonzero(self.matching.newcomer | silent)
        groups = [("full", 0, nobody), ("influx", 0, newcomers)]
        if not self.recommender.deterministic:
            groups.append(("retrain", 0, nobody))
        groups += [
            ("placebo", draw, draw_placebo(self.matching, draw)) for draw in range(1, DRAWS + 1)
        ]
        measures = {name: MEASURES[name] for name in dict.fromkeys(LEVELS.values())}
        ids, rows, reference = self.log.users["user_id"].gather(self.panel), [], None
        for arm, draw, gone in groups:
            both = self.without(gone, arm)
            reference = reference or both[0]
            for way, feeds in zip(WAYS, both, strict=True):
                pair = self._pair("influx", self.day, self.panel, reference, feeds)
                keys = {
                    "recommender": way, "mitigation": "none", "arm": arm, "seed": self.seed,
                    "draw": draw, "day": None, "cohort": "incumbent",
                }  # fmt: skip
                rows.append(rows_of(pair, measures, ids, keys, compared=arm != "full"))
        return drift_of_log(pl.concat(rows), self.matching.crowding)


def run_cell(
    world: World, evaluation: Evaluation, recommender: Recommender, size: float, seed: int
) -> pl.DataFrame:
    """One influx of one size on a platform served by a recommender: the truth, and the log's tale.

    Args:
        world: the platform; the number of newcomers is set by the size.
        evaluation: of its days the last counts.
        recommender: who serves, and is studied.
        size: newcomers for each incumbent who comes on a day.
        seed: world seed.

    Returns:
        A row for each of `WAYS` and `LEVELS`: way · size · seed · level · true_total · true_who · total · who ·
        band (how far above the placebos' mean the upper edge of their band lies) · p_value ·
        newcomers · matched (of those who did anything, which share has its like among the
        incumbents; the others stay in the log).
    """
    newcomers = max(2, round(size * _DAILY * world.incumbents))
    influx = world.influx.model_copy(update={"newcomers": newcomers})
    arms = ("control", "influx", "placebo", "retrain")
    loop = _Loop(
        world.model_copy(update={"influx": influx}),
        evaluation.model_copy(update={"one_step": True, "days": evaluation.days[-1:]}),
        arms, seed, recommender=recommender,
    )  # fmt: skip
    per_user = loop.measure(_NAME, recommender).per_user
    truth = {r["measure"]: r for r in _headline(drift_of_world(per_user, arms))}
    tale = {(r["recommender"], r["measure"]): r for r in _headline(loop.offline())}
    rows, matching = [], loop.matching
    for way, (level, stands_in) in product(WAYS, LEVELS.items()):
        true, told = truth[level], tale[way, stands_in]
        # Of a level, what leaving them out takes away is what the newcomers have brought.
        sign = -1 if is_level(stands_in) else 1
        edge = told["who_ci_low"] if sign > 0 else told["who_ci_high"]
        rows.append({
            "way": way, "size": size, "seed": seed, "level": level,
            "true_total": true["total"], "true_who": true["who"],
            "total": sign * told["total"], "who": sign * told["who"],
            "band": sign * (told["who"] - edge), "p_value": told["p_value"],
            "newcomers": newcomers, "matched": matching.newcomer_users / matching.newcomer_users_before,
        })  # fmt: skip
    return pl.DataFrame(rows)


def _headline(drift: pl.DataFrame) -> list[dict[str, Any]]:
    return list(drift.filter(pl.col("day").is_null()).iter_rows(named=True))
