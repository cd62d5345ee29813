"""Metrics: recommendations judged by what is liked later."""

from recsys.measures.metrics.judged import Judged, Metric, hits_of, judge
from recsys.measures.metrics.ranking import average_precision, hit_rate, precision, reciprocal_rank
from recsys.measures.metrics.reach import mean_popularity, novelty, popularity_lift
from recsys.measures.metrics.registry import METRICS
from recsys.measures.quality import ndcg, recall

__all__ = [
    "METRICS",
    "Judged",
    "Metric",
    "average_precision",
    "hit_rate",
    "hits_of",
    "judge",
    "mean_popularity",
    "ndcg",
    "novelty",
    "popularity_lift",
    "precision",
    "recall",
    "reciprocal_rank",
]
