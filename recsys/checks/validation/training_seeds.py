"""Check 7: two training seeds of a recommender give other lists, but nearly the same utility."""

import numpy as np

from recsys.config import World
from recsys.measures.overlap import frbo
from recsys.measures.quality import utility
from recsys.recommenders import Recommender
from recsys.world.arms import Audience
from recsys.world.people.behaviour import examination
from recsys.world.simulate import simulate

_K = 20
_PANEL = 1000
_TRAINING_SEEDS = (0, 1)


def measure_training_seeds(
    world: World, recommender: Recommender, seed: int, threads: int = 1
) -> dict[str, float]:
    """Compares the lists of two fits of the same log; gives figures by name of the quantity.

    Args:
        world: the platform, served by the house feed and without newcomers.
        recommender: the recommender to fit.
        seed: world seed, such as 0.
        threads: number of threads that simulate.
    """
    users = np.arange(min(_PANEL, world.incumbents))
    short = world.model_copy(update={"days_after": 1})
    platform = simulate(short, "control", seed, audience=Audience(users, (0,), _K), threads=threads)
    log, candidates = platform.log_before(0), platform.candidates(0)
    examine = examination(world.platform, _K)
    lists, values = [], []
    for training_seed in _TRAINING_SEEDS:
        model = recommender.fit(log, seed=training_seed)
        lists.append(model.rank(users, _K, candidates).item_ids)
        probability = platform.click_probability(users, lists[-1], 0)
        values.append(float(np.nanmean(utility(probability, examine))))
    return {
        "lists of two training seeds, 1 - FRBO": float(1 - np.nanmean(frbo(lists[0], lists[1]))),
        "utility of two training seeds": abs(values[0] / values[1] - 1),
    }
