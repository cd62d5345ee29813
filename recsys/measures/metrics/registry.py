"""Metrics of a recommender on held-out likes; a new one is a function and an entry in `METRICS`.

The functions take arrays and give one value a user; `METRICS` holds those that a training run
computes. Means over users are taken in `Metric.over` alone.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.measures.metrics.judged import Judged, Metric
from recsys.measures.metrics.ranking import average_precision, hit_rate, precision, reciprocal_rank
from recsys.measures.metrics.reach import mean_popularity, novelty, popularity_lift
from recsys.measures.quality import ndcg, recall, utility


def _coverage(judged: Judged) -> NDArray[np.float64]:
    if judged.item_ids.size == 0:
        return np.array(np.nan)
    shown = np.unique(judged.item_ids[judged.item_ids >= 0]).size
    return np.array(shown / judged.n_candidates)


def _popularity_lift(judged: Judged) -> NDArray[np.float64]:
    popularity = judged.likers / max(judged.n_users, 1)
    return np.array(popularity_lift(mean_popularity(judged.item_ids, popularity), judged.consumed))


def _utility(judged: Judged) -> NDArray[np.float64]:
    if judged.utility is None or judged.looks is None:
        return np.full(judged.item_ids.shape[0], np.nan)
    return 100 * utility(judged.utility, judged.looks)


METRICS: dict[str, Metric] = {
    "ndcg": Metric(
        name="ndcg",
        title="NDCG",
        unit="0 to 1",
        formula="Σ hit/log2(r+1), over its value with min(n_relevant, k) hits on top",
        kind="user",
        function=lambda judged: ndcg(judged.hits, judged.n_relevant),
    ),
    "recall": Metric(
        name="recall",
        title="recall",
        unit="share of relevant items",
        formula="hits / n_relevant",
        kind="user",
        function=lambda judged: recall(judged.hits, judged.n_relevant),
    ),
    "precision": Metric(
        name="precision",
        title="precision",
        unit="share of slots",
        formula="hits / k",
        kind="user",
        function=lambda judged: precision(judged.hits, judged.n_relevant),
    ),
    "hit_rate": Metric(
        name="hit_rate",
        title="hit rate",
        unit="share of users",
        formula="1 if there is a hit, else 0",
        kind="user",
        function=lambda judged: hit_rate(judged.hits, judged.n_relevant),
    ),
    "mrr": Metric(
        name="mrr",
        title="MRR",
        unit="0 to 1",
        formula="1 / rank of the first hit",
        kind="user",
        function=lambda judged: reciprocal_rank(judged.hits, judged.n_relevant),
    ),
    "map": Metric(
        name="map",
        title="MAP",
        unit="0 to 1",
        formula="Σ hit·(hits up to r)/r, over min(n_relevant, k)",
        kind="user",
        function=lambda judged: average_precision(judged.hits, judged.n_relevant),
    ),
    "utility": Metric(
        name="utility",
        title="utility",
        unit="clicks per 100 looks",
        formula="100 Σ examine·P(click) / Σ examine, the truth of a world; of no log",
        kind="user",
        function=_utility,
    ),
    "novelty": Metric(
        name="novelty",
        title="novelty",
        unit="bits",
        formula="mean of -log2(likers_i / n_users) over the slots",
        kind="user",
        function=lambda judged: novelty(judged.item_ids, judged.likers, max(judged.n_users, 1)),
    ),
    "coverage": Metric(
        name="coverage",
        title="coverage",
        unit="share of candidates",
        formula="items recommended to anybody / candidates",
        kind="group",
        function=_coverage,
    ),
    "popularity_lift": Metric(
        name="popularity_lift",
        title="popularity lift",
        unit="from -1 up, 0 is none",
        formula="mean popularity of what is recommended / of what was liked before, - 1",
        kind="group",
        function=_popularity_lift,
    ),
}
