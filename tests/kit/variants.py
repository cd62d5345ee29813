"""Recommenders with options that make them compute something else, for what holds for all of them.

`RECOMMENDERS` with defaults leaves these ways untried.
"""

from recsys.recommenders import ALS, ItemKNN, PlatformRanker, TwoTower
from recsys.recommenders.recency import Recency

LATE = Recency(half_life_days=1.0, power=0.5)
VARIANTS = {
    "als with one penalty": ALS(factors=4, iterations=3, frequency=0.0),
    "als with own sweeps, pruned": ALS(
        factors=4, iterations=3, frequency=0.0, solver="own", retrieval="pruned"
    ),
    "als with recency": ALS(factors=4, iterations=3, recency=LATE),
    "item_knn with recency": ItemKNN(similarity="bm25", recency=LATE),
    "two_tower with recency": TwoTower(factors=4, iterations=3, history=2, recency=LATE),
    "platform_ranker with all options": PlatformRanker(
        recall=5,
        format_weight=1.0,
        translated="subtitled",
        creator_prior=2.0,
    ),
}
"""Each is quick to fit on a small log; the options of the last need columns that worlds have."""
