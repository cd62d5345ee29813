"""Check 5: how feeds change because a recommender learns from its own feeds.

Two worlds have the same users, posts and luck, and are served by the same recommender, which is
trained each morning. In one it is trained on the log that its own feeds led to, in the other on
the log that random feeds led to.
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
    """Measures the effect of learning from own feeds rather than from random feeds, for one seed.

    Args:
        world: the platform; its newcomers are the minority.
        recommender: the recommender that serves.
        seed: world seed, such as 0.
        threads: number of threads that simulate.

    Returns:
        Figures by name of the quantity: differences of shares, and log ratios of all else.
    """
    panel = np.arange(min(_PANEL, world.incumbents))
    audience = Audience(panel, tuple(day for day in _DAYS if day < world.days_after), _K)
    policy = RecommenderPolicy(recommender, _TRAINING_DAYS)
    random = RecommenderPolicy(Random(), _TRAINING_DAYS)
    random_world = simulate(world, "influx", seed, random, threads=threads)
    learns_from_random = _LearnsFrom(random_world, policy)
    own, other = (
        _Feeds.of(simulate(world, "influx", seed, served_by, audience=audience, threads=threads))
        for served_by in (policy, learns_from_random)
    )
    utility_gain = np.log(own.utility / other.utility)
    likeness_gain = float(np.log(own.likeness / other.likeness))
    return {
        "homogeneity of what people are shown": likeness_gain,
        "homogeneity gained beyond utility": likeness_gain - float(utility_gain[0]),
        "popularity of what is recommended": float(np.log(own.popularity / other.popularity)),
        "distinct posts recommended": float(np.log(own.distinct / other.distinct)),
        "newcomers' utility, less incumbents'": float(utility_gain[1] - utility_gain[0]),
        "newcomers' posts in own language": own.local - other.local,
    }


@dataclass(frozen=True)
class _LearnsFrom:
    """A policy that learns from the log of another world with the same users and posts."""

    other: Simulation
    policy: RecommenderPolicy

    @property
    def training_days(self) -> int:
        return self.policy.training_days

    @property
    def impressions(self) -> bool:
        return self.policy.impressions

    @property
    def by_need(self) -> bool:
        return self.policy.by_need

    def fit(self, log: InteractionLog, seed: int, previous: Ranker | None) -> Ranker:
        last = log.dense["timestamp"].to_numpy().max()
        day = int((last - np.datetime64(self.other.world.start)) // np.timedelta64(1, "D")) + 1
        events = self.other.log_before(day, self.training_days).dense
        return self.policy.fit(InteractionLog(log.users, log.items, events), seed, previous)


class _Feeds(NamedTuple):
    """Figures of the feeds of a world."""

    likeness: float
    """Mean Jaccard similarity of the posts that two incumbents were shown from day 0 on."""
    popularity: float
    """Mean share that a post in an incumbent's feed has in the clicks of the last 14 days."""
    distinct: float
    """Number of different posts in the feeds of incumbents on a day."""
    utility: NDArray[np.float64]
    """(2,), mean utility of the feeds of incumbents and of newcomers."""
    local: float
    """Share of posts in the language of newcomers in the feeds of newcomers."""

    @classmethod
    def of(cls, simulation: Simulation) -> "_Feeds":
        """Means over the days on which feeds of the panel were kept."""
        served = [past.day for past in simulation.days if past.morning is not None]
        days = [_figures_of_day(simulation, day) for day in served]
        means = (np.mean(figures, axis=0) for figures in zip(*days, strict=True))
        return cls(_likeness(simulation), *means)


def _figures_of_day(
    simulation: Simulation, day: int
) -> tuple[float, float, NDArray[np.float64], float]:
    """`popularity`, `distinct`, `utility` and `local` of the feeds of one day."""
    served, n = simulation.morning(day).served, simulation.world.incumbents
    assert served is not None
    probability = simulation.click_probability(served.users, served.feeds, day)
    value = utility(probability, examination(simulation.world.platform, _K))
    newcomer = served.users >= n
    to_incumbents, to_newcomers = served.feeds[~newcomer], served.feeds[newcomer]
    to_incumbents = to_incumbents[to_incumbents >= 0]
    to_newcomers = to_newcomers[to_newcomers >= 0]
    clicks = _clicks(simulation, day)
    language = LANGUAGES.index(simulation.world.population.newcomers.language)
    return (
        float((clicks / clicks.sum())[to_incumbents].mean()),
        float(np.unique(to_incumbents).size),
        np.array([np.nanmean(value[~newcomer]), np.nanmean(value[newcomer])]),
        float((simulation.posts.language[to_newcomers] == language).mean()),
    )


def _clicks(simulation: Simulation, day: int) -> NDArray[np.int64]:
    """Int64 (n_posts,): clicks on each post in the 14 days before a day."""
    days = [past for past in simulation.days if day - _TRAINING_DAYS <= past.day < day]
    n = simulation.posts.n
    counts = [np.bincount(past.item[past.is_click], minlength=n) for past in days]
    return np.asarray(np.sum(counts, axis=0))


def _likeness(simulation: Simulation) -> float:
    """Mean Jaccard similarity of the posts that two users of the panel were shown since day 0."""
    days = [day for day in simulation.days if day.day >= 0]
    user = np.concatenate([day.user for day in days])
    item = np.concatenate([day.item for day in days])
    in_panel = user < min(_PANEL, simulation.world.incumbents)
    ones = np.ones(in_panel.sum(), np.float32)
    shown = csr_matrix((ones, (user[in_panel], item[in_panel])))
    shown.data[:] = 1  # the events of a user on a post were summed
    shown = shown[np.diff(shown.indptr) > 0]
    both, size = (shown @ shown.T).toarray(), np.diff(shown.indptr)
    pairs = np.triu_indices(size.size, 1)
    either = size[:, None] + size - both
    return float((both[pairs] / either[pairs]).mean())
