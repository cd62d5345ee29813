"""Check 5: what it does to feeds that a recommender learns from its own.

Two worlds with the same people, notes and luck, served by the same recommender, trained anew each
morning: in one on what its own feeds led to, in the other on what feeds drawn by lot led to.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.config import World
from recsys.logs.log import InteractionLog
from recsys.measures.quality import utility
from recsys.recommenders import Random, Recommender
from recsys.study.arms.policy import RecommenderPolicy
from recsys.world.arms import Audience
from recsys.world.people.behaviour import examination
from recsys.world.people.population import LANGUAGES
from recsys.world.platform.policy import Ranker
from recsys.world.simulate import Simulation, simulate

_K = 20
_PANEL = 300
_DAYS = (3, 6, 9, 12)
_TRAINING_DAYS = 14


def measure_feedback(
    world: World, recommender: Recommender, seed: int, threads: int = 1
) -> dict[str, float]:
    """Learning from own feeds against learning from feeds by lot, by name of the quantity.

    Args:
        world: the platform, joined by newcomers: the minority.
        recommender: who serves.
        seed: world seed.
        threads: threads that simulate.

    Returns:
        Changes of one seed: of shares as differences, of anything else as log ratios.
    """
    panel = np.arange(min(_PANEL, world.incumbents))
    audience = Audience(panel, tuple(day for day in _DAYS if day < world.days_after), _K)
    policy = RecommenderPolicy(recommender, _TRAINING_DAYS)
    by_lot = RecommenderPolicy(Random(), _TRAINING_DAYS)
    other = simulate(world, "influx", seed, by_lot, threads=threads)
    own = _Feeds.of(simulate(world, "influx", seed, policy, audience=audience, threads=threads))
    lent = _Feeds.of(
        simulate(world, "influx", seed, _Lent(policy, other), audience=audience, threads=threads)
    )
    gain = np.log(own.utility / lent.utility)
    alike = float(np.log(own.likeness / lent.likeness))
    return {
        "homogeneity of what people are shown": alike,
        "homogeneity gained beyond utility": alike - float(gain[0]),
        "popularity of what is recommended": float(np.log(own.popularity / lent.popularity)),
        "distinct notes recommended": float(np.log(own.distinct / lent.distinct)),
        "newcomers' utility, less incumbents'": float(gain[1] - gain[0]),
        "newcomers' notes in own language": own.local - lent.local,
    }


@dataclass(frozen=True)
class _Lent:
    """A policy that learns from the log of another world with the same people and notes."""

    policy: RecommenderPolicy
    other: Simulation

    @property
    def training_days(self) -> int:
        return self.policy.training_days

    @property
    def impressions(self) -> bool:
        return self.policy.impressions

    def fit(self, log: InteractionLog, seed: int, previous: Ranker | None) -> Ranker:
        last = log.dense["timestamp"].to_numpy().max()
        day = int((last - np.datetime64(self.other.world.start)) // np.timedelta64(1, "D")) + 1
        events = self.other.log_before(day, self.training_days).dense
        return self.policy.fit(InteractionLog(log.users, log.items, events), seed, previous)


class _Feeds(NamedTuple):
    """What people were served."""

    likeness: float
    """Mean Jaccard of all notes that two incumbents were shown from day 0 on."""
    popularity: float
    """Mean share of the last fortnight's clicks that a note in an incumbent's feed has."""
    distinct: float
    """Different notes in the incumbents' feeds of a day."""
    utility: NDArray[np.float64]
    """(2,) of the feeds of incumbents and newcomers."""
    local: float
    """Share of notes in newcomers' feeds that are in their language."""

    @classmethod
    def of(cls, simulation: Simulation) -> "_Feeds":
        """Over the days on which an audience's feeds were kept."""
        served = [past.day for past in simulation.days if past.morning is not None]
        days = [_on(simulation, day) for day in served]
        return cls(_likeness(simulation), *(np.mean(c, axis=0) for c in zip(*days, strict=True)))


def _on(simulation: Simulation, day: int) -> tuple[float, float, NDArray[np.float64], float]:
    """Popularity, distinct notes, utility and local share of a day's feeds."""
    served, n = simulation.morning(day).served, simulation.world.incumbents
    assert served is not None
    worth = simulation.click_probability(served.users, served.feeds, day)
    value = utility(worth, examination(simulation.world.platform, _K))
    newcomer = served.users >= n
    mine, theirs = (served.feeds[who] for who in (~newcomer, newcomer))
    mine, theirs = mine[mine >= 0], theirs[theirs >= 0]
    clicks = _clicks(simulation, day)
    language = LANGUAGES.index(simulation.world.population.newcomers.language)
    return (
        float((clicks / clicks.sum())[mine].mean()),
        float(np.unique(mine).size),
        np.array([np.nanmean(value[~newcomer]), np.nanmean(value[newcomer])]),
        float((simulation.notes.language[theirs] == language).mean()),
    )


def _clicks(simulation: Simulation, day: int) -> NDArray[np.int64]:
    """Clicks on each note in the last fortnight."""
    past = [p for p in simulation.days if day - _TRAINING_DAYS <= p.day < day]
    n = simulation.notes.n
    return np.asarray(np.sum([np.bincount(p.item[p.is_click], minlength=n) for p in past], axis=0))


def _likeness(simulation: Simulation) -> float:
    """Mean Jaccard of what any two incumbents of the panel were shown since day 0."""
    days = [day for day in simulation.days if day.day >= 0]
    user = np.concatenate([day.user for day in days])
    item = np.concatenate([day.item for day in days])
    mine = user < min(_PANEL, simulation.world.incumbents)
    shown = csr_matrix((np.ones(mine.sum(), np.float32), (user[mine], item[mine])))
    shown.data[:] = 1  # duplicates were summed: a note and what was done with it
    shown = shown[np.diff(shown.indptr) > 0]
    both, size = (shown @ shown.T).toarray(), np.diff(shown.indptr)
    pairs = np.triu_indices(size.size, 1)
    either = size[:, None] + size - both
    return float((both[pairs] / either[pairs]).mean())
